//! Waits that held when they came last, known by their text.
//!
//! To add a port, `ovs-vsctl` sends a `wait` for each port there is, and the same again, in the same order,
//! for the next.  A wait means the same when its text is the same, and holds as long as its column has not
//! changed: to compare bytes tells both, and where it ends in a stream, without reading it again.

use uuid::Uuid;

use crate::store::database::{Change, fresh_version};
use crate::txn::integrity::RowId;
use crate::txn::plain::{Held, Plain};
use crate::value::schema::Schema;

/// Bytes of text that are kept, at most.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// How many waits behind the expected one are looked at: some will be gone, or new, or hold no more.
const AHEAD: usize = 4;

/// The waits that one transaction began with.
#[derive(Debug, Default)]
pub struct Known {
    /// One after the other.
    text: Vec<u8>,
    /// In the order of the text.
    waits: Vec<Wait>,
    /// Sorted.
    places: Vec<Place>,
    /// Another one after each change.
    stamp: Uuid,
}

#[derive(Debug)]
struct Wait {
    /// Where its text ends.
    end: usize,
    holds: bool,
}

/// What a wait is about.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    row: RowId,
    column: usize,
    /// Number of the wait.
    wait: usize,
}

impl Known {
    /// Adds a wait that holds; anything else is left out, and so is what would be too much.
    pub(crate) fn add(&mut self, schema: &Schema, plain: &Plain<'_>) {
        let Some((text, row, column)) = plain.wait(schema) else { return };
        if self.text.len() + text.len() <= TEXT_BYTES_MAX {
            self.places.push(Place { row, column, wait: self.waits.len() });
            self.text.extend_from_slice(text);
            self.waits.push(Wait { end: self.text.len(), holds: true });
        }
    }

    /// The same, when all are added.
    #[must_use]
    pub(crate) fn finish(mut self) -> Self {
        self.places.sort_unstable();
        self.stamp = fresh_version();
        self
    }

    /// Forgets what may not hold any more.
    pub(crate) fn note(&mut self, changes: &[Change]) {
        for change in changes {
            let row = (change.table, change.uuid);
            let first = self.places.partition_point(|place| place.row < row);
            let places = self.places.iter().skip(first).take_while(|place| place.row == row);
            for place in places.filter(|place| change.touches(place.column)) {
                if let Some(wait) = self.waits.get_mut(place.wait) {
                    wait.holds = false;
                }
            }
        }
        self.stamp = fresh_version();
    }

    /// True when nothing has changed since `held` was found.
    pub(crate) fn vouches_for(&self, held: &Held<'_>) -> bool {
        self.stamp == held.stamp
    }

    /// The known waits, with commas between them, that `text` starts with; None when it starts with none.
    /// `next` is where to look: 0 at the start of a message, for the rest of it what the last call left.
    #[must_use]
    pub fn held<'a>(&self, next: &mut usize, text: &'a [u8]) -> Option<Held<'a>> {
        let (mut length, mut count) = (0, 0);
        let mut rest = text;
        while let Some(bytes) = self.one(next, rest) {
            // The comma before it belongs to the run.
            length += bytes + usize::from(count > 0);
            count += 1;
            match text.get(length..).and_then(|behind| behind.strip_prefix(b",")) {
                Some(behind) => rest = behind,
                None => break,
            }
        }
        let text = text.get(..length)?;
        (count > 0).then_some(Held { text, count, stamp: self.stamp })
    }

    /// Length of the known wait that `text` starts with.
    fn one(&self, next: &mut usize, text: &[u8]) -> Option<usize> {
        (*next..self.waits.len().min(*next + AHEAD)).find_map(|number| {
            let wait = self.text_of(number)?;
            text.starts_with(wait).then(|| {
                *next = number + 1;
                wait.len()
            })
        })
    }

    /// The text of a wait that holds.
    fn text_of(&self, number: usize) -> Option<&[u8]> {
        let end = self.waits.get(number).filter(|wait| wait.holds)?.end;
        let before = number.checked_sub(1).and_then(|before| self.waits.get(before));
        self.text.get(before.map_or(0, |wait| wait.end)..end)
    }
}
