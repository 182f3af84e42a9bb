//! Masks: which bits of keys count.

use super::Key;
use super::layout::{Stage, slots};
use super::words::{OPTIONS, Words, bits, low, stir, stir_option};
use crate::matching::Bits;
use crate::{Match, Slot};

/// Which bits of a key count.  It has the words of a key; without a bit, all keys are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(Words);

impl Mask {
    /// The bits of a slot that count.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> u128 {
        self.0.get(slot)
    }

    /// Makes some bits of a slot count, besides those that do.
    #[inline]
    pub fn cover(&mut self, slot: Slot, bits: u128) {
        let was = self.0.get(slot);
        self.0.set(slot, was | bits);
    }

    /// Makes all of a slot count.
    #[inline]
    pub fn cover_all(&mut self, slot: Slot) {
        self.0.set(slot, slot.ones());
    }

    /// Makes all of a slot count no more.
    pub fn uncover(&mut self, slot: Slot) {
        self.0.set(slot, 0);
    }

    /// True when no bit counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.map() == 0
    }

    /// Makes the bits count that `other` has.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.merge_words(other, u64::MAX);
    }

    /// Makes the bits of some words count that `other` has.
    #[inline]
    pub(crate) fn merge_words(&mut self, other: &Self, set: u64) {
        for at in bits(other.0.map() & set) {
            self.0.set_word(at, self.0.word(at) | other.0.word(at));
        }
        if set & OPTIONS != 0 {
            for (name, bits) in other.0.options() {
                self.0.set_option(name, self.0.option(name) | bits);
            }
        }
    }

    /// Makes the bits count that `other` has and `written` lacks: what a lookup read, less what
    /// actions wrote before, is what it read of the packet.
    pub fn merge_unwritten(&mut self, other: &Self, written: &Self) {
        for at in bits(other.0.map()) {
            self.0.set_word(at, self.0.word(at) | other.0.word(at) & !written.0.word(at));
        }
        for (name, bits) in other.0.options() {
            self.0.set_option(name, self.0.option(name) | bits & !written.0.option(name));
        }
    }

    /// True when every bit of `other` counts here too.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        bits(other.0.map()).all(|at| other.0.word(at) & !self.0.word(at) == 0)
            && other.0.options().all(|(name, bits)| bits & !self.0.option(name) == 0)
    }

    /// A hash of the bits that count.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &Key, seed: u64) -> u64 {
        self.hash_words(key, seed, u64::MAX)
    }

    /// A hash of the bits that count in some words.
    #[must_use]
    #[inline]
    pub(crate) fn hash_words(&self, key: &Key, seed: u64, set: u64) -> u64 {
        let mut hash = seed;
        for at in bits(self.0.map() & set) {
            hash = stir(hash, self.0.word(at) & key.0.word(at));
        }
        if self.0.map() & set & OPTIONS != 0 {
            for (name, bits) in self.0.options() {
                hash = stir_option(hash, name, bits & key.0.option(name));
            }
        }
        // The last words must reach all bits of the hash.
        stir(hash, 0)
    }

    /// True when two keys agree in all bits that count.
    #[must_use]
    #[inline]
    pub fn equal(&self, one: &Key, other: &Key) -> bool {
        bits(self.0.map()).all(|at| (one.0.word(at) ^ other.0.word(at)) & self.0.word(at) == 0)
            && (self.0.map() & OPTIONS == 0 || self.equal_options(one, other))
    }

    fn equal_options(&self, one: &Key, other: &Key) -> bool {
        let differs = |name| one.0.option(name) ^ other.0.option(name);
        self.0.options().all(|(name, bits)| differs(name) & bits == 0)
    }

    /// The words in which bits count, of a key, without those that do not.
    #[inline]
    pub(crate) fn pick(&self, key: &Key) -> impl Iterator<Item = u64> {
        let words = bits(self.0.map()).map(|at| self.0.word(at) & key.0.word(at));
        let options = self.0.options().map(|(name, bits)| bits & key.0.option(name));
        words.chain(options.flat_map(|bits| [low(bits >> 64), low(bits)]))
    }

    /// A key without the bits that do not count.
    #[must_use]
    pub fn apply(&self, key: &Key) -> Key {
        let mut masked = Key::default();
        for at in bits(self.0.map() & key.0.map()) {
            masked.0.set_word(at, self.0.word(at) & key.0.word(at));
        }
        for (name, bits) in self.0.options() {
            masked.0.set_option(name, bits & key.0.option(name));
        }
        masked
    }

    /// True when bits of a stage count.
    #[must_use]
    pub fn reads(&self, stage: Stage) -> bool {
        self.0.map() & stage.words() != 0
    }

    /// The bits that a match asks for.
    #[must_use]
    pub fn of(matching: &Match) -> Self {
        let mut mask = Self::default();
        for (slot, bits) in matching.iter() {
            mask.cover(slot, bits.mask);
        }
        mask
    }

    /// The match that takes the keys which agree with `key` in the bits that count.
    #[must_use]
    pub fn to_match(&self, key: &Key) -> Match {
        let options = self.0.options().map(|(name, _)| {
            let [number, word] = name.to_be_bytes();
            Slot::TunMetadata(number, word)
        });
        slots()
            .chain(options)
            .map(|slot| (slot, Bits::new(key.get(slot), self.get(slot))))
            .collect()
    }
}
