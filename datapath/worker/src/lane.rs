//! A lane from one worker to another: items are put in one by one, and published a batch at a time.
//!
//! Each publication costs a cache line that both cores want.  For a batch that is little; for a frame it would be
//! more than all the rest of its way.

use rtrb::{Consumer, Producer, RingBuffer};
use weft_switch::BATCH_MAX;

/// The end where items are put in.
pub(crate) struct Entry<T> {
    ring: Producer<T>,
    /// Put in and not published.  The ring has a place for each.
    staged: Vec<T>,
}

/// The end where they come out.
pub(crate) type Exit<T> = Consumer<T>;

/// Both ends of a lane for so many items.
pub(crate) fn lane<T>(places: usize) -> (Entry<T>, Exit<T>) {
    let (ring, exit) = RingBuffer::new(places);
    (Entry { ring, staged: Vec::with_capacity(BATCH_MAX) }, exit)
}

impl<T> Entry<T> {
    /// Whether so many more items have a place.
    #[inline]
    pub(crate) fn has_room(&self, count: usize) -> bool {
        let wanted = count + self.staged.len();
        // What was seen last may suffice: only this end makes it less.
        self.ring.cached_slots() >= wanted || self.ring.slots() >= wanted
    }

    /// Puts an item in; gives it back when there is no place.
    #[inline]
    pub(crate) fn put(&mut self, item: T) -> Result<(), T> {
        if !self.has_room(1) {
            return Err(item);
        }
        if self.staged.len() == BATCH_MAX {
            self.publish();
        }
        self.staged.push(item);
        Ok(())
    }

    /// Lets the other end see what was put in; false when that was nothing.
    #[inline]
    pub(crate) fn publish(&mut self) -> bool {
        if self.staged.is_empty() {
            return false;
        }
        if let Ok(places) = self.ring.write_chunk_uninit(self.staged.len()) {
            places.fill_from_iter(self.staged.drain(..));
        }
        debug_assert!(self.staged.is_empty(), "each staged item has a place");
        true
    }

    /// What was put in and not published; nothing is put in any more.
    pub(crate) fn into_staged(self) -> Vec<T> {
        self.staged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken<T>(exit: &mut Exit<T>) -> Vec<T> {
        std::iter::from_fn(|| exit.pop().ok()).collect()
    }

    #[test]
    fn items_come_out_in_order_once_they_are_published() {
        let (mut entry, mut exit) = lane(100);
        assert!(!entry.publish());
        (0..5).for_each(|item| entry.put(item).unwrap());
        assert_eq!(taken(&mut exit), []);
        assert!(entry.publish() && !entry.publish());
        assert_eq!(taken(&mut exit), [0, 1, 2, 3, 4]);
        // A whole batch does not wait for that.
        (0..BATCH_MAX + 3).for_each(|item| entry.put(item).unwrap());
        assert_eq!(taken(&mut exit).len(), BATCH_MAX);
        assert_eq!(entry.into_staged().len(), 3);
    }

    #[test]
    fn a_full_lane_takes_nothing_and_loses_nothing() {
        let (mut entry, mut exit) = lane(40);
        let fits = (0..50).filter(|item| entry.put(*item).is_ok()).count();
        assert_eq!((fits, entry.has_room(1)), (40, false));
        entry.publish();
        assert_eq!(entry.put(50), Err(50));
        assert_eq!(taken(&mut exit), (0..40).collect::<Vec<_>>());
        assert!(entry.has_room(40) && !entry.has_room(41));
    }
}
