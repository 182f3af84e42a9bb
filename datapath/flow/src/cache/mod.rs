//! What walks through tables came to, kept by a worker for packets that are alike.
//!
//! [`Cache::find`] looks for a packet's whole key in a table of 8,192 places, then for the bits of
//! it that walks read, one mask after another, those with most hits first.  A packet without an
//! entry is walked by the caller, who hands the outcome to [`Cache::insert`].  An entry holds while
//! the sum of the epochs that its walk visited stays the same.
//!
//! Senders can choose packets that make many masks (CVE-2019-25076), and each mask costs every
//! packet without a place a probe.  So masks are bounded, for a worker and for each ingress port;
//! beyond, an outcome is kept for its one key only.

mod entry;
mod exact;
mod masks;
mod slab;
mod sweep;

pub use entry::Use;
pub use slab::Handle;

use crate::classifier::{Bucket, Epochs};
use crate::{Key, Mask};
use entry::Entry;
use exact::Exact;
use masks::Masks;
use slab::Slab;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries that stand for more than one key.
    pub entries: usize,
    /// Masks of all entries, at most 65,535.
    pub masks: usize,
    /// Masks that packets of one ingress port may bring.
    pub port_masks: usize,
    /// After how many milliseconds without a packet an entry goes.
    pub idle_max_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 65_536, masks: 256, port_masks: 64, idle_max_ms: 10_000 }
    }
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets whose whole key had a place.
    pub exact_hits: u64,
    /// Packets that agreed with an entry in the bits that its walk read.
    pub mask_hits: u64,
    /// Packets without an entry that holds: walks.
    pub misses: u64,
    /// Of the misses, those that found an entry of which something changed.
    pub stale: u64,
    /// Masks that were probed for packets without a place.
    pub probes: u64,
    /// Outcomes kept for their one key only, since there was no room for more.
    pub over_budget: u64,
}

/// What a walk came to.
#[derive(Clone, Debug)]
pub struct Outcome<P> {
    /// What to do with the packet and all that are alike.
    pub program: P,
    /// The bits of the key that decided.
    pub reads: Mask,
    /// Whose changes may change it.
    pub buckets: Box<[Bucket]>,
}

/// When a packet is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Those of the tables that a walk would go through.
    pub epochs: &'a Epochs,
    /// Milliseconds, of a clock that does not go back.
    pub now_ms: u64,
}

/// The outcomes that a worker keeps.  `P` is what is done with packets.
#[derive(Debug)]
pub struct Cache<P> {
    limits: Limits,
    seed: u64,
    entries: Slab<Entry<P>>,
    exact: Exact,
    masks: Masks,
    /// The entry that the last packet found and that holds no more.
    stale: Option<Handle>,
    /// Programs that are gone, and what was not reported of their use.
    retired: Vec<(P, Use)>,
    cursor: usize,
    counters: Counters,
}

impl<P: PartialEq> Cache<P> {
    /// An empty one.  `seed` is random: it keeps senders from choosing hashes.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            seed,
            entries: Slab::default(),
            exact: Exact::default(),
            masks: Masks::default(),
            stale: None,
            retired: Vec::new(),
            cursor: 0,
            counters: Counters::default(),
        }
    }

    /// The entry for a packet of `bytes`, which counts as its use.  Allocates nothing.
    #[inline]
    pub fn find(&mut self, key: &Key, bytes: u32, at: Moment<'_>) -> Option<Handle> {
        self.stale = None;
        let hash = key.hash(self.seed);
        let of_key =
            self.exact.find(hash, key).filter(|handle| self.entries.get(*handle).is_some());
        let (handle, is_exact) = match of_key {
            Some(handle) => (handle, true),
            None => (self.find_masked(key)?, false),
        };
        if !self.entries.get_mut(handle)?.is_fresh(at) {
            self.stale = Some(handle);
            self.counters.stale += 1;
            self.counters.misses += 1;
            return None;
        }
        if is_exact {
            self.counters.exact_hits += 1;
        } else {
            self.counters.mask_hits += 1;
            self.promote(hash, key, handle);
        }
        self.entries.get_mut(handle)?.touch(bytes, at.now_ms);
        Some(handle)
    }

    fn find_masked(&mut self, key: &Key) -> Option<Handle> {
        let found = self.masks.find(key, self.seed, &self.entries, &mut self.counters.probes);
        if found.is_none() {
            self.counters.misses += 1;
        }
        found
    }

    /// Gives a key a place, if its place is free, or now and then.
    fn promote(&mut self, hash: u64, key: &Key, handle: Handle) {
        let old = self.exact.handle(hash).filter(|old| self.entries.get(*old).is_some());
        // What is kept for one key only would be lost.
        let is_shared = |old: Handle| self.entries.get(old).is_some_and(Entry::is_shared);
        let may = match old {
            None => true,
            Some(old) => is_shared(old) && self.exact.draw(),
        };
        // The copy of a key with options beyond its words would be an allocation.
        if may && !key.has_options() {
            self.exact.put(hash, key, handle);
        }
    }

    /// Keeps the outcome of the walk for a packet of `bytes` that had no entry; the packet is its
    /// first use.
    pub fn insert(&mut self, key: &Key, bytes: u32, outcome: Outcome<P>, at: Moment<'_>) -> Handle {
        if let Some(handle) = self.renew(key, &outcome, at) {
            if let Some(entry) = self.entries.get_mut(handle) {
                entry.touch(bytes, at.now_ms);
            }
            return handle;
        }
        let Outcome { program, reads, buckets } = outcome;
        let mut entry = Entry::new(program, key.clone(), buckets, at);
        entry.touch(bytes, at.now_ms);
        let is_room = self.masks.entries() < self.limits.entries;
        entry.mask = if is_room { self.masks.claim(reads, key, &self.limits) } else { None };
        self.counters.over_budget += u64::from(entry.mask.is_none());
        let mask = entry.mask;
        let handle = self.entries.insert(entry);
        if let Some(mask) = mask
            && let Some(old) = self.masks.add(mask, key, self.seed, handle)
        {
            self.take_out(old);
        }
        self.place(key, handle);
        handle
    }

    /// The stale entry of a packet goes on, with its counters, if the outcome is the same.
    fn renew(&mut self, key: &Key, outcome: &Outcome<P>, at: Moment<'_>) -> Option<Handle> {
        let handle = self.stale.take()?;
        let entry = self.entries.get_mut(handle)?;
        let mask = entry.mask.and_then(|mask| self.masks.mask(mask));
        let is_same = |mask: &Mask| *mask == outcome.reads && mask.equal(key, &entry.key);
        if entry.program == outcome.program && mask.is_some_and(is_same) {
            entry.renew(outcome.buckets.clone(), at);
            return Some(handle);
        }
        self.remove(handle);
        None
    }

    /// Puts a key that was walked to its place; what stood there for one key only goes.
    fn place(&mut self, key: &Key, handle: Handle) {
        let hash = key.hash(self.seed);
        let old = self.exact.put(hash, key, handle);
        if let Some(old) = old.filter(|old| *old != handle)
            && self.entries.get(old).is_some_and(|entry| !entry.is_shared())
        {
            self.take_out(old);
        }
    }

    /// What to do with a packet that an entry was found for.
    #[must_use]
    #[inline]
    pub fn program(&self, handle: Handle) -> Option<&P> {
        self.entries.get(handle).map(|entry| &entry.program)
    }

    /// Forgets an entry.
    fn remove(&mut self, handle: Handle) {
        if let Some(entry) = self.entries.get(handle)
            && let Some(mask) = entry.mask
        {
            self.masks.remove(mask, &entry.key, self.seed, handle);
        }
        self.take_out(handle);
    }

    /// Forgets an entry that no mask has.
    fn take_out(&mut self, handle: Handle) {
        if let Some(entry) = self.entries.remove(handle) {
            let unreported = entry.unreported();
            if unreported.packets > 0 {
                self.retired.push((entry.program, unreported));
            }
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many masks there are.
    #[must_use]
    pub fn mask_count(&self) -> usize {
        self.masks.len()
    }

    /// How many entries there are, those for one key too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// All entries: the key of the first packet, the bits that count, what is done, and its use.
    /// Entries for one key only have no mask.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Option<&Mask>, &P, Use)> {
        self.entries.iter().map(|(_, entry)| {
            let mask = entry.mask.and_then(|mask| self.masks.mask(mask));
            (&entry.key, mask, &entry.program, entry.total())
        })
    }
}

#[cfg(test)]
mod tests;
