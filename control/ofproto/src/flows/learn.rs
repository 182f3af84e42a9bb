//! Flows that the action `learn` makes.

use crate::bridge::Edit;
use crate::tables::{Details, Flow};
use weft_flow::request::{FlowMod, Refusal};
use weft_flow::{Rule, TableId};

/// What came of learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Learning {
    /// The flow was there, and is as fresh as new.
    Refreshed,
    /// The flow is there now, perhaps in the place of another.
    Added,
    /// There are as many such flows as there may be.
    LimitReached,
}

impl Edit<'_> {
    /// Adds the flow that a packet taught, or refreshes it: its timeouts begin anew.
    pub(crate) fn learn(&mut self, request: FlowMod) -> Result<Learning, Refusal> {
        let table = match request.table {
            TableId::ALL => TableId(0),
            table => table,
        };
        let old = self.state.tables.find(table, request.priority.into(), &request.matching);
        match old {
            Some(flow) if is_same(flow, &request) => {
                let (id, now) = (flow.id(), self.now);
                self.state.tables.touch(id, |flow| {
                    flow.modified = now;
                    flow.used = now;
                });
                return Ok(Learning::Refreshed);
            }
            None if self.is_limit_reached(table, &request) => return Ok(Learning::LimitReached),
            _ => {}
        }
        self.add(request)?;
        self.remove_orphans();
        Ok(Learning::Added)
    }

    /// True when there are as many flows of its cookie as it allows.
    fn is_limit_reached(&self, table: TableId, request: &FlowMod) -> bool {
        let limit = request.learned.map_or(0, |learned| learned.limit);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        limit != 0
            && self.state.tables.with_cookie(table, request.cookie).take(limit).count() == limit
    }
}

/// True when an addition would change nothing but times.
fn is_same(flow: &Flow, request: &FlowMod) -> bool {
    let Rule { cookie, ref actions, .. } = *flow.rule;
    let details = Details {
        flags: request.flags,
        idle_timeout: request.idle_timeout,
        hard_timeout: request.hard_timeout,
        importance: request.importance,
    };
    cookie == request.cookie && *actions == request.actions && flow.details == details
}
