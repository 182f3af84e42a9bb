//! The life of a batch.  Read this first: the stages, in the order in which they are called.

use crate::pass::Pass;
use crate::view::Effects;
use crate::{
    Batch, Datapath, FrameIo, LinkId, LinkRole, Meta, Snapshot, Tick, act, bridge, frame, tunnel,
    view,
};

/// Takes a batch that was received on `link` to a verdict for every frame, and hands every frame
/// to `io`: to be sent, or to be reused.
///
/// Learning runs over the whole batch before forwarding does, so a reply in the same batch as its
/// request already finds its way.
pub fn run<I: FrameIo>(
    batch: &mut Batch<I::Frame>,
    link: LinkId,
    datapath: &mut Datapath<I::Frame>,
    snapshot: &Snapshot,
    now: Tick,
    io: &mut I,
) {
    datapath.now = now;
    let mut pass = datapath.live(snapshot, io);
    enter(batch, link, &mut pass);
    bridge(batch, link, &mut pass);
    again(&mut pass);
}

/// Reads the headers of what came in on a link.
pub(crate) fn enter<E: Effects>(batch: &mut Batch<E::Frame>, link: LinkId, pass: &mut Pass<'_, E>) {
    match pass.snapshot.link(link).map(|conf| (conf.role, conf.completes_checksums)) {
        Some((LinkRole::Iface(iface), completes)) => {
            frame::parse(batch, pass.snapshot.ingress(iface), completes);
        }
        Some((LinkRole::Underlay, completes)) => {
            pass.effects.link_received(link, batch.frames.len());
            tunnel::decap(batch, completes, pass);
        }
        None => frame::refuse(batch),
    }
    pass.effects.sample(batch);
}

/// Lets frames that left for elsewhere in this switch come in there, until none is under way.
pub(crate) fn again<E: Effects>(pass: &mut Pass<'_, E>) {
    while let Some(mut batch) = pass.crossing.take() {
        bridge(&mut batch, Meta::NO_LINK, pass);
        pass.crossing.give_back(batch);
    }
}

/// The way through a bridge, from the ingress interface on.
pub(crate) fn bridge<E: Effects>(
    batch: &mut Batch<E::Frame>,
    link: LinkId,
    pass: &mut Pass<'_, E>,
) {
    bridge::ingress(batch, pass);
    bridge::probe(batch, pass.snapshot);
    view::entered(batch, pass);
    bridge::learn(batch, pass);
    bridge::snoop(batch, pass);
    bridge::forward(batch, pass);
    pass.effects.decided(batch);
    bridge::mirror(batch, pass);
    act::egress(batch, link, pass);
}
