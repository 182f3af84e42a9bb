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
    BridgeConf, BridgeId, LinkConf, LinkId, LinkRole, PortConf, PortId, PortKind, PriorityTags,
    Snapshot, SnapshotBuilder, Tick, VidSet, VlanConf, VlanMode, WorkerId,
};
use weft_wire::vid::Vid;

const AGE_SECS: u32 = 100;
/// The destinations that are no stations: all of them, and LLDP's.
const BROADCAST: u8 = 5;
const RESERVED: u8 = 6;

/// A tag: TPID, priority with the drop-eligible bit as its lowest, VLAN number.
type Tag = (u16, u16, u16);

const NO_TAG: Tag = (0, 0, 0);

/// A port as the model knows it.
#[derive(Clone, Debug)]
struct ModelPort {
    bridge: u16,
    mode: VlanMode,
    tag: u16,
    trunks: Option<BTreeSet<u16>>,
    cvlans: Option<BTreeSet<u16>>,
    service_tpid: u16,
    priority_tags: PriorityTags,
    group: u16,
    forwards: bool,
}

fn vid() -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(0u16), 4 => 1u16..4, 1 => Just(4095u16)]
}

fn tpid() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(0x8100u16), 2 => Just(0x88a8u16)]
}

/// What is in front of a frame: mostly one tag or none, at most three.
fn tags() -> impl Strategy<Value = Vec<Tag>> {
    let priority = prop_oneof![4 => Just(0u16), 2 => Just(0b1010u16), 1 => 0u16..16];
    let tag = (tpid(), priority, vid()).boxed();
    let tags = |count| prop::collection::vec(tag.clone(), count);
    prop_oneof![4 => tags(0..=1), 3 => tags(2..=2), 1 => tags(3..=3)]
}

fn vlans() -> impl Strategy<Value = Option<BTreeSet<u16>>> {
    prop::option::weighted(0.4, prop::collection::btree_set(vid(), 1..3))
}

fn mode() -> impl Strategy<Value = VlanMode> {
    prop_oneof![
        3 => Just(VlanMode::Trunk),
        2 => Just(VlanMode::Access),
        2 => Just(VlanMode::NativeTagged),
        2 => Just(VlanMode::NativeUntagged),
        2 => Just(VlanMode::Dot1qTunnel),
    ]
}

fn priority_tags() -> impl Strategy<Value = PriorityTags> {
    prop_oneof![
        2 => Just(PriorityTags::Never),
        1 => Just(PriorityTags::IfNonzero),
        1 => Just(PriorityTags::Always),
    ]
}

fn port() -> impl Strategy<Value = ModelPort> {
    let vlan = (mode(), vid(), vlans(), vlans(), tpid(), priority_tags());
    let group = prop_oneof![3 => Just(0u16), 1 => 1u16..3];
    (0u16..2, vlan, group, prop::bool::weighted(0.9)).prop_map(|(bridge, vlan, group, forwards)| {
        let (mode, tag, trunks, cvlans, service_tpid, priority_tags) = vlan;
        let tag = if mode == VlanMode::Trunk { 0 } else { tag };
        let is_trunk = !matches!(mode, VlanMode::Access | VlanMode::Dot1qTunnel);
        let trunks = trunks.filter(|_| is_trunk);
        let cvlans = cvlans.filter(|_| mode == VlanMode::Dot1qTunnel);
        ModelPort {
            bridge,
            mode,
            tag,
            trunks,
            cvlans,
            service_tpid,
            priority_tags,
            group,
            forwards,
        }
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// Port, source station, destination station (5 and more: group addresses), tags.
    Frame(u16, u8, u8, Vec<Tag>),
    Pause(u32),
    Reconfigure(u16, ModelPort),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0u16..6, 0u8..5, 0u8..7, tags()).prop_map(|(p, s, d, t)| Step::Frame(p, s, d, t)),
        2 => (1u32..AGE_SECS).prop_map(Step::Pause),
        1 => (0u16..6, port()).prop_map(|(id, port)| Step::Reconfigure(id, port)),
    ]
}

fn snapshot(epoch: u64, ports: &[ModelPort], reads_inner_tags: bool) -> Snapshot {
    let mut builder = SnapshotBuilder::new(epoch);
    builder.reads_inner_tags(reads_inner_tags);
    for bridge in 0..2 {
        let conf = BridgeConf { fdb_age_secs: AGE_SECS, ..BridgeConf::default() };
        builder.bridge(BridgeId(bridge), conf);
    }
    for (id, port) in (0u16..).zip(ports) {
        let mut conf = PortConf::new(BridgeId(port.bridge), PortKind::Link(LinkId(id)));
        let tag = Vid::try_from(port.tag).unwrap();
        conf.vlan = VlanConf {
            mode: port.mode,
            tag,
            trunks: port.trunks.as_ref().map(vid_set),
            cvlans: port.cvlans.as_ref().map(vid_set),
            service_tpid: port.service_tpid,
            priority_tags: port.priority_tags,
        };
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

fn vid_set(vids: &BTreeSet<u16>) -> Box<VidSet> {
    Box::new(vids.iter().map(|&vid| Vid::try_from(vid).unwrap()).collect())
}

fn mac(station: u8) -> [u8; 6] {
    match station {
        BROADCAST => [0xff; 6],
        RESERVED => [0x01, 0x80, 0xc2, 0, 0, 0x0e],
        _ => [0x02, 0, 0, 0, 0, station],
    }
}

fn frame(source: u8, target: u8, tags: &[Tag]) -> Vec<u8> {
    let mut bytes = [mac(target), mac(source)].concat();
    for (tpid, priority, vid) in tags {
        bytes.extend(tpid.to_be_bytes());
        bytes.extend((priority << 12 | vid).to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.extend([0x42; 60]);
    bytes
}

/// The model: what a bridge does, said in the slowest way.
struct Model {
    ports: Vec<ModelPort>,
    heard: HashMap<(u16, u16, u8), (u16, u32)>,
    /// Tags that are read, at most.
    limit: usize,
}

fn carries(port: &ModelPort, vid: u16) -> bool {
    let in_trunks = port.trunks.as_ref().is_none_or(|set| set.contains(&vid));
    match port.mode {
        VlanMode::Access | VlanMode::Dot1qTunnel => vid == port.tag,
        VlanMode::Trunk => in_trunks,
        // With a native VLAN, nothing on the wire is in VLAN 0.
        _ => vid == port.tag || vid != 0 && in_trunks,
    }
}

fn in_cvlans(port: &ModelPort, vid: u16) -> bool {
    port.cvlans.as_ref().is_none_or(|set| set.contains(&vid))
}

/// The tags that a frame has inside the switch, at most two, and the ones that are payload there;
/// `None` when the port does not take it.
fn enter(port: &ModelPort, tags: &[Tag], limit: usize) -> Option<(Vec<Tag>, Vec<Tag>)> {
    let first = tags.first().copied().unwrap_or(NO_TAG);
    let (mut known, payload) = match port.mode {
        VlanMode::Access | VlanMode::Dot1qTunnel => tags.split_at(tags.len().min(1)),
        _ => tags.split_at(tags.len().min(limit)),
    };
    let given = |tpid: u16| vec![(if first.0 == 0 { tpid } else { first.0 }, first.1, port.tag)];
    let inside = match port.mode {
        VlanMode::Access if first.2 != 0 => return None,
        VlanMode::Access => given(0x8100),
        VlanMode::Dot1qTunnel if !in_cvlans(port, first.2) => return None,
        VlanMode::Dot1qTunnel => [&[(port.service_tpid, 0, port.tag)], known].concat(),
        VlanMode::NativeTagged | VlanMode::NativeUntagged if first.2 == 0 => {
            known = known.get(1..).unwrap_or_default();
            [given(0x8100).as_slice(), known].concat()
        }
        _ if !carries(port, first.2) => return None,
        _ => known.to_vec(),
    };
    Some((inside, payload.to_vec()))
}

fn takes(port: &ModelPort, inside: &[Tag]) -> bool {
    let vid = |index: usize| inside.get(index).map_or(0, |tag| tag.2);
    carries(port, vid(0))
        && match port.mode {
            VlanMode::Access => vid(1) == 0,
            VlanMode::Dot1qTunnel => in_cvlans(port, vid(1)),
            _ => true,
        }
}

/// The tags with which a frame leaves; `came_with` is the first that it came with.
fn leave(port: &ModelPort, inside: &[Tag], came_with: Tag) -> Vec<Tag> {
    let vid = inside.first().map_or(0, |tag| tag.2);
    let mut tags = match port.mode {
        VlanMode::Access => vec![],
        VlanMode::Dot1qTunnel => inside.get(1..).unwrap_or_default().to_vec(),
        VlanMode::NativeUntagged if vid == port.tag => inside.get(1..).unwrap_or_default().to_vec(),
        _ => inside.to_vec(),
    };
    let mut outer = if tags.is_empty() { NO_TAG } else { tags.remove(0) };
    if port.priority_tags != PriorityTags::Never {
        outer.1 = outer.1 & 1 | came_with.1 & 0b1110;
    }
    let says_something = outer.1 & 0b1110 != 0 || outer.2 != 0;
    let is_wanted =
        outer.0 != 0 && (port.priority_tags == PriorityTags::Always || !tags.is_empty());
    if says_something || is_wanted {
        tags.insert(0, (if outer.0 == 0 { 0x8100 } else { outer.0 }, outer.1, outer.2));
    }
    tags
}

impl Model {
    fn receive(
        &mut self,
        at: u16,
        source: u8,
        target: u8,
        tags: &[Tag],
        now: u32,
    ) -> Vec<(u16, Vec<Tag>)> {
        let port = self.ports[usize::from(at)].clone();
        if !port.forwards {
            return vec![];
        }
        let Some((inside, payload)) = enter(&port, tags, self.limit) else { return vec![] };
        let vid = inside.first().map_or(0, |tag| tag.2);
        self.heard.insert((port.bridge, vid, source), (at, now));
        let known = self.heard.get(&(port.bridge, vid, target)).filter(|(_, t)| now - t < AGE_SECS);
        let candidates: Vec<u16> = match (target, known) {
            (RESERVED, _) => vec![],
            (_, Some((to, _))) => vec![*to],
            _ => (0..self.ports.len() as u16).collect(),
        };
        let goes_to = |to: &u16| {
            let other = &self.ports[usize::from(*to)];
            *to != at
                && other.bridge == port.bridge
                && other.forwards
                && takes(other, &inside)
                && (port.group == 0 || port.group != other.group)
        };
        let came_with = tags.first().copied().unwrap_or(NO_TAG);
        let tagged = |to: u16| {
            let left = leave(&self.ports[usize::from(to)], &inside, came_with);
            (to, [left, payload.clone()].concat())
        };
        candidates.into_iter().filter(goes_to).map(tagged).collect()
    }

    fn reconfigure(&mut self, id: u16, port: &ModelPort) {
        let before = std::mem::replace(&mut self.ports[usize::from(id)], port.clone());
        self.heard.retain(|(bridge, vid, _), (at, _)| {
            *at != id
                || (*bridge == port.bridge
                    && before.bridge == port.bridge
                    && port.forwards
                    && carries(port, *vid))
        });
    }
}

/// Port and tags of a frame that was sent, which must otherwise be what was received.
fn seen(sent: &(LinkId, Vec<u8>), source: u8, target: u8) -> (u16, Vec<Tag>) {
    let (link, bytes) = sent;
    let (mut tags, mut bare) = (vec![], bytes.clone());
    while let [0x81, 0x00] | [0x88, 0xa8] = bare[12..14] {
        let number = |at: usize| u16::from_be_bytes([bare[at], bare[at + 1]]);
        tags.push((number(12), number(14) >> 12, number(14) & 0xfff));
        bare.drain(12..16);
    }
    assert_eq!(bare, frame(source, target, &[]), "frame damaged");
    (link.0, tags)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn forwards_as_the_model_does(
        ports in prop::collection::vec(port(), 6),
        steps in prop::collection::vec(step(), 1..120),
        limit in 1usize..=2,
    ) {
        let mut switch = Switch::new(snapshot(1, &ports, limit == 2));
        let mut model = Model { ports, heard: HashMap::new(), limit };
        let mut now = 0;
        for (epoch, step) in (2u64..).zip(steps) {
            match step {
                Step::Pause(secs) => {
                    now += secs;
                    switch.datapath.expire(Tick(now));
                }
                Step::Reconfigure(id, port) => {
                    model.reconfigure(id, &port);
                    switch.install(snapshot(epoch, &model.ports, limit == 2));
                }
                Step::Frame(at, source, target, tags) => {
                    let frames = [frame(source, target, &tags)];
                    let sent = switch.receive(LinkId(at), &frames, Tick(now));
                    let mut got: Vec<_> =
                        sent.iter().map(|one| seen(one, source, target)).collect();
                    got.sort_unstable();
                    prop_assert_eq!(got, model.receive(at, source, target, &tags, now));
                }
            }
        }
    }

    /// Every received frame is counted once: sent on, or dropped for a reason.
    #[test]
    fn counts_every_frame_once(
        ports in prop::collection::vec(port(), 6),
        frames in prop::collection::vec((0u16..6, 0u8..5, 0u8..7, tags()), 1..100),
    ) {
        let mut switch = Switch::new(snapshot(1, &ports, true));
        for (at, source, target, tags) in frames {
            let before = switch.datapath.counters().clone();
            let sent = switch.receive(LinkId(at), &[frame(source, target, &tags)], Tick(0));
            let count = |now: fn(&weft_switch::PortCounters) -> u64| -> u64 {
                (0..6)
                    .map(|id| {
                        let after = switch.datapath.counters().port(PortId(id)).map_or(0, now);
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
        let mut bpdu = frame(3, 0, &[]);
        bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
        let sent = switch.receive(LinkId(0), &[frame(1, 2, &[]), bpdu.clone()], Tick(0));
        let punted: Vec<_> = switch.datapath.take_punted().collect();
        assert_eq!(punted, [(PortId(0), bpdu.clone())]);
        let back = switch.receive(LinkId(1), &[frame(2, BROADCAST, &[])], Tick(0));
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
