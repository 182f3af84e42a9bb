//! One interface can be in one port of one bridge only.
//!
//! `ovs-vsctl` sees to that; whoever edits the database himself need not.  The place where an
//! interface is at work already keeps it; of two new ones the first by name gets it.

use crate::config::desired::{Bridge, ConfigError, Desired, Port};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Takes interfaces that are in several places out of all but one, and says so in the problems.
pub fn settle(desired: &mut Desired, before: &Desired) {
    let mut seen = HashSet::new();
    if desired.interfaces().all(|(_, _, interface)| seen.insert(interface.uuid)) {
        return;
    }
    let at_work: BTreeMap<Uuid, (Uuid, Uuid)> = places(before).collect();
    let mut owners: BTreeMap<Uuid, (Uuid, Uuid)> = BTreeMap::new();
    for (interface, place) in places(desired) {
        let owner = owners.entry(interface).or_insert(place);
        if at_work.get(&interface) == Some(&place) {
            *owner = place;
        }
    }
    let mut problems = Vec::new();
    for bridge in desired.bridges.values_mut() {
        let (row, name) = (bridge.uuid, bridge.name.clone());
        bridge.ports.retain(|_, port| {
            let here = (row, port.uuid);
            Arc::make_mut(port).interfaces.retain(|interface| {
                let is_ours = owners.get(&interface.uuid) == Some(&here);
                if !is_ours {
                    problems.push(elsewhere(&name, &interface.name));
                }
                is_ours
            });
            !port.interfaces.is_empty()
        });
    }
    desired.problems.extend(problems);
    desired.index_again();
}

/// Each interface with its bridge and port.
fn places(desired: &Desired) -> impl Iterator<Item = (Uuid, (Uuid, Uuid))> + '_ {
    desired.interfaces().map(|(bridge, port, interface): (&Bridge, &Port, _)| {
        (interface.uuid, (bridge.uuid, port.uuid))
    })
}

fn elsewhere(bridge: &str, interface: &str) -> ConfigError {
    ConfigError {
        table: "Bridge",
        row: bridge.to_owned(),
        column: "ports".to_owned(),
        value: interface.to_owned(),
        problem: "the interface is in another port or bridge already; left out here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::desired::tests::Fake;
    use weft_ovsdb::Datum;

    /// Port and interface `p0` in `br0`, and from now on in `also`, too.
    fn shared(also: &str) -> Fake {
        let mut fake = Fake::new();
        let row = |id| Uuid::from_u128(id);
        fake.set("Open_vSwitch", 1, "bridges", Datum::set_of_uuids([row(2), row(5)]));
        let ports = Datum::set_of_uuids([row(3)]);
        fake.row("Bridge", 5, &[("name", Datum::string(also)), ("ports", ports)]);
        fake
    }

    fn owners(desired: &Desired) -> Vec<&str> {
        desired.interfaces().map(|(bridge, _, _)| bridge.name.as_str()).collect()
    }

    #[test]
    fn who_has_it_keeps_it() {
        let mut before = Desired::read(&Fake::new());
        settle(&mut before, &Desired::default());
        assert!(before.problems.is_empty());
        for also in ["a0", "z0"] {
            let mut desired = Desired::read(&shared(also));
            settle(&mut desired, &before);
            assert_eq!(owners(&desired), ["br0"]);
            let said = desired.problems[0].to_string();
            assert!(said.starts_with(&format!("Bridge {also}: ports=p0: ")), "{said}");
            settle(&mut desired, &before);
            assert_eq!(desired.problems.len(), 1);
        }
    }

    #[test]
    fn the_first_of_two_new_places_gets_it() {
        let mut desired = Desired::read(&shared("a0"));
        settle(&mut desired, &Desired::default());
        assert_eq!(owners(&desired), ["a0"]);
    }
}
