//! Places for whole keys: a table without chains.

use super::slab::Handle;
use crate::Key;
use crate::key::mix;

/// How many places there are.
const PLACES: usize = 8192;

/// Once in how many hits a key gets a place that another one has.
const ODDS: u64 = 32;

/// Whole keys, each in the one place that its hash says.
#[derive(Debug)]
pub(super) struct Exact {
    places: Box<[Place]>,
    random: u64,
}

#[derive(Clone, Debug, Default)]
struct Place {
    hash: u64,
    handle: Option<Handle>,
    key: Key,
}

impl Default for Exact {
    fn default() -> Self {
        Self { places: vec![Place::default(); PLACES].into(), random: 0 }
    }
}

/// Which place a hash has.
fn at(hash: u64) -> usize {
    usize::try_from(hash % PLACES as u64).unwrap_or_default()
}

impl Exact {
    /// The entry of a key.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key) -> Option<Handle> {
        let place = self.places.get(at(hash))?;
        if place.hash == hash && place.key == *key { place.handle } else { None }
    }

    /// The entry of the key that has the place of a hash.
    #[inline]
    pub(super) fn handle(&self, hash: u64) -> Option<Handle> {
        self.places.get(at(hash))?.handle
    }

    /// True once in a while.
    #[inline]
    pub(super) fn draw(&mut self) -> bool {
        self.random = mix(self.random, 1);
        self.random.is_multiple_of(ODDS)
    }

    /// Puts a key to its place; gives back the entry of the one that was there.
    pub(super) fn put(&mut self, hash: u64, key: &Key, handle: Handle) -> Option<Handle> {
        let place = self.places.get_mut(at(hash))?;
        place.hash = hash;
        place.key.clone_from(key);
        place.handle.replace(handle)
    }
}
