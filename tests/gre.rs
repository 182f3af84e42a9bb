//! GRE tunnels between two weftd, and between weftd and stock Open vSwitch.

use weft_tests::{
    Host, Switch, Underlay, between_two_switches, can_make_hosts, exchange, overlay, tcp_transfer,
    udp_echoes, with_a_stock_peer, within,
};

/// What GRE leaves of an underlay MTU of 1500: IPv4 20, GRE 4, inner Ethernet 14.
const INNER_MTU: u32 = 1462;

#[test]
fn hosts_talk_through_the_tunnel_with_default_offloads() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", INNER_MTU);
    overlay(&there, "gre", "192.0.2.1", "10.244.0.2/16", INNER_MTU);
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", INNER_MTU);
    let tunnel = &here.port("tun0")["tunnel"];
    assert_eq!(tunnel["effective_mtu"], INNER_MTU);
    assert_eq!(tunnel["local_ip"], "192.0.2.1");
    assert_eq!(tunnel["egress_iface"], "eth0");
    assert_eq!(tunnel["next_hop_mac"], right.mac("eth0"));
    assert_eq!(tunnel["state"], "ready");
    assert_eq!(
        here.vsctl("get interface tun0 status:tunnel_egress_iface"),
        "eth0",
        "OVN reads this"
    );
}

#[test]
fn guests_on_veth_ports_talk_through_the_tunnel_with_default_offloads() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", INNER_MTU);
    overlay(&there, "gre", "192.0.2.1", "10.244.0.2/16", INNER_MTU);
    let a = here.plug("br0", "veth1", "10.244.1.1/16");
    let b = there.plug("br0", "veth1", "10.244.1.2/16");
    for guest in [&a, &b] {
        guest.sh(&format!("ip link set eth0 mtu {INNER_MTU}"));
    }
    exchange(&a, "10.244.1.1", &b, "10.244.1.2", INNER_MTU);
    exchange(&left, "10.244.0.1", &b, "10.244.1.2", INNER_MTU);
}

/// The same inside IPv6: other pseudo-headers, other checksum rules.
#[test]
fn ipv6_guests_talk_through_the_tunnel_with_default_offloads() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", INNER_MTU);
    overlay(&there, "gre", "192.0.2.1", "10.244.0.2/16", INNER_MTU);
    let a = here.plug("br0", "veth1", "");
    let b = there.plug("br0", "veth1", "");
    for (guest, cidr) in [(&a, "fd00::1/64"), (&b, "fd00::2/64")] {
        guest.sh(&format!("ip link set eth0 up mtu {INNER_MTU}"));
        assert!(guest.address6("eth0", cidr), "no IPv6 in this kernel");
    }
    assert!(right.address6("br0", "fd00::3/64"));
    a.must_reach("fd00::2");
    a.must_reach("fd00::3");
    tcp_transfer(&a, &b, "[fd00::2]:5001", 10_000_000);
    tcp_transfer(&b, &a, "[fd00::1]:5001", 10_000_000);
    tcp_transfer(&a, &right, "[fd00::3]:5001", 10_000_000);
    tcp_transfer(&right, &a, "[fd00::1]:5003", 10_000_000);
    for bytes in [1, 500, 1400] {
        assert_eq!(udp_echoes(&a, &b, "[fd00::2]:5002", 20, bytes), 20, "{bytes} bytes");
    }
    assert_eq!((a.checksum_errors(), b.checksum_errors(), right.checksum_errors()), (0, 0, 0));
}

/// Key and checksum options are on the wire, and both ends still agree.
#[test]
fn a_key_and_a_checksum_are_on_the_wire() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    let options = "gre options:key=4660 options:csum=true";
    overlay(&here, options, "192.0.2.2", "10.244.0.1/16", 1420);
    overlay(&there, options, "192.0.2.1", "10.244.0.2/16", 1420);
    left.must_reach("10.244.0.2");
    // Frames that AF_XDP takes or sends pass by the kernel's taps: look at them from the outside.
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", 1420);
    // Two underlay hosts cannot watch each other, so a third switch-less host plays the far end.
    let watcher = Host::new("watcher");
    weft_tests::cable_named(&left, "eth1", &watcher, "eth0");
    left.address("eth1", "198.51.100.1/24");
    watcher.address("eth0", "198.51.100.2/24");
    here.vsctl(
        "add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip=198.51.100.2 \
         options:key=4660 options:csum=true",
    );
    let wire = watcher.spawn("tcpdump -l -nne -vv -c 1 -i eth0 proto gre");
    wire.wait_for("listening");
    let _ = left.try_sh("ping -c 1 -W 1 10.244.9.9");
    let seen = wire.finish();
    for expected in [
        "198.51.100.1 > 198.51.100.2: GREv0",
        "Flags [checksum present, key present]",
        "key=0x1234",
        "proto TEB (0x6558)",
        "flags [DF]",
        "ttl 64",
    ] {
        assert!(seen.contains(expected), "no '{expected}' in {seen}");
    }
    assert!(!seen.contains("bad"), "{seen}");
}

/// Two tunnels between the same hosts, told apart by their keys; a key that nobody has is counted.
#[test]
fn keys_keep_overlays_apart() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "gre options:key=100", "192.0.2.2", "10.244.0.1/16", 1420);
    overlay(&there, "gre options:key=100", "192.0.2.1", "10.244.0.2/16", 1420);
    for (switch, remote, cidr) in
        [(&here, "192.0.2.2", "10.245.0.1/16"), (&there, "192.0.2.1", "10.245.0.2/16")]
    {
        switch.vsctl("add-br br1");
        switch.vsctl(&format!(
            "add-port br1 gre1 -- set interface gre1 type=gre options:remote_ip={remote} \
             options:key=200"
        ));
        switch.host().sh("ip link set br1 mtu 1420");
        switch.host().address("br1", cidr);
    }
    left.must_reach("10.244.0.2");
    left.must_reach("10.245.0.2");
    let moved = there.deltas(|| assert_eq!(left.pings(10, "10.245.0.2"), 10));
    assert!(
        !moved.keys().any(|name| name.starts_with("tun0") || name.starts_with("br0")),
        "{moved:?}"
    );
    assert!(moved.get("gre1 rx_frames").is_some_and(|frames| *frames >= 10), "{moved:?}");

    there.vsctl("set interface gre1 options:key=201");
    assert!(!left.reaches("10.245.0.2"));
    let counted = within(std::time::Duration::from_secs(10), || {
        let state = there.weft_json("show");
        state["underlays"][0]["drops"]["key"].as_u64().unwrap_or(0) > 0
            || there.drops().keys().any(|name| name.ends_with(" key"))
    });
    assert!(counted, "a frame with a foreign key is not counted: {:?}", there.drops());
    assert_eq!(left.pings(10, "10.244.0.2"), 10, "the other tunnel suffers");
}

/// A line of three: what comes in on one tunnel goes out of the other.
#[test]
fn a_line_of_tunnels_carries_end_to_end() {
    if !can_make_hosts() {
        return;
    }
    let (left, middle, right) = (Host::new("left"), Host::new("middle"), Host::new("right"));
    weft_tests::cable_named(&left, "eth0", &middle, "eth0");
    weft_tests::cable_named(&right, "eth0", &middle, "eth1");
    left.address("eth0", "192.0.2.1/24");
    middle.address("eth0", "192.0.2.2/24");
    middle.address("eth1", "198.51.100.2/24");
    right.address("eth0", "198.51.100.3/24");
    let switches = [&left, &middle, &right].map(Switch::start);
    let [a, b, c] = &switches;
    overlay(a, "gre", "192.0.2.2", "10.244.0.1/16", 1420);
    overlay(b, "gre", "192.0.2.1", "10.244.0.2/16", 1420);
    overlay(c, "gre", "198.51.100.2", "10.244.0.3/16", 1420);
    b.vsctl("add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip=198.51.100.3");
    exchange(&left, "10.244.0.1", &right, "10.244.0.3", 1420);
}

#[test]
fn a_stock_switch_is_a_peer() {
    if can_make_hosts() {
        with_a_stock_peer("gre", Underlay::V4, INNER_MTU);
    }
}

#[test]
fn a_stock_switch_is_a_peer_with_a_key() {
    if can_make_hosts() {
        with_a_stock_peer("gre options:key=77", Underlay::V4, INNER_MTU - 4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_over_ipv6() {
    if can_make_hosts() {
        with_a_stock_peer("gre", Underlay::V6, INNER_MTU - 20);
    }
}

#[test]
fn a_stock_switch_is_a_peer_with_a_checksum() {
    if can_make_hosts() {
        with_a_stock_peer("gre options:csum=true", Underlay::V4, INNER_MTU - 4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_with_key_and_checksum() {
    if can_make_hosts() {
        let options = "gre options:key=77 options:csum=true options:tos=inherit";
        with_a_stock_peer(options, Underlay::V4, INNER_MTU - 8);
    }
}

/// Not with checksums as well: Open vSwitch 3.1 numbers its packets after it has summed them.
#[test]
fn a_stock_switch_is_a_peer_with_sequence_numbers() {
    if can_make_hosts() {
        with_a_stock_peer("gre options:seq=true", Underlay::V4, INNER_MTU - 4);
    }
}

#[test]
fn a_stock_switch_is_a_peer_over_ipv6_with_a_checksum() {
    if can_make_hosts() {
        with_a_stock_peer("ip6gre options:csum=true", Underlay::V6, INNER_MTU - 24);
    }
}

#[test]
fn a_stock_switch_is_a_peer_over_ipv6_with_a_key() {
    if can_make_hosts() {
        with_a_stock_peer("gre options:key=77", Underlay::V6, INNER_MTU - 24);
    }
}

/// `key=flow` sends a key field with 0, as stock does, and takes any.
#[test]
fn a_stock_switch_is_a_peer_with_keys_of_flows() {
    if can_make_hosts() {
        with_a_stock_peer("gre options:key=flow", Underlay::V4, INNER_MTU - 4);
    }
}

#[test]
fn two_switches_talk_over_ipv6_with_sequence_numbers() {
    if can_make_hosts() {
        let tunnel = between_two_switches("gre options:seq=true", Underlay::V6, INNER_MTU - 24);
        assert_eq!(tunnel["effective_mtu"], INNER_MTU - 24);
    }
}
