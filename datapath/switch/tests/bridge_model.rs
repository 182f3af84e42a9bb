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
    BridgeConf, BridgeId, Counters, IfaceConf, IfaceId, IfaceKind, Ifaces, LinkConf, LinkId,
    LinkRole, PortConf, PortId, PriorityTags, Snapshot, SnapshotBuilder, Tick, VidSet, VlanConf,
    VlanMode, WorkerId,
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
    /// Its interfaces: which of them have their link.
    members: Vec<bool>,
}

/// Interfaces of a port, at most.
const MEMBERS_MAX: u16 = 2;

/// The link of a member of a port.
const fn link_of(port: u16, member: u16) -> LinkId {
    LinkId(port * MEMBERS_MAX + member)
}

/// Its interface, which has a number that is neither its port's nor its link's.
const fn iface_of(port: u16, member: u16) -> IfaceId {
    IfaceId(11 - link_of(port, member).0)
}

fn members() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![
        3 => Just(vec![true]),
        2 => prop::collection::vec(prop::bool::weighted(0.7), 2),
    ]
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
    let forwards = prop::bool::weighted(0.9);
    (0u16..2, vlan, group, forwards, members()).prop_map(
        |(bridge, vlan, group, forwards, members)| {
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
                members,
            }
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    /// Port and member, source station, destination station (5 and more: group addresses), tags.
    Frame((u16, u16), u8, u8, Vec<Tag>),
    Pause(u32),
    Reconfigure(u16, ModelPort),
}

/// A port, and a member that it may have.
fn place() -> impl Strategy<Value = (u16, u16)> {
    (0u16..6, 0..MEMBERS_MAX)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (place(), 0u8..5, 0u8..7, tags()).prop_map(|(p, s, d, t)| Step::Frame(p, s, d, t)),
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
        let member =
            |member| (iface_of(id, member), IfaceConf::new(IfaceKind::Link(link_of(id, member))));
        let members = (0..).take(port.members.len()).map(member);
        let mut conf = PortConf::with(BridgeId(port.bridge), Ifaces::of(members).unwrap());
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
        for (member, _) in (0..).zip(&port.members).filter(|(_, has_link)| **has_link) {
            builder.link(
                link_of(id, member),
                LinkConf {
                    role: LinkRole::Iface(iface_of(id, member)),
                    mtu: 1500,
                    completes_checksums: false,
                    worker: WorkerId(0),
                },
            );
        }
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
    /// The link that a frame leaves a port by: that of the first member that has one.
    fn exit(&self, port: u16) -> Option<LinkId> {
        let members = &self.ports[usize::from(port)].members;
        let member = members.iter().position(|has_link| *has_link)?;
        Some(link_of(port, member as u16))
    }

    /// True when frames can come in there.
    fn has_entrance(&self, (port, member): (u16, u16)) -> bool {
        let members = &self.ports[usize::from(port)].members;
        members.get(usize::from(member)).is_some_and(|has_link| *has_link)
    }

    fn receive(
        &mut self,
        (at, member): (u16, u16),
        source: u8,
        target: u8,
        tags: &[Tag],
        now: u32,
    ) -> Vec<(LinkId, Vec<Tag>)> {
        let port = self.ports[usize::from(at)].clone();
        if !port.forwards || !self.has_entrance((at, member)) {
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
            Some((self.exit(to)?, [left, payload.clone()].concat()))
        };
        candidates.into_iter().filter(goes_to).filter_map(tagged).collect()
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

/// Link and tags of a frame that was sent, which must otherwise be what was received.
fn seen(sent: &(LinkId, Vec<u8>), source: u8, target: u8) -> (LinkId, Vec<Tag>) {
    let (link, bytes) = sent;
    let (mut tags, mut bare) = (vec![], bytes.clone());
    while let [0x81, 0x00] | [0x88, 0xa8] = bare[12..14] {
        let number = |at: usize| u16::from_be_bytes([bare[at], bare[at + 1]]);
        tags.push((number(12), number(14) >> 12, number(14) & 0xfff));
        bare.drain(12..16);
    }
    assert_eq!(bare, frame(source, target, &[]), "frame damaged");
    (*link, tags)
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
                    let sent = switch.receive(link_of(at.0, at.1), &frames, Tick(now));
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
        mut ports in prop::collection::vec(port(), 6),
        frames in prop::collection::vec((place(), 0u8..5, 0u8..7, tags()), 1..100),
    ) {
        for port in &mut ports {
            port.members.fill(true);
        }
        let mut switch = Switch::new(snapshot(1, &ports, true));
        for ((at, member), source, target, tags) in frames {
            let member = member % ports[usize::from(at)].members.len() as u16;
            let (link, iface) = (link_of(at, member), iface_of(at, member));
            let before = switch.datapath.counters().clone();
            let sent = switch.receive(link, &[frame(source, target, &tags)], Tick(0));
            let count = |now: fn(&weft_switch::IfaceCounters) -> u64| -> u64 {
                (0..12)
                    .map(|id| {
                        let after = switch.datapath.counters().iface(IfaceId(id)).map_or(0, now);
                        after - before.iface(IfaceId(id)).map_or(0, now)
                    })
                    .sum()
            };
            prop_assert_eq!(count(|iface| iface.rx_frames), 1);
            prop_assert_eq!(count(|iface| iface.tx_frames), sent.len() as u64);
            // Each at the interface whose link it was.
            let one = |of: &Counters, id| of.iface(id).cloned().unwrap_or_default();
            let received = one(switch.datapath.counters(), iface).rx_frames;
            prop_assert_eq!(received, one(&before, iface).rx_frames + 1);
            for (out, _) in &sent {
                let id = iface_of(out.0 / MEMBERS_MAX, out.0 % MEMBERS_MAX);
                let sent = one(switch.datapath.counters(), id).tx_frames;
                prop_assert_eq!(sent, one(&before, id).tx_frames + 1);
            }
            let dropped = count(weft_switch::IfaceCounters::rx_dropped_frames);
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
            let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
            if id == 0 {
                (port.forwards, port.learns) = (forwards, learns);
            }
            builder.port(PortId(id), port);
            let role = LinkRole::Iface(IfaceId(id));
            let conf =
                LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
            builder.link(LinkId(id), conf);
        }
        let mut switch = Switch::new(builder.build());
        let mut bpdu = frame(3, 0, &[]);
        bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
        let sent = switch.receive(LinkId(0), &[frame(1, 2, &[]), bpdu.clone()], Tick(0));
        let punted: Vec<_> = switch.datapath.take_punted().collect();
        assert_eq!(punted, [(IfaceId(0), bpdu.clone())]);
        let back = switch.receive(LinkId(1), &[frame(2, BROADCAST, &[])], Tick(0));
        assert_eq!(back.len(), usize::from(forwards), "to the port");
        let Switch { datapath, snapshot, io, .. } = &mut switch;
        datapath.transmit(IfaceId(0), &bpdu, snapshot, io);
        assert_eq!(io.sent.pop(), Some((LinkId(0), bpdu)), "BPDUs go out of blocked ports");
        let learned = switch.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0)).len();
        (sent.len(), learned - 1)
    };
    assert_eq!(run(false, false), (0, 0), "blocking, listening");
    assert_eq!(run(false, true), (0, 1), "learning");
    assert_eq!(run(true, true), (1, 1), "forwarding");
}

/// Who is behind a port is no longer known when all its interfaces are others; one that stays is enough.
#[test]
fn a_port_with_other_interfaces_forgets_its_stations() {
    let built = |epoch, numbers: &[u16]| {
        let mut builder = SnapshotBuilder::new(epoch);
        builder.bridge(BridgeId(0), BridgeConf::default());
        let iface = |id: &u16| (IfaceId(*id), IfaceConf::new(IfaceKind::Link(LinkId(*id))));
        let ifaces = Ifaces::of(numbers.iter().map(iface)).unwrap();
        builder.port(PortId(0), PortConf::with(BridgeId(0), ifaces));
        for id in numbers {
            let role = LinkRole::Iface(IfaceId(*id));
            let conf =
                LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
            builder.link(LinkId(*id), conf);
        }
        builder.build()
    };
    let mut switch = Switch::new(built(1, &[4]));
    let stations =
        |switch: &Switch| switch.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0)).len();
    switch.receive(LinkId(4), &[frame(1, BROADCAST, &[])], Tick(0));
    switch.install(built(2, &[5, 4]));
    switch.receive(LinkId(5), &[frame(2, BROADCAST, &[])], Tick(0));
    assert_eq!(stations(&switch), 2, "one interface came");
    switch.install(built(3, &[5]));
    assert_eq!(stations(&switch), 2, "one left");
    switch.install(built(4, &[6]));
    assert_eq!(stations(&switch), 0, "none is left");
}
