//! What sockets have of a pool's chunks: lent to the kernel for receiving, handed to it for sending, and back.

use super::Chunk;
use super::pool::{ChunkPool, Owner};
use super::region::QUARANTINE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sockets that can be in service or in retirement at once.
const SLOTS_MAX: u16 = 16_000;

/// The chunks that the kernel has of a socket which goes from one worker to another.
#[derive(Debug, Default)]
pub(crate) struct Luggage {
    receiving: Vec<u32>,
    sending: Vec<u32>,
}

impl Luggage {
    /// How many.
    pub(crate) const fn chunks(&self) -> usize {
        self.receiving.len() + self.sending.len()
    }
}

/// What tells the pool that a socket is closed (rule 5).
#[derive(Debug, Default)]
pub(crate) struct ClosedFlag(Arc<AtomicBool>);

impl ClosedFlag {
    /// The pool's end.
    pub(crate) fn watch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for ClosedFlag {
    fn drop(&mut self) {
        // Release: partner is the acquire in `ChunkPool::reclaim`; unmapping and closing come
        // before.
        self.0.store(true, Ordering::Release);
    }
}

/// What a number of a socket stands for.
#[derive(Debug)]
pub(super) enum Slot {
    Vacant,
    Serving(Service),
    /// Out of service; since when its `closed` flag is known to be set.
    Retired(Service, Option<Instant>),
}

/// A socket that has chunks of the pool.
#[derive(Debug)]
pub(super) struct Service {
    closed: Arc<AtomicBool>,
    zero_copy: bool,
}

/// What became of a descriptor from an RX ring.
#[derive(Debug)]
pub(crate) enum Received {
    /// A frame.
    Frame(Chunk),
    /// It names a chunk of the socket, but not bytes inside it.  The chunk is free again.
    Nonsense,
    /// It names no chunk that the socket has.
    Stranger,
}

impl ChunkPool {
    /// A number for a socket that takes chunks from now on; `None` when there are too many.
    pub(crate) fn enrol(&mut self, closed: Arc<AtomicBool>, zero_copy: bool) -> Option<u16> {
        if zero_copy {
            self.region.zero_copy.store(true, Ordering::Release);
        }
        let entry = Slot::Serving(Service { closed, zero_copy });
        let vacant = self.slots.iter().position(|slot| matches!(slot, Slot::Vacant));
        let position = vacant.unwrap_or(self.slots.len());
        let number = u16::try_from(position).ok().filter(|&number| number < SLOTS_MAX)?;
        match self.slots.get_mut(position) {
            Some(slot) => *slot = entry,
            None => self.slots.push(entry),
        }
        Some(number)
    }

    /// A socket takes no chunks any more; those it has come back when it is closed.
    pub(crate) fn retire(&mut self, slot: u16) {
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return };
        match std::mem::replace(entry, Slot::Vacant) {
            Slot::Serving(service) => {
                *entry = Slot::Retired(service, None);
                self.retired += 1;
            }
            other => *entry = other,
        }
    }

    /// Takes the next free chunk for the fill ring of `slot`: its byte offset in the region.
    #[inline]
    pub(crate) fn lend(&mut self, slot: u16) -> Option<u64> {
        let index = self.free.pop()?;
        if let Some(owner) = self.owners.get_mut(index as usize) {
            *owner = Owner::receiving(slot);
        }
        self.count.receiving += 1;
        Some(u64::from(index) << self.region.shift)
    }

    /// Takes a received frame from the kernel, if `slot` may have received it (rule 3).
    #[inline]
    pub(crate) fn receive(&mut self, slot: u16, address: u64, len_bytes: u32) -> Received {
        let Ok(index) = u32::try_from(address >> self.region.shift) else {
            return Received::Stranger;
        };
        if self.owners.get(index as usize) != Some(&Owner::receiving(slot)) {
            return Received::Stranger;
        }
        self.count.receiving = self.count.receiving.wrapping_sub(1);
        let size = self.region.config.chunk_bytes;
        let start = usize::try_from(address).unwrap_or(0) & (size - 1);
        if start + len_bytes as usize > size {
            self.release(index as usize);
            return Received::Nonsense;
        }
        self.count.held += 1;
        Received::Frame(self.hold(index, start, len_bytes as usize))
    }

    /// Hands a frame to the TX ring of `slot`: its byte offset in the region.
    #[inline]
    pub(crate) fn send(&mut self, slot: u16, chunk: Chunk) -> Option<u64> {
        let start = chunk.headroom_bytes();
        let index = self.surrender(chunk)?;
        if let Some(owner) = self.owners.get_mut(index) {
            *owner = Owner::sending(slot);
        }
        self.count.held = self.count.held.wrapping_sub(1);
        self.count.sending += 1;
        Some(((index << self.region.shift) | start) as u64)
    }

    /// Takes a sent frame back from the completion ring of `slot`; false when it did not send it.
    #[inline]
    pub(crate) fn complete(&mut self, slot: u16, address: u64) -> bool {
        let Ok(index) = usize::try_from(address >> self.region.shift) else { return false };
        if self.owners.get(index) != Some(&Owner::sending(slot)) {
            return false;
        }
        self.count.sending = self.count.sending.wrapping_sub(1);
        self.release(index);
        true
    }

    /// True when [`Self::reclaim`] has something to wait for.
    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        self.retired > 0
    }

    /// Takes the chunks of retired sockets back, as far as those are closed (rule 5).
    pub fn reclaim(&mut self) {
        self.reclaim_after(QUARANTINE);
    }

    pub(super) fn reclaim_after(&mut self, quarantine: Duration) {
        for slot in 0..self.slots.len() {
            let Some(entry) = self.slots.get_mut(slot) else { return };
            let Slot::Retired(service, since) = entry else { continue };
            // Acquire: partner is the release in `ClosedFlag::drop`.
            if !service.closed.load(Ordering::Acquire) {
                continue;
            }
            if service.zero_copy && since.get_or_insert_with(Instant::now).elapsed() < quarantine {
                continue;
            }
            *entry = Slot::Vacant;
            self.retired -= 1;
            self.take_back(u16::try_from(slot).unwrap_or(u16::MAX));
        }
    }

    /// Takes a socket out of service that another worker is to have: what it has with the kernel goes with it.
    pub(crate) fn part_with_slot(&mut self, slot: u16) -> Luggage {
        let mut luggage = Luggage::default();
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return luggage };
        *entry = Slot::Vacant;
        for (index, owner) in (0u32..).zip(&mut self.owners) {
            if !owner.is_slot(slot) {
                continue;
            }
            let list = if *owner == Owner::receiving(slot) {
                self.count.receiving = self.count.receiving.wrapping_sub(1);
                &mut luggage.receiving
            } else {
                self.count.sending = self.count.sending.wrapping_sub(1);
                &mut luggage.sending
            };
            list.push(index);
            *owner = Owner::ELSEWHERE;
        }
        self.count.chunks = self.count.chunks.wrapping_sub(luggage.chunks());
        luggage
    }

    /// Takes over what a socket brings from another worker, which is `slot` here.
    pub(crate) fn adopt_slot(&mut self, slot: u16, luggage: &Luggage) {
        for (list, owner) in
            [(&luggage.receiving, Owner::receiving(slot)), (&luggage.sending, Owner::sending(slot))]
        {
            for index in list {
                if let Some(entry) = self.owners.get_mut(*index as usize) {
                    *entry = owner;
                }
            }
        }
        self.count.receiving += luggage.receiving.len();
        self.count.sending += luggage.sending.len();
        self.count.chunks += luggage.chunks();
    }

    fn take_back(&mut self, slot: u16) {
        for index in 0..self.owners.len() {
            let Some(&owner) = self.owners.get(index) else { return };
            if !owner.is_slot(slot) {
                continue;
            }
            if owner == Owner::receiving(slot) {
                self.count.receiving = self.count.receiving.wrapping_sub(1);
            } else {
                self.count.sending = self.count.sending.wrapping_sub(1);
            }
            self.release(index);
        }
    }
}
