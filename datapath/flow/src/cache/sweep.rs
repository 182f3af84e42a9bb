//! Looks after entries in slices: reports use, and forgets what nobody uses.

use super::{Cache, Moment, Use};

impl<P: PartialEq> Cache<P> {
    /// Looks at some more places for entries.  `report` gets the use that was not reported yet, by
    /// program, also of entries that are gone.  Entries that hold no more or had no packet for long
    /// go.  A pass over all of them puts the masks with most hits first.
    ///
    /// Call it between batches, so often that a pass takes a second at most.
    pub fn sweep(&mut self, places: usize, at: Moment<'_>, report: &mut impl FnMut(&P, Use)) {
        for (program, of_it) in self.retired.drain(..) {
            report(&program, of_it);
        }
        for _ in 0..places.min(self.entries.places()) {
            if self.cursor >= self.entries.places() {
                self.cursor = 0;
                self.masks.sort();
            }
            let place = self.cursor;
            self.cursor += 1;
            let Some((handle, entry)) = self.entries.at(place) else { continue };
            let of_it = entry.report();
            if of_it.packets > 0 {
                report(&entry.program, of_it);
            }
            let is_idle = at.now_ms.saturating_sub(of_it.last_ms) > self.limits.idle_max_ms;
            if is_idle || !entry.is_fresh(at) {
                self.remove(handle);
            }
        }
    }

    /// How many places there are to sweep.
    #[must_use]
    pub fn places(&self) -> usize {
        self.entries.places()
    }

    /// Forgets all entries; their use is reported by the next [`Cache::sweep`].
    pub fn clear(&mut self) {
        for place in 0..self.entries.places() {
            if let Some((handle, _)) = self.entries.at(place) {
                self.remove(handle);
            }
        }
    }
}
