//! Additions.

use crate::bridge::Edit;
use crate::tables::{Details, Flow, MESSAGE_PRIORITY_MAX};
use std::sync::Arc;
use weft_flow::request::{FlowMod, Refusal, RemovedReason};
use weft_flow::{Match, Rule, RuleId, TableId};

impl Edit<'_> {
    /// Adds a flow, in the place of one with the same match and priority.
    pub(crate) fn add(&mut self, request: FlowMod) -> Result<(), Refusal> {
        let table = match request.table {
            TableId::ALL => TableId(0),
            TableId::INTERNAL => return Err(Refusal::Eperm),
            table => table,
        };
        if request.flags.is_emergency {
            return Err(Refusal::TableFull);
        }
        self.state.check_actions(&request.actions)?;
        self.put(table, request.priority.into(), request)
    }

    /// Puts a flow into a table; the priority may be above those of messages.
    pub(crate) fn put(
        &mut self,
        table: TableId,
        priority: u32,
        request: FlowMod,
    ) -> Result<(), Refusal> {
        let old = self.state.tables.find(table, priority, &request.matching).cloned();
        match old {
            Some(old) if request.flags.resets_counts => {
                // A number of its own, so that nobody counts for it what the old one met.
                let id = self.state.tables.reserve().ok_or(Refusal::TableFull)?;
                self.remove_flow(old.id(), None);
                let flow = self.new_flow(id, table, priority, request);
                self.add_flow(Flow { used: old.used, order: old.order, ..flow });
            }
            Some(old) => {
                let flow = self.new_flow(old.id(), table, priority, request);
                let kept = Flow {
                    used: old.used,
                    order: old.order,
                    packets: old.packets,
                    bytes: old.bytes,
                    ..flow
                };
                self.replace_flow(kept, true);
            }
            None => {
                if request.flags.checks_overlap && self.overlaps(table, priority, &request.matching)
                {
                    return Err(Refusal::Overlap);
                }
                if priority <= MESSAGE_PRIORITY_MAX {
                    self.make_room(table)?;
                }
                let id = self.state.tables.reserve().ok_or(Refusal::TableFull)?;
                let flow = self.new_flow(id, table, priority, request);
                self.add_flow(flow);
            }
        }
        Ok(())
    }

    fn new_flow(&mut self, id: RuleId, table: TableId, priority: u32, request: FlowMod) -> Flow {
        let change = self.state.next_change();
        let mut matching = request.matching;
        matching.shrink_to_fit();
        let rule = Rule {
            id,
            table,
            priority,
            cookie: request.cookie,
            matching,
            actions: request.actions,
        };
        Flow {
            rule: Arc::new(rule),
            details: Details {
                flags: request.flags,
                idle_timeout: request.idle_timeout,
                hard_timeout: request.hard_timeout,
                importance: request.importance,
            },
            created: self.now,
            modified: self.now,
            used: self.now,
            packets: 0,
            bytes: 0,
            order: change,
            added: change,
            changed: change,
            due: None,
        }
    }

    /// True when another flow of this priority may match the same packet.
    fn overlaps(&self, table: TableId, priority: u32, matching: &Match) -> bool {
        self.state
            .tables
            .of_table(table)
            .any(|flow| flow.rule.priority == priority && flow.rule.matching.overlaps(matching))
    }

    /// Makes room for one more flow, if the table is full and may evict.
    fn make_room(&mut self, table: TableId) -> Result<(), Refusal> {
        let limit = self.state.tables.config(table).and_then(|config| config.limit);
        let Some(limit) = limit else { return Ok(()) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        while self.state.tables.count(table) >= limit {
            if !self.evict(table) {
                return Err(Refusal::TableFull);
            }
        }
        Ok(())
    }

    /// Evicts one flow, if the table does that and has one that may go.
    pub(crate) fn evict(&mut self, table: TableId) -> bool {
        let Some(id) = self.state.tables.next_to_evict(table) else { return false };
        self.remove_flow(id, Some(RemovedReason::Eviction));
        true
    }
}
