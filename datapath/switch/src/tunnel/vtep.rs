//! VTEP addresses on internal ports: the underlay is a bridge of ours.
//!
//! What a tunnel sends enters the bridge of its egress device, as if the host had sent it there.
//! What a bridge would deliver to an internal port and is a tunnel packet for one of its addresses
//! is not delivered: it comes in by its tunnel.  Both go the way of frames between patch ports.

use super::decap::strip;
use crate::act::{hand_over, sent};
use crate::{
    Datapath, Fate, FrameBuf, FrameIo, LinkId, Meta, PortId, PortKind, Snapshot, TunnelTable, Vtep,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use weft_wire::ipv6::Ipv6Header;
use weft_wire::{EtherType, IpProtocol, parse_l2};

/// True for a packet to this VTEP that tunnels take, well-formed or not.  As with the XDP program of
/// a NIC, fragments and other versions of GRE are the host's.
pub(crate) fn is_tunnelled(frame: &[u8], vtep: &Vtep, tunnels: &TunnelTable) -> bool {
    frame.starts_with(&vtep.mac.0) && target(frame, tunnels).is_some_and(|ip| vtep.has(ip))
}

/// The IP address that a tunnel packet is sent to.
fn target(frame: &[u8], tunnels: &TunnelTable) -> Option<IpAddr> {
    let l2 = parse_l2(frame).ok()?;
    let packet = frame.get(l2.l3_offset..)?;
    let (protocol, target, payload) = match l2.ethertype {
        EtherType::IPV4 => {
            let [first, _, _, _, _, _, frag_hi, frag_lo, _, protocol, .., a, b, c, d] =
                packet.first_chunk::<20>()?;
            let is_fragment = u16::from_be_bytes([*frag_hi, *frag_lo]) & 0x3fff != 0;
            (!is_fragment).then_some(())?;
            let header_bytes = usize::from(first & 0x0f) * 4;
            let target = IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d));
            (*protocol, target, packet.get(header_bytes..)?)
        }
        EtherType::IPV6 => {
            let (header, payload) = packet.split_first_chunk::<40>()?;
            let &[_, _, _, _, _, _, next, ..] = header;
            let (protocol, payload) = match IpProtocol(next) {
                IpProtocol::UDP | IpProtocol::GRE => (next, payload),
                _ => behind_extensions(packet)?,
            };
            let target = header.last_chunk::<16>()?;
            (protocol, IpAddr::V6(Ipv6Addr::from(*target)), payload)
        }
        _ => return None,
    };
    let is_meant = if protocol == IpProtocol::UDP.get() {
        let &[_, _, high, low] = payload.first_chunk()?;
        tunnels.at_udp_port(u16::from_be_bytes([high, low])).is_some()
    } else {
        // Version 1 is PPTP.
        protocol == IpProtocol::GRE.get() && payload.get(1)?.trailing_zeros() >= 3
    };
    is_meant.then_some(target)
}

/// The upper layer of an IPv6 packet, unless it is a fragment.
fn behind_extensions(packet: &[u8]) -> Option<(u8, &[u8])> {
    let (header, payload) = Ipv6Header::parse(packet).ok()?;
    let walk = header.walk(payload).ok()?;
    (!walk.is_fragment()).then_some((walk.protocol.get(), walk.payload))
}

/// Takes the outer headers off a packet that `port_id` was to have, and lets the rest come in by
/// its tunnel.
pub(crate) fn receive<I: FrameIo>(
    mut frame: I::Frame,
    meta: &Meta,
    port_id: PortId,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let charge = sent(datapath, port_id, frame.bytes());
    let completes = completes(snapshot, meta.ingress);
    let handed_over = match strip(&mut frame, snapshot, &mut datapath.counters, completes) {
        Ok(tunnel) => hand_over(frame, tunnel, datapath),
        Err(reason) => Err((frame, reason)),
    };
    if let Err((frame, reason)) = handed_over {
        datapath.counters.settle(charge, Fate::Refused(reason));
        io.free(frame);
    }
}

/// Whether frames of this port may come with partial checksums.
fn completes(snapshot: &Snapshot, port: PortId) -> bool {
    let link: Option<LinkId> = snapshot.port(port).and_then(|port| match port.kind {
        PortKind::Link(link) => Some(link),
        PortKind::Tunnel(_) | PortKind::Patch(_) => None,
    });
    link.and_then(|link| snapshot.link(link)).is_some_and(|link| link.completes_checksums)
}
