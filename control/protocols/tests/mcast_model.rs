//! What a bridge knows of groups, against a model simple enough to be obviously right: random joins,
//! leaves, queries, floods of groups, changes of settings and of ports, and time.
//!
//! All that is learned comes in as frames, so the reading of IGMP and MLD is tested with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]
#![expect(clippy::cast_possible_truncation, reason = "frames here are short")]

#[path = "../../../datapath/wire/tests/mcast_frames/mod.rs"]
mod mcast_frames;

use mcast_frames::{Kind, Said, address, group_of, said};
use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_protocols::PortKey;
use weft_protocols::mcast::{EntryKind, Mdb, SnoopingPort, SnoopingSettings, Traffic};
use weft_wire::Group;
use weft_wire::vid::Vid;

const PORTS: u16 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// On this port, in this VLAN.
    Frame(u16, u16, Said),
    Pause(u32),
    Port(u16, Option<(bool, bool)>),
    Settings(usize, u32, bool),
    Forget(u16),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0..PORTS, 0u16..2, said()).prop_map(|(port, vid, said)| Step::Frame(port, vid, said)),
        8 => (1u32..70).prop_map(Step::Pause),
        2 => (0..PORTS, prop::option::weighted(0.8, any::<(bool, bool)>()))
            .prop_map(|(port, settings)| Step::Port(port, settings)),
        1 => (3usize..7, 15u32..90, any::<bool>()).prop_map(|(max, age, floods)| Step::Settings(max, age, floods)),
        1 => (0..PORTS).prop_map(Step::Forget),
        1 => Just(Step::Flush),
    ]
}

/// The model: memberships and routers in one list each, in the order in which they were last heard.
struct Model {
    settings: SnoopingSettings,
    ports: BTreeMap<u16, SnoopingPort>,
    /// VLAN, group, port, time.
    members: Vec<(u16, u8, u16, u32)>,
    /// When each group was last joined, longest ago first.
    used: Vec<(u16, u8)>,
    routers: Vec<(u16, u16, u32)>,
}

impl Model {
    fn receive(&mut self, port: u16, vid: u16, said: &Said, now: u32) {
        let Some(settings) = self.ports.get(&port).copied().filter(|port| !port.floods) else {
            return;
        };
        if said.is_damaged {
            return;
        }
        if said.kind == Kind::Query {
            if said.has_source {
                self.routers.retain(|(v, p, _)| (*v, *p) != (vid, port));
                self.routers.push((vid, port, now));
            }
            return;
        }
        for &(group, joins) in &said.groups {
            if joins {
                self.join(vid, group, port, now);
            } else if !settings.floods_reports {
                self.members.retain(|(v, g, p, _)| (*v, *g, *p) != (vid, group, port));
            }
            self.tidy();
        }
    }

    fn join(&mut self, vid: u16, group: u8, port: u16, now: u32) {
        if self.routers.iter().any(|(v, p, _)| (*v, *p) == (vid, port)) {
            return;
        }
        if !self.used.contains(&(vid, group)) && self.used.len() >= self.settings.groups_max {
            self.evict();
        }
        self.used.retain(|key| *key != (vid, group));
        self.used.push((vid, group));
        self.members.retain(|(v, g, p, _)| (*v, *g, *p) != (vid, group, port));
        self.members.push((vid, group, port, now));
    }

    fn evict(&mut self) {
        let (vid, group) = self.used.remove(0);
        self.members.retain(|(v, g, ..)| (*v, *g) != (vid, group));
    }

    /// Groups without a member are gone.
    fn tidy(&mut self) {
        let members = &self.members;
        self.used.retain(|key| members.iter().any(|(v, g, ..)| (*v, *g) == *key));
    }

    fn expire(&mut self, now: u32) {
        self.members.retain(|(.., at)| now - at < self.settings.age_secs);
        self.routers.retain(|(.., at)| now - at < 180);
        self.tidy();
    }

    fn forget(&mut self, port: u16) {
        self.members.retain(|(_, _, p, _)| *p != port);
        self.routers.retain(|(_, p, _)| *p != port);
        self.tidy();
    }

    /// As `mdb/show` lists it: VLAN, group (none for a router), port, age.
    fn entries(&self, now: u32) -> Vec<(u16, Option<u8>, u16, u32)> {
        let of = |key: &(u16, u8)| {
            let key = *key;
            self.members.iter().filter(move |(v, g, ..)| (*v, *g) == key)
        };
        let members = self.used.iter().flat_map(of);
        let mut all: Vec<_> = members.map(|(v, g, p, at)| (*v, Some(*g), *p, now - at)).collect();
        all.extend(self.routers.iter().map(|(v, p, at)| (*v, None, *p, now - at)));
        all
    }

    /// Where data for a group goes; all ports for a flood.
    fn data(&self, vid: u16, group: u8) -> Vec<u16> {
        let is_known = self.used.contains(&(vid, group));
        self.each_port(|port, settings| {
            let is_member =
                self.members.iter().any(|(v, g, p, _)| (*v, *g, *p) == (vid, group, port));
            is_member
                || settings.floods
                || self.is_router(vid, port)
                || (!is_known && self.settings.floods_unregistered)
        })
    }

    fn reports(&self, vid: u16) -> Vec<u16> {
        self.each_port(|port, settings| settings.floods_reports || self.is_router(vid, port))
    }

    fn is_router(&self, vid: u16, port: u16) -> bool {
        self.routers.iter().any(|(v, p, _)| (*v, *p) == (vid, port))
    }

    fn each_port(&self, takes: impl Fn(u16, &SnoopingPort) -> bool) -> Vec<u16> {
        self.ports
            .iter()
            .filter(|(port, settings)| takes(**port, settings))
            .map(|(p, _)| *p)
            .collect()
    }
}

fn vid(raw: u16) -> Vid {
    Vid::try_from(raw).unwrap()
}

fn compare(mdb: &mut Mdb, model: &Model, now: u32, seen: &mut Vec<Vec<u16>>) {
    let entries: Vec<_> = mdb
        .entries(now)
        .map(|entry| {
            let group = match entry.kind {
                EntryKind::Member(group) => Some(group_of(group)),
                EntryKind::Router => None,
            };
            (entry.vid.get(), group, entry.port.0, entry.age_secs)
        })
        .collect();
    assert_eq!(entries, model.entries(now));
    assert_eq!((mdb.group_count(), mdb.router_count()), (model.used.len(), model.routers.len()));
    assert!(mdb.group_count() <= model.settings.groups_max);

    let given: Vec<_> = mdb.lists().collect();
    // The first of these lists that there is; all ports for a flood.
    let ports_of = |wanted: &[Traffic]| -> Vec<u16> {
        let mut found =
            wanted.iter().filter_map(|traffic| given.iter().find(|list| list.traffic == *traffic));
        found.next().map_or_else(
            || model.ports.keys().copied().collect(),
            |list| list.ports.iter().map(|port| port.0).collect(),
        )
    };
    let mut lists = Vec::new();
    for v in 0..3 {
        for group in 0..8 {
            let of_group = Traffic::Group(vid(v), Group::from(address(group)));
            let unregistered = [Some(vid(v)), None].map(Traffic::Unregistered);
            let ports = ports_of(&[of_group, unregistered[0], unregistered[1]]);
            assert_eq!(ports, model.data(v, group), "data for group {group} in VLAN {v}");
            lists.push(ports);
        }
        let reports = ports_of(&[Some(vid(v)), None].map(Traffic::Reports));
        assert_eq!(reports, model.reports(v), "reports in VLAN {v}");
        lists.push(reports);
    }
    // Whoever changes a list says so, or workers would never hear of it.
    let said = mdb.take_changed();
    assert!(said || lists == *seen, "a change that nobody is told of");
    *seen = lists;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn knows_what_the_model_knows(steps in prop::collection::vec(step(), 1..100)) {
        let settings = SnoopingSettings { groups_max: 5, age_secs: 60, floods_unregistered: true };
        let mut ports: BTreeMap<u16, SnoopingPort> =
            (0..PORTS).map(|port| (port, SnoopingPort::default())).collect();
        let mut model = Model {
            settings, ports: ports.clone(), members: vec![], used: vec![], routers: vec![],
        };
        let give = |mdb: &mut Mdb, ports: &BTreeMap<u16, SnoopingPort>| {
            mdb.set_ports(ports.iter().map(|(port, settings)| (PortKey(*port), *settings)).collect());
        };
        let mut mdb = Mdb::new(settings);
        give(&mut mdb, &ports);
        let (mut now, mut seen) = (0, vec![]);
        for step in steps {
            match step {
                Step::Frame(port, v, said) => {
                    model.receive(port, v, &said, now);
                    mdb.receive(PortKey(port), vid(v), &said.frame(port), now);
                }
                Step::Pause(secs) => {
                    now += secs;
                    model.expire(now);
                    mdb.expire(now);
                }
                Step::Port(port, settings) => {
                    if let Some((floods, floods_reports)) = settings {
                        ports.insert(port, SnoopingPort { floods, floods_reports });
                    } else {
                        ports.remove(&port);
                        model.forget(port);
                    }
                    model.ports.clone_from(&ports);
                    give(&mut mdb, &ports);
                }
                Step::Settings(groups_max, age_secs, floods_unregistered) => {
                    model.settings = SnoopingSettings { groups_max, age_secs, floods_unregistered };
                    while model.used.len() > groups_max {
                        model.evict();
                    }
                    mdb.configure(model.settings);
                    model.expire(now);
                    mdb.expire(now);
                }
                Step::Forget(port) => {
                    model.forget(port);
                    mdb.forget_port(PortKey(port));
                }
                Step::Flush => {
                    (model.members, model.used, model.routers) = (vec![], vec![], vec![]);
                    mdb.flush();
                }
            }
            compare(&mut mdb, &model, now, &mut seen);
        }
    }

    /// Any bytes at all: nothing panics, and the table keeps its limit.
    #[test]
    fn survives_noise(frames in prop::collection::vec((said(), any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let settings = SnoopingSettings { groups_max: 3, ..SnoopingSettings::default() };
        let mut mdb = Mdb::new(settings);
        mdb.set_ports([(PortKey(0), SnoopingPort::default())].into());
        for (said, at, byte) in frames {
            let mut frame = said.frame(0);
            let at = at.index(frame.len());
            frame[at] = byte;
            mdb.receive(PortKey(0), Vid::UNTAGGED, &frame, 0);
            mdb.receive(PortKey(0), Vid::UNTAGGED, &frame[..at], 0);
            prop_assert!(mdb.group_count() <= 3);
            prop_assert!(mdb.entries(0).count() <= 4);
        }
    }
}

/// A group that is no group address would be a list that no frame ever meets.
#[test]
fn only_group_addresses_are_groups() {
    let mut mdb = Mdb::new(SnoopingSettings::default());
    mdb.set_ports([(PortKey(0), SnoopingPort::default())].into());
    let report = |group: [u8; 4]| mcast_frames::igmp_report(group, 0);
    mdb.receive(PortKey(0), Vid::UNTAGGED, &report([10, 0, 0, 1]), 0);
    assert_eq!(mdb.group_count(), 0);
    mdb.receive(PortKey(0), Vid::UNTAGGED, &report([239, 0, 0, 1]), 0);
    // Local groups are kept, as Open vSwitch does, though their data is always flooded.
    mdb.receive(PortKey(0), Vid::UNTAGGED, &report([224, 0, 0, 251]), 0);
    let text: Vec<_> = mdb
        .entries(7)
        .map(|entry| match entry.kind {
            EntryKind::Member(group) => format!("{group} {}", entry.age_secs),
            EntryKind::Router => String::new(),
        })
        .collect();
    assert_eq!(text, ["239.0.0.1 7", "224.0.0.251 7"]);
    assert_eq!(
        Group::from("ff05::1:3".parse::<std::net::Ipv6Addr>().unwrap()).to_string(),
        "ff05::1:3"
    );
}
