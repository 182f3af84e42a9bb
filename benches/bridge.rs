//! Cases of a bridge with VLANs and mirrors: what they cost more than untagged known unicast.

use crate::{Bar, Case, bridge, frame, link_conf, mac};
use weft_switch::{
    BridgeConf, BridgeId, IfaceId, IfaceKind, LinkId, LinkRole, MirrorConf, MirrorId, MirrorOutput,
    MirroredPorts, PortConf, PortId, SnapshotBuilder, VlanConf, VlanMode,
};
use weft_wire::vid::Vid;

const UNTAGGED_CASE: &str = "l2_unicast/1_pair";

/// A frame with a tag of VLAN 5.
fn tagged(source: usize, target: [u8; 6], tpid: u16) -> Vec<u8> {
    let mut bytes = frame(source, target);
    let [hi, lo] = tpid.to_be_bytes();
    bytes.splice(12..12, [hi, lo, 0, 5]);
    bytes.truncate(64);
    bytes
}

/// Known unicast from a port with `vlan` to a trunk, where the other station sends with `tpid`.
fn to_trunk(name: &str, vlan: VlanConf, tpid: u16, sent: Vec<u8>, bar: Option<f64>) -> Case {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    for (id, vlan) in (0..).zip([vlan, VlanConf::default()]) {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        port.vlan = vlan;
        builder.port(PortId(id), port);
        builder.link(LinkId(id), link_conf(LinkRole::Iface(IfaceId(id))));
    }
    let bar = bar.map(|times| Bar::Times(UNTAGGED_CASE.to_owned(), times));
    let mut case = Case::new("vlan".to_owned(), name.to_owned(), bar, builder.build());
    case.teach(LinkId(1), &tagged(1, [0xff; 6], tpid));
    case.frames = vec![sent];
    case
}

/// Known unicast, all of which is copied to a third port.
fn mirrored() -> Case {
    let mut builder = bridge(3, 2);
    let mirror = MirrorConf {
        id: MirrorId(0),
        sources: MirroredPorts::All,
        targets: MirroredPorts::All,
        vlans: None,
        output: MirrorOutput::Port(PortId(2)),
        snaplen: None,
    };
    let mirrors = vec![mirror];
    builder.bridge(BridgeId(0), BridgeConf { mirrors, ..BridgeConf::default() });
    let mut case = Case::new("mirror".to_owned(), "1_pair_all".to_owned(), None, builder.build());
    case.teach(LinkId(1), &frame(1, [0xff; 6]));
    case.frames = vec![frame(0, mac(1))];
    case
}

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let Some(vid) = Vid::new(5) else { return Vec::new() };
    let tunnel = VlanConf { mode: VlanMode::Dot1qTunnel, ..VlanConf::access(vid) };
    let trunk = VlanConf::default();
    let c_tagged = tagged(0, mac(1), 0x8100);
    vec![
        to_trunk("access_to_trunk", VlanConf::access(vid), 0x8100, frame(0, mac(1)), Some(1.1)),
        to_trunk("trunk_to_trunk", trunk, 0x8100, c_tagged.clone(), Some(1.1)),
        to_trunk("dot1q_tunnel_to_trunk", tunnel, 0x88a8, c_tagged, None),
        mirrored(),
    ]
}
