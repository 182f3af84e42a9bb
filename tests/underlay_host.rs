//! The host's own traffic on the interface that carries its tunnels.

use std::thread;
use std::time::Duration;

use weft_tests::{Flow, Host, Switch, Underlay, can_make_hosts, overlay, tcp_transfer, udp_echoes};

/// A switch on each host, with a tunnel between them.
fn overlays<'h>(left: &'h Host, right: &'h Host) -> (Switch<'h>, Switch<'h>) {
    let (here, there) = (Switch::start(left), Switch::start(right));
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", 1420);
    overlay(&there, "gre", "192.0.2.1", "10.244.0.2/16", 1420);
    (here, there)
}

/// Ping, TCP and UDP between the underlay addresses.
fn own_traffic(left: &Host, right: &Host) {
    assert_eq!(left.pings(20, "192.0.2.2"), 20);
    assert_eq!(right.pings(20, "192.0.2.1"), 20);
    tcp_transfer(left, right, "192.0.2.2:6001", 10_000_000);
    tcp_transfer(right, left, "192.0.2.1:6001", 10_000_000);
    assert_eq!(udp_echoes(left, right, "192.0.2.2:6002", 20, 1400), 20);
    // Fragments, which the tunnel must not swallow either.
    assert_eq!(udp_echoes(left, right, "192.0.2.2:6003", 20, 9000), 20);
    assert_eq!((left.checksum_errors(), right.checksum_errors()), (0, 0));
}

#[test]
fn the_hosts_own_traffic_is_untouched_while_tunnels_run() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let _switches = overlays(&left, &right);
    left.must_reach("10.244.0.2");
    let overlay_flow = Flow::start(&left, &right, "10.244.0.2:9000");
    own_traffic(&left, &right);
    let tally = overlay_flow.finish();
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{tally:?}");
}

/// GRE that is not ours is the host's: a local address without a tunnel reaches the kernel, and UDP
/// to the ports of other tunnel kinds does too while no such tunnel is configured.
#[test]
fn foreign_tunnel_traffic_belongs_to_the_host() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (_here, there) = overlays(&left, &right);
    left.must_reach("10.244.0.2");
    assert_eq!(udp_echoes(&left, &right, "192.0.2.2:4789", 5, 100), 5);
    assert_eq!(udp_echoes(&left, &right, "192.0.2.2:6081", 5, 100), 5);
    // An address that is no local end of a tunnel: this tunnel names the one it uses.
    there.vsctl("set interface tun0 options:local_ip=192.0.2.2");
    left.must_reach("10.244.0.2");
    right.sh("ip addr add 192.0.2.77/24 dev eth0");
    let raw = right.spawn("tcpdump -l -nn -c 1 -i eth0 dst host 192.0.2.77 and proto gre");
    raw.wait_for("listening");
    let mac = right.mac("eth0");
    left.send_frame(
        "eth0",
        &format!("Ether(dst=\"{mac}\")/IP(src=\"192.0.2.1\",dst=\"192.0.2.77\")/GRE(proto=0x6558)/(b\"x\"*60)"),
    );
    assert!(raw.finish().contains("192.0.2.77: GREv0"));
}

#[test]
fn the_hosts_own_traffic_survives_the_switch() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (_here, there) = overlays(&left, &right);
    left.must_reach("10.244.0.2");

    let flow = Flow::start(&left, &right, "192.0.2.2:9001");
    thread::sleep(Duration::from_millis(300));
    let gone = there.kill_hard();
    thread::sleep(Duration::from_millis(700));
    own_traffic(&left, &right);
    let there = gone.start_again();
    left.must_reach("10.244.0.2");
    let tally = flow.finish();
    // Taking XDP off a veth throws away what is in its ring at that moment; nothing more may go.
    assert!(tally.sent - tally.received <= 16, "{tally:?}");
    assert_eq!(tally.duplicates, 0);
    own_traffic(&left, &right);
    drop(there);
    own_traffic(&left, &right);
}
