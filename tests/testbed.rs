//! Tests of the testbed itself, without any switch: when one fails, do not believe the others.

use weft_tests::{Flow, Host, Stock, cable, can_make_hosts, tcp_transfer, udp_echoes};

fn pair() -> (Host, Host) {
    let (alice, bob) = (Host::new("alice"), Host::new("bob"));
    cable(&alice, &bob);
    alice.address("eth0", "10.0.0.1/24");
    bob.address("eth0", "10.0.0.2/24");
    (alice, bob)
}

#[test]
fn two_hosts_on_a_cable_reach_each_other() {
    if !can_make_hosts() {
        return;
    }
    let (alice, bob) = pair();
    assert!(alice.reaches("10.0.0.2"));
    assert!(!alice.reaches("10.0.0.3"), "nobody has this address");
    assert_eq!(alice.pings(10, "10.0.0.2"), 10);
    assert_eq!(alice.pings(1, "10.0.0.3"), 0);
    tcp_transfer(&alice, &bob, "10.0.0.2:5001", 1_000_000);
    assert_eq!(udp_echoes(&alice, &bob, "10.0.0.2:5002", 20, 1000), 20);
    assert_eq!(bob.checksum_errors(), 0);
}

/// A cable that is cut in the middle of a flow must show as loss.
#[test]
fn a_flow_sees_loss() {
    if !can_make_hosts() {
        return;
    }
    let (alice, bob) = pair();
    let flow = Flow::start(&alice, &bob, "10.0.0.2:9000");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let whole = flow.finish();
    assert!(whole.sent > 20, "{whole:?}");
    assert_eq!((whole.received, whole.duplicates), (whole.sent, 0));

    let flow = Flow::start(&alice, &bob, "10.0.0.2:9000");
    std::thread::sleep(std::time::Duration::from_millis(200));
    bob.sh("ip addr del 10.0.0.2/24 dev eth0 && sleep 0.1 && ip addr add 10.0.0.2/24 dev eth0");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let cut = flow.finish();
    assert!(cut.received < cut.sent, "{cut:?}");
}

/// A wrong checksum must be counted: a raw datagram is sent with a bad one.
#[test]
fn checksum_errors_are_seen() {
    if !can_make_hosts() {
        return;
    }
    let (alice, bob) = pair();
    alice.must_reach("10.0.0.2");
    alice.sh("/usr/bin/python3 -c 'from scapy.all import *; \
         send(IP(dst=\"10.0.0.2\")/UDP(sport=1,dport=2,chksum=0x1234)/b\"abc\", verbose=0)'");
    assert!(weft_tests::within(std::time::Duration::from_secs(10), || bob.checksum_errors() == 1));
}

/// Two stock switches joined by a GRE tunnel carry a ping: the peer that other tests rely on works.
#[test]
fn the_stock_peer_works() {
    if !can_make_hosts() {
        return;
    }
    let (alice, bob) = (Host::new("alice"), Host::new("bob"));
    cable(&alice, &bob);
    let (here, there) = (Stock::start(&alice), Stock::start(&bob));
    for (switch, host, own, other, inner) in [
        (&here, &alice, "1.1.1.1/24", "1.1.1.2", "10.244.0.1/16"),
        (&there, &bob, "1.1.1.2/24", "1.1.1.1", "10.244.0.2/16"),
    ] {
        switch.underlay("eth0", &|device| host.address(device, own));
        switch.bridge(inner);
        switch.vsctl(&format!(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={other}"
        ));
    }
    alice.must_reach("10.244.0.2");
}
