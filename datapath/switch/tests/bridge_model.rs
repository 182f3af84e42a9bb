//! The bridge against a model simple enough to be obviously right: random ports, VLANs, bridges,
//! frames, pauses and changes of configuration.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]
#![expect(clippy::cast_possible_truncation, reason = "counts here are below ten")]

mod common;

use common::Switch;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use weft_switch::{
    BridgeConf, BridgeId, LinkConf, LinkId, LinkRole, PortConf, PortId, PortKind, Snapshot,
    SnapshotBuilder, Tick, VlanConf, VlanMode, WorkerId,
};
use weft_wire::vid::Vid;

const AGE_SECS: u32 = 100;
/// The destinations that are no stations: all of them, and LLDP's.
const BROADCAST: u8 = 5;
const RESERVED: u8 = 6;

/// A port as the model knows it.
#[derive(Clone, Debug)]
struct ModelPort {
    bridge: u16,
    mode: VlanMode,
    tag: u16,
    trunks: Option<BTreeSet<u16>>,
    group: u16,
    forwards: bool,
}

fn vid() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0u16), 1u16..4]
}

fn port() -> impl Strategy<Value = ModelPort> {
    let mode = prop_oneof![
        2 => Just(VlanMode::Trunk),
        2 => Just(VlanMode::Access),
        1 => Just(VlanMode::NativeTagged),
        1 => Just(VlanMode::NativeUntagged),
    ];
    let trunks = prop::option::weighted(0.4, prop::collection::btree_set(0u16..4, 1..3));
    (
        0u16..2,
        mode,
        vid(),
        trunks,
        prop_oneof![3 => Just(0u16), 1 => 1u16..3],
        prop::bool::weighted(0.9),
    )
        .prop_map(|(bridge, mode, tag, trunks, group, forwards)| ModelPort {
            bridge,
            tag: if mode == VlanMode::Trunk { 0 } else { tag },
            trunks: if mode == VlanMode::Access { None } else { trunks },
            mode,
            group,
            forwards,
        })
}

#[derive(Clone, Debug)]
enum Step {
    /// Port, source station, destination station (5 and more: group addresses), tag.
    Frame(u16, u8, u8, Option<u16>),
    Pause(u32),
    Reconfigure(u16, ModelPort),
}

fn step() -> impl Strategy<Value = Step> {
    let tag = prop::option::weighted(0.5, vid());
    prop_oneof![
        20 => (0u16..6, 0u8..5, 0u8..7, tag).prop_map(|(p, s, d, t)| Step::Frame(p, s, d, t)),
        2 => (1u32..AGE_SECS).prop_map(Step::Pause),
        1 => (0u16..6, port()).prop_map(|(id, port)| Step::Reconfigure(id, port)),
    ]
}

fn snapshot(epoch: u64, ports: &[ModelPort]) -> Snapshot {
    let mut builder = SnapshotBuilder::new(epoch);
    for bridge in 0..2 {
        let conf = BridgeConf { fdb_age_secs: AGE_SECS, ..BridgeConf::default() };
        builder.bridge(BridgeId(bridge), conf);
    }
    for (id, port) in (0u16..).zip(ports) {
        let trunks = port
            .trunks
            .as_ref()
            .map(|set| Box::new(set.iter().map(|&vid| Vid::try_from(vid).unwrap()).collect()));
        let mut conf = PortConf::new(BridgeId(port.bridge), PortKind::Link(LinkId(id)));
        let tag = Vid::try_from(port.tag).unwrap();
        conf.vlan = VlanConf { mode: port.mode, tag, trunks, priority_tags: false };
        conf.split_horizon = port.group;
        (conf.forwards, conf.learns) = (port.forwards, port.forwards);
        builder.port(PortId(id), conf);
        builder.link(
            LinkId(id),
            LinkConf {
                role: LinkRole::Port(PortId(id)),
                mtu: 1500,
                completes_checksums: false,
                worker: WorkerId(0),
            },
        );
    }
    builder.build()
}

fn mac(station: u8) -> [u8; 6] {
    match station {
        BROADCAST => [0xff; 6],
        RESERVED => [0x01, 0x80, 0xc2, 0, 0, 0x0e],
        _ => [0x02, 0, 0, 0, 0, station],
    }
}

fn frame(source: u8, target: u8, tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [mac(target), mac(source)].concat();
    if let Some(vid) = tag {
        bytes.extend([0x81, 0x00]);
        bytes.extend((0x6000 | vid).to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.extend([0x42; 60]);
    bytes
}

/// The model: what a bridge does, said in the slowest way.
struct Model {
    ports: Vec<ModelPort>,
    heard: HashMap<(u16, u16, u8), (u16, u32)>,
}

fn member(port: &ModelPort, vid: u16) -> bool {
    let in_trunks = port.trunks.as_ref().is_none_or(|set| set.contains(&vid));
    match port.mode {
        VlanMode::Access => vid == port.tag,
        VlanMode::Trunk => in_trunks,
        VlanMode::NativeTagged | VlanMode::NativeUntagged => vid == port.tag || in_trunks,
    }
}

impl Model {
    fn receive(
        &mut self,
        at: u16,
        source: u8,
        target: u8,
        tag: Option<u16>,
        now: u32,
    ) -> Vec<(u16, Option<u16>)> {
        let port = self.ports[usize::from(at)].clone();
        let on_wire = tag.unwrap_or(0);
        let vid = match port.mode {
            VlanMode::Access if on_wire != 0 => return vec![],
            VlanMode::Trunk => on_wire,
            _ if on_wire == 0 => port.tag,
            _ => on_wire,
        };
        if !port.forwards || !member(&port, vid) {
            return vec![];
        }
        self.heard.insert((port.bridge, vid, source), (at, now));
        let known = self.heard.get(&(port.bridge, vid, target)).filter(|(_, t)| now - t < AGE_SECS);
        let candidates: Vec<u16> = match (target, known) {
            (RESERVED, _) => vec![],
            (_, Some((to, _))) => vec![*to],
            _ => (0..self.ports.len() as u16).collect(),
        };
        let takes = |to: &u16| {
            let other = &self.ports[usize::from(*to)];
            *to != at
                && other.bridge == port.bridge
                && other.forwards
                && member(other, vid)
                && (port.group == 0 || port.group != other.group)
        };
        let tagged = |to: u16| {
            let other = &self.ports[usize::from(to)];
            let bare = match other.mode {
                VlanMode::Access => true,
                VlanMode::NativeUntagged => vid == other.tag || vid == 0,
                _ => vid == 0,
            };
            (to, (!bare).then_some(vid))
        };
        candidates.into_iter().filter(takes).map(tagged).collect()
    }

    fn reconfigure(&mut self, id: u16, port: &ModelPort) {
        let before = std::mem::replace(&mut self.ports[usize::from(id)], port.clone());
        self.heard.retain(|(bridge, vid, _), (at, _)| {
            *at != id
                || (*bridge == port.bridge
                    && before.bridge == port.bridge
                    && port.forwards
                    && member(port, *vid))
        });
    }
}

/// Port and tag of a frame that was sent, which must otherwise be what was received.
fn seen(sent: &(LinkId, Vec<u8>), source: u8, target: u8, was_tagged: bool) -> (u16, Option<u16>) {
    let (link, bytes) = sent;
    let tag = (bytes[12..14] == [0x81, 0x00]).then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
    if let (Some(tci), true) = (tag, was_tagged) {
        assert_eq!(tci & 0xf000, 0x6000, "priority lost");
    }
    let vid = tag.map(|tci| tci & 0xfff);
    let mut bare = bytes.clone();
    if tag.is_some() {
        bare.drain(12..16);
    }
    assert_eq!(bare, frame(source, target, None), "frame damaged");
    (link.0, vid)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn forwards_as_the_model_does(
        ports in prop::collection::vec(port(), 6),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut switch = Switch::new(snapshot(1, &ports));
        let mut model = Model { ports, heard: HashMap::new() };
        let mut now = 0;
        for (epoch, step) in (2u64..).zip(steps) {
            match step {
                Step::Pause(secs) => {
                    now += secs;
                    switch.datapath.expire(Tick(now));
                }
                Step::Reconfigure(id, port) => {
                    model.reconfigure(id, &port);
                    switch.install(snapshot(epoch, &model.ports));
                }
                Step::Frame(at, source, target, tag) => {
                    let frames = [frame(source, target, tag)];
                    let sent = switch.receive(LinkId(at), &frames, Tick(now));
                    let mut got: Vec<_> =
                        sent.iter().map(|one| seen(one, source, target, tag.is_some())).collect();
                    got.sort_unstable();
                    prop_assert_eq!(got, model.receive(at, source, target, tag, now));
                }
            }
        }
    }

    /// Every received frame is counted once: sent on, or dropped for a reason.
    #[test]
    fn counts_every_frame_once(
        ports in prop::collection::vec(port(), 6),
        frames in prop::collection::vec((0u16..6, 0u8..5, 0u8..7, prop::option::of(vid())), 1..100),
    ) {
        let mut switch = Switch::new(snapshot(1, &ports));
        for (at, source, target, tag) in frames {
            let before = switch.datapath.counters.clone();
            let sent = switch.receive(LinkId(at), &[frame(source, target, tag)], Tick(0));
            let count = |now: fn(&weft_switch::PortCounters) -> u64| -> u64 {
                (0..6)
                    .map(|id| {
                        let after = switch.datapath.counters.port(PortId(id)).map_or(0, now);
                        after - before.port(PortId(id)).map_or(0, now)
                    })
                    .sum()
            };
            prop_assert_eq!(count(|port| port.rx_frames), 1);
            prop_assert_eq!(count(|port| port.tx_frames), sent.len() as u64);
            let dropped = count(weft_switch::PortCounters::rx_dropped_frames);
            prop_assert_eq!(dropped, u64::from(sent.is_empty()));
        }
    }
}

/// The states of a port under spanning tree (IEEE 802.1D-2004 7.4, 7.10).
#[test]
fn a_blocked_port_takes_bpdus_only() {
    let run = |forwards: bool, learns: bool| {
        let mut builder = SnapshotBuilder::new(1);
        let bridge = BridgeConf { takes_bpdus: true, ..BridgeConf::default() };
        builder.bridge(BridgeId(0), bridge);
        for id in 0..2 {
            let mut port = PortConf::new(BridgeId(0), PortKind::Link(LinkId(id)));
            if id == 0 {
                (port.forwards, port.learns) = (forwards, learns);
            }
            builder.port(PortId(id), port);
            let role = LinkRole::Port(PortId(id));
            let conf =
                LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
            builder.link(LinkId(id), conf);
        }
        let mut switch = Switch::new(builder.build());
        let mut bpdu = frame(3, 0, None);
        bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
        let sent = switch.receive(LinkId(0), &[frame(1, 2, None), bpdu.clone()], Tick(0));
        let punted: Vec<_> = switch.datapath.take_punted().collect();
        assert_eq!(punted, [(PortId(0), bpdu.clone())]);
        let back = switch.receive(LinkId(1), &[frame(2, BROADCAST, None)], Tick(0));
        assert_eq!(back.len(), usize::from(forwards), "to the port");
        let Switch { datapath, snapshot, io, .. } = &mut switch;
        datapath.transmit(PortId(0), &bpdu, snapshot, io);
        assert_eq!(io.sent.pop(), Some((LinkId(0), bpdu)), "BPDUs go out of blocked ports");
        let learned = switch.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0)).len();
        (sent.len(), learned - 1)
    };
    assert_eq!(run(false, false), (0, 0), "blocking, listening");
    assert_eq!(run(false, true), (0, 1), "learning");
    assert_eq!(run(true, true), (1, 1), "forwarding");
}
