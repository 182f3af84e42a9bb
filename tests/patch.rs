//! Patch ports between bridges of one switch: stock ovs-vsctl makes them, guests talk across.

use std::time::Duration;
use weft_tests::{
    Flow, Host, OvsdbServer, Stock, Switch, can_make_hosts, introduce, tcp_transfer, within,
};

/// One of the columns of an interface.
fn column(switch: &Switch<'_>, interface: &str, column: &str) -> String {
    switch.vsctl(&format!("get interface {interface} {column}"))
}

/// Bridges `br0` and `br1`, each with a guest, joined by patch ports `p0` and `p1`.
fn joined(switch: &Switch<'_>) -> [Host; 2] {
    switch.vsctl("add-br br0 -- add-br br1");
    switch.vsctl(
        "add-port br0 p0 -- set interface p0 type=patch options:peer=p1 -- \
         add-port br1 p1 -- set interface p1 type=patch options:peer=p0",
    );
    [switch.plug("br0", "vif0", "10.0.0.1/24"), switch.plug("br1", "vif1", "10.0.0.2/24")]
}

#[test]
fn bridges_are_one_network() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [a, b] = joined(&switch);
    a.must_reach("10.0.0.2");
    tcp_transfer(&a, &b, "10.0.0.2:5001", 5_000_000);
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));

    // What goes in at one end comes out at the other, and both ends count it.
    let moved = switch.deltas(|| assert_eq!(a.pings(10, "10.0.0.2"), 10));
    let figure = |name: &str| moved.get(name).copied().unwrap_or(0);
    assert!(figure("p0 tx_frames") >= 10, "{moved:?}");
    assert_eq!(figure("p0 tx_frames"), figure("p1 rx_frames"), "{moved:?}");
    assert_eq!(figure("p1 tx_frames"), figure("p0 rx_frames"), "{moved:?}");
    assert_eq!(switch.drops().get("p0 tx no_peer"), None);

    // The stock views.
    let show = switch.appctl("dpif/show");
    assert!(show.contains("\n    p0 1/none: (patch: peer=p1)\n"), "{show}");
    let ports = switch.appctl("dpctl/show");
    assert!(!ports.contains(" p0") && ports.contains("vif0"), "{ports}");
    let show = switch.vsctl("show");
    let of_p0 = "            Interface p0\n                type: patch\n                options: \
                 {peer=p1}\n";
    assert!(show.contains(of_p0), "{show}");
    for (name, value) in [
        ("admin_state", "up"),
        ("link_state", "up"),
        ("link_resets", "0"),
        ("ifindex", "0"),
        ("mtu", "[]"),
        ("error", "[]"),
        ("status", "{}"),
        ("ofport", "1"),
    ] {
        assert_eq!(column(&switch, "p0", name), value, "{name}");
    }
    let has_counted =
        || column(&switch, "p1", "statistics:rx_packets").parse::<u64>().unwrap() > 10;
    assert!(within(Duration::from_secs(8), has_counted));
    let keys = ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"];
    let statistics = column(&switch, "p1", "statistics");
    let found: Vec<_> = statistics
        .trim_matches(['{', '}'])
        .split(", ")
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .collect();
    assert_eq!(found, keys);
}

/// The same lines to Weft and to a stock switch: `error` and `ofport` of every interface after
/// each must be the same.
#[test]
fn errors_are_those_of_the_stock_switch() {
    const LINES: [&str; 9] = [
        "add-br br0 -- set bridge br0 datapath_type=netdev -- \
         add-br br1 -- set bridge br1 datapath_type=netdev",
        "add-port br0 p0 -- set interface p0 type=patch",
        "set interface p0 options:peer=p0",
        "set interface p0 options:peer=p1",
        "add-port br1 p1 -- set interface p1 type=patch options:peer=px",
        "set interface p1 options:peer=p0",
        "add-port br1 p2 -- set interface p2 type=patch options:peer=p0",
        "set interface p2 options:bogus=3",
        "del-port p1",
    ];
    if !can_make_hosts() {
        return;
    }
    let (host, stock_host) = (Host::new("host"), Host::new("stock"));
    let switch = Switch::start(&host);
    let stock = Stock::start(&stock_host);
    let list = "--columns=name,ofport,error list interface";
    for line in LINES {
        // Both say on stderr what stands in the error column.
        let _ = (switch.try_vsctl(line), stock.try_vsctl(line));
        let state = |text: &str| -> Vec<String> {
            let mut rows: Vec<_> = text.split("\n\n").map(str::to_owned).collect();
            rows.sort();
            rows
        };
        // The stock switch writes some errors a moment after the client has returned.
        let ours = state(&switch.vsctl(list));
        let is_same = within(Duration::from_secs(5), || ours == state(&stock.vsctl(list)));
        assert!(is_same, "after {line}: {ours:#?}, stock: {}", stock.vsctl(list));
    }
}

#[test]
fn ends_come_and_go_and_change_their_vlans() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [a, b] = joined(&switch);
    a.must_reach("10.0.0.2");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");

    // One end goes: nothing crosses, and the other end says why.
    switch.vsctl("del-port p1");
    assert_eq!(a.pings(2, "10.0.0.2"), 0);
    let error = "\"No usable peer 'p1' exists in 'system' datapath.\"";
    assert_eq!(column(&switch, "p0", "error"), error);
    assert_eq!(column(&switch, "p0", "ofport"), "1");
    // It returns in another bridge, and then where it was.
    switch.vsctl("add-br br2 -- add-port br2 p1 -- set interface p1 type=patch options:peer=p0");
    assert_eq!(column(&switch, "p0", "error"), "[]");
    assert_eq!(a.pings(2, "10.0.0.2"), 0);
    switch.vsctl("del-port p1 -- add-port br1 p1 -- set interface p1 type=patch options:peer=p0");
    a.must_reach("10.0.0.2");
    // A peer that names somebody else is none.
    switch.vsctl("set interface p1 options:peer=p9");
    assert_eq!(column(&switch, "p0", "error"), error);
    assert_eq!(a.pings(2, "10.0.0.2"), 0);
    switch.vsctl("set interface p1 options:peer=p0");
    a.must_reach("10.0.0.2");

    // VLAN 5 of br0 is VLAN 7 of br1.
    switch.vsctl("set port p0 tag=5 -- set port p1 tag=7");
    assert_eq!(a.pings(2, "10.0.0.2"), 0, "the guests are in VLAN 0");
    switch.vsctl("set port vif0 tag=5 -- set port vif1 tag=7");
    a.must_reach("10.0.0.2");
    let table = switch.appctl("fdb/show br1");
    assert!(table.contains(&format!("    1     7  {}", a.mac("eth0"))), "{table}");
    // As trunks, they do not translate.
    switch.vsctl("clear port p0 tag -- clear port p1 tag");
    assert_eq!(a.pings(2, "10.0.0.2"), 0);
    switch.vsctl("set port vif1 tag=5");
    a.must_reach("10.0.0.2");
    switch.vsctl("set port p1 trunks=6,7");
    assert_eq!(a.pings(2, "10.0.0.2"), 0);
    assert!(switch.drops().contains_key("p1 rx ingress_vlan"), "{:?}", switch.drops());
}

/// Two patches between the same bridges: without a spanning tree a broadcast goes round, but not
/// for ever, and the switch stays itself; with one, it goes once.
#[test]
fn a_loop_of_patch_ports_ends() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let [a, b] = joined(&switch);
    switch.vsctl("add-br br2");
    let far =
        [switch.plug("br2", "vif2", "10.0.1.1/24"), switch.plug("br2", "vif3", "10.0.1.2/24")];
    let ring = "add-port br0 q0 -- set interface q0 type=patch options:peer=q1 -- \
                add-port br1 q1 -- set interface q1 type=patch options:peer=q0";
    switch.vsctl(ring);
    let before = b.rx_frames("eth0");
    a.sh("ping -b -c 1 -W 1 10.0.0.255 >/dev/null || true");
    let ended = || {
        let drops = switch.drops();
        drops.keys().any(|key| key.ends_with(" rx patch_hops"))
    };
    assert!(within(Duration::from_secs(10), ended), "{:?}", switch.drops());
    let copies = b.rx_frames("eth0") - before;
    assert!(copies > 32, "{copies} copies: where was the loop?");
    // Another bridge of the same worker is not disturbed.
    far[0].must_reach("10.0.1.2");
    let flow = Flow::start(&far[0], &far[1], "10.0.1.2:9000");
    std::thread::sleep(Duration::from_millis(500));
    let tally = flow.finish();
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{tally:?}");

    switch.vsctl("set bridge br0 rstp_enable=true -- set bridge br1 rstp_enable=true");
    let blocks = || {
        let states = switch.vsctl("--no-heading --columns=rstp_status list port");
        states.matches("rstp_port_state=Discarding").count() == 1
    };
    assert!(within(Duration::from_secs(15), blocks), "{}", switch.appctl("rstp/show"));
    let hops = |drops: std::collections::BTreeMap<String, u64>| -> u64 {
        drops.iter().filter(|(key, _)| key.ends_with("patch_hops")).map(|(_, frames)| frames).sum()
    };
    let before = hops(switch.drops());
    a.must_reach("10.0.0.2");
    assert_eq!(hops(switch.drops()), before, "the tree leaves no loop");
}

/// A restart brings the pair back with the same numbers; with a stock database server, too.
#[test]
fn a_restart_brings_patches_back() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let database = OvsdbServer::start(&host);
    let switch =
        Switch::start_with(&host, &format!("--ovsdb unix:{}", database.socket().display()));
    host.sh(&format!(
        "ln -s {} {}/db.sock",
        database.socket().display(),
        switch.rundir().display()
    ));
    let [a, _b] = joined(&switch);
    a.must_reach("10.0.0.2");
    let switch = switch.kill_hard().start_again();
    a.must_reach("10.0.0.2");
    assert_eq!(column(&switch, "p0", "ofport"), "1");
    assert_eq!(column(&switch, "p0", "error"), "[]");
}
