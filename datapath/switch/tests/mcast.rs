//! Who gets a frame to a group: bridges, VLANs, blocked ports and split horizon against a model.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]
#![expect(clippy::cast_possible_truncation, reason = "counts here are below ten")]

mod common;
mod mcast_frames;

use common::Switch;
use mcast_frames::{Kind, Said, address, data, said, v4_packet, v6_packet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_switch::mcast::{BridgeSettings, EntryKind, Group, Mdb, PortSettings};
use weft_switch::{
    BridgeConf, BridgeId, LinkConf, LinkId, LinkRole, PortConf, PortCounters, PortId, PortKind,
    Snapshot, SnapshotBuilder, Tick, VlanConf, VlanMode, WorkerId,
};
use weft_wire::vid::Vid;

const SNOOPING: u16 = 0;

#[derive(Clone, Debug)]
struct ModelPort {
    bridge: u16,
    /// An access port of this VLAN, or a trunk of all.
    access: Option<u16>,
    horizon: u16,
    forwards: bool,
    settings: PortSettings,
}

fn port() -> impl Strategy<Value = ModelPort> {
    let often = || prop::bool::weighted(0.15);
    let bridge = prop_oneof![5 => Just(SNOOPING), 1 => Just(1u16)];
    let access = prop::option::weighted(0.3, 0u16..3);
    let horizon = prop_oneof![3 => Just(0u16), 1 => 1u16..3];
    (bridge, access, horizon, prop::bool::weighted(0.9), often(), often()).prop_map(
        |(bridge, access, horizon, forwards, floods, floods_reports)| ModelPort {
            bridge,
            access,
            horizon,
            forwards,
            settings: PortSettings { floods, floods_reports },
        },
    )
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
        let mut conf = PortConf::new(BridgeId(port.bridge), PortKind::Link(LinkId(id)));
        if let Some(tag) = port.access {
            conf.vlan = VlanConf { mode: VlanMode::Access, tag: vid(tag), ..VlanConf::default() };
        }
        conf.split_horizon = port.horizon;
        (conf.forwards, conf.learns) = (port.forwards, port.forwards);
        builder.port(PortId(id), conf);
        let role = LinkRole::Port(PortId(id));
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

/// One bridge's knowledge, its ports, and what is to be done with frames.
struct Model {
    ports: Vec<ModelPort>,
    mdb: Mdb,
}

impl Model {
    fn is_anywhere(&self, vid: u16, kind: EntryKind) -> BTreeSet<u16> {
        let entries = self.mdb.entries(Tick(0));
        let here = entries.filter(|entry| entry.vid.get() == vid && entry.kind == kind);
        here.map(|entry| entry.port.0).collect()
    }

    fn ports_where(&self, takes: impl Fn(&PortSettings) -> bool) -> BTreeSet<u16> {
        let ports = (0u16..).zip(&self.ports).filter(|(_, port)| port.bridge == SNOOPING);
        ports.filter(|(_, port)| takes(&port.settings)).map(|(id, _)| id).collect()
    }

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

    fn targets(&self, at: u16, vid: u16, what: &What) -> BTreeSet<u16> {
        let all: BTreeSet<u16> = (0..self.ports.len() as u16).collect();
        let unregistered = || {
            let mut to = self.is_anywhere(vid, EntryKind::Router);
            to.extend(self.ports_where(|port| port.floods));
            if self.mdb.settings().floods_unregistered { all.clone() } else { to }
        };
        if self.ports[usize::from(at)].bridge != SNOOPING {
            return all;
        }
        match what {
            What::Said(said) if said.kind != Kind::Query => {
                let mut to = self.is_anywhere(vid, EntryKind::Router);
                to.extend(self.ports_where(|port| port.floods_reports));
                to
            }
            What::Data(group) => {
                let group = Group::from(address(*group));
                let mut to = self.is_anywhere(vid, EntryKind::Member(group));
                if to.is_empty() {
                    return unregistered();
                }
                to.extend(self.is_anywhere(vid, EntryKind::Router));
                to.extend(self.ports_where(|port| port.floods));
                to
            }
            What::UnicastInside | What::Broken => unregistered(),
            _ => all,
        }
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
    fn frames_go_where_their_members_are(
        ports in prop::collection::vec(port(), 6),
        floods_unregistered: bool,
        steps in prop::collection::vec((0u16..6, prop::option::of(0u16..3), what()), 1..80),
    ) {
        let mut switch = Switch::new(snapshot(&ports));
        let settings = BridgeSettings { floods_unregistered, ..BridgeSettings::default() };
        let mut mdb = Mdb::new(settings);
        let members = (0u16..).zip(&ports).filter(|(_, port)| port.bridge == SNOOPING);
        mdb.set_ports(members.map(|(id, port)| (PortId(id), port.settings)).collect::<BTreeMap<_, _>>());
        let mut model = Model { ports, mdb };
        for (at, tag, what) in steps {
            if model.mdb.take_changed() {
                switch.datapath.snooping.set(BridgeId(SNOOPING), Some(Arc::new(model.mdb.groups())));
            }
            let bare = what.frame(at);
            let frame = tagged(bare.clone(), tag);
            let before = switch.datapath.counters.port(PortId(at)).map_or(0, PortCounters::rx_dropped_frames);
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
            let dropped = switch.datapath.counters.port(PortId(at)).map_or(0, PortCounters::rx_dropped_frames);
            prop_assert_eq!(dropped - before, u64::from(got.is_empty()), "counted once");

            let heard: Vec<_> = switch.datapath.snooping.take_heard().collect();
            let vlan = model.vid(at, tag);
            let is_heard = matches!(what, What::Said(_))
                && model.ports[usize::from(at)].bridge == SNOOPING
                && vlan.is_some();
            prop_assert_eq!(heard.len(), usize::from(is_heard));
            for one in heard {
                prop_assert_eq!((one.port.0, Some(one.vid.get()), &one.frame), (at, vlan, &frame));
                model.mdb.receive(one.port, one.vid, &one.frame, Tick(0));
            }
        }
    }
}

/// One hostile port cannot keep the control thread busy, nor keep others from being heard.
#[test]
fn copies_are_limited_by_batch_and_by_second() {
    let trunk = ModelPort {
        bridge: SNOOPING,
        access: None,
        horizon: 0,
        forwards: true,
        settings: PortSettings::default(),
    };
    let mut switch = Switch::new(snapshot(&vec![trunk; 3]));
    let groups = Arc::new(Mdb::new(BridgeSettings::default()).groups());
    switch.datapath.snooping.set(BridgeId(SNOOPING), Some(groups));
    let report = mcast_frames::igmp_report([239, 1, 1, 1], 0);
    let mut heard = |port, second| {
        switch.receive(LinkId(port), &vec![report.clone(); 32], Tick(second));
        switch.datapath.snooping.take_heard().count()
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
    let trunk = |bridge, access| ModelPort {
        bridge,
        access,
        horizon: 0,
        forwards: true,
        settings: PortSettings::default(),
    };
    let before = [trunk(0, Some(1)), trunk(0, Some(1)), trunk(0, Some(1)), trunk(0, Some(1))];
    let mut switch = Switch::new(snapshot(&before));
    let mut mdb = Mdb::new(BridgeSettings::default());
    mdb.set_ports((0..4).map(|id| (PortId(id), PortSettings::default())).collect());
    for id in 1..4 {
        let report = mcast_frames::igmp_report([239, 1, 2, 3], id);
        mdb.receive(PortId(id), vid(1), &report, Tick(0));
    }
    switch.datapath.snooping.set(BridgeId(0), Some(Arc::new(mdb.groups())));
    let reach = |switch: &mut Switch| {
        let sent = switch.receive(LinkId(0), &[data(0, 0)], Tick(0));
        sent.iter().map(|(link, _)| link.0).collect::<Vec<_>>()
    };
    assert_eq!(reach(&mut switch), [1, 2, 3]);
    switch.install(snapshot(&[trunk(0, Some(1)), trunk(1, Some(1)), trunk(0, Some(2))]));
    assert_eq!(reach(&mut switch), [0u16; 0]);
    assert_eq!(switch.datapath.counters.port(PortId(0)).unwrap().rx_dropped_frames(), 1);
    // A bridge that is gone takes its lists along.
    switch.install(Snapshot::default());
    assert!(!switch.datapath.snooping.is_on());
}
