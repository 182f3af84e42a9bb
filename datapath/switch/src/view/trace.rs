//! One frame's walk through the stages, without side effects: what `weft trace` and
//! `ofproto/trace` show.
//!
//! There is no second forwarder.  The real stages run over the frame; only that their effects are
//! written into a [`Journal`].

pub use super::journal::Event;

use super::{Effects, Journal};
use crate::pass::Pass;
use crate::{
    Batch, Datapath, DropReason, FrameBuf, FrameIo, IfaceId, LinkId, Meta, PortConf, Snapshot,
    Station, Tick, bridge, frame, pipeline,
};

/// Where a traced frame comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On an interface: as it looks inside the tunnel, for a tunnel.
    Iface(IfaceId),
    /// On a link: a tunnel packet, for an underlay link.
    Link(LinkId),
}

/// A frame to trace.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where it comes in.
    pub origin: Origin,
    /// From the destination address on, without FCS.
    pub frame: Vec<u8>,
    /// The source address is really learned.
    pub learns: bool,
}

/// Runs the stages over one frame and says what they did.  `None` when no free frame was left, or
/// when the probe is longer than one.
///
/// Nothing is counted, sent, captured or handed on; a source address is learned only where the
/// probe says so.  (So a frame to its own sender floods here, and is a reflection in real life.)
pub fn run<I: FrameIo>(
    probe: &Probe,
    datapath: &mut Datapath<I::Frame>,
    snapshot: &Snapshot,
    now: Tick,
    io: &mut I,
) -> Option<Vec<Event>> {
    let mut batch = Batch::new();
    batch.frames.push(io.copy_from(&probe.frame)?);
    let mut pass = datapath.journal(snapshot, now, probe.learns, io);
    let link = match probe.origin {
        Origin::Link(link) => {
            pipeline::enter(&mut batch, link, &mut pass);
            link
        }
        Origin::Iface(iface) => {
            let completes = snapshot.completes_checksums(iface);
            frame::parse(&mut batch, snapshot.ingress(iface), completes);
            Meta::NO_LINK
        }
    };
    pipeline::bridge(&mut batch, link, &mut pass);
    again(&mut pass);
    Some(pass.effects.events)
}

/// As the pipeline's, but frame by frame, so that the events of one follow each other: the frames
/// come in in the order in which they left.
fn again<I: FrameIo>(pass: &mut Pass<'_, Journal<'_, I>>) {
    while let Some(mut crossed) = pass.crossing.take() {
        for (frame, meta) in crossed.frames.drain(..).zip(crossed.metas.drain(..)) {
            let mut batch = Batch::new();
            batch.frames.push(frame);
            batch.metas.push(meta);
            pipeline::bridge(&mut batch, Meta::NO_LINK, pass);
        }
        pass.crossing.give_back(crossed);
    }
}

/// Why a frame that came in on `ingress` and is flooded does not leave by `port`, given
/// its VLAN and inner tag; `None` when it does.
#[must_use]
pub fn why_not(ingress: &PortConf, port: &PortConf, meta: &Meta) -> Option<DropReason> {
    if !port.forwards {
        Some(DropReason::PortBlocked)
    } else if port.mirrors.is_output {
        Some(DropReason::MirrorPort)
    } else if !port.vlan.carries(meta.vid) || !port.vlan.takes_inner(meta.inner) {
        Some(DropReason::EgressVlan)
    } else if bridge::same_group(ingress, port) {
        Some(DropReason::SplitHorizon)
    } else {
        None
    }
}

/// Notes that frames have entered a bridge, with what the FDB has of their addresses.
pub(crate) fn entered<E: Effects>(batch: &Batch<E::Frame>, pass: &mut Pass<'_, E>) {
    let Pass { snapshot, now, .. } = *pass;
    for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
        let fdbs = &*pass.fdbs;
        pass.effects.note(|| {
            let port = snapshot.port(meta.ingress.port);
            let fdb = port.and_then(|port| fdbs.get(port.bridge.index())?.as_ref());
            let record = |mac| fdb?.record(Station::new(meta.vid, mac), now);
            Event::Entered {
                meta: *meta,
                frame: frame.bytes().to_vec(),
                source: record(meta.source),
                target: record(meta.target),
            }
        });
    }
}
