//! The unmodified clients, against our server.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Weft, installed, run, try_run, wait_for};

struct Vsctl {
    server: Weft,
    db: String,
}

impl Vsctl {
    fn start() -> Option<Self> {
        if !installed("ovs-vsctl") || !installed("ovsdb-client") {
            return None;
        }
        let server = Weft::start();
        let db = format!("--db={}", server.target());
        let vsctl = Self { server, db };
        vsctl.run(&["init"]);
        Some(vsctl)
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&[self.db.as_str(), "--no-wait", "--timeout=10"], arguments].concat()
    }

    fn run(&self, arguments: &[&str]) -> String {
        run("ovs-vsctl", &self.arguments(arguments)).trim_end().to_owned()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let (ok, _, error) = try_run("ovs-vsctl", &self.arguments(arguments));
        assert!(!ok, "{arguments:?} was accepted");
        error
    }
}

#[test]
fn bridges_and_ports() {
    let Some(vs) = Vsctl::start() else { return };
    vs.run(&["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]);
    vs.run(&["add-port", "br0", "p0", "tag=5", "--", "set", "interface", "p0", "type=internal"]);
    vs.run(&[
        "add-port",
        "br0",
        "g",
        "--",
        "set",
        "interface",
        "g",
        "type=gre",
        "options:remote_ip=10.0.0.9",
    ]);
    vs.run(&["--may-exist", "add-br", "br0"]);
    vs.run(&["add-br", "fake1", "br0", "77"]);
    assert_eq!(vs.run(&["list-br"]), "br0\nfake1");
    assert_eq!(vs.run(&["list-ports", "br0"]), "g\np0");
    assert_eq!(vs.run(&["br-to-vlan", "fake1"]), "77");
    assert_eq!(vs.run(&["iface-to-br", "g"]), "br0");
    assert_eq!(vs.run(&["get", "interface", "g", "options:remote_ip"]), "\"10.0.0.9\"");
    let show = vs.run(&["show"]);
    for line in [
        "    Bridge br0",
        "        datapath_type: netdev",
        "        Port p0",
        "            tag: 5",
        "                type: gre",
        "                options: {remote_ip=\"10.0.0.9\"}",
    ] {
        assert!(show.lines().any(|shown| shown == line), "{line:?} not in\n{show}");
    }
    assert_eq!(vs.run(&["--bare", "--columns=name", "find", "port", "tag=5"]), "p0");
    assert_eq!(
        vs.run(&["--bare", "--columns=name", "find", "interface", "options:remote_ip=10.0.0.9"]),
        "g"
    );
    assert!(vs.run(&["list", "port", "p0"]).contains("trunks              : []"));
    vs.run(&["set", "port", "p0", "trunks=3,1,2", "vlan_mode=trunk"]);
    assert_eq!(vs.run(&["get", "port", "p0", "trunks"]), "[1, 2, 3]");
    vs.run(&["remove", "port", "p0", "trunks", "2", "--", "add", "port", "p0", "trunks", "9"]);
    assert_eq!(vs.run(&["get", "port", "p0", "trunks"]), "[1, 3, 9]");
    assert_eq!(
        vs.refused(&["set", "port", "p0", "tag=5000"]).trim(),
        "ovs-vsctl: constraint violation: 5000 is not in the valid range 0 to 4095 (inclusive)"
    );
    assert!(vs.refused(&["add-br", "br0"]).contains("already exists"));
    vs.run(&["del-port", "g"]);
    vs.run(&["del-br", "br0"]);
    assert_eq!(vs.run(&["show"]).lines().count(), 1);
    assert_eq!(vs.run(&["list", "interface"]), "", "interfaces were collected");
}

#[test]
fn references_by_name_and_qos() {
    let Some(vs) = Vsctl::start() else { return };
    vs.run(&["add-br", "br0", "--", "add-port", "br0", "p"]);
    vs.run(&[
        "set",
        "port",
        "p",
        "qos=@q",
        "--",
        "--id=@q",
        "create",
        "qos",
        "type=linux-htb",
        "other_config:max-rate=1000",
        "queues:0=@q0",
        "--",
        "--id=@q0",
        "create",
        "queue",
        "other_config:min-rate=1",
    ]);
    assert_eq!(vs.run(&["--bare", "--columns=type", "list", "qos"]), "linux-htb");
    vs.run(&[
        "--",
        "--id=@p",
        "get",
        "port",
        "p",
        "--",
        "--id=@m",
        "create",
        "mirror",
        "name=m",
        "select-src-port=@p",
        "--",
        "set",
        "bridge",
        "br0",
        "mirrors=@m",
    ]);
    assert_ne!(vs.run(&["get", "mirror", "m", "select_src_port"]), "[]");
    vs.run(&["del-port", "p"]);
    assert_eq!(
        vs.run(&["get", "mirror", "m", "select_src_port"]),
        "[]",
        "a weak reference is dropped"
    );
    vs.run(&["--", "destroy", "qos", &vs.run(&["--bare", "--columns=_uuid", "list", "qos"])]);
    assert_eq!(vs.run(&["list", "qos"]), "");
}

#[test]
fn emer_reset_and_others() {
    let Some(vs) = Vsctl::start() else { return };
    vs.run(&["add-br", "br0", "--", "set-controller", "br0", "tcp:127.0.0.1:6653"]);
    vs.run(&["set-fail-mode", "br0", "secure", "--", "br-set-external-id", "br0", "k", "v"]);
    assert_eq!(vs.run(&["get-controller", "br0"]), "tcp:127.0.0.1:6653");
    assert_eq!(vs.run(&["get-fail-mode", "br0"]), "secure");
    assert_eq!(vs.run(&["br-get-external-id", "br0", "k"]), "v");
    vs.run(&["set-ssl", "/a", "/b", "/c"]);
    assert!(vs.run(&["get-ssl"]).contains("Private key: /a"));
    vs.run(&["emer-reset"]);
    assert_eq!(vs.run(&["get-controller", "br0"]), "");
    assert_eq!(vs.run(&["list-br"]), "br0");
}

#[test]
fn wait_until_sees_a_later_change() {
    let Some(vs) = Vsctl::start() else { return };
    let waiter = {
        let db = vs.db.clone();
        std::thread::spawn(move || {
            run(
                "ovs-vsctl",
                &[&db, "--timeout=10", "wait-until", "bridge", "br0", "stp_enable=true"],
            )
        })
    };
    wait_for("the waiting client", || vs.server.memory().monitors >= 2);
    vs.run(&["add-br", "br0"]);
    vs.run(&["set", "bridge", "br0", "stp_enable=true"]);
    waiter.join().unwrap();
}

/// Without --no-wait the client asks for `next_cfg`, then waits until `cur_cfg` has come that far.
#[test]
fn waits_for_cur_cfg() {
    let Some(vs) = Vsctl::start() else { return };
    let client = {
        let db = vs.db.clone();
        std::thread::spawn(move || run("ovs-vsctl", &[&db, "--timeout=10", "add-br", "br0"]))
    };
    wait_for("next_cfg", || vs.run(&["get", "open", ".", "next_cfg"]) == "1");
    std::thread::sleep(Duration::from_millis(50));
    assert!(!client.is_finished());
    vs.run(&["set", "open", ".", "cur_cfg=1"]);
    client.join().unwrap();
}

#[test]
fn managers_listen_as_told() {
    let Some(vs) = Vsctl::start() else { return };
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = format!("ptcp:{port}:127.0.0.1");
    vs.run(&["set-manager", &target, "ssl:127.0.0.1:1", "nonsense:1"]);
    assert!(vs.run(&["get-manager"]).contains(&target));
    let tcp = format!("tcp:127.0.0.1:{port}");
    let connected = || try_run("ovsdb-client", &["list-dbs", &tcp]);
    wait_for("the manager's socket", || connected().0);
    assert_eq!(connected().1, "Open_vSwitch\n_Server\n");
    let status = |target: &str| {
        let target = format!("target=\"{target}\"");
        vs.run(&["--bare", "--columns=status", "find", "manager", &target])
    };
    let connected_status = format!("bound_port={port} sec_since_connect=");
    wait_for("its status", || status(&target).starts_with(&connected_status));
    wait_for("the other's status", || status("ssl:127.0.0.1:1").contains("TLS is not configured"));
    wait_for("the bad one's status", || status("nonsense:1").contains("not a valid remote"));
    vs.run(&["del-manager"]);
    wait_for("the socket to go", || !connected().0);
}

#[test]
fn ovsdb_client() {
    let Some(vs) = Vsctl::start() else { return };
    let target = vs.server.target();
    vs.run(&["add-br", "br0"]);
    assert_eq!(run("ovsdb-client", &["list-dbs", &target]), "Open_vSwitch\n_Server\n");
    assert_eq!(run("ovsdb-client", &["get-schema-version", &target]), "8.3.1\n");
    assert_eq!(run("ovsdb-client", &["get-schema-cksum", &target]), "3012963480 26720\n");
    assert_eq!(run("ovsdb-client", &["list-tables", &target]).lines().count(), 21);
    assert_eq!(
        run("ovsdb-client", &["list-columns", &target])
            .lines()
            .filter(|l| l.contains('{') || l.contains('"'))
            .count(),
        184 + 2 * 19
    );
    assert!(
        run("ovsdb-client", &["dump", &target, "Open_vSwitch", "Bridge", "name"]).contains("br0")
    );
    assert!(run("ovsdb-client", &["--format=list", "dump", &target]).contains("br0"));
    run("ovsdb-client", &["--timeout=5", "wait", &target, "Open_vSwitch", "connected"]);
    let select =
        r#"["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name"]}]"#;
    assert_eq!(
        run("ovsdb-client", &["transact", &target, select]),
        "[{\"rows\":[{\"name\":\"br0\"}]}]\n"
    );
    assert_eq!(
        run("ovsdb-client", &["query", &target, select]),
        "[{\"rows\":[{\"name\":\"br0\"}]}]\n"
    );
    let backup = run("ovsdb-client", &["backup", &target]);
    assert!(backup.starts_with("OVSDB JSON "));
    let (_, out, _) = try_run("timeout", &["1", "ovsdb-client", "lock", &target, "l"]);
    assert_eq!(out.trim(), "{\"locked\":true}");
}

#[test]
fn ovsdb_client_monitors() {
    let Some(vs) = Vsctl::start() else { return };
    let target = vs.server.target();
    for (method, words) in [
        (
            ["monitor", "Open_vSwitch", "Port", "name,tag"],
            ["initial", "insert", "old", "new", "delete"],
        ),
        (
            ["monitor-cond", "Open_vSwitch", "[true]", "Port"],
            ["", "insert", "modify", "", "delete"],
        ),
    ] {
        vs.run(&["add-br", "br0"]);
        let out = vs.server.dir.path().join("monitor.out");
        let file = std::fs::File::create(&out).unwrap();
        let mut arguments = vec![method[0], target.as_str()];
        arguments.extend(&method[1..]);
        let mut child = std::process::Command::new("ovsdb-client")
            .args(arguments)
            .stdout(file)
            .spawn()
            .unwrap();
        let heard = |what: &str| std::fs::read_to_string(&out).unwrap().contains(what);
        wait_for("the initial rows", || heard("br0"));
        vs.run(&["add-port", "br0", "p0"]);
        vs.run(&["set", "port", "p0", "tag=5"]);
        vs.run(&["del-br", "br0"]);
        wait_for("the last update", || heard("delete"));
        child.kill().unwrap();
        child.wait().unwrap();
        let text = std::fs::read_to_string(Path::new(&out)).unwrap();
        for word in words {
            assert!(text.contains(word), "{word} not in\n{text}");
        }
    }
}
