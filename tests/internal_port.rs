//! Internal ports: interfaces that the host itself uses.

use weft_tests::{Host, Switch, can_make_hosts, tcp_transfer, udp_echoes};

/// The host talks to a guest through LOCAL: offloads of the TAP are finished in software.
#[test]
fn the_host_talks_through_its_bridge() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    host.must_reach("10.0.0.1");
    assert_eq!(guest.pings(20, "10.0.0.254"), 20);
    tcp_transfer(&host, &guest, "10.0.0.1:5001", 20_000_000);
    tcp_transfer(&guest, &host, "10.0.0.254:5001", 20_000_000);
    for bytes in [0, 1, 1000, 1472, 9000] {
        assert_eq!(udp_echoes(&host, &guest, "10.0.0.1:5002", 10, bytes), 10, "{bytes} bytes");
    }
    assert_eq!((host.checksum_errors(), guest.checksum_errors()), (0, 0));
}

/// Name, MAC and state of the device are those that the database shows.
#[test]
fn the_device_is_what_the_database_says() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    switch.vsctl("add-port br0 int0 -- set interface int0 type=internal");
    // The command returned: the devices are there.
    for (device, ofport) in [("br0", "65534"), ("int0", "1")] {
        let mac = host.mac(device);
        assert_eq!(
            switch.vsctl(&format!("get interface {device} mac_in_use")),
            format!("\"{mac}\"")
        );
        assert_eq!(switch.vsctl(&format!("get interface {device} ofport")), ofport);
        let ifindex = host.sh(&format!("cat /sys/class/net/{device}/ifindex"));
        assert_eq!(switch.vsctl(&format!("get interface {device} ifindex")), ifindex.trim());
    }
    assert_eq!(
        switch.vsctl("get bridge br0 datapath_id"),
        format!("\"0000{}\"", host.mac("br0").replace(':', ""))
    );
    switch.vsctl("del-port int0");
    assert!(!host.try_sh("test -e /sys/class/net/int0").ok(), "del-port leaves the device");
    switch.vsctl("add-port br0 int0 -- set interface int0 type=internal");
    host.sh("test -e /sys/class/net/int0");
    // The same device, by the other name of what it is.
    let ifindex = host.sh("cat /sys/class/net/int0/ifindex");
    switch.vsctl("set interface int0 type=tap");
    assert_eq!(switch.vsctl("get interface int0 ifindex"), ifindex.trim());
    switch.vsctl("del-port int0 -- add-port br0 int0 -- set interface int0 type=tap");
    host.sh("test -e /sys/class/net/int0");
    switch.vsctl("del-br br0");
    assert!(!host.try_sh("test -e /sys/class/net/br0").ok(), "del-br leaves the device");
}

/// An internal port given to a container goes on working there.
#[test]
fn a_port_moved_to_another_namespace_carries_traffic() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    switch.vsctl("add-port br0 int0 -- set interface int0 type=internal");
    let container = Host::new("container");
    host.sh(&format!("ip link set int0 netns {}", container.netns()));
    container.address("int0", "10.0.0.2/24");
    container.must_reach("10.0.0.1");
    container.must_reach("10.0.0.254");
    tcp_transfer(&container, &guest, "10.0.0.1:5001", 5_000_000);
    tcp_transfer(&guest, &container, "10.0.0.2:5001", 5_000_000);
    assert_eq!((container.checksum_errors(), guest.checksum_errors()), (0, 0));
    assert_eq!(switch.vsctl("get interface int0 ofport"), "2");
    // A change of another port does not take it away.
    switch.vsctl("add-port br0 int1 -- set interface int1 type=internal");
    assert_eq!(container.pings(10, "10.0.0.1"), 10);
}

/// LOCAL itself may move, too (the seed's `ip link set br0 netns X`).
#[test]
fn the_local_port_may_move() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    let container = Host::new("container");
    host.sh(&format!("ip link set br0 netns {}", container.netns()));
    container.address("br0", "10.0.0.2/24");
    guest.must_reach("10.0.0.2");
    tcp_transfer(&guest, &container, "10.0.0.2:5001", 5_000_000);
}
