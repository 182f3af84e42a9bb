//! What the operator wants: rows of the database, typed and checked.

#[cfg(test)]
mod cache_tests;
pub mod changed_rows;
pub mod columns;
pub mod desired;
pub mod duplicates;
pub mod ignored;
pub mod names;
pub mod tunnel;

use changed_rows::ChangedRows;
use desired::cache::{Cache, Changed};
use desired::{Desired, Rows};
use std::collections::BTreeSet;

/// What is wanted, as read last, and the cache of it.
#[derive(Default)]
pub struct Config {
    /// What is wanted.
    pub desired: Desired,
    cache: Cache,
    /// Problems that were logged.
    logged: BTreeSet<String>,
}

impl Config {
    /// Reads the rows that have changed.  Returns what changed, and how many ports were
    /// read for it.  A setting without effect is logged, and is no difference.
    pub fn update(&mut self, rows: &impl Rows, changed_rows: &ChangedRows) -> (Changed, u64) {
        let changed = self.cache.update(rows, changed_rows, &mut self.desired);
        let now: BTreeSet<String> = self.desired.problems.iter().map(ToString::to_string).collect();
        for problem in now.difference(&self.logged) {
            tracing::warn!("{problem}");
        }
        self.logged = now;
        (changed, self.cache.take_read())
    }
}
