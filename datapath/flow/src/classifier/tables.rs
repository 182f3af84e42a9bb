//! All tables of a bridge, as workers read them.

use super::{Bucket, Classifier, Epochs, Grain, Visited, exact_metadata};
use crate::{Key, Mask, Match, Rule, Slot, TableId};
use std::sync::Arc;

/// The tables of a bridge.  A clone shares what is the same: the control thread changes its own and
/// gives clones to workers.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By number, up to the last that has rules.
    all: Vec<Arc<Classifier>>,
    /// Which bridge's they are, so that equal tables of two bridges have two buckets.
    bridge: u32,
    /// How finely lookups cover what prefixes decide.
    pub grain: Grain,
}

impl Tables {
    /// Those of a bridge, without rules.
    #[must_use]
    pub fn new(bridge: u32) -> Self {
        Self { bridge, ..Self::default() }
    }

    /// Adds a rule to its table; gives back the one of equal match and priority that it replaces.
    /// `epochs` are those of all bridges: a walk may go from one to another.
    pub fn insert(&mut self, rule: Arc<Rule>, epochs: &mut Epochs) -> Option<Arc<Rule>> {
        self.changed(rule.table, &rule.matching, epochs);
        let at = usize::from(rule.table.0);
        if self.all.len() <= at {
            self.all.resize_with(at + 1, Arc::default);
        }
        Arc::make_mut(self.all.get_mut(at)?).insert(rule)
    }

    /// Takes out the rule of a match and a priority.
    pub fn remove(
        &mut self,
        table: TableId,
        matching: &Match,
        priority: u32,
        epochs: &mut Epochs,
    ) -> Option<Arc<Rule>> {
        let classifier = Arc::make_mut(self.all.get_mut(usize::from(table.0))?);
        let removed = classifier.remove(matching, priority)?;
        self.changed(table, matching, epochs);
        Some(removed)
    }

    fn changed(&self, table: TableId, matching: &Match, epochs: &mut Epochs) {
        epochs.change(Bucket::of_rules(self.bridge, table, exact_metadata(matching)));
    }

    /// The rule of a table that takes a packet.  `reads` gets the bits of the key that decided, and
    /// `visited` the buckets whose changes may change the answer.
    pub fn lookup(
        &self,
        table: TableId,
        key: &Key,
        reads: &mut Mask,
        visited: &mut Visited,
    ) -> Option<&Arc<Rule>> {
        visited.note(Bucket::of_rules(self.bridge, table, None));
        let metadata = u64::try_from(key.get(Slot::Metadata)).ok();
        visited.note(Bucket::of_rules(self.bridge, table, metadata));
        self.all.get(usize::from(table.0))?.lookup(key, reads, self.grain)
    }
}
