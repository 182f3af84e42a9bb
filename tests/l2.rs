//! Layer-2 behaviour that a user would notice, seen from the hosts' side.

use std::collections::BTreeMap;

use weft_tests::{Host, Switch, can_make_hosts, introduce, tcp_transfer, udp_echoes, within};

/// Partial checksums and large segments of veth peers are the switch's task: no offload is switched
/// off anywhere, and no receiver may see a wrong checksum.
#[test]
fn veth_hosts_exchange_everything_with_default_offloads() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    assert_eq!(a.pings(50, "10.0.0.2"), 50);
    tcp_transfer(&a, &b, "10.0.0.2:5001", 20_000_000);
    tcp_transfer(&b, &a, "10.0.0.1:5001", 20_000_000);
    for bytes in [0, 1, 17, 18, 19, 1000, 1471, 1472] {
        assert_eq!(udp_echoes(&a, &b, "10.0.0.2:5002", 20, bytes), 20, "{bytes} bytes");
    }
    // More than one frame each: the sender's host makes fragments.
    assert_eq!(udp_echoes(&a, &b, "10.0.0.2:5003", 20, 9000), 20);
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
    assert_eq!(switch.drops(), BTreeMap::new());
}

/// Bytes of each ring buffer in which XDP programs of this daemon could log frames.
fn log_rings(switch: &Switch<'_>) -> Vec<u64> {
    let folder = format!("/proc/{}/fdinfo", switch.pid());
    let descriptors = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // A descriptor may be closed meanwhile.
    let texts = descriptors.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let field = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    // 27 is BPF_MAP_TYPE_RINGBUF.
    texts
        .filter(|text| field(text, "map_type:") == Some(27))
        .filter_map(|text| field(&text, "max_entries:"))
        .collect()
}

/// Only the two ports that a ping concerns count frames.
#[test]
fn known_unicast_touches_two_ports() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let c = switch.plug("br0", "veth3", "10.0.0.3/24");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    a.must_reach("10.0.0.2");
    let bystander = c.rx_frames("eth0");
    let moved = switch.deltas(|| assert_eq!(a.pings(10, "10.0.0.2"), 10));
    let expected = ["veth1 rx_frames", "veth1 tx_frames", "veth2 rx_frames", "veth2 tx_frames"];
    assert_eq!(moved, expected.map(|name| (name.to_owned(), 10)).into());
    assert_eq!(c.rx_frames("eth0"), bystander, "a bystander saw known unicast");
    // All NICs share their programs, and those a ring.  A page is what is left of it when log statements
    // are not in the programs; a frame costs none.
    assert_eq!(log_rings(&switch), [4096], "the XDP programs log frames");
}

/// Unknown unicast goes to every other port once, and no longer when the answer was learned from.
#[test]
fn unknown_unicast_is_flooded_until_learned() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let c = switch.plug("br0", "veth3", "10.0.0.3/24");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    a.must_reach("10.0.0.2");
    switch.appctl("fdb/flush br0");
    let before = c.rx_frames("eth0");
    assert_eq!(a.pings(10, "10.0.0.2"), 10);
    assert!(within(std::time::Duration::from_secs(10), || c.rx_frames("eth0") == before + 1));
}

/// A station that moves to another port is found there from its first frame on.
#[test]
fn a_moved_address_is_followed() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let old = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let new = switch.plug("br0", "veth3", "");
    let mac = old.mac("eth0");
    old.sh("ip link set eth0 down");
    new.sh(&format!("ip link set eth0 address {mac}"));
    new.address("eth0", "10.0.0.2/24");
    new.must_reach("10.0.0.1");
    assert_eq!(a.pings(5, "10.0.0.2"), 5);
    let fdb = switch.appctl("fdb/show br0");
    let at: Vec<_> = fdb.lines().filter(|line| line.contains(&mac)).collect();
    assert_eq!(at.len(), 1, "{fdb}");
    assert!(at[0].starts_with("    3 "), "{fdb}");
}

/// Link-local group addresses stay on their link; a group source is nobody's; each is counted once.
#[test]
fn reserved_and_malformed_frames_die_with_a_reason() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    a.must_reach("10.0.0.2");
    let before = b.rx_frames("eth0");
    let source = a.mac("eth0");
    a.send_frame(
        "eth0",
        &format!("Ether(dst=\"01:80:c2:00:00:00\",src=\"{source}\",type=0x88b5)/(b\"x\"*46)"),
    );
    a.send_frame(
        "eth0",
        "Ether(dst=\"ff:ff:ff:ff:ff:ff\",src=\"03:00:00:00:00:01\",type=0x88b5)/(b\"x\"*46)",
    );
    let expected: BTreeMap<_, _> =
        [("veth1 rx group_source".to_owned(), 1), ("veth1 rx reserved".to_owned(), 1)].into();
    let counted = within(std::time::Duration::from_secs(10), || switch.drops() == expected);
    assert!(counted, "{:?}", switch.drops());
    assert_eq!(b.rx_frames("eth0"), before);
    // A group destination that is not reserved goes through.
    a.send_frame(
        "eth0",
        &format!("Ether(dst=\"01:00:5e:00:00:fb\",src=\"{source}\",type=0x88b5)/(b\"x\"*46)"),
    );
    assert!(within(std::time::Duration::from_secs(10), || b.rx_frames("eth0") == before + 1));
}

/// Two bridges of one switch are two networks.
#[test]
fn bridges_are_apart() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    switch.vsctl("add-br br1");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br1", "veth2", "10.0.0.2/24");
    let c = switch.plug("br0", "veth3", "10.0.0.3/24");
    a.must_reach("10.0.0.3");
    c.must_reach("10.0.0.1");
    let before = b.rx_frames("eth0");
    assert!(!a.reaches("10.0.0.2"));
    assert_eq!(b.rx_frames("eth0"), before);
}

/// A switch that does not keep up says how many frames it missed.
#[test]
fn missed_frames_are_counted() {
    const FRAMES: i64 = 20_000;
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let weftd = switch.pid();
    host.sh(&format!("kill -STOP {weftd}"));
    a.send_frame(
        "eth0",
        &format!("[Ether(dst=\"02:00:00:00:00:99\",type=0x88b5)/(b\"x\"*46)]*{FRAMES}"),
    );
    host.sh(&format!("kill -CONT {weftd}"));
    let missed = || {
        let missed = switch.missed();
        let of_port = missed.iter().filter(|(reason, _)| reason.starts_with("veth1 rx "));
        i64::try_from(of_port.map(|(_, frames)| frames).sum::<u64>()).unwrap()
    };
    let received = || switch.port("veth1")["rx_frames"].as_i64().unwrap();
    // Neighbour discovery may add a few.
    let all = || missed() > 0 && (FRAMES..FRAMES + 50).contains(&(missed() + received()));
    assert!(within(std::time::Duration::from_secs(5), all), "{} + {}", missed(), received());
    let row = || switch.vsctl("get interface veth1 statistics:rx_missed_errors");
    assert!(within(std::time::Duration::from_secs(12), || row() == missed().to_string()));
}
