//! Hosts with tunnels, for the tests of encapsulation.

#![allow(dead_code, reason = "each test file uses a part of what they share")]

use crate::common::Switch;
use etherparse::PacketBuilder;
use std::net::IpAddr;
use weft_switch::{
    BridgeConf, BridgeId, Csum, DropReason, Encap, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole,
    NextHop, PortConf, PortId, Reach, Snapshot, SnapshotBuilder, Tick, TunnelConf, WorkerId,
};
use weft_wire::MacAddr;
use weft_wire::checksum::internet_checksum;

pub const VIF: LinkId = LinkId(0);
pub const UNDERLAY: LinkId = LinkId(9);
pub const VIF_PORT: PortId = PortId(0);
pub const TUNNEL_PORT: PortId = PortId(1);
pub const VIF_IFACE: IfaceId = IfaceId(0);
pub const TUNNEL_IFACE: IfaceId = IfaceId(1);

pub const GENEVE: Encap = Encap::Geneve { udp_port: 6081 };
pub const VXLAN: Encap = Encap::Vxlan { udp_port: 4789 };
pub const ENCAPS: [Encap; 3] = [Encap::Gre, GENEVE, VXLAN];

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The addresses of two hosts.
pub const fn ends(is_v6: bool) -> [&'static str; 2] {
    if is_v6 { ["fd00::1", "fd00::2"] } else { ["1.1.1.1", "2.2.2.2"] }
}

pub fn link(role: LinkRole) -> LinkConf {
    LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) }
}

pub fn next_hop(source: &str) -> NextHop {
    NextHop {
        link: UNDERLAY,
        source: ip(source),
        source_mac: MacAddr([0x02, 0, 0, 0, 0xff, 1]),
        target_mac: MacAddr([0x02, 0, 0, 0, 0xff, 2]),
        mtu: 1500,
    }
}

pub fn tunnel(encap: Encap, local: &str, remote: &str) -> TunnelConf {
    let mut conf = TunnelConf::new(encap, Some(ip(remote)));
    conf.reach = Reach::Ready(next_hop(local));
    conf
}

/// The two ends of one tunnel, with `change` made to both.
pub fn pair(encap: Encap, is_v6: bool, change: impl Fn(&mut TunnelConf)) -> [Switch; 2] {
    let [a, b] = ends(is_v6);
    [(a, b), (b, a)].map(|(local, remote)| {
        let mut conf = tunnel(encap, local, remote);
        change(&mut conf);
        Switch::new(host(1, &[conf]))
    })
}

/// A bridge with one VIF and these tunnels.
pub fn host(epoch: u64, tunnels: &[TunnelConf]) -> Snapshot {
    bridge(epoch, tunnels, true)
}

/// The same, which learns from tunnels or does not.
pub fn bridge(epoch: u64, tunnels: &[TunnelConf], learns: bool) -> Snapshot {
    let mut builder = SnapshotBuilder::new(epoch);
    builder.bridge(BridgeId(0), BridgeConf::default());
    builder.port(VIF_PORT, PortConf::new(BridgeId(0), VIF_IFACE, IfaceKind::Link(VIF)));
    builder.link(VIF, link(LinkRole::Iface(VIF_IFACE)));
    builder.link(UNDERLAY, link(LinkRole::Underlay));
    for (id, tunnel) in (1..).zip(tunnels) {
        let kind = IfaceKind::Tunnel(Box::new(tunnel.clone()));
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), kind);
        port.learns = learns;
        builder.port(PortId(id), port);
    }
    builder.build()
}

/// A UDP datagram of one station to another, without DF.
pub fn udp(payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1000, 2000)
        .write(&mut frame, &vec![0x5a; payload])
        .unwrap();
    set_flags(frame, 0)
}

pub fn set_flags(mut frame: Vec<u8>, flags: u8) -> Vec<u8> {
    frame[20] = flags;
    fix_ipv4(frame)
}

/// With the right header checksum of the IPv4 packet in an untagged frame.
pub fn fix_ipv4(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let header_bytes = usize::from(frame[14] & 0x0f) * 4;
    let sum = internet_checksum(&frame[14..frame.len().min(14 + header_bytes)]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// What the switch sends for a frame of its VIF.
pub fn send(switch: &mut Switch, frame: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
    switch.receive(VIF, &[frame.to_vec()], Tick(0))
}

/// The packet that goes through a tunnel for `frame`.
pub fn packet(switch: &mut Switch, frame: &[u8]) -> Vec<u8> {
    let mut sent = send(switch, frame);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, UNDERLAY);
    sent.remove(0).1
}

/// Frames that were dropped for `reason`, at any interface and at the underlay.
pub fn drops(switch: &Switch, reason: DropReason) -> u64 {
    let counters = switch.datapath.counters();
    let ifaces = (0..20).filter_map(|id| counters.iface(IfaceId(id)));
    let of_ifaces: u64 =
        ifaces.map(|iface| iface.rx_drops[reason as usize] + iface.tx_drops[reason as usize]).sum();
    of_ifaces + counters.link(UNDERLAY).map_or(0, |link| link.rx_drops[reason as usize])
}

/// All reasons for which something was dropped.
pub fn reasons(switch: &Switch) -> Vec<DropReason> {
    DropReason::ALL.iter().copied().filter(|reason| drops(switch, *reason) > 0).collect()
}

/// A tunnel with a checksum, or without one whatever the IP version.
pub fn with_csum(on: bool) -> Csum {
    if on { Csum::On } else { Csum::Off }
}
