//! Guests whose NIC is a TAP of the host, as libvirt plugs them: all offloads on, so that their TCP comes as
//! super-frames without checksums.

use std::time::Duration;

use weft_tests::{
    Background, Host, Switch, Underlay, cable_named, can_make_hosts, target_dir, tcp_transfer,
    within,
};

/// A guest and what moves its frames.
struct Guest {
    host: Host,
    nic: Background,
}

impl Guest {
    /// Plugs one in: `port` in the bridge, `eth0` there.
    fn plug(switch: &Switch<'_>, port: &str, cidr: &str) -> Self {
        let host = Host::new(port);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/testbed/guest.py");
        let netns = host.netns();
        let nic = switch.host().spawn(&format!("/usr/bin/python3 {script} {port} {netns}"));
        nic.wait_for("ready");
        switch.host().sh(&format!("ip link set {port} up"));
        host.address("eth0", cidr);
        switch.vsctl(&format!("add-port br0 {port}"));
        Self { host, nic }
    }
}

/// TCP in both directions; the ports are two that nobody uses.
#[track_caller]
fn talk(guest: &Host, guest_address: &str, peer: &Host, peer_address: &str, port: u16) {
    guest.must_reach(peer_address.trim_matches(['[', ']']));
    tcp_transfer(guest, peer, &format!("{peer_address}:{port}"), 10_000_000);
    tcp_transfer(peer, guest, &format!("{guest_address}:{}", port + 1), 10_000_000);
    assert_eq!((guest.checksum_errors(), peer.checksum_errors()), (0, 0));
}

/// What the kernel dropped on the way to the worker, of what guests sent.
#[track_caller]
fn missed_nothing(switch: &Switch<'_>) {
    let missed = switch.missed();
    assert!(!missed.keys().any(|key| key.starts_with("vnet")), "{missed:?}");
}

/// Super-frames come whole, are cut for those that need it, and arrive; both versions of IP, both ways.
#[test]
fn super_frames_of_a_guest_reach_every_kind_of_port() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let guest = Guest::plug(&switch, "vnet1", "10.0.0.1/24");
    let other = Guest::plug(&switch, "vnet2", "10.0.0.2/24");
    let container = switch.plug("br0", "veth3", "10.0.0.3/24");
    host.address("br0", "10.0.0.4/24");
    for (place, device, cidr) in [
        (&guest.host, "eth0", "fd00::1/64"),
        (&other.host, "eth0", "fd00::2/64"),
        (&container, "eth0", "fd00::3/64"),
        (&host, "br0", "fd00::4/64"),
    ] {
        assert!(place.address6(device, cidr), "no IPv6 in this kernel");
    }
    for (number, peer) in [(2, &other.host), (3, &container), (4, &host)] {
        talk(&guest.host, "10.0.0.1", peer, &format!("10.0.0.{number}"), 5000 + number * 10);
        talk(&guest.host, "[fd00::1]", peer, &format!("[fd00::{number}]"), 6000 + number * 10);
    }
    for nic in [&guest.nic, &other.nic] {
        nic.wait_for("super-frame from the guest");
        nic.wait_for("super-frame to the guest");
    }
    missed_nothing(&switch);
    assert!(switch.drops().is_empty(), "{:?}", switch.drops());
    assert_eq!(switch.port("vnet1")["packet_socket"], true);
    assert_eq!(switch.vsctl("get interface vnet1 status:io"), "packet-socket");
    let doctor = switch.try_weft("doctor").stdout;
    assert!(doctor.contains("vnet1: bridge port, driver tun, packet socket"), "{doctor}");
}

/// The same in a VLAN over a trunk, and through a tunnel, which takes less than the guest's MTU.
#[test]
fn super_frames_of_a_guest_leave_by_trunks_and_tunnels() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    cable_named(&left, "trunk", &right, "trunk");
    let (here, there) = (Switch::with_bridge(&left), Switch::with_bridge(&right));
    let guest = Guest::plug(&here, "vnet1", "10.0.0.1/24");
    let peer = there.plug("br0", "veth2", "10.0.0.2/24");
    here.vsctl("set port vnet1 tag=100 -- add-port br0 trunk");
    there.vsctl("set port veth2 tag=100 -- add-port br0 trunk");
    talk(&guest.host, "10.0.0.1", &peer, "10.0.0.2", 5001);
    assert!(here.drops().is_empty() && there.drops().is_empty(), "{:?}", here.drops());
    for (switch, remote) in [(&here, "192.0.2.2"), (&there, "192.0.2.1")] {
        switch.vsctl(&format!(
            "del-port trunk -- add-port br0 gre1 -- set interface gre1 type=gre \
             options:remote_ip={remote}"
        ));
    }
    talk(&guest.host, "10.0.0.1", &peer, "10.0.0.2", 5003);
    guest.nic.wait_for("super-frame from the guest");
    missed_nothing(&here);
}

/// Taps see both directions without further ado, and the host's stack sees nothing.
#[test]
fn a_port_of_a_guest_is_the_bridge_s_alone() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let guest = Guest::plug(&switch, "vnet1", "10.0.0.1/24");
    let peer = switch.plug("br0", "veth2", "10.0.0.2/24");
    // Else br0 could have the MAC address of the port, and the host would hear the guest there.
    switch.vsctl("set bridge br0 other_config:hwaddr=02:00:00:00:00:99");
    host.sh("ip addr add 10.0.0.77/24 dev vnet1");
    guest.host.must_reach("10.0.0.2");
    let seen = host.spawn("timeout 20 tcpdump -l -nn -i vnet1 -c 20 icmp");
    seen.wait_for("listening");
    assert_eq!((guest.host.pings(5, "10.0.0.2"), peer.pings(5, "10.0.0.1")), (5, 5));
    let text = seen.finish();
    for ends in ["10.0.0.1 > 10.0.0.2", "10.0.0.2 > 10.0.0.1"] {
        assert_eq!(text.matches(ends).count(), 10, "{ends} in\n{text}");
    }
    guest.host.knows("eth0", "10.0.0.77", &host.mac("vnet1"));
    assert!(!guest.host.reaches("10.0.0.77"), "the host answered");
    // When the port is taken away the host has its device back; then it is a port again.
    switch.vsctl("del-port vnet1");
    guest.host.must_reach("10.0.0.77");
    switch.vsctl("add-port br0 vnet1");
    guest.host.must_reach("10.0.0.2");
    assert!(!guest.host.reaches("10.0.0.77"), "the host answered again");
    let switch = switch.kill_hard().start_again();
    guest.host.must_reach("10.0.0.2");
    let open = || switch.vsctl("get interface vnet1 error") == "[]";
    assert!(within(Duration::from_secs(5), open), "{}", switch.vsctl("get interface vnet1 error"));
}

/// A Linux in qemu, whose NIC is virtio-net with all offloads on a TAP: what it sends and what it gets is whole.
#[test]
fn a_real_guest_sends_and_receives() {
    const BYTES: u64 = 50_000_000;
    if !can_make_hosts() {
        return;
    }
    let image = target_dir().join("guest");
    if !image.join("initramfs").exists() {
        let text = "there is no guest: tests/guest_image.sh target/guest makes it";
        assert!(std::env::var_os("WEFT_REQUIRE_NETNS").is_none(), "{text}");
        eprintln!("\n*** SKIPPED: {text} ***\n");
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let peer = switch.plug("br0", "veth2", "10.0.0.2/24");
    host.sh("ip tuntap add vnet1 mode tap vnet_hdr && ip link set vnet1 up");
    switch.vsctl("add-port br0 vnet1");
    let image = image.display();
    let guest = host.spawn(&format!(
        "qemu-system-x86_64 -machine q35 -accel tcg -cpu max -m 512 -display none -monitor none \
         -serial stdio -no-reboot -kernel {image}/kernel -initrd {image}/initramfs \
         -append 'console=ttyS0 quiet panic=1 address=10.0.0.1/24' \
         -netdev tap,id=nic,ifname=vnet1,script=no,downscript=no -device virtio-net-pci,netdev=nic"
    ));
    let boots = within(Duration::from_secs(100), || guest.output().contains("GUEST-READY"));
    assert!(boots, "{}", guest.output());
    peer.must_reach("10.0.0.1");
    for direction in ["", "--reverse"] {
        let mut said = String::new();
        let line = format!("iperf3 -c 10.0.0.1 -n {BYTES} --json {direction}");
        // Its server starts anew after each client.
        let talks = within(Duration::from_secs(50), || {
            said = peer.try_sh(&line).stdout;
            said.contains("sum_received")
        });
        assert!(talks, "{said}");
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        let bytes = report["end"]["sum_received"]["bytes"].as_u64().unwrap();
        // What is on its way at the end does not count.
        assert!(bytes > BYTES / 2, "{bytes} came");
    }
    missed_nothing(&switch);
    assert!(switch.drops().is_empty(), "{:?}", switch.drops());
    assert_eq!(peer.checksum_errors(), 0);
}
