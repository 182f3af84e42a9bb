//! VTEP addresses on internal ports: tunnels go through a bridge of the same switch.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "packets here are made by the test itself")]

mod common;
#[path = "common/tunnels.rs"]
mod tunnels;

use common::Switch;
use std::slice;
use tunnels::*;
use weft_switch::{
    BridgeConf, BridgeId, Csum, DropReason, Encap, IfaceConf, IfaceId, IfaceKind, Ifaces, LinkConf,
    LinkId, LinkRole, PortConf, PortId, Reach, Snapshot, SnapshotBuilder, Tick, TunnelConf, Vtep,
};
use weft_wire::MacAddr;

/// The NIC in the bridge below, and the internal port of that bridge.
const NIC: LinkId = LinkId(5);
const TAP: LinkId = LinkId(6);
const NIC_PORT: PortId = PortId(5);
const TAP_PORT: PortId = PortId(6);
const NIC_IFACE: IfaceId = IfaceId(15);
const TAP_IFACE: IfaceId = IfaceId(16);
const TAP_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xff, 1]);

/// A bridge with a VIF and a tunnel that leaves by the internal port of another bridge, or of its
/// own, which has the NIC.
fn stacked(encap: Encap, is_v6: bool, is_one_bridge: bool, csum: Csum) -> Snapshot {
    let [local, remote] = ends(is_v6);
    let below = BridgeId(u16::from(!is_one_bridge));
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    builder.bridge(below, BridgeConf::default());
    let mut tunnel = TunnelConf::new(encap, Some(ip(remote)));
    tunnel.csum = csum;
    let hop = weft_switch::NextHop { link: TAP, source_mac: TAP_MAC, ..next_hop(local) };
    tunnel.reach = Reach::Ready(hop);
    let kind = IfaceKind::Tunnel(Box::new(tunnel));
    builder.port(VIF_PORT, PortConf::new(BridgeId(0), VIF_IFACE, IfaceKind::Link(VIF)));
    builder.port(TUNNEL_PORT, PortConf::new(BridgeId(0), TUNNEL_IFACE, kind));
    builder.port(NIC_PORT, PortConf::new(below, NIC_IFACE, IfaceKind::Link(NIC)));
    let mut internal = IfaceConf::new(IfaceKind::Link(TAP));
    internal.vtep = Some(Box::new(Vtep { mac: TAP_MAC, addresses: vec![ip(local)] }));
    builder.port(TAP_PORT, PortConf::with(below, Ifaces::one(TAP_IFACE, internal)));
    builder.link(VIF, link(LinkRole::Iface(VIF_IFACE)));
    builder.link(NIC, link(LinkRole::Iface(NIC_IFACE)));
    builder.link(TAP, LinkConf { mtu: 9000, ..link(LinkRole::Iface(TAP_IFACE)) });
    builder.build()
}

/// The packet of the other end for `frame`.
fn from_afar(encap: Encap, is_v6: bool, csum: Csum, frame: &[u8]) -> Vec<u8> {
    let [local, remote] = ends(is_v6);
    let mut conf = tunnel(encap, remote, local);
    conf.csum = csum;
    let mut packet = packet(&mut Switch::new(host(1, &[conf])), frame);
    packet[..6].copy_from_slice(&TAP_MAC.0);
    packet[6..12].copy_from_slice(&[2, 0, 0, 0, 0xff, 2]);
    packet
}

/// From the other station to this one.
fn back() -> Vec<u8> {
    let mut frame = udp(40);
    let (target, source) = frame.split_at_mut(6);
    target.swap_with_slice(&mut source[..6]);
    frame
}

fn sent_and_received(switch: &Switch, iface: IfaceId) -> (u64, u64) {
    let counters = switch.datapath.counters().iface(iface).unwrap();
    (counters.tx_frames, counters.rx_frames)
}

#[test]
fn a_tunnel_goes_through_the_bridge_below() {
    for encap in ENCAPS {
        for (is_v6, csum) in [(false, Csum::Auto), (false, Csum::On), (true, Csum::On)] {
            let mut near = Switch::new(stacked(encap, is_v6, false, csum));
            let sent = send(&mut near, &udp(40));
            // Nobody knows the next hop's port in the bridge below: only the NIC is there.
            assert_eq!(sent.iter().map(|(link, _)| *link).collect::<Vec<_>>(), [NIC]);
            let [remote, local] = ends(is_v6);
            let mut conf = tunnel(encap, local, remote);
            conf.csum = csum;
            let mut far = Switch::new(host(1, &[conf]));
            let got = far.receive(UNDERLAY, slice::from_ref(&sent[0].1), Tick(0));
            assert_eq!(got, [(VIF, udp(40))], "{encap:?}");
            // The host has said nothing, but its port is where such packets come from.
            assert_eq!(sent_and_received(&near, TUNNEL_IFACE), (1, 0));
            assert_eq!(sent_and_received(&near, TAP_IFACE), (0, 1));
            assert_eq!(sent_and_received(&near, NIC_IFACE), (1, 0));

            let packet = from_afar(encap, is_v6, csum, &back());
            let got = near.receive(NIC, &[packet], Tick(0));
            assert_eq!(got, [(VIF, back())], "{encap:?}");
            assert_eq!(sent_and_received(&near, TUNNEL_IFACE), (1, 1));
            assert_eq!(sent_and_received(&near, TAP_IFACE), (1, 1));
            assert_eq!(reasons(&near), []);
        }
    }
}

/// A GRE packet over IPv6 with an extension header.
fn behind(next: u8, extension: &[u8]) -> Vec<u8> {
    let mut packet = from_afar(Encap::Gre, true, Csum::Auto, &back());
    packet[20] = next;
    let payload = u16::try_from(packet.len() - 54 + extension.len()).unwrap();
    packet[18..20].copy_from_slice(&payload.to_be_bytes());
    packet.splice(54..54, extension.iter().copied());
    packet
}

/// Options between IPv6 and GRE, as the kernel's own tunnels have them (RFC 2473 section 4.1.1).
#[test]
fn extension_headers_are_skipped() {
    for next in [0, 60] {
        let mut near = Switch::new(stacked(Encap::Gre, true, false, Csum::Auto));
        let packet = behind(next, &[47, 0, 4, 1, 4, 1, 1, 0]);
        assert_eq!(near.receive(NIC, &[packet], Tick(0)), [(VIF, back())], "{next}");
        assert_eq!(reasons(&near), []);
    }
}

/// What is no packet of a tunnel to this VTEP is the host's, as it is.
#[test]
fn the_host_keeps_what_is_not_for_a_tunnel() {
    let good = from_afar(GENEVE, false, Csum::Auto, &back());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        fix_ipv4(packet)
    };
    for (what, packet) in [
        ("another address", with(&|packet| packet[33] = 9)),
        ("a fragment", with(&|packet| packet[20] = 0x20)),
        ("a later fragment", with(&|packet| packet[21] = 1)),
        ("another UDP port", with(&|packet| packet[37] ^= 1)),
        ("TCP", with(&|packet| packet[23] = 6)),
        ("ARP", with(&|packet| packet[13] = 6)),
    ] {
        let mut near = Switch::new(stacked(GENEVE, false, false, Csum::Auto));
        assert_eq!(near.receive(NIC, slice::from_ref(&packet), Tick(0)), [(TAP, packet)], "{what}");
        assert_eq!(reasons(&near), [], "{what}");
    }
    // PPTP (GRE version 1), a fragment of IPv6, a whole packet with a fragment header, a routing header.
    let mut pptp = from_afar(Encap::Gre, false, Csum::Auto, &back());
    pptp[35] = 1;
    let part = behind(44, &[47, 0, 0, 1, 0, 0, 0, 1]);
    let atomic = behind(44, &[47, 0, 0, 0, 0, 0, 0, 1]);
    let routed = behind(43, &[47, 0, 0, 0, 0, 0, 0, 0]);
    for (is_v6, packet) in [(false, pptp), (true, part), (true, atomic), (true, routed)] {
        let mut near = Switch::new(stacked(Encap::Gre, is_v6, false, Csum::Auto));
        assert_eq!(near.receive(NIC, slice::from_ref(&packet), Tick(0)), [(TAP, packet)]);
        assert_eq!(reasons(&near), []);
    }
    // To another station, and to all: the bridge below floods them, the tunnel sees nothing.
    for first in [0x06, 0xff] {
        let mut near = Switch::new(stacked(GENEVE, false, false, Csum::Auto));
        let mut packet = good.clone();
        packet[0] = first;
        assert_eq!(near.receive(NIC, slice::from_ref(&packet), Tick(0)), [(TAP, packet)]);
        assert_eq!(sent_and_received(&near, TUNNEL_IFACE), (0, 0));
    }
}

/// A malformed one is dropped under its name, at the internal port, and the host does not get it.
#[test]
fn malformed_packets_are_dropped_at_the_internal_port() {
    let good = from_afar(GENEVE, false, Csum::Auto, &back());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    for (reason, packet) in [
        (DropReason::GeneveVersion, with(&|packet| packet[42] = 0x40)),
        (DropReason::GeneveControl, with(&|packet| packet[43] = 0x80)),
        (DropReason::Vni, with(&|packet| packet[48] = 1)),
        (DropReason::IpChecksum, with(&|packet| packet[22] = 9)),
        (DropReason::NoTunnel, fix_ipv4(with(&|packet| packet[29] = 9))),
        (DropReason::InnerShort, {
            let mut packet = good[..14 + 20 + 8 + 8 + 13].to_vec();
            packet[16..18].copy_from_slice(&49u16.to_be_bytes());
            packet[38..40].copy_from_slice(&29u16.to_be_bytes());
            fix_ipv4(packet)
        }),
    ] {
        let mut near = Switch::new(stacked(GENEVE, false, false, Csum::Auto));
        assert_eq!(near.receive(NIC, &[packet], Tick(0)), [], "{reason:?}");
        assert_eq!(reasons(&near), [reason]);
        let counters = near.datapath.counters().iface(TAP_IFACE).unwrap();
        assert_eq!((counters.tx_drops[reason as usize], counters.tx_frames), (1, 0), "{reason:?}");
    }
}

/// A tunnel whose packets enter its own bridge would send its own packets for ever: that ends, and
/// has a name.
#[test]
fn a_tunnel_through_its_own_bridge_ends() {
    for encap in ENCAPS {
        let mut near = Switch::new(stacked(encap, false, true, Csum::Auto));
        let sent = send(&mut near, &udp(40));
        assert!(sent.len() < 100, "{} copies", sent.len());
        let ends = [DropReason::PatchHops, DropReason::PatchFull, DropReason::ExceedsMtu];
        let seen = reasons(&near);
        assert!(!seen.is_empty() && seen.iter().all(|reason| ends.contains(reason)), "{seen:?}");
    }
}
