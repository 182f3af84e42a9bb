//! A table by number whose parts are shared by those that differ little.

use std::sync::Arc;

const SLOTS: usize = 32;

type Chunk<T> = [Option<T>; SLOTS];

/// Values by small number.  A copy costs a pointer for each [`SLOTS`] of them, and a change copies
/// one chunk; a look-up costs one load more than in a plain table.
#[derive(Clone, Debug)]
pub(crate) struct Chunked<T> {
    chunks: Vec<Arc<Chunk<T>>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Clone> Chunked<T> {
    /// What has this number.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / SLOTS)?.get(index % SLOTS)?.as_ref()
    }

    /// Gives a number to a value, or takes it away.
    pub(crate) fn set(&mut self, index: usize, value: Option<T>) {
        let place = index / SLOTS;
        while self.chunks.len() <= place && value.is_some() {
            self.chunks.push(Arc::new(std::array::from_fn(|_| None)));
        }
        let chunk = self.chunks.get_mut(place).map(Arc::make_mut);
        if let Some(slot) = chunk.and_then(|chunk| chunk.get_mut(index % SLOTS)) {
            *slot = value;
        }
        while self.chunks.last().is_some_and(|chunk| chunk.iter().all(Option::is_none)) {
            self.chunks.pop();
        }
    }

    /// One more than the largest number in use.
    pub(crate) fn slots(&self) -> usize {
        let Some(last) = self.chunks.last() else { return 0 };
        let used = last.iter().rposition(Option::is_some).map_or(0, |index| index + 1);
        (self.chunks.len() - 1) * SLOTS + used
    }

    /// All values in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        (0u16..).zip(slots).filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    /// Numbers with their values in `before` and here, in chunks that are not shared.
    pub(crate) fn changes<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (u16, Option<&'a T>, Option<&'a T>)> {
        let places = 0..self.chunks.len().max(before.chunks.len());
        let differ =
            places.filter(|place| match (self.chunks.get(*place), before.chunks.get(*place)) {
                (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
                _ => true,
            });
        differ.flat_map(|place| place * SLOTS..(place + 1) * SLOTS).filter_map(|index| {
            let (was, is) = (before.get(index), self.get(index));
            (was.is_some() || is.is_some()).then_some((u16::try_from(index).ok()?, was, is))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_table_is_a_map(
            edits in prop::collection::vec((0u16..200, prop::option::of(any::<u8>())), 0..60),
            more in prop::collection::vec((0u16..200, prop::option::of(any::<u8>())), 0..5),
        ) {
            let (mut table, mut map) = (Chunked::default(), BTreeMap::new());
            let edit = |table: &mut Chunked<u8>, map: &mut BTreeMap<u16, u8>, (index, value)| {
                table.set(usize::from(index), value);
                match value {
                    Some(value) => map.insert(index, value),
                    None => map.remove(&index),
                };
            };
            for one in edits {
                edit(&mut table, &mut map, one);
            }
            let (before, was) = (table.clone(), map.clone());
            for one in more {
                edit(&mut table, &mut map, one);
            }
            let all: Vec<_> = table.iter().map(|(index, value)| (index, *value)).collect();
            prop_assert_eq!(&all, &map.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(table.slots(), map.keys().last().map_or(0, |last| usize::from(*last) + 1));
            // What was copied is as it was, and every difference is among the changes.
            let kept: BTreeMap<_, _> = before.iter().map(|(index, value)| (index, *value)).collect();
            prop_assert_eq!(&kept, &was);
            let changes: BTreeMap<u16, _> = table
                .changes(&before)
                .map(|(index, was, is)| (index, (was.copied(), is.copied())))
                .collect();
            for index in 0..200 {
                let (was, is) = (was.get(&index).copied(), map.get(&index).copied());
                prop_assert!(was == is || changes.get(&index) == Some(&(was, is)));
            }
        }
    }
}
