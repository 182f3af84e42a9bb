//! Frames in and out, as owned values: `AF_XDP`, TAPs, and plain memory for tests.
//!
//! The only userspace crate in which Weft writes `unsafe`.
//!
//! # What keeps this sound
//!
//! 1. **A region lives as long as the process.**  A [`Region`] is one shared mapping, made once and
//!    never unmapped.  It is used again only when its [`ChunkPool`]s, one for each worker, were dropped
//!    with every chunk free and no socket left that the kernel could write for; else it is leaked.  So
//!    no frame carries a reference count.  The same memory may be mapped twice ([`Region::adopt`]): then each
//!    chunk is of one of the two, and whoever maps it the second time vouches for that.
//! 2. **A chunk has one owner.**  That is the free list of one pool, one [`Chunk`] value, or the
//!    kernel through one socket (from its fill to its RX ring, or from its TX to its completion
//!    ring).  The owner table of one pool says which; no other table says that the free list or a socket
//!    has it.  [`Chunk`] is neither `Copy` nor `Clone`, and is made only where a chunk leaves the free list
//!    or comes back from the kernel.  It goes to another pool as that value, or with the socket that has
//!    it, out of one table and into the other.  Free chunks of a pool that is dropped are nobody's, until a
//!    successor takes them ([`RegionHandle::successor`]).
//! 3. **What the kernel says is checked**, in release builds too, before it becomes a [`Chunk`]: the
//!    index is inside the region, the owner table says that this very socket has the chunk, and
//!    offset and length stay inside the chunk.  Anything else is counted and dropped.  A ring index
//!    is only used modulo the size of the ring.
//! 4. **A ring has two ends.**  The kernel owns one; the other is one value here, which is not
//!    `Clone`.  Entries are written before the index that publishes them (release) and read after
//!    the index that shows them (acquire).  Mapped entries and indices stay mapped as long as the
//!    value that points at them.
//! 5. **A chunk comes back from a socket's kernel side only when that socket is closed.**  A socket
//!    sets its `closed` flag after its rings are unmapped and its descriptor is closed;
//!    the pool takes its chunks back only when it sees the flag, and for a zero-copy socket, whose
//!    hardware stops a little later, only [`QUARANTINE`] after that.
//! 6. **A system call gets memory that outlives it**: every buffer and structure is borrowed for the
//!    duration of the call with the length that is passed, and no pointer is kept by the kernel but
//!    the region's, which is covered by rule 1.
#![warn(clippy::missing_safety_doc)]

pub mod ethtool;
pub mod fault;
pub mod heap;
pub mod open;
pub mod pcap;
mod readiness;
pub mod stack;
pub mod stats;
mod sys;
pub mod tap;
mod wait;
pub mod worker_io;
pub mod xsk;

pub use fault::{FaultConf, FaultIo, FaultStats};
pub use heap::{HeapFrame, HeapIo, HeapQueue, HeapWire};
pub use open::{icmp_errors_v4, icmp_errors_v6};
pub use pcap::PcapIo;
pub use stack::{StackQueue, packet_queue};
pub use stats::QueueStats;
pub use tap::{Tap, TapError};
pub use worker_io::{Conservation, Queue, WorkerIo};
pub use xsk::config::{Mode, OpenError, RingSizes, XskConfig, ZeroCopy};
pub use xsk::queue::XskQueue;
pub use xsk::umem::{
    Chunk, ChunkPool, LARGE_MTU_MAX, PoolCount, QUARANTINE, Region, RegionConfig, RegionHandle,
};
pub use xsk::watch::QueueWatch;
