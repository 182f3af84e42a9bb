//! The words of keys and masks.

use super::layout::{Spot, spot};
use super::options::Options;
use crate::Slot;
use crate::field::ones;

/// How many words there are.
pub(super) const WORDS: usize = 50;

/// The bit in a map that stands for the options that have no word.
pub(super) const OPTIONS: u64 = 1 << 63;

/// Words, and a map of those that are not zero.
#[derive(Clone, Debug)]
pub(super) struct Words {
    all: [u64; WORDS],
    /// Bit n: word n is not zero; [`OPTIONS`].
    map: u64,
    /// Never empty.
    options: Option<Box<Options>>,
}

impl Default for Words {
    fn default() -> Self {
        Self { all: [0; WORDS], map: 0, options: None }
    }
}

/// Equal maps say which words to compare.
impl PartialEq for Words {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
            && bits(self.map).all(|at| self.word(at) == other.word(at))
            && (self.map & OPTIONS == 0 || self.options == other.options)
    }
}

impl Eq for Words {}

/// The numbers of the bits of a map, without that of the options.
#[inline]
pub(super) fn bits(map: u64) -> impl Iterator<Item = usize> {
    let mut left = map & !OPTIONS;
    std::iter::from_fn(move || {
        let at = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (at < 64).then_some(at)
    })
}

/// Stirs a word into a hash: the two halves of a product, folded.
#[inline]
pub(crate) const fn stir(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word) as u128 * 0x9e37_79b9_7f4a_7c15_u128;
    low(product) ^ low(product >> 64)
}

/// The low half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is asked for")]
pub(super) const fn low(wide: u128) -> u64 {
    wide as u64
}

impl Words {
    #[inline]
    pub(super) fn map(&self) -> u64 {
        self.map
    }

    #[inline]
    pub(super) fn word(&self, at: usize) -> u64 {
        self.all.get(at).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn set_word(&mut self, at: usize, word: u64) {
        if let Some(place) = self.all.get_mut(at) {
            *place = word;
            let bit = 1 << at;
            self.map = if word == 0 { self.map & !bit } else { self.map | bit };
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> u128 {
        match spot(slot) {
            Spot::Bits { word, shift } => u128::from(self.word(word) >> shift) & slot.ones(),
            Spot::Wide { word } => {
                u128::from(self.word(word)) << 64 | u128::from(self.word(word + 1))
            }
            Spot::Option(name) => self.option(name),
        }
    }

    #[inline]
    pub(super) fn set(&mut self, slot: Slot, value: u128) {
        let value = value & slot.ones();
        match spot(slot) {
            Spot::Bits { word, shift } => {
                let rest = self.word(word) & !(low(ones(slot.bits())) << shift);
                self.set_word(word, rest | low(value) << shift);
            }
            Spot::Wide { word } => {
                self.set_word(word, low(value >> 64));
                self.set_word(word + 1, low(value));
            }
            Spot::Option(name) => self.set_option(name, value),
        }
    }

    pub(super) fn option(&self, name: u16) -> u128 {
        self.options.as_ref().map_or(0, |options| options.get(name))
    }

    pub(super) fn set_option(&mut self, name: u16, value: u128) {
        if value == 0 && self.options.is_none() {
            return;
        }
        let mut options = self.options.take().unwrap_or_default();
        options.set(name, value);
        self.map &= !OPTIONS;
        if !options.is_empty() {
            self.map |= OPTIONS;
            self.options = Some(options);
        }
    }

    pub(super) fn options(&self) -> impl Iterator<Item = (u16, u128)> + '_ {
        self.options.iter().flat_map(|options| options.iter())
    }

    /// Zeroes the words of a set.
    pub(super) fn clear(&mut self, set: u64) {
        for at in bits(self.map & set) {
            self.set_word(at, 0);
        }
        if set & OPTIONS != 0 {
            self.options = None;
            self.map &= !OPTIONS;
        }
    }

    #[inline]
    pub(super) fn hash(&self, seed: u64) -> u64 {
        let mut hash = stir(seed, self.map);
        for at in bits(self.map) {
            hash = stir(hash, self.word(at));
        }
        for (name, value) in self.options() {
            hash = stir_option(hash, name, value);
        }
        hash
    }
}

/// Stirs an option into a hash.
pub(super) fn stir_option(hash: u64, name: u16, value: u128) -> u64 {
    stir(stir(hash ^ u64::from(name), low(value)), low(value >> 64))
}
