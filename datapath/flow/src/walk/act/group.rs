//! Groups: which buckets get the packet.

use super::{action_set, choose};
use crate::program::{Context, Pending, Reason, Refused};
use crate::request::{Bucket, BucketId, GroupType, SelectMethod};
use crate::walk::state::Work;
use crate::walk::{Event, Fact, LOOKUPS_MAX, Note, Sink, Walk};
use crate::{Action, Field, Group, GroupId, PortNo, Slot, Subfield};
use std::cell::RefCell;

/// Slots of a select group, at least and at most.
const SLOTS: std::ops::RangeInclusive<usize> = 16..=256;

impl<'a, S: Sink> Walk<'a, S> {
    pub(in crate::walk) fn group(&mut self, id: GroupId, context: Context) {
        self.depends_on(Fact::Group(id));
        let Some(group) = self.state.tables.group(id) else {
            self.note(Note::NoGroup(id));
            return;
        };
        let context = Context { depth: context.depth + 1, reason: Reason::Group, ..context };
        match group.kind {
            GroupType::All => {
                // What is pushed last is done first.
                for bucket in group.buckets.iter().rev() {
                    self.push_bucket(id, bucket, context);
                }
            }
            GroupType::Indirect => self.push_chosen(id, group.buckets.first(), context),
            GroupType::FastFailover => {
                let live = group.buckets.iter().find(|bucket| self.is_live(bucket));
                self.push_chosen(id, live, context);
            }
            GroupType::Select => self.select(group, context),
        }
    }

    fn push_bucket(&mut self, group: GroupId, bucket: &'a Bucket, context: Context) {
        let Bucket { id, ref actions, .. } = *bucket;
        self.work.push(Work::Bucket { group, bucket: id, actions, context });
    }

    fn push_chosen(&mut self, group: GroupId, bucket: Option<&'a Bucket>, context: Context) {
        match bucket {
            Some(bucket) => self.push_bucket(group, bucket, context),
            None => self.note(Note::NoBucket(group)),
        }
    }

    fn is_live(&mut self, bucket: &Bucket) -> bool {
        let (tables, visited) = (self.state.tables, RefCell::new(&mut self.visited));
        let depends_on = |fact: Fact| visited.borrow_mut().note(fact.bucket(tables.bridge()));
        let port_is_live = |port: PortNo| {
            depends_on(Fact::Port(port));
            tables.port(port).is_some_and(|facts| facts.is_live)
        };
        let group = |id: GroupId| {
            depends_on(Fact::Group(id));
            tables.group(id)
        };
        bucket.is_live(&port_is_live, &group)
    }

    /// Does a bucket's actions with a copy.
    pub(in crate::walk) fn bucket(
        &mut self,
        group: GroupId,
        bucket: BucketId,
        actions: &'a [Action],
        context: Context,
    ) {
        self.buckets += 1;
        if context.depth >= crate::walk::DEPTH_MAX {
            self.fail(Refused::TooDeep);
        } else if self.buckets > LOOKUPS_MAX {
            self.fail(Refused::TooManyLookups);
        } else if self.begin_scope() {
            self.event(|_| Event::Bucket(group, bucket));
            self.builder.count_bucket(group, bucket);
            self.work.push(Work::Actions(action_set::of_bucket(actions), context));
        }
    }

    fn select(&mut self, group: &'a Group, context: Context) {
        match &group.method {
            SelectMethod::Hash { parameter, fields } => {
                let hash = self.hash_fields(*parameter, fields);
                let live = group.buckets.iter().filter(|bucket| self.is_live(bucket));
                let best = live.max_by_key(|bucket| score(hash, bucket));
                self.push_chosen(group.id, best, context);
            }
            SelectMethod::DpHash { parameter } => {
                let basis = u32::try_from(parameter & 0xffff_ffff).unwrap_or_default();
                self.select_by_hash(group, basis, context);
            }
            SelectMethod::Default => self.select_by_hash(group, 0, context),
        }
    }

    /// By the hash in the key, of which only so many bits decide as there are slots.  Without one
    /// the packet comes back with it.
    fn select_by_hash(&mut self, group: &'a Group, basis: u32, context: Context) {
        let hash = self.state.key.get(Slot::DpHash);
        if hash == 0 {
            let context = Context { depth: context.depth - 1, ..context };
            self.resume_later(Pending::Group { group: group.id, context }, Some(basis));
            return;
        }
        let slots = slots(&group.buckets);
        let mask = slots.len().saturating_sub(1);
        self.reads.cover(Slot::DpHash, mask as u128);
        let start = usize::try_from(hash & mask as u128).unwrap_or_default();
        let tried = slots.iter().cycle().skip(start).take(slots.len());
        let mut buckets = tried.filter_map(|at| group.buckets.get(*at));
        let live = buckets.find(|bucket| self.is_live(bucket));
        self.push_chosen(group.id, live, context);
    }

    /// A hash of fields, with the parts of them that the group names.
    fn hash_fields(&mut self, parameter: u64, fields: &[(Field, u128)]) -> u32 {
        let mut hash = parameter;
        for (field, mask) in fields {
            if self.has(field.prerequisite()) {
                let bits = u16::try_from(field.bits().min(128)).unwrap_or(128);
                let part = Subfield { field: *field, offset: 0, bits };
                // A prefix of an address is often all that counts.
                hash = choose::stir(hash, self.read_masked(part, *mask));
            }
        }
        choose::finish(hash)
    }
}

/// How much a bucket is wanted by a hash: the larger its weight, the more often it is the most.
pub(in crate::walk) fn score(hash: u32, bucket: &Bucket) -> u64 {
    let drawn = choose::finish(choose::stir(bucket.id.0.into(), hash.into()));
    u64::from(drawn & 0xffff) * u64::from(bucket.weight)
}

/// Which bucket each slot is for: as many slots as make the smallest share one of them, within
/// bounds, dealt out by the method of Webster.
pub(in crate::walk) fn slots(buckets: &[Bucket]) -> Vec<usize> {
    let weights = || buckets.iter().map(|bucket| u64::from(bucket.weight));
    let total: u64 = weights().sum();
    let Some(least) = weights().filter(|weight| *weight > 0).min() else { return Vec::new() };
    let wanted = usize::try_from(total.div_ceil(least)).unwrap_or(usize::MAX);
    let count = wanted.clamp(*SLOTS.start(), *SLOTS.end()).next_power_of_two();
    let mut dealt = vec![0u64; buckets.len()];
    let mut slots = Vec::with_capacity(count);
    for _ in 0..count {
        // The largest quotient of weight and 2n + 1: compared by products.
        let mut best: Option<(usize, u64, u64)> = None;
        for (at, (weight, dealt)) in weights().zip(&dealt).enumerate() {
            let divisor = 2 * dealt + 1;
            if best.is_none_or(|(_, most, over)| weight * over > most * divisor) {
                best = Some((at, weight, divisor));
            }
        }
        let Some((at, ..)) = best else { break };
        if let Some(dealt) = dealt.get_mut(at) {
            *dealt += 1;
        }
        slots.push(at);
    }
    slots
}
