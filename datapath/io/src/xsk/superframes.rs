//! Super-frames through generic XDP.
//!
//! Generic XDP sees what the kernel's stack has: what GRO joined, and what a container on the same host
//! left for a device to segment, up to 64 KiB without a word on segment sizes.  Such a frame comes as a
//! chain of chunks, as a jumbo frame does, and is cut to the MTU here.

use super::umem::{Chunk, ChunkPool};
use crate::stack::{CUT_SEGMENTS_MAX, SUPERFRAME_BYTES_MAX};
use crate::stats::QueueStats;
use std::collections::VecDeque;
use weft_switch::{BATCH_MAX, FrameBuf};
use weft_wire::segment::cut;

/// Ethernet with two VLAN tags.
const L2_BYTES_MAX: usize = 22;

/// What a queue needs to receive them.
#[derive(Debug)]
pub(super) struct Superframes {
    mtu: u32,
    /// The frame whose chunks come in; empty between frames.
    frame: Vec<u8>,
    /// The rest of it is dropped.
    is_dropped: bool,
    /// Frames for the next batches.
    pending: VecDeque<Chunk>,
}

impl Superframes {
    /// For a device with this MTU.
    pub(super) fn new(mtu: u32) -> Self {
        let frame = Vec::with_capacity(SUPERFRAME_BYTES_MAX);
        Self { mtu, frame, is_dropped: false, pending: VecDeque::new() }
    }

    /// True when a frame that fits one chunk may go on as it is.
    #[inline]
    pub(super) fn lets_pass(&self, len_bytes: usize) -> bool {
        let has_none = self.frame.is_empty() && !self.is_dropped && self.pending.is_empty();
        has_none && len_bytes <= self.mtu as usize + L2_BYTES_MAX
    }

    /// Frames that wait for a batch.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Fills a batch up with what waits.
    pub(super) fn fill(&mut self, frames: &mut Vec<Chunk>) {
        let room = BATCH_MAX.saturating_sub(frames.len()).min(self.pending.len());
        frames.extend(self.pending.drain(..room));
    }

    /// Takes a chunk of a frame, the last one unless it `goes_on`.
    #[cold]
    pub(super) fn take(
        &mut self,
        pool: &mut ChunkPool,
        chunk: Chunk,
        goes_on: bool,
        stats: &mut QueueStats,
    ) {
        self.is_dropped |= self.frame.len() + chunk.bytes().len() > SUPERFRAME_BYTES_MAX;
        if !self.is_dropped {
            self.frame.extend_from_slice(chunk.bytes());
        }
        pool.free(chunk);
        if goes_on {
            return;
        }
        if std::mem::take(&mut self.is_dropped) {
            stats.rx_invalid += 1;
        } else {
            self.finish(pool, stats);
        }
        self.frame.clear();
    }

    /// The frame is all there.
    fn finish(&mut self, pool: &mut ChunkPool, stats: &mut QueueStats) {
        let Some(frames) = self.cut(pool, stats) else {
            // Too long for its MTU, but nothing that can be cut: where it leads to says what then.
            match pool.copy_from(&self.frame) {
                Some(chunk) => self.pending.push_back(chunk),
                None => stats.rx_gso_refused += 1,
            }
            return;
        };
        stats.rx_superframes += 1;
        stats.rx_segments += frames;
    }

    /// Cuts it; how many frames it gave, or `None` when it is no super-frame.
    fn cut(&mut self, pool: &mut ChunkPool, stats: &mut QueueStats) -> Option<u64> {
        let mut cut = cut::to_mtu(&self.frame, self.mtu).ok()?;
        let mut frames = 0;
        while let Some(len_bytes) = cut.next_len_bytes() {
            let has_room = self.pending.len() < CUT_SEGMENTS_MAX;
            let Some(mut chunk) = has_room.then(|| pool.take_for(len_bytes)).flatten() else {
                stats.no_chunk += 1;
                break;
            };
            let Ok(len) = cut.write_next(chunk.room_mut()) else {
                pool.free(chunk);
                break;
            };
            chunk.set_len(len);
            self.pending.push_back(chunk);
            frames += 1;
        }
        Some(frames)
    }

    /// What waits.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Chunk> {
        self.pending.iter()
    }

    /// Frees what waits.
    pub(super) fn free(&mut self, pool: &mut ChunkPool) {
        self.pending.drain(..).for_each(|chunk| pool.free(chunk));
    }
}
