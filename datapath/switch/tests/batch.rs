//! Frames that are received together, in one batch, fare as each would alone.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at once")]

mod common;

use common::Switch;
use weft_switch::{
    BridgeConf, BridgeId, DropReason, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole, PortConf,
    PortId, SnapshotBuilder, Station, Tick, VidSet, VlanConf, VlanMode, WorkerId,
};
use weft_wire::vid::Vid;

const TARGET: u64 = 0x0200_0000_0009;

fn vid(number: u16) -> Vid {
    Vid::new(number).unwrap()
}

/// A trunk, and a port with `vlan`, behind which the target is in VLANs 5 and 6.
fn switch(vlan: VlanConf) -> Switch {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default()).reads_inner_tags(true);
    for (id, vlan) in (0..).zip([VlanConf::default(), vlan]) {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        port.vlan = vlan;
        builder.port(PortId(id), port);
        let role = LinkRole::Iface(IfaceId(id));
        let worker = WorkerId(0);
        builder.link(LinkId(id), LinkConf { role, mtu: 1500, completes_checksums: false, worker });
    }
    let mut switch = Switch::new(builder.build());
    let fdb = switch.datapath.fdb_mut(BridgeId(0)).unwrap();
    for number in [5, 6] {
        fdb.set_static(Station::new(vid(number), TARGET), PortId(1), Tick(0));
    }
    switch
}

/// A frame to the target with these tags, the outermost first.
fn frame(tags: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1].to_vec();
    for (tpid, number) in tags {
        bytes.extend([tpid.to_be_bytes(), number.to_be_bytes()].concat());
    }
    bytes.extend([0x88, 0xb5]);
    bytes.resize(80, 0);
    bytes
}

/// Receives these together on the trunk; how many left, and how many the port's VLANs kept back.
fn fate(switch: &mut Switch, frames: &[Vec<u8>]) -> (usize, u64) {
    let sent = switch.receive(LinkId(0), frames, Tick(1)).len();
    let counters = switch.datapath.counters().iface(IfaceId(0)).unwrap();
    let dropped = counters.rx_drops.get(DropReason::EgressVlan as usize).copied();
    (sent, dropped.unwrap())
}

/// The same destination in two VLANs, of which the port carries one.
#[test]
fn neighbours_in_another_vlan_are_asked_about_anew() {
    let five = frame(&[(0x8100, 5)]);
    let six = frame(&[(0x8100, 6)]);
    let batch = [five.clone(), six.clone(), six, five];
    assert_eq!(fate(&mut switch(VlanConf::access(vid(5))), &batch), (2, 2));
}

/// The same destination and VLAN with two inner tags, of which the port takes one.
#[test]
fn neighbours_with_another_inner_tag_are_asked_about_anew() {
    let seven = frame(&[(0x88a8, 5), (0x8100, 7)]);
    let eight = frame(&[(0x88a8, 5), (0x8100, 8)]);
    let cvlans = Some(Box::new([vid(7)].into_iter().collect::<VidSet>()));
    let vlan = VlanConf { mode: VlanMode::Dot1qTunnel, cvlans, ..VlanConf::access(vid(5)) };
    let batch = [seven.clone(), eight.clone(), eight, seven];
    assert_eq!(fate(&mut switch(vlan), &batch), (2, 2));
}
