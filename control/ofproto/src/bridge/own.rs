//! Flows of the switch's own.

use super::{Edit, FlowBridge, Outcome};
use crate::Time;
use crate::tables::Flow;
use weft_flow::action::Actions;
use weft_flow::request::{FlowCommand, FlowMod, Refusal, RemovedReason};
use weft_flow::{Action, Match, PortNo, TableId};

/// A flow that the switch puts in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFlow {
    /// Where; [`TableId::INTERNAL`] too.
    pub table: TableId,
    /// Above 65535 no message sees or changes it; below it is a flow like others.
    pub priority: u32,
    /// Which packets.
    pub matching: Match,
    /// What it does.
    pub actions: Actions,
}

impl OwnFlow {
    /// What a bridge of fail mode `standalone` has while it has no controllers: it learns.
    #[must_use]
    pub fn normal() -> Self {
        Self {
            table: TableId(0),
            priority: 0,
            matching: Match::any(),
            actions: Box::new([Action::Output { port: PortNo::NORMAL, max_len: 0 }]),
        }
    }

    /// What such a bridge has while none of its controllers is reachable: it learns, whatever flows
    /// they left.
    #[must_use]
    pub fn fail_open() -> Self {
        Self { priority: 0xf0_f0f0, ..Self::normal() }
    }

    fn request(&self) -> FlowMod {
        FlowMod {
            table: self.table,
            matching: self.matching.clone(),
            actions: self.actions.clone(),
            ..FlowMod::new(FlowCommand::Add)
        }
    }
}

impl FlowBridge {
    /// Puts in a flow of the switch's own.
    ///
    /// # Errors
    /// [`Refusal::TableFull`] when no number is free, or a visible flow finds no room.
    pub fn put_own_flow(&mut self, now: Time, flow: &OwnFlow) -> Result<Outcome, Refusal> {
        self.edit(now, None, |edit| edit.put_own(flow)).map(|((), outcome)| outcome)
    }

    /// Takes out the flow with the match and the priority of a flow of the switch's own.
    pub fn remove_own_flow(&mut self, now: Time, flow: &OwnFlow) -> Outcome {
        self.carry_out(now, |edit| edit.remove_own(flow))
    }
}

impl Edit<'_> {
    pub(super) fn put_own(&mut self, flow: &OwnFlow) -> Result<(), Refusal> {
        self.put(flow.table, flow.priority, flow.request())
    }

    pub(super) fn remove_own(&mut self, flow: &OwnFlow) {
        let tables = &self.state.tables;
        let id = tables.find(flow.table, flow.priority, &flow.matching).map(Flow::id);
        if let Some(id) = id {
            self.remove_flow(id, Some(RemovedReason::Delete));
            self.remove_orphans();
        }
    }
}
