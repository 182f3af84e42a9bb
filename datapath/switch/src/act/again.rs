//! Frames that leave for elsewhere in this switch: they come in there, in the same worker, at once.
//!
//! They are collected while a batch goes through `egress`; the pipeline then takes them, as a batch
//! of their own, from `ingress` on, and so on until none is left.  What leaves by a patch port comes
//! in by its peer, as it is.  A frame is moved, not copied, unless it was flooded.

use crate::frame::l2;
use crate::pass::Pass;
use crate::view::Effects;
use crate::{Batch, Charge, DropReason, FrameBuf, IfaceId, Ingress, Verdict};

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

impl<F: FrameBuf> Crossing<F> {
    fn push(&mut self, frame: F, ingress: Ingress) {
        self.frames += 1;
        self.batch.metas.push(l2(frame.bytes(), ingress));
        self.batch.frames.push(frame);
    }
}

/// Sends a finished frame out of the patch port `iface`.
pub(crate) fn cross<E: Effects>(
    frame: E::Frame,
    iface: IfaceId,
    peer: Option<IfaceId>,
    pass: &mut Pass<'_, E>,
) {
    let reason = match peer {
        Some(peer) if !pass.crossing.is_full() => {
            let charge = pass.effects.leaves(iface, frame.bytes());
            return enter_at(frame, peer, charge, pass);
        }
        Some(_) => DropReason::PatchFull,
        None => DropReason::NoPeer,
    };
    pass.effects.tx_drop(iface, reason);
    pass.effects.free(frame);
}

/// Lets a frame that counts in `charge` come in by an interface of this switch, soon, unless too many do.
pub(crate) fn enter_at<E: Effects>(
    frame: E::Frame,
    iface: IfaceId,
    charge: Charge,
    pass: &mut Pass<'_, E>,
) {
    if pass.crossing.is_full() {
        pass.effects.tx_drop(charge.iface, DropReason::PatchFull);
        return pass.effects.free(frame);
    }
    pass.effects.crossed(charge);
    pass.crossing.push(frame, pass.snapshot.ingress(iface));
}
