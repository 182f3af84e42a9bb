//! Frames for a tunnel whose next hop is not known yet wait for it; they are not lost.

use std::time::Duration;

use weft_tests::{Host, Switch, cable, can_make_hosts, within};

#[test]
fn the_first_ping_is_not_lost() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable(&left, &right);
    left.address("eth0", "192.0.2.1/24");
    right.address("eth0", "192.0.2.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    for (switch, remote, inner) in
        [(&here, "192.0.2.2", "10.244.0.1/16"), (&there, "192.0.2.1", "10.244.0.2/16")]
    {
        switch.vsctl("add-br br0");
        switch.vsctl(&format!(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={remote}"
        ));
        switch.host().sh("ip link set br0 mtu 1420");
        switch.host().address("br0", inner);
    }
    // Nobody has spoken yet: inner ARP and the echo request both wait for the outer neighbour.
    // The kernel repeats an ARP request after one second; the frame must wait that long, too.
    let first_ping = || left.try_sh("ping -n -c 1 -W 3 10.244.0.2").ok();
    assert!(first_ping(), "the very first ping is lost");
    left.knows("br0", "10.244.0.2", &right.mac("br0"));
    right.knows("br0", "10.244.0.1", &left.mac("br0"));
    for round in 0..5 {
        left.sh("ip neigh flush dev eth0");
        right.sh("ip neigh flush dev eth0");
        std::thread::sleep(Duration::from_millis(200));
        assert!(first_ping(), "round {round}");
    }
}

/// A next hop that never answers: frames are given up with a reason, and the tunnel says so; when
/// it appears, traffic flows by itself.
#[test]
fn a_silent_next_hop_is_reported_and_recovers() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable(&left, &right);
    left.address("eth0", "192.0.2.1/24");
    // By itself the kernel would believe in a neighbour that it has heard of for the time of this test.
    left.sh("sysctl -qw net.ipv4.neigh.eth0.base_reachable_time_ms=3600000");
    let here = Switch::start(&left);
    here.vsctl("add-br br0");
    here.vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.2");
    left.sh("ip link set br0 mtu 1420");
    left.address("br0", "10.244.0.1/16");
    let _ = left.pings(20, "10.244.0.2");
    let gone = within(Duration::from_secs(10), || {
        here.drops().keys().any(|key| key.ends_with("no_route") || key.ends_with("wait_full"))
    });
    assert!(gone, "frames to nowhere have no reason: {:?}", here.drops());
    assert_ne!(here.port("gre0")["tunnel"]["state"], "ready");

    right.address("eth0", "192.0.2.2/24");
    // There is a host now, but no tunnel on it, as its kernel says.
    let status = || here.vsctl("get interface gre0 status");
    let is_dead_end = || {
        let _ = left.pings(1, "10.244.0.2");
        status().contains("protocol unreachable, says the underlay")
    };
    assert!(within(Duration::from_secs(10), is_dead_end), "{}", status());
    assert!(here.try_weft("show").stdout.contains("protocol unreachable, says the underlay"));
    let there = Switch::start(&right);
    there.vsctl("add-br br0");
    there.vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.1");
    right.sh("ip link set br0 mtu 1420");
    right.address("br0", "10.244.0.2/16");
    left.must_reach("10.244.0.2");
    assert_eq!(here.port("gre0")["tunnel"]["state"], "ready");

    assert!(within(Duration::from_secs(10), || !status().contains("unreachable")), "{}", status());

    // The cable is out: nothing can be sent, whatever is known of the neighbour.
    right.sh("ip link set eth0 down");
    let reason = || here.port("gre0")["tunnel"]["reason"].as_str() == Some("eth0 has no carrier");
    assert!(within(Duration::from_secs(5), reason), "{}", here.port("gre0"));
    assert!(
        within(Duration::from_secs(5), || status().contains("tunnel_unreachable")
            && status().contains("tunnel_egress_iface_carrier=down")),
        "{}",
        status()
    );
    right.sh("ip link set eth0 up");
    left.must_reach("10.244.0.2");

    // The cable is in, but nobody is there any more.
    right.sh("ip addr del 192.0.2.2/24 dev eth0");
    let is_noticed = || {
        let _ = left.pings(1, "10.244.0.2");
        here.port("gre0")["tunnel"]["reason"] == "192.0.2.2 does not answer on eth0"
    };
    assert!(within(Duration::from_secs(30), is_noticed), "{}", here.port("gre0"));
    right.sh("ip addr add 192.0.2.2/24 dev eth0");
    left.must_reach("10.244.0.2");
}

/// The route moves to another interface: the tunnel follows.
#[test]
fn a_moved_route_is_followed() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    weft_tests::cable_named(&left, "eth0", &right, "eth0");
    weft_tests::cable_named(&left, "eth1", &right, "eth1");
    for (host, last) in [(&left, 1), (&right, 2)] {
        host.address("eth0", &format!("192.0.2.{last}/24"));
        host.address("eth1", &format!("198.51.100.{last}/24"));
        host.address("lo", &format!("203.0.113.{last}/32"));
        let other = 3 - last;
        host.sh(&format!(
            "ip route add 203.0.113.{other} via 192.0.2.{other} src 203.0.113.{last}"
        ));
    }
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    for (switch, last) in [(&here, 1), (&there, 2)] {
        switch.vsctl("add-br br0");
        let other = 3 - last;
        switch.vsctl(&format!(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=203.0.113.{other} \
             options:local_ip=203.0.113.{last}"
        ));
        switch.host().sh("ip link set br0 mtu 1420");
        switch.host().address("br0", &format!("10.244.0.{last}/16"));
    }
    left.must_reach("10.244.0.2");
    for (host, last) in [(&left, 1), (&right, 2)] {
        let other = 3 - last;
        host.sh(&format!(
            "ip route replace 203.0.113.{other} via 198.51.100.{other} src 203.0.113.{last}"
        ));
    }
    left.must_reach("10.244.0.2");
    // The old way served until the new one was known.
    let has_moved = || here.port("gre0")["tunnel"]["egress_iface"] == "eth1";
    assert!(within(Duration::from_secs(5), has_moved), "{}", here.port("gre0"));
    // The old path is gone for good, so the new one is really used.
    left.sh("ip link set eth0 down");
    left.must_reach("10.244.0.2");
}
