//! What is kept true by the rows that change is what would be read and planned from nothing.

use crate::config::changed_rows::ChangedRows;
use crate::config::desired::cache::Cache;
use crate::config::desired::tests::Fake;
use crate::config::desired::{Desired, Rows};
use crate::config::duplicates;
use crate::plan::installed::Installed;
use crate::plan::{Dirty, Observed, PlannedPort, plan};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_ovsdb::Datum;

/// Bridges, ports of each that may be there, and where their rows are.
const BRIDGES: u128 = 3;
const PORTS: u128 = 8;

fn bridge_row(bridge: u128) -> u128 {
    10 + bridge
}

fn port_row(port: u128) -> u128 {
    100 + port
}

fn interface_row(port: u128) -> u128 {
    200 + port
}

/// One thing that somebody does to the database.
#[derive(Clone, Debug)]
enum Edit {
    /// A port is in these bridges: mostly one or none.
    Place { port: u128, bridges: BTreeSet<u128> },
    /// An interface of another kind.
    Kind { port: u128, kind: u8, peer: u128 },
    /// `ofport_request`.
    Request { port: u128, number: Option<i64> },
    /// `tag`, and `mac` of the interface.
    Tag { port: u128, tag: Option<i64> },
    /// A port has the interface of another, too.
    Share { port: u128, other: u128 },
    /// `other_config` or `fail_mode` of a bridge.
    Bridge { bridge: u128, ages: bool },
    /// Bridges that there are.
    Bridges(BTreeSet<u128>),
    /// A status that we write ourselves.
    Status { port: u128, up: bool },
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = prop_oneof![
        6 => (0..BRIDGES).prop_map(|bridge| BTreeSet::from([bridge])),
        3 => Just(BTreeSet::new()),
        1 => Just((0..2).collect()),
    ];
    let number = prop::option::of(1i64..6);
    prop_oneof![
        8 => (0..PORTS, place).prop_map(|(port, bridges)| Edit::Place { port, bridges }),
        4 => (0..PORTS, 0u8..5, 0..PORTS)
            .prop_map(|(port, kind, peer)| Edit::Kind { port, kind, peer }),
        2 => (0..PORTS, number.clone()).prop_map(|(port, number)| Edit::Request { port, number }),
        2 => (0..PORTS, number).prop_map(|(port, tag)| Edit::Tag { port, tag }),
        1 => (0..PORTS, 0..PORTS).prop_map(|(port, other)| Edit::Share { port, other }),
        1 => (0..BRIDGES, any::<bool>()).prop_map(|(bridge, ages)| Edit::Bridge { bridge, ages }),
        1 => prop::collection::btree_set(0..BRIDGES, 0..=3).prop_map(Edit::Bridges),
        1 => (0..PORTS, any::<bool>()).prop_map(|(port, up)| Edit::Status { port, up }),
    ]
}

fn rows(ids: impl IntoIterator<Item = u128>) -> Datum {
    Datum::set_of_uuids(ids.into_iter().map(Uuid::from_u128))
}

/// The rows, and where each port is.
struct World {
    fake: Fake,
    places: BTreeMap<u128, BTreeSet<u128>>,
}

impl World {
    fn new() -> Self {
        let mut fake = Fake::default();
        let bridges = rows((0..BRIDGES).map(bridge_row));
        fake.row("Open_vSwitch", 1, &[("bridges", bridges), ("next_cfg", Datum::integer(1))]);
        for bridge in 0..BRIDGES {
            let name = Datum::string(&format!("br{bridge}"));
            fake.row("Bridge", bridge_row(bridge), &[("name", name), ("ports", rows([]))]);
        }
        for port in 0..PORTS {
            let name = Datum::string(&format!("p{port}"));
            let interfaces = rows([interface_row(port)]);
            fake.row("Port", port_row(port), &[("name", name.clone()), ("interfaces", interfaces)]);
            let kind = Datum::string("internal");
            fake.row("Interface", interface_row(port), &[("name", name), ("type", kind)]);
        }
        Self { fake, places: BTreeMap::new() }
    }

    /// Does it; the rows that have changed.
    fn edit(&mut self, edit: &Edit) -> Vec<(&'static str, u128)> {
        let number = |number: &Option<i64>| number.map_or_else(Datum::empty, Datum::integer);
        match edit {
            Edit::Place { port, bridges } => {
                self.places.insert(*port, bridges.clone());
                for bridge in 0..BRIDGES {
                    let there = self.places.iter().filter(|(_, at)| at.contains(&bridge));
                    let ports = rows(there.map(|(port, _)| port_row(*port)));
                    self.fake.set("Bridge", bridge_row(bridge), "ports", ports);
                }
                (0..BRIDGES).map(|bridge| ("Bridge", bridge_row(bridge))).collect()
            }
            Edit::Kind { port, kind, peer } => {
                let row = interface_row(*port);
                let (kind, options) = match kind {
                    0 => ("internal", None),
                    1 => ("", None),
                    2 => ("gre", Some(("remote_ip", format!("10.0.0.{peer}")))),
                    _ => ("patch", Some(("peer", format!("p{peer}")))),
                };
                self.fake.set("Interface", row, "type", Datum::string(kind));
                self.fake.set("Interface", row, "options", Datum::map_of_strings(options));
                vec![("Interface", row)]
            }
            Edit::Request { port, number: wanted } => {
                self.fake.set("Interface", interface_row(*port), "ofport_request", number(wanted));
                vec![("Interface", interface_row(*port))]
            }
            Edit::Tag { port, tag } => {
                self.fake.set("Port", port_row(*port), "tag", number(tag));
                let mac = tag.map_or_else(Datum::empty, |_| Datum::string("02:00:00:00:00:01"));
                self.fake.set("Interface", interface_row(*port), "mac", mac);
                vec![("Port", port_row(*port)), ("Interface", interface_row(*port))]
            }
            Edit::Share { port, other } => {
                let interfaces =
                    rows(BTreeSet::from([interface_row(*port), interface_row(*other)]));
                self.fake.set("Port", port_row(*port), "interfaces", interfaces);
                vec![("Port", port_row(*port))]
            }
            Edit::Bridge { bridge, ages } => {
                let age = ages.then_some(("mac-aging-time", if *bridge == 0 { "x" } else { "20" }));
                let config = Datum::map_of_strings(age);
                self.fake.set("Bridge", bridge_row(*bridge), "other_config", config);
                vec![("Bridge", bridge_row(*bridge))]
            }
            Edit::Bridges(bridges) => {
                let bridges = rows(bridges.iter().map(|bridge| bridge_row(*bridge)));
                self.fake.set("Open_vSwitch", 1, "bridges", bridges);
                vec![("Open_vSwitch", 1)]
            }
            Edit::Status { port, up } => {
                self.fake.set("Interface", interface_row(*port), "link_state", Datum::boolean(*up));
                vec![("Interface", interface_row(*port))]
            }
        }
    }
}

fn changed_rows(changed: &[(&'static str, u128)]) -> ChangedRows {
    let mut rows: BTreeMap<Arc<str>, BTreeSet<Uuid>> = BTreeMap::new();
    for (table, row) in changed {
        rows.entry(Arc::from(*table)).or_default().insert(Uuid::from_u128(*row));
    }
    let mut all = ChangedRows::default();
    all.add_rows(rows);
    all
}

/// Read from nothing.
fn read(rows: &impl Rows, before: &Desired) -> Desired {
    let mut desired = Desired::read(rows);
    duplicates::settle(&mut desired, before);
    desired
}

fn said(desired: &Desired) -> BTreeSet<String> {
    desired.problems.iter().map(ToString::to_string).collect()
}

proptest! {
    #[test]
    fn what_follows_the_rows_is_what_they_say(
        edits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..25)
    ) {
        let mut world = World::new();
        let (mut cache, mut desired) = (Cache::default(), Desired::default());
        let mut installed = Installed::default();
        for edits in edits {
            let changed: Vec<_> = edits.iter().flat_map(|edit| world.edit(edit)).collect();
            let before = desired.clone();
            let changed_now = cache.update(&world.fake, &changed_rows(&changed), &mut desired);
            let anew = read(&world.fake, &before);
            prop_assert_eq!(&desired.bridges, &anew.bridges);
            prop_assert_eq!(said(&desired), said(&anew));
            prop_assert!(!changed_now.is_empty() || before.bridges == desired.bridges);

            // A port that moves to another bridge has no number there.
            let stays = |port: &&PlannedPort| {
                let place = desired.interface(&port.interface);
                place.is_some_and(|(bridge, _, _)| bridge.name == port.bridge)
            };
            let held = installed.ports.iter().filter(stays);
            let held = held.map(|port| (port.interface, port.ofport)).collect();
            let observed = Observed { ofports: held, ..Observed::default() };
            let mut dirty = Dirty::of(&changed_now, &desired);
            let nothing = Installed::default();
            let mut whole = Installed::default();
            whole.take_over(plan(&anew, &observed, &nothing, &Dirty::everything(&anew, &nothing)).unwrap());
            let next = plan(&desired, &observed, &installed, &dirty).unwrap_or_else(|| {
                dirty.all = true;
                plan(&desired, &observed, &installed, &dirty).unwrap()
            });
            installed.take_over(next);
            let ports = |of: &Installed| of.ports.iter().cloned().collect::<Vec<_>>();
            prop_assert_eq!(ports(&installed), ports(&whole));
            prop_assert_eq!(&installed.failures, &whole.failures);
            prop_assert_eq!(&installed.complaints, &whole.complaints);
        }
    }
}

#[test]
fn a_row_that_says_the_same_touches_nothing_and_a_change_only_its_own() {
    let mut world = World::new();
    for port in 0..PORTS {
        world.edit(&Edit::Kind { port, kind: 3, peer: port ^ 1 });
        world.edit(&Edit::Place { port, bridges: BTreeSet::from([0]) });
    }
    let (mut cache, mut desired) = (Cache::default(), Desired::default());
    cache.update(&world.fake, &ChangedRows::default(), &mut desired);
    assert_eq!(u128::from(cache.take_read()), PORTS);

    let changed = world.edit(&Edit::Status { port: 3, up: true });
    assert!(cache.update(&world.fake, &changed_rows(&changed), &mut desired).is_empty());
    assert_eq!(cache.take_read(), 1);

    let changed = world.edit(&Edit::Tag { port: 3, tag: Some(5) });
    let changed_now = cache.update(&world.fake, &changed_rows(&changed), &mut desired);
    assert_eq!(changed_now.interfaces, BTreeSet::from([Uuid::from_u128(interface_row(3))]));
    assert!(!changed_now.shared);
    assert_eq!(cache.take_read(), 1);

    // The other end of a patch port is looked at with it, and nothing else is.
    let dirty = Dirty::of(&changed_now, &desired);
    let ends = [2, 3].map(|port| Uuid::from_u128(interface_row(port)));
    assert_eq!(dirty, Dirty { all: false, interfaces: BTreeSet::from(ends) });
}
