//! What is planned for tunnels and the NICs that they use.

use super::*;

#[test]
fn tunnels_share_their_nic() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    observed.addresses =
        BTreeSet::from([(3, "10.0.0.1".parse().unwrap()), (4, "10.1.0.1".parse().unwrap())]);
    for id in [11, 12] {
        observed.paths.insert(Uuid::from_u128(id), path("eth0", 3));
    }
    let mut wanted = desired(vec![
        interface(11, "gre1", gre_to("10.0.0.2")),
        interface(12, "gre2", gre_to("10.0.0.3")),
    ]);
    let first = plan(&wanted, &observed);
    let vteps = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(
        first.open,
        [
            Step::OpenUnderlay { name: "eth0".to_owned(), ifindex: 3 },
            Step::SetVteps { name: "eth0".to_owned(), addresses: vteps, udp_ports: Vec::new() },
        ]
    );
    // One goes: the NIC stays.  Both go: it is let go of.
    let observed = carried_out(observed, &first);
    wanted.bridges.get_mut("br0").unwrap().ports.remove(&PortName::new("gre1"));
    assert!(changes(&plan(&wanted, &observed)).is_empty());
    wanted.bridges.get_mut("br0").unwrap().ports.remove(&PortName::new("gre2"));
    assert_eq!(changes(&plan(&wanted, &observed)), [&close("eth0", false)]);
}

#[test]
fn a_lost_route_keeps_the_nic() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    observed.paths.insert(Uuid::from_u128(11), path("eth0", 3));
    let wanted = desired(vec![interface(11, "gre1", gre_to("10.0.0.2"))]);
    let first = plan(&wanted, &observed);
    let mut observed = carried_out(observed, &first);
    observed.paths.insert(Uuid::from_u128(11), Path::none("no route"));
    let second = plan(&wanted, &observed);
    assert!(changes(&second).is_empty());
    assert!(matches!(&second.ports[0].carrier,
        Carrier::Tunnel(_, path) if matches!(path.state, State::Unreachable(_))));
    // Unless the NIC itself is gone.
    observed.devices.remove("eth0");
    assert_eq!(changes(&plan(&wanted, &observed)), [&close("eth0", false)]);
}

/// Packets may come in by other NICs than those that go out do; not by what is a port, or is gone.
#[test]
fn all_nics_of_a_way_are_listened_to() {
    let mut observed = Observed::default();
    for (name, ifindex) in [("eth0", 3), ("eth1", 4), ("eth2", 5), ("eth3", 7)] {
        with_device(&mut observed, name, ifindex);
    }
    let mut way = path("eth0", 3);
    way.nics.extend([("eth1".to_owned(), 4), ("eth2".to_owned(), 5), ("eth3".to_owned(), 6)]);
    observed.paths.insert(Uuid::from_u128(11), way);
    observed.addresses.insert((4, "10.1.0.1".parse().unwrap()));
    let wanted = desired(vec![
        interface(11, "gre1", gre_to("10.0.0.2")),
        interface(12, "eth2", Kind::System),
    ]);
    let steps = plan(&wanted, &observed).open;
    let opened: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::OpenUnderlay { name, ifindex } => Some((name.as_str(), *ifindex)),
            _ => None,
        })
        .collect();
    assert_eq!(opened, [("eth0", 3), ("eth1", 4)]);
    // At each of them, packets to the source address and to its own addresses are meant.
    let of_eth1 = Step::SetVteps {
        name: "eth1".to_owned(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "10.1.0.1".parse().unwrap()],
        udp_ports: vec![],
    };
    assert!(steps.contains(&of_eth1), "{steps:?}");
}

#[test]
fn the_same_tunnel_twice_is_refused_and_the_running_one_stays() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    for id in [11, 12] {
        observed.paths.insert(Uuid::from_u128(id), path("eth0", 3));
    }
    let wanted = desired(vec![
        interface(11, "gre1", gre_to("10.0.0.2")),
        interface(12, "gre2", gre_to("10.0.0.2")),
    ]);
    let fresh = plan(&wanted, &observed);
    let text = "could not add network device gre2 to ofproto (File exists)";
    assert_eq!(fresh.failures, BTreeMap::from([(Uuid::from_u128(12), text.to_owned())]));
    observed.ofports.insert(Uuid::from_u128(12), 4);
    let running = plan(&wanted, &observed);
    assert_eq!(running.failures.keys().collect::<Vec<_>>(), [&Uuid::from_u128(11)]);
    assert_eq!(running.ports[0].ofport, 4);
}

#[test]
fn a_tunnel_over_a_bridge_port_has_no_way() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    observed.paths.insert(Uuid::from_u128(11), path("eth0", 3));
    let wanted = desired(vec![
        interface(11, "gre1", gre_to("10.0.0.2")),
        interface(12, "eth0", Kind::System),
    ]);
    let plan = plan(&wanted, &observed);
    assert_eq!(plan.open, [Step::OpenPort { name: "eth0".to_owned(), ifindex: 3 }]);
    let port = plan.ports.iter().find(|port| port.name == "gre1").unwrap();
    assert!(matches!(&port.carrier, Carrier::Tunnel(_, path)
        if matches!(&path.state, State::Unreachable(text) if text.contains("give its addresses"))));
}

/// `br-phy` with the NIC inside and the VTEP address on its own port, and `br0` with a tunnel.
fn underlay_in_a_bridge() -> (Desired, Observed) {
    let mut wanted = desired(vec![local(), interface(11, "gre1", gre_to("10.0.0.2"))]);
    let inner = vec![interface(20, "br-phy", Kind::Internal), interface(21, "eth0", Kind::System)];
    let mut phy = desired(inner).bridges.remove("br0").unwrap();
    phy.name = "br-phy".to_owned();
    phy.uuid = Uuid::from_u128(2);
    wanted.bridges.insert("br-phy".to_owned(), phy);
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    let first = plan(&wanted, &observed);
    let mut observed = carried_out(observed, &first);
    let phy = observed.devices.get("br-phy").unwrap().ifindex;
    observed.paths.insert(Uuid::from_u128(11), path("br-phy", phy));
    observed.addresses = BTreeSet::from([(phy, "10.0.0.1".parse().unwrap())]);
    (wanted, observed)
}

#[test]
fn a_tunnel_leaves_by_an_internal_port_which_is_its_vtep() {
    let (wanted, observed) = underlay_in_a_bridge();
    let plan = plan(&wanted, &observed);
    let port = |name: &str| plan.ports.iter().find(|port| port.name == name).unwrap();
    assert!(matches!(&port("gre1").carrier, Carrier::Tunnel(_, path)
        if path.state == State::Ready(mac(99))));
    let device = &observed.devices["br-phy"];
    let addresses = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(port("br-phy").vtep, Some(Vtep { mac: device.mac, addresses }));
    assert_eq!((&port("br0").vtep, &port("eth0").vtep), (&None, &None));
    // No program steers tunnel packets away from the bridge.
    assert!(!plan.open.iter().any(|step| matches!(step, Step::OpenUnderlay { .. })));
    assert_eq!(mtus(&plan), [1500, 1462]);
}

/// Each bridge would make the other's MTU smaller, again and again.
#[test]
fn tunnels_that_leave_by_each_others_bridges_do_not_shrink_them() {
    let (mut wanted, mut observed) = underlay_in_a_bridge();
    let device = observed.devices.get("br0").unwrap().ifindex;
    observed.paths.insert(Uuid::from_u128(30), path("br0", device));
    let back = desired(vec![interface(30, "gre2", gre_to("10.9.9.9"))]);
    let port = back.bridges["br0"].ports[&PortName::new("gre2")].clone();
    wanted.bridges.get_mut("br-phy").unwrap().ports.insert(port.name.clone(), port);
    let plan = plan(&wanted, &observed);
    assert_eq!(mtus(&plan), [1500, 1500]);
}

#[test]
fn a_tunnel_leaves_an_underlay_that_goes() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    observed.paths.insert(Uuid::from_u128(11), path("eth0", 3));
    let wanted = desired(vec![interface(11, "gre1", gre_to("10.0.0.2"))]);
    let mut plan = plan(&wanted, &observed);
    let (other, name) = ("eth1".to_owned(), "eth0".to_owned());
    plan.ports[0].leave_underlays(&BTreeSet::from([&other]));
    assert!(matches!(&plan.ports[0].carrier, Carrier::Tunnel(_, p) if p.egress.is_some()));
    plan.ports[0].leave_underlays(&BTreeSet::from([&name]));
    assert!(matches!(&plan.ports[0].carrier, Carrier::Tunnel(_, p) if p.egress.is_none()));
}

/// As stock: equal are tunnels of one type, port, addresses and receive key; other options do not
/// count, and neither does the key that is sent.
#[test]
fn tunnels_are_the_same_by_what_they_receive() {
    let tunnel = |kind, more: &[(&str, &str)]| {
        tunnel_to(kind, &[&[("remote_ip", "10.0.0.2")], more].concat())
    };
    let wanted = desired(vec![
        interface(11, "a", tunnel(TunnelType::Vxlan, &[])),
        interface(12, "b", tunnel(TunnelType::Vxlan, &[("csum", "true"), ("out_key", "5")])),
        interface(13, "c", tunnel(TunnelType::Vxlan, &[("key", "5")])),
        interface(14, "d", tunnel(TunnelType::Vxlan, &[("key", "flow")])),
        interface(15, "e", tunnel(TunnelType::Vxlan, &[("dst_port", "4790")])),
        interface(16, "f", tunnel(TunnelType::Geneve, &[])),
        interface(17, "g", tunnel(TunnelType::Geneve, &[("dst_port", "4790"), ("key", "9")])),
        interface(18, "h", tunnel(TunnelType::Gre, &[])),
        interface(19, "i", tunnel(TunnelType::Ip6Gre, &[("key", "0")])),
    ]);
    let failures = plan(&wanted, &Observed::default()).failures;
    let text = |id| failures.get(&Uuid::from_u128(id)).map_or("", String::as_str);
    assert_eq!(failures.len(), 3, "{failures:?}");
    assert_eq!(text(12), "could not add network device b to ofproto (File exists)");
    assert_eq!(text(19), "could not add network device i to ofproto (File exists)");
    assert_eq!(
        text(17),
        "g: packets to UDP port 4790 are those of e, which is no geneve tunnel: give one of them \
         another dst_port"
    );
}

/// A tunnel that takes packets from anywhere listens on every NIC with an address, or on that with
/// its own address; the NICs steer all UDP ports.
#[test]
fn a_tunnel_from_anywhere_listens_everywhere() {
    let mut observed = Observed::default();
    for (name, ifindex) in [("eth0", 3), ("eth1", 4), ("eth2", 5)] {
        with_device(&mut observed, name, ifindex);
    }
    let address = |last: u8| std::net::IpAddr::from([10, 0, last, 1]);
    observed.addresses = BTreeSet::from([(3, address(0)), (4, address(1))]);
    let steered = |options: &[(&str, &str)]| -> Vec<_> {
        let anyone = tunnel_to(TunnelType::Geneve, &[&[("remote_ip", "flow")], options].concat());
        let other = [("remote_ip", "10.9.9.9"), ("dst_port", "4790")];
        let wanted = desired(vec![
            interface(11, "g", anyone),
            interface(12, "v", tunnel_to(TunnelType::Vxlan, &other)),
        ]);
        let steps = plan(&wanted, &observed).open;
        steps
            .into_iter()
            .filter_map(|step| match step {
                Step::SetVteps { name, addresses, udp_ports } => Some((name, addresses, udp_ports)),
                _ => None,
            })
            .collect()
    };
    let both = vec![4790, 6081];
    assert_eq!(
        steered(&[]),
        [
            ("eth0".to_owned(), vec![address(0)], both.clone()),
            ("eth1".to_owned(), vec![address(1)], both.clone()),
        ]
    );
    assert_eq!(steered(&[("local_ip", "10.0.1.1")]), [("eth1".to_owned(), vec![address(1)], both)]);
}
