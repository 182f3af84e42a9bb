//! VXLAN tunnels between two weftd, and between weftd and other implementations: stock Open vSwitch
//! and the Linux kernel's device.

use std::collections::BTreeSet;
use std::time::Duration;
use weft_tests::{
    Host, Switch, Underlay, between_two_switches, cable_named, can_make_hosts, exchange, overlay,
    with_a_stock_peer, within,
};

/// What VXLAN leaves of an underlay MTU of 1500: IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14.
const MTU_V4: u32 = 1450;
const MTU_V6: u32 = 1430;

#[test]
fn two_switches_talk() {
    if can_make_hosts() {
        let options = "vxlan options:key=7 options:dst_port=4790 options:csum=true";
        let tunnel = between_two_switches(options, Underlay::V4, MTU_V4);
        assert_eq!(tunnel["effective_mtu"], MTU_V4);
    }
}

/// RFC 6935: both ends are told to do without the checksum.
#[test]
fn two_switches_talk_over_ipv6_without_checksums() {
    if can_make_hosts() {
        between_two_switches("vxlan options:csum=false", Underlay::V6, MTU_V6);
    }
}

#[test]
fn a_stock_switch_is_a_peer() {
    if can_make_hosts() {
        with_a_stock_peer("vxlan options:key=100", Underlay::V4, MTU_V4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_with_checksums() {
    if can_make_hosts() {
        with_a_stock_peer("vxlan options:csum=true options:dst_port=8472", Underlay::V4, MTU_V4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_over_ipv6() {
    if can_make_hosts() {
        with_a_stock_peer("vxlan options:key=5", Underlay::V6, MTU_V6);
    }
}

/// The kernel's device at the other end, with the offloads that a veth has: what comes from there
/// carries partial checksums, inside and outside.
fn with_the_kernel(device_options: &str, options: &str, underlay: Underlay, mtu: u32) {
    let (left, right) = underlay.hosts();
    let here = Switch::start(&left);
    let [near, far] = underlay.ends();
    // Before the other end sends anything: a host takes UDP over IPv6 without a checksum for an error.
    overlay(&here, &format!("vxlan options:key=42 {options}"), far, "10.244.0.1/16", mtu);
    right.sh(&format!(
        "ip link add vx0 mtu {mtu} type vxlan id 42 dstport 4789 local {far} remote {near} \
         dev eth0 {device_options}"
    ));
    right.address("vx0", "10.244.0.2/16");
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", mtu);
    if device_options.contains("udp6zerocsumtx") {
        takes_no_checksums(&here);
    }
}

/// Waits until the database says that the tunnel took packets without a UDP checksum.
#[track_caller]
fn takes_no_checksums(switch: &Switch<'_>) {
    let taken = || switch.vsctl("get interface tun0 statistics:rx_udp6_zero");
    assert!(within(Duration::from_secs(20), || taken() != "0"), "{}", taken());
}

#[test]
fn the_kernel_is_a_peer() {
    if can_make_hosts() {
        with_the_kernel("", "", Underlay::V4, MTU_V4);
    }
}

#[test]
fn the_kernel_is_a_peer_with_checksums() {
    if can_make_hosts() {
        with_the_kernel("udpcsum", "options:csum=true", Underlay::V4, MTU_V4);
    }
}

#[test]
fn the_kernel_is_a_peer_over_ipv6() {
    if can_make_hosts() {
        with_the_kernel("", "", Underlay::V6, MTU_V6);
    }
}

/// RFC 6936: the other end sends without the checksum and wants one.
#[test]
fn the_kernel_is_a_peer_over_ipv6_that_sends_no_checksums() {
    if can_make_hosts() {
        with_the_kernel("udp6zerocsumtx", "", Underlay::V6, MTU_V6);
        with_the_kernel("udp6zerocsumtx", "options:csum=true", Underlay::V6, MTU_V6);
    }
}

/// Several UDP ports and VNIs at once; flows leave from ports of their own, which stay theirs.
#[test]
fn flows_have_source_ports_of_their_own() {
    if !can_make_hosts() {
        return;
    }
    let (left, watcher) = (Host::new("left"), Host::new("watcher"));
    cable_named(&left, "eth0", &watcher, "eth0");
    left.address("eth0", "192.0.2.1/24");
    watcher.address("eth0", "192.0.2.2/24");
    let here = Switch::start(&left);
    overlay(&here, "vxlan options:key=1", "192.0.2.2", "10.244.0.1/16", MTU_V4);
    here.vsctl(
        "add-port br0 vx1 -- set interface vx1 type=vxlan options:remote_ip=192.0.2.2 \
         options:dst_port=4790",
    );
    left.knows("br0", "10.244.0.9", "02:00:00:00:00:99");
    let range =
        |words: &str| here.appctl(&format!("tnl/egress_port_range {words}")).trim_end().to_owned();
    assert_eq!(range(""), "Tunnel UDP source port range: 32768-61000");
    assert_eq!((range("0 5"), range("5 70000")), ("Invalid min.".into(), "Invalid max.".into()));
    assert_eq!(range("45000 40000"), "OK");
    assert_eq!(range(""), "Tunnel UDP source port range: 40000-45000");
    let wire = watcher.spawn("tcpdump -l -nn -c 64 -i eth0 udp dst port 4789 or udp dst port 4790");
    wire.wait_for("listening");
    // 16 flows, each of two datagrams, each to two tunnels.
    for _ in 0..2 {
        for port in 0..16 {
            left.sh(&format!("echo x | socat -u - UDP:10.244.0.9:{},sourceport=2000", 3000 + port));
        }
    }
    let seen = wire.finish();
    let sources = |target: &str| -> Vec<u16> {
        let lines = seen.lines().filter(|line| line.contains(target));
        lines.filter_map(|line| line.split_once(" >")?.0.rsplit_once('.')?.1.parse().ok()).collect()
    };
    for target in ["192.0.2.2.4789", "192.0.2.2.4790"] {
        let ports = sources(target);
        assert!(ports.len() >= 30, "{target}: {seen}");
        assert!(ports.iter().all(|port| (40000..=45000).contains(port)), "{ports:?}");
        let different: BTreeSet<_> = ports.iter().collect();
        // 16 numbers out of 5,001: two that meet are possible, many are not.
        assert!((11..=20).contains(&different.len()), "{target}: {ports:?}");
    }
}
