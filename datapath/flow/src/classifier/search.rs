//! A lookup in the partitions of a table, with conjunctions.

use super::partition::Partition;
use super::prefixes::{Found, Grain, Prefixes, SLOTS, align, prefix_mask};
use crate::{Action, Key, Mask, Rule, Slot};
use std::sync::Arc;

/// Looks up a packet: the partition with the higher priorities first.
pub(super) fn lookup<'a>(
    mut partitions: [Option<&'a Partition>; 2],
    key: &Key,
    reads: &mut Mask,
    grain: Grain,
) -> Option<&'a Arc<Rule>> {
    partitions.sort_by_key(|partition| std::cmp::Reverse(partition.map_or(0, Partition::rank)));
    let found = collect(partitions, &mut Reader::new(key, reads, grain), true);
    let Candidates { mut hard, mut soft, .. } = found;
    while let Some(priority) = soft.iter().filter_map(|rules| Some(rules.first()?.priority)).max() {
        if hard.is_some_and(|hard| hard.priority >= priority) {
            break;
        }
        let of_it = soft.iter().filter_map(|rules| rules.first());
        if let Some(id) = complete(of_it.filter(|rule| rule.priority == priority)) {
            let mut with_id = key.clone();
            with_id.set(Slot::ConjId, id.into());
            let again = collect(partitions, &mut Reader::new(&with_id, reads, grain), false);
            // No packet comes with an id.
            reads.uncover(Slot::ConjId);
            if again.hard.is_some() {
                return again.hard;
            }
        }
        fall(&mut hard, &mut soft, priority);
    }
    hard
}

fn collect<'a>(
    partitions: [Option<&'a Partition>; 2],
    reader: &mut Reader<'_>,
    takes_soft: bool,
) -> Candidates<'a> {
    let mut found = Candidates { hard: None, soft: Vec::new(), takes_soft };
    for partition in partitions.into_iter().flatten() {
        partition.search(reader, &mut found);
    }
    found
}

/// The rules that take a packet: the best of those that are no clauses of conjunctions, and lists
/// of rules of one match that begin with a clause.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    hard: Option<&'a Arc<Rule>>,
    soft: Vec<&'a [Arc<Rule>]>,
    takes_soft: bool,
}

impl<'a> Candidates<'a> {
    /// The rank from which on a subtable may win.
    pub(super) fn rank(&self) -> u64 {
        self.hard.map_or(0, |rule| u64::from(rule.priority) + 1)
    }

    pub(super) fn add(&mut self, rules: &'a [Arc<Rule>]) {
        if self.takes_soft && rules.first().is_some_and(|rule| is_soft(rule)) {
            self.soft.push(rules);
        } else {
            raise(&mut self.hard, rules.iter().find(|rule| !is_soft(rule)));
        }
    }
}

fn raise<'a>(hard: &mut Option<&'a Arc<Rule>>, other: Option<&'a Arc<Rule>>) {
    if let Some(rule) = other
        && hard.is_none_or(|hard| hard.priority < rule.priority)
    {
        *hard = other;
    }
}

/// Leaves the clauses of a priority for what is below them.
fn fall<'a>(hard: &mut Option<&'a Arc<Rule>>, soft: &mut Vec<&'a [Arc<Rule>]>, priority: u32) {
    soft.retain_mut(|rules| {
        if rules.first().is_some_and(|rule| rule.priority == priority) {
            *rules = rules.get(1..).unwrap_or_default();
        }
        let is_clause = rules.first().is_some_and(|rule| is_soft(rule));
        if !is_clause {
            raise(hard, rules.first());
        }
        is_clause
    });
}

/// True for clauses of conjunctions.
fn is_soft(rule: &Rule) -> bool {
    let clause = |action: &Action| matches!(action, Action::Conjunction(_));
    let may_be = |action: &Action| clause(action) || matches!(action, Action::Note(_));
    rule.actions.first().is_some_and(may_be) && rule.actions.iter().any(clause)
}

/// The lowest id of which all clauses are there.
fn complete<'a>(rules: impl Iterator<Item = &'a Arc<Rule>>) -> Option<u32> {
    let mut ids = std::collections::BTreeMap::<u32, (u64, u8)>::new();
    for action in rules.flat_map(|rule| rule.actions.iter()) {
        if let Action::Conjunction(conjunction) = action {
            let clauses = ids.entry(conjunction.id).or_insert((0, conjunction.clauses));
            clauses.0 |= 1u64.checked_shl(conjunction.clause.into()).unwrap_or_default();
        }
    }
    let all = |count: u8| crate::field::ones(count.into());
    ids.into_iter().find(|(_, (have, count))| u128::from(*have) == all(*count)).map(|(id, _)| id)
}

/// A packet's key, and which bits of it were read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) key: &'a Key,
    pub(super) reads: &'a mut Mask,
    grain: Grain,
    /// What prefixes the key has in the partition, for each slot, once it was asked.
    found: [Option<Found>; SLOTS.len()],
}

impl<'a> Reader<'a> {
    fn new(key: &'a Key, reads: &'a mut Mask, grain: Grain) -> Self {
        Self { key, reads, grain, found: [None; SLOTS.len()] }
    }

    /// Begins with another partition.
    pub(super) fn enter(&mut self) {
        self.found = [None; SLOTS.len()];
    }

    /// False when no rule has a prefix of `len` bits of the key's value, which it covers.
    pub(super) fn has_prefix(&mut self, all: &[Prefixes], at: usize, len: u32) -> bool {
        let (Some(prefixes), Some(slot)) = (all.get(at), SLOTS.get(at)) else { return true };
        let Some(memo) = self.found.get_mut(at) else { return true };
        let value = || align(*slot, self.key.get(*slot));
        let found = *memo.get_or_insert_with(|| prefixes.find(value()));
        if found.has(len) {
            return true;
        }
        let bits = match self.grain {
            Grain::Bit => prefix_mask(*slot, found.checked(len)),
            Grain::Slot => slot.ones(),
        };
        self.reads.cover(*slot, bits);
        false
    }
}
