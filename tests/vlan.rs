//! VLANs: every mode of a port, beside stock Open vSwitch, and what happens when they change.

use std::time::Duration;

use weft_tests::{Flow, Host, Stock, Switch, cable_named, can_make_hosts, introduce, within};

/// Ports by name, and how the columns of their row are set.
const PORTS: [(&str, &str); 9] = [
    ("trunk57", "vlan_mode=trunk tag=9 trunks=5,7,4095"),
    ("prio", "trunks=0,5 other_config:priority-tags=if-nonzero"),
    ("prioall", "other_config:priority-tags=always"),
    ("access5", "tag=5"),
    ("access4095", "tag=4095"),
    ("ntag5", "vlan_mode=native-tagged tag=5 trunks=0,7"),
    ("nuntag7", "vlan_mode=native-untagged tag=7 trunks=5 other_config:priority-tags=always"),
    ("tun5", "vlan_mode=dot1q-tunnel tag=5 trunks=9"),
    ("tun5c", "vlan_mode=dot1q-tunnel tag=5 cvlans=0,7,4095 other_config:qinq-ethtype=802.1q"),
];

/// One tag or none, of each type, priority and meaning.
const FRAMES: &str = "-,8100:10:0,8100:0:5,8100:10:5,8100:0:7,8100:0:9,8100:0:4095,88a8:10:0,88a8:0:5,88a8:10:7,\
     88a8:10:4095";
/// Tags that say nothing.
const NULL: &str = "8100:0:0,88a8:0:0";
/// Two tags.
const DOUBLE: &str = "8100:0:5/8100:0:7,8100:10:5/8100:6:5,88a8:0:5/8100:4:7,88a8:10:7/8100:0:5,\
                      8100:0:7/88a8:0:5,8100:4:5/8100:8:0,8100:0:5/8100:0:4095,\
                      8100:0:4095/8100:0:5";

/// The words of ovs-vsctl that add all ports; the interfaces are there already.
fn add_ports(bridge: &str) -> String {
    let mut words = vec!["--".to_owned()];
    for (name, columns) in PORTS {
        let (settings, columns): (Vec<&str>, Vec<&str>) =
            columns.split_whitespace().partition(|column| column.contains(':'));
        words.push(format!("-- add-port {bridge} {name} {}", columns.join(" ")));
        words.extend(settings.iter().map(|setting| format!("-- set port {name} {setting}")));
    }
    words.join(" ")
}

/// Joins one interface for each port of `host` to one of `far`, which has the same name.
fn cables(host: &Host, far: &Host) {
    for (name, _) in PORTS {
        cable_named(host, name, far, name);
    }
}

/// What comes out where, of all frames from all ports.
fn spread(far: &Host, ports: &str, frames: &str) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vlan_frames.py");
    let report = far.sh(&format!("/usr/bin/python3 {script} {ports} {frames}"));
    report.lines().map(str::to_owned).collect()
}

/// Every mode, tag and priority, with each `vlan-limit`: frames come out of the same ports, with
/// the same tags, as with a stock switch.
#[test]
fn frames_go_where_a_stock_switch_sends_them() {
    if !can_make_hosts() {
        return;
    }
    let (host, far) = (Host::new("host"), Host::new("far"));
    let (stock_host, stock_far) = (Host::new("stock"), Host::new("stockfar"));
    cables(&host, &far);
    cables(&stock_host, &stock_far);
    let switch = Switch::start(&host);
    let stock = Stock::start(&stock_host);
    switch.vsctl(&format!("add-br br0 {}", add_ports("br0")));
    stock.vsctl(&format!("add-br br0 -- set bridge br0 datapath_type=netdev {}", add_ports("br0")));
    let all = PORTS.map(|(name, _)| name);
    let untunnelled = all.iter().filter(|name| !name.starts_with("tun")).copied();
    let untunnelled = untunnelled.collect::<Vec<_>>().join(",");
    // What Open vSwitch loses inside tunnels, a null tag and a third one, is kept here: see
    // datapath/README.md.
    let all = all.join(",");
    for (limit, ports, frames) in [
        ("1", &all, [FRAMES, DOUBLE].join(",")),
        ("1", &untunnelled, NULL.to_owned()),
        ("0", &all, FRAMES.to_owned()),
        ("2", &untunnelled, [FRAMES, DOUBLE, NULL].join(",")),
    ] {
        let setting = format!("set open . other_config:vlan-limit={limit}");
        switch.vsctl(&setting);
        stock.vsctl(&setting);
        let expected = spread(&stock_far, ports, &frames);
        let got = spread(&far, ports, &frames);
        assert!(expected.len() > 20, "{} frames", expected.len());
        let extra: Vec<_> = got.iter().filter(|line| !expected.contains(line)).collect();
        let missing: Vec<_> = expected.iter().filter(|line| !got.contains(line)).collect();
        assert!(
            extra.is_empty() && missing.is_empty() && got.len() == expected.len(),
            "vlan-limit {limit}: {} frames, stock {}: not in stock {extra:#?}, only in stock {missing:#?}",
            got.len(),
            expected.len()
        );
    }
}

/// The lines of `fdb/show` for one address.
fn entries(switch: &Switch<'_>, mac: &str) -> Vec<String> {
    let table = switch.appctl("fdb/show br0");
    table.lines().filter(|line| line.contains(mac)).map(str::to_owned).collect()
}

/// A port's VLANs change, in every way there is, while others talk: none of their frames is lost.
#[test]
fn vlans_change_without_loss_on_other_ports() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let _c = switch.plug("br0", "veth3", "");
    switch.vsctl("set port veth1 tag=5 -- set port veth2 tag=5");
    a.must_reach("10.0.0.2");
    let flow = Flow::start(&a, &b, "10.0.0.2:9000");
    let settings = [
        "set port veth3 tag=5",
        "set port veth3 tag=6",
        "set port veth3 vlan_mode=dot1q-tunnel cvlans=7",
        "set port veth3 other_config:qinq-ethtype=802.1q",
        "set port veth3 vlan_mode=native-untagged trunks=5,6",
        "set port veth3 other_config:priority-tags=always",
        "set open . other_config:vlan-limit=2",
        "set port veth3 vlan_mode=native-tagged",
        "clear port veth3 tag trunks vlan_mode cvlans other_config",
        "remove open . other_config vlan-limit",
    ];
    // Often enough that frames pass during each of them.
    for setting in settings.iter().cycle().take(4 * settings.len()) {
        switch.vsctl(setting);
    }
    let tally = flow.finish();
    assert!(tally.sent > 100, "{tally:?}");
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{tally:?}");
}

/// When a port leaves a VLAN, the addresses behind it are gone when ovs-vsctl returns; those behind
/// other ports stay.
#[test]
fn addresses_in_a_vlan_that_a_port_left_are_gone_at_once() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    switch.vsctl("set port veth1 tag=5 -- set port veth2 tag=5");
    a.must_reach("10.0.0.2");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    let (a_mac, b_mac) = (a.mac("eth0"), b.mac("eth0"));
    assert_eq!((entries(&switch, &a_mac).len(), entries(&switch, &b_mac).len()), (1, 1));
    switch.vsctl("set port veth2 tag=6");
    assert_eq!(entries(&switch, &b_mac), Vec::<String>::new());
    assert_eq!(entries(&switch, &a_mac).len(), 1);
    assert!(!a.reaches("10.0.0.2"), "another VLAN");
    switch.vsctl("set port veth2 vlan_mode=trunk trunks=5,6 -- clear port veth2 tag");
    switch.vsctl("set port veth2 vlan_mode=native-untagged tag=5");
    assert_eq!(a.pings(10, "10.0.0.2"), 10, "the change holds when ovs-vsctl returns");
    assert!(entries(&switch, &b_mac)[0].contains("     5  "), "{:?}", entries(&switch, &b_mac));
}

/// A customer's tag goes through the provider's network as it is, inside the service tag.
#[test]
fn customer_tags_cross_inside_the_service_tag() {
    if !can_make_hosts() {
        return;
    }
    let (host, far) = (Host::new("host"), Host::new("far"));
    for port in ["c1", "c2", "wire", "other"] {
        cable_named(&host, port, &far, port);
    }
    let switch = Switch::with_bridge(&host);
    switch.vsctl(
        "add-port br0 c1 tag=100 vlan_mode=dot1q-tunnel -- set port c1 cvlans=7 \
         -- add-port br0 c2 tag=100 vlan_mode=dot1q-tunnel \
         -- add-port br0 wire trunks=31,100 -- add-port br0 other tag=7",
    );
    assert_eq!(
        spread(&far, "c1,c2,wire,other", "8100:0:7,8100:10:8,88a8:0:100/8100:10:7"),
        [
            "c1 8100:0:7 c2 8100:0:7",
            "c1 8100:0:7 wire 88a8:0:100/8100:0:7",
            // Customer VLAN 8 is none of c1's, in either direction.
            "c2 8100:0:7 c1 8100:0:7",
            "c2 8100:0:7 wire 88a8:0:100/8100:0:7",
            "c2 8100:10:8 wire 88a8:0:100/8100:10:8",
            "c2 88a8:0:100/8100:10:7 wire 88a8:0:100/88a8:0:100/8100:10:7",
            // With a limit of one tag the wire's inner tags are payload, and cvlans knows them not.
            "wire 88a8:0:100/8100:10:7 c2 8100:10:7",
        ]
    );
    assert_eq!(switch.drops().get("c1 rx ingress_vlan"), Some(&2), "{:?}", switch.drops());
    switch.vsctl("set open . other_config:vlan-limit=2");
    assert_eq!(
        spread(&far, "wire", "88a8:0:100/8100:10:7,88a8:0:100/8100:0:8"),
        Vec::<String>::new(),
        "only one device was watched"
    );
    let both = spread(&far, "wire,c1,c2", "88a8:0:100/8100:10:7,88a8:0:100/8100:0:8");
    let of_wire: Vec<_> = both.iter().filter(|line| line.starts_with("wire")).collect();
    assert_eq!(
        of_wire,
        [
            "wire 88a8:0:100/8100:10:7 c1 8100:10:7",
            "wire 88a8:0:100/8100:10:7 c2 8100:10:7",
            "wire 88a8:0:100/8100:0:8 c2 8100:0:8",
        ]
    );
}

/// What is learned on a link goes with the link, and comes back with the first frame.
#[test]
fn addresses_behind_a_link_that_went_down_are_forgotten() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let (a_mac, b_mac) = (a.mac("eth0"), b.mac("eth0"));
    switch.appctl("fdb/add br0 veth2 0 02:00:00:00:00:99");
    b.sh("ip link set eth0 down");
    let forgotten = within(Duration::from_secs(5), || entries(&switch, &b_mac).is_empty());
    assert!(forgotten, "{}", switch.appctl("fdb/show br0"));
    assert_eq!(entries(&switch, &a_mac).len(), 1);
    assert_eq!(entries(&switch, "02:00:00:00:00:99").len(), 1, "static entries stay");
    b.sh("ip link set eth0 up");
    a.must_reach("10.0.0.2");
    assert_eq!(entries(&switch, &b_mac).len(), 1);
    switch.vsctl("del-port veth2");
    assert_eq!(entries(&switch, &b_mac), Vec::<String>::new());
    assert_eq!(entries(&switch, "02:00:00:00:00:99"), Vec::<String>::new(), "a port takes all");
}
