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
    let tunnel = here.port("tun0")["tunnel"].clone();
    assert_eq!((&tunnel["egress_iface"], &tunnel["state"]), (&"br-phy".into(), &"ready".into()));
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
        assert!(within(Duration::from_secs(3), || here.drops().contains_key("br-phy tx key")));
    });
    assert!(deltas.keys().any(|key| key.contains("key")), "{deltas:?}");
    assert_eq!(weft_tests::udp_echoes(&right, &left, "192.0.2.1:6081", 5, 100), 5);
}
