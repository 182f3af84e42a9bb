use super::*;
use crate::config::tunnel_options::{self, TunnelType};
use crate::plan::ofport;
use crate::underlay::tunnels::{Egress, State};
use proptest::prelude::*;
use std::sync::Arc;

const BRIDGE: u128 = 1;

pub(super) fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

pub(super) fn interface(id: u128, name: &str, kind: Kind) -> Interface {
    Interface {
        uuid: Uuid::from_u128(id),
        name: name.to_owned(),
        type_name: String::new(),
        kind,
        ofport_request: None,
        missed: Vec::new(),
        mtu_request: None,
        mac: None,
    }
}

pub(super) fn tunnel_to(kind: TunnelType, options: &[(&str, &str)]) -> Kind {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Kind::Tunnel(tunnel_options::read(kind, "t", &options.collect()).unwrap().0)
}

fn gre_to(remote: &str) -> Kind {
    tunnel_to(TunnelType::Gre, &[("remote_ip", remote)])
}

/// A port of its own for an interface.
pub(super) fn port_of(interface: Interface) -> Arc<Port> {
    Arc::new(Port {
        uuid: Uuid::from_u128(interface.uuid.as_u128() + 1000),
        name: PortName::new(interface.name.as_str()),
        vlan: VlanConf::default(),
        split_horizon: None,
        other_config: BTreeMap::new(),
        interfaces: vec![interface],
    })
}

/// Bridge `br0` with these interfaces, each on a port of its own.
pub(super) fn desired(interfaces: Vec<Interface>) -> Desired {
    let ports = interfaces.into_iter().map(|interface| {
        let port = port_of(interface);
        (port.name.clone(), port)
    });
    let bridge = Bridge {
        uuid: Uuid::from_u128(BRIDGE),
        name: "br0".to_owned(),
        forwards: true,
        fail_mode: String::new(),
        datapath_type: "netdev".to_owned(),
        hwaddr: None,
        datapath_id: None,
        fdb_age_secs: 300,
        fdb_entries_max: 8192,
        forward_reserved: false,
        spanning: None,
        snooping: None,
        other_config: BTreeMap::new(),
        flood_vlans: None,
        missed: Vec::new(),
        mirrors: Vec::new(),
        ports: ports.collect(),
    };
    Desired::of([bridge])
}

fn local() -> Interface {
    interface(10, "br0", Kind::Internal)
}

pub(super) fn device(ifindex: u32, last: u8) -> Device {
    Device { ifindex, mac: mac(last), mtu: 1500, is_loopback: false }
}

pub(super) fn path(name: &str, ifindex: u32) -> Path {
    Path {
        state: State::Ready(mac(99)),
        egress: Some(Egress { name: name.to_owned(), ifindex, mac: mac(98), is_running: true }),
        next_hop: Some("10.0.0.254".parse().unwrap()),
        source: Some("10.0.0.1".parse().unwrap()),
        mtu: 1500,
        asked: None,
        is_stale: false,
        is_held: false,
        nics: BTreeSet::from([(name.to_owned(), ifindex)]),
    }
}

fn with_device(observed: &mut Observed, name: &str, ifindex: u32) {
    let last = u8::try_from(ifindex).unwrap();
    observed.devices.insert(name.to_owned(), device(ifindex, last));
}

/// What there is after `plan` was carried out without a failure.
fn carried_out(mut observed: Observed, plan: &Plan) -> Observed {
    for step in plan.close.iter().chain(&plan.open) {
        match step.clone() {
            Step::Close { name, removes_device } => {
                observed.open.remove(&name);
                if removes_device {
                    observed.devices.remove(&name);
                }
            }
            Step::OpenTap { name, mac: wanted } => {
                let ifindex = 100 + u32::try_from(observed.open.len()).unwrap();
                let new = Device { mac: wanted.unwrap_or(mac(50)), ..device(ifindex, 0) };
                let ifindex = observed.devices.entry(name.clone()).or_insert(new).ifindex;
                observed.open.insert(name, OpenLink { held: Held::Tap, ifindex });
            }
            Step::OpenPort { name, ifindex } => {
                observed.open.insert(name, OpenLink { held: Held::Port, ifindex });
            }
            Step::OpenUnderlay { name, ifindex } => {
                observed.open.insert(name, OpenLink { held: Held::Underlay, ifindex });
            }
            Step::SetMac { name, mac } => observed.devices.get_mut(&name).unwrap().mac = mac,
            Step::SetMtu { name, mtu } => observed.devices.get_mut(&name).unwrap().mtu = mtu,
            Step::SetVteps { .. } => {}
        }
    }
    observed.ofports = plan.ports.iter().map(|port| (port.interface, port.ofport)).collect();
    observed.bridge_mtus = plan.bridge_mtus.clone().unwrap_or_default();
    observed
}

/// Steps that touch something that is not yet so.
fn changes(plan: &Plan) -> Vec<&Step> {
    let all = plan.close.iter().chain(&plan.open);
    all.filter(|step| !matches!(step, Step::SetVteps { .. })).collect()
}

/// The plan of everything.
fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut desired = desired.clone();
    desired.index_again();
    let nothing = Installed::default();
    super::plan(&desired, observed, &nothing, &Dirty::everything(&desired, &nothing)).unwrap()
}

/// Those of the bridges, by name.
fn mtus(plan: &Plan) -> Vec<u32> {
    plan.bridge_mtus.iter().flat_map(BTreeMap::values).copied().collect()
}

fn close(name: &str, removes_device: bool) -> Step {
    Step::Close { name: name.to_owned(), removes_device }
}

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

/// The plan of everything, with three numbers for interfaces and three for bridges.
fn plan_for_three(desired: &Desired, installed: &Installed) -> Plan {
    let dirty = Dirty::everything(desired, installed);
    super::plan_for(3, desired, &Observed::default(), installed, &dirty).unwrap()
}

#[test]
fn interfaces_past_the_last_number_have_an_error_until_one_is_left() {
    let names = [(11, "a"), (12, "b"), (13, "c"), (14, "aa")];
    let wanted = |ids: &[u128]| {
        let there = names.iter().filter(|(id, _)| ids.contains(id));
        let internal = there.map(|(id, name)| interface(*id, name, Kind::Internal));
        desired(internal.chain([local()]).collect())
    };
    let refused = |plan: &Plan| -> Vec<String> { plan.failures.values().cloned().collect() };
    let text =
        |name| format!("{name}: no number is left for it: at most 3 interfaces can be set up");
    let mut installed = Installed::default();
    let first = plan_for_three(&wanted(&[11, 12, 13]), &installed);
    assert_eq!(refused(&first), [text("c")]);
    assert_eq!((first.ports.len(), first.open.len()), (3, 3), "c is not opened either");
    installed.take_over(first);

    // Another one with a better name: who forwards stays, also when it is planned alone.
    let next = wanted(&[11, 12, 13, 14]);
    let alone = Dirty { all: false, interfaces: BTreeSet::from([Uuid::from_u128(14)]) };
    let observed = Observed::default();
    assert!(super::plan_for(3, &next, &observed, &installed, &alone).is_none());
    let second = plan_for_three(&next, &installed);
    assert_eq!(refused(&second), [text("c"), text("aa")]);
    installed.take_over(second);

    // One goes: whoever is first has its number, and one still waits.
    let third = plan_for_three(&wanted(&[12, 13, 14]), &installed);
    assert_eq!(refused(&third), [text("c")]);
    assert!(third.ports.iter().any(|port| port.name == "aa"));
}

#[test]
fn bridges_past_the_last_number_are_refused() {
    let mut wanted = Desired::default();
    for n in 0..4 {
        let name = format!("br{n}");
        let mut bridge = desired(Vec::new()).bridges["br0"].clone();
        (bridge.name, bridge.uuid) = (name.clone(), Uuid::from_u128(n + 1));
        if n != 1 {
            let port = port_of(interface(10 + n, &name, Kind::Internal));
            bridge.ports = BTreeMap::from([(port.name.clone(), port)]);
        }
        wanted.bridges.insert(name, bridge);
    }
    wanted.index_again();
    let planned = plan_for_three(&wanted, &Installed::default());
    let text = "br3: no number is left for it: at most 3 bridges can be set up".to_owned();
    assert_eq!(planned.failures, BTreeMap::from([(Uuid::from_u128(13), text)]));
    assert_eq!(planned.ports.len(), 2);
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
        super::plan(&wanted, &observed, &installed, &Dirty::everything(&wanted, &installed));
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

/// One interface of the property: its kind, and whether there is a device or a path for it.
fn any_world() -> impl Strategy<Value = (Desired, Observed)> {
    let one = (0u8..5, any::<bool>(), 0u32..3, prop::option::of(68u32..9000));
    (prop::collection::vec(one, 0..8), any::<bool>()).prop_map(|(choices, has_bridge)| {
        let mut observed = Observed::default();
        for (index, name) in ["eth0", "eth1", "eth2"].iter().enumerate() {
            with_device(&mut observed, name, 3 + u32::try_from(index).unwrap());
        }
        let mut interfaces = Vec::new();
        for (index, (kind, is_there, nic, mtu)) in choices.into_iter().enumerate() {
            let id = 20 + index as u128;
            let name = format!("if{index}");
            let kind = match kind {
                0 => Kind::System,
                1 => Kind::Internal,
                2 => Kind::Unusable("no".to_owned()),
                3 => Kind::Patch(format!("if{}", index ^ 1)),
                _ => {
                    let way = path(&format!("eth{nic}"), 3 + nic);
                    let way = if is_there { way } else { Path::none("no route") };
                    observed.paths.insert(Uuid::from_u128(id), way);
                    gre_to(&format!("10.0.0.{}", 2 + index % 3))
                }
            };
            if is_there && kind == Kind::System {
                with_device(&mut observed, &name, 40 + u32::try_from(index).unwrap());
            }
            interfaces.push(Interface { mtu_request: mtu, ..interface(id, &name, kind) });
        }
        if has_bridge {
            interfaces.push(local());
        }
        (desired(interfaces), observed)
    })
}

proptest! {
    /// Carrying a plan out leads to where nothing is left to do, in at most one more round (a
    /// device that is made by a plan can be adjusted only by the next one).
    #[test]
    fn plans_converge((wanted, observed) in any_world(), (before, _) in any_world()) {
        let first = plan(&before, &observed);
        let mut observed = carried_out(observed, &first);
        for _ in 0..2 {
            let next = plan(&wanted, &observed);
            observed = carried_out(observed, &next);
        }
        let last = plan(&wanted, &observed);
        prop_assert!(changes(&last).is_empty(), "{:?}", changes(&last));
    }

    /// Every interface ends as a port or with an error, never both, never neither.
    #[test]
    fn every_interface_has_a_fate((wanted, observed) in any_world()) {
        let plan = plan(&wanted, &observed);
        for (_, _, interface) in wanted.interfaces() {
            let runs = plan.ports.iter().any(|port| port.interface == interface.uuid);
            let failed = plan.failures.contains_key(&interface.uuid);
            prop_assert!(runs != failed, "{} {runs} {failed}", interface.name);
        }
    }

    /// No link is opened twice, and none is closed that is not open.
    #[test]
    fn steps_make_sense((wanted, observed) in any_world(), (before, _) in any_world()) {
        let first = plan(&before, &observed);
        let observed = carried_out(observed, &first);
        let next = plan(&wanted, &observed);
        let mut open: BTreeSet<&String> = observed.open.keys().collect();
        for step in &next.close {
            let Step::Close { name, .. } = step else { panic!("{step:?}") };
            prop_assert!(open.remove(name), "{name} was not open");
        }
        for step in &next.open {
            if let Step::OpenTap { name, .. } | Step::OpenPort { name, .. }
                | Step::OpenUnderlay { name, .. } = step {
                prop_assert!(open.insert(name), "{name} is open already");
            }
        }
    }
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
