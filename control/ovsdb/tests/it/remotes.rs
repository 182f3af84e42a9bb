//! Remotes beyond plain sockets: managers that the database names, TLS, connecting out, signs of life.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use weft_ovsdb::client::ops;
use weft_ovsdb::{Client, ClientError, Datum, TlsFiles};

use crate::client::block_on;
use crate::harness::{Raw, Stock, Weft, installed, run, try_run, wait_for};

/// A server and `ovs-vsctl` on it.
struct Managed {
    server: Weft,
    db: String,
}

impl Managed {
    fn start() -> Option<Self> {
        if !installed("ovs-vsctl") || !installed("ovsdb-client") {
            return None;
        }
        let server = Weft::start();
        let db = format!("--db={}", server.target());
        let managed = Self { server, db };
        managed.vsctl(&["init"]);
        Some(managed)
    }

    fn vsctl(&self, arguments: &[&str]) -> String {
        let all = [&[self.db.as_str(), "--no-wait", "--timeout=10"], arguments].concat();
        run("ovs-vsctl", &all).trim_end().to_owned()
    }

    /// `is_connected` and `status` of the only manager.
    fn manager(&self) -> String {
        self.vsctl(&["--bare", "--columns=is_connected,status", "list", "manager"])
    }
}

/// A port that nobody has: asked for as one of UDP, as a program that another test is just starting
/// may hold a copy of the socket for a moment.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Keys and certificates of stock `ovs-pki`: one of each type, under CAs of their own.
struct Pki(TempDir);

impl Pki {
    fn make() -> Self {
        let pki = Self(TempDir::new().unwrap());
        pki.pki(&["init"]);
        let made = second();
        pki.pki(&["req+sign", "server", "switch"]);
        pki.pki(&["req+sign", "client", "controller"]);
        // A CA is named after the second in which it was made.  Two of one name are not foreign to each
        // other: what one signed is then a bad signature of the other.
        wait_for("the next second", || second() != made);
        pki
    }

    fn pki(&self, command: &[&str]) {
        let output = Command::new("ovs-pki")
            .args([format!("--dir={}/pki", self.file("")), format!("--log={}/log", self.file(""))])
            .args(command)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn set_ssl(&self) -> [String; 4] {
        [
            "set-ssl".to_owned(),
            self.file("server-privkey.pem"),
            self.file("server-cert.pem"),
            self.file("pki/controllerca/cacert.pem"),
        ]
    }

    /// Options of `ovsdb-client` to be a client of the server.
    fn client(&self) -> [String; 3] {
        [
            format!("--private-key={}", self.file("client-privkey.pem")),
            format!("--certificate={}", self.file("client-cert.pem")),
            format!("--ca-cert={}", self.file("pki/switchca/cacert.pem")),
        ]
    }
}

fn second() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// What a client of the server shows and believes.
fn tls_files(me: &Pki, them: &Pki) -> TlsFiles {
    TlsFiles {
        private_key: me.file("client-privkey.pem").into(),
        certificate: me.file("client-cert.pem").into(),
        ca_cert: them.file("pki/switchca/cacert.pem").into(),
        ..TlsFiles::default()
    }
}

/// More than fits into one TLS record, in both directions, and news.
async fn talk(target: &str, files: TlsFiles) -> Result<(), ClientError> {
    let row = |n: usize| {
        let note = format!("{n} {}", "x".repeat(200));
        ops::insert("Queue", None, &[("external_ids", Datum::map_of_strings([("note", note)]))])
    };
    let mut client = Client::connect_with(target, Some(files.clone())).await?;
    let mut other = Client::connect_with(target, Some(files)).await?;
    client.transact_on("Open_vSwitch", (0..500).map(row).collect()).await?;
    other.monitor_all("Open_vSwitch", &[("Queue", &[])]).await?;
    let count =
        |other: &Client| other.replica().table("Queue").map_or(0, |table| table.rows().len());
    let before = count(&other);
    assert!(before >= 500, "{before}");
    client.transact_on("Open_vSwitch", vec![row(500)]).await?;
    while count(&other) == before {
        other.next_change().await?;
    }
    other.reconnect().await?;
    assert_eq!(count(&other), before + 1);
    Ok(())
}

/// Who gets in at a server of `pki`, and who does not.
fn try_tls(pki: &Pki, stranger: &Pki, port: u16, kept: &str) {
    let target = format!("ssl:127.0.0.1:{port}");
    wait_for("the server", || block_on(talk(&target, tls_files(pki, pki))).is_ok());
    let refused = |files| block_on(talk(&target, files)).unwrap_err().to_string();
    let foreign = refused(tls_files(stranger, pki));
    assert!(!foreign.contains("UnknownIssuer"), "it is the server that refuses: {foreign}");
    let misled = refused(tls_files(pki, stranger));
    assert!(misled.contains("UnknownIssuer"), "{misled}");
    let missing = TlsFiles { private_key: "/nonexistent".into(), ..tls_files(pki, pki) };
    assert!(refused(missing).contains("/nonexistent"));
    // A CA to keep from the first meeting, and to believe from then on.
    let kept = TlsFiles { ca_cert: pki.file(kept).into(), bootstrap: true, ..tls_files(pki, pki) };
    block_on(talk(&target, kept.clone())).unwrap();
    let is_kept = std::fs::read_to_string(&kept.ca_cert).unwrap();
    assert!(is_kept.starts_with("-----BEGIN CERTIFICATE-----"), "{is_kept}");
    block_on(talk(&target, TlsFiles { bootstrap: false, ..kept })).unwrap();
}

fn list_dbs(options: &[String], target: &str) -> (bool, String, String) {
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    arguments.extend(["--timeout=5", "list-dbs", target]);
    try_run("ovsdb-client", &arguments)
}

const DBS: &str = "Open_vSwitch\n_Server\n";

#[test]
fn pssl_with_certificates_of_ovs_pki() {
    let Some(managed) = Managed::start() else { return };
    let (pki, stranger) = (Pki::make(), Pki::make());
    let port = free_port();
    let target = format!("ssl:127.0.0.1:{port}");
    managed.vsctl(&["set-manager", &format!("pssl:{port}:127.0.0.1")]);
    // Remotes follow the database a little later: the client may be too early to be listened to.
    wait_for("the reason", || {
        assert!(!list_dbs(&pki.client(), &target).0, "no certificates are configured yet");
        managed.server.log().contains("TLS is not configured")
    });
    managed.vsctl(&pki.set_ssl().each_ref().map(String::as_str));
    wait_for("the certificates", || list_dbs(&pki.client(), &target).1 == DBS);
    // A certificate of another CA is refused, and the log says why.
    let mut foreign = stranger.client();
    foreign[2] = pki.client()[2].clone();
    assert!(!list_dbs(&foreign, &target).0);
    wait_for("the reason", || managed.server.log().contains("UnknownIssuer"));
    // The client checks us as well.
    let mut misled = pki.client();
    misled[2] = stranger.client()[2].clone();
    assert!(!list_dbs(&misled, &target).0);
    // No certificate, no TLS at all, nothing at all.
    let plain = format!("tcp:127.0.0.1:{port}");
    assert!(!list_dbs(&[], &plain).0);
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(list_dbs(&pki.client(), &target).1, DBS);
    drop(silent);
    // Files that change are read again.
    std::fs::copy(
        stranger.file("pki/controllerca/cacert.pem"),
        pki.file("pki/controllerca/cacert.pem"),
    )
    .unwrap();
    assert!(!list_dbs(&pki.client(), &target).0);
    assert_eq!(list_dbs(&foreign, &target).1, DBS);
}

/// `ovsdb-client` waiting for a server to connect to it.
fn waiting_client(options: &[String], target: &str) -> Child {
    Command::new("ovsdb-client")
        .args(options)
        .args(["--timeout=20", "list-dbs", target])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn output(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn managers_are_connected_to() {
    let Some(managed) = Managed::start() else { return };
    let port = free_port();
    managed.vsctl(&["set-manager", &format!("tcp:127.0.0.1:{port}")]);
    wait_for("the failure in its status", || {
        let status = managed.manager();
        status.contains("state=BACKOFF") && status.contains("last_error=Connection refused state")
    });
    assert!(managed.manager().starts_with("false"));
    // It is tried again until somebody is there.
    assert_eq!(output(waiting_client(&[], &format!("ptcp:{port}:127.0.0.1"))), DBS);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    wait_for("its status", || {
        let status = managed.manager();
        status.starts_with("true") && status.contains("state=ACTIVE")
    });
    // A manager that is taken away is hung up on.
    managed.vsctl(&["del-manager"]);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok());

    let path = managed.server.dir.path().join("manager.sock").display().to_string();
    let client = waiting_client(&[], &format!("punix:{path}"));
    managed.vsctl(&["set-manager", &format!("unix:{path}")]);
    assert_eq!(output(client), DBS);
}

/// A manager that shows its CA, as `ovsdb-client` cannot: asks for the databases, returns the answer.
fn openssl_server(pki: &Pki, port: u16) -> String {
    let mut child = Command::new("openssl")
        .args(["s_server", "-quiet", "-naccept", "1", "-Verify", "2", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .args(["-key", &pki.file("client-privkey.pem"), "-cert", &pki.file("client-cert.pem")])
        .args(["-CAfile", &pki.file("pki/switchca/cacert.pem")])
        .args(["-cert_chain", &pki.file("pki/controllerca/cacert.pem")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, r#"{{"id":1,"method":"list_dbs","params":[]}}"#).unwrap();
    let mut answer = String::new();
    let mut output = child.stdout.take().unwrap();
    let mut buffer = [0; 1000];
    while !answer.contains("result") {
        let length = output.read(&mut buffer).unwrap();
        assert!(length > 0, "the peer ended: {answer}");
        answer += std::str::from_utf8(&buffer[..length]).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    answer
}

#[test]
fn tls_outward_and_a_ca_that_the_first_peer_shows() {
    let Some(managed) = Managed::start() else { return };
    let pki = Pki::make();
    let mut ssl = pki.set_ssl();
    let ca = pki.file("learned.pem");
    ssl[3].clone_from(&ca);
    let ssl = ssl.each_ref().map(String::as_str);
    managed.vsctl(&[&["--", "--bootstrap"][..], &ssl[..]].concat());
    let port = free_port();
    managed.vsctl(&["set-manager", &format!("ssl:127.0.0.1:{port}")]);
    let peer = format!("pssl:{port}:127.0.0.1");
    let answer = openssl_server(&pki, port);
    assert!(answer.contains(r#""result":["Open_vSwitch","_Server"]"#), "{answer}");
    assert!(managed.server.log().contains("bootstrapped the CA certificate"));
    // From now on that CA is the one.
    assert!(std::path::Path::new(&ca).exists());
    assert_eq!(output(waiting_client(&pki.client(), &peer)), DBS);
    let stranger = Pki::make();
    let mut foreign = stranger.client();
    foreign[2] = pki.client()[2].clone();
    let client = waiting_client(&foreign, &peer);
    wait_for("the refusal", || managed.server.log().contains("UnknownIssuer"));
    managed.vsctl(&["del-manager"]);
    drop(client.wait_with_output());
}

#[test]
fn the_client_speaks_tls_with_both_servers() {
    let Some(managed) = Managed::start() else { return };
    let (pki, stranger) = (Pki::make(), Pki::make());
    let read = |name: &str| std::fs::read_to_string(pki.file(name)).unwrap();
    let chain = read("server-cert.pem") + &read("pki/switchca/cacert.pem");
    std::fs::write(pki.file("chain.pem"), chain).unwrap();
    let port = free_port();
    let mut ssl = pki.set_ssl();
    ssl[2] = pki.file("chain.pem");
    managed.vsctl(&ssl.each_ref().map(String::as_str));
    managed.vsctl(&["set-manager", &format!("pssl:{port}:127.0.0.1")]);
    try_tls(&pki, &stranger, port, "of-weft.pem");
    let port = free_port();
    let options = [
        format!("--remote=pssl:{port}:127.0.0.1"),
        format!("--private-key={}", pki.file("server-privkey.pem")),
        format!("--certificate={}", pki.file("server-cert.pem")),
        format!("--ca-cert={}", pki.file("pki/controllerca/cacert.pem")),
        format!("--peer-ca-cert={}", pki.file("pki/switchca/cacert.pem")),
    ];
    let Some(_stock) = Stock::start_with(&options) else { return };
    try_tls(&pki, &stranger, port, "of-stock.pem");
}

#[test]
fn peers_without_a_sign_of_life_are_left() {
    let Some(managed) = Managed::start() else { return };
    let port = free_port();
    let target = format!("ptcp:{port}:127.0.0.1");
    managed.vsctl(&["set-manager", &target, "--", "set", "manager", ".", "inactivity_probe=2000"]);
    let connect = || {
        let mut stream = None;
        wait_for("the manager", || {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            stream.is_some()
        });
        Raw::over(stream.unwrap())
    };
    let (mut dead, mut alive) = (connect(), connect());
    let echo = json!({"id": "echo", "method": "echo", "params": []});
    // A peer that answers stays.
    for _ in 0..2 {
        assert_eq!(alive.receive().unwrap(), echo);
        alive.send(json!({"id": "echo", "result": [], "error": null}).to_string().as_bytes());
    }
    // The one that does not is asked once and then left.
    assert_eq!(dead.receive().unwrap(), echo);
    assert_eq!(dead.receive(), None);
    assert!(managed.server.log().contains("no response to inactivity probe after 2 seconds"));
    managed.vsctl(&["set", "manager", ".", "inactivity_probe=0"]);
    // ovs-vsctl is gone before its session is.
    wait_for("one session, of the peer that answered", || managed.server.memory().sessions == 1);
}

#[test]
fn remotes_are_read_and_written() {
    use weft_ovsdb::net::remote::Remote;
    for text in [
        "punix:/a/b",
        "unix:/a",
        "ptcp:6640:127.0.0.1",
        "pssl:1:[::1]",
        "tcp:host:5",
        "ssl:1.2.3.4:6640",
        "db:a,b,c",
    ] {
        assert_eq!(Remote::parse(text).unwrap().to_string(), text);
    }
    for (short, long) in [
        ("ptcp:", "ptcp:6640:0.0.0.0"),
        ("pssl:7", "pssl:7:0.0.0.0"),
        ("tcp:h", "tcp:h:6640"),
        ("ssl:[::1]", "ssl:[::1]:6640"),
    ] {
        assert_eq!(Remote::parse(short).unwrap().to_string(), long);
    }
    for bad in [
        "",
        "foo",
        "punix:",
        "ptcp:x",
        "ptcp:1:x",
        "tcp:",
        "tcp:[x]:1",
        "tcp:h:99999",
        "db:a,b",
        "db:a,b,c,d",
        "fd:3",
    ] {
        assert!(Remote::parse(bad).is_err(), "{bad}");
    }
}
