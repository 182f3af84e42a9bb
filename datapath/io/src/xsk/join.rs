//! Super-frames past the TX ring.
//!
//! In copy mode the kernel makes a buffer of its own of each frame in the ring, and the other end's
//! stack walks through each.  So TCP segments that follow each other are joined, and go through a
//! packet socket as one buffer, which a device without that offload cuts again.

use super::queue::XskQueue;
use super::umem::{Chunk, ChunkPool};
use crate::stack::join::{Held, Joins};
use std::os::fd::{AsRawFd, OwnedFd};
use weft_switch::FrameBuf;
use weft_wire::coalesce::Piece;

/// Segments of a run that is worth a system call of its own.
const WORTHWHILE: usize = 4;

/// What a queue needs to send super-frames.
#[derive(Debug)]
pub(super) struct Joiner {
    socket: OwnedFd,
    joins: Joins,
}

impl Joiner {
    /// Over a packet socket of the device.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, joins: Joins::default() }
    }
}

impl XskQueue {
    /// Sends a frame, or holds it back until the next flush; false when it was freed instead.
    #[inline]
    pub(crate) fn tx(&mut self, pool: &mut ChunkPool, chunk: Chunk) -> bool {
        let Some(joiner) = &mut self.joiner else { return self.tx_ring(pool, chunk) };
        if let Some(piece) = Piece::of(chunk.bytes()) {
            joiner.joins.add(piece, chunk);
            return self.send_closed(pool);
        }
        // It must not overtake what is held.
        if !joiner.joins.is_empty() {
            self.send_held(pool);
        }
        self.tx_ring(pool, chunk)
    }

    /// Sends all that is held back.
    pub(super) fn send_held(&mut self, pool: &mut ChunkPool) {
        if let Some(joiner) = &mut self.joiner {
            joiner.joins.close_all();
            self.send_closed(pool);
        }
    }

    fn send_closed(&mut self, pool: &mut ChunkPool) -> bool {
        let mut taken = true;
        while let Some(mut held) = self.joiner.as_mut().and_then(|own| own.joins.take_closed()) {
            taken &= self.send_run(pool, &mut held);
            if let Some(joiner) = &mut self.joiner {
                joiner.joins.give_back(held);
            }
        }
        taken
    }

    /// Sends a run as one frame; as segments when it is short, or would overtake what is in the ring.
    fn send_run(&mut self, pool: &mut ChunkPool, held: &mut Held) -> bool {
        if held.len() >= WORTHWHILE
            && self.drain(pool)
            && let Some(joiner) = &self.joiner
        {
            let segments = held.len() as u64;
            let written = held.write(joiner.socket.as_raw_fd(), pool);
            return self.stats.count_run(segments, &written);
        }
        let mut taken = true;
        for chunk in held.chunks.drain(..) {
            taken &= self.tx_ring(pool, chunk);
        }
        taken
    }

    /// Frames that are held back, of either direction.
    pub(crate) fn held(&self) -> usize {
        let received = self.superframes.as_ref().map_or(0, |some| some.pending());
        received + self.joiner.as_ref().map_or(0, |joiner| joiner.joins.segments())
    }

    /// Frees what is held back.
    pub(super) fn free_held(&mut self, pool: &mut ChunkPool) {
        let Some(joiner) = &mut self.joiner else { return };
        joiner.joins.close_all();
        while let Some(mut held) = joiner.joins.take_closed() {
            held.free(pool);
        }
    }
}
