//! What a walk asks of a bridge.

use crate::classifier::{Bucket, Visited};
use crate::program::BridgeId;
use crate::request::FlowMod;
use crate::{Group, GroupId, Key, Mask, MeterId, PortNo, Rule, TableId};
use std::sync::Arc;

/// Tables, groups, meters and ports of a bridge, as they are at one time.
pub trait FlowBridge {
    /// The bridge.
    fn bridge(&self) -> BridgeId;

    /// The rule of a table that takes a packet.  `reads` gets the bits of the key that decided, and
    /// `visited` the buckets whose changes may change the answer.
    fn lookup(
        &self,
        table: TableId,
        key: &Key,
        reads: &mut Mask,
        visited: &mut Visited,
    ) -> Option<&Arc<Rule>>;

    /// What a table does with packets that no rule takes; not asked after `resubmit`.
    fn miss(&self, table: TableId) -> Option<&Arc<Rule>>;

    /// A group.
    fn group(&self, id: GroupId) -> Option<&Group>;

    /// True when there is such a meter.
    fn has_meter(&self, id: MeterId) -> bool;

    /// What is so about a port; `None` for one that is not there.
    fn port(&self, port: PortNo) -> Option<PortFacts>;

    /// The other end of a patch port: its bridge and its number there.
    fn peer(&self, port: PortNo) -> Option<(&dyn FlowBridge, PortNo)>;

    /// The patch ports.
    fn patch_ports(&self) -> &[PortNo];

    /// True when there is room for a flow that `learn` makes.
    fn can_learn(&self, flow: &FlowMod) -> bool;

    /// True when samples for this collector set go anywhere.
    fn has_collector(&self, set: u32) -> bool;
}

/// What is so about a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct PortFacts {
    /// Nothing is sent there.
    pub no_forward: bool,
    /// Floods spare it.
    pub no_flood: bool,
    /// What comes from it is dropped.
    pub no_receive: bool,
    /// Its link is up and it was not turned off.
    pub is_live: bool,
}

/// What walks read of a bridge besides rules.  Whoever changes it changes the epoch of its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A port: whether it is there, what is so about it, what it leads to.
    Port(PortNo),
    /// Which patch ports there are.
    PatchPorts,
    /// A group.
    Group(GroupId),
    /// Whether there is a meter.
    Meter(MeterId),
    /// What a table does with packets that no rule takes.
    Miss(TableId),
    /// Whether there is room for more flows that `learn` makes in a table.
    Room(TableId),
    /// Whether samples for a collector set go anywhere.
    Collector(u32),
}

impl Fact {
    /// Its bucket.
    #[must_use]
    pub fn bucket(self, bridge: BridgeId) -> Bucket {
        let (kind, number) = match self {
            Self::Port(port) => (0, port.0),
            Self::PatchPorts => (1, 0),
            Self::Group(group) => (2, group.0),
            Self::Meter(meter) => (3, meter.0),
            Self::Miss(table) => (4, table.0.into()),
            Self::Room(table) => (5, table.0.into()),
            Self::Collector(set) => (6, set),
        };
        Bucket::of_other(kind, u64::from(bridge.0) << 32 | u64::from(number))
    }
}
