//! Buffers for frames that do not fit a chunk: their number is bounded, and they are there only when
//! some link has an MTU that needs them.
//!
//! `AF_XDP` knows them not.  A large frame comes in as several chunks, which are copied together here,
//! and goes out as several chunks again.  In between it is a [`Chunk`](super::umem::Chunk) like any
//! other, so that nothing on the way has to know, and an ordinary frame costs a comparison more where it
//! is sent or freed.

use crate::open;
use crate::sys::Mapping;
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a large buffer.
pub(super) const LARGE_BYTES: usize = 16384;

/// Large buffers for each worker: 8 MiB.
const LARGE_COUNT: usize = 512;

/// The mapping with the large buffers of a region, and which of them are free.  Like the region itself
/// it is never unmapped (rule 1 of the crate).  Workers take and free them side by side: a buffer goes
/// home from whichever worker had it last.
#[derive(Debug)]
pub(super) struct LargeArea {
    mapping: Mapping,
    /// One bit for each buffer, set while it is free.
    free: Box<[AtomicU64]>,
}

// SAFETY: `&LargeArea` gives out the address of a buffer to whoever cleared its bit, which only one can
// (rule 2); the bytes are reached only through that chunk.
unsafe impl Sync for LargeArea {}

impl LargeArea {
    /// For this many workers.
    pub(super) fn map(workers: usize) -> io::Result<Self> {
        let words = LARGE_COUNT / 64 * workers;
        let len_bytes = LARGE_BYTES * 64 * words;
        let memfd = open::memory(c"weft-large", false, len_bytes)?;
        let mapping = Mapping::new(memfd.as_fd(), 0, len_bytes)?;
        let free = std::iter::repeat_with(|| AtomicU64::new(u64::MAX)).take(words).collect();
        Ok(Self { mapping, free })
    }

    /// Where a free buffer starts, which is the caller's from now on.
    pub(super) fn take(&self) -> Option<NonNull<u8>> {
        for (number, word) in self.free.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                // Acquire: partner is the release in `free`, after which nobody else touches the buffer.
                bits = word.fetch_and(!(1 << bit), Ordering::Acquire);
                if bits & 1 << bit != 0 {
                    let offset = (number * 64 + bit) * LARGE_BYTES;
                    // SAFETY: inside the mapping, which lasts as long as the process (rule 1).
                    return Some(unsafe { self.mapping.start().add(offset) });
                }
            }
        }
        None
    }

    /// Takes a buffer back; false when it is none of these, or was free.
    pub(super) fn free(&self, start: NonNull<u8>) -> bool {
        let offset = start.addr().get().wrapping_sub(self.mapping.start().addr().get());
        let index = offset / LARGE_BYTES;
        let Some(word) = self.free.get(index / 64) else { return false };
        let bit = 1 << (index % 64);
        // Release: partner is the acquire in `take`.
        offset.is_multiple_of(LARGE_BYTES) && word.fetch_or(bit, Ordering::Release) & bit == 0
    }

    /// Whether it is one of these buffers.
    pub(super) fn has(&self, start: NonNull<u8>) -> bool {
        let offset = start.addr().get().wrapping_sub(self.mapping.start().addr().get());
        offset < self.mapping.len_bytes()
    }

    /// Buffers that are out as frames.
    pub(super) fn held(&self) -> usize {
        self.free.iter().map(|word| word.load(Ordering::Relaxed).count_zeros() as usize).sum()
    }
}
