//! Rules that are searched together: those with one value of `metadata`, or all others.

use super::exact_metadata;
use super::prefixes::{Prefixes, SLOTS, align};
use super::search::{Candidates, Reader};
use super::subtable::{Subtable, prefixes_of};
use crate::{Mask, Match, Rule, Slot};
use std::cmp::Reverse;
use std::sync::Arc;

/// Some rules of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    /// By falling rank.
    subtables: Vec<Arc<Subtable>>,
    /// The prefixes of all rules, for each slot of [`SLOTS`].
    prefixes: [Prefixes; SLOTS.len()],
}

/// The mask of a match within its partition.
fn mask_of(matching: &Match) -> Mask {
    let mut mask = Mask::of(matching);
    // The partition says it.
    if exact_metadata(matching).is_some() {
        mask.uncover(Slot::Metadata);
    }
    mask
}

impl Partition {
    pub(super) fn is_empty(&self) -> bool {
        self.subtables.is_empty()
    }

    /// The highest priority of its rules and 1 more; 0 without rules.
    pub(super) fn rank(&self) -> u64 {
        self.subtables.first().map_or(0, |first| first.rank())
    }

    pub(super) fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let mask = mask_of(&rule.matching);
        let matching = rule.matching.clone();
        let at = self.position(&mask).unwrap_or_else(|| {
            self.subtables.push(Arc::new(Subtable::new(mask.clone())));
            self.subtables.len() - 1
        });
        let replaced = Arc::make_mut(self.subtables.get_mut(at)?).insert(rule);
        if replaced.is_none() {
            self.each_prefix(&mask, &matching, Prefixes::add);
            self.sort();
        }
        replaced
    }

    pub(super) fn remove(&mut self, matching: &Match, priority: u32) -> Option<Arc<Rule>> {
        let mask = mask_of(matching);
        let at = self.position(&mask)?;
        let subtable = Arc::make_mut(self.subtables.get_mut(at)?);
        let removed = subtable.remove(matching, priority)?;
        if subtable.is_empty() {
            self.subtables.remove(at);
        }
        self.each_prefix(&mask, matching, Prefixes::remove);
        self.sort();
        Some(removed)
    }

    fn position(&self, mask: &Mask) -> Option<usize> {
        self.subtables.iter().position(|subtable| subtable.mask() == mask)
    }

    fn sort(&mut self) {
        if !self.subtables.is_sorted_by_key(|subtable| Reverse(subtable.rank())) {
            self.subtables.sort_by_key(|subtable| Reverse(subtable.rank()));
        }
    }

    fn each_prefix(
        &mut self,
        mask: &Mask,
        matching: &Match,
        change: impl Fn(&mut Prefixes, u128, u32),
    ) {
        for (at, len) in prefixes_of(mask) {
            if let (Some(prefixes), Some(slot)) = (self.prefixes.get_mut(at), SLOTS.get(at)) {
                change(prefixes, align(*slot, matching.slot(*slot).value), len);
            }
        }
    }

    /// Adds the rules that take a packet and may win.
    pub(super) fn search<'a>(&'a self, reader: &mut Reader<'_>, found: &mut Candidates<'a>) {
        reader.enter();
        for subtable in &self.subtables {
            if found.rank() >= subtable.rank() {
                break;
            }
            if let Some(chain) = subtable.find(reader, &self.prefixes) {
                found.add(chain.rules());
            }
        }
    }
}
