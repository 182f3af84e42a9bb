//! Mirrors against a model that says what Open vSwitch does: who is copied where, with which tag,
//! once; and that the frame itself goes its way as if there were no mirror.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]

mod common;

use common::Switch;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};
use weft_switch::{
    BridgeConf, BridgeId, DropReason, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole, MirrorConf,
    MirrorId, MirrorOutput, MirroredPorts, NextHop, PortConf, PortId, Reach, SnapshotBuilder, Tick,
    TunnelConf, VlanConf, WorkerId,
};
use weft_wire::MacAddr;
use weft_wire::vid::Vid;

const PORTS: u16 = 6;
const BROADCAST: u8 = 6;
const LLDP: u8 = 7;
/// Of frames without a tag.
const FRAME_BYTES: usize = 120;

/// Where a model's mirror sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Output {
    Port(u16),
    Vlan(u16),
}

#[derive(Clone, Debug)]
struct ModelMirror {
    /// `None` is all.
    sources: Option<BTreeSet<u16>>,
    targets: Option<BTreeSet<u16>>,
    vlans: Option<BTreeSet<u16>>,
    output: Output,
    snaplen: Option<u16>,
}

#[derive(Clone, Debug)]
struct World {
    /// The VLAN of each access port; none for a trunk.
    access: Vec<Option<u16>>,
    mirrors: Vec<ModelMirror>,
    flood_vlans: BTreeSet<u16>,
}

fn mirror() -> impl Strategy<Value = ModelMirror> {
    let ports = || prop::option::weighted(0.8, prop::collection::btree_set(0..PORTS, 0..3));
    let vlans = prop::option::weighted(0.3, prop::collection::btree_set(0u16..4, 0..3));
    let output = prop_oneof![
        3 => (0..PORTS).prop_map(Output::Port),
        1 => (1u16..4).prop_map(Output::Vlan),
    ];
    let snaplen = prop::option::weighted(0.3, 70u16..140);
    (ports(), ports(), vlans, output, snaplen).prop_map(
        |(sources, targets, vlans, output, snaplen)| ModelMirror {
            sources,
            targets,
            vlans,
            output,
            snaplen,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let access = prop::option::weighted(0.5, 1u16..4);
    (
        prop::collection::vec(access, usize::from(PORTS)),
        prop::collection::vec(mirror(), 0..4),
        prop::collection::btree_set(1u16..4, 0..2),
    )
        .prop_map(|(access, mirrors, flood_vlans)| World { access, mirrors, flood_vlans })
}

fn vid(number: u16) -> Vid {
    Vid::try_from(number).unwrap()
}

fn conf(id: u16, mirror: &ModelMirror) -> MirrorConf {
    let ports = |set: &Option<BTreeSet<u16>>| match set {
        None => MirroredPorts::All,
        Some(set) => MirroredPorts::Only(set.iter().map(|port| PortId(*port)).collect()),
    };
    MirrorConf {
        id: MirrorId(id),
        sources: ports(&mirror.sources),
        targets: ports(&mirror.targets),
        vlans: mirror
            .vlans
            .as_ref()
            .map(|vlans| Box::new(vlans.iter().copied().map(vid).collect())),
        output: match mirror.output {
            Output::Port(port) => MirrorOutput::Port(PortId(port)),
            Output::Vlan(number) => MirrorOutput::Vlan(vid(number)),
        },
        snaplen: mirror.snaplen,
    }
}

fn link(builder: &mut SnapshotBuilder, id: u16, role: LinkRole) {
    let conf = LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
    builder.link(LinkId(id), conf);
}

fn builder(world: &World) -> SnapshotBuilder {
    let mut builder = SnapshotBuilder::new(1);
    let bridge = BridgeConf {
        mirrors: (0u16..).zip(&world.mirrors).map(|(id, mirror)| conf(id, mirror)).collect(),
        flood_vlans: Some(Box::new(world.flood_vlans.iter().copied().map(vid).collect())),
        ..BridgeConf::default()
    };
    builder.bridge(BridgeId(0), bridge);
    for (id, access) in (0u16..).zip(&world.access) {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        if let Some(tag) = access {
            port.vlan = VlanConf::access(vid(*tag));
        }
        builder.port(PortId(id), port);
        link(&mut builder, id, LinkRole::Iface(IfaceId(id)));
    }
    builder
}

fn mac(station: u8) -> [u8; 6] {
    match station {
        BROADCAST => [0xff; 6],
        LLDP => [0x01, 0x80, 0xc2, 0, 0, 0x0e],
        _ => [2, 0, 0, 0, 0, station],
    }
}

fn frame(source: u8, target: u8, tag: u16) -> Vec<u8> {
    let mut bytes = [mac(target), mac(source)].concat();
    if tag != 0 {
        bytes.extend([0x81, 0x00]);
        bytes.extend((0x6000 | tag).to_be_bytes());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.resize(FRAME_BYTES + if tag == 0 { 0 } else { 4 }, 0x42);
    bytes
}

/// Port, tag (0 is none) and length of a frame that was sent, whose other bytes must be those that
/// came in.
fn seen(sent: &(LinkId, Vec<u8>), source: u8, target: u8) -> (u16, u16, usize) {
    let bytes = &sent.1;
    let is_tagged = bytes[12..14] == [0x81, 0x00];
    let tag = if is_tagged { u16::from_be_bytes([bytes[14], bytes[15]]) & 0xfff } else { 0 };
    let mut bare = bytes.clone();
    if is_tagged {
        bare.drain(12..16);
    }
    assert_eq!(bare, frame(source, target, 0)[..bare.len()], "a frame was damaged");
    (sent.0.0, tag, bytes.len())
}

/// What Open vSwitch does, followed step by step.
struct Model {
    world: World,
    heard: HashMap<(u16, u8), u16>,
    counted: Vec<u64>,
}

/// One frame on its way through the model.
struct Walk<'a> {
    world: &'a World,
    counted: &'a mut Vec<u64>,
    vid: u16,
    target: u8,
    served: BTreeSet<Output>,
    out: Vec<(u16, u16, usize)>,
}

impl World {
    fn carries(&self, port: u16, vid: u16) -> bool {
        self.access[usize::from(port)].is_none_or(|access| access == vid)
    }

    fn is_output(&self, port: u16) -> bool {
        self.mirrors.iter().any(|mirror| mirror.output == Output::Port(port))
    }
}

impl Walk<'_> {
    fn emit(&mut self, port: u16, vid: u16, snaplen: Option<u16>) {
        let tag = if self.world.access[usize::from(port)].is_some() { 0 } else { vid };
        let whole = FRAME_BYTES + if tag == 0 { 0 } else { 4 };
        let length = snaplen.map_or(whole, |max| whole.min(usize::from(max)));
        self.out.push((port, tag, length));
    }

    /// Mirrors watch the frame come in at, or leave by, a port.
    fn watched(&mut self, port: u16, leaves: bool) {
        for (id, mirror) in self.world.mirrors.iter().enumerate() {
            let watched = if leaves { &mirror.targets } else { &mirror.sources };
            if watched.as_ref().is_some_and(|ports| !ports.contains(&port))
                || mirror.vlans.as_ref().is_some_and(|vlans| !vlans.contains(&self.vid))
                || !self.served.insert(mirror.output)
            {
                continue;
            }
            self.counted[id] += 1;
            match mirror.output {
                Output::Port(output) => {
                    self.emit(output, self.vid, mirror.snaplen);
                    self.watched(output, true);
                }
                Output::Vlan(vid) if vid == self.vid || self.target == LLDP => {}
                Output::Vlan(vid) => {
                    for member in 0..PORTS {
                        if self.world.carries(member, vid) && !self.world.is_output(member) {
                            self.emit(member, vid, mirror.snaplen);
                            self.watched(member, true);
                        }
                    }
                }
            }
        }
    }
}

impl Model {
    fn receive(&mut self, at: u16, source: u8, target: u8, tag: u16) -> Vec<(u16, u16, usize)> {
        let Self { world, heard, counted } = self;
        let vid = match world.access[usize::from(at)] {
            None => tag,
            Some(access) if tag == 0 => access,
            Some(_) => return vec![],
        };
        if world.is_output(at) {
            return vec![];
        }
        if !world.flood_vlans.contains(&vid) {
            heard.insert((vid, source), at);
        }
        let world = &*world;
        let mut walk = Walk { world, counted, vid, target, served: BTreeSet::new(), out: vec![] };
        walk.watched(at, false);
        let known = heard.get(&(vid, target)).copied();
        for port in (0..PORTS).filter(|_| target != LLDP) {
            let is_meant = port != at && known.is_none_or(|known| known == port);
            if is_meant && world.carries(port, vid) && !world.is_output(port) {
                walk.watched(port, true);
                walk.emit(port, vid, None);
            }
        }
        walk.out
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn mirrors_as_the_model_does(
        world in world(),
        frames in prop::collection::vec(
            (0..PORTS, 0u8..6, 0u8..=LLDP, prop_oneof![2 => Just(0u16), 1 => 1u16..4]), 1..40,
        ),
    ) {
        let mut switch = Switch::new(builder(&world).build());
        let counted = vec![0; world.mirrors.len()];
        let mut model = Model { world, heard: HashMap::new(), counted };
        for (at, source, target, tag) in frames {
            let sent = switch.receive(LinkId(at), &[frame(source, target, tag)], Tick(0));
            let mut got: Vec<_> = sent.iter().map(|one| seen(one, source, target)).collect();
            got.sort_unstable();
            let mut wanted = model.receive(at, source, target, tag);
            wanted.sort_unstable();
            prop_assert_eq!(got, wanted);
        }
        let counters = switch.datapath.counters();
        let got: Vec<_> = (0u16..)
            .take(model.counted.len())
            .map(|id| counters.mirror(MirrorId(id)).unwrap().frames)
            .collect();
        prop_assert_eq!(got, model.counted);
    }

    /// The frames themselves: the same, in the same order, with and without a mirror.
    #[test]
    fn a_mirror_disturbs_nobody(
        access in prop::collection::vec(prop::option::weighted(0.5, 1u16..4), usize::from(PORTS)),
        batch in prop::collection::vec((0u8..6, 0u8..=LLDP, 0u16..4), 1..32),
        at in 0..PORTS - 1,
    ) {
        let output = Output::Port(PORTS - 1);
        let all =
            ModelMirror { sources: None, targets: None, vlans: None, output, snaplen: None };
        let mut plain = World { access, mirrors: vec![], flood_vlans: BTreeSet::new() };
        let mirrored = World { mirrors: vec![all], ..plain.clone() };
        // The output port is out of the network in both.
        plain.mirrors.clear();
        let frames: Vec<_> = batch.iter().map(|(s, d, tag)| frame(*s, *d, *tag)).collect();
        let originals = |world: &World| {
            let mut switch = Switch::new(builder(world).build());
            let mut sent = switch.receive(LinkId(at), &frames, Tick(0));
            sent.retain(|(link, _)| link.0 != PORTS - 1);
            sent
        };
        prop_assert_eq!(originals(&mirrored), originals(&plain));
    }
}

/// Two trunks, a third as the output of a mirror of everything.
fn simple(change: impl FnOnce(&mut SnapshotBuilder)) -> Switch {
    let output = Output::Port(2);
    let all = ModelMirror { sources: None, targets: None, vlans: None, output, snaplen: None };
    let world = World { access: vec![None; 3], mirrors: vec![all], flood_vlans: BTreeSet::new() };
    let mut builder = builder(&world);
    change(&mut builder);
    Switch::new(builder.build())
}

/// The links that got a frame each.
fn links(sent: &[(LinkId, Vec<u8>)]) -> Vec<u16> {
    let mut links: Vec<_> = sent.iter().map(|(link, _)| link.0).collect();
    links.sort_unstable();
    links
}

#[test]
fn a_port_that_does_not_forward_is_not_mirrored_and_gets_no_copies() {
    for blocked in [0, 2] {
        let mut switch = simple(|builder| {
            let mut port =
                PortConf::new(BridgeId(0), IfaceId(blocked), IfaceKind::Link(LinkId(blocked)));
            (port.forwards, port.learns) = (false, true);
            builder.port(PortId(blocked), port);
        });
        let sent = switch.receive(LinkId(0), &[frame(1, BROADCAST, 0)], Tick(0));
        assert_eq!(links(&sent), if blocked == 0 { vec![] } else { vec![1] });
    }
}

/// Nothing is forwarded, but what comes in is seen.
#[test]
fn a_secure_bridge_is_mirrored() {
    let mut switch = simple(|builder| {
        let output = Output::Port(2);
        let all = ModelMirror { sources: None, targets: None, vlans: None, output, snaplen: None };
        let mirrors = vec![conf(0, &all)];
        builder
            .bridge(BridgeId(0), BridgeConf { forwards: false, mirrors, ..BridgeConf::default() });
        let mut port = PortConf::new(BridgeId(0), IfaceId(0), IfaceKind::Link(LinkId(0)));
        port.vlan = VlanConf::access(vid(7));
        builder.port(PortId(0), port);
    });
    let sent = switch.receive(LinkId(0), &[frame(1, BROADCAST, 0)], Tick(0));
    assert_eq!(sent.len(), 1);
    assert_eq!(seen(&sent[0], 1, BROADCAST), (2, 7, FRAME_BYTES + 4));
}

/// What was learned on a port before it became an output is forgotten; what comes in there is
/// dropped under its own name.
#[test]
fn an_output_port_is_reserved() {
    let plain = World { access: vec![None; 3], mirrors: vec![], flood_vlans: BTreeSet::new() };
    let mut switch = Switch::new(builder(&plain).build());
    switch.receive(LinkId(2), &[frame(2, BROADCAST, 0)], Tick(0));
    assert_eq!(links(&switch.receive(LinkId(0), &[frame(1, 2, 0)], Tick(0))), [2]);
    let next = simple(|_| {}).snapshot;
    switch.install(next);
    assert_eq!(links(&switch.receive(LinkId(0), &[frame(1, 2, 0)], Tick(0))), [1, 2]);
    assert_eq!(switch.receive(LinkId(2), &[frame(2, BROADCAST, 0)], Tick(0)), []);
    let port = switch.datapath.counters().iface(IfaceId(2)).unwrap();
    assert_eq!(port.rx_drops[DropReason::MirrorPort as usize], 1);
    // A static entry does not get past the reservation either; the copy goes all the same.
    let station = weft_switch::Station::new(Vid::UNTAGGED, 0x0200_0000_0002);
    switch.datapath.fdb_mut(BridgeId(0)).unwrap().set_static(station, PortId(2), Tick(0));
    assert_eq!(links(&switch.receive(LinkId(0), &[frame(1, 2, 0)], Tick(0))), [2]);
    let port = switch.datapath.counters().iface(IfaceId(0)).unwrap();
    assert_eq!(port.rx_drops[DropReason::MirrorPort as usize], 1);
}

/// Copies go through a tunnel like any frame; one that is too long is dropped, and nobody is told.
#[test]
fn a_tunnel_is_an_output() {
    let mut switch = simple(|builder| {
        let mut tunnel = TunnelConf::gre("2.2.2.2".parse().unwrap());
        tunnel.reach = Reach::Ready(NextHop {
            link: LinkId(9),
            source: "1.1.1.1".parse().unwrap(),
            source_mac: MacAddr([2, 0, 0, 0, 1, 1]),
            target_mac: MacAddr([2, 0, 0, 0, 1, 2]),
            mtu: 600,
        });
        builder.port(
            PortId(2),
            PortConf::new(BridgeId(0), IfaceId(2), IfaceKind::Tunnel(Box::new(tunnel))),
        );
        link(builder, 9, LinkRole::Underlay);
    });
    let inner = frame(1, BROADCAST, 0);
    let sent = switch.receive(LinkId(0), std::slice::from_ref(&inner), Tick(0));
    assert_eq!(links(&sent), [1, 9]);
    let copy = &sent.iter().find(|(link, _)| link.0 == 9).unwrap().1;
    assert!(copy.ends_with(&inner) && copy.len() == inner.len() + 38, "{copy:x?}");

    // An IPv4 packet with DF set that fits the wire, but not the tunnel.
    let mut long = [mac(2), mac(1)].concat();
    long.extend([8, 0, 0x45, 0, 4, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = weft_wire::checksum::internet_checksum(&long[14..34]).to_be_bytes();
    long[24..26].copy_from_slice(&sum);
    long.resize(14 + 1024, 0);
    let sent = switch.receive(LinkId(0), &[long], Tick(0));
    assert_eq!(links(&sent), [1], "no copy, and no ICMP answer");
    let port = switch.datapath.counters().iface(IfaceId(2)).unwrap();
    assert_eq!(port.tx_drops[DropReason::ExceedsMtu as usize], 1);
}

/// A copy through a patch port enters the other bridge as any frame.
#[test]
fn a_patch_port_is_an_output() {
    let mut switch = simple(|builder| {
        builder.bridge(BridgeId(1), BridgeConf::default());
        builder.port(
            PortId(2),
            PortConf::new(BridgeId(0), IfaceId(2), IfaceKind::Patch(Some(IfaceId(7)))),
        );
        builder.port(
            PortId(7),
            PortConf::new(BridgeId(1), IfaceId(7), IfaceKind::Patch(Some(IfaceId(2)))),
        );
        builder.port(PortId(8), PortConf::new(BridgeId(1), IfaceId(8), IfaceKind::Link(LinkId(8))));
        link(builder, 8, LinkRole::Iface(IfaceId(8)));
    });
    let sent = switch.receive(LinkId(0), &[frame(1, BROADCAST, 3)], Tick(0));
    assert_eq!(links(&sent), [1, 8]);
    let copy = sent.iter().find(|(link, _)| link.0 == 8).unwrap();
    assert_eq!(seen(copy, 1, BROADCAST), (8, 3, FRAME_BYTES + 4));
}

/// VLANs that come to be flooded: what was learned there is forgotten, other VLANs keep theirs.
#[test]
fn flood_vlans_are_not_learned() {
    let mut world = World { access: vec![None; 3], mirrors: vec![], flood_vlans: BTreeSet::new() };
    let mut switch = Switch::new(builder(&world).build());
    for tag in [2, 3] {
        switch.receive(LinkId(1), &[frame(2, BROADCAST, tag)], Tick(0));
    }
    world.flood_vlans.insert(3);
    switch.install(builder(&world).build());
    let records = switch.datapath.fdb(BridgeId(0)).unwrap().records(Tick(0));
    assert_eq!(records.iter().map(|one| one.vid.get()).collect::<Vec<_>>(), [2]);
    assert_eq!(links(&switch.receive(LinkId(0), &[frame(1, 2, 2)], Tick(0))), [1]);
    for _ in 0..2 {
        assert_eq!(links(&switch.receive(LinkId(0), &[frame(1, 2, 3)], Tick(0))), [1, 2]);
        switch.receive(LinkId(1), &[frame(2, BROADCAST, 3)], Tick(0));
    }
}
