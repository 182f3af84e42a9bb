//! Requests that ask for flows, once or for as long as a connection lasts.

use crate::{GroupId, Match, PortNo, TableId};

/// Which flows are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowQuery {
    /// Of which table, or of all.
    pub table: TableId,
    /// Only those that this match contains.
    pub matching: Match,
    /// Only those whose cookie has these bits.
    pub cookie: u64,
    /// Which bits of the cookie count; 0: all flows.
    pub cookie_mask: u64,
    /// Only those that send packets there; [`PortNo::ANY`]: all.
    pub out_port: PortNo,
    /// Only those that use this group; [`GroupId::ANY`]: all.
    pub out_group: GroupId,
}

impl FlowQuery {
    /// Asks for all flows.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            table: TableId::ALL,
            matching: Match::any(),
            cookie: 0,
            cookie_mask: 0,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
        }
    }
}

/// What a flow monitor wants to hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct MonitorFlags {
    /// The flows that are there when it begins.
    pub initial: bool,
    /// Flows that are added.
    pub added: bool,
    /// Flows that go.
    pub removed: bool,
    /// Flows that are changed.
    pub modified: bool,
    /// Their actions too.
    pub actions: bool,
    /// What the connection did itself, in full.
    pub own_in_full: bool,
}

/// What a request for a flow monitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MonitorCommand {
    /// Begins.
    Add,
    /// Replaces one.
    Modify,
    /// Ends.
    Delete,
}

/// A request for a flow monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorRequest {
    /// What to do.
    pub command: MonitorCommand,
    /// Its number on its connection.
    pub id: u32,
    /// What it wants to hear of.
    pub flags: MonitorFlags,
    /// Of which table, or of all.
    pub table: TableId,
    /// Only flows that this match contains.
    pub matching: Match,
    /// Only flows that send or sent packets there; [`PortNo::ANY`]: all.
    pub out_port: PortNo,
    /// Only flows that use or used this group; [`GroupId::ANY`]: all.
    pub out_group: GroupId,
}
