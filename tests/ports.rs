//! Ports of odd shape and bridges with odd settings.

use std::thread;
use std::time::Duration;

use weft_tests::{Host, Switch, cable_named, can_make_hosts, tcp_transfer, udp_echoes, within};

/// Tagged frames of guests cross a bridge of trunk ports with their tags, though veth keeps the tag
/// beside the frame by default.
#[test]
fn tagged_guests_talk_through_trunk_ports() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    if !a.try_sh("ip link add link eth0 name eth0.100 type vlan id 100").ok() {
        // This kernel has no 802.1Q devices: tagged frames by hand, which no offload touches.
        let before = b.rx_frames("eth0");
        a.send_frame(
            "eth0",
            "Ether(dst=\"ff:ff:ff:ff:ff:ff\")/Dot1Q(vlan=100,type=0x88b5)/(b\"x\"*46)",
        );
        assert!(within(Duration::from_secs(10), || b.rx_frames("eth0") > before));
        assert!(switch.appctl("fdb/show br0").contains("   100  "), "the VLAN was not learned");
        return;
    }
    b.sh("ip link add link eth0 name eth0.100 type vlan id 100");
    a.address("eth0.100", "10.1.0.1/24");
    b.address("eth0.100", "10.1.0.2/24");
    a.must_reach("10.1.0.2");
    tcp_transfer(&a, &b, "10.1.0.2:5001", 5_000_000);
    let fdb = switch.appctl("fdb/show br0");
    assert_eq!(fdb.lines().filter(|line| line.contains("   100  ")).count(), 2, "{fdb}");
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
}

/// Every queue of a port has a socket: a flow that the kernel puts on another one is not lost.
#[test]
fn a_port_with_two_queues_carries_both() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = Host::new("queues");
    let (here, there) = (host.netns(), b.netns());
    host.sh(&format!(
        "ip link add veth2 numrxqueues 2 numtxqueues 2 netns {here} type veth \
         peer name eth0 numrxqueues 2 numtxqueues 2 netns {there}"
    ));
    host.sh("ip link set veth2 up");
    b.address("eth0", "10.0.0.2/24");
    switch.vsctl("add-port br0 veth2");
    a.must_reach("10.0.0.2");
    for port in 0..8 {
        // Different flows, so that the hash of the sender picks both queues.
        assert_eq!(udp_echoes(&b, &a, &format!("10.0.0.1:{}", 5000 + port), 10, 200), 10);
    }
    tcp_transfer(&b, &a, "10.0.0.1:5001", 5_000_000);
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
}

/// Guests that know nothing of the tunnel are told that their packets are too large.
#[test]
fn guests_with_the_usual_mtu_get_through_a_tunnel() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    weft_tests::cable(&left, &right);
    left.address("eth0", "192.0.2.1/24");
    right.address("eth0", "192.0.2.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    for (switch, remote) in [(&here, "192.0.2.2"), (&there, "192.0.2.1")] {
        switch.vsctl("add-br br0");
        switch.vsctl(&format!(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={remote}"
        ));
    }
    let a = here.plug("br0", "veth1", "10.244.1.1/16");
    let b = there.plug("br0", "veth1", "10.244.1.2/16");
    a.must_reach("10.244.1.2");
    tcp_transfer(&a, &b, "10.244.1.2:5001", 2_000_000);
    let refused = a.try_sh("ping -c1 -W1 -M do -s 1472 10.244.1.2");
    assert!(!refused.ok());
    assert!(
        refused.stdout.contains("mtu = 1462") || refused.stderr.contains("mtu=1462"),
        "{refused:?}"
    );
}

/// The table keeps its limit and evicts; stations still talk.
#[test]
fn the_table_of_addresses_keeps_its_limit() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    switch.vsctl("set bridge br0 other_config:mac-table-size=10");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.send_frame(
        "eth0",
        "[Ether(dst=\"ff:ff:ff:ff:ff:ff\",src=\"02:00:00:00:01:%02x\" % i,type=0x88b5)/(b\"x\"*46) for i in range(50)]",
    );
    let full = within(Duration::from_secs(10), || {
        switch.appctl("fdb/stats-show br0").contains("in the table: 10/10\n")
    });
    assert!(full, "{}", switch.appctl("fdb/stats-show br0"));
    assert_eq!(switch.appctl("fdb/show br0").lines().count(), 11);
    a.must_reach("10.0.0.2");
    assert_eq!(b.pings(10, "10.0.0.1"), 10);
}

/// Two ports that talk to each other come to one worker when somebody asks for it, and lose nothing on the way.
fn talkers_come_together(switch: &Switch, a: &Host) {
    let core = |port: &str| {
        let text = switch.appctl("dpif-netdev/pmd-rxq-show");
        let lines: Vec<_> = text.lines().collect();
        let row = lines.iter().position(|line| line.contains(&format!("port: {port} ")));
        let before = lines.iter().take(row.unwrap_or(0)).rev();
        before.copied().find(|line| line.contains("core_id")).map(str::to_owned)
    };
    assert!(core("veth1").is_some(), "{}", switch.appctl("dpif-netdev/pmd-rxq-show"));
    assert_ne!(core("veth1"), core("veth2"), "ports are dealt out in turn");
    let together = within(Duration::from_secs(20), || {
        assert_eq!(a.pings(20, "10.0.0.2"), 20);
        switch.appctl("dpif-netdev/pmd-rxq-rebalance");
        core("veth1") == core("veth2")
    });
    assert!(together, "{}", switch.appctl("dpif-netdev/pmd-rxq-show"));
    assert_eq!(a.pings(20, "10.0.0.2"), 20);
}

/// Workers run where `pmd-cpu-mask` says, and follow it while they run.
#[test]
fn workers_follow_the_cpu_mask() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    for mask in ["0x1", "0x3", "0x2"] {
        if mask != "0x1" && host.sh("nproc").trim() == "1" {
            return;
        }
        switch.vsctl(&format!("set open . other_config:pmd-cpu-mask={mask}"));
        a.must_reach("10.0.0.2");
        let bits = i64::from_str_radix(mask.trim_start_matches("0x"), 16).unwrap();
        let expected: Vec<i64> = (0..8).filter(|cpu| bits >> cpu & 1 == 1).collect();
        let state = switch.weft_json("show");
        let mut cpus: Vec<_> = state["workers"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|worker| worker["cpu"].as_i64())
            .collect();
        cpus.sort_unstable();
        assert_eq!(cpus, expected, "mask {mask}: {}", state["workers"]);
        assert_eq!(a.pings(10, "10.0.0.2"), 10);
        if mask == "0x3" {
            talkers_come_together(&switch, &a);
        }
    }
    switch.vsctl("remove open . other_config pmd-cpu-mask");
    a.must_reach("10.0.0.2");
}

/// Many clients at once: each change is made once, none is lost.
#[test]
fn clients_at_once_do_not_lose_changes() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let failures: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let switch = &switch;
                scope.spawn(move || {
                    let port = format!("int{number}");
                    switch.try_vsctl(&format!(
                        "add-port br0 {port} -- set interface {port} type=internal"
                    ))
                })
            })
            .collect();
        let outcomes = clients.into_iter().map(|client| client.join().unwrap());
        outcomes.filter(|outcome| !outcome.ok() || !outcome.stderr.is_empty()).collect()
    });
    assert!(failures.is_empty(), "{failures:?}");
    let ports = switch.vsctl("list-ports br0");
    assert_eq!(ports.lines().count(), 8, "{ports}");
    let ofports: std::collections::BTreeSet<_> =
        (0..8).map(|number| switch.vsctl(&format!("get interface int{number} ofport"))).collect();
    assert_eq!(ofports.len(), 8, "{ofports:?}");
    for number in 0..8 {
        host.sh(&format!("test -e /sys/class/net/int{number}"));
    }
}

/// A cable that is pulled and plugged again, and a device that is set down and up.
#[test]
fn links_that_flap_come_back() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    for _ in 0..3 {
        host.sh("ip link set veth1 down");
        assert!(!a.reaches("10.0.0.2"));
        host.sh("ip link set veth1 up");
        a.must_reach("10.0.0.2");
        b.sh("ip link set eth0 down && ip link set eth0 up");
        a.must_reach("10.0.0.2");
    }
    tcp_transfer(&a, &b, "10.0.0.2:5001", 2_000_000);
}

/// A device may have a dot in its name, as those of VLANs do: as a bridge's port, and as an underlay.
#[test]
fn a_dot_in_a_name_is_a_name() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    cable_named(&left, "u0.20", &right, "eth0");
    left.address("u0.20", "192.0.2.1/24");
    right.address("eth0", "192.0.2.2/24");
    let (here, there) = (Switch::with_bridge(&left), Switch::with_bridge(&right));
    for (switch, remote) in [(&here, "192.0.2.2"), (&there, "192.0.2.1")] {
        let options = format!("type=gre options:remote_ip={remote}");
        switch.vsctl(&format!("add-port br0 gre0 -- set interface gre0 {options}"));
    }
    let a = here.plug("br0", "v0.10", "10.0.0.1/24");
    let b = there.plug("br0", "veth1", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    b.must_reach("10.0.0.1");
    assert_eq!(here.vsctl("get interface v0.10 error"), "[]");
    assert_eq!(here.pins().len(), 2, "{:?}", here.pins());
    let here = here.kill_hard().start_again();
    a.must_reach("10.0.0.2");
    assert_eq!(here.pins().len(), 2, "{:?}", here.pins());
}

/// An interface that is in another port from now on keeps its number; what was learned goes with the
/// port that has gone.
#[test]
fn an_interface_goes_to_another_port() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let number = switch.vsctl("get interface veth1 ofport");
    let behind = |port: &str| {
        let name = format!("\"port\":\"{port}\"");
        switch.appctl("weft/fdb br0").matches(&name).count()
    };
    assert_eq!((behind("veth1"), behind("other")), (1, 0));
    switch.vsctl(
        "--id=@i get interface veth1 -- --id=@old get port veth1 \
         -- --id=@new create port name=other interfaces=@i \
         -- remove bridge br0 ports @old -- add bridge br0 ports @new",
    );
    assert_eq!((behind("veth1"), behind("veth2")), (0, 1));
    a.must_reach("10.0.0.2");
    assert_eq!((behind("veth1"), behind("other"), behind("veth2")), (0, 1, 1));
    assert_eq!(switch.vsctl("get interface veth1 ofport"), number);
    assert!(switch.appctl("fdb/show br0").contains(&format!("{:>5}     0", number.trim())));
}
