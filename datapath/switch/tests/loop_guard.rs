//! What the switch hands up for the loop guard: its own probes, and stations that move.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the I/O back end of tests owns its indices")]

mod common;

use common::Switch;
use weft_switch::{
    BridgeConf, BridgeId, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole, PortConf, PortId,
    Snapshot, SnapshotBuilder, Station, Tick, VlanConf, WorkerId,
};
use weft_wire::MacAddr;
use weft_wire::loop_probe::LoopProbe;
use weft_wire::vid::Vid;

const NONCE: u64 = 0x1122_3344_5566_7788;

fn switch_with_guard(loop_guard: Option<u64>) -> Switch {
    Switch::new(snapshot(loop_guard, &[0, 0, 5]))
}

/// A bridge with an access port for each VLAN in the list; 0 is a trunk.
fn snapshot(loop_guard: Option<u64>, vlans: &[u16]) -> Snapshot {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf { loop_guard, ..BridgeConf::default() });
    for (id, vid) in (1..).zip(vlans) {
        let link = LinkConf {
            role: LinkRole::Iface(IfaceId(id)),
            mtu: 1500,
            completes_checksums: false,
            worker: WorkerId(0),
        };
        builder.link(LinkId(id), link);
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        if *vid != 0 {
            port.vlan = VlanConf::access(Vid::try_from(*vid).unwrap());
        }
        builder.port(PortId(id), port);
    }
    builder.build()
}

/// Probes of our own go to control and nowhere else; all others are data.
#[test]
fn the_switch_hands_up_its_own_probes_only() {
    let own = LoopProbe { bridge: 1, nonce: NONCE, port: 1, vid: 0 };
    let source = MacAddr([2, 0, 0, 0, 0, 9]);
    let punts = |guard, probe: LoopProbe, at| {
        let mut switch = switch_with_guard(guard);
        let sent = switch.receive(LinkId(at), &[probe.frame(source).to_vec()], Tick(1));
        let punted: Vec<_> = switch.datapath.take_punted().collect();
        assert_eq!(punted.is_empty(), !sent.is_empty(), "both, or neither");
        assert!(punted.iter().all(|(iface, _)| *iface == IfaceId(at)));
        punted.len()
    };
    assert_eq!(punts(Some(NONCE), own, 2), 1);
    assert_eq!(punts(None, own, 2), 0);
    assert_eq!(punts(Some(NONCE), LoopProbe { nonce: 1, ..own }, 2), 0);
    assert_eq!(punts(Some(NONCE), LoopProbe { vid: 5, ..own }, 2), 0, "from another VLAN");
    assert_eq!(punts(Some(NONCE), LoopProbe { vid: 5, ..own }, 3), 1, "in its VLAN");
}

#[test]
fn the_switch_counts_moves_for_a_guard_only() {
    let frame = |source: u8| {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, source, 0x88, 0xb6]);
        frame.resize(60, 0);
        frame
    };
    for guard in [None, Some(NONCE)] {
        let mut switch = switch_with_guard(guard);
        for round in 0..5 {
            switch.receive(LinkId(1 + round % 2), &[frame(1)], Tick(1));
        }
        switch.receive(LinkId(1), &[frame(2), frame(2)], Tick(1));
        let moves = switch.datapath.take_moves();
        let counts: Vec<_> = moves.iter().map(|m| (m.from.0, m.to.0, m.count)).collect();
        let want = if guard.is_some() { vec![(1, 2, 2), (2, 1, 2)] } else { Vec::new() };
        assert_eq!(counts, want);
        assert!(moves.iter().all(|m| m.station == Station::new(Vid::UNTAGGED, 0x0200_0000_0001)));
        assert!(switch.datapath.take_moves().is_empty());
    }
}
