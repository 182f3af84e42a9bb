//! VTEP addresses on internal ports: the underlay is a bridge of ours.
//!
//! What a tunnel sends enters the bridge of its egress device, as if the host had sent it there.
//! What a bridge would deliver to an internal port and is a tunnel packet for one of its addresses
//! is not delivered: it comes in by its tunnel.  Both go the way of frames between patch ports.

use super::decap::strip;
use crate::act::enter_at;
use crate::pass::Pass;
use crate::view::Effects;
use crate::{FrameBuf, IfaceId, Meta, TunnelTable, Vtep};
use std::net::Ipv6Addr;
use weft_wire::classify::{Bytes, classify};

/// True for a packet to this VTEP that tunnels take, well-formed or not.  As with the XDP program of
/// a NIC, fragments and other versions of GRE are the host's.
pub(crate) fn is_tunnelled(frame: &[u8], vtep: &Vtep, tunnels: &TunnelTable) -> bool {
    let is_tunnel_port = |port| tunnels.at_udp_port(port).is_some();
    let is_vtep = |target: Ipv6Addr| vtep.has(target.to_canonical());
    frame.starts_with(&vtep.mac.0) && classify(&mut Bytes(frame), is_tunnel_port, is_vtep).is_ok()
}

/// Takes the outer headers off a packet that `iface` was to have, and lets the rest come in by
/// its tunnel.
pub(crate) fn receive<E: Effects>(
    mut frame: E::Frame,
    meta: &Meta,
    iface: IfaceId,
    pass: &mut Pass<'_, E>,
) {
    let charge = pass.effects.leaves(iface, frame.bytes());
    let completes = pass.snapshot.completes_checksums(meta.ingress.iface);
    match strip(&mut frame, completes, pass) {
        Ok(tunnel) => enter_at(frame, tunnel, charge, pass),
        Err(reason) => {
            pass.effects.tx_drop(charge.iface, reason);
            pass.effects.free(frame);
        }
    }
}
