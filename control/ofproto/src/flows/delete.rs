//! Deletions.

use crate::bridge::Edit;
use crate::tables::Filter;
use weft_flow::request::{FlowMod, Refusal, RemovedReason};
use weft_flow::{GroupId, MeterId};

impl Edit<'_> {
    /// Takes out the flows that are meant.
    pub(super) fn delete(&mut self, request: &FlowMod, is_strict: bool) -> Result<(), Refusal> {
        for id in self.targets(&Filter::of_deletion(request, is_strict))? {
            self.remove_flow(id, Some(RemovedReason::Delete));
        }
        Ok(())
    }

    /// Takes out the flows that name a group that is gone.
    pub(crate) fn delete_flows_of_group(&mut self, group: GroupId) {
        let all: Vec<_> = self.state.tables.of_group(group).collect();
        for id in all {
            self.remove_flow(id, Some(RemovedReason::GroupDelete));
        }
        self.remove_orphans();
    }

    /// Takes out the flows that name a meter that is gone.
    pub(crate) fn delete_flows_of_meter(&mut self, meter: MeterId) {
        let all: Vec<_> = self.state.tables.of_meter(meter).collect();
        for id in all {
            self.remove_flow(id, Some(RemovedReason::MeterDelete));
        }
        self.remove_orphans();
    }
}
