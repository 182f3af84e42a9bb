//! Frames larger than a chunk, end to end: between NICs, through tunnels, to and from the host.

use std::thread;
use std::time::Duration;

use weft_tests::{Flow, Host, Switch, Underlay, cable_named, can_make_hosts, tcp_transfer, within};

/// A guest whose cable carries 9000 bytes.
fn plug(switch: &Switch<'_>, port: &str, cidr: &str) -> Host {
    let guest = Host::new(port);
    cable_named(switch.host(), port, &guest, "eth0");
    switch.host().sh(&format!("ip link set {port} mtu 9000"));
    guest.sh("ip link set eth0 mtu 9000");
    guest.address("eth0", cidr);
    switch.vsctl(&format!("add-port br0 {port}"));
    guest
}

fn largest_ping(from: &Host, address: &str, mtu: u32) -> bool {
    from.try_sh(&format!("ping -n -c 2 -i 0.2 -W 2 -M do -s {} {address}", mtu - 28)).ok()
}

fn error(switch: &Switch<'_>, port: &str) -> String {
    switch.vsctl(&format!("get interface {port} error"))
}

/// 9000 bytes cross a bridge, also when flooded, also to and from an internal port, and are whole.
#[test]
fn a_bridge_of_jumbo_ports_carries_9000() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = plug(&switch, "veth1", "10.0.0.1/24");
    let b = plug(&switch, "veth2", "10.0.0.2/24");
    let c = plug(&switch, "veth3", "10.0.0.3/24");
    host.address("br0", "10.0.0.9/24");
    let follows = || host.sh("cat /sys/class/net/br0/mtu").trim() == "9000";
    assert!(within(Duration::from_secs(5), follows), "br0 does not follow its ports");
    a.must_reach("10.0.0.2");
    for (from, to) in [(&a, "10.0.0.2"), (&b, "10.0.0.3"), (&a, "10.0.0.9"), (&host, "10.0.0.3")] {
        assert!(largest_ping(from, to, 9000), "{} to {to}", from.name());
    }
    // Unknown unicast is flooded: all have it.
    let before = [b.rx_frames("eth0"), c.rx_frames("eth0")];
    a.send_frame("eth0", "Ether(dst=\"02:00:00:00:00:99\",type=0x88b5)/(b\"x\"*8986)");
    let came = || b.rx_frames("eth0") > before[0] && c.rx_frames("eth0") > before[1];
    assert!(within(Duration::from_secs(10), came), "the flood is not whole");
    tcp_transfer(&a, &b, "10.0.0.2:5001", 20_000_000);
    tcp_transfer(&b, &host, "10.0.0.9:5001", 20_000_000);
    tcp_transfer(&host, &c, "10.0.0.3:5001", 20_000_000);
    for place in [&a, &b, &c, &host] {
        assert_eq!(place.checksum_errors(), 0, "{}", place.name());
    }
    assert!(switch.drops().is_empty(), "{:?}", switch.drops());
}

/// A tunnel over an underlay of 9000 carries what is left of it, and says so to what is larger; also
/// when it is flooded, and to and from the host.
fn tunnel_over_a_jumbo_underlay(kind: &str, underlay: Underlay, mtu: u32) {
    let (left, right) = underlay.hosts();
    for host in [&left, &right] {
        host.sh("ip link set eth0 mtu 9000");
    }
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    let [near, far] = underlay.ends();
    for (switch, remote) in [(&here, far), (&there, near)] {
        switch.vsctl(&format!(
            "add-br br0 -- add-port br0 tun0 -- set interface tun0 type={kind} \
             options:remote_ip=\\\"{remote}\\\""
        ));
    }
    let a = plug(&here, "veth1", "10.0.0.1/24");
    let b = plug(&there, "veth1", "10.0.0.2/24");
    let c = plug(&there, "veth2", "10.0.0.3/24");
    for (host, cidr) in [(&left, "10.0.0.8/24"), (&right, "10.0.0.9/24")] {
        host.address("br0", cidr);
        let read = || host.sh("cat /sys/class/net/br0/mtu").trim().to_owned();
        assert!(within(Duration::from_secs(5), || read() == mtu.to_string()), "{kind}: {}", read());
    }
    a.must_reach("10.0.0.2");
    left.must_reach("10.0.0.9");
    for (from, to) in [(&a, "10.0.0.2"), (&b, "10.0.0.1"), (&left, "10.0.0.9"), (&a, "10.0.0.9")] {
        assert!(largest_ping(from, to, mtu), "{kind}, {to}: {:?}", here.drops());
    }
    assert!(!largest_ping(&a, "10.0.0.2", mtu + 1), "{kind}: more than the underlay carries");
    // Unknown unicast: all at the other end have it, the host too.
    right.sh("ip link set br0 promisc on");
    let before = [b.rx_frames("eth0"), c.rx_frames("eth0"), right.rx_frames("br0")];
    a.send_frame("eth0", &format!("Ether(dst=\"02:00:00:00:00:99\",type=0x88b5)/(b\"x\"*{mtu})"));
    let after = || [b.rx_frames("eth0"), c.rx_frames("eth0"), right.rx_frames("br0")];
    let came = || after().iter().zip(before).all(|(after, before)| *after > before);
    assert!(within(Duration::from_secs(3), came), "{kind}: {before:?} {:?}", after());
    tcp_transfer(&a, &b, "10.0.0.2:5001", 20_000_000);
    tcp_transfer(&left, &b, "10.0.0.2:5002", 20_000_000);
    tcp_transfer(&b, &left, "10.0.0.8:5002", 20_000_000);
    for host in [&a, &b, &left, &right] {
        assert_eq!(host.checksum_errors(), 0, "{kind}, {}", host.name());
    }
}

#[test]
fn gre_over_a_jumbo_underlay_carries_8962() {
    if can_make_hosts() {
        // IPv4 20, GRE 4, Ethernet 14.
        tunnel_over_a_jumbo_underlay("gre", Underlay::V4, 8962);
    }
}

#[test]
fn geneve_over_a_jumbo_underlay_of_ipv6_carries_8930() {
    if can_make_hosts() {
        // IPv6 40, UDP 8, Geneve 8, Ethernet 14.
        tunnel_over_a_jumbo_underlay("geneve options:key=7", Underlay::V6, 8930);
    }
}

#[test]
fn vxlan_over_a_jumbo_underlay_carries_8950() {
    if can_make_hosts() {
        tunnel_over_a_jumbo_underlay("vxlan options:csum=true", Underlay::V4, 8950);
    }
}

/// An MTU that is raised while the port is in use works a moment later; one that is beyond all buffers is
/// an error that says which works, and ends when the MTU is right.
#[test]
fn an_mtu_raised_later_is_looked_at() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    // The kernel lets neither end of a cable be raised while a program without frags is on the other.
    for guest in [&a, &b] {
        guest.sh("ip link set eth0 mtu 9000");
    }
    for port in ["veth1", "veth2"] {
        host.sh(&format!("ip link set {port} mtu 9000"));
    }
    let works = || largest_ping(&a, "10.0.0.2", 9000);
    assert!(within(Duration::from_secs(10), works), "{}", switch.try_weft("show").stdout);
    assert_eq!(error(&switch, "veth1"), "[]");
    host.sh("ip link set veth1 mtu 20000");
    let refused = || error(&switch, "veth1").contains("at most 15914 works");
    assert!(within(Duration::from_secs(5), refused), "{}", error(&switch, "veth1"));
    host.sh("ip link set veth1 mtu 9000");
    switch.vsctl("set interface veth1 external-ids:again=1");
    assert!(within(Duration::from_secs(15), works), "{}", error(&switch, "veth1"));
}

/// Small and large frames in turn: nothing is lost to the buffers of the other kind.
#[test]
fn small_and_large_frames_share_a_port() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = plug(&switch, "veth1", "10.0.0.1/24");
    let b = plug(&switch, "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let flow = Flow::start(&a, &b, "10.0.0.2:5001");
    assert_eq!(
        a.try_sh("ping -q -n -f -c 3000 -s 8972 10.0.0.2 | grep -c ' 0% packet loss'").stdout,
        "1\n"
    );
    thread::sleep(Duration::from_millis(200));
    let tally = flow.finish();
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{:?}", switch.missed());
}
