//! The receiving half of a socket: its fill and RX rings.

use super::XskQueue;
use crate::sys;
use crate::xsk::abi::XDP_PKT_CONTD;
use crate::xsk::umem::{Chunk, ChunkPool, Received};
use std::os::fd::AsRawFd;
use weft_switch::{BATCH_MAX, FrameBuf};

/// The fill ring is topped up when this many chunks are missing, or a quarter of them.
const FILL_BATCH: u32 = 32;

/// What is known of a frame that comes in several chunks.
#[derive(Debug, Default)]
pub(super) enum Gathered {
    /// The next descriptor begins a frame.
    #[default]
    Nothing,
    /// Its chunks so far.
    Start(Chunk),
    /// The rest of it is dropped.
    Skip,
}

impl XskQueue {
    /// Adapts how many chunks it keeps with the kernel, after the number of sockets changed.
    pub(crate) fn share(&mut self, pool: &ChunkPool) {
        self.fill_target = pool.fair_fill(self.fill_target).min(self.fill.capacity());
    }

    /// Keeps more chunks with the kernel from now on, as far as there are some.
    #[cold]
    fn grow(&mut self, pool: &ChunkPool) {
        self.fill_target = pool.grown_fill(self.fill_target).min(self.fill.capacity());
    }

    /// Tops the fill ring up, in batches.
    pub(crate) fn top_up(&mut self, pool: &mut ChunkPool) {
        let Some(slot) = self.slot else { return };
        let missing = self.fill_target.saturating_sub(self.receiving);
        if missing >= FILL_BATCH.min(self.fill_target / 4) && missing > 0 {
            let lendable = pool.lendable(self.receiving, self.fill_target);
            self.stats.no_chunk += u64::from(lendable == 0 && self.receiving == 0);
            let count = lendable.min(self.fill.room(missing));
            for _ in 0..count {
                let Some(address) = pool.lend(slot) else { break };
                // There is room: `count` is bounded by it.
                let pushed = self.fill.push(address);
                debug_assert!(pushed, "the fill ring has room");
                self.receiving += 1;
            }
            if self.fill.unpublished() > 0 {
                self.fill.publish();
            }
        }
        if self.fill.needs_wakeup() {
            self.stats.rx_kicks += 1;
            // Would-block is the usual answer; any other shows in poll and in the statistics.
            let _ = sys::kick_rx(self.socket.fd.as_raw_fd());
        }
    }

    /// Moves up to [`BATCH_MAX`] received frames to the end of `frames`.
    pub(crate) fn rx(&mut self, pool: &mut ChunkPool, frames: &mut Vec<Chunk>) {
        let Some(slot) = self.slot else { return };
        let before = frames.len();
        if let Some(superframes) = &mut self.superframes {
            superframes.fill(frames);
        }
        // In this order: see `Gate::is_held`.
        let waiting = self.rx.available();
        let waiting = if self.gate.is_held() { 0 } else { waiting };
        let room = BATCH_MAX.saturating_sub(frames.len() - before);
        let count = waiting.min(u32::try_from(room).unwrap_or(32));
        if count > 0 {
            if self.superframes.is_some() {
                self.gate.set_reading(true);
            }
            if waiting >= self.fill_target / 2 && self.fill_target < self.fill.capacity() {
                self.grow(pool);
            }
            for _ in 0..count {
                let Some(descriptor) = self.rx.pop() else { break };
                match pool.receive(slot, descriptor.address, descriptor.len_bytes) {
                    Received::Frame(chunk) => {
                        chunk.prefetch();
                        self.receiving = self.receiving.wrapping_sub(1);
                        let goes_on = descriptor.options & XDP_PKT_CONTD != 0;
                        if let Some(superframes) = &mut self.superframes
                            && (goes_on || !superframes.lets_pass(chunk.bytes().len()))
                        {
                            superframes.take(pool, chunk, goes_on, &mut self.stats);
                        } else if !goes_on && matches!(self.gathered, Gathered::Nothing) {
                            frames.push(chunk);
                        } else {
                            frames.extend(self.gather(pool, chunk, goes_on));
                        }
                    }
                    Received::Nonsense => {
                        self.receiving = self.receiving.wrapping_sub(1);
                        self.stats.rx_bad_descriptors += 1;
                    }
                    Received::Stranger => self.stats.rx_bad_descriptors += 1,
                }
            }
            self.rx.release();
            if let Some(superframes) = &mut self.superframes {
                superframes.fill(frames);
            }
        }
        if let Some(superframes) = &self.superframes {
            self.gate.set_reading(superframes.pending() > 0);
        }
        self.stats.rx_frames += (frames.len() - before) as u64;
        self.top_up(pool);
    }

    /// Adds a chunk to the frame that comes in several, and returns the frame when it was the last.
    #[cold]
    fn gather(&mut self, pool: &mut ChunkPool, chunk: Chunk, goes_on: bool) -> Option<Chunk> {
        let mut frame = match std::mem::take(&mut self.gathered) {
            Gathered::Start(frame) => Some(frame),
            Gathered::Nothing => {
                let frame = pool.take_large();
                self.stats.no_chunk += u64::from(frame.is_none());
                frame
            }
            Gathered::Skip => None,
        };
        if let Some(large) = &mut frame
            && !large.append(chunk.bytes())
        {
            self.stats.rx_bad_descriptors += 1;
            frame.take().into_iter().for_each(|large| pool.free(large));
        }
        pool.free(chunk);
        if !goes_on {
            return frame;
        }
        self.gathered = frame.map_or(Gathered::Skip, Gathered::Start);
        None
    }
}
