//! Requests that change flows.

mod add;
mod change;
mod delete;
mod expire;
mod learn;

pub use learn::Learning;

use crate::bridge::Edit;
use crate::tables::Filter;
use weft_flow::request::{FlowCommand, FlowMod, Refusal, RemovedReason};
use weft_flow::{RuleId, TableId};

impl Edit<'_> {
    /// Does what a request says.
    pub(crate) fn flow_mod(&mut self, request: FlowMod) -> Result<(), Refusal> {
        let is_strict =
            matches!(request.command, FlowCommand::ModifyStrict | FlowCommand::DeleteStrict);
        let deletes = matches!(request.command, FlowCommand::Delete | FlowCommand::DeleteStrict);
        if request.buffer.is_some() && !deletes {
            return Err(Refusal::BufferUnknown);
        }
        match request.command {
            FlowCommand::Add => self.add(request)?,
            FlowCommand::Modify | FlowCommand::ModifyStrict => self.change(request, is_strict)?,
            FlowCommand::Delete | FlowCommand::DeleteStrict => self.delete(&request, is_strict)?,
        }
        self.remove_orphans();
        Ok(())
    }

    /// The flows that a request means; it may not mean those of the switch's own table.
    fn targets(&self, filter: &Filter<'_>) -> Result<Vec<RuleId>, Refusal> {
        let all = self.state.tables.collect(filter);
        if filter.table == TableId::INTERNAL && !all.is_empty() {
            return Err(Refusal::Eperm);
        }
        Ok(all)
    }

    /// Takes out the flows that were learned by flows that are gone, and what those learned.
    pub(crate) fn remove_orphans(&mut self) {
        while let Some((table, cookie)) = self.state.tables.next_orphans() {
            let orphans: Vec<_> = self.state.tables.with_cookie(table, cookie).collect();
            for id in orphans {
                self.remove_flow(id, Some(RemovedReason::Delete));
            }
        }
    }
}
