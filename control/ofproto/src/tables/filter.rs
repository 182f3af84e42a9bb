//! Which flows a message means.

use super::uses::{sends_to, uses_group};
use super::{Flow, Tables, numbers};
use weft_flow::request::{FlowMod, FlowQuery};
use weft_flow::{GroupId, Match, PortNo, RuleId, TableId};

/// Flows that a match contains, with conditions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'m> {
    pub(crate) table: TableId,
    pub(crate) matching: &'m Match,
    /// Strict commands: the flow has this priority, and its match is equal.
    pub(crate) strict: Option<u16>,
    pub(crate) cookie: u64,
    pub(crate) cookie_mask: u64,
    pub(crate) out_port: PortNo,
    pub(crate) out_group: GroupId,
}

impl<'m> Filter<'m> {
    /// The flows that a query asks for.
    pub(crate) fn of_query(query: &'m FlowQuery) -> Self {
        Self {
            table: query.table,
            matching: &query.matching,
            strict: None,
            cookie: query.cookie,
            cookie_mask: query.cookie_mask,
            out_port: query.out_port,
            out_group: query.out_group,
        }
    }

    /// The flows that a change means: it does not look at where they send packets.
    pub(crate) fn of_change(request: &'m FlowMod, is_strict: bool) -> Self {
        Self {
            table: request.table,
            matching: &request.matching,
            strict: is_strict.then_some(request.priority),
            cookie: request.cookie_filter,
            cookie_mask: request.cookie_mask,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
        }
    }

    /// The flows that a deletion means.
    pub(crate) fn of_deletion(request: &'m FlowMod, is_strict: bool) -> Self {
        Self {
            out_port: request.out_port,
            out_group: request.out_group,
            ..Self::of_change(request, is_strict)
        }
    }

    /// True when a flow is meant.  Hidden flows never are.
    pub(crate) fn takes(&self, flow: &Flow) -> bool {
        let rule = &flow.rule;
        let matches = match self.strict {
            Some(priority) => {
                rule.priority == u32::from(priority) && rule.matching == *self.matching
            }
            None => self.matching.contains(&rule.matching),
        };
        matches
            && !flow.is_hidden()
            && (rule.cookie ^ self.cookie) & self.cookie_mask == 0
            && (self.out_port == PortNo::ANY || sends_to(&rule.actions, self.out_port))
            && (self.out_group == GroupId::ANY || uses_group(&rule.actions, self.out_group))
    }
}

impl Tables {
    /// The flows that are meant, by table and age.  Costs as much as there are flows in the tables;
    /// less for strict commands, and where all of the cookie is given.
    pub(crate) fn collect(&self, filter: &Filter<'_>) -> Vec<RuleId> {
        let mut all = Vec::new();
        for table in numbers(filter.table) {
            self.collect_table(table, filter, &mut all);
        }
        all
    }

    fn collect_table(&self, number: TableId, filter: &Filter<'_>, all: &mut Vec<RuleId>) {
        let Some(table) = self.table(number) else { return };
        let takes = |id: &RuleId| self.get(*id).is_some_and(|flow| filter.takes(flow));
        if let Some(priority) = filter.strict {
            all.extend(table.find(priority.into(), filter.matching).filter(takes));
        } else if filter.cookie_mask == u64::MAX {
            let mut some: Vec<_> = table.with_cookie(filter.cookie).filter(takes).collect();
            some.sort_unstable_by_key(|id| self.get(*id).map(|flow| flow.order));
            all.extend(some);
        } else {
            all.extend(table.from(0).filter(takes));
        }
    }
}
