//! Tables: where flows are, and by what they are found.
//!
//! Only [`Tables::insert`] and [`Tables::remove`] put flows in and take them out, so that every
//! index follows, and so that whatever was done can be undone by the other of the two.

mod evict;
mod filter;
mod flow;
mod key;
mod slab;
mod table;
mod uses;

pub use flow::{Details, Flow, MESSAGE_PRIORITY_MAX, Position};
pub use table::Lookups;

pub(crate) use filter::Filter;
pub(crate) use flow::Expiry;
pub(crate) use uses::{Uses, sends_to, uses_group, walk};

use crate::Time;
use slab::Slab;
use std::collections::{BTreeSet, HashMap};
use table::Table;
use weft_flow::request::FlowQuery;
use weft_flow::{GroupId, Match, MeterId, RuleId, Subfield, TableId};

/// How the operator wants a table to be: a row of `Flow_Table`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableConfig {
    /// At most so many flows.
    pub limit: Option<u32>,
    /// A full table evicts flows; else it refuses new ones.
    pub evicts: bool,
    /// The bits of matches by which flows stand in groups; one of the largest group goes first.
    pub groups: Box<[Subfield]>,
}

/// All tables of a bridge.
#[derive(Debug)]
pub(crate) struct Tables {
    flows: Slab,
    by_number: Vec<Table>,
    /// Flows with a timeout, by when they expire unless they were used since.
    due: BTreeSet<(Time, RuleId)>,
    by_group: BTreeSet<(GroupId, RuleId)>,
    by_meter: BTreeSet<(MeterId, RuleId)>,
    /// How many flows name each option of tunnels.
    options: HashMap<u8, usize>,
    /// How many flows learned the flows of a table with a cookie.
    learners: HashMap<(TableId, u64), usize>,
    /// Flows that nobody learned any more, perhaps.
    orphans: Vec<(TableId, u64)>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            flows: Slab::default(),
            by_number: (0..=TableId::INTERNAL.0).map(|_| Table::default()).collect(),
            due: BTreeSet::new(),
            by_group: BTreeSet::new(),
            by_meter: BTreeSet::new(),
            options: HashMap::new(),
            learners: HashMap::new(),
            orphans: Vec::new(),
        }
    }
}

impl Tables {
    fn table(&self, number: TableId) -> Option<&Table> {
        self.by_number.get(usize::from(number.0))
    }

    fn table_mut(&mut self, number: TableId) -> Option<&mut Table> {
        self.by_number.get_mut(usize::from(number.0))
    }

    /// A flow.
    pub(crate) fn get(&self, id: RuleId) -> Option<&Flow> {
        self.flows.get(id)
    }

    /// The flow of a table with a priority and a match.
    pub(crate) fn find(&self, table: TableId, priority: u32, of: &Match) -> Option<&Flow> {
        self.get(self.table(table)?.find(priority, of)?)
    }

    /// The flows of a table, the oldest first.
    pub(crate) fn of_table(&self, table: TableId) -> impl Iterator<Item = &Flow> {
        self.from(Position { table: table.0, order: 0 })
    }

    fn from(&self, from: Position) -> impl Iterator<Item = &Flow> {
        let table = self.table(TableId(from.table));
        table
            .into_iter()
            .flat_map(move |table| table.from(from.order))
            .filter_map(|id| self.get(id))
    }

    /// All flows but those of the switch's own table, by table and age.
    pub(crate) fn all_flows(&self) -> impl Iterator<Item = &Flow> {
        numbers(TableId::ALL).flat_map(|table| self.of_table(table))
    }

    /// The flows that a query asks for, from a position on, by table and age.
    pub(crate) fn query<'t>(
        &'t self,
        query: &'t FlowQuery,
        from: Position,
    ) -> impl Iterator<Item = &'t Flow> {
        let filter = Filter::of_query(query);
        numbers(query.table)
            .filter(move |number| number.0 >= from.table)
            .flat_map(move |number| {
                let order = if number.0 == from.table { from.order } else { 0 };
                self.from(Position { table: number.0, order })
            })
            .filter(move |flow| filter.takes(flow))
    }

    /// The flows of a table with a cookie.
    pub(crate) fn with_cookie(
        &self,
        table: TableId,
        cookie: u64,
    ) -> impl Iterator<Item = RuleId> + '_ {
        self.table(table).into_iter().flat_map(move |table| table.with_cookie(cookie))
    }

    /// The flows that name a group.
    pub(crate) fn of_group(&self, group: GroupId) -> impl Iterator<Item = RuleId> + '_ {
        let range = (group, RuleId(0))..=(group, RuleId(u32::MAX));
        self.by_group.range(range).map(|(_, id)| *id)
    }

    /// The flows that name a meter.
    pub(crate) fn of_meter(&self, meter: MeterId) -> impl Iterator<Item = RuleId> + '_ {
        let range = (meter, RuleId(0))..=(meter, RuleId(u32::MAX));
        self.by_meter.range(range).map(|(_, id)| *id)
    }

    /// True when a flow names an option of tunnels.
    pub(crate) fn uses_option(&self, option: u8) -> bool {
        self.options.contains_key(&option)
    }

    /// How many flows a table has.
    pub(crate) fn count(&self, table: TableId) -> usize {
        self.table(table).map_or(0, Table::visible)
    }

    /// How a table is configured.
    pub(crate) fn config(&self, table: TableId) -> Option<&TableConfig> {
        self.table(table).map(|table| &table.config)
    }

    /// Whether a full table evicts flows.
    pub(crate) fn evicts(&self, table: TableId) -> bool {
        self.table(table).is_some_and(Table::evicts)
    }

    /// How many flows a table has more than it may.
    pub(crate) fn excess(&self, table: TableId) -> usize {
        let limit = self.config(table).and_then(|config| config.limit);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        self.count(table).saturating_sub(limit)
    }

    /// How often packets were looked up in a table.
    pub(crate) fn lookups(&self, table: TableId) -> Lookups {
        self.table(table).map(|table| table.lookups).unwrap_or_default()
    }

    /// Packets were looked up in a table.
    pub(crate) fn add_lookups(&mut self, table: TableId, more: Lookups) {
        if let Some(table) = self.table_mut(table) {
            table.lookups.lookups = table.lookups.lookups.saturating_add(more.lookups);
            table.lookups.matches = table.lookups.matches.saturating_add(more.matches);
        }
    }

    /// A number for a new flow; nothing when there are too many.
    pub(crate) fn reserve(&mut self) -> Option<RuleId> {
        self.flows.reserve()
    }

    /// A number was not used after all.
    pub(crate) fn give_back(&mut self, id: RuleId) {
        self.flows.give_back(id);
    }

    /// A flow that was taken out is gone for good.
    pub(crate) fn retire(&mut self, id: RuleId) {
        self.flows.retire(id);
    }

    /// Nobody knows of the numbers of these retired flows any more.
    pub(crate) fn release(&mut self, ids: impl IntoIterator<Item = RuleId>) {
        for id in ids {
            self.flows.release(id);
        }
    }

    /// Puts a flow in, under the number that its rule has.
    pub(crate) fn insert(&mut self, mut flow: Flow) {
        let id = flow.id();
        flow.due = flow.expires().map(|(at, _)| at);
        self.due.extend(flow.due.map(|at| (at, id)));
        let uses = Uses::of(&flow.rule);
        self.by_group.extend(uses.groups.iter().map(|group| (*group, id)));
        self.by_meter.extend(uses.meters.iter().map(|meter| (*meter, id)));
        for option in numbers_of_bits(uses.options) {
            *self.options.entry(option).or_default() += 1;
        }
        for learned in uses.learned {
            *self.learners.entry(learned).or_default() += 1;
        }
        if let Some(table) = self.table_mut(flow.rule.table) {
            table.insert(&flow);
        }
        self.flows.insert(id, flow);
    }

    /// Takes a flow out.  Its number stays taken until it is released.
    pub(crate) fn remove(&mut self, id: RuleId) -> Option<Flow> {
        let flow = self.flows.remove(id)?;
        if let Some(at) = flow.due {
            self.due.remove(&(at, id));
        }
        if let Some(table) = self.table_mut(flow.rule.table) {
            table.remove(&flow);
        }
        let uses = Uses::of(&flow.rule);
        for group in uses.groups {
            self.by_group.remove(&(group, id));
        }
        for meter in uses.meters {
            self.by_meter.remove(&(meter, id));
        }
        for option in numbers_of_bits(uses.options) {
            count_down(&mut self.options, &option);
        }
        for learned in uses.learned {
            if count_down(&mut self.learners, &learned) {
                self.orphans.push(learned);
            }
        }
        Some(flow)
    }

    /// Flows that no flow learns any more: a table and a cookie.
    pub(crate) fn next_orphans(&mut self) -> Option<(TableId, u64)> {
        loop {
            let orphans = self.orphans.pop()?;
            if !self.learners.contains_key(&orphans) {
                return Some(orphans);
            }
        }
    }

    /// Forgets which flows may have lost who learned them, when that is undone.
    pub(crate) fn forget_orphans(&mut self) {
        self.orphans.clear();
    }

    /// Packets met a flow.
    pub(crate) fn add_use(&mut self, id: RuleId, packets: u64, bytes: u64, at: Time) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.packets = flow.packets.saturating_add(packets);
            flow.bytes = flow.bytes.saturating_add(bytes);
            flow.used = flow.used.max(at);
        }
    }

    /// Changes what does not show in any index but by when a flow expires.
    pub(crate) fn touch(&mut self, id: RuleId, change: impl FnOnce(&mut Flow)) {
        if let Some(flow) = self.flows.get_mut(id) {
            change(flow);
            self.reschedule(id);
        }
    }

    /// Puts a flow where it belongs among those that expire.
    fn reschedule(&mut self, id: RuleId) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        let due = flow.expires().map(|(at, _)| at);
        if due == flow.due {
            return;
        }
        let number = usize::from(flow.rule.table.0);
        let Some(table) = self.by_number.get_mut(number) else { return };
        table.remove_candidate(flow);
        if let Some(at) = flow.due {
            self.due.remove(&(at, id));
        }
        self.due.extend(due.map(|at| (at, id)));
        flow.due = due;
        table.insert_candidate(flow);
    }

    /// When the next flow may expire.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next flow that has expired.
    pub(crate) fn next_expired(&mut self, now: Time) -> Option<(RuleId, Expiry)> {
        loop {
            let (at, id) = *self.due.first()?;
            if at > now {
                return None;
            }
            match self.get(id).and_then(Flow::expires) {
                Some((at, why)) if at <= now => return Some((id, why)),
                // It was used since.
                Some(_) => self.reschedule(id),
                None => drop(self.due.pop_first()),
            }
        }
    }

    /// The flow of a table that is to be evicted first.
    pub(crate) fn next_to_evict(&mut self, table: TableId) -> Option<RuleId> {
        loop {
            let id = self.table(table)?.first_to_evict()?;
            let flow = self.get(id)?;
            if flow.due == flow.expires().map(|(at, _)| at) {
                return Some(id);
            }
            self.reschedule(id);
        }
    }

    /// Configures a table.
    pub(crate) fn set_config(&mut self, table: TableId, config: TableConfig) {
        if let Some(place) = self.table_mut(table) {
            place.config = config;
        }
        self.renew_evictions(table);
    }

    /// A controller wants a full table to evict flows, or not.
    pub(crate) fn set_evicts_by_request(&mut self, table: TableId, evicts: bool) {
        if let Some(place) = self.table_mut(table) {
            place.evicts_by_request = evicts;
        }
        self.renew_evictions(table);
    }

    fn renew_evictions(&mut self, number: TableId) {
        let Some(table) = self.by_number.get_mut(usize::from(number.0)) else { return };
        if table.renew_evictions() {
            let ids: Vec<_> = table.from(0).collect();
            for flow in ids.into_iter().filter_map(|id| self.flows.get(id)) {
                table.insert_candidate(flow);
            }
        }
    }
}

/// The tables that a number stands for: itself, or all that messages change.
pub(crate) fn numbers(number: TableId) -> impl Iterator<Item = TableId> {
    let range = match number {
        TableId::ALL => 0..TableId::COUNT,
        TableId(one) => one..one.saturating_add(1),
    };
    range.map(TableId)
}

/// Counts down, and takes out what nobody counts any more; true then.
fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) -> bool {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => {
            *count -= 1;
            false
        }
        Some(_) => counts.remove(key).is_some(),
        None => false,
    }
}

/// The numbers of the bits that are set.
fn numbers_of_bits(bits: u64) -> impl Iterator<Item = u8> {
    (0..64).filter(move |number| bits >> number & 1 == 1)
}
