//! The life of a batch.  Read this first: the stages, in the order in which they are called.

use crate::{
    Batch, Datapath, FrameBuf, FrameIo, LinkId, LinkRole, Meta, Snapshot, Tick, act, bridge, frame,
    trace, tunnel, view,
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
    enter(batch, link, datapath, snapshot, now);
    datapath.recent.sample(batch);
    bridge(batch, link, datapath, snapshot, io);
    cross(datapath, snapshot, io);
}

/// Reads the headers of what came in on a link.
pub(crate) fn enter<F: FrameBuf>(
    batch: &mut Batch<F>,
    link: LinkId,
    datapath: &mut Datapath<F>,
    snapshot: &Snapshot,
    now: Tick,
) {
    datapath.now = now;
    match snapshot.link(link).map(|conf| (conf.role, conf.completes_checksums)) {
        Some((LinkRole::Port(port), completes)) => frame::parse(batch, port, completes),
        Some((LinkRole::Underlay, completes)) => {
            datapath.counters.link_rx(link, batch.frames.len());
            tunnel::decap(batch, snapshot, &mut datapath.counters, completes);
        }
        None => frame::refuse(batch),
    }
}

/// Lets frames that left by patch ports come in by the peers, until none is under way.
pub(crate) fn cross<I: FrameIo>(
    datapath: &mut Datapath<I::Frame>,
    snapshot: &Snapshot,
    io: &mut I,
) {
    while let Some(mut batch) = datapath.crossing.take() {
        bridge(&mut batch, Meta::NO_LINK, datapath, snapshot, io);
        datapath.crossing.give_back(batch);
    }
}

/// The way through a bridge, from the ingress port on.
pub(crate) fn bridge<I: FrameIo>(
    batch: &mut Batch<I::Frame>,
    link: LinkId,
    datapath: &mut Datapath<I::Frame>,
    snapshot: &Snapshot,
    io: &mut I,
) {
    let now = datapath.now;
    bridge::ingress(batch, snapshot, &mut datapath.counters);
    if snapshot.guards_loops() {
        bridge::probe(batch, snapshot);
    }
    trace::entered(batch, snapshot, datapath);
    bridge::learn(batch, snapshot, datapath, now);
    bridge::snoop(batch, snapshot, datapath);
    bridge::forward(batch, snapshot, datapath, now);
    view::observe(batch, datapath);
    bridge::mirror(batch, snapshot, datapath, io);
    act::egress(batch, link, snapshot, datapath, io);
}
