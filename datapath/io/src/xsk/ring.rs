//! The four rings of a socket: cursor arithmetic, apart from where the memory is.
//!
//! A ring is a power of two of entries and two free-running 32-bit indices, one written by each
//! side.  Indices wrap at 2^32, entries at the size; the difference of the indices, modulo 2^32, is
//! the number of entries in the ring.  Both ends here work in batches: indices of the other side
//! are loaded when the cached ones do not suffice, ours is stored once per batch.

use super::abi::XDP_RING_NEED_WAKEUP;
use crate::sys::Mapping;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// The memory of a ring.
pub trait RingMemory {
    /// What an entry holds.
    type Entry: Copy;
    /// How many entries there are, a power of two.
    fn entries(&self) -> u32;
    /// The index that the producing side writes.
    fn producer(&self) -> &AtomicU32;
    /// The index that the consuming side writes.
    fn consumer(&self) -> &AtomicU32;
    /// The flags that the kernel writes.
    fn flags(&self) -> &AtomicU32;
    /// Reads the entry of `index`, modulo the size.
    fn read(&self, index: u32) -> Self::Entry;
    /// Writes the entry of `index`, modulo the size.
    fn write(&mut self, index: u32, entry: Self::Entry);
}

/// The producing end: fill and TX ring.
pub struct Producer<M> {
    memory: M,
    /// Entries written, published or not.
    head: u32,
    /// Entries published.
    published: u32,
    /// The other side's index when it was last loaded.
    consumed: u32,
    bad_indices: u64,
}

impl<M: RingMemory> Producer<M> {
    /// Takes the producing end of a ring.
    pub fn new(memory: M) -> Self {
        // Relaxed: nobody else writes this index.
        let head = memory.producer().load(Ordering::Relaxed);
        // Acquire: partner is the kernel's release of its consumer index.
        let consumed = memory.consumer().load(Ordering::Acquire);
        Self { memory, head, published: head, consumed, bad_indices: 0 }
    }

    /// Entries that may be pushed, as far as known without looking at the other side.
    fn room_cached(&self) -> u32 {
        self.memory.entries().saturating_sub(self.head.wrapping_sub(self.consumed))
    }

    /// Entries that may be pushed; looks at the other side when fewer than `wanted` are known.
    #[inline]
    pub fn room(&mut self, wanted: u32) -> u32 {
        let room = self.room_cached();
        if room >= wanted {
            return room;
        }
        self.refresh();
        self.room_cached()
    }

    fn refresh(&mut self) {
        // Acquire: partner is the kernel's release of its consumer index; the entries up to it are
        // read, so they may be overwritten.
        let consumed = self.memory.consumer().load(Ordering::Acquire);
        // It never passes what was published, nor goes back.
        if consumed.wrapping_sub(self.consumed) <= self.published.wrapping_sub(self.consumed) {
            self.consumed = consumed;
        } else {
            self.bad_indices += 1;
        }
    }

    /// Writes one entry; false when the ring is full as far as [`Self::room`] last saw.
    #[inline]
    pub fn push(&mut self, entry: M::Entry) -> bool {
        if self.room_cached() == 0 {
            return false;
        }
        self.memory.write(self.head, entry);
        self.head = self.head.wrapping_add(1);
        true
    }

    /// Shows the other side what was pushed: one store per batch.
    #[inline]
    pub fn publish(&mut self) {
        // Release: partner is the kernel's acquire of this index; the entries before it are
        // complete.
        self.memory.producer().store(self.head, Ordering::Release);
        self.published = self.head;
    }

    /// Entries pushed and not yet published.
    #[inline]
    pub const fn unpublished(&self) -> u32 {
        self.head.wrapping_sub(self.published)
    }

    /// Entries that the other side has not taken yet.
    #[inline]
    pub fn pending(&mut self) -> u32 {
        self.refresh();
        self.head.wrapping_sub(self.consumed)
    }

    /// Whether the kernel asks for a system call.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        // Relaxed: a hint; the system call itself orders.
        self.memory.flags().load(Ordering::Relaxed) & XDP_RING_NEED_WAKEUP != 0
    }

    /// Entries in the ring at most.
    pub fn capacity(&self) -> u32 {
        self.memory.entries()
    }

    /// Times that the other side's index made no sense.
    pub const fn bad_indices(&self) -> u64 {
        self.bad_indices
    }
}

/// The consuming end: RX and completion ring.
pub struct Consumer<M> {
    memory: M,
    /// Entries taken, released or not.
    tail: u32,
    /// The other side's index when it was last loaded.
    produced: u32,
    bad_indices: u64,
}

impl<M: RingMemory> Consumer<M> {
    /// Takes the consuming end of a ring.
    pub fn new(memory: M) -> Self {
        // Relaxed: nobody else writes this index.
        let tail = memory.consumer().load(Ordering::Relaxed);
        Self { memory, tail, produced: tail, bad_indices: 0 }
    }

    /// Entries that may be taken; looks at the other side when none are known.
    #[inline]
    pub fn available(&mut self) -> u32 {
        let known = self.produced.wrapping_sub(self.tail);
        if known != 0 {
            return known;
        }
        // Acquire: partner is the kernel's release of its producer index; the entries before it
        // are complete.
        let produced = self.memory.producer().load(Ordering::Acquire);
        if produced.wrapping_sub(self.tail) <= self.memory.entries() {
            self.produced = produced;
        } else {
            self.bad_indices += 1;
        }
        self.produced.wrapping_sub(self.tail)
    }

    /// Takes the next of the entries that [`Self::available`] saw.
    #[inline]
    pub fn pop(&mut self) -> Option<M::Entry> {
        if self.produced == self.tail {
            return None;
        }
        let entry = self.memory.read(self.tail);
        self.tail = self.tail.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of what was taken back to the other side: one store per batch.
    #[inline]
    pub fn release(&mut self) {
        // Release: partner is the kernel's acquire of this index; the entries before it are read.
        self.memory.consumer().store(self.tail, Ordering::Release);
    }

    /// Times that the other side's index made no sense.
    pub const fn bad_indices(&self) -> u64 {
        self.bad_indices
    }
}

/// A ring that the kernel made, mapped into this process.
#[derive(Debug)]
pub struct MappedRing<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    first: NonNull<T>,
    mask: u32,
    /// Keeps the pointers valid (rule 4).
    _mapping: Mapping,
}

// SAFETY: the pointers lead into a mapping that moves along, and this end is one value (rule 4).
unsafe impl<T: Send> Send for MappedRing<T> {}

impl<T: Copy> MappedRing<T> {
    /// A ring of `entries` entries at the places in `mapping` that the kernel named; `None` when
    /// they do not lie inside it or are not aligned.
    pub(crate) fn new(
        mapping: Mapping,
        offsets: &libc::xdp_ring_offset,
        entries: u32,
    ) -> Option<Self> {
        if !entries.is_power_of_two() {
            return None;
        }
        let first = place::<T>(&mapping, offsets.desc, entries as usize)?;
        let producer = place::<AtomicU32>(&mapping, offsets.producer, 1)?;
        let consumer = place::<AtomicU32>(&mapping, offsets.consumer, 1)?;
        let flags = place::<AtomicU32>(&mapping, offsets.flags, 1)?;
        Some(Self { producer, consumer, flags, first, mask: entries - 1, _mapping: mapping })
    }

    fn slot(&self, index: u32) -> NonNull<T> {
        // SAFETY: the masked index is below the number of entries, all of which `new` found inside
        // the mapping (rules 3 and 4).
        unsafe { self.first.add((index & self.mask) as usize) }
    }
}

/// A pointer to `count` of `T` at `offset` in `mapping`, when they fit and are aligned.
fn place<T>(mapping: &Mapping, offset: u64, count: usize) -> Option<NonNull<T>> {
    let offset = usize::try_from(offset).ok()?;
    let end = offset.checked_add(count.checked_mul(size_of::<T>())?)?;
    if end > mapping.len_bytes() {
        return None;
    }
    // SAFETY: `offset` is inside the mapping, as just checked.
    let pointer: NonNull<T> = unsafe { mapping.start().add(offset) }.cast();
    pointer.is_aligned().then_some(pointer)
}

impl<T: Copy> RingMemory for MappedRing<T> {
    type Entry = T;

    fn entries(&self) -> u32 {
        self.mask + 1
    }

    #[inline]
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: aligned and mapped as long as `self` (rule 4); shared with the kernel, which
        // also treats it as an atomic.
        unsafe { self.producer.as_ref() }
    }

    #[inline]
    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for `producer` (rule 4).
        unsafe { self.consumer.as_ref() }
    }

    #[inline]
    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as for `producer` (rule 4).
        unsafe { self.flags.as_ref() }
    }

    #[inline]
    fn read(&self, index: u32) -> T {
        let slot = self.slot(index);
        // SAFETY: aligned and mapped (rule 4).  Volatile, so that it is read once: what is checked
        // is what is used (rule 3).
        unsafe { slot.read_volatile() }
    }

    #[inline]
    fn write(&mut self, index: u32, entry: T) {
        let slot = self.slot(index);
        // SAFETY: aligned and mapped (rule 4); between the other side's index and ours, so the
        // kernel does not read it until it is published.
        unsafe { slot.write(entry) };
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
