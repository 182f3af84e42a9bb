//! The control loop while much is dumped, opened, closed and planned, and while a worker hangs: none of its turns
//! is long, and none sleeps.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;
use weft_tests::{Host, Switch, can_make_hosts, within};

/// Addresses that are heard behind one port.
const ADDRESSES: u64 = 1_000_000;

/// Pairs of patch ports, and how many of them one transaction adds.
const PAIRS: usize = 5_000;
const PAIRS_PER_TRANSACTION: usize = 500;

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often all is done.
const ROUNDS: usize = 2;

/// Processor time that a turn may take, and time that it may sleep, in milliseconds.
const TURN_MAX_MILLIS: f64 = 10.0;

/// All that lists or shows something.
const DUMPS: [&str; 36] = [
    "autoattach/status",
    "bfd/show",
    "bond/list",
    "bond/show",
    "bridge/dump-flows br0",
    "cfm/show",
    "coverage/show",
    "dpctl/dump-conntrack",
    "dpctl/dump-dps",
    "dpctl/dump-flows -m",
    "dpctl/show -s",
    "dpif-netdev/pmd-perf-show",
    "dpif-netdev/pmd-rxq-show",
    "dpif-netdev/pmd-stats-show",
    "dpif/dump-dps",
    "dpif/dump-flows br2",
    "dpif/show",
    "fdb/show br2",
    "fdb/stats-show br2",
    "lacp/show",
    "mdb/show br2",
    "memory/show",
    "ofproto/list",
    "ofproto/list-tunnels",
    "ovs/route/show",
    "qos/show br2",
    "rstp/show",
    "stp/show",
    "tnl/arp/show",
    "tnl/ports/show -v",
    "upcall/show",
    "weft/doctor",
    "weft/drops",
    "weft/fdb br2",
    "weft/metrics",
    "weft/show",
];

/// Sends from ever new addresses out of eth0, to one that was heard there as well: nothing is flooded.
const CROWD: &str = r#"
import socket, struct
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
one.bind(("eth0", 0))
here = bytes([2, 0, 0, 0, 0, 1])
one.send(b"\xff" * 6 + here + b"\x88\xb5" + bytes(46))
rest = b"\x88\xb5" + bytes(46)
for number in range(FIRST, LAST):
    one.send(here + b"\x06\x00" + struct.pack("!I", number) + rest)
"#;

/// Has all addresses heard, in parts: a busy machine needs a while for each.
fn send_crowd(crowd: &Host) {
    const PART: u64 = 50_000;
    for part in 0..ADDRESSES / PART {
        let (first, last) = ((part * PART).to_string(), ((part + 1) * PART).to_string());
        let program = CROWD.replace("FIRST", &first).replace("LAST", &last);
        crowd.sh(&format!("python3 - <<'END'\n{program}\nEND"));
    }
}

/// The operations that add pairs of patch ports, one of each pair to br0, the other to br1.
fn operations(pairs: std::ops::Range<usize>) -> Value {
    let mut operations = vec![Value::from("Open_vSwitch")];
    let mut rows = [Vec::new(), Vec::new()];
    for n in pairs {
        let names = [format!("p{n}"), format!("q{n}")];
        for (bridge, name) in names.iter().enumerate() {
            let options = json!(["map", [["peer", names[1 - bridge]]]]);
            operations.push(json!({
                "op": "insert", "table": "Interface", "uuid-name": format!("i{name}"),
                "row": {"name": name, "type": "patch", "options": options}
            }));
            operations.push(json!({
                "op": "insert", "table": "Port", "uuid-name": format!("r{name}"),
                "row": {"name": name, "interfaces": ["named-uuid", format!("i{name}")]}
            }));
            rows[bridge].push(json!(["named-uuid", format!("r{name}")]));
        }
    }
    for (bridge, rows) in ["br0", "br1"].iter().zip(rows) {
        operations.push(json!({
            "op": "mutate", "table": "Bridge", "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ["set", rows]]]
        }));
    }
    operations.into()
}

/// Adds them as a client that speaks to the database itself: ovs-vsctl would read all that is there each time.
fn add_ports(switch: &Switch<'_>) {
    for first in (0..PAIRS).step_by(PAIRS_PER_TRANSACTION) {
        transact(switch, &operations(first..first + PAIRS_PER_TRANSACTION));
    }
    // It waits until all is in force.
    switch.vsctl("-vconsole:off --timeout=100 set open . external_ids:all=there");
}

fn transact(switch: &Switch<'_>, operations: &Value) {
    let path = switch.rundir().join("transaction");
    let (db, file) = (switch.rundir().join("db.sock"), path.display());
    fs::write(&path, operations.to_string()).unwrap();
    // One word of a command line is at most 128 KiB long.
    switch.host().sh(&format!("python3 - {} {file} <<'END'\n{TRANSACT}\nEND", db.display()));
}

/// Sends the transaction in a file, and waits for the answer.
const TRANSACT: &str = r#"
import json, socket, sys
db = socket.socket(socket.AF_UNIX)
db.connect(sys.argv[1])
operations = json.load(open(sys.argv[2]))
db.sendall(json.dumps({"id": 0, "method": "transact", "params": operations}).encode())
answer, all, read = "", json.JSONDecoder(), True
while read:
    read = db.recv(1 << 20).decode()
    answer += read
    try:
        answer, read = all.raw_decode(answer)[0], None
    except ValueError:
        pass
assert answer["error"] is None and not any("error" in it for it in answer["result"] if it), answer
"#;

/// How many addresses br2 has.
fn addresses(switch: &Switch<'_>) -> u64 {
    let text = switch.appctl("fdb/stats-show br2");
    let line = text.lines().find(|line| line.contains("Current/maximum")).unwrap();
    let (_, numbers) = line.rsplit_once(": ").unwrap();
    numbers.split_once('/').unwrap().0.trim().parse().unwrap()
}

/// What the longest turn of each kind took in processor time, and how long one slept, in milliseconds.
type Longest = BTreeMap<String, [f64; 2]>;

fn longest(turns: &str) -> Longest {
    let turns = turns.lines().skip(1).map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[0].to_owned(), [words[2], words[4]].map(|millis| millis.parse().unwrap()))
    });
    turns.collect()
}

/// The turns that each of some rounds of the same work has.  What the machine adds to a turn (cold caches,
/// interrupts, others that have a lock of the kernel's) differs from round to round; what the loop itself does in
/// a turn is in each.
fn in_each_round(switch: &Switch<'_>, mut work: impl FnMut(usize)) -> Longest {
    let mut all_rounds = Longest::new();
    for round in 0..ROUNDS {
        switch.appctl("weft/turns clear");
        work(round);
        for (kind, turn) in longest(&switch.appctl("weft/turns")) {
            let least = all_rounds.entry(kind).or_insert(turn);
            *least = [0, 1].map(|figure| turn[figure].min(least[figure]));
        }
    }
    all_rounds
}

fn none_is_long(all_rounds: &Longest) {
    let is_short = |turn: &[f64; 2]| turn.iter().all(|millis| *millis <= TURN_MAX_MILLIS);
    assert!(all_rounds.values().all(is_short), "{all_rounds:?}");
}

/// Runs a dump as ovs-appctl does, which needs a while to print a million lines; how long the answer is.
fn bytes(socket: &Path, dump: &str) -> usize {
    let (method, params) = dump.split_once(' ').unwrap_or((dump, ""));
    let params: Vec<_> = params.split_whitespace().collect();
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = json!({"id": 0, "method": method, "params": params}).to_string();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut answer).unwrap();
    assert!(answer.starts_with(b"{\"id\":0,\"result\":"), "{dump}: {}", answer.escape_ascii());
    answer.len()
}

/// Runs all dumps at once; how long the answers are.
fn dump_all(switch: &Switch<'_>) -> BTreeMap<&'static str, usize> {
    let socket = switch.rundir().join(format!("ovs-vswitchd.{}.ctl", switch.pid()));
    let socket = socket.as_path();
    thread::scope(|scope| {
        let dumps = DUMPS.map(|dump| (dump, scope.spawn(move || bytes(socket, dump))));
        dumps.into_iter().map(|(dump, bytes)| (dump, bytes.join().unwrap())).collect()
    })
}

/// While all that can be listed is being listed, whatever else there is waits for 10 ms at most.
#[test]
fn no_turn_of_the_loop_is_long_while_all_is_dumped() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl(
        "add-br br0 -- add-br br1 -- add-br br2 -- set bridge br2 mcast_snooping_enable=true \
         other_config:mac-table-size=1000000 other_config:mac-aging-time=3600",
    );
    let crowd = switch.plug("br2", "veth1", "");
    thread::scope(|scope| {
        scope.spawn(|| add_ports(&switch));
        send_crowd(&crowd);
    });
    // What a worker on a busy machine had no room for is sent again.
    while addresses(&switch) < ADDRESSES * 99 / 100 {
        send_crowd(&crowd);
    }

    let addresses = usize::try_from(addresses(&switch)).unwrap();
    none_is_long(&in_each_round(&switch, |_| {
        let bytes = dump_all(&switch);
        let is_whole = |dump, lines: usize| bytes[dump] > 25 * lines;
        assert!(is_whole("fdb/show br2", addresses) && is_whole("weft/fdb br2", addresses));
        assert!(is_whole("dpif/show", 2 * PAIRS) && is_whole("weft/metrics", 2 * PAIRS));
    }));
}

/// The kernel makes whoever opens or closes a NIC wait: threads do that.
#[test]
fn no_turn_waits_for_nics_that_come_and_go() {
    const NICS: usize = 40;
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let mut devices = String::new();
    for nic in 0..NICS {
        writeln!(devices, "link add n{nic} type veth peer name m{nic}").unwrap();
        writeln!(devices, "link set n{nic} up\nlink set m{nic} up").unwrap();
    }
    host.sh(&format!("ip -batch - <<'END'\n{devices}END"));
    let each = |verb: &str| {
        let all: Vec<_> = (0..NICS).map(|nic| format!("-- {verb} br0 n{nic}")).collect();
        switch.vsctl(&all.join(" "));
    };
    none_is_long(&in_each_round(&switch, |_| {
        each("add-port");
        assert_eq!(
            switch.vsctl("--columns=name find interface error=[]").matches('n').count(),
            2 * NICS + 1
        );
        each("del-port");
    }));
    // A port that goes before its opening is over, time and again, leaves nothing behind.
    for _ in 0..5 {
        for verb in ["add-port", "del-port"] {
            switch.vsctl(&format!("--no-wait {verb} br0 n0 -- {verb} br0 n1"));
        }
    }
    switch.vsctl("add-port br0 n2");
    let shown = switch.weft_json("show");
    let ports = shown["bridges"][0]["ports"].as_array().unwrap();
    let names: Vec<_> = ports.iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["br0", "n2"]);
    assert_eq!(host.sh("ip -o link show | grep -c prog/xdp").trim(), "1");
    assert_eq!(switch.vsctl("get interface n2 error"), "[]");
}

/// A worker that hangs just when it gets a snapshot, or is to give a queue back, keeps the loop from nothing.
#[test]
fn no_turn_waits_for_a_worker_that_hangs() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start_with(&host, "--test-faults");
    switch.vsctl("set open . other_config:pmd-cpu-mask=3 -- add-br br0");
    let _guest = switch.plug("br0", "veth1", "");
    none_is_long(&in_each_round(&switch, |round| {
        let is_replaced = || switch.log().matches("a new one takes its place").count() > round;
        switch.appctl("weft/fail-worker 1 block 3");
        // It ends when the snapshot with the port is in force at the workers that work.
        switch.vsctl(&format!("add-br other{round} -- del-port veth1"));
        assert!(is_replaced(), "{}", switch.log());
        // Its sockets may be with the worker that hangs, until that goes on.
        switch.vsctl("--no-wait add-port br0 veth1");
        let is_free = || switch.log().matches("a worker that hung has ended").count() > round;
        assert!(within(PATIENCE, is_free), "{}", switch.log());
    }));
    assert!(within(PATIENCE, || switch.vsctl("get interface veth1 error") == "[]"));
}
