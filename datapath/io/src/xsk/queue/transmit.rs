//! The sending half of a socket: its TX and completion rings.

use super::XskQueue;
use crate::sys;
use crate::xsk::abi::{Descriptor, XDP_PKT_CONTD};
use crate::xsk::umem::{Chunk, ChunkPool};
use std::os::fd::AsRawFd;
use weft_switch::{DropReason, FrameBuf};

/// System calls in a row that may ask the kernel to send without anything being sent.
const STALLED_KICKS_MAX: u32 = 3;

/// Frames that wait in the TX ring of a link that is down.
const STALLED_FRAMES_MAX: u32 = 64;

/// The shortest frame that a device takes: an Ethernet header.
const FRAME_BYTES_MIN: usize = 14;

impl XskQueue {
    /// Why a frame was refused just now.
    #[cold]
    pub(crate) const fn refusal(&self) -> DropReason {
        if self.stalled { DropReason::LinkDown } else { DropReason::TxRing }
    }

    /// Puts a frame on the TX ring; false when it was freed instead.
    #[inline]
    pub(in crate::xsk) fn tx_ring(&mut self, pool: &mut ChunkPool, chunk: Chunk) -> bool {
        let len = chunk.bytes().len();
        // The kernel never completes a descriptor that it finds invalid: the chunk would be lost.
        if len < FRAME_BYTES_MIN {
            self.stats.tx_invalid += 1;
            pool.free(chunk);
            return false;
        }
        if self.stalled && self.sending >= STALLED_FRAMES_MAX {
            self.stats.tx_link_down += 1;
            pool.free(chunk);
            return false;
        }
        if chunk.is_large() {
            return self.tx_large(pool, chunk);
        }
        if self.tx.room(1) == 0 {
            // A link that is down gets one system call per batch, not one per frame.
            if !self.stalled {
                self.flush_ring(pool);
            }
            if self.tx.room(1) == 0 {
                self.stats.tx_ring_full += 1;
                pool.free(chunk);
                return false;
            }
        }
        let Some(slot) = self.slot else {
            pool.free(chunk);
            return false;
        };
        let Some(address) = pool.send(slot, chunk) else { return false };
        let len_bytes = u32::try_from(len).unwrap_or(0);
        let pushed = self.tx.push(Descriptor { address, len_bytes, options: 0 });
        debug_assert!(pushed, "the TX ring has room");
        self.sending += 1;
        self.stats.tx_frames += 1;
        true
    }

    /// Puts a large frame on the TX ring, in as many chunks as it takes.
    #[cold]
    fn tx_large(&mut self, pool: &mut ChunkPool, frame: Chunk) -> bool {
        let sent = self.try_tx_large(pool, frame.bytes());
        pool.free(frame);
        sent
    }

    fn try_tx_large(&mut self, pool: &mut ChunkPool, bytes: &[u8]) -> bool {
        let piece_bytes = self.region.frame_bytes_max();
        let pieces = u32::try_from(bytes.len().div_ceil(piece_bytes)).unwrap_or(u32::MAX);
        if pieces > 1 && !self.multi_buffer {
            self.stats.tx_invalid += 1;
            return false;
        }
        if self.tx.room(pieces) < pieces && !self.stalled {
            self.flush_ring(pool);
        }
        if self.tx.room(pieces) < pieces {
            self.stats.tx_ring_full += 1;
            return false;
        }
        let Some(slot) = self.slot else { return false };
        if pool.free_chunks() < pieces as usize {
            self.stats.no_chunk += 1;
            return false;
        }
        let mut pieces = bytes.chunks(piece_bytes).peekable();
        while let Some(piece) = pieces.next() {
            let options = if pieces.peek().is_some() { XDP_PKT_CONTD } else { 0 };
            // There are as many free chunks as pieces, and room for as many descriptors.
            let Some(chunk) = pool.copy_from(piece) else { return false };
            let Some(address) = pool.send(slot, chunk) else { return false };
            let len_bytes = u32::try_from(piece.len()).unwrap_or(0);
            let pushed = self.tx.push(Descriptor { address, len_bytes, options });
            debug_assert!(pushed, "the TX ring has room");
            self.sending += 1;
        }
        self.stats.tx_frames += 1;
        true
    }

    /// Sends what is held back and what is in the TX ring, and takes sent frames back.
    pub(crate) fn flush(&mut self, pool: &mut ChunkPool) {
        self.send_held(pool);
        self.flush_ring(pool);
    }

    /// Sends what is in the TX ring; whether nothing is left there.
    pub(in crate::xsk) fn drain(&mut self, pool: &mut ChunkPool) -> bool {
        self.flush_ring(pool);
        self.tx.pending() == 0
    }

    fn flush_ring(&mut self, pool: &mut ChunkPool) {
        if self.tx.unpublished() > 0 {
            self.tx.publish();
            self.stalled = false;
        }
        if self.sending > 0 {
            // Also when nothing is new: a driver that was busy and is not asked again never sends.
            if self.tx.pending() > 0 && self.tx.needs_wakeup() {
                self.kick(pool);
            }
            self.complete(pool);
        }
        let moved = self.stats.rx_frames.wrapping_add(self.stats.tx_frames);
        if moved != self.published {
            self.published = moved;
            self.publish();
        }
    }

    /// Asks the kernel to send until the TX ring is empty or nothing moves.
    fn kick(&mut self, pool: &mut ChunkPool) {
        let mut stalled = 0;
        let mut pending = self.tx.pending();
        while pending > 0 && stalled < STALLED_KICKS_MAX {
            self.stats.tx_kicks += 1;
            match sys::kick_tx(self.socket.fd.as_raw_fd()).map_err(|error| error.raw_os_error()) {
                Ok(()) => self.stalled = false,
                Err(Some(
                    libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::ENOMEM | libc::EINTR,
                )) => self.stats.tx_retries += 1,
                // The link is down or gone: what is in the ring waits for it.
                Err(_) => {
                    self.stats.errors += 1;
                    self.stalled = true;
                    return;
                }
            }
            // A full completion ring is one reason why nothing moves.
            self.complete(pool);
            let now = self.tx.pending();
            stalled = if now < pending { 0 } else { stalled + 1 };
            pending = now;
        }
    }

    /// Takes sent frames back.
    fn complete(&mut self, pool: &mut ChunkPool) {
        let Some(slot) = self.slot else { return };
        let count = self.completion.available();
        if count == 0 {
            return;
        }
        for _ in 0..count {
            let Some(address) = self.completion.pop() else { break };
            if pool.complete(slot, address) {
                self.sending = self.sending.wrapping_sub(1);
            } else {
                self.stats.tx_bad_completions += 1;
            }
        }
        self.completion.release();
    }
}
