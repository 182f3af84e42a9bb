//! Flows whose time is over.

use crate::bridge::Edit;
use crate::tables::Expiry;
use weft_flow::TableId;
use weft_flow::request::RemovedReason;

impl Edit<'_> {
    /// Takes out flows that have expired, at most so many; those that they learned go too.
    pub(crate) fn expire(&mut self, at_most: usize) {
        for _ in 0..at_most {
            let Some((id, why)) = self.state.tables.next_expired(self.now) else { break };
            let reason = match why {
                Expiry::Idle => RemovedReason::Idle,
                Expiry::Hard => RemovedReason::Hard,
            };
            self.remove_flow(id, Some(reason));
        }
        self.remove_orphans();
    }

    /// Evicts what a table has more than it may, if it does that.
    pub(crate) fn evict_excess(&mut self, table: TableId) {
        for _ in 0..self.state.tables.excess(table) {
            if !self.evict(table) {
                break;
            }
        }
        self.remove_orphans();
    }
}
