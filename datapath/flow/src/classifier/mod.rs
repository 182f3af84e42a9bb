//! Which rule of a table takes a packet, and which bits of its key said so.
//!
//! A [`Classifier`] is persistent: its clone costs a few counters, and a change copies what it
//! touches.  The control thread keeps one and changes it; workers read clones.
//!
//! Rules that match all of `metadata` are in a partition for each value, the others in one of
//! their own.  Within a partition there is a subtable for each mask.  A lookup asks subtables in
//! the order of their highest priorities, and stops where none can win any more.
//!
//! What a lookup covers in its mask implies its outcome: every other packet that agrees in these
//! bits gets the same rule.

mod epochs;
mod hash_trie;
mod partition;
mod prefixes;
mod search;
mod subtable;
mod tables;

pub use epochs::{Bucket, Epochs, Visited};
pub use prefixes::Grain;
pub use tables::Tables;

use crate::key::mix;
use crate::{Key, Mask, Match, Rule, Slot};
use hash_trie::{HashTrie, Ranked};
use partition::Partition;
use std::sync::Arc;

/// The rules of a table.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    /// Rules that match all of `metadata`, by its value.
    exact: HashTrie<Exact>,
    /// The others.
    wild: Arc<Partition>,
}

/// The rules with one value of `metadata`.
#[derive(Clone, Debug)]
struct Exact {
    metadata: u64,
    partition: Arc<Partition>,
}

impl Ranked for Exact {
    fn rank(&self) -> u64 {
        self.partition.rank()
    }
}

/// The value of `metadata` that a match asks for, if it asks for all of it.
#[must_use]
pub(crate) fn exact_metadata(matching: &Match) -> Option<u64> {
    let bits = matching.slot(Slot::Metadata);
    let value = u64::try_from(bits.value).ok()?;
    (bits.mask == Slot::Metadata.ones()).then_some(value)
}

impl Classifier {
    /// Adds a rule; gives back the one of equal match and priority that it replaces.
    pub fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let Some(metadata) = exact_metadata(&rule.matching) else {
            return Arc::make_mut(&mut self.wild).insert(rule);
        };
        self.exact.update(mix(0, metadata), |of_hash| {
            if let Some(exact) = of_hash.iter_mut().find(|exact| exact.metadata == metadata) {
                return Arc::make_mut(&mut exact.partition).insert(rule);
            }
            let mut partition = Partition::default();
            partition.insert(rule);
            of_hash.push(Exact { metadata, partition: Arc::new(partition) });
            None
        })
    }

    /// Takes out the rule of a match and a priority.
    pub fn remove(&mut self, matching: &Match, priority: u32) -> Option<Arc<Rule>> {
        let Some(metadata) = exact_metadata(matching) else {
            return Arc::make_mut(&mut self.wild).remove(matching, priority);
        };
        self.exact.update(mix(0, metadata), |of_hash| {
            let at = of_hash.iter().position(|exact| exact.metadata == metadata)?;
            let partition = Arc::make_mut(&mut of_hash.get_mut(at)?.partition);
            let removed = partition.remove(matching, priority);
            if partition.is_empty() {
                of_hash.remove(at);
            }
            removed
        })
    }

    /// The rule of the highest priority that takes a packet; `reads` gets the bits that decided,
    /// also over rules that do not take it.  Of rules of equal priority that overlap, any.
    pub fn lookup(&self, key: &Key, reads: &mut Mask, grain: Grain) -> Option<&Arc<Rule>> {
        if !self.exact.is_empty() {
            reads.cover_all(Slot::Metadata);
        }
        let exact = self.partition(key);
        search::lookup([exact, Some(&*self.wild)], key, reads, grain)
    }

    fn partition(&self, key: &Key) -> Option<&Partition> {
        let metadata = u64::try_from(key.get(Slot::Metadata)).ok()?;
        let mut of_hash = self.exact.get(mix(0, metadata)).iter();
        of_hash.find(|exact| exact.metadata == metadata).map(|exact| &*exact.partition)
    }

    /// True without rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wild.is_empty()
    }
}

#[cfg(test)]
mod tests;
