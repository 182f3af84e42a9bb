//! Who gets a frame to a group: any lists of ports, bridges, VLANs, blocked ports and split horizon
//! against a model.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]
#![expect(clippy::cast_possible_truncation, reason = "counts here are below ten")]

mod common;
#[path = "../../wire/tests/mcast_frames/mod.rs"]
mod mcast_frames;

use common::Switch;
use mcast_frames::{Kind, Said, address, data, said, v4_packet, v6_packet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_switch::mcast::Groups;
use weft_switch::{
    BridgeConf, BridgeId, IfaceCounters, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole, PortConf,
    PortId, Snapshot, SnapshotBuilder, Tick, VlanConf, VlanMode, WorkerId,
};
use weft_wire::Group;
use weft_wire::vid::Vid;

const SNOOPING: u16 = 0;

#[derive(Clone, Debug)]
struct ModelPort {
    bridge: u16,
    /// An access port of this VLAN, or a trunk of all.
    access: Option<u16>,
    horizon: u16,
    forwards: bool,
}

fn port() -> impl Strategy<Value = ModelPort> {
    let bridge = prop_oneof![5 => Just(SNOOPING), 1 => Just(1u16)];
    let access = prop::option::weighted(0.3, 0u16..3);
    let horizon = prop_oneof![3 => Just(0u16), 1 => 1u16..3];
    (bridge, access, horizon, prop::bool::weighted(0.9)).prop_map(
        |(bridge, access, horizon, forwards)| ModelPort { bridge, access, horizon, forwards },
    )
}

type Ports = BTreeSet<u16>;

/// Lists for single VLANs, and the one for all others.
type ByVlan = (BTreeMap<u16, Ports>, Option<Ports>);

/// Lists as control might give them, by VLAN and number of the group.
#[derive(Clone, Debug, Default)]
struct Lists {
    members: BTreeMap<(u16, u8), Ports>,
    unregistered: ByVlan,
    reports: ByVlan,
}

fn lists() -> impl Strategy<Value = Lists> {
    let ports = || prop::collection::btree_set(0u16..6, 0..6);
    let by_vlan =
        || (prop::collection::btree_map(0u16..3, ports(), 0..3), prop::option::of(ports()));
    let members = prop::collection::btree_map((0u16..3, 0u8..8), ports(), 0..12);
    (members, by_vlan(), by_vlan()).prop_map(|(members, unregistered, reports)| Lists {
        members,
        unregistered,
        reports,
    })
}

impl Lists {
    fn groups(&self) -> Groups {
        let ids = |ports: &Ports| ports.iter().copied().map(PortId).collect::<Vec<_>>();
        let mut groups = Groups::default();
        for ((v, group), ports) in &self.members {
            groups.set_members(vid(*v), Group::from(address(*group)), ids(ports));
        }
        for (v, ports) in &self.unregistered.0 {
            groups.set_unregistered(Some(vid(*v)), ids(ports));
        }
        if let Some(ports) = &self.unregistered.1 {
            groups.set_unregistered(None, ids(ports));
        }
        for (v, ports) in &self.reports.0 {
            groups.set_reports(Some(vid(*v)), ids(ports));
        }
        if let Some(ports) = &self.reports.1 {
            groups.set_reports(None, ids(ports));
        }
        groups
    }
}

/// What is sent.
#[derive(Clone, Debug)]
enum What {
    Said(Said),
    Data(u8),
    /// Everybody gets these, for the reason in the name.
    LocalV4,
    AllNodes,
    NotIp,
    Broadcast,
    OtherIgmp,
    /// Not for the group of its Ethernet address.
    UnicastInside,
    /// The IPv4 header is broken.
    Broken,
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        12 => said().prop_map(What::Said),
        12 => (0u8..8).prop_map(What::Data),
        1 => prop::sample::select(vec![
            What::LocalV4, What::AllNodes, What::NotIp, What::Broadcast, What::OtherIgmp,
            What::UnicastInside, What::Broken,
        ]),
    ]
}

impl What {
    fn frame(&self, port: u16) -> Vec<u8> {
        let payload = [0x55; 30];
        match self {
            Self::Said(said) => said.frame(port),
            Self::Data(group) => data(*group, port),
            Self::LocalV4 => v4_packet(17, [10, 0, 0, 1], [224, 0, 0, 5], &payload, port),
            Self::AllNodes => v6_packet(17, [7; 16], "ff02::1".parse().unwrap(), &payload, port),
            Self::NotIp => {
                let mut frame = data(0, port);
                frame[12..14].copy_from_slice(&[0x88, 0xb5]);
                frame
            }
            Self::Broadcast => {
                let mut frame = data(0, port);
                frame[..6].fill(0xff);
                frame
            }
            Self::OtherIgmp => v4_packet(2, [10, 0, 0, 1], [239, 1, 2, 3], &[0x99; 8], port),
            Self::UnicastInside => {
                let mut frame = v4_packet(17, [10, 0, 0, 1], [10, 1, 2, 3], &payload, port);
                frame[..6].copy_from_slice(&[0x01, 0x00, 0x5e, 1, 2, 3]);
                frame
            }
            Self::Broken => {
                let mut frame = data(0, port);
                frame[14] = 0x41;
                frame
            }
        }
    }
}

fn vid(raw: u16) -> Vid {
    Vid::try_from(raw).unwrap()
}

fn snapshot(ports: &[ModelPort]) -> Snapshot {
    let mut builder = SnapshotBuilder::new(1);
    for bridge in 0..2 {
        builder.bridge(BridgeId(bridge), BridgeConf::default());
    }
    for (id, port) in (0u16..).zip(ports) {
        let mut conf =
            PortConf::new(BridgeId(port.bridge), IfaceId(id), IfaceKind::Link(LinkId(id)));
        if let Some(tag) = port.access {
            conf.vlan = VlanConf { mode: VlanMode::Access, tag: vid(tag), ..VlanConf::default() };
        }
        conf.split_horizon = port.horizon;
        (conf.forwards, conf.learns) = (port.forwards, port.forwards);
        builder.port(PortId(id), conf);
        let role = LinkRole::Iface(IfaceId(id));
        let link = LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
        builder.link(LinkId(id), link);
    }
    builder.build()
}

fn tagged(mut frame: Vec<u8>, tag: Option<u16>) -> Vec<u8> {
    if let Some(tag) = tag {
        let [high, low] = tag.to_be_bytes();
        frame.splice(12..12, [0x81, 0x00, high, low]);
    }
    frame
}

/// The ports of two bridges, one of which snoops, and the lists of that one.
struct Model {
    ports: Vec<ModelPort>,
    lists: Lists,
}

impl Model {
    /// The VLAN of a frame; none when the port refuses it.
    fn vid(&self, at: u16, tag: Option<u16>) -> Option<u16> {
        let port = &self.ports[usize::from(at)];
        let vid = match (port.access, tag) {
            (Some(access), None | Some(0)) => access,
            (Some(_), Some(_)) => return None,
            (None, tag) => tag.unwrap_or(0),
        };
        port.forwards.then_some(vid)
    }

    fn targets(&self, at: u16, vid: u16, what: &What) -> Ports {
        let all: Ports = (0..self.ports.len() as u16).collect();
        let of_vlan = |(single, others): &ByVlan| single.get(&vid).or(others.as_ref()).cloned();
        if self.ports[usize::from(at)].bridge != SNOOPING {
            return all;
        }
        let list = match what {
            What::Said(said) if said.kind != Kind::Query => of_vlan(&self.lists.reports),
            What::Data(group) => {
                let members = self.lists.members.get(&(vid, *group)).cloned();
                members.or_else(|| of_vlan(&self.lists.unregistered))
            }
            What::UnicastInside | What::Broken => of_vlan(&self.lists.unregistered),
            _ => return all,
        };
        list.unwrap_or(all)
    }

    /// Ports that a frame leaves by, with the tag that it has there.
    fn expected(&self, at: u16, tag: Option<u16>, what: &What) -> Vec<(u16, Option<u16>)> {
        let Some(vid) = self.vid(at, tag) else { return vec![] };
        let from = &self.ports[usize::from(at)];
        let takes = |id: &u16| {
            let to = &self.ports[usize::from(*id)];
            *id != at
                && to.bridge == from.bridge
                && to.forwards
                && to.access.is_none_or(|access| access == vid)
                && (from.horizon == 0 || from.horizon != to.horizon)
        };
        let tag = |id: u16| {
            let bare = self.ports[usize::from(id)].access.is_some() || vid == 0;
            (id, (!bare).then_some(vid))
        };
        self.targets(at, vid, what).into_iter().filter(takes).map(tag).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn frames_go_where_the_lists_say(
        ports in prop::collection::vec(port(), 6),
        lists in lists(),
        steps in prop::collection::vec((0u16..6, prop::option::of(0u16..3), what()), 1..40),
    ) {
        let mut switch = Switch::new(snapshot(&ports));
        switch.datapath.snooping.set(BridgeId(SNOOPING), Some(Arc::new(lists.groups())));
        let model = Model { ports, lists };
        for (at, tag, what) in steps {
            let bare = what.frame(at);
            let frame = tagged(bare.clone(), tag);
            let before = switch.datapath.counters().iface(IfaceId(at)).map_or(0, IfaceCounters::rx_dropped_frames);
            let sent = switch.receive(LinkId(at), std::slice::from_ref(&frame), Tick(0));
            let mut got = Vec::new();
            for (link, bytes) in sent {
                let tag = (bytes[12..14] == [0x81, 0x00]).then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
                // Short frames are padded.
                let inside = &bytes[if tag.is_some() { 16 } else { 12 }..];
                prop_assert_eq!(&inside[..bare.len() - 12], &bare[12..], "frame damaged");
                prop_assert!(inside[bare.len() - 12..].iter().all(|byte| *byte == 0), "old bytes");
                got.push((link.0, tag.map(|tag| tag & 0xfff)));
            }
            got.sort_unstable();
            prop_assert_eq!(&got, &model.expected(at, tag, &what), "{:?} on {} in {:?}", what, at, tag);
            let dropped = switch.datapath.counters().iface(IfaceId(at)).map_or(0, IfaceCounters::rx_dropped_frames);
            prop_assert_eq!(dropped - before, u64::from(got.is_empty()), "counted once");

            let heard: Vec<_> = switch.datapath.take_heard().collect();
            let vlan = model.vid(at, tag);
            let is_heard = matches!(what, What::Said(_))
                && model.ports[usize::from(at)].bridge == SNOOPING
                && vlan.is_some();
            prop_assert_eq!(heard.len(), usize::from(is_heard));
            for one in heard {
                prop_assert_eq!((one.port.0, Some(one.vid.get()), &one.frame), (at, vlan, &frame));
            }
        }
    }
}

/// One hostile port cannot keep the control thread busy, nor keep others from being heard.
#[test]
fn copies_are_limited_by_batch_and_by_second() {
    let trunk = ModelPort { bridge: SNOOPING, access: None, horizon: 0, forwards: true };
    let mut switch = Switch::new(snapshot(&vec![trunk; 3]));
    let groups = Arc::new(Lists::default().groups());
    switch.datapath.snooping.set(BridgeId(SNOOPING), Some(groups));
    let report = mcast_frames::igmp_report([239, 1, 1, 1], 0);
    let mut heard = |port, second| {
        switch.receive(LinkId(port), &vec![report.clone(); 32], Tick(second));
        switch.datapath.take_heard().count()
    };
    assert_eq!(heard(0, 5), 16, "in one batch");
    let more: usize = (0..200).map(|_| heard(0, 5)).sum();
    assert_eq!(16 + more, 1000, "in one second");
    assert_eq!(heard(1, 5), 16, "another port has a second of its own");
    assert_eq!(heard(0, 6), 16, "in the next second");
}

/// The lists are older than the snapshot: a port that has gone, or has moved to another bridge or
/// VLAN, gets nothing.
#[test]
fn a_stale_list_leaks_nothing() {
    let trunk = |bridge, access| ModelPort { bridge, access, horizon: 0, forwards: true };
    let before = [trunk(0, Some(1)), trunk(0, Some(1)), trunk(0, Some(1)), trunk(0, Some(1))];
    let mut switch = Switch::new(snapshot(&before));
    let lists = Lists { members: [((1, 0), (1..4).collect())].into(), ..Lists::default() };
    switch.datapath.snooping.set(BridgeId(0), Some(Arc::new(lists.groups())));
    let reach = |switch: &mut Switch| {
        let sent = switch.receive(LinkId(0), &[data(0, 0)], Tick(0));
        sent.iter().map(|(link, _)| link.0).collect::<Vec<_>>()
    };
    assert_eq!(reach(&mut switch), [1, 2, 3]);
    switch.install(snapshot(&[trunk(0, Some(1)), trunk(1, Some(1)), trunk(0, Some(2))]));
    assert_eq!(reach(&mut switch), [0u16; 0]);
    assert_eq!(switch.datapath.counters().iface(IfaceId(0)).unwrap().rx_dropped_frames(), 1);
    // A bridge that is gone takes its lists along.
    switch.install(Snapshot::default());
    assert!(!switch.datapath.snooping.is_on());
}
