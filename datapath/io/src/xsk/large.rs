//! Buffers for frames that do not fit a chunk: their number is bounded, and they are there only when
//! some link has an MTU that needs them.
//!
//! `AF_XDP` knows them not.  A large frame comes in as several chunks, which are copied together here,
//! and goes out as several chunks again.  In between it is a [`Chunk`](super::umem::Chunk) like any
//! other, so that nothing on the way has to know, and an ordinary frame costs a comparison more where it
//! is sent or freed.

use crate::sys::{self, Mapping};
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

/// Bytes of a large buffer.
pub(super) const LARGE_BYTES: usize = 16384;

/// Large buffers of one worker: 8 MiB.
const LARGE_COUNT: usize = 512;

/// The mapping with the large buffers of a region.  Like the region itself it is never unmapped (rule
/// 1 of the crate).
#[derive(Debug)]
pub(super) struct LargeArea(Mapping);

// SAFETY: `&LargeArea` gives out addresses; the bytes are reached only through chunks, each of which
// has one owner (rule 2).
unsafe impl Sync for LargeArea {}

impl LargeArea {
    pub(super) fn map() -> io::Result<Self> {
        let len_bytes = LARGE_BYTES * LARGE_COUNT;
        let memfd = sys::memfd(c"weft-large", 0, len_bytes)?;
        Mapping::new(memfd.as_fd(), 0, len_bytes).map(Self)
    }

    /// Which buffer starts at `start`; `None` for other memory.
    fn index_of(&self, start: NonNull<u8>) -> Option<usize> {
        let offset = start.addr().get().wrapping_sub(self.0.start().addr().get());
        let index = offset / LARGE_BYTES;
        (index < LARGE_COUNT && offset.is_multiple_of(LARGE_BYTES)).then_some(index)
    }

    /// Where buffer `index` starts; `None` when there is no such buffer.
    fn start_of(&self, index: usize) -> Option<NonNull<u8>> {
        if index >= LARGE_COUNT {
            return None;
        }
        // SAFETY: inside the mapping, which lasts as long as the process (rule 1).
        Some(unsafe { self.0.start().add(index * LARGE_BYTES) })
    }
}

/// The free list of one worker's large buffers.
#[derive(Debug, Default)]
pub(super) struct LargePool {
    free: Vec<u16>,
    /// Which are out as frames: whoever gives one back twice gives nothing back.
    held: Vec<bool>,
}

impl LargePool {
    fn meet(&mut self) {
        if self.held.is_empty() {
            self.held = vec![false; LARGE_COUNT];
            self.free = (0..u16::try_from(LARGE_COUNT).unwrap_or(0)).rev().collect();
        }
    }

    /// Where a free buffer starts.
    pub(super) fn take(&mut self, area: &LargeArea) -> Option<NonNull<u8>> {
        self.meet();
        let index = usize::from(self.free.pop()?);
        if let Some(held) = self.held.get_mut(index) {
            *held = true;
        }
        area.start_of(index)
    }

    /// Takes a buffer back; false when it is none of these.
    pub(super) fn free(&mut self, area: &LargeArea, start: NonNull<u8>) -> bool {
        let Some(index) = area.index_of(start) else { return false };
        match self.held.get_mut(index) {
            Some(held) if *held => *held = false,
            _ => return false,
        }
        self.free.push(u16::try_from(index).unwrap_or(0));
        true
    }

    /// Buffers that are out as frames.
    pub(super) fn held(&self) -> usize {
        self.held.len() - self.free.len()
    }
}
