//! One table: its flows by match, by age and by cookie.

use super::evict::Evictions;
use super::key::{ByMatch, MatchKey};
use super::{Flow, TableConfig};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use weft_flow::{Match, RuleId};

/// How often packets were looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// All.
    pub lookups: u64,
    /// Those that met a flow.
    pub matches: u64,
}

/// The indexes of one table; the flows themselves are in [`super::Tables`].
#[derive(Debug, Default)]
pub(super) struct Table {
    by_match: HashMap<ByMatch, RuleId>,
    by_order: BTreeMap<u64, RuleId>,
    by_cookie: BTreeSet<(u64, RuleId)>,
    /// Flows of which messages know.
    visible: usize,
    evictions: Option<Evictions>,
    pub(super) config: TableConfig,
    pub(super) evicts_by_request: bool,
    pub(super) lookups: Lookups,
}

impl Table {
    /// The flow with a priority and a match.
    pub(super) fn find(&self, priority: u32, matching: &Match) -> Option<RuleId> {
        let key: &dyn MatchKey = &(priority, matching);
        self.by_match.get(key).copied()
    }

    /// The flows that were added as number `order` or later, the oldest first.
    pub(super) fn from(&self, order: u64) -> impl Iterator<Item = RuleId> + '_ {
        self.by_order.range(order..).map(|(_, id)| *id)
    }

    /// The flows with a cookie.
    pub(super) fn with_cookie(&self, cookie: u64) -> impl Iterator<Item = RuleId> + '_ {
        self.by_cookie.range((cookie, RuleId(0))..=(cookie, RuleId(u32::MAX))).map(|(_, id)| *id)
    }

    /// How many flows there are of which messages know.
    pub(super) fn visible(&self) -> usize {
        self.visible
    }

    /// True when flows of a full table go for others.
    pub(super) fn evicts(&self) -> bool {
        self.evictions.is_some()
    }

    /// The flow that goes first.
    pub(super) fn first_to_evict(&self) -> Option<RuleId> {
        self.evictions.as_ref()?.first()
    }

    pub(super) fn insert(&mut self, flow: &Flow) {
        let id = flow.id();
        self.by_match.insert(ByMatch(Arc::clone(&flow.rule)), id);
        self.by_order.insert(flow.order, id);
        self.by_cookie.insert((flow.rule.cookie, id));
        self.visible = self.visible.saturating_add(usize::from(!flow.is_hidden()));
        self.insert_candidate(flow);
    }

    pub(super) fn remove(&mut self, flow: &Flow) {
        let key: &dyn MatchKey = &(flow.rule.priority, &flow.rule.matching);
        self.by_match.remove(key);
        self.by_order.remove(&flow.order);
        self.by_cookie.remove(&(flow.rule.cookie, flow.id()));
        self.visible = self.visible.saturating_sub(usize::from(!flow.is_hidden()));
        self.remove_candidate(flow);
    }

    /// The flow may be evicted, under the point in time at which it is due.
    pub(super) fn insert_candidate(&mut self, flow: &Flow) {
        if let Some(evictions) = &mut self.evictions
            && !flow.is_hidden()
        {
            evictions.insert(flow);
        }
    }

    /// The flow may not be evicted under the point in time at which it was due.
    pub(super) fn remove_candidate(&mut self, flow: &Flow) {
        if let Some(evictions) = &mut self.evictions
            && !flow.is_hidden()
        {
            evictions.remove(flow);
        }
    }

    /// Begins anew with which flows may be evicted; returns whether there are any to put in.
    pub(super) fn renew_evictions(&mut self) -> bool {
        let evicts = self.config.evicts || self.evicts_by_request;
        self.evictions = evicts.then(|| Evictions::by(&self.config.groups));
        evicts
    }
}
