//! The way out: tags as the egress port wants them, copies for floods, headers for tunnels.

use super::{cross, hand_over, retag};
use crate::bridge::same_group;
use crate::mcast::ListId;
use crate::trace;
use crate::tunnel::{is_tunnelled, receive, too_long};
use crate::{
    Batch, Charge, Counters, Datapath, Direction, DropReason, Fate, FrameBuf, FrameIo, LinkId,
    Meta, PortConf, PortId, PortKind, Reach, Snapshot, TunnelConf, Verdict,
};
use weft_wire::ethernet::FRAME_MIN_BYTES;

/// Hands every frame of the batch to `io`, which leaves the batch empty.
pub(crate) fn egress<I: FrameIo>(
    batch: &mut Batch<I::Frame>,
    link: LinkId,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let Batch { frames, metas } = batch;
    for (frame, meta) in frames.drain(..).zip(&*metas) {
        match meta.verdict {
            Verdict::Forward(port_id) => {
                if let Some(port) = snapshot.port(port_id) {
                    send_at_once(frame, meta, port_id, port, snapshot, datapath, io);
                } else {
                    refuse(frame, meta, link, DropReason::NoPort, &mut datapath.counters, io);
                }
            }
            Verdict::Flood => flood(frame, meta, snapshot, datapath, io),
            Verdict::Multicast(list) => multicast(frame, meta, list, snapshot, datapath, io),
            Verdict::Drop(reason) => {
                refuse(frame, meta, link, reason, &mut datapath.counters, io);
            }
            Verdict::Punt => {
                datapath.punt(meta.ingress, frame.bytes());
                io.free(frame);
            }
            // `forward` decides every frame; should it not, the frame is not lost from the count.
            Verdict::Undecided => {
                refuse(frame, meta, link, DropReason::NoPort, &mut datapath.counters, io);
            }
        }
    }
    metas.clear();
}

/// Drops a frame that came in, under its reason.
fn refuse<I: FrameIo>(
    frame: I::Frame,
    meta: &Meta,
    link: LinkId,
    reason: DropReason,
    counters: &mut Counters,
    io: &mut I,
) {
    if meta.ingress == Meta::NO_PORT {
        counters.link_drop(link, reason);
    } else {
        counters.rx_drop(meta.ingress, reason);
    }
    io.free(frame);
}

/// Sends to every member of the VLAN.
fn flood<I: FrameIo>(
    frame: I::Frame,
    meta: &Meta,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let Some(ingress) = snapshot.port(meta.ingress) else { return io.free(frame) };
    if meta.target >> 40 & 1 == 0 && !datapath.journal.is_on() {
        datapath.unknown_frames += 1;
    }
    let list = snapshot.flood_list(ingress.bridge, meta.vid);
    spread(frame, meta, ingress, list.iter().copied(), snapshot, datapath, io);
}

/// Sends to the ports of a list that multicast snooping made.
fn multicast<I: FrameIo>(
    frame: I::Frame,
    meta: &Meta,
    list: ListId,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let Some(ingress) = snapshot.port(meta.ingress) else { return io.free(frame) };
    // Lent out, so that it can be read while the datapath sends.
    let Some(groups) = datapath.snooping.take(ingress.bridge) else { return io.free(frame) };
    datapath.journal.note(|| trace::Event::Members(groups.list(list).to_vec()));
    let list = listed(groups.list(list), meta, ingress, snapshot);
    spread(frame, meta, ingress, list, snapshot, datapath, io);
    datapath.snooping.put_back(ingress.bridge, groups);
}

/// Sends to each of `ports` but the ingress port and its split-horizon group.  The last gets the
/// frame itself, the others copies.
fn spread<I: FrameIo>(
    frame: I::Frame,
    meta: &Meta,
    ingress: &PortConf,
    ports: impl Iterator<Item = PortId>,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let mut last: Option<(PortId, &PortConf)> = None;
    for recipient in recipients(meta, ingress, ports, snapshot) {
        if let Some((id, port)) = last.replace(recipient) {
            match io.copy_from(frame.bytes()) {
                Some(copy) => send(copy, meta, id, port, snapshot, datapath, io),
                None => datapath.counters.tx_drop(id, DropReason::NoBuffer),
            }
        }
    }
    if let Some((id, port)) = last {
        send(frame, meta, id, port, snapshot, datapath, io);
    } else {
        datapath.counters.rx_drop(meta.ingress, DropReason::NoMember);
        io.free(frame);
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
        .filter(|port_id| *port_id != meta.ingress)
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

/// Sends one frame out of one port.
pub(crate) fn send<I: FrameIo>(
    frame: I::Frame,
    meta: &Meta,
    port_id: PortId,
    port: &PortConf,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    send_at_once(frame, meta, port_id, port, snapshot, datapath, io);
}

/// The same, for the one place where most frames come by.
#[expect(clippy::inline_always, reason = "a call with so many arguments costs 20 instructions")]
#[inline(always)]
fn send_at_once<I: FrameIo>(
    mut frame: I::Frame,
    meta: &Meta,
    port_id: PortId,
    port: &PortConf,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let Some(l2_bytes) = retag(&mut frame, meta, &port.vlan) else {
        datapath.counters.tx_drop(port_id, DropReason::NoHeadroom);
        return io.free(frame);
    };
    match &port.kind {
        PortKind::Link(link) if port.vtep.is_none() => {
            put_on(*link, frame, l2_bytes, port_id, snapshot, datapath, io);
        }
        _ => deliver(frame, l2_bytes, meta, (port_id, port), snapshot, datapath, io),
    }
}

/// Sends one frame, of which the first `l2_bytes` are as the port wants them.
pub(crate) fn deliver<I: FrameIo>(
    frame: I::Frame,
    l2_bytes: usize,
    meta: &Meta,
    (port_id, port): (PortId, &PortConf),
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    match &port.kind {
        PortKind::Link(link) => {
            if let Some(vtep) = &port.vtep
                && is_tunnelled(frame.bytes(), vtep, &snapshot.tunnels)
            {
                return receive(frame, meta, port_id, snapshot, datapath, io);
            }
            put_on(*link, frame, l2_bytes, port_id, snapshot, datapath, io);
        }
        PortKind::Tunnel(tunnel) => {
            send_tunnelled(frame, meta, port_id, tunnel, snapshot, datapath, io);
        }
        PortKind::Patch(peer) => cross(frame, port_id, *peer, datapath, io),
    }
}

/// Sends one finished frame on the link of its port.
#[expect(clippy::inline_always, reason = "a call with so many arguments costs 20 instructions")]
#[inline(always)]
fn put_on<I: FrameIo>(
    link: LinkId,
    mut frame: I::Frame,
    l2_bytes: usize,
    port_id: PortId,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let frame_bytes = frame.bytes().len();
    let fits = snapshot.link(link).is_some_and(|conf| frame_bytes - l2_bytes <= conf.mtu as usize);
    if !fits {
        datapath.counters.tx_drop(port_id, DropReason::ExceedsMtu);
        return io.free(frame);
    }
    if frame_bytes < FRAME_MIN_BYTES && !frame.pad_to(FRAME_MIN_BYTES) {
        datapath.counters.tx_drop(port_id, DropReason::NoBuffer);
        return io.free(frame);
    }
    let charge = sent(datapath, port_id, frame.bytes());
    let fate = io.send(link, frame, charge);
    datapath.counters.settle(charge, fate);
}

/// Sends one finished inner frame through a tunnel, or lets it wait for the next hop.
pub(crate) fn send_tunnelled<I: FrameIo>(
    mut frame: I::Frame,
    meta: &Meta,
    port_id: PortId,
    tunnel: &TunnelConf,
    snapshot: &Snapshot,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let next_hop = match tunnel.reach {
        Reach::Ready(next_hop) => next_hop,
        Reach::Resolving => return datapath.wait(port_id, *meta, frame, io),
        Reach::Unreachable => {
            let is_known = tunnel.remote.is_some();
            let reason = if is_known { DropReason::NoRoute } else { DropReason::FlowRemote };
            datapath.counters.tx_drop(port_id, reason);
            return io.free(frame);
        }
    };
    tunnel.clamp_mss(frame.bytes_mut());
    // Counted and captured as it is inside the tunnel; taken back if it does not go.
    let charge = sent(datapath, port_id, frame.bytes());
    match tunnel.template.push(&mut frame, next_hop.mtu, datapath.journal.is_on()) {
        Ok(()) => {
            let fate = match tunnel.template.enters {
                None => io.send(next_hop.link, frame, charge),
                Some(port) => match hand_over(frame, port, datapath) {
                    Ok(()) => Fate::Sent,
                    Err((frame, reason)) => {
                        io.free(frame);
                        Fate::Refused(reason)
                    }
                },
            };
            datapath.counters.settle(charge, fate);
        }
        Err(reason) => {
            datapath.counters.settle(charge, Fate::Refused(reason));
            if reason == DropReason::ExceedsMtu {
                too_long(&frame, meta, port_id, tunnel, snapshot, datapath, io);
            }
            io.free(frame);
        }
    }
}

/// Counts a frame that leaves by a port, and shows it to the capture sink.  What it was counted as
/// is to be settled when its fate is known.
#[expect(clippy::inline_always, reason = "a call costs as much as the counting")]
#[inline(always)]
pub(crate) fn sent<F>(datapath: &mut Datapath<F>, port_id: PortId, bytes: &[u8]) -> Charge {
    match datapath.counters.port_mut(port_id) {
        Some(counters) => {
            counters.tx_frames += 1;
            counters.tx_bytes += bytes.len() as u64;
        }
        None => {
            datapath.journal.note(|| trace::Event::Sent { port: port_id, frame: bytes.to_vec() });
        }
    }
    if let Some(capture) = &mut datapath.capture
        && capture.wants(port_id)
    {
        capture.record(port_id, Direction::Tx, bytes, None);
    }
    Charge { port: port_id, bytes: bytes.len() as u64 }
}
