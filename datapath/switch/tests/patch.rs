//! Bridges that patch ports join, against a model that follows each frame by hand; and loops of
//! patch ports, which must end.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]

mod common;

use common::Switch;
use proptest::prelude::*;
use std::collections::HashMap;
use weft_switch::act::{PATCH_FRAMES_MAX, PATCH_HOPS_MAX};
use weft_switch::{
    BridgeConf, BridgeId, DropReason, IfaceCounters, IfaceId, IfaceKind, LinkConf, LinkId,
    LinkRole, PortConf, PortId, Snapshot, SnapshotBuilder, Tick, VlanConf, WorkerId,
};
use weft_wire::vid::Vid;

const BROADCAST: u8 = 6;

/// The VLAN of an access port; a trunk has none.
type Access = Option<u16>;

/// A port as the model knows it: its bridge, its VLAN, and its other end.
#[derive(Clone, Debug)]
struct ModelPort {
    bridge: u16,
    access: Access,
    peer: Option<u16>,
    is_patch: bool,
}

/// Three wires for each of three bridges, and two patches that join them in a line.
fn world() -> impl Strategy<Value = Vec<ModelPort>> {
    let access = || prop::option::weighted(0.6, 1u16..4);
    (prop::collection::vec(access(), 13), 0u16..3).prop_map(|(access, middle)| {
        let (left, right) = ((middle + 1) % 3, (middle + 2) % 3);
        let mut ports: Vec<_> = (0..9)
            .map(|n: u16| ModelPort {
                bridge: n / 3,
                access: access[usize::from(n)],
                peer: None,
                is_patch: false,
            })
            .collect();
        for (bridge, peer) in [(middle, 10), (left, 9), (middle, 12), (right, 11)] {
            let access = access[ports.len()];
            ports.push(ModelPort { bridge, access, peer: Some(peer), is_patch: true });
        }
        ports
    })
}

fn snapshot(epoch: u64, ports: &[ModelPort]) -> Snapshot {
    let mut builder = SnapshotBuilder::new(epoch);
    for bridge in 0..3 {
        builder.bridge(BridgeId(bridge), BridgeConf::default());
    }
    for (id, port) in (0u16..).zip(ports) {
        let kind = if port.is_patch {
            IfaceKind::Patch(port.peer.map(IfaceId))
        } else {
            link(&mut builder, id);
            IfaceKind::Link(LinkId(id))
        };
        let mut conf = PortConf::new(BridgeId(port.bridge), IfaceId(id), kind);
        if let Some(tag) = port.access {
            conf.vlan = VlanConf::access(Vid::try_from(tag).unwrap());
        }
        builder.port(PortId(id), conf);
    }
    builder.build()
}

fn link(builder: &mut SnapshotBuilder, id: u16) {
    let role = LinkRole::Iface(IfaceId(id));
    let conf = LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
    builder.link(LinkId(id), conf);
}

fn mac(station: u8) -> [u8; 6] {
    if station == BROADCAST { [0xff; 6] } else { [2, 0, 0, 0, 0, station] }
}

fn frame(source: u8, target: u8, tag: Option<u16>) -> Vec<u8> {
    let mut bytes = [mac(target), mac(source)].concat();
    if let Some(vid) = tag {
        bytes.extend([0x81, 0x00]);
        bytes.extend(vid.to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.resize(80, 0x42);
    bytes
}

/// The tag of a frame that was sent; all else must be as it came in.
fn tag_of(bytes: &[u8], source: u8, target: u8) -> Option<u16> {
    let tag = (bytes[12..14] == [0x81, 0x00]).then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
    assert_eq!(bytes[..12], frame(source, target, None)[..12]);
    assert!(bytes[if tag.is_some() { 18 } else { 14 }..].iter().all(|byte| *byte == 0x42));
    tag
}

struct Model {
    ports: Vec<ModelPort>,
    /// By bridge, VLAN and station.
    heard: HashMap<(u16, u16, u8), u16>,
    /// Frames that came in and went out, by port.
    rx: Vec<u64>,
    tx: Vec<u64>,
}

impl Model {
    fn new(ports: Vec<ModelPort>) -> Self {
        let none = vec![0; ports.len()];
        Self { rx: none.clone(), tx: none, heard: HashMap::new(), ports }
    }

    /// Where a frame with `tag` (0 is none) that comes in at port `at` leaves by wire, and how.
    fn receive(&mut self, at: u16, source: u8, target: u8, tag: u16) -> Vec<(u16, u16)> {
        let port = self.ports[usize::from(at)].clone();
        self.rx[usize::from(at)] += 1;
        let vid = match port.access {
            None => tag,
            Some(access) if tag == 0 => access,
            Some(_) => return vec![],
        };
        self.heard.insert((port.bridge, vid, source), at);
        let known = self.heard.get(&(port.bridge, vid, target)).copied();
        let mut out = Vec::new();
        for id in (0u16..).take(self.ports.len()) {
            let other = self.ports[usize::from(id)].clone();
            if id == at
                || other.bridge != port.bridge
                || other.access.is_some_and(|access| access != vid)
                || known.is_some_and(|known| known != id)
                || (other.is_patch && other.peer.is_none())
            {
                continue;
            }
            let tag = if other.access.is_some() { 0 } else { vid };
            self.tx[usize::from(id)] += 1;
            match other.peer {
                Some(peer) => out.extend(self.receive(peer, source, target, tag)),
                None => out.push((id, tag)),
            }
        }
        out
    }

    /// One end of a patch goes, or comes back.
    fn toggle(&mut self, end: u16) {
        let other = if end.is_multiple_of(2) { end - 1 } else { end + 1 };
        let port = &mut self.ports[usize::from(end)];
        port.peer = if port.peer.is_some() { None } else { Some(other) };
        let joined = port.peer.is_some();
        self.ports[usize::from(other)].peer = joined.then_some(end);
        self.heard.retain(|_, at| ![end, other].contains(at));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Frame(u16, u8, u8, u16),
    Toggle(u16),
    Retag(u16, Access),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0u16..9, 0u8..6, 0u8..=BROADCAST, prop_oneof![2 => Just(0), 1 => 1u16..4])
            .prop_map(|(at, source, target, tag)| Step::Frame(at, source, target, tag)),
        1 => (9u16..13).prop_map(Step::Toggle),
        1 => (0u16..13, prop::option::of(1u16..4)).prop_map(|(id, access)| Step::Retag(id, access)),
    ]
}

fn counted(switch: &Switch, figure: fn(&IfaceCounters) -> u64) -> Vec<u64> {
    (0..13).map(|id| switch.datapath.counters().iface(IfaceId(id)).map_or(0, figure)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// VLANs, learning, counters of both ends, and what happens when a patch is cut.
    #[test]
    fn bridges_joined_by_patches_forward_as_the_model_does(
        ports in world(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut switch = Switch::new(snapshot(1, &ports));
        let mut model = Model::new(ports);
        for (epoch, step) in (2u64..).zip(steps) {
            match step {
                Step::Frame(at, source, target, tag) => {
                    let bytes = frame(source, target, (tag != 0).then_some(tag));
                    let sent = switch.receive(LinkId(at), &[bytes], Tick(0));
                    let mut got: Vec<_> = sent
                        .iter()
                        .map(|(link, bytes)| (link.0, tag_of(bytes, source, target).unwrap_or(0)))
                        .collect();
                    got.sort_unstable();
                    let mut wanted = model.receive(at, source, target, tag);
                    wanted.sort_unstable();
                    prop_assert_eq!(got, wanted);
                    prop_assert_eq!(counted(&switch, |port| port.rx_frames), model.rx.clone());
                    prop_assert_eq!(counted(&switch, |port| port.tx_frames), model.tx.clone());
                    continue;
                }
                Step::Toggle(end) => model.toggle(end),
                Step::Retag(id, access) => {
                    let port = &mut model.ports[usize::from(id)];
                    if port.access != access {
                        port.access = access;
                        let carries = |vid| access.is_none_or(|access| access == vid);
                        model.heard.retain(|(_, vid, _), at| *at != id || carries(*vid));
                    }
                }
            }
            switch.install(snapshot(epoch, &model.ports));
        }
    }
}

/// `count` patches between bridges 0 and 1, wire 0 on bridge 0 and wire 1 on bridge 1.
fn parallel(count: u16) -> Switch {
    let mut builder = SnapshotBuilder::new(1);
    for id in 0..2 {
        builder.bridge(BridgeId(id), BridgeConf::default());
        link(&mut builder, id);
        builder.port(
            PortId(id),
            PortConf::new(BridgeId(id), IfaceId(id), IfaceKind::Link(LinkId(id))),
        );
    }
    for n in 0..count {
        let (near, far) = (2 + 2 * n, 3 + 2 * n);
        let patch = |peer| IfaceKind::Patch(Some(IfaceId(peer)));
        builder.port(PortId(near), PortConf::new(BridgeId(0), IfaceId(near), patch(far)));
        builder.port(PortId(far), PortConf::new(BridgeId(1), IfaceId(far), patch(near)));
    }
    Switch::new(builder.build())
}

fn sums(switch: &Switch) -> IfaceCounters {
    let mut all = IfaceCounters::default();
    (0..40)
        .filter_map(|id| switch.datapath.counters().iface(IfaceId(id)))
        .for_each(|one| all.add(one));
    all
}

/// Two patches side by side: two copies go round, each until its hops are used up.
#[test]
fn a_loop_of_patches_ends() {
    let mut switch = parallel(2);
    let sent = switch.receive(LinkId(0), &[frame(1, BROADCAST, None)], Tick(0));
    let all = sums(&switch);
    assert_eq!(all.rx_drops[DropReason::PatchHops as usize], 2);
    assert_eq!(all.rx_dropped_frames(), 2);
    // Every hop of the two ends at wire 0 or wire 1, but for the last.
    assert_eq!(sent.len(), 2 * PATCH_HOPS_MAX);
    // The next frame starts afresh.
    let again = switch.receive(LinkId(0), &[frame(1, BROADCAST, None)], Tick(0));
    assert_eq!(again.len(), sent.len());
}

/// Four patches side by side: each hop triples the copies, and only the budget ends it.
#[test]
fn a_storm_of_patches_ends() {
    let mut switch = parallel(4);
    let mut before = 0;
    for _ in 0..2 {
        switch.receive(LinkId(0), &[frame(1, BROADCAST, None)], Tick(0));
        let all = sums(&switch);
        assert!(all.tx_drops[DropReason::PatchFull as usize] > before, "{all:?}");
        before = all.tx_drops[DropReason::PatchFull as usize];
    }
    let crossed: u64 = (2..10)
        .filter_map(|id| switch.datapath.counters().iface(IfaceId(id)))
        .map(|p| p.rx_frames)
        .sum();
    assert_eq!(crossed, 2 * PATCH_FRAMES_MAX as u64, "the budget is for each batch");
}

/// A line of bridges as long as the bound allows is no loop.
#[test]
fn a_long_line_of_bridges_carries() {
    for (hops, arrives) in [(PATCH_HOPS_MAX, 1), (PATCH_HOPS_MAX + 1, 0)] {
        let hops = u16::try_from(hops).unwrap();
        let mut builder = SnapshotBuilder::new(1);
        for bridge in 0..=hops {
            builder.bridge(BridgeId(bridge), BridgeConf::default());
        }
        for n in 0..hops {
            let (near, far) = (2 + 2 * n, 3 + 2 * n);
            let patch = |peer| IfaceKind::Patch(Some(IfaceId(peer)));
            builder.port(PortId(near), PortConf::new(BridgeId(n), IfaceId(near), patch(far)));
            builder.port(PortId(far), PortConf::new(BridgeId(n + 1), IfaceId(far), patch(near)));
        }
        for (id, bridge) in [(0, 0), (1, hops)] {
            link(&mut builder, id);
            builder.port(
                PortId(id),
                PortConf::new(BridgeId(bridge), IfaceId(id), IfaceKind::Link(LinkId(id))),
            );
        }
        let mut switch = Switch::new(builder.build());
        let frames = vec![frame(1, 2, None); 32];
        assert_eq!(switch.receive(LinkId(0), &frames, Tick(0)).len(), 32 * arrives);
        let answers = switch.receive(LinkId(1), &[frame(2, 1, None)], Tick(0));
        assert_eq!(answers.len(), arrives);
    }
}

/// A port with no other end sends nothing, and takes part in no flood.
#[test]
fn a_patch_port_without_a_peer_drops() {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    link(&mut builder, 0);
    builder.port(PortId(0), PortConf::new(BridgeId(0), IfaceId(0), IfaceKind::Link(LinkId(0))));
    // Its peer is not there.
    builder.port(
        PortId(1),
        PortConf::new(BridgeId(0), IfaceId(1), IfaceKind::Patch(Some(IfaceId(7)))),
    );
    let mut switch = Switch::new(builder.build());
    assert_eq!(switch.receive(LinkId(0), &[frame(1, BROADCAST, None)], Tick(0)), []);
    assert_eq!(sums(&switch).rx_drops[DropReason::NoMember as usize], 1);
    let station = weft_switch::Station::new(Vid::UNTAGGED, 0x0200_0000_0002);
    switch.datapath.fdb_mut(BridgeId(0)).unwrap().set_static(station, PortId(1), Tick(0));
    assert_eq!(switch.receive(LinkId(0), &[frame(1, 2, None)], Tick(0)), []);
    let port = switch.datapath.counters().iface(IfaceId(1)).unwrap();
    assert_eq!((port.tx_frames, port.tx_drops[DropReason::NoPeer as usize]), (0, 1));
}

/// A trunk through an access port of another VLAN: one VLAN becomes the other, a tag in a tag
/// stays what it is.
#[test]
fn tags_are_read_again_at_the_other_end() {
    let ports = [
        ModelPort { bridge: 0, access: None, peer: None, is_patch: false },
        ModelPort { bridge: 1, access: None, peer: None, is_patch: false },
        ModelPort { bridge: 0, access: Some(2), peer: Some(3), is_patch: true },
        ModelPort { bridge: 1, access: None, peer: Some(2), is_patch: true },
    ];
    let mut switch = Switch::new(snapshot(1, &ports));
    let mut bytes = frame(1, BROADCAST, Some(2));
    bytes.splice(16..18, [0x81, 0x00, 0x00, 0x03, 0x88, 0xb5]);
    let sent = switch.receive(LinkId(0), &[bytes], Tick(0));
    assert_eq!(sent.len(), 1);
    assert_eq!(tag_of(&sent[0].1, 1, BROADCAST), Some(3), "the inner tag is the outer one now");
    let records = switch.datapath.fdb(BridgeId(1)).unwrap().records(Tick(0));
    assert_eq!(records.iter().map(|one| one.vid.get()).collect::<Vec<_>>(), [3]);
}

/// A spanning tree frame out of a patch port arrives at the peer, and goes up, not on.
#[test]
fn bpdus_cross() {
    let mut builder = SnapshotBuilder::new(1);
    for (id, peer) in [(0u16, 1u16), (1, 0)] {
        let bridge = BridgeConf { takes_bpdus: true, ..BridgeConf::default() };
        builder.bridge(BridgeId(id), bridge);
        let kind = IfaceKind::Patch(Some(IfaceId(peer)));
        let mut port = PortConf::new(BridgeId(id), IfaceId(id), kind);
        (port.forwards, port.learns) = (false, false);
        builder.port(PortId(id), port);
    }
    let mut switch = Switch::new(builder.build());
    let mut bpdu = frame(1, 0, None);
    bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
    let Switch { datapath, snapshot, io, .. } = &mut switch;
    datapath.transmit(IfaceId(0), &bpdu, snapshot, io);
    assert_eq!(datapath.take_punted().collect::<Vec<_>>(), [(IfaceId(1), bpdu)]);
    assert_eq!(io.live, 0);
    let (near, far) =
        (datapath.counters().iface(IfaceId(0)), datapath.counters().iface(IfaceId(1)));
    assert_eq!((near.unwrap().tx_frames, far.unwrap().rx_frames), (1, 1));
}
