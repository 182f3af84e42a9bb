//! The stock database clients: what they print, and what they leave in the file.

use serde_json::Value;
use weft_tests::{Host, Outcome, OvsdbServer, Stock, Switch, can_make_hosts};

/// A day of ovs-vsctl: each line is run against weftd and against stock Open vSwitch.
const LINES: &[&str] = &[
    "add-br br0 -- set bridge br0 datapath_type=netdev",
    "list-br",
    "br-exists br0",
    "br-exists nope",
    "add-br br0",
    "--may-exist add-br br0",
    "add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip=192.0.2.9",
    "add-port br0 int0 -- set interface int0 type=internal external_ids:iface-id=vm1",
    "add-port br0 gre1 -- set interface gre2 type=gre options:remote_ip=192.0.2.10",
    "--may-exist add-port br0 gre1",
    "add-port br0 gre2 -- set interface gre2 type=gre options:remote_ip=192.0.2.9",
    "--columns=name,error,ofport list interface gre2",
    "add-port br0 gbad -- set interface gbad type=gre",
    "--columns=name,error,ofport list interface gbad",
    "add-port br0 nosuchdev",
    "--columns=name,error,ofport list interface nosuchdev",
    "add-port br0 odd -- set interface odd type=carrier-pigeon",
    "get interface odd error",
    "del-port br0 odd",
    "list-ports br0",
    "list-ifaces br0",
    "port-to-br gre1",
    "iface-to-br gre1",
    "iface-to-br nope",
    "br-to-vlan br0",
    "br-to-parent br0",
    "--bare --columns=name find interface external_ids:iface-id=vm1",
    "get interface int0 ofport",
    "get interface int0 external_ids:iface-id",
    "get interface int0 nonsense",
    "get interface nope ofport",
    "set port int0 tag=31 vlan_mode=native-untagged trunks=31,32",
    "--columns=name,tag,trunks,vlan_mode list port int0",
    "set port int0 tag=5000",
    "set port int0 tag=x",
    "set port int0 vlan_mode=nonsense",
    "remove port int0 trunks 32",
    "get port int0 trunks",
    "add port int0 trunks 33,34",
    "get port int0 trunks",
    "clear port int0 tag trunks vlan_mode",
    "--columns=tag,trunks,vlan_mode list port int0",
    "br-set-external-id br0 key value",
    "br-get-external-id br0 key",
    "br-get-external-id br0",
    "set bridge br0 other_config:mac-aging-time=60",
    "get bridge br0 other_config",
    "set-fail-mode br0 secure",
    "get-fail-mode br0",
    "del-fail-mode br0",
    "get-fail-mode br0",
    "set bridge br0 fail_mode=nonsense",
    "set port int0 qos=@q -- --id=@q create qos type=linux-htb other-config:max-rate=1000000 \
     queues:0=@r -- --id=@r create queue other-config:min-rate=1000",
    "--columns=type,other_config list qos",
    "clear port int0 qos",
    "--all destroy qos -- --all destroy queue",
    "list qos",
    "add-br fake1 br0 77",
    "list-br",
    "br-to-vlan fake1",
    "br-to-parent fake1",
    "del-br fake1",
    "del-port nope",
    "--if-exists del-port nope",
    "del-port br0 int0",
    "del-port gre2",
    "del-port gbad",
    "del-port nosuchdev",
    "list-ports br0",
    "del-br nope",
    "--if-exists del-br nope",
    "wait-until bridge br0 external_ids:key=value",
    "--no-wait set open . external_ids:probe=1",
    "get open . external_ids:probe",
    "remove open . external_ids probe",
    "set open . nonsense=1",
    "list nonsense",
    "--columns=datapath_types list open",
    "get bridge br0 ports foo",
    "emer-reset",
    "del-br br0",
    "list-br",
];

/// What an outcome says, without where its logs are, and with all row identifiers alike.
fn said(outcome: &Outcome) -> (i32, String, String) {
    let lines = outcome.stderr.lines().filter(|line| !line.contains("default log directory"));
    let is_uuid =
        |word: &str| word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let words = outcome.stdout.trim_end().split_inclusive([' ', '\n', ',', '[', ']']);
    let stdout: String = words
        .map(|word| {
            let bare = word.trim_end_matches([' ', '\n', ',', '[', ']']);
            if is_uuid(bare) { word.replace(bare, "<uuid>") } else { word.to_owned() }
        })
        .collect();
    // A list of records comes in the order of those identifiers, which are random.
    let mut records: Vec<_> = stdout.split("\n\n").collect();
    records.sort_unstable();
    (outcome.code, records.join("\n\n"), lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn ovs_vsctl_says_what_it_says_to_a_stock_switch() {
    if !can_make_hosts() {
        return;
    }
    let (ours, theirs) = (Host::new("weft"), Host::new("stock"));
    let (weft, stock) = (Switch::start(&ours), Stock::start(&theirs));
    let mut differences = Vec::new();
    for line in LINES {
        let (got, expected) = (said(&weft.try_vsctl(line)), said(&stock.try_vsctl(line)));
        if got != expected {
            differences.push(format!("ovs-vsctl {line}\n  weft:  {got:?}\n  stock: {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What scripts and `ovs-vsctl show` find right after the first start.
#[test]
fn the_first_start_fills_what_the_init_script_would() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    assert_eq!(switch.vsctl("get open . db_version"), "\"8.3.1\"");
    for column in ["ovs_version", "system_type", "system_version", "external_ids:system-id"] {
        let value = switch.vsctl(&format!("get open . {column}"));
        assert!(!value.trim_matches(|c| "\"[]".contains(c)).is_empty(), "{column} is empty");
    }
    let name = host.sh("hostname").trim().to_owned();
    assert!(switch.vsctl("get open . external_ids:hostname").contains(&name));
    assert!(
        switch.vsctl("get open . external_ids:rundir").contains(switch.rundir().to_str().unwrap())
    );
    let types = switch.vsctl("get open . iface_types");
    for kind in ["geneve", "gre", "internal", "patch", "system", "tap", "vxlan"] {
        assert!(types.contains(kind), "{types}");
    }
    switch.vsctl("add-br br0");
    let show = switch.vsctl("show");
    let shape: Vec<_> = show.lines().skip(1).collect();
    let version = format!("    ovs_version: {}", switch.vsctl("get open . ovs_version"));
    assert_eq!(
        shape,
        [
            "    Bridge br0",
            "        Port br0",
            "            Interface br0",
            "                type: internal",
            &version
        ]
    );
}

/// The columns that the switch keeps true.
#[test]
fn interface_columns_follow_the_device() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    let get = |column: &str| switch.vsctl(&format!("get interface veth1 {column}"));
    let becomes = |column: &str, expected: &str| {
        let limit = std::time::Duration::from_secs(7);
        let held = weft_tests::within(limit, || get(column) == expected);
        assert!(held, "{column} is {} instead of {expected}", get(column));
    };
    assert_eq!(get("mac_in_use"), format!("\"{}\"", host.mac("veth1")));
    assert_eq!(get("ifindex"), host.sh("cat /sys/class/net/veth1/ifindex").trim());
    becomes("link_state", "up");
    becomes("admin_state", "up");
    becomes("mtu", "1500");
    assert_eq!(get("status:driver_name"), "veth");
    guest.sh("ip link set eth0 down");
    becomes("link_state", "down");
    guest.sh("ip link set eth0 up");
    becomes("link_state", "up");
    host.sh("ip link set veth1 mtu 1400");
    becomes("mtu", "1400");
    // LOCAL takes the smallest MTU of its bridge, unless one is asked for.
    assert_eq!(switch.vsctl("get interface br0 mtu"), "1400");
    switch.vsctl("set interface br0 mtu_request=1300");
    assert_eq!(switch.vsctl("get interface br0 mtu"), "1300");
    host.address("br0", "10.0.0.254/24");
    guest.must_reach("10.0.0.254");
    let counted = weft_tests::within(std::time::Duration::from_secs(8), || {
        get("statistics:rx_packets").parse().unwrap_or(0) > 0
            && get("statistics:tx_bytes").parse().unwrap_or(0) > 0
    });
    assert!(counted, "{}", get("statistics"));
}

#[test]
fn ovsdb_client_sees_databases_rows_and_changes() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let socket = format!("unix:{}/db.sock", switch.rundir().display());
    let client = |words: &str| host.sh(&format!("ovsdb-client {words}"));
    assert_eq!(client(&format!("list-dbs {socket}")), "Open_vSwitch\n_Server\n");
    assert_eq!(client(&format!("get-schema-version {socket} Open_vSwitch")), "8.3.1\n");
    assert_eq!(
        client(&format!("get-schema-cksum {socket} Open_vSwitch")),
        host.sh("ovsdb-tool schema-cksum /usr/share/openvswitch/vswitch.ovsschema")
    );
    switch.vsctl("add-br br0");
    let monitor = host.spawn(&format!("ovsdb-client monitor {socket} Open_vSwitch Bridge name"));
    monitor.wait_for("initial");
    switch.vsctl("add-br br1");
    monitor.wait_for("insert");
    switch.vsctl("del-br br1");
    monitor.wait_for("delete");

    let transact = |operations: &str| -> Value {
        let text = client(&format!("transact {socket} '[\"Open_vSwitch\",{operations}]'"));
        serde_json::from_str(&text).unwrap()
    };
    let rows =
        transact(r#"{"op":"select","table":"Open_vSwitch","where":[],"columns":["db_version"]}"#);
    assert_eq!(rows[0]["rows"][0]["db_version"], "8.3.1");
    let refused = transact(r#"{"op":"select","table":"Bridge","where":[]},{"op":"abort"}"#);
    assert_eq!(refused[1]["error"], "aborted");
    let refused = transact(r#"{"op":"insert","table":"Nope","row":{}}"#);
    assert!(refused[0]["details"].as_str().unwrap().contains("No table named Nope."));
    let dump = client(&format!("-f csv dump {socket} Open_vSwitch Open_vSwitch db_version"));
    assert!(dump.contains("8.3.1"), "{dump}");
}

/// `ovsdb-tool` reads the file while the switch runs, and a stock server serves it afterwards.
#[test]
fn the_file_is_a_stock_database() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    switch.vsctl(
        "add-port br0 int0 -- set interface int0 type=internal -- set port int0 trunks=1,2,3",
    );
    switch.vsctl("remove port int0 trunks 2");
    let file = switch.rundir().join("conf.db");
    let file = file.display();
    assert_eq!(host.sh(&format!("ovsdb-tool db-version {file}")), "8.3.1\n");
    let log = host.sh(&format!("ovsdb-tool -m show-log {file}"));
    assert!(log.contains("br0") && log.contains("int0"), "{log}");
    let gone = switch.exit("");
    let select = r#"["Open_vSwitch",{"op":"select","table":"Port","where":[["name","==","int0"]],"columns":["trunks"]}]"#;
    let rows: Value =
        serde_json::from_str(&host.sh(&format!("ovsdb-tool query {file} '{select}'"))).unwrap();
    assert_eq!(rows[0]["rows"][0]["trunks"], serde_json::json!(["set", [1, 3]]));
    host.sh(&format!("ovsdb-tool compact {file}"));
    let switch = gone.start_again();
    assert_eq!(switch.vsctl("list-ports br0"), "int0");
    assert_eq!(switch.vsctl("get port int0 trunks"), "[1, 3]");
    assert_eq!(switch.vsctl("get interface int0 ofport"), "1");
}

/// With `--ovsdb` the switch is a client of a stock server, and serves no database itself.
#[test]
fn a_stock_database_server_drives_the_switch() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let server = OvsdbServer::start(&host);
    let switch = Switch::start_with(&host, &format!("--ovsdb unix:{}", server.socket().display()));
    let vsctl = |words: &str| {
        host.sh(&format!("ovs-vsctl --db=unix:{} --timeout=10 {words}", server.socket().display()))
    };
    vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = Host::new("guest");
    weft_tests::cable_named(&host, "veth1", &guest, "eth0");
    guest.address("eth0", "10.0.0.1/24");
    vsctl("add-port br0 veth1");
    assert_eq!(vsctl("get interface veth1 ofport"), "1\n");
    guest.must_reach("10.0.0.254");
    assert!(!switch.rundir().join("db.sock").exists(), "an embedded server runs, too");
    let shown = switch.weft_json("show");
    assert_eq!(shown["bridges"][0]["name"], "br0");
    vsctl("del-br br0");
    assert!(!host.try_sh("test -e /sys/class/net/br0").ok());
}

/// Nothing listens on TCP unless told to; then it is the same database.
#[test]
fn tcp_is_served_only_when_asked_for() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let listening = || host.sh("ss -Hltn");
    assert_eq!(listening(), "");
    switch.vsctl("add-br br0");
    assert_eq!(listening(), "");
    drop(switch);
    let switch = Switch::start_with(&host, "--remote ptcp:6640:127.0.0.1");
    assert_eq!(host.sh("ovsdb-client list-dbs tcp:127.0.0.1:6640"), "Open_vSwitch\n_Server\n");
    assert!(listening().contains("127.0.0.1:6640"));
    drop(switch);
}

/// Whoever talks nonsense, or stops reading, is cut off; nobody else notices.
#[test]
fn nonsense_on_a_socket_ends_that_connection_only() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let resident = switch.resident_kib();
    let sockets = host.sh(&format!("find {} -type s", switch.rundir().display()));
    assert!(sockets.lines().count() >= 3, "{sockets}");
    for socket in sockets.lines() {
        for nonsense in [
            "printf 'GET / HTTP/1.1\\r\\n\\r\\n'",
            "head -c 100000 /dev/urandom",
            "head -c 100000000 /dev/zero | tr '\\0' '['",
            "printf '{\"id\":0,\"method\":\"transact\",\"params\":[\"Open_vSwitch\",{\"op\":7}]}'",
            "printf '{\"id\":0,\"method\":\"echo\",\"params\":[\"'",
            "printf ''",
        ] {
            let _ =
                host.try_sh(&format!("{nonsense} | timeout 3 socat -t0.2 - UNIX-CONNECT:{socket}"));
        }
    }
    // One that asks for much and reads nothing.
    let request =
        "{\\\"id\\\":0,\\\"method\\\":\\\"get_schema\\\",\\\"params\\\":[\\\"Open_vSwitch\\\"]}";
    let _ = host.try_sh(&format!(
        "sh -c \"yes '{request}' | head -n 20000 | timeout 3 socat -u - UNIX-CONNECT:{}/db.sock\"",
        switch.rundir().display()
    ));
    assert_eq!(switch.vsctl("list-br"), "br0");
    assert!(switch.appctl("version").contains("Open vSwitch"));
    assert!(switch.try_weft("show").ok());
    let grown = switch.resident_kib().saturating_sub(resident);
    assert!(grown < 100 * 1024, "{grown} KiB were kept for clients that talk nonsense");
}

/// Sockets belong to root and its group alone.
#[test]
fn sockets_are_not_for_everybody() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let modes = host.sh(&format!("find {} -type s -printf '%m %f\\n'", switch.rundir().display()));
    assert!(modes.lines().count() >= 2, "{modes}");
    for line in modes.lines() {
        let mode = u32::from_str_radix(line.split(' ').next().unwrap(), 8).unwrap();
        assert_eq!(mode & 0o007, 0, "{line}");
    }
}

/// `ovs-appctl -t ovsdb-server` and managers, in the forms of the stock server; what makes no sense says why.
#[test]
fn the_commands_of_the_database_server() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl(
        "add-br br0 -- set-controller br0 tcp:192.0.2.1:6653 -- set-manager ptcp:6640:127.0.0.1",
    );
    let ask = |words: &str| switch.try_appctl(&format!("-t ovsdb-server {words}"));
    let socket = switch.rundir().join("db.sock");
    let remotes =
        format!("db:Open_vSwitch,Open_vSwitch,manager_options\npunix:{}\n", socket.display());
    for (words, text) in [
        ("ovsdb-server/list-dbs", "Open_vSwitch\n_Server\n"),
        ("ovsdb-server/list-remotes", remotes.as_str()),
        ("ovsdb-server/sync-status", "state: active\n"),
        ("ovsdb-server/get-db-storage-status Open_vSwitch", "status: ok\n"),
        ("ovsdb-server/get-active-ovsdb-server", ""),
        ("ovsdb-server/add-remote ptcp:6641:127.0.0.1", ""),
        ("ovsdb-server/remove-remote ptcp:6641:127.0.0.1", ""),
        ("ovsdb-server/compact", ""),
        ("ovsdb-server/compact Open_vSwitch", ""),
        ("ovsdb-server/memory-trim-on-compaction on", ""),
    ] {
        assert_eq!(ask(words).expect_ok(), text, "{words}");
    }
    for (words, text) in [
        ("ovsdb-server/compact Nope", "no database by that name"),
        ("ovsdb-server/compact _Server", "cannot compact built-in databases"),
        ("ovsdb-server/remove-db Nope", "Failed to find the database."),
        ("ovsdb-server/remove-db Open_vSwitch", "one database file"),
        ("ovsdb-server/add-db /tmp/other.db", "one database file"),
        ("ovsdb-server/add-remote foo", "not a valid remote"),
        ("ovsdb-server/add-remote db:Nope,Open_vSwitch,x", "no database named Nope"),
        ("ovsdb-server/add-remote db:Open_vSwitch,Nope,x", "no table named Nope"),
        (
            "ovsdb-server/add-remote db:Open_vSwitch,Bridge,x",
            "table \"Bridge\" has no column \"x\"",
        ),
        ("exit now", "takes at most 0 arguments"),
        ("ovsdb-server/remove-remote foo", "no such remote"),
        ("ovsdb-server/set-active-ovsdb-server tcp:192.0.2.1:6640", "replicates no other server"),
        ("ovsdb-server/tlog-set Open_vSwitch:Bridge on", "logs no changes of tables"),
        ("ovsdb-server/nope", "is not a valid command"),
    ] {
        let outcome = ask(words);
        assert!(!outcome.ok() && outcome.stderr.contains(text), "{words}: {}", outcome.stderr);
    }
    assert!(ask("ovsdb-server/tlog-list").expect_ok().contains("                Bridge "));
    assert!(ask("memory/show").expect_ok().contains(" cells:"));
    assert_eq!(host.sh("ovsdb-client list-dbs tcp:127.0.0.1:6640"), "Open_vSwitch\n_Server\n");
    // Whoever was connected comes back, weftd itself too.
    assert_eq!(ask("ovsdb-server/reconnect").expect_ok(), "");
    switch.vsctl("add-port br0 int0 -- set interface int0 type=internal");
    assert_eq!(ask("ovsdb-server/disable-monitor-cond").expect_ok(), "");
    switch.vsctl("del-port br0 int0");
    assert_eq!(switch.vsctl("get controller . is_connected"), "false");
    let status = "{last_error=\"OpenFlow is not supported yet\", state=VOID}";
    assert_eq!(switch.vsctl("get controller . status"), status);
    let log = switch.log();
    assert_eq!(log.matches("controller tcp:192.0.2.1:6653: OpenFlow is not there yet").count(), 1);
}
