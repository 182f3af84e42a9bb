//! Patch ports: what leaves by one comes in by its peer, in the same worker, at once, as it is.
//!
//! Frames that leave by patch ports are collected while a batch goes through `egress`; the
//! pipeline then takes them, as a batch of their own, from `ingress` on, and so on until none is
//! left.  A frame is moved, not copied, unless it was flooded.

use super::sent;
use crate::frame::l2;
use crate::{Batch, Datapath, DropReason, FrameBuf, FrameIo, PortId, Verdict};

/// Patch ports that one frame goes through, at most; as many as Open vSwitch allows.
pub const PATCH_HOPS_MAX: usize = 64;

/// Frames that go through patch ports on behalf of one received batch, at most.  The hops alone
/// are no bound: where three patch ports join the same two bridges, each hop doubles the copies.
pub const PATCH_FRAMES_MAX: usize = 4096;

/// Frames between patch ports and their peers.
pub(crate) struct Crossing<F> {
    /// What has left by patch ports, and what the peers know of it.
    batch: Batch<F>,
    /// The memory for the next batch.
    spare: Batch<F>,
    /// Batches that were taken since the crossing was empty.
    hops: usize,
    /// Frames that came since the crossing was empty.
    frames: usize,
}

impl<F> Default for Crossing<F> {
    fn default() -> Self {
        Self { batch: Batch::stand_in(), spare: Batch::stand_in(), hops: 0, frames: 0 }
    }
}

impl<F> Crossing<F> {
    /// Makes room for all that may come.  To be called before there are patch ports.
    pub(crate) fn reserve(&mut self) {
        for batch in [&mut self.batch, &mut self.spare] {
            batch.frames.reserve_exact(PATCH_FRAMES_MAX);
            batch.metas.reserve_exact(PATCH_FRAMES_MAX);
        }
    }

    const fn is_full(&self) -> bool {
        self.frames == PATCH_FRAMES_MAX
    }

    /// Takes what waits before the peers; `None`, and a fresh start, when nothing does.
    pub(crate) fn take(&mut self) -> Option<Batch<F>> {
        if self.batch.frames.is_empty() {
            (self.hops, self.frames) = (0, 0);
            return None;
        }
        self.hops += 1;
        let spare = std::mem::replace(&mut self.spare, Batch::stand_in());
        let mut batch = std::mem::replace(&mut self.batch, spare);
        if self.hops > PATCH_HOPS_MAX {
            for meta in &mut batch.metas {
                meta.verdict = Verdict::Drop(DropReason::PatchHops);
            }
        }
        Some(batch)
    }

    /// Gives the memory of a batch back, which must be empty.
    pub(crate) fn give_back(&mut self, batch: Batch<F>) {
        self.spare = batch;
    }
}

/// Sends a finished frame out of patch port `port_id`.
pub(crate) fn cross<I: FrameIo>(
    frame: I::Frame,
    port_id: PortId,
    peer: Option<PortId>,
    datapath: &mut Datapath<I::Frame>,
    io: &mut I,
) {
    let refused = match peer {
        None => Err((frame, DropReason::NoPeer)),
        Some(_) if datapath.crossing.is_full() => Err((frame, DropReason::PatchFull)),
        Some(peer) => {
            sent(datapath, port_id, frame.bytes());
            hand_over(frame, peer, datapath)
        }
    };
    if let Err((frame, reason)) = refused {
        datapath.counters.tx_drop(port_id, reason);
        io.free(frame);
    }
}

/// Lets a frame come in by a port of this switch, soon; gives it back when too many do.
pub(crate) fn hand_over<F: FrameBuf>(
    frame: F,
    port: PortId,
    datapath: &mut Datapath<F>,
) -> Result<(), (F, DropReason)> {
    let crossing = &mut datapath.crossing;
    if crossing.is_full() {
        return Err((frame, DropReason::PatchFull));
    }
    crossing.frames += 1;
    crossing.batch.metas.push(l2(frame.bytes(), port));
    crossing.batch.frames.push(frame);
    Ok(())
}
