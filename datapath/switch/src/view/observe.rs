//! Received frames for whoever looks on: `weft capture` and `weft trace`.

use crate::trace::Event;
use crate::{Batch, Datapath, Direction, FrameBuf, Verdict};

/// Shows every frame, with its verdict, to the trace or to the capture sink, if there is one.
pub(crate) fn observe<F: FrameBuf>(batch: &Batch<F>, datapath: &mut Datapath<F>) {
    if datapath.journal.is_on() {
        batch.metas.iter().for_each(|meta| datapath.journal.note(|| Event::Decided(*meta)));
        return;
    }
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
