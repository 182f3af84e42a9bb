//! What is planned for devices, TAPs and patch ports, and for their addresses and MTUs.

use super::*;

#[test]
fn nothing_wanted_nothing_there() {
    let plan = plan(&Desired::default(), &Observed::default());
    assert!(changes(&plan).is_empty() && plan.ports.is_empty() && plan.failures.is_empty());
}

#[test]
fn a_bridge_is_a_tap() {
    let plan = plan(&desired(vec![local()]), &Observed::default());
    assert_eq!(plan.open, [Step::OpenTap { name: "br0".to_owned(), mac: None }]);
    assert_eq!(plan.ports.len(), 1);
    assert_eq!(plan.ports[0].ofport, ofport::LOCAL);
}

#[test]
fn a_missing_device_is_an_error_and_the_rest_goes_on() {
    let wanted = desired(vec![local(), interface(11, "eth9", Kind::System)]);
    let plan = plan(&wanted, &Observed::default());
    assert_eq!(
        plan.failures[&Uuid::from_u128(11)],
        "could not open network device eth9 (No such device)"
    );
    assert_eq!(plan.ports.len(), 1);
}

#[test]
fn a_bridge_of_an_unknown_type_has_no_ports_until_that_is_mended() {
    let mut wanted = desired(vec![
        local(),
        interface(11, "eth0", Kind::System),
        interface(12, "gre0", gre_to("192.0.2.9")),
        interface(13, "to", Kind::Patch("fro".to_owned())),
    ]);
    let mut other = wanted.bridges["br0"].clone();
    (other.name, other.uuid) = ("br1".to_owned(), Uuid::from_u128(2));
    let fro = interface(21, "fro", Kind::Patch("to".to_owned()));
    other.ports = BTreeMap::from([(PortName::new("fro"), port_of(fro))]);
    wanted.bridges.insert("br1".to_owned(), other);
    wanted.bridges.get_mut("br0").unwrap().datapath_type = "kernel".to_owned();
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 7);
    let refused = plan(&wanted, &observed);
    let text = "br0: unknown datapath_type \"kernel\": leave it empty, or use system or netdev";
    let failed = [10, 11, 12, 13].map(|id| (Uuid::from_u128(id), text.to_owned()));
    assert_eq!(refused.failures, BTreeMap::from(failed));
    assert_eq!(refused.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["fro"]);
    assert!(refused.complaints.contains_key(&Uuid::from_u128(21)), "there is no such peer");

    wanted.bridges.get_mut("br0").unwrap().datapath_type = "system".to_owned();
    let mended = plan(&wanted, &carried_out(observed, &refused));
    assert!(mended.failures.is_empty() && mended.complaints.is_empty());
    assert_eq!(mended.ports.len(), 5);
}

#[test]
fn the_bridge_takes_the_smallest_address_of_its_ports() {
    let mut observed = Observed::default();
    with_device(&mut observed, "a", 7);
    with_device(&mut observed, "b", 5);
    let mut wanted =
        desired(vec![local(), interface(11, "a", Kind::System), interface(12, "b", Kind::System)]);
    let first = plan(&wanted, &observed);
    assert!(first.open.contains(&Step::OpenTap { name: "br0".to_owned(), mac: Some(mac(5)) }));
    assert_eq!(first.ports.iter().map(|port| port.ofport).collect::<Vec<_>>(), [1, 2, 65534]);
    // The smallest one leaves.
    let observed = carried_out(observed, &first);
    wanted.bridges.get_mut("br0").unwrap().ports.remove(&PortName::new("b"));
    let second = plan(&wanted, &observed);
    assert_eq!(
        changes(&second),
        [&close("b", false), &Step::SetMac { name: "br0".to_owned(), mac: mac(7) }]
    );
    // hwaddr beats them all.
    wanted.bridges.get_mut("br0").unwrap().hwaddr = Some(mac(77));
    let third = plan(&wanted, &observed);
    assert!(third.open.contains(&Step::SetMac { name: "br0".to_owned(), mac: mac(77) }));
}

#[test]
fn a_device_that_was_made_anew_is_opened_anew() {
    let mut observed = Observed::default();
    with_device(&mut observed, "a", 7);
    let wanted = desired(vec![interface(11, "a", Kind::System)]);
    let first = plan(&wanted, &observed);
    let mut observed = carried_out(observed, &first);
    with_device(&mut observed, "a", 8);
    let second = plan(&wanted, &observed);
    let open = Step::OpenPort { name: "a".to_owned(), ifindex: 8 };
    assert_eq!(changes(&second), [&close("a", false), &open]);
    assert_eq!(second.ports[0].ofport, first.ports[0].ofport, "the number stays");
}

#[test]
fn a_failure_is_not_tried_again_for_the_same_device() {
    let mut observed = Observed::default();
    with_device(&mut observed, "a", 7);
    observed.failed.insert("a".to_owned(), (7, "no XDP".to_owned()));
    let wanted = desired(vec![interface(11, "a", Kind::System)]);
    let first = plan(&wanted, &observed);
    assert!(changes(&first).is_empty());
    assert_eq!(first.failures[&Uuid::from_u128(11)], "no XDP");
    with_device(&mut observed, "a", 8);
    assert_eq!(changes(&plan(&wanted, &observed)).len(), 1);
}

#[test]
fn a_tap_out_of_sight_stays_open() {
    let wanted = desired(vec![local(), interface(11, "int1", Kind::Internal)]);
    let first = plan(&wanted, &Observed::default());
    let mut observed = carried_out(Observed::default(), &first);
    observed.devices.remove("int1");
    assert!(changes(&plan(&wanted, &observed)).is_empty());
    // Another device of that name is not ours to touch.
    with_device(&mut observed, "int1", 55);
    assert!(changes(&plan(&wanted, &observed)).is_empty());
}

#[test]
fn loopback_is_refused() {
    let mut observed = Observed::default();
    with_device(&mut observed, "lo", 1);
    observed.devices.get_mut("lo").unwrap().is_loopback = true;
    let plan = plan(&desired(vec![interface(11, "lo", Kind::System)]), &observed);
    assert_eq!(
        plan.failures[&Uuid::from_u128(11)],
        "could not add network device lo to ofproto (Invalid argument)"
    );
}

#[test]
fn internal_ports_get_the_smallest_mtu_of_tunnels_and_nics() {
    let mut observed = Observed::default();
    with_device(&mut observed, "a", 7);
    let tunnel = |id, name: &str, kind: TunnelType| {
        interface(id, name, tunnel_to(kind, &[("remote_ip", "10.0.0.2")]))
    };
    let wanted = desired(vec![
        local(),
        interface(11, "a", Kind::System),
        tunnel(12, "gre1", TunnelType::Gre),
        tunnel(13, "vxlan1", TunnelType::Vxlan),
    ]);
    let mtu = |observed: &Observed| mtus(&plan(&wanted, observed))[0];
    with_device(&mut observed, "eth0", 3);
    observed.paths.insert(Uuid::from_u128(12), path("eth0", 3));
    observed.paths.insert(Uuid::from_u128(13), path("eth0", 3));
    assert_eq!(mtu(&observed), 1450);
    observed.bridge_mtus.insert("br0".to_owned(), 1450);
    // A route that is gone says nothing: what was found stays.
    observed.paths.insert(Uuid::from_u128(13), Path::none("no route"));
    assert_eq!(mtu(&observed), 1450);
    let mut narrow = path("eth0", 3);
    narrow.mtu = 1400;
    observed.paths.insert(Uuid::from_u128(12), narrow.clone());
    observed.paths.insert(Uuid::from_u128(13), path("eth0", 3));
    assert_eq!(mtu(&observed), 1362);
    observed.devices.get_mut("a").unwrap().mtu = 1300;
    assert_eq!(mtu(&observed), 1300);
    narrow.mtu = 50;
    observed.paths.insert(Uuid::from_u128(12), narrow);
    assert_eq!(mtu(&observed), 68);
}

#[test]
fn a_nic_changes_its_role() {
    let mut observed = Observed::default();
    with_device(&mut observed, "eth0", 3);
    observed.paths.insert(Uuid::from_u128(11), path("eth0", 3));
    let tunnel = interface(11, "gre1", gre_to("10.0.0.2"));
    let first = plan(&desired(vec![tunnel.clone()]), &observed);
    let observed = carried_out(observed, &first);
    let wanted = desired(vec![tunnel, interface(12, "eth0", Kind::System)]);
    let second = plan(&wanted, &observed);
    let open = Step::OpenPort { name: "eth0".to_owned(), ifindex: 3 };
    assert_eq!(changes(&second), [&close("eth0", false), &open]);
}

#[test]
fn the_mtu_of_a_bridge_follows_its_ports_but_respects_the_operator() {
    let mut observed = Observed::default();
    with_device(&mut observed, "a", 7);
    let wanted = desired(vec![local(), interface(11, "a", Kind::System)]);
    let first = plan(&wanted, &observed);
    let mut observed = carried_out(observed, &first);
    let set = |mtu| Step::SetMtu { name: "br0".to_owned(), mtu };
    // The operator's own smaller MTU stays.
    observed.devices.get_mut("br0").unwrap().mtu = 1420;
    assert!(changes(&plan(&wanted, &observed)).is_empty());
    // One that is too large does not.
    observed.devices.get_mut("br0").unwrap().mtu = 9000;
    assert_eq!(changes(&plan(&wanted, &observed)), [&set(1500)]);
    // A port with a smaller MTU pulls it down, and up again when it grows.
    observed.devices.get_mut("br0").unwrap().mtu = 1500;
    observed.devices.get_mut("a").unwrap().mtu = 1400;
    let down = plan(&wanted, &observed);
    assert_eq!(changes(&down), [&set(1400)]);
    let mut observed = carried_out(observed, &down);
    observed.devices.get_mut("a").unwrap().mtu = 1600;
    assert_eq!(changes(&plan(&wanted, &observed)), [&set(1600)]);
    // mtu_request beats all.
    let mut wanted = wanted;
    let ports = &mut wanted.bridges.get_mut("br0").unwrap().ports;
    Arc::make_mut(ports.get_mut(&PortName::new("br0")).unwrap()).interfaces[0].mtu_request =
        Some(1300);
    let asked = plan(&wanted, &observed);
    assert_eq!(changes(&asked), [&set(1300)]);
    // When it asks no more, it follows again.
    let observed = carried_out(observed, &asked);
    let mut installed = Installed::default();
    installed.take_over(asked);
    let ports = &mut wanted.bridges.get_mut("br0").unwrap().ports;
    Arc::make_mut(ports.get_mut(&PortName::new("br0")).unwrap()).interfaces[0].mtu_request = None;
    wanted.index_again();
    let after =
        crate::plan::plan(&wanted, &observed, &installed, &Dirty::everything(&wanted, &installed));
    assert_eq!(changes(&after.unwrap()), [&set(1600)]);
}

#[test]
fn a_tap_that_goes_takes_its_device_with_it() {
    let wanted = desired(vec![local()]);
    let first = plan(&wanted, &Observed::default());
    let observed = carried_out(Observed::default(), &first);
    let second = plan(&Desired::default(), &observed);
    assert_eq!(changes(&second), [&close("br0", true)]);
}

/// The order does not matter, nor that both ends are on one bridge; each must name the other.
#[test]
fn patch_ports_find_each_other() {
    let patch = |id, name, peer: &str| interface(id, name, Kind::Patch(peer.to_owned()));
    let others = |interfaces| -> (Vec<_>, Vec<String>) {
        let plan = plan(&desired(interfaces), &Observed::default());
        let other = |port: &PlannedPort| match &port.carrier {
            Carrier::Patch { other, .. } => other.map(|other| other.as_u128()),
            carrier => panic!("{carrier:?}"),
        };
        (plan.ports.iter().map(other).collect(), plan.complaints.into_values().collect())
    };
    let (a, b) = (patch(11, "a", "b"), patch(12, "b", "a"));
    assert_eq!(others(vec![a.clone(), b.clone()]), (vec![Some(12), Some(11)], vec![]));
    assert_eq!(others(vec![b, a.clone()]), (vec![Some(12), Some(11)], vec![]));
    let no_peer = |name| format!("No usable peer '{name}' exists in 'netdev' datapath.");
    assert_eq!(others(vec![a.clone()]), (vec![None], vec![no_peer("b")]));
    // A third one cannot have an end that is taken.
    let (b, c) = (patch(12, "b", "c"), patch(13, "c", "b"));
    assert_eq!(others(vec![a, b, c]), (vec![None, Some(13), Some(12)], vec![no_peer("b")]));
}
