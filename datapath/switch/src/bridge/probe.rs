//! Our own loop probes, which go to the control thread.

use crate::{Batch, FrameBuf, Snapshot, Verdict};
use weft_wire::loop_probe::{LoopProbe, PROBE_ADDRESS};

/// Where probes go.
const PROBE_TARGET: u64 = PROBE_ADDRESS.to_u64();

/// Takes the probes that a guarded bridge sent itself out of the batch.  Those of others are data,
/// so that whoever sent them finds a loop through this bridge, too; and so is one that comes back in
/// another VLAN: whatever joins two VLANs outside makes no loop here.
pub(crate) fn probe<F: FrameBuf>(batch: &mut Batch<F>, snapshot: &Snapshot) {
    if !snapshot.guards_loops() {
        return;
    }
    for (frame, meta) in batch.frames.iter().zip(&mut batch.metas) {
        if meta.target != PROBE_TARGET || meta.verdict != Verdict::Undecided {
            continue;
        }
        let bridge = snapshot.port(meta.ingress.port).and_then(|port| snapshot.bridge(port.bridge));
        let Some(nonce) = bridge.and_then(|bridge| bridge.loop_guard) else { continue };
        let is_ours = LoopProbe::parse_frame(frame.bytes())
            .is_some_and(|probe| probe.nonce == nonce && probe.vid == meta.vid.get());
        if is_ours {
            meta.verdict = Verdict::Punt;
        }
    }
}
