//! Planning what a change made dirty is planning everything, over random sequences of changes.

use super::world::{Event, Wanted, World, events, nic_id, row};
use super::*;
use crate::plan::plan;
use proptest::prelude::*;

/// Whoever has a UDP port now may be named in the stead of another who has it, too.
fn failures(installed: &Installed) -> BTreeMap<Uuid, Option<&str>> {
    let failures = installed.failures.iter();
    failures.map(|(row, text)| (*row, text.split(" are those of ").next())).collect()
}

fn steps(plan: &Plan) -> (BTreeSet<&Step>, BTreeSet<&Step>) {
    let open = plan.open.iter().filter(|step| !matches!(step, Step::SetVteps { .. }));
    (plan.close.iter().collect(), open.collect())
}

/// Lets these things happen at once, plans what is dirty, compares that with the plan of everything,
/// and carries it out.
fn follow(world: &mut World, events: &[Event]) -> Result<(), TestCaseError> {
    let rows = events.iter().flat_map(|event| world.happen(event)).collect();
    let dirty = world.dirty(rows);
    let everything = Dirty { all: true, ..dirty.clone() };
    let whole =
        plan(&world.desired, &world.look(&everything), &world.installed, &everything).unwrap();
    let part = plan(&world.desired, &world.look(&dirty), &world.installed, &dirty);
    let part = part.unwrap_or_else(|| whole.clone());
    prop_assert_eq!(steps(&part), steps(&whole));
    let mut expected = world.installed.clone();
    let vteps: Vec<_> = whole
        .open
        .iter()
        .filter_map(|step| match step {
            Step::SetVteps { name, addresses, udp_ports } => {
                Some((name.clone(), (addresses.clone(), udp_ports.clone())))
            }
            _ => None,
        })
        .collect();
    expected.take_over(whole);
    world.take(part);
    let ports = |of: &Installed| of.ports.iter().cloned().collect::<Vec<_>>();
    prop_assert_eq!(ports(&world.installed), ports(&expected));
    prop_assert_eq!(failures(&world.installed), failures(&expected));
    prop_assert_eq!(&world.installed.complaints, &expected.complaints);
    prop_assert_eq!(&world.installed.bridge_mtus, &expected.bridge_mtus);
    prop_assert_eq!(&world.installed.requested_mtus, &expected.requested_mtus);
    prop_assert_eq!(&world.vteps.clone().into_iter().collect::<Vec<_>>(), &vteps);
    let counted = SharedFacts::of(world.installed.ports.iter());
    prop_assert_eq!(world.installed.ports.facts(), &counted);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_dirty_is_planned_as_everything_would_be(
        events in prop::collection::vec(prop::collection::vec(events(), 1..3), 1..25)
    ) {
        let mut world = World::new();
        for events in &events {
            follow(&mut world, events)?;
        }
    }
}

/// A port that gives its number to another is as it was otherwise: its `mtu_request` is remembered.
#[test]
fn who_gives_its_number_away_keeps_the_rest() {
    let mut world = World::new();
    let internal = |id, mtu, ofport| {
        Event::Interface(id, Some(Wanted { mtu, ofport, ..Wanted::new(0, Kind::Internal) }))
    };
    for event in [internal(0, Some(500), None), internal(1, None, None), internal(1, None, Some(1))]
    {
        follow(&mut world, &[event]).unwrap();
    }
    let [moved, asks] = [0, 1].map(|id| world.installed.ports.get(&row(id)).unwrap().ofport);
    assert_eq!((moved, asks), (2, 1));
    assert_eq!(world.installed.requested_mtus, BTreeMap::from([(row(0), 500)]));
}

/// A UDP port that a tunnel leaves is for whoever waits for it, not for another that comes with the same change.
#[test]
fn who_waits_for_a_udp_port_gets_it() {
    let mut world = World::new();
    let tunnel = |id, bridge, kind| {
        let options = [("remote_ip", "10.0.0.1"), ("dst_port", "4789")];
        Event::Interface(id, Some(Wanted::new(bridge, tunnel_to(kind, &options))))
    };
    let events = [
        vec![tunnel(5, 1, TunnelType::Geneve)],
        vec![tunnel(0, 0, TunnelType::Vxlan)],
        vec![tunnel(1, 1, TunnelType::Geneve), Event::Interface(5, None)],
    ];
    for events in events {
        follow(&mut world, &events).unwrap();
    }
    assert!(world.installed.ports.get(&row(0)).is_some());
}

/// A NIC more, or less, concerns nobody while another one decides on address and MTU of the bridge.
#[test]
fn a_nic_is_planned_alone_unless_it_decides_for_its_bridge() {
    let mut world = World::new();
    let nic = |nic| Event::Interface(nic_id(nic), Some(Wanted::new(0, Kind::System)));
    for event in [nic(0), Event::Way(0, None), Event::Way(1, None)] {
        follow(&mut world, &[event]).unwrap();
    }
    let is_alone = |world: &mut World, event: &Event| {
        let rows = world.happen(event);
        let dirty = world.dirty(rows);
        let next = plan(&world.desired, &world.look(&dirty), &world.installed, &dirty);
        let is_alone = next.as_ref().is_some_and(|next| next.looked_at == 1);
        if let Some(next) = next {
            world.take(next);
        }
        is_alone
    };
    assert!(is_alone(&mut world, &nic(1)));
    assert!(is_alone(&mut world, &Event::Nic(1, Some((1600, 5)))));
    assert!(is_alone(&mut world, &Event::Interface(nic_id(1), None)));
    assert!(
        !is_alone(&mut world, &Event::Interface(nic_id(0), None)),
        "the bridge has its address"
    );
}

/// Of many tunnels and internal ports, one is planned without a look at the others.
#[test]
fn one_of_many_is_planned_alone() {
    let mut world = World::new();
    let kind = |id: u128| match id % 2 {
        0 => Kind::Internal,
        _ => tunnel_to(TunnelType::Gre, &[("remote_ip", "10.0.0.1"), ("key", &id.to_string())]),
    };
    world.happen(&Event::Way(1, Some((0, 1500))));
    for id in 0..40 {
        world.happen(&Event::Interface(id, Some(Wanted::new(0, kind(id)))));
    }
    for _ in 0..3 {
        let dirty = Dirty { all: true, ..world.dirty(BTreeSet::new()) };
        let next = plan(&world.desired, &world.look(&dirty), &world.installed, &dirty).unwrap();
        world.take(next);
    }
    let looked_at = |world: &mut World, event: &Event| {
        let rows = world.happen(event);
        let dirty = world.dirty(rows);
        assert!(!dirty.all);
        let next = plan(&world.desired, &world.look(&dirty), &world.installed, &dirty);
        let planned = next.as_ref().map(|next| next.planned.len());
        if let Some(next) = next {
            world.take(next);
        }
        planned
    };
    for id in [40, 41] {
        assert_eq!(
            looked_at(&mut world, &Event::Interface(id, Some(Wanted::new(0, kind(id))))),
            Some(1)
        );
        // What the kernel says of a new TAP concerns nobody else.
        let news = looked_at(&mut world, &Event::Interface(99, None)).unwrap();
        assert!(news <= 2, "{news}");
        assert_eq!(looked_at(&mut world, &Event::Interface(id, None)), Some(1));
    }
    // A narrower tunnel, or one at a UDP port, concerns others.
    for kind in [TunnelType::Gre, TunnelType::Vxlan] {
        let more = [("remote_ip", "10.0.0.1"), ("csum", "true"), ("key", "99")];
        let kind = tunnel_to(kind, &more);
        assert_eq!(looked_at(&mut world, &Event::Interface(50, Some(Wanted::new(0, kind)))), None);
        world.happen(&Event::Interface(50, None));
    }
}
