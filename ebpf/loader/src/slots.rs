//! Which slots of the shared maps belong to which interface: a row of them for the queues of each.

use std::collections::BTreeMap;

use weft_ebpf_abi::SLOTS_MAX;

/// Slots in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The first of them.
    pub first: u32,
    /// How many they are: one for each queue.
    pub queues: u32,
}

impl Row {
    /// Their numbers.
    pub(crate) fn slots(self) -> impl Iterator<Item = u32> {
        self.first..self.first.saturating_add(self.queues)
    }
}

/// The slots in use: how many, by the first one of each row.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<u32, u32>);

impl Slots {
    /// Those of these rows.
    pub(crate) fn of(rows: impl Iterator<Item = Row>) -> Self {
        Self(rows.map(|row| (row.first, row.queues)).collect())
    }

    /// Takes the first row of free ones that is long enough; `None` when there is none.
    pub(crate) fn take(&mut self, queues: u32) -> Option<Row> {
        let mut first = 0_u32;
        for (start, count) in &self.0 {
            if first.saturating_add(queues) <= *start {
                break;
            }
            first = start.saturating_add(*count);
        }
        (first.saturating_add(queues) <= SLOTS_MAX).then(|| {
            self.0.insert(first, queues);
            Row { first, queues }
        })
    }

    /// They are free again.
    pub(crate) fn give_back(&mut self, row: Row) {
        self.0.remove(&row.first);
    }

    /// How many are free, in a row or not.
    pub(crate) fn free(&self) -> u32 {
        SLOTS_MAX.saturating_sub(self.0.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_do_not_overlap_and_gaps_are_used_again() {
        let mut slots = Slots::default();
        let rows: Vec<_> = [4, 1, 256].iter().map(|queues| slots.take(*queues).unwrap()).collect();
        assert_eq!(rows.iter().map(|row| row.first).collect::<Vec<_>>(), [0, 4, 5]);
        slots.give_back(rows[0]);
        assert_eq!(slots.take(5), Some(Row { first: 261, queues: 5 }), "it does not fit the gap");
        assert_eq!(slots.take(3), Some(Row { first: 0, queues: 3 }));
        assert_eq!(slots.take(1), Some(Row { first: 3, queues: 1 }));
        assert_eq!(slots.free(), SLOTS_MAX - 266);
    }

    #[test]
    fn there_are_as_many_as_there_are() {
        let mut slots = Slots::of((0..63).map(|row| Row { first: row * 256, queues: 256 }));
        assert_eq!(slots.take(257), None);
        assert_eq!(slots.take(256), Some(Row { first: 63 * 256, queues: 256 }));
        assert_eq!((slots.take(1), slots.free()), (None, 0));
        slots.give_back(Row { first: 512, queues: 256 });
        assert_eq!((slots.take(1), slots.free()), (Some(Row { first: 512, queues: 1 }), 255));
    }
}
