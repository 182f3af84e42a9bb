//! The chunks of one worker: which are free, and who has the others.

use super::super::abi::XDP_PACKET_HEADROOM;
use super::super::fill::FillBudget;
use super::super::large::{LARGE_BYTES, LargeArea};
use super::Chunk;
use super::kernel::Slot;
use super::region::{LARGE_FRAME_BYTES_MAX, Region, RegionHandle};
use std::time::Duration;
use weft_switch::{FrameBuf, HEADROOM_BYTES};

/// Who has a chunk (rule 2), in 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u16);

impl Owner {
    pub(super) const FREE: Self = Self(0);
    pub(super) const HELD: Self = Self(1);
    /// Another pool has it.
    pub(super) const ELSEWHERE: Self = Self(u16::MAX);
    pub(super) const fn receiving(slot: u16) -> Self {
        Self(2 + 2 * slot)
    }
    pub(super) const fn sending(slot: u16) -> Self {
        Self(3 + 2 * slot)
    }
    pub(super) const fn is_slot(self, slot: u16) -> bool {
        self.0 >= 2 && (self.0 - 2) / 2 == slot
    }
}

/// Where the chunks of a pool are, counted without looking at the owner table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCount {
    /// All of them.
    pub chunks: usize,
    /// In the free list.
    pub free: usize,
    /// Out as [`Chunk`] values.
    pub held: usize,
    /// With the kernel, to be filled by some socket.
    pub receiving: usize,
    /// With the kernel, to be sent by some socket.
    pub sending: usize,
}

/// The chunks of one worker: the free list, and the table of who has the others.  The table has a place
/// for every chunk of the region, since they go from pool to pool.
#[derive(Debug)]
pub struct ChunkPool {
    pub(super) region: &'static Region,
    pub(super) free: Vec<u32>,
    pub(super) owners: Box<[Owner]>,
    pub(super) slots: Vec<Slot>,
    pub(super) retired: usize,
    pub(super) count: PoolCount,
    /// Chunks of another region that were given to this pool; they are lost.
    pub(super) strangers: u64,
    fill: FillBudget,
}

impl ChunkPool {
    /// With these chunks of a region, which are nobody's.  The first is taken first.
    pub(super) fn new(
        region: &'static Region,
        chunks: impl DoubleEndedIterator<Item = u32>,
    ) -> Self {
        let mut owners = vec![Owner::ELSEWHERE; region.chunks()];
        // Nothing is allocated when chunks of other pools come.
        let mut free = Vec::with_capacity(region.chunks());
        for index in chunks.rev() {
            if let Some(owner) = owners.get_mut(index as usize) {
                *owner = Owner::FREE;
                free.push(index);
            }
        }
        Self {
            region,
            count: PoolCount { chunks: free.len(), ..PoolCount::default() },
            free,
            owners: owners.into(),
            slots: Vec::new(),
            retired: 0,
            strangers: 0,
            fill: FillBudget::new(region.config.chunks, 1),
        }
    }

    /// Shares the chunks among this many sockets.
    pub(crate) fn share_among(&mut self, sockets: usize) {
        self.fill = FillBudget::new(self.region.config.chunks, sockets);
    }

    /// What a socket is to have for receiving at least.
    pub(crate) const fn fill_base(&self) -> u32 {
        self.fill.base()
    }

    /// What a socket with this target is to have after the number of sockets changed.
    pub(crate) fn fair_fill(&self, target: u32) -> u32 {
        self.fill.fair(target)
    }

    /// What a busy socket with this target is to have instead.
    pub(crate) fn grown_fill(&self, target: u32) -> u32 {
        self.fill.grown(target, self.count.receiving)
    }

    /// How many chunks a socket may get that has `receiving` of `target`.
    pub(crate) fn lendable(&self, receiving: u32, target: u32) -> u32 {
        self.fill.lendable(receiving, target, self.count.receiving, self.free.len())
    }

    /// The region, for opening queues.
    #[must_use]
    pub const fn region(&self) -> RegionHandle {
        RegionHandle(self.region)
    }

    /// Chunks in the free list.
    #[must_use]
    pub const fn free_chunks(&self) -> usize {
        self.free.len()
    }

    /// Where the chunks are.
    #[must_use]
    pub fn count(&self) -> PoolCount {
        PoolCount { free: self.free.len(), ..self.count }
    }

    /// The same, read from the owner table: slow, and equal unless there is a bug.
    #[must_use]
    pub fn audit(&self) -> PoolCount {
        let mut count = PoolCount::default();
        for owner in self.owners.iter().filter(|owner| **owner != Owner::ELSEWHERE) {
            count.chunks += 1;
            match *owner {
                Owner::FREE => count.free += 1,
                Owner::HELD => count.held += 1,
                Owner(other) if other % 2 == 0 => count.receiving += 1,
                Owner(_) => count.sending += 1,
            }
        }
        count
    }

    /// Takes a free chunk: an empty frame with as much room in front as received ones have.
    #[inline]
    pub fn take(&mut self) -> Option<Chunk> {
        let index = self.free.pop()?;
        self.count.held += 1;
        Some(self.hold(index, XDP_PACKET_HEADROOM + HEADROOM_BYTES, 0))
    }

    /// Makes the value for a chunk that was nobody's: the caller vouches that it left the free list
    /// or the kernel, and that `start + len` is inside the chunk.
    #[inline]
    pub(super) fn hold(&mut self, index: u32, start: usize, len: usize) -> Chunk {
        if let Some(owner) = self.owners.get_mut(index as usize) {
            *owner = Owner::HELD;
        }
        let size = self.region.config.chunk_bytes;
        debug_assert!(start + len <= size, "the frame is inside its chunk");
        let narrow = |bytes: usize| u16::try_from(bytes).unwrap_or(0);
        let base = self.region.start_of(index);
        Chunk { base, start: narrow(start), len: narrow(len), size: narrow(size) }
    }

    /// Takes an empty frame in a large buffer; `None` when all are out, or there are none.
    pub(crate) fn take_large(&mut self) -> Option<Chunk> {
        let base = self.region.large.get()?.take()?;
        let narrow = |bytes: usize| u16::try_from(bytes).unwrap_or(0);
        let start = narrow(XDP_PACKET_HEADROOM + HEADROOM_BYTES);
        Some(Chunk { base, start, len: 0, size: narrow(LARGE_BYTES) })
    }

    /// Takes an empty frame with room for this many bytes.
    pub(crate) fn take_for(&mut self, len_bytes: usize) -> Option<Chunk> {
        if len_bytes <= self.region().frame_bytes_max() {
            self.take()
        } else if len_bytes <= LARGE_FRAME_BYTES_MAX {
            self.take_large()
        } else {
            None
        }
    }

    /// Large buffers that are out as frames, of all pools of the region.
    #[must_use]
    pub fn large_held(&self) -> usize {
        self.region.large.get().map_or(0, LargeArea::held)
    }

    /// The chunk goes to another pool of the region, which is to [`Self::adopt`] it.
    #[inline]
    pub(crate) fn part_with(&mut self, chunk: &Chunk) {
        if let Some(owner) = self.entry(chunk) {
            *owner = Owner::ELSEWHERE;
            self.count.held = self.count.held.wrapping_sub(1);
            self.count.chunks = self.count.chunks.wrapping_sub(1);
        }
    }

    /// The chunk comes from another pool of the region, which parted with it.  False for a chunk of another region:
    /// no socket here can send it.
    #[inline]
    pub(crate) fn adopt(&mut self, chunk: &Chunk) -> bool {
        if chunk.is_large() {
            return self.region.large.get().is_some_and(|area| area.has(chunk.base));
        }
        let Some(owner) = self.entry(chunk) else { return false };
        *owner = Owner::HELD;
        self.count.held += 1;
        self.count.chunks += 1;
        true
    }

    /// Where the table says who has a chunk; `None` for a large buffer, and for other regions.
    #[inline]
    fn entry(&mut self, chunk: &Chunk) -> Option<&mut Owner> {
        if chunk.is_large() {
            return None;
        }
        self.owners.get_mut(self.region.index_of(chunk.base)?)
    }

    /// Which chunk of the region it is; `None` for one of another region.
    #[must_use]
    pub fn number_of(&self, chunk: &Chunk) -> Option<u32> {
        self.region.index_of(chunk.base).and_then(|index| u32::try_from(index).ok())
    }

    /// A fresh frame with a copy of `bytes`.
    #[inline]
    pub fn copy_from(&mut self, bytes: &[u8]) -> Option<Chunk> {
        let mut chunk = self.take_for(bytes.len())?;
        chunk.set_len(bytes.len());
        chunk.bytes_mut().copy_from_slice(bytes);
        Some(chunk)
    }

    /// Ends the value; its number, or `None` for a chunk of another region.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "whoever had the value has it no longer")]
    pub(super) fn surrender(&mut self, chunk: Chunk) -> Option<usize> {
        let Chunk { base, .. } = chunk;
        let index = self.region.index_of(base);
        if index.is_none() {
            self.strangers += 1;
        }
        index
    }

    /// Gives a chunk back.
    #[inline]
    pub fn free(&mut self, chunk: Chunk) {
        if chunk.is_large() {
            self.free_large(chunk);
            return;
        }
        let Some(index) = self.surrender(chunk) else { return };
        self.count.held = self.count.held.wrapping_sub(1);
        self.release(index);
    }

    #[cold]
    #[expect(clippy::needless_pass_by_value, reason = "whoever had the value has it no longer")]
    fn free_large(&mut self, chunk: Chunk) {
        let area = self.region.large.get();
        if !area.is_some_and(|area| area.free(chunk.base)) {
            self.strangers += 1;
        }
    }

    #[inline]
    pub(super) fn release(&mut self, index: usize) {
        if let Some(owner) = self.owners.get_mut(index) {
            *owner = Owner::FREE;
            // Room for every chunk was reserved at the start.
            self.free.push(u32::try_from(index).unwrap_or(0));
        }
    }
}

impl Drop for ChunkPool {
    /// Leaves the region for the next pool when every chunk is free (rule 1).
    fn drop(&mut self) {
        for slot in 0..self.slots.len() {
            self.retire(u16::try_from(slot).unwrap_or(u16::MAX));
        }
        // The quarantine is kept by the region as a whole.
        self.reclaim_after(Duration::ZERO);
        self.region.leave(&self.free);
    }
}
