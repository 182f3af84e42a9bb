//! The way out: tags as the egress port wants them, the interface that a frame leaves by, copies for
//! floods, headers for tunnels.

use super::{cross, enter_at, retag};
use crate::bridge::same_group;
use crate::mcast::ListId;
use crate::pass::Pass;
use crate::trace::Event;
use crate::tunnel::{is_tunnelled, receive, too_long};
use crate::view::Effects;
use crate::{
    Batch, DropReason, FrameBuf, IfaceConf, IfaceId, IfaceKind, Ingress, LinkId, Meta, PortConf,
    PortId, Reach, Snapshot, TunnelConf, Verdict,
};
use weft_wire::ethernet::FRAME_MIN_BYTES;

/// Does with every frame of the batch what was decided, which leaves the batch empty.
pub(crate) fn egress<E: Effects>(
    batch: &mut Batch<E::Frame>,
    link: LinkId,
    pass: &mut Pass<'_, E>,
) {
    let Batch { frames, metas } = batch;
    for (frame, meta) in frames.drain(..).zip(&*metas) {
        match meta.verdict {
            Verdict::Forward(port_id) => match pass.snapshot.port(port_id) {
                Some(port) => send_at_once(frame, meta, port, pass),
                None => refuse(frame, meta, link, DropReason::NoPort, &mut pass.effects),
            },
            Verdict::Flood => flood(frame, meta, pass),
            Verdict::Multicast(list) => multicast(frame, meta, list, pass),
            Verdict::Drop(reason) => refuse(frame, meta, link, reason, &mut pass.effects),
            Verdict::Punt => {
                pass.effects.punt(meta.ingress.iface, frame.bytes());
                pass.effects.free(frame);
            }
            // `forward` decides every frame; should it not, the frame is not lost from the count.
            Verdict::Undecided => {
                refuse(frame, meta, link, DropReason::NoPort, &mut pass.effects);
            }
        }
    }
    metas.clear();
}

/// Drops a frame that came in, under its reason.
fn refuse<E: Effects>(
    frame: E::Frame,
    meta: &Meta,
    link: LinkId,
    reason: DropReason,
    effects: &mut E,
) {
    if meta.ingress.iface == Ingress::NONE.iface {
        effects.link_drop(link, reason);
    } else {
        effects.rx_drop(meta.ingress.iface, reason);
    }
    effects.free(frame);
}

/// Sends to every member of the VLAN.
fn flood<E: Effects>(frame: E::Frame, meta: &Meta, pass: &mut Pass<'_, E>) {
    let snapshot = pass.snapshot;
    let Some(ingress) = snapshot.port(meta.ingress.port) else { return pass.effects.free(frame) };
    if meta.target >> 40 & 1 == 0 {
        pass.effects.flooded_unknown();
    }
    let list = snapshot.flood_list(ingress.bridge, meta.vid);
    spread(frame, meta, ingress, list.iter().copied(), pass);
}

/// Sends to the ports of a list that multicast snooping made.
fn multicast<E: Effects>(frame: E::Frame, meta: &Meta, list: ListId, pass: &mut Pass<'_, E>) {
    let (snapshot, groups) = (pass.snapshot, pass.groups);
    let Some(ingress) = snapshot.port(meta.ingress.port) else { return pass.effects.free(frame) };
    let Some(groups) = groups.groups(ingress.bridge) else { return pass.effects.free(frame) };
    let members = groups.list(list);
    pass.effects.note(|| Event::Members(members.to_vec()));
    spread(frame, meta, ingress, listed(members, meta, ingress, snapshot), pass);
}

/// Sends to each of `ports` but the ingress port and its split-horizon group.  The last gets the
/// frame itself, the others copies.
fn spread<E: Effects>(
    frame: E::Frame,
    meta: &Meta,
    ingress: &PortConf,
    ports: impl Iterator<Item = PortId>,
    pass: &mut Pass<'_, E>,
) {
    let mut last: Option<&PortConf> = None;
    for (_, recipient) in recipients(meta, ingress, ports, pass.snapshot) {
        if let Some(to) = last.replace(recipient) {
            send_copy(frame.bytes(), meta, to, to.ifaces.pick(pass.snapshot), pass);
        }
    }
    if let Some(to) = last {
        send(frame, meta, to, pass);
    } else {
        pass.effects.rx_drop(meta.ingress.iface, DropReason::NoMember);
        pass.effects.free(frame);
    }
}

/// Those of `ports` that a frame that came in at `ingress` is sent to.
pub(crate) fn recipients<'a>(
    meta: &'a Meta,
    ingress: &'a PortConf,
    ports: impl Iterator<Item = PortId> + 'a,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (PortId, &'a PortConf)> {
    ports
        .filter(|port_id| *port_id != meta.ingress.port)
        .filter_map(|port_id| Some((port_id, snapshot.port(port_id)?)))
        .filter(|(_, port)| !same_group(ingress, port) && port.vlan.takes_inner(meta.inner))
}

/// The ports of a list that multicast snooping made that can take the frame: the list is older than
/// the snapshot.
pub(crate) fn listed<'a>(
    list: &'a [PortId],
    meta: &'a Meta,
    ingress: &'a PortConf,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = PortId> + 'a {
    let takes = |port: &PortConf| {
        port.bridge == ingress.bridge && port.is_flooded() && port.vlan.carries(meta.vid)
    };
    list.iter().copied().filter(move |id| snapshot.port(*id).is_some_and(takes))
}

/// Sends a copy of a frame out of one port, by this interface of it.
pub(crate) fn send_copy<E: Effects>(
    bytes: &[u8],
    meta: &Meta,
    port: &PortConf,
    by: (IfaceId, &IfaceConf),
    pass: &mut Pass<'_, E>,
) {
    match pass.effects.copy_from(bytes) {
        Some(copy) => retag_and_deliver(copy, meta, port, by, pass),
        None => pass.effects.tx_drop(by.0, DropReason::NoBuffer),
    }
}

/// Sends one frame out of one port.
pub(crate) fn send<E: Effects>(
    frame: E::Frame,
    meta: &Meta,
    port: &PortConf,
    pass: &mut Pass<'_, E>,
) {
    send_at_once(frame, meta, port, pass);
}

/// The same, for the one place where most frames come by.
#[expect(clippy::inline_always, reason = "a call with so many arguments costs 20 instructions")]
#[inline(always)]
fn send_at_once<E: Effects>(frame: E::Frame, meta: &Meta, port: &PortConf, pass: &mut Pass<'_, E>) {
    retag_and_deliver(frame, meta, port, port.ifaces.pick(pass.snapshot), pass);
}

/// Gives one frame the tags that its port wants, and sends it by an interface of that port.
#[expect(clippy::inline_always, reason = "a call with so many arguments costs 20 instructions")]
#[inline(always)]
fn retag_and_deliver<E: Effects>(
    mut frame: E::Frame,
    meta: &Meta,
    port: &PortConf,
    (iface_id, iface): (IfaceId, &IfaceConf),
    pass: &mut Pass<'_, E>,
) {
    let Some(l2_bytes) = retag(&mut frame, meta, &port.vlan) else {
        pass.effects.tx_drop(iface_id, DropReason::NoHeadroom);
        return pass.effects.free(frame);
    };
    match &iface.kind {
        IfaceKind::Link(link) if iface.vtep.is_none() => {
            put_on(*link, frame, l2_bytes, iface_id, pass);
        }
        _ => deliver(frame, l2_bytes, meta, (iface_id, iface), pass),
    }
}

/// Sends one frame, of which the first `l2_bytes` are as the port wants them, by an interface.
pub(crate) fn deliver<E: Effects>(
    frame: E::Frame,
    l2_bytes: usize,
    meta: &Meta,
    (iface_id, iface): (IfaceId, &IfaceConf),
    pass: &mut Pass<'_, E>,
) {
    match &iface.kind {
        IfaceKind::Link(link) => {
            if let Some(vtep) = &iface.vtep
                && is_tunnelled(frame.bytes(), vtep, &pass.snapshot.tunnels)
            {
                return receive(frame, meta, iface_id, pass);
            }
            put_on(*link, frame, l2_bytes, iface_id, pass);
        }
        IfaceKind::Tunnel(tunnel) => send_tunnelled(frame, meta, iface_id, tunnel, pass),
        IfaceKind::Patch(peer) => cross(frame, iface_id, *peer, pass),
    }
}

/// Sends one finished frame on the link of its interface.
#[expect(clippy::inline_always, reason = "a call with so many arguments costs 20 instructions")]
#[inline(always)]
fn put_on<E: Effects>(
    link: LinkId,
    mut frame: E::Frame,
    l2_bytes: usize,
    iface: IfaceId,
    pass: &mut Pass<'_, E>,
) {
    let frame_bytes = frame.bytes().len();
    let conf = pass.snapshot.link(link);
    if conf.is_none_or(|conf| frame_bytes - l2_bytes > conf.mtu as usize) {
        pass.effects.tx_drop(iface, DropReason::ExceedsMtu);
        return pass.effects.free(frame);
    }
    if frame_bytes < FRAME_MIN_BYTES && !frame.pad_to(FRAME_MIN_BYTES) {
        pass.effects.tx_drop(iface, DropReason::NoBuffer);
        return pass.effects.free(frame);
    }
    let charge = pass.effects.leaves(iface, frame.bytes());
    pass.effects.send(link, frame, charge);
}

/// Sends one finished inner frame through a tunnel, or lets it wait for the next hop.
pub(crate) fn send_tunnelled<E: Effects>(
    mut frame: E::Frame,
    meta: &Meta,
    iface: IfaceId,
    tunnel: &TunnelConf,
    pass: &mut Pass<'_, E>,
) {
    let next_hop = match tunnel.reach {
        Reach::Ready(next_hop) => next_hop,
        Reach::Resolving => return pass.effects.wait(iface, meta, frame),
        Reach::Unreachable => {
            let is_known = tunnel.remote.is_some();
            let reason = if is_known { DropReason::NoRoute } else { DropReason::FlowRemote };
            pass.effects.tx_drop(iface, reason);
            return pass.effects.free(frame);
        }
    };
    tunnel.clamp_mss(frame.bytes_mut());
    // Counted and captured as it is inside the tunnel.
    let charge = pass.effects.leaves(iface, frame.bytes());
    match tunnel.template.push(&mut frame, iface, next_hop.mtu, &mut pass.effects) {
        Ok(()) => match tunnel.template.enters {
            None => pass.effects.send(next_hop.link, frame, charge),
            Some(entrance) => enter_at(frame, entrance, charge, pass),
        },
        Err(DropReason::ExceedsMtu) => too_long(frame, meta, iface, tunnel, pass),
        Err(reason) => {
            pass.effects.tx_drop(iface, reason);
            pass.effects.free(frame);
        }
    }
}
