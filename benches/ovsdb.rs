//! What a transaction costs: our server beside the stock `ovsdb-server`, in turn, over unix sockets.
//!
//! `make bench-ovsdb`. Each server is a process of its own; the client is this one, which only counts
//! messages. Rounds alternate between the servers; the figures are medians.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that meets the unexpected should stop there"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use weft_ovsdb::value::schema::VSWITCH_SCHEMA;
use weft_ovsdb::{Server, ServerConfig};

const ROUNDS: usize = 5;
const PORTS: usize = 10_000;
/// The uuid of a port that comes and goes.
const EXTRA: &str = "77777777-7777-4777-8777-777777777777";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, file, remote] = arguments.as_slice()
        && command == "serve"
    {
        return serve(file, remote);
    }
    if Command::new("ovsdb-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("ovsdb-server is not installed: nothing to compare with");
        std::process::exit(1);
    }
    let only = arguments.iter().skip(1).find(|argument| !argument.starts_with('-')).cloned();
    let mut figures = Vec::new();
    println!("| case | weft | ovsdb-server 3.1 | ratio | |\n| --- | --- | --- | --- | --- |");
    for case in cases() {
        if only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        figures.push(compare(&case));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target");
    std::fs::create_dir_all(&folder).unwrap();
    let text = serde_json::to_string_pretty(&figures).unwrap();
    std::fs::write(folder.join("bench-ovsdb.json"), text).unwrap();
}

/// This program as a server, until it is killed. SIGUSR1 makes it compact.
fn serve(file: &str, remote: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let config = ServerConfig::new(file).remote(remote);
        let server = Server::start(config).await.unwrap();
        let mut asked = signal(SignalKind::user_defined1()).unwrap();
        while asked.recv().await.is_some() {
            server.compact(None).await.unwrap();
        }
    });
}

/// One thing that is measured.
struct Case {
    name: &'static str,
    unit: &'static str,
    /// True when a larger figure is the better one.
    is_rate: bool,
    prepare: fn(&Bench),
    run: fn(&Bench) -> f64,
}

fn cases() -> Vec<Case> {
    let rate =
        |name, prepare: fn(&Bench), run| Case { name, unit: "/s", is_rate: true, prepare, run };
    let time =
        |name, prepare: fn(&Bench), run| Case { name, unit: "us", is_rate: false, prepare, run };
    vec![
        rate("transactions/1_client", root, |bench| bench.sequential(&bump(false), 3000)),
        time("transactions/latency_p99", root, |bench| bench.latency(&bump(false), 2000, 0.99)),
        rate("transactions/1_client_32_deep", root, |bench| {
            bench.pipelined(1, 32, &bump(false), 10_000)
        }),
        rate("transactions/16_clients", root, |bench| bench.pipelined(16, 1, &bump(false), 10_000)),
        rate("durable/1_client", root, |bench| bench.sequential(&bump(true), 300)),
        rate("durable/16_clients", root, |bench| bench.pipelined(16, 1, &bump(true), 1000)),
        rate("100_monitors/transactions", root, |bench| bench.monitored(100, 1000)),
        rate("10000_ports/one_interface", ports, |bench| {
            bench.sequential(&interface_changed(), 2000)
        }),
        rate("10000_ports/add_remove", ports, |bench| bench.added_removed(200)),
        rate("10000_ports/100_monitors", ports, |bench| bench.monitored_interface(100, 300)),
        time("10000_ports/initial", ports, Bench::initial),
        time("10000_ports/start", ports, Bench::restart),
        time("100000_rows/pause_of_compaction", rows, Bench::compaction),
    ]
}

fn bump(durable: bool) -> Value {
    let mut operations = vec![
        json!("Open_vSwitch"),
        json!({"op": "mutate", "table": "Open_vSwitch", "where": [],
            "mutations": [["next_cfg", "+=", 1]]}),
    ];
    if durable {
        operations.push(json!({"op": "commit", "durable": true}));
    }
    Value::Array(operations)
}

fn interface_changed() -> Value {
    json!(["Open_vSwitch", {"op": "mutate", "table": "Interface", "where": [["name", "==", "p5000"]],
        "mutations": [["ofport_request", "+=", 1], ["external_ids", "delete", ["set", ["k"]]],
            ["external_ids", "insert", ["map", [["k", "value"]]]]]},
        {"op": "update", "table": "Interface", "where": [["name", "==", "p5000"]],
            "row": {"ofport_request": 1}},
        {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}])
}

/// A transaction that takes away the extra port, if there is one, or one that adds it.
fn extra_port(add: bool) -> Value {
    if !add {
        return json!(["Open_vSwitch", {"op": "update", "table": "Port",
            "where": [["name", "==", "extra"]], "row": {"tag": 7}},
            {"op": "mutate", "table": "Bridge", "where": [["name", "==", "br0"]],
            "mutations": [["ports", "delete", ["uuid", EXTRA]]]}]);
    }
    json!(["Open_vSwitch",
        {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": "extra"}},
        {"op": "insert", "table": "Port", "uuid": EXTRA, "uuid-name": "p",
            "row": {"name": "extra", "interfaces": ["named-uuid", "i"]}},
        {"op": "mutate", "table": "Bridge", "where": [["name", "==", "br0"]],
            "mutations": [["ports", "insert", ["named-uuid", "p"]]]}])
}

fn root(bench: &Bench) {
    bench.connect().call(
        "transact",
        &json!(["Open_vSwitch",
        {"op": "insert", "table": "Open_vSwitch", "row": {}}]),
    );
}

fn rows(bench: &Bench) {
    let mut client = bench.connect();
    let insert = json!({"op": "insert", "table": "Queue", "row": {"dscp": 7,
        "external_ids": ["map", [["name", "some queue"], ["owner", "somebody"]]]}});
    let mut operations = vec![json!("Open_vSwitch")];
    operations.extend(std::iter::repeat_n(insert, 1000));
    let operations = Value::Array(operations);
    for _ in 0..100 {
        let reply = client.call("transact", &operations);
        assert!(!reply.contains("\"error\":\""), "{reply}");
    }
}

fn ports(bench: &Bench) {
    let mut operations = vec![json!("Open_vSwitch")];
    let mut names = Vec::new();
    for n in 0..PORTS {
        operations.push(json!({"op": "insert", "table": "Interface", "uuid-name": format!("i{n}"),
            "row": {"name": format!("p{n}"), "type": "internal",
                "external_ids": ["map", [["iface-id", format!("vm-{n}")]]]}}));
        operations.push(json!({"op": "insert", "table": "Port", "uuid-name": format!("p{n}"),
            "row": {"name": format!("p{n}"), "interfaces": ["named-uuid", format!("i{n}")]}}));
        names.push(json!(["named-uuid", format!("p{n}")]));
    }
    operations.push(json!({"op": "insert", "table": "Bridge", "uuid-name": "b",
        "row": {"name": "br0", "ports": ["set", names]}}));
    operations.push(json!({"op": "insert", "table": "Open_vSwitch",
        "row": {"bridges": ["named-uuid", "b"]}}));
    let reply = bench.connect().call("transact", &Value::Array(operations));
    assert!(!reply.contains("\"error\":\""), "{reply}");
}

/// A server at work, fresh for a case.
struct Bench {
    child: std::cell::RefCell<Child>,
    is_weft: bool,
    folder: tempfile::TempDir,
}

impl Bench {
    fn start(is_weft: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (db, schema) = (folder.path().join("conf.db"), folder.path().join("schema"));
        std::fs::write(&schema, VSWITCH_SCHEMA).unwrap();
        let made = Command::new("ovsdb-tool").arg("create").args([&db, &schema]).status().unwrap();
        assert!(made.success());
        let child = spawn(is_weft, folder.path());
        Self { child: child.into(), is_weft, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("db.sock")
    }

    fn connect(&self) -> Client {
        Client { stream: UnixStream::connect(self.socket()).unwrap(), scan: Scan::default() }
    }

    /// One transaction after the other: how many in a second.
    fn sequential(&self, params: &Value, count: usize) -> f64 {
        let mut client = self.connect();
        let request = request("transact", params);
        let start = Instant::now();
        for _ in 0..count {
            client.send(&request);
            client.await_messages(1);
        }
        count as f64 / start.elapsed().as_secs_f64()
    }

    /// A port comes and goes, in a transaction each: how many transactions in a second.
    fn added_removed(&self, count: usize) -> f64 {
        let mut client = self.connect();
        let requests = [true, false].map(|add| request("transact", &extra_port(add)));
        let start = Instant::now();
        for _ in 0..count {
            for request in &requests {
                client.send(request);
                client.await_messages(1);
            }
        }
        let rate = (2 * count) as f64 / start.elapsed().as_secs_f64();
        let reply = client.call("transact", &extra_port(true));
        assert!(!reply.contains("\"error\":\""), "{reply}");
        client.call("transact", &extra_port(false));
        rate
    }

    /// The time of one transaction that `share` of them stay below.
    fn latency(&self, params: &Value, count: usize, share: f64) -> f64 {
        let mut client = self.connect();
        let request = request("transact", params);
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                let start = Instant::now();
                client.send(&request);
                client.await_messages(1);
                start.elapsed()
            })
            .collect();
        times.sort();
        times[(count as f64 * share) as usize].as_secs_f64() * 1e6
    }

    /// `clients` that each keep `depth` transactions under way.
    fn pipelined(&self, clients: usize, depth: usize, params: &Value, count: usize) -> f64 {
        let request = request("transact", params).repeat(depth);
        let mut clients: Vec<Client> = (0..clients).map(|_| self.connect()).collect();
        let start = Instant::now();
        let mut done = 0;
        while done < count {
            for client in &mut clients {
                client.send(&request);
            }
            for client in &mut clients {
                client.await_messages(depth);
            }
            done += clients.len() * depth;
        }
        done as f64 / start.elapsed().as_secs_f64()
    }

    /// Transactions until each of `monitors` has heard of all of them.
    fn monitored(&self, monitors: usize, count: usize) -> f64 {
        self.heard_by(
            monitors,
            count,
            &bump(false),
            &json!({"Open_vSwitch": [{"columns": ["next_cfg"]}]}),
        )
    }

    fn monitored_interface(&self, monitors: usize, count: usize) -> f64 {
        let columns = json!(["name", "external_ids", "ofport", "ofport_request", "type"]);
        let tables = json!({"Interface": [{"columns": columns}], "Open_vSwitch": [{}],
            "Bridge": [{}], "Port": [{}]});
        self.heard_by(monitors, count, &interface_changed(), &tables)
    }

    fn heard_by(&self, monitors: usize, count: usize, params: &Value, tables: &Value) -> f64 {
        let mut listeners: Vec<Client> = (0..monitors)
            .map(|_| {
                let mut client = self.connect();
                let params = json!(["Open_vSwitch", "m", tables, NIL]);
                client.send(&request("monitor_cond_since", &params));
                client.await_messages(1);
                client.stream.set_nonblocking(true).unwrap();
                client
            })
            .collect();
        let mut writer = self.connect();
        let request = request("transact", params);
        let start = Instant::now();
        for _ in 0..count {
            writer.send(&request);
            writer.await_messages(1);
            listeners.iter_mut().for_each(Client::drain);
        }
        for listener in &mut listeners {
            listener.stream.set_nonblocking(false).unwrap();
            let heard = listener.scan.messages;
            listener.await_messages(count - heard);
        }
        count as f64 / start.elapsed().as_secs_f64()
    }

    /// The first reply to a client that monitors everything.
    fn initial(&self) -> f64 {
        let mut client = self.connect();
        let tables = json!({"Interface": [{}], "Port": [{}], "Bridge": [{}], "Open_vSwitch": [{}]});
        let start = Instant::now();
        client.send(&request("monitor_cond_since", &json!(["Open_vSwitch", "m", tables, NIL])));
        client.await_messages(1);
        start.elapsed().as_secs_f64() * 1e6
    }

    /// The longest that a client waits for an answer while the file is compacted.
    fn compaction(&self) -> f64 {
        let file = self.folder.path().join("conf.db");
        let number = || std::fs::metadata(&file).map_or(0, |file| file.ino());
        let (before, mut client) = (number(), self.connect());
        let echo = request("echo", &json!([]));
        let mut compacting = if self.is_weft {
            let pid = self.child.borrow().id().to_string();
            Command::new("kill").args(["-USR1", &pid]).spawn().unwrap()
        } else {
            let ctl = self.folder.path().join("ctl");
            let mut command = Command::new("ovs-appctl");
            command.arg("-t").arg(ctl).arg("ovsdb-server/compact").spawn().unwrap()
        };
        let mut longest = Duration::ZERO;
        let mut answers_after = 0;
        while answers_after < 20 {
            let start = Instant::now();
            client.send(&echo);
            client.await_messages(1);
            longest = longest.max(start.elapsed());
            answers_after += usize::from(number() != before);
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(compacting.wait().unwrap().success());
        longest.as_secs_f64() * 1e6
    }

    /// From the start of the process to its first answer.
    fn restart(&self) -> f64 {
        stop(&mut self.child.borrow_mut());
        let start = Instant::now();
        *self.child.borrow_mut() = spawn(self.is_weft, self.folder.path());
        self.connect().call("echo", &json!([]));
        start.elapsed().as_secs_f64() * 1e6
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        stop(self.child.get_mut());
    }
}

fn stop(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn spawn(is_weft: bool, folder: &Path) -> Child {
    let path = |name: &str| folder.join(name).display().to_string();
    let remote = format!("punix:{}", path("db.sock"));
    let mut command = if is_weft {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", &path("conf.db"), &remote]);
        command
    } else {
        let mut command = Command::new("ovsdb-server");
        command.args([path("conf.db"), format!("--remote={remote}")]);
        command.args(["--no-chdir", "-vconsole:off", "-vsyslog:off"]);
        command.arg(format!("--unixctl={}", path("ctl")));
        command
    };
    let _ = std::fs::remove_file(folder.join("db.sock"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while UnixStream::connect(folder.join("db.sock")).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the server does not start");
        std::thread::sleep(Duration::from_micros(200));
    }
    child
}

/// Counts the messages in a stream.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    messages: usize,
}

impl Scan {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    self.messages += usize::from(self.depth == 0);
                }
                _ => {}
            }
        }
    }
}

struct Client {
    stream: UnixStream,
    scan: Scan,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn await_messages(&mut self, count: usize) {
        let until = self.scan.messages + count;
        let mut buffer = [0; 1 << 14];
        while self.scan.messages < until {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server hung up");
            self.scan.feed(&buffer[..length]);
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer) {
            Ok(length) => self.scan.feed(&buffer[..length]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> String {
        self.send(&request(method, params));
        let mut text = Vec::new();
        let mut buffer = [0; 1 << 14];
        let until = self.scan.messages + 1;
        while self.scan.messages < until {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server hung up");
            self.scan.feed(&buffer[..length]);
            text.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(text).unwrap()
    }
}

fn request(method: &str, params: &Value) -> Vec<u8> {
    json!({"id": 1, "method": method, "params": params}).to_string().into_bytes()
}

/// Runs a case on both servers in turn and prints the medians.
fn compare(case: &Case) -> Value {
    let servers = [true, false].map(|is_weft| {
        let bench = Bench::start(is_weft);
        (case.prepare)(&bench);
        bench
    });
    let mut figures = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let figure = (case.run)(&servers[which]);
            // The first round warms up.
            if round > 0 {
                figures[which].push(figure);
            }
        }
    }
    let [weft, stock] = figures.map(|mut figures| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    });
    let ratio = if case.is_rate { weft / stock } else { stock / weft };
    let verdict = if ratio > 1.0 { "ahead" } else { "BEHIND" };
    let Case { name, unit, .. } = case;
    println!("| {name} | {weft:.0} {unit} | {stock:.0} {unit} | {ratio:.2} | {verdict} |");
    json!({"case": name, "unit": unit, "value": weft, "peer": "ovsdb-server 3.1", "peer_value": stock,
        "ratio": ratio})
}
