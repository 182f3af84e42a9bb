//! Keys of packets: what tables decide by, in one block of words; and masks over them.
//!
//! [`Key::parse`] reads a frame once.  Actions change the key with [`Key::set`], so that later
//! tables see what the packet has become.  A [`Mask`] says which bits of a key count: those of a
//! rule, or those that a walk through tables looked at.

mod field;
mod layout;
mod mask;
mod options;
mod parse;
mod words;

pub use layout::Stage;
pub use mask::Mask;

use crate::{Match, Slot};
pub(crate) use words::stir as mix;

use words::Words;

/// All that tables can know of a packet.  Slots of headers that it lacks are zero.
///
/// It is a plain block of 50 words and a map of those that are not zero; only tunnel options beyond
/// the first 128 bits of options 0 and 1 lie elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Words);

impl Key {
    /// The value of a slot.
    #[must_use]
    #[inline]
    pub fn get(&self, slot: Slot) -> u128 {
        self.0.get(slot)
    }

    /// Gives a slot a value; bits beyond its width are dropped.
    #[inline]
    pub fn set(&mut self, slot: Slot, value: u128) {
        self.0.set(slot, value);
    }

    /// True when it has options of tunnels that have no word: its clone is an allocation.
    #[must_use]
    #[inline]
    pub fn has_options(&self) -> bool {
        self.0.map() & words::OPTIONS != 0
    }

    /// A hash over all of it; `seed` keeps senders from choosing it.
    #[must_use]
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        self.0.hash(seed)
    }

    /// The values that a match asks for, zero where it asks for none.
    #[must_use]
    pub fn of(matching: &Match) -> Self {
        let mut key = Self::default();
        for (slot, bits) in matching.iter() {
            key.set(slot, bits.value);
        }
        key
    }
}

#[cfg(test)]
mod tests;
