//! What came of a change: for those who decide, and for controllers.

use crate::tables::Flow;
use crate::{Details, MonitorUpdates, Time};
use std::sync::Arc;
use weft_flow::request::{PacketOut, PortConfig, RemovedReason};
use weft_flow::{Group, GroupId, Meter, MeterId, PortNo, Rule, RuleId};

/// A change for those who decide about packets.  All changes of an outcome hold at once, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowChange {
    /// A rule is there.
    RuleAdded(Arc<Rule>),
    /// A rule is there instead of one with the same number, table, priority and match.
    RuleReplaced {
        /// The one that was there.
        old: Arc<Rule>,
        /// The one that is.
        new: Arc<Rule>,
    },
    /// A rule is gone.
    RuleRemoved(Arc<Rule>),
    /// A group is there, perhaps instead of one with the same id.
    GroupSet(Arc<Group>),
    /// A group is gone.
    GroupRemoved(GroupId),
    /// A meter is there, perhaps instead of one with the same id.
    MeterSet(Arc<Meter>),
    /// A meter is gone.
    MeterRemoved(MeterId),
    /// Something else is forbidden a port.
    PortSet(PortNo, PortConfig),
    /// A packet is to be sent when the changes before it hold.
    PacketOut(Box<PacketOut>),
}

/// A flow that is gone, whose controller wants to hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedFlow {
    /// It, with all that was counted.
    pub flow: Flow,
    /// Why.
    pub reason: RemovedReason,
    /// When.
    pub at: Time,
}

/// What became of a flow, for monitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MonitorEvent {
    /// It was added, perhaps in the place of another.
    Added,
    /// Its actions or its cookie changed.
    Modified,
    /// It is gone.
    Removed(RemovedReason),
}

/// An event of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchedEvent {
    pub(crate) kind: MonitorEvent,
    /// The flow after the event; the one that is gone.
    pub(crate) rule: Arc<Rule>,
    pub(crate) details: Details,
    /// The flow before, where its actions were others.
    pub(crate) old: Option<Arc<Rule>>,
    /// The number of the change that added it.
    pub(crate) added: u64,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For those who decide about packets.
    pub changes: Vec<FlowChange>,
    /// For controllers.
    pub removed: Vec<RemovedFlow>,
    /// For flow monitors, by connection.
    pub updates: MonitorUpdates,
}

impl Outcome {
    /// The numbers of the rules that are gone, for [`crate::FlowBridge::release`] when all who decide
    /// know it.
    #[must_use]
    pub fn removed_rules(&self) -> Vec<RuleId> {
        let removed = self.changes.iter().filter_map(|change| match change {
            FlowChange::RuleRemoved(rule) => Some(rule.id),
            _ => None,
        });
        removed.collect()
    }

    /// True when nothing came of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.removed.is_empty() && self.updates.is_empty()
    }
}
