//! Requests that add, change and delete flows.

use crate::action::Actions;
use crate::{GroupId, Match, PortNo, TableId};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowCommand {
    /// Adds a flow, in the place of the one with the same match and priority.
    Add,
    /// Changes the actions of all flows that the match contains.
    Modify,
    /// Changes the actions of the flow with this match and priority.
    ModifyStrict,
    /// Deletes all flows that the match contains.
    Delete,
    /// Deletes the flow with this match and priority.
    DeleteStrict,
}

/// Flags of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct FlowFlags {
    /// Tells when the flow goes.
    pub sends_flow_removed: bool,
    /// Refused when another flow of this priority may match the same packet.  Kept, as replies of
    /// 1.3 and later show it.
    pub checks_overlap: bool,
    /// Counters begin anew.
    pub resets_counts: bool,
    /// Need not count packets.
    pub no_packet_counts: bool,
    /// Need not count bytes.
    pub no_byte_counts: bool,
    /// 1.0's flow for emergencies; refused.
    pub is_emergency: bool,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowCommand,
    /// Where; [`TableId::ALL`]: additions choose table 0, deletions and changes take all tables.
    pub table: TableId,
    /// 0 to 65535.
    pub priority: u16,
    /// Which packets.
    pub matching: Match,
    /// Of the flow that is added.
    pub cookie: u64,
    /// Changes and deletions: only flows whose cookie has these bits.
    pub cookie_filter: u64,
    /// Which bits of the filter count; 0: all flows.
    pub cookie_mask: u64,
    /// Changes write `cookie` too (1.0).
    pub modifies_cookie: bool,
    /// Changes that find no flow add one (1.0, 1.1).
    pub modify_adds: bool,
    /// Seconds without a packet; 0: none.
    pub idle_timeout: u16,
    /// Seconds; 0: none.
    pub hard_timeout: u16,
    /// Flows of less importance are evicted first.
    pub importance: u16,
    /// Flags of the flow.
    pub flags: FlowFlags,
    /// Deletions: only flows that send packets there; [`PortNo::ANY`]: all.
    pub out_port: PortNo,
    /// Deletions: only flows that use this group; [`GroupId::ANY`]: all.
    pub out_group: GroupId,
    /// A buffered packet to which the actions are to be applied; there never is one.
    pub buffer: Option<u32>,
    /// What matching packets meet.
    pub actions: Actions,
    /// How it was made, if `learn` made it.
    pub learned: Option<Learned>,
}

impl FlowMod {
    /// A request of priority 0 for table 0 and any packet, without conditions, timeouts and actions.
    #[must_use]
    pub fn new(command: FlowCommand) -> Self {
        Self {
            command,
            table: TableId(0),
            priority: 0,
            matching: Match::any(),
            cookie: 0,
            cookie_filter: 0,
            cookie_mask: 0,
            modifies_cookie: false,
            modify_adds: false,
            idle_timeout: 0,
            hard_timeout: 0,
            importance: 0,
            flags: FlowFlags::default(),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            buffer: None,
            actions: Actions::default(),
            learned: None,
        }
    }
}

/// What is special about a request that the action `learn` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// At most so many flows with this cookie in this table; 0: any number.
    pub limit: u32,
}

/// Why a flow is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RemovedReason {
    /// No packet met it for so long.
    #[default]
    Idle,
    /// It was there for so long.
    Hard,
    /// A controller wanted it, or the flow that learned it is gone.
    Delete,
    /// A group that it named is gone.
    GroupDelete,
    /// A meter that it named is gone; before 1.4 this is said as a deletion.
    MeterDelete,
    /// The table was full.
    Eviction,
}
