//! What the operator wants: rows of the database, typed and checked.

pub mod columns;
pub mod desired;
pub mod duplicates;
pub mod ignored;
#[cfg(test)]
mod known_tests;
pub mod names;
pub mod news;
pub mod tunnel_options;

use desired::known::{Known, Touched};
use desired::{Desired, Rows};
use news::News;
use std::collections::BTreeSet;

/// What is wanted, as read last.
#[derive(Default)]
pub struct Config {
    /// It.
    pub desired: Desired,
    known: Known,
    /// Problems that were logged.
    logged: BTreeSet<String>,
}

impl Config {
    /// Reads the rows that have changed.  Returns what differs from before, and how many ports were
    /// read for it.  A setting without effect is logged, and is no difference.
    pub fn update(&mut self, rows: &impl Rows, news: &News) -> (Touched, u64) {
        let touched = self.known.update(rows, news, &mut self.desired);
        let now: BTreeSet<String> = self.desired.problems.iter().map(ToString::to_string).collect();
        for problem in now.difference(&self.logged) {
            tracing::warn!("{problem}");
        }
        self.logged = now;
        (touched, self.known.take_read())
    }
}
