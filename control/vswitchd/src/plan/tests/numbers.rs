//! What is planned when numbers run out.

use super::*;

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
