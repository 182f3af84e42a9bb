//! A queue of either kind.

use crate::stack::StackQueue;
use crate::stats::QueueStats;
use crate::xsk::queue::XskQueue;
use crate::xsk::umem::{Chunk, ChunkPool};
use crate::xsk::watch::QueueWatch;
use std::os::fd::{AsRawFd, RawFd};
use weft_switch::FrameQueue;

/// An open queue: made by the control thread, moved to a worker.
#[derive(Debug)]
pub enum Queue {
    /// One RX and TX queue of a netdev.
    Xsk(Box<XskQueue>),
    /// The TAP of an internal port, or a packet socket of a NIC that is tapped.
    Stack(Box<StackQueue>),
}

impl From<XskQueue> for Queue {
    fn from(queue: XskQueue) -> Self {
        Self::Xsk(Box::new(queue))
    }
}

impl From<StackQueue> for Queue {
    fn from(queue: StackQueue) -> Self {
        Self::Stack(Box::new(queue))
    }
}

impl Queue {
    /// A way to read the counters while a worker has the queue.
    #[must_use]
    pub fn watch(&self) -> QueueWatch {
        match self {
            Self::Xsk(queue) => queue.watch(),
            Self::Stack(queue) => queue.watch(),
        }
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        match self {
            Self::Xsk(queue) => queue.stats(),
            Self::Stack(queue) => queue.stats(),
        }
    }

    pub(super) fn is_stand_in(&self) -> bool {
        matches!(self, Self::Stack(queue) if queue.is_stand_in())
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        match self {
            Self::Xsk(queue) => queue.fd().as_raw_fd(),
            Self::Stack(queue) => queue.raw_fd(),
        }
    }

    /// Whether it may be taken into service with the chunks of `pool`.
    pub(super) fn enter(&mut self, pool: &mut ChunkPool) -> bool {
        match self {
            Self::Xsk(queue) => queue.enter(pool),
            Self::Stack(queue) => {
                queue.enter(pool);
                true
            }
        }
    }

    pub(super) fn depart(&mut self, pool: &mut ChunkPool) {
        match self {
            Self::Xsk(queue) => queue.depart(pool),
            Self::Stack(queue) => queue.depart(pool),
        }
    }

    pub(super) fn leave(&mut self, pool: &mut ChunkPool) {
        match self {
            Self::Xsk(queue) => queue.leave(pool),
            Self::Stack(queue) => queue.leave(pool),
        }
    }
}

impl FrameQueue for Queue {
    type Frame = Chunk;
}
