//! The source address of each frame says where its station is.

use crate::frame::undecided;
use crate::pass::Pass;
use crate::view::{Effects, Heard};
use crate::{Batch, DropReason, Meta, Station, Verdict};

/// Learns the whole batch, and works out the hashes that `forward` needs.
pub(crate) fn learn<E: Effects>(batch: &mut Batch<E::Frame>, pass: &mut Pass<'_, E>) {
    let Pass { snapshot, now, .. } = *pass;
    for (port_id, run) in batch.runs() {
        let Some(port) = snapshot.port(port_id) else { continue };
        let Some(fdb) = pass.fdbs.get_mut(port.bridge.index()).and_then(Option::as_mut) else {
            continue;
        };
        for meta in undecided(run) {
            if meta.source >> 40 & 1 == 1 {
                meta.verdict = Verdict::Drop(DropReason::GroupSource);
                continue;
            }
            meta.target_hash = fdb.hash(Station::new(meta.vid, meta.target));
        }
        if fdb.is_large() {
            touch(run, fdb);
        }
        let Some(bridge) = snapshot.bridge(port.bridge).filter(|_| port.learns) else { continue };
        let is_guarded = bridge.loop_guard.is_some();
        for meta in undecided(run).filter(|meta| !bridge.floods(meta.vid)) {
            let station = Station::new(meta.vid, meta.source);
            let hash = fdb.hash(station);
            let heard = Heard { bridge: port.bridge, station, port: port_id, now, is_guarded };
            pass.effects.learn(fdb, hash, heard);
        }
    }
}

/// Asks for the cache lines of all look-ups of a run before the first of them is made.
fn touch(run: &mut [Meta], fdb: &crate::Fdb) {
    for meta in undecided(run) {
        fdb.touch(fdb.hash(Station::new(meta.vid, meta.source)));
        fdb.touch(meta.target_hash);
    }
}
