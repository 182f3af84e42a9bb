//! The VTEP address on a bridge's internal port, with the NIC inside that bridge.

use std::time::Duration;

use weft_tests::{Host, Switch, Underlay, cable, can_make_hosts, exchange, overlay, within};
use weft_tests::{Stock, tcp_transfer};

/// Puts `eth0` into `br-phy`, which gets the address of one end.
fn underlay(switch: &Switch<'_>, underlay: Underlay, end: usize) {
    switch.vsctl("add-br br-phy -- add-port br-phy eth0");
    underlay.give(switch.host(), "br-phy", end);
}

fn two_hosts() -> (Host, Host) {
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable(&left, &right);
    (left, right)
}

fn between_two(tunnel: &str, version: Underlay, mtu: u32) {
    let (left, right) = two_hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    let [near, far] = version.ends();
    underlay(&here, version, 0);
    underlay(&there, version, 1);
    overlay(&here, tunnel, far, "10.244.0.1/16", mtu);
    overlay(&there, tunnel, near, "10.244.0.2/16", mtu);
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", mtu);
    // The underlay is a network as any other beside it.
    assert_eq!(left.pings(5, far), 5);
    if version == Underlay::V4 {
        tcp_transfer(&left, &right, &format!("{far}:6001"), 5_000_000);
    }
    let port = here.port("tun0");
    let of_tunnel = |key: &str| port.pointer(&format!("/tunnel/{key}")).cloned();
    assert_eq!(of_tunnel("egress_iface"), Some("br-phy".into()));
    assert_eq!(of_tunnel("state"), Some("ready".into()));
    assert_eq!(here.drops(), std::collections::BTreeMap::new());
}

#[test]
fn gre_between_two_hosts_that_gave_their_nic_away() {
    if can_make_hosts() {
        between_two("gre", Underlay::V4, 1462);
    }
}

#[test]
fn geneve_over_ipv6_between_two_hosts_that_gave_their_nic_away() {
    if can_make_hosts() {
        between_two("geneve options:csum=true", Underlay::V6, 1430);
    }
}

/// The same configuration on both ends, one of them stock.
#[test]
fn a_stock_switch_is_a_peer() {
    if !can_make_hosts() {
        return;
    }
    for (tunnel, mtu) in [("gre options:key=5", 1458), ("vxlan options:key=7", 1450)] {
        let (left, right) = two_hosts();
        let here = Switch::start(&left);
        underlay(&here, Underlay::V4, 0);
        let there = Stock::start(&right);
        there.underlay("eth0", &|device| Underlay::V4.give(&right, device, 1));
        there.bridge("10.244.0.2/16");
        right.sh(&format!("ip link set br0 mtu {mtu}"));
        there.vsctl(&format!(
            "add-port br0 tun0 -- set interface tun0 options:remote_ip=192.0.2.1 type={tunnel}"
        ));
        overlay(&here, tunnel, "192.0.2.2", "10.244.0.1/16", mtu);
        exchange(&left, "10.244.0.1", &right, "10.244.0.2", mtu);
    }
}

/// A trace goes into the tunnel, and then through the bridge below; `macs` are each end's own.
fn show_the_whole_way(here: &Switch<'_>, there: &Stock<'_>, macs: [&str; 2]) {
    let traced = |text: String| {
        let actions = text.lines().find_map(|line| line.strip_prefix("Datapath actions: "));
        let pieces = actions.unwrap_or(&text).split("port(");
        let pieces = pieces.map(|piece| piece.trim_start_matches(|c: char| c.is_ascii_digit()));
        pieces.collect::<Vec<_>>().join("port(").replace(macs[0], "MAC").replace(macs[1], "MAC")
    };
    let words = "ofproto/trace br0 in_port=LOCAL,dl_dst=02:00:00:00:00:55,dl_type=0x0800";
    let (ours, theirs) = (traced(here.appctl(words)), traced(there.appctl(words)));
    assert!(ours.starts_with("tnl_push(tnl_port(),header(size=38,type=3,"), "{ours}");
    let last = |text: &str| text.rsplit_once(',').map(|(before, _)| before.to_owned());
    assert_eq!(last(&ours), last(&theirs));
    let text = here.appctl(words);
    for line in [
        "egress: t31: untagged, 60 bytes, into bridge br-phy as ",
        "ingress: br-phy of bridge br-phy, trunk port: the frame is in VLAN 0",
        "egress: eth0: untagged, 98 bytes",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

/// What is wrong has the stock text.
fn refuse_alike(here: &Switch<'_>, there: &Stock<'_>) {
    for words in [
        "ovs/route/lookup 8.8.8.8",
        "ovs/route/lookup x",
        "ovs/route/lookup 192.0.2.9 pkt_mark=5",
        "ovs/route/lookup 192.0.2.9 mark",
        "tnl/neigh/set br-phy x 0",
        "tnl/neigh/aging x",
    ] {
        let (ours, theirs) = (here.try_appctl(words), there.try_appctl(words));
        assert_eq!((ours.code, &ours.stderr), (theirs.code, &theirs.stderr), "{words}");
    }
}

/// What operators look at says the same as with a stock switch in the same place.
#[test]
fn views_are_those_of_a_stock_switch() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_hosts();
    let (here, there) = (Switch::start(&left), Stock::start(&right));
    underlay(&here, Underlay::V4, 0);
    there.underlay("eth0", &|device| Underlay::V4.give(&right, device, 0));
    there.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev");
    here.vsctl("add-br br0");
    let mac = right.mac("br-phy");
    for tunnel in [
        "gre options:remote_ip=192.0.2.3",
        "gre options:remote_ip=192.0.2.3 options:key=4",
        "vxlan options:remote_ip=203.0.113.2 options:dst_port=8472",
        "geneve options:remote_ip=192.0.2.3",
    ] {
        let name = format!("t{}", tunnel.len());
        let words = format!("add-port br0 {name} -- set interface {name} type={tunnel}");
        here.vsctl(&words);
        there.vsctl(&words);
    }
    for host in [&left, &right] {
        host.sh("ip route add 203.0.113.0/24 via 192.0.2.254");
    }
    // Numbers of datapath ports and addresses of devices are each switch's own.
    let normal = |text: String, mac: &str| {
        let lines = text.lines().map(|line| {
            let (before, after) = line.split_once(" (").unwrap_or((line, ""));
            let after = after.split_once(')').map_or("", |(_, rest)| rest);
            format!("{before}{}", after.replace(mac, "MAC"))
        });
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines
    };
    let local = left.mac("br-phy");
    let same = |words: &str| {
        let ours = || normal(here.appctl(words), &local);
        let theirs = || normal(there.appctl(words), &mac);
        let agree = within(Duration::from_secs(5), || ours() == theirs());
        assert!(agree, "{words}\n{:#?}\n{:#?}", ours(), theirs());
    };
    for words in ["tnl/ports/show", "tnl/ports/show -v", "ovs/route/show"] {
        same(words);
    }
    same("ovs/route/lookup 192.0.2.9");
    same("ovs/route/lookup 203.0.113.9");
    same("tnl/neigh/set br-phy 192.0.2.3 02:00:00:00:00:03");
    assert!(
        here.appctl("tnl/neigh/show")
            .contains("192.0.2.3                                     02:00:00:00:00:03   br-phy")
    );
    assert!(within(Duration::from_secs(10), || {
        here.port("t31")["tunnel"]["next_hop_mac"] == "02:00:00:00:00:03"
    }));
    same("fdb/add br0 t31 0 02:00:00:00:00:55");
    show_the_whole_way(&here, &there, [&local, &mac]);
    same("tnl/neigh/flush");
    same("ovs/route/lookup 192.0.2.9 pkt_mark=0");
    refuse_alike(&here, &there);
    let refused = here.try_appctl("ovs/route/add 10.9.0.0/16 br-phy 192.0.2.254");
    assert!(refused.stderr.contains("ip route add 10.9.0.0/16 via 192.0.2.254 dev br-phy"));
}

/// A NIC that is a port and still has the address is an error that says what to do; moving the
/// address to the bridge mends it, and traffic comes back by itself.
#[test]
fn an_address_left_on_the_nic_has_a_clear_error() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_hosts();
    left.address("eth0", "192.0.2.1/24");
    right.address("eth0", "192.0.2.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", 1400);
    overlay(&there, "gre", "192.0.2.1", "10.244.0.2/16", 1400);
    left.must_reach("10.244.0.2");
    here.vsctl("add-br br-phy -- add-port br-phy eth0");
    let reason = || here.port("tun0")["tunnel"]["reason"].as_str().unwrap_or_default().to_owned();
    let is_said = within(Duration::from_secs(5), || reason().contains("give its addresses to"));
    assert!(is_said, "{}", reason());
    let status = here.vsctl("get interface tun0 status:tunnel_unreachable");
    assert!(status.contains("leaves by eth0, which is a port of a bridge"), "{status}");
    left.sh("ip addr del 192.0.2.1/24 dev eth0");
    left.address("br-phy", "192.0.2.1/24");
    left.must_reach("10.244.0.2");
    // And back.
    left.sh("ip addr del 192.0.2.1/24 dev br-phy");
    here.vsctl("del-br br-phy");
    left.sh("ip addr add 192.0.2.1/24 dev eth0");
    left.must_reach("10.244.0.2");
}

/// Malformed tunnel packets to the VTEP address are dropped under their names; what is no tunnel's
/// reaches the host.
#[test]
fn only_tunnel_packets_are_taken_from_the_host() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_hosts();
    right.address("eth0", "192.0.2.2/24");
    let here = Switch::start(&left);
    underlay(&here, Underlay::V4, 0);
    overlay(&here, "gre options:key=5", "192.0.2.2", "10.244.0.1/16", 1400);
    right.must_reach("192.0.2.1");
    let mac = left.mac("br-phy");
    let ip = "IP(src=\"192.0.2.2\",dst=\"192.0.2.1\")";
    let deltas = here.deltas(|| {
        right.send_frame(
            "eth0",
            &format!("Ether(dst=\"{mac}\")/{ip}/GRE(proto=0x6558,key_present=1,key=6)/(b\"x\"*60)"),
        );
        assert!(within(Duration::from_secs(10), || here.drops().contains_key("br-phy tx key")));
    });
    assert_eq!(deltas.get("br-phy tx_drops"), Some(&1), "{deltas:?}");
    assert_eq!(weft_tests::udp_echoes(&right, &left, "192.0.2.1:6081", 5, 100), 5);
}
