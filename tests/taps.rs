//! What a packet tap on a port sees, and what that does to the traffic.

use std::thread;
use std::time::Duration;

use weft_tests::{Flow, Host, Switch, can_make_hosts, introduce, tcp_transfer, within};

fn is_tapped(switch: &Switch<'_>, port: &str) -> bool {
    switch.port(port).get("tapped").is_some_and(|tapped| *tapped == true)
}

fn becomes_tapped(switch: &Switch<'_>, port: &str, wanted: bool) {
    let became = within(Duration::from_secs(10), || is_tapped(switch, port) == wanted);
    assert!(became, "{port}: {}", switch.port(port));
}

/// Whether frames pass by the kernel's stack, where a tap on all devices would see them come in.
fn af_xdp_is_used(host: &Host, a: &Host) -> bool {
    let seen = host.spawn("timeout 2 tcpdump -nn -i any icmp and inbound");
    seen.wait_for("listening on");
    assert_eq!(a.pings(3, "10.0.0.2"), 3);
    !seen.finish().contains("ICMP echo")
}

/// tcpdump on a port sees requests and replies, whichever way they go; without it the frames go by
/// `AF_XDP`, before and after.
#[test]
fn tcpdump_on_a_port_sees_both_directions() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    assert!(!is_tapped(&switch, "veth1") && af_xdp_is_used(&host, &a));

    let pins = switch.pins();

    let seen = host.spawn("timeout 20 tcpdump -l -nn -i veth1 -c 40 icmp");
    seen.wait_for("listening");
    becomes_tapped(&switch, "veth1", true);
    assert!(!is_tapped(&switch, "veth2"), "nobody listens on veth2");
    assert_eq!((a.pings(10, "10.0.0.2"), b.pings(10, "10.0.0.1")), (10, 10));
    let text = seen.finish();
    for line in [
        "10.0.0.1 > 10.0.0.2: ICMP echo request",
        "10.0.0.2 > 10.0.0.1: ICMP echo reply",
        "10.0.0.2 > 10.0.0.1: ICMP echo request",
        "10.0.0.1 > 10.0.0.2: ICMP echo reply",
    ] {
        assert_eq!(text.matches(line).count(), 10, "{line} in\n{text}");
    }
    becomes_tapped(&switch, "veth1", false);
    let again = within(Duration::from_secs(5), || af_xdp_is_used(&host, &a));
    assert!(again, "the port does not return to AF_XDP");
    assert_eq!(switch.pins(), pins, "the XDP programs stay where they are");
    assert!(switch.drops().is_empty(), "{:?}", switch.drops());
}

/// Tags, in both directions, are where the wire has them: the kernel keeps them beside the frame.
#[test]
fn tags_are_seen_and_kept() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let trunk = switch.plug("br0", "veth1", "");
    let access = switch.plug("br0", "veth2", "10.0.0.2/24");
    switch.vsctl("set port veth2 tag=100");
    trunk.sh("ip link set eth0 up");
    let seen = host.spawn("timeout 20 tcpdump -l -nn -e -i veth1 -c 2 vlan 100");
    seen.wait_for("listening");
    becomes_tapped(&switch, "veth1", true);
    let arrived = access.spawn("timeout 20 tcpdump -l -nn -e -i eth0 -c 1 ether proto 0x88b5");
    arrived.wait_for("listening");
    let frame = "Ether(src=\"02:00:00:00:00:11\",dst=\"ff:ff:ff:ff:ff:ff\")/\
                 Dot1Q(vlan=100,prio=3,type=0x88b5)/(b\"x\"*46)";
    trunk.send_frame("eth0", frame);
    let text = arrived.finish();
    assert!(text.contains("02:00:00:00:00:11 > ff:ff:ff:ff:ff:ff, ethertype Unknown (0x88b5)"));
    let answered = trunk.spawn(
        "timeout 20 tcpdump -l -nn -e -i eth0 -c 1 vlan 100 and ether dst 02:00:00:00:00:11",
    );
    answered.wait_for("listening");
    access.send_frame("eth0", "Ether(dst=\"02:00:00:00:00:11\",type=0x88b5)/(b\"y\"*46)");
    let text = answered.finish();
    assert!(text.contains("> 02:00:00:00:00:11, ethertype 802.1Q (0x8100)"), "{text}");
    let text = seen.finish();
    assert!(text.contains("vlan 100, p 3, ethertype Unknown (0x88b5)"), "{text}");
    assert!(text.contains("> 02:00:00:00:00:11"), "{text}");
}

/// A steady flow loses at most 5 of its datagrams, one a millisecond, while a tap comes and goes
/// three times, and none arrives twice.
#[test]
fn taps_come_and_go_under_traffic() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let flow = Flow::start(&a, &b, "10.0.0.2:5001");
    for _ in 0..3 {
        let taps = ["veth1", "veth2"]
            .map(|port| host.spawn(&format!("tcpdump -nn -i {port} -w /dev/null")));
        becomes_tapped(&switch, "veth1", true);
        becomes_tapped(&switch, "veth2", true);
        thread::sleep(Duration::from_millis(300));
        drop(taps);
        becomes_tapped(&switch, "veth1", false);
        becomes_tapped(&switch, "veth2", false);
        thread::sleep(Duration::from_millis(300));
    }
    let tally = flow.finish();
    let lost = tally.sent - tally.received;
    assert!(lost <= 5 && tally.duplicates == 0, "{tally:?}, {:?}", switch.missed());
}

/// No datagram overtakes another, of thousands that are under way, while taps come and go.
#[test]
fn taps_keep_the_order_of_frames() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    // A thread that moves from one processor to another may overtake itself in the kernel.
    switch.vsctl("set open . other_config:pmd-cpu-mask=0x1");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    a.must_reach("10.0.0.2");
    let flow = Flow::start_with(&a, &b, "10.0.0.2:5001", 100);
    for _ in 0..5 {
        let taps = ["veth1", "veth2"]
            .map(|port| host.spawn(&format!("tcpdump -nn -i {port} -w /dev/null")));
        becomes_tapped(&switch, "veth1", true);
        becomes_tapped(&switch, "veth2", true);
        drop(taps);
        becomes_tapped(&switch, "veth1", false);
        becomes_tapped(&switch, "veth2", false);
    }
    let tally = flow.finish();
    assert!(tally.received > 10_000, "{tally:?}");
    assert_eq!((tally.overtaken, tally.duplicates), (0, 0), "{tally:?}, {:?}", switch.missed());
}

/// TCP, with checksums that the senders left to others and super-frames that the kernel put together,
/// is whole while both ports are tapped.
#[test]
fn tcp_is_whole_on_tapped_ports() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    host.address("br0", "10.0.0.9/24");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let _taps =
        ["veth1", "veth2"].map(|port| host.spawn(&format!("tcpdump -nn -i {port} -w /dev/null")));
    becomes_tapped(&switch, "veth1", true);
    becomes_tapped(&switch, "veth2", true);
    tcp_transfer(&a, &b, "10.0.0.2:5001", 20_000_000);
    tcp_transfer(&b, &a, "10.0.0.1:5001", 20_000_000);
    tcp_transfer(&a, &host, "10.0.0.9:5001", 5_000_000);
    tcp_transfer(&host, &b, "10.0.0.2:5002", 5_000_000);
    for place in [&a, &b, &host] {
        assert_eq!(place.checksum_errors(), 0, "{}", place.name());
    }
}

/// The host's stack stays out of it, though it sees every frame up to the taps.
#[test]
fn the_host_never_answers_on_a_tapped_port() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    // An address of the port itself: nothing but the shield keeps the host from answering.
    host.sh("ip addr add 10.0.0.77/24 dev veth1");
    assert!(!a.reaches("10.0.0.77"), "not tapped");
    let seen = host.spawn("timeout 30 tcpdump -l -nn -i veth1");
    seen.wait_for("listening");
    becomes_tapped(&switch, "veth1", true);
    assert!(!a.reaches("10.0.0.77"), "the host answered ARP on a tapped port");
    a.knows("eth0", "10.0.0.77", &host.mac("veth1"));
    assert!(!a.reaches("10.0.0.77"), "the host answered a ping on a tapped port");
    assert!(seen.output().contains("10.0.0.1 > 10.0.0.77: ICMP echo request"), "{}", seen.output());
    assert!(!seen.output().contains("echo reply"), "{}", seen.output());
    drop(seen);
    becomes_tapped(&switch, "veth1", false);
    assert!(!a.reaches("10.0.0.77"), "the host answered after the tap");
}

/// A port with a tap can be removed and added again, and weftd can die meanwhile.
#[test]
fn a_tapped_port_can_go() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let _tap = host.spawn("tcpdump -nn -i veth1 -w /dev/null");
    becomes_tapped(&switch, "veth1", true);
    switch.vsctl("del-port br0 veth1");
    host.address("veth1", "10.0.0.9/24");
    a.must_reach("10.0.0.9");
    host.sh("ip addr flush dev veth1");
    switch.vsctl("add-port br0 veth1");
    becomes_tapped(&switch, "veth1", true);
    a.must_reach("10.0.0.2");
    let switch = switch.kill_hard().start_again();
    becomes_tapped(&switch, "veth1", true);
    a.must_reach("10.0.0.2");
}

/// The kernel joins TCP segments before the taps see them, inside of tunnels too: what is joined is
/// cut again, or not joined at all.
#[test]
fn tunnels_of_others_cross_a_tapped_port() {
    if !can_make_hosts() {
        return;
    }
    let middle = Host::new("middle");
    let between = Switch::with_bridge(&middle);
    let left = between.plug("br0", "veth1", "192.0.2.1/24");
    let right = between.plug("br0", "veth2", "192.0.2.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    for (switch, remote, address) in
        [(&here, "192.0.2.2", "10.0.0.1/24"), (&there, "192.0.2.1", "10.0.0.2/24")]
    {
        switch.vsctl(&format!(
            "add-br br0 -- add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip={remote}"
        ));
        switch.host().sh("ip link set br0 mtu 1400");
        switch.host().address("br0", address);
    }
    left.must_reach("10.0.0.2");
    let seen = middle.spawn("timeout 60 tcpdump -l -nn -i veth1 proto gre");
    becomes_tapped(&between, "veth1", true);
    tcp_transfer(&left, &right, "10.0.0.2:5001", 10_000_000);
    tcp_transfer(&right, &left, "10.0.0.1:5001", 10_000_000);
    assert!(seen.output().contains("192.0.2.2 > 192.0.2.1: GREv0"), "nothing was seen");
    assert_eq!((left.checksum_errors(), right.checksum_errors()), (0, 0));
    assert!(between.drops().is_empty(), "{:?}", between.drops());
}
