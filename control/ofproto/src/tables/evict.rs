//! Which flow of a full table goes first.
//!
//! Flows with a timeout stand in groups, by the bits of their matches that the table is configured
//! with.  One of the largest group goes: the least important, of those the one that expires
//! soonest, of those the oldest.

use super::Flow;
use crate::Time;
use std::collections::{BTreeSet, HashMap};
use weft_flow::{Match, RuleId, Subfield};

/// A flow that may be evicted; the first one in order goes first.
type Candidate = (u16, Time, u64, RuleId);

/// The values of the bits by which flows stand in groups.
type Key = Box<[u128]>;

/// The flows of one table that may be evicted.
#[derive(Debug, Default)]
pub(super) struct Evictions {
    by: Box<[Subfield]>,
    groups: HashMap<Key, BTreeSet<Candidate>>,
    sizes: BTreeSet<(usize, Key)>,
}

impl Evictions {
    /// No flows yet; they will stand in groups by these bits.
    pub(super) fn by(by: &[Subfield]) -> Self {
        Self { by: by.into(), ..Self::default() }
    }

    /// The flow goes in, if it has a timeout.
    pub(super) fn insert(&mut self, flow: &Flow) {
        if let Some(candidate) = candidate(flow) {
            self.change(&flow.rule.matching, |group| group.insert(candidate));
        }
    }

    /// The flow comes out.
    pub(super) fn remove(&mut self, flow: &Flow) {
        if let Some(candidate) = candidate(flow) {
            self.change(&flow.rule.matching, |group| group.remove(&candidate));
        }
    }

    /// The flow that goes first, as far as is known: it may have been used since.
    pub(super) fn first(&self) -> Option<RuleId> {
        let (_, key) = self.sizes.last()?;
        self.groups.get(key)?.first().map(|(.., id)| *id)
    }

    fn change(&mut self, matching: &Match, change: impl FnOnce(&mut BTreeSet<Candidate>) -> bool) {
        let key: Key = self.by.iter().map(|bits| value(matching, *bits)).collect();
        let group = self.groups.entry(key.clone()).or_default();
        self.sizes.remove(&(group.len(), key.clone()));
        change(group);
        match group.len() {
            0 => drop(self.groups.remove(&key)),
            size => drop(self.sizes.insert((size, key))),
        }
    }
}

fn candidate(flow: &Flow) -> Option<Candidate> {
    flow.due.map(|due| (flow.details.importance, due, flow.order, flow.id()))
}

/// What a match asks of some bits; 0 where it asks nothing.
fn value(matching: &Match, bits: Subfield) -> u128 {
    let value = matching.get(bits.field).value.checked_shr(bits.offset.into()).unwrap_or_default();
    value & weft_flow::field::ones(bits.bits.into())
}
