//! What a trace says beyond what is sent, which `common::Switch::receive` compares in every test:
//! the steps, in order, with their reasons.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "frames here are made by the test itself")]
#![expect(clippy::panic, reason = "it is how a test fails")]

mod common;

use common::Switch;
use weft_switch::trace::{self, Event, Origin, Probe};
use weft_switch::{
    BridgeConf, BridgeId, Capture, Direction, DropReason, IfaceId, IfaceKind, Ingress, Learned,
    LinkConf, LinkId, LinkRole, Meta, MirrorConf, MirrorId, MirrorOutput, MirroredPorts, PortConf,
    PortId, RawTag, Reach, SnapshotBuilder, Tick, TunnelConf, Verdict, VlanConf, VlanMode,
    WorkerId,
};
use weft_wire::vid::Vid;

/// Three ports in VLAN 10, one in VLAN 20, and a tunnel without a next hop yet.
fn switch() -> Switch {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    for (id, vid) in [(0, 10), (1, 10), (2, 10), (3, 20)] {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        port.vlan = VlanConf::access(Vid::new(vid).unwrap());
        builder.port(PortId(id), port);
        let role = LinkRole::Iface(IfaceId(id));
        let mtu = if id == 2 { 100 } else { 1500 };
        let conf = LinkConf { role, mtu, completes_checksums: false, worker: WorkerId(0) };
        builder.link(LinkId(id), conf);
    }
    let mut tunnel = TunnelConf::gre("192.0.2.1".parse().unwrap());
    tunnel.reach = Reach::Resolving;
    builder.port(
        PortId(4),
        PortConf::new(BridgeId(0), IfaceId(4), IfaceKind::Tunnel(Box::new(tunnel))),
    );
    Switch::new(builder.build())
}

fn frame(target: u8, source: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, target, 2, 0, 0, 0, 0, source, 0x88, 0xb5];
    bytes.resize(len, 0);
    bytes
}

/// The steps as words that are easy to compare.
fn walk(switch: &mut Switch, probe: &Probe) -> Vec<String> {
    let Switch { datapath, snapshot, io, .. } = switch;
    let events = trace::run(probe, datapath, snapshot, Tick(5), io).unwrap();
    events.iter().map(word).collect()
}

fn word(event: &Event) -> String {
    match event {
        Event::Entered { meta, source, target, .. } => format!(
            "in {} vlan {} source {:?} target {:?}",
            meta.ingress.port.0,
            meta.vid.get(),
            source.map(|record| record.port.0),
            target.map(|record| record.port.0),
        ),
        Event::Learned { port, outcome, .. } => format!("learned on {}: {outcome:?}", port.0),
        Event::Decided(meta) => format!("{:?}", meta.verdict),
        Event::Sent { iface, frame } => format!("sent {} {}", iface.0, frame.len()),
        Event::Wire { link, frame } => format!("wire {} {}", link.0, frame.len()),
        other => format!("{other:?}"),
    }
}

fn probe(iface: u16, frame: Vec<u8>) -> Probe {
    Probe { origin: Origin::Iface(IfaceId(iface)), frame, learns: false }
}

#[test]
fn a_flood_names_every_copy_and_every_drop() {
    let mut switch = switch();
    assert_eq!(
        walk(&mut switch, &probe(0, frame(9, 1, 200))),
        [
            "in 0 vlan 10 source None target None",
            "learned on 0: New",
            "Flood",
            "sent 1 200",
            "wire 1 200",
            "TxDropped(IfaceId(2), ExceedsMtu)",
            "Waits(IfaceId(4))",
        ]
    );
}

#[test]
fn a_known_station_is_found_and_a_moved_one_is_noticed() {
    let mut switch = switch();
    switch.receive(LinkId(1), &[frame(9, 7, 64)], Tick(1));
    assert_eq!(
        walk(&mut switch, &probe(0, frame(7, 1, 64))),
        [
            "in 0 vlan 10 source None target Some(1)",
            "learned on 0: New",
            &format!("{:?}", Verdict::Forward(PortId(1))),
            "sent 1 64",
            "wire 1 64",
        ]
    );
    let moved = walk(&mut switch, &probe(0, frame(9, 7, 64)));
    assert_eq!(moved.get(1).unwrap(), &format!("learned on 0: {:?}", Learned::Moved(PortId(1))));
    let same = walk(&mut switch, &probe(1, frame(7, 9, 64)));
    assert_eq!(
        same.last().unwrap(),
        &format!("{:?}", Event::RxDropped(IfaceId(1), DropReason::Reflection))
    );
}

#[test]
fn a_probe_that_learns_learns() {
    let mut switch = switch();
    let mut probe = probe(3, frame(9, 1, 64));
    probe.learns = true;
    walk(&mut switch, &probe);
    let records = switch.datapath.fdb(BridgeId(0)).unwrap().records(Tick(5));
    assert_eq!(records.iter().map(|record| record.port).collect::<Vec<_>>(), [PortId(3)]);
}

struct Never;

impl Capture for Never {
    fn wants(&self, _iface: IfaceId) -> bool {
        true
    }

    fn record(&mut self, _: IfaceId, _: Direction, _: &[u8], _: Option<DropReason>) {
        panic!("a traced frame is no frame of the network");
    }
}

#[test]
fn nobody_else_hears_of_a_traced_frame() {
    let mut switch = switch();
    switch.datapath.set_capture(Some(Box::new(Never)));
    walk(&mut switch, &probe(0, frame(9, 1, 64)));
    assert!(switch.datapath.set_capture(None).is_some(), "the sink is back in its place");
    assert_eq!(switch.datapath.take_wants_next_hop().count(), 0);
    assert_eq!(switch.datapath.take_announcements().count(), 0);
    assert!(switch.datapath.samples(u64::MAX).is_empty());
    switch.receive(LinkId(0), &[frame(9, 1, 64)], Tick(5));
    assert_eq!(switch.datapath.samples(u64::MAX).len(), 1, "real ones are noted");
}

#[test]
fn a_short_frame_and_a_link_of_nobody_are_said_to_be_dropped() {
    let mut switch = switch();
    let short = walk(&mut switch, &probe(0, vec![1; 10]));
    assert_eq!(short.last().unwrap(), "RxDropped(IfaceId(0), Truncated)");
    let nobody = Probe { origin: Origin::Link(LinkId(77)), frame: frame(1, 2, 64), learns: false };
    assert_eq!(walk(&mut switch, &nobody).last().unwrap(), "LinkDropped(LinkId(77), NoPort)");
}

/// Why a port is left out of a flood is asked of the configuration, not of the frame: each reason
/// has its port.
#[test]
fn what_is_left_out_has_its_reason() {
    let mut builder = SnapshotBuilder::new(1);
    let mirror = MirrorConf {
        id: MirrorId(0),
        sources: MirroredPorts::All,
        targets: MirroredPorts::All,
        vlans: None,
        output: MirrorOutput::Port(PortId(4)),
        snaplen: None,
    };
    builder.bridge(BridgeId(0), BridgeConf { mirrors: vec![mirror], ..BridgeConf::default() });
    for id in 0..6 {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        port.split_horizon = u16::from(id == 0 || id == 1);
        port.forwards = id != 2;
        if id == 3 {
            port.vlan = VlanConf::access(Vid::new(20).unwrap());
        }
        builder.port(PortId(id), port);
    }
    let snapshot = builder.build();
    let port = |id| snapshot.port(PortId(id)).unwrap();
    let meta = Meta::new(Ingress { iface: IfaceId(0), port: PortId(0) });
    let why = |id| trace::why_not(port(0), port(id), &meta);
    assert_eq!(
        [1, 2, 3, 4, 5].map(why),
        [
            Some(DropReason::SplitHorizon),
            Some(DropReason::PortBlocked),
            Some(DropReason::EgressVlan),
            Some(DropReason::MirrorPort),
            None,
        ]
    );
}

/// Copies of mirrors are between their marks, and come before the frame itself.
#[test]
fn copies_of_a_mirror_are_marked() {
    let mut builder = SnapshotBuilder::new(1);
    let mirror = MirrorConf {
        id: MirrorId(3),
        sources: MirroredPorts::All,
        targets: MirroredPorts::All,
        vlans: None,
        output: MirrorOutput::Port(PortId(2)),
        snaplen: None,
    };
    builder.bridge(BridgeId(0), BridgeConf { mirrors: vec![mirror], ..BridgeConf::default() });
    for id in 0..3 {
        builder
            .port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id))));
        let role = LinkRole::Iface(IfaceId(id));
        let conf = LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
        builder.link(LinkId(id), conf);
    }
    let mut switch = Switch::new(builder.build());
    let said = walk(&mut switch, &probe(0, frame(9, 1, 64)));
    assert_eq!(
        said.get(2..).unwrap(),
        [
            "Flood",
            "Copying(Some(MirrorId(3)))",
            "sent 2 64",
            "wire 2 64",
            "Copying(None)",
            "sent 1 64",
            "wire 1 64",
        ]
    );
}

/// A port that is in the frame's VLAN may still refuse what is inside the tag.
#[test]
fn an_inner_tag_keeps_a_port_out_of_a_flood() {
    let ingress = PortConf::new(BridgeId(0), IfaceId(0), IfaceKind::Link(LinkId(0)));
    let [service, customer] = [5, 7].map(|raw| Vid::try_from(raw).unwrap());
    let mut port = ingress.clone();
    port.vlan = VlanConf { mode: VlanMode::Dot1qTunnel, ..VlanConf::access(service) };
    port.vlan.cvlans = Some(Box::new(std::iter::once(customer).collect()));
    let mut meta = Meta::new(Ingress { iface: IfaceId(0), port: PortId(0) });
    meta.vid = service;
    meta.inner = RawTag { tpid: 0x8100, tci: 8 };
    assert_eq!(trace::why_not(&ingress, &port, &meta), Some(DropReason::EgressVlan));
    meta.inner.tci = 7;
    assert_eq!(trace::why_not(&ingress, &port, &meta), None);
}
