//! What the kernel knows of the way decides: several NICs, devices upon devices, next hops that move.

use std::time::Duration;

use weft_tests::{Flow, Host, Switch, cable_named, can_make_hosts, exchange, overlay, within};

/// Two hosts on two cables; each has its VTEP address on `lo`, and no route to the other's yet.
fn two_cables() -> (Host, Host) {
    let (left, right) = (Host::new("left"), Host::new("right"));
    for (device, net) in [("eth0", "192.0.2"), ("eth1", "198.51.100")] {
        cable_named(&left, device, &right, device);
        left.address(device, &format!("{net}.1/24"));
        right.address(device, &format!("{net}.2/24"));
    }
    for (host, last) in [(&left, 1), (&right, 2)] {
        host.address("lo", &format!("203.0.113.{last}/32"));
        // A cable without carrier is no way, as routing daemons have it.
        host.sh("sysctl -qw net.ipv4.conf.all.ignore_routes_with_linkdown=1");
    }
    (left, right)
}

/// The route of one of [`two_cables`] to the other's VTEP address, in the words of ip(8).
fn route(host: &Host, last: u8, way: &str) {
    let (other, way) = (3 - last, way.replace('#', &(3 - last).to_string()));
    host.sh(&format!("ip route replace 203.0.113.{other} src 203.0.113.{last} {way}"));
}

fn tunnels<'h>(left: &'h Host, right: &'h Host) -> [Switch<'h>; 2] {
    [(left, 1), (right, 2)].map(|(host, last)| {
        let switch = Switch::start(host);
        let kind = format!("gre options:local_ip=203.0.113.{last}");
        let remote = format!("203.0.113.{}", 3 - last);
        overlay(&switch, &kind, &remote, &format!("10.244.0.{last}/16"), 1400);
        switch
    })
}

const BOTH: &str = "nexthop via 192.0.2.# dev eth0 nexthop via 198.51.100.# dev eth1";

fn egress(switch: &Switch<'_>) -> String {
    let port = switch.port("tun0");
    let egress = port.pointer("/tunnel/egress_iface").and_then(|name| name.as_str());
    egress.unwrap_or("none").to_owned()
}

/// Packets go by one NIC and come by the other; when a cable is cut the rest of them go on.
#[test]
fn several_nics_carry_a_tunnel() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_cables();
    for (host, last) in [(&left, 1), (&right, 2)] {
        route(host, last, BOTH);
    }
    let [here, there] = tunnels(&left, &right);
    left.must_reach("10.244.0.2");
    // Whichever way the other end takes by its equal routes, it is heard.
    for way in ["via 192.0.2.# dev eth0", "via 198.51.100.# dev eth1", BOTH] {
        let flow = Flow::start(&right, &left, "10.244.0.1:7001");
        route(&right, 2, way);
        std::thread::sleep(Duration::from_millis(300));
        let tally = flow.finish();
        assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{way}");
    }
    let flow = Flow::start(&left, &right, "10.244.0.2:7002");
    let cut = egress(&here);
    left.sh(&format!("ip link set {cut} down"));
    assert!(within(Duration::from_secs(5), || egress(&here) != cut), "{}", egress(&here));
    assert!(within(Duration::from_secs(5), || egress(&there) != cut), "{}", egress(&there));
    std::thread::sleep(Duration::from_millis(300));
    let tally = flow.finish();
    // One datagram goes each millisecond.
    assert!(tally.sent - tally.received < 1000, "{tally:?}");
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", 1400);
}

/// The way moves to another NIC and to another router, and a router's address to another machine.
/// The old way still works at that time, so nothing may be lost.
#[test]
fn a_moved_next_hop_loses_nothing() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_cables();
    for (host, last) in [(&left, 1), (&right, 2)] {
        route(host, last, "via 192.0.2.# dev eth0");
    }
    let [here, there] = tunnels(&left, &right);
    left.must_reach("10.244.0.2");
    let flow = Flow::start(&left, &right, "10.244.0.2:7001");
    let next_hop = |mac: &str| {
        let shown = || here.port("tun0")["tunnel"]["next_hop_mac"].as_str() == Some(mac);
        assert!(within(Duration::from_secs(5), shown), "{}", here.try_weft("show").stdout);
    };
    for (device, gateway) in [("eth1", "198.51.100.#"), ("eth0", "192.0.2.#")] {
        // The other end first: it still hears what comes by the old way, and a little later by the new.
        route(&right, 2, &format!("via {gateway} dev {device}"));
        assert!(within(Duration::from_secs(5), || egress(&there) == device), "{}", egress(&there));
        route(&left, 1, &format!("via {gateway} dev {device}"));
        next_hop(&right.mac(device));
        // Nothing is known of the neighbour any more.
        left.sh(&format!("ip neigh flush dev {device}"));
    }
    // The same address elsewhere on the wire, as when a standby router takes over.
    right.sh("ip link add mv0 link eth0 type macvlan mode bridge && ip link set mv0 up");
    let mac = right.mac("mv0");
    let announcement = format!(
        "Ether(dst=\"ff:ff:ff:ff:ff:ff\",src=\"{mac}\")/ARP(op=2,hwsrc=\"{mac}\",psrc=\"192.0.2.2\",\
         hwdst=\"ff:ff:ff:ff:ff:ff\",pdst=\"192.0.2.2\")"
    );
    // The kernel believes nobody who contradicts what it has heard in the last second.
    let is_taken_over = || {
        right.send_frame("eth0", &announcement);
        here.port("tun0")["tunnel"]["next_hop_mac"] == mac.as_str()
    };
    assert!(within(Duration::from_secs(10), is_taken_over), "the announcement is not heard");
    std::thread::sleep(Duration::from_millis(300));
    let tally = flow.finish();
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{:?}", here.drops());
}

/// RFC 8950: routers without IPv4 addresses on their links, as in many data centres.
#[test]
fn an_ipv6_gateway_leads_to_ipv4() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_cables();
    for (host, last) in [(&left, 1), (&right, 2)] {
        assert!(host.address6("eth0", &format!("fd00::{last}/64")), "no IPv6 in this kernel");
        route(host, last, "via inet6 fd00::# dev eth0");
    }
    let [here, _there] = tunnels(&left, &right);
    left.must_reach("10.244.0.2");
    assert_eq!(here.port("tun0")["tunnel"]["next_hop"], "fd00::2");
    assert_eq!(left.pings(20, "10.244.0.2"), 20);
}

/// An IPv6 address that the kernel still checks for being unique cannot be sent from: tunnels that were
/// made meanwhile have a source as soon as it may.
#[test]
fn an_address_that_is_still_being_checked_is_waited_for() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable_named(&left, "eth0", &right, "eth0");
    for host in [&left, &right] {
        host.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0");
    }
    right.sh("ip -6 addr add 2001:db8::2/64 dev eth0 nodad");
    left.sh("ip -6 addr add fe80::1/64 dev eth0 nodad && ip -6 addr add 2001:db8::1/64 dev eth0");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    // As in a script that sets the address and goes on: it is checked now, and for a second or two.
    left.sh("ip -6 addr del 2001:db8::1/64 dev eth0 && ip -6 addr add 2001:db8::1/64 dev eth0");
    overlay(&here, "geneve", "2001:db8::2", "10.244.0.1/16", 1400);
    overlay(&there, "geneve", "2001:db8::1", "10.244.0.2/16", 1400);
    let local = || here.port("tun0")["tunnel"]["local_ip"].as_str().map(str::to_owned);
    let is_ours = || local().as_deref() == Some("2001:db8::1");
    assert!(within(Duration::from_secs(10), is_ours), "{:?}", local());
    left.must_reach("10.244.0.2");
}

/// A bridge of the kernel, and a device on top of a NIC, have the VTEP address.
#[test]
fn devices_upon_devices_are_underlays() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable_named(&left, "eth0", &right, "eth0");
    left.sh("ip link add lan type bridge && ip link set eth0 master lan");
    left.address("lan", "192.0.2.1/24");
    right.sh("ip link add mv0 link eth0 type macvlan mode bridge");
    // Or eth0 answers for the address of mv0.
    right.sh("sysctl -qw net.ipv4.conf.all.arp_ignore=1");
    right.address("mv0", "192.0.2.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "vxlan", "192.0.2.2", "10.244.0.1/16", 1450);
    overlay(&there, "vxlan", "192.0.2.1", "10.244.0.2/16", 1450);
    exchange(&left, "10.244.0.1", &right, "10.244.0.2", 1450);
    assert_eq!((egress(&here).as_str(), egress(&there).as_str()), ("lan", "mv0"));
    // Another host on that bridge, with the kernel's own tunnel and partial checksums.
    let third = Host::new("third");
    cable_named(&left, "veth3", &third, "eth0");
    left.sh("ip link set veth3 master lan");
    third.address("eth0", "192.0.2.3/24");
    third.sh(
        "ip link add vx0 mtu 1450 type vxlan id 9 dstport 4789 local 192.0.2.3 remote 192.0.2.1 \
         dev eth0 udpcsum",
    );
    // Its super-frames come uncut through the kernel's bridge: no device on the way has to cut them.
    third.address("vx0", "10.244.0.3/16");
    here.vsctl(
        "add-port br0 tun1 -- set interface tun1 type=vxlan options:remote_ip=192.0.2.3 \
         options:key=9 options:csum=true",
    );
    exchange(&left, "10.244.0.1", &third, "10.244.0.3", 1450);
    assert_eq!(left.pings(5, "192.0.2.3"), 5);
}

/// Whatever is in the way has its words in `status` and in `weft show`, which go when it does.
#[test]
fn what_cannot_be_reached_says_why() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = two_cables();
    route(&left, 1, "via 192.0.2.# dev eth0");
    route(&right, 2, "via 192.0.2.# dev eth0");
    let [here, _there] = tunnels(&left, &right);
    let status = || {
        let words = "--if-exists get interface tun0 status:tunnel_unreachable";
        here.vsctl(words).trim_matches('"').to_owned()
    };
    let shown = || {
        let tunnel = here.port("tun0")["tunnel"].clone();
        let word = |key: &str| tunnel[key].as_str().unwrap_or_default().to_owned();
        (word("state"), word("reason"))
    };
    let is_well = || {
        left.must_reach("10.244.0.2");
        assert!(within(Duration::from_secs(3), || status().is_empty()), "{}", status());
        assert_eq!(shown(), ("ready".to_owned(), String::new()));
    };
    is_well();
    for (break_it, says, mend_it) in [
        ("ip route del 203.0.113.2", "no route to 203.0.113.2 from 203.0.113.1", ""),
        ("ip route replace blackhole 203.0.113.2", "no route to 203.0.113.2 from 203.0.113.1", ""),
        (
            "ip addr del 203.0.113.1/32 dev lo",
            "no route to 203.0.113.2 from 203.0.113.1",
            "ip addr add 203.0.113.1/32 dev lo",
        ),
        (
            "ip link set eth0 down",
            "no route to 203.0.113.2 from 203.0.113.1",
            "ip link set eth0 up",
        ),
        (
            "ip route replace 203.0.113.2 via 192.0.2.9 src 203.0.113.1",
            "192.0.2.9 does not answer on eth0",
            "",
        ),
        (
            "ip addr add 203.0.113.2/32 dev lo",
            "203.0.113.2 is an address of this host",
            "ip addr del 203.0.113.2/32 dev lo",
        ),
        (
            "ip route replace 203.0.113.2 dev lo src 203.0.113.1",
            "leaves by lo, which is no Ethernet device",
            "",
        ),
    ] {
        left.sh(break_it);
        let said = within(Duration::from_secs(8), || status().contains(says));
        assert!(said, "{break_it}: {:?} {:?}", status(), shown());
        assert_eq!((shown().0.as_str(), shown().1.contains(says)), ("unreachable", true));
        left.sh(&format!("{mend_it}\nip route del 203.0.113.2 2>/dev/null; true"));
        route(&left, 1, "via 192.0.2.# dev eth0");
        is_well();
    }
}
