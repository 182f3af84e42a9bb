//! The source address of each frame says where its station is.

use crate::frame::undecided;
use crate::{
    Batch, Datapath, DropReason, FrameBuf, Learned, Meta, Snapshot, Station, Tick, Verdict,
};

/// Learns the whole batch, and works out the hashes that `forward` needs.
pub(crate) fn learn<F: FrameBuf>(
    batch: &mut Batch<F>,
    snapshot: &Snapshot,
    datapath: &mut Datapath<F>,
    now: Tick,
) {
    for (port_id, run) in batch.runs() {
        let Some(port) = snapshot.port(port_id) else { continue };
        let Some(fdb) = datapath.fdbs.get_mut(port.bridge.index()).and_then(Option::as_mut) else {
            continue;
        };
        let learns = port.learns;
        let is_guarded = snapshot.guards_loops()
            && !fdb.is_frozen()
            && snapshot.bridge(port.bridge).is_some_and(|bridge| bridge.loop_guard.is_some());
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
        if !learns {
            continue;
        }
        let bridge = snapshot.bridge(port.bridge);
        for meta in undecided(run).filter(|meta| bridge.is_some_and(|b| !b.floods(meta.vid))) {
            let station = Station::new(meta.vid, meta.source);
            let hash = fdb.hash(station);
            let learned = fdb.learn(station, hash, port_id, now);
            let sighting = || fdb.sighting(station, hash);
            datapath.announcer.note(learned, port.bridge, station, port_id, sighting);
            if is_guarded && let Learned::Moved(before) = learned {
                datapath.moves.note(port.bridge, station, before, port_id);
            }
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
