//! Copies of received frames for `weft capture`.

use crate::{Batch, Datapath, Direction, FrameBuf, Verdict};

/// Shows every frame, with its verdict, to the capture sink, if there is one.
pub(crate) fn observe<F: FrameBuf>(batch: &Batch<F>, datapath: &mut Datapath<F>) {
    let Some(capture) = &mut datapath.capture else { return };
    for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
        if capture.wants(meta.ingress) {
            let dropped = match meta.verdict {
                Verdict::Drop(reason) => Some(reason),
                _ => None,
            };
            capture.record(meta.ingress, Direction::Rx, frame.bytes(), dropped);
        }
    }
}
