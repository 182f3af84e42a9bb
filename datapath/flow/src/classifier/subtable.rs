//! The rules of a partition that have one mask.

use super::hash_trie::{HashTrie, Ranked};
use super::prefixes::{Prefixes, SLOTS, prefix_len};
use super::search::Reader;
use crate::key::Stage;
use crate::{Key, Mask, Match, Rule, Slot};
use std::sync::Arc;

/// Rules with equal masks.
#[derive(Clone, Debug)]
pub(super) struct Subtable {
    mask: Mask,
    /// The stages in which the mask has bits.
    steps: Vec<Step>,
    rules: HashTrie<Chain>,
}

/// A stage of a lookup.
#[derive(Clone, Debug)]
struct Step {
    /// The words of the stage.
    words: u64,
    /// Those of all stages up to it.
    upto: u64,
    /// Which slots of [`SLOTS`] have a prefix in this stage, and how many bits of it.
    prefixes: Vec<(usize, u32)>,
    /// How many rules have a hash of all stages up to it; not for the last stage.
    seen: Option<HashTrie<Seen>>,
}

#[derive(Clone, Debug)]
struct Seen(u32);

impl Ranked for Seen {
    fn rank(&self) -> u64 {
        0
    }
}

/// The rules of one match, by falling priority.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The words that the mask picks.
    words: Box<[u64]>,
    rules: Vec<Arc<Rule>>,
}

impl Ranked for Chain {
    fn rank(&self) -> u64 {
        self.rules.first().map_or(0, |rule| u64::from(rule.priority) + 1)
    }
}

impl Chain {
    pub(super) fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let key = std::cmp::Reverse(rule.priority);
        match self.rules.binary_search_by_key(&key, |rule| std::cmp::Reverse(rule.priority)) {
            Ok(at) => self.rules.get_mut(at).map(|old| std::mem::replace(old, rule)),
            Err(at) => {
                self.rules.insert(at, rule);
                None
            }
        }
    }

    fn remove(&mut self, priority: u32) -> Option<Arc<Rule>> {
        let at = self.rules.iter().position(|rule| rule.priority == priority)?;
        Some(self.rules.remove(at))
    }
}

impl Subtable {
    pub(super) fn new(mask: Mask) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        let mut upto = 0;
        for stage in Stage::ALL.into_iter().filter(|stage| mask.reads(*stage)) {
            upto |= stage.words();
            if let Some(last) = steps.last_mut() {
                last.seen = Some(HashTrie::default());
            }
            let prefixes = prefixes_of(&mask).filter(|(at, _)| stage_of(*at) == stage).collect();
            steps.push(Step { words: stage.words(), upto, prefixes, seen: None });
        }
        Self { mask, steps, rules: HashTrie::default() }
    }

    pub(super) fn mask(&self) -> &Mask {
        &self.mask
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The highest priority of its rules and 1 more; 0 without rules.
    pub(super) fn rank(&self) -> u64 {
        self.rules.rank()
    }

    pub(super) fn insert(&mut self, rule: Arc<Rule>) -> Option<Arc<Rule>> {
        let (hash, words, key) = self.place(&rule.matching);
        let replaced = self.rules.update(hash, |chains| {
            if let Some(chain) = chains.iter_mut().find(|chain| chain.words == words) {
                return chain.insert(rule);
            }
            chains.push(Chain { words, rules: vec![rule] });
            None
        });
        if replaced.is_none() {
            self.count(&key, |seen| match seen.first_mut() {
                Some(seen) => seen.0 += 1,
                None => seen.push(Seen(1)),
            });
        }
        replaced
    }

    pub(super) fn remove(&mut self, matching: &Match, priority: u32) -> Option<Arc<Rule>> {
        let (hash, words, key) = self.place(matching);
        let removed = self.rules.update(hash, |chains| {
            let at = chains.iter().position(|chain| chain.words == words)?;
            let chain = chains.get_mut(at)?;
            let removed = chain.remove(priority);
            if chain.rules.is_empty() {
                chains.remove(at);
            }
            removed
        })?;
        self.count(&key, |seen| {
            for seen in &mut *seen {
                seen.0 = seen.0.saturating_sub(1);
            }
            seen.retain(|seen| seen.0 > 0);
        });
        Some(removed)
    }

    /// The hash of a match, the words that the mask picks of it, and its key.
    fn place(&self, matching: &Match) -> (u64, Box<[u64]>, Key) {
        let key = Key::of(matching);
        let hash = self.steps.iter().fold(0, |hash, step| self.stir(&key, hash, step));
        (hash, self.mask.pick(&key).collect(), key)
    }

    #[inline]
    fn stir(&self, key: &Key, hash: u64, step: &Step) -> u64 {
        self.mask.hash_words(key, hash, step.words)
    }

    fn count(&mut self, key: &Key, change: impl Fn(&mut Vec<Seen>)) {
        let mut hash = 0;
        for step in &mut self.steps {
            hash = self.mask.hash_words(key, hash, step.words);
            if let Some(seen) = &mut step.seen {
                seen.update(hash, &change);
            }
        }
    }

    /// The rules that take a packet.  Covers bits that imply the answer.
    pub(super) fn find(&self, reader: &mut Reader<'_>, all: &[Prefixes]) -> Option<&Chain> {
        let mut hash = 0;
        for step in &self.steps {
            if !step.prefixes.iter().all(|(at, len)| reader.has_prefix(all, *at, *len)) {
                return None;
            }
            hash = self.stir(reader.key, hash, step);
            if step.seen.as_ref().is_some_and(|seen| seen.get(hash).is_empty()) {
                reader.reads.merge_words(&self.mask, step.upto);
                return None;
            }
        }
        reader.reads.merge(&self.mask);
        let is_it = |chain: &&Chain| self.mask.pick(reader.key).eq(chain.words.iter().copied());
        self.rules.get(hash).iter().find(is_it)
    }
}

/// The slots of [`SLOTS`] of which a mask has a prefix, and how many bits.
pub(super) fn prefixes_of(mask: &Mask) -> impl Iterator<Item = (usize, u32)> + '_ {
    let len = |slot: Slot| prefix_len(slot, mask.get(slot));
    SLOTS.into_iter().enumerate().filter_map(move |(at, slot)| Some((at, len(slot)?)))
}

/// The stage that a slot of [`SLOTS`] is in.
fn stage_of(at: usize) -> Stage {
    match SLOTS.get(at) {
        Some(Slot::TpSrc | Slot::TpDst) => Stage::L4,
        _ => Stage::L3,
    }
}
