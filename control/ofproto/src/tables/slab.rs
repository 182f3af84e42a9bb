//! Flows by their numbers.

use super::Flow;
use std::collections::HashSet;
use weft_flow::RuleId;

/// Flows by their numbers; a number is given out again when it was released.
#[derive(Debug, Default)]
pub(super) struct Slab {
    flows: Vec<Option<Flow>>,
    free: Vec<RuleId>,
    /// Numbers of flows that are gone, of which others still know.
    retired: HashSet<RuleId>,
}

fn place(id: RuleId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

impl Slab {
    /// A number that nobody has.
    pub(super) fn reserve(&mut self) -> Option<RuleId> {
        if let Some(id) = self.free.pop() {
            return Some(id);
        }
        // The last number stays unused: ends of ranges are inclusive then.
        let id = u32::try_from(self.flows.len()).ok().filter(|id| *id < u32::MAX)?;
        self.flows.push(None);
        Some(RuleId(id))
    }

    /// The number was not used after all.
    pub(super) fn give_back(&mut self, id: RuleId) {
        self.free.push(id);
    }

    /// The flow is gone for good; others may still know of its number.
    pub(super) fn retire(&mut self, id: RuleId) {
        self.retired.insert(id);
    }

    /// Nobody knows of the number of a retired flow any more.
    pub(super) fn release(&mut self, id: RuleId) {
        if self.retired.remove(&id) {
            self.free.push(id);
        }
    }

    pub(super) fn get(&self, id: RuleId) -> Option<&Flow> {
        self.flows.get(place(id))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: RuleId) -> Option<&mut Flow> {
        self.flows.get_mut(place(id))?.as_mut()
    }

    pub(super) fn insert(&mut self, id: RuleId, flow: Flow) {
        if let Some(place) = self.flows.get_mut(place(id)) {
            *place = Some(flow);
        }
    }

    pub(super) fn remove(&mut self, id: RuleId) -> Option<Flow> {
        self.flows.get_mut(place(id))?.take()
    }
}
