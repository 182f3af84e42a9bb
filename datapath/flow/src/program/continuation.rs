//! Where a packet goes on after it was set aside or its headers were read anew.
//!
//! It is a plain value: equal ones may share a number, which is [`crate::Slot::RecircId`] in the
//! key of the packet that goes on.

use crate::action::{Action, Actions};
use crate::request::BucketId;
use crate::{Bits, GroupId, PortNo, RuleId, Slot, TableId};

/// The number of a bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct BridgeId(pub u32);

/// What is on the stack: bits that `push` put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StackItem {
    /// The bits.
    pub value: u128,
    /// How many, 1 to 128.
    pub bits: u16,
}

/// Whose actions are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The table, or [`TableId::ALL`] outside of tables.
    pub table: TableId,
    /// The rule's cookie; all ones without a rule.
    pub cookie: u64,
    /// The rule.
    pub rule: Option<RuleId>,
    /// The rule takes all packets, with priority 0.
    pub is_miss: bool,
    /// The reason of packets for the controller.
    pub reason: super::Reason,
    /// How many look-ups deep, counting those in an earlier table or the same.
    pub depth: u16,
}

/// What is still to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pending {
    /// These actions.
    Actions {
        /// What is left of a list.
        actions: Actions,
        /// Whose.
        context: Context,
    },
    /// Looks the packet up.
    Lookup {
        /// Where.
        table: TableId,
        /// A table without a rule for it does what it does with packets that miss.
        honors_miss: bool,
        /// Whose action asks.
        context: Context,
    },
    /// Lets a group decide.
    Group {
        /// Which.
        group: GroupId,
        /// Whose action asks.
        context: Context,
    },
    /// Does the actions of a bucket with a copy.
    Bucket {
        /// Of which group.
        group: GroupId,
        /// Which.
        bucket: BucketId,
        /// What it does.
        actions: Actions,
        /// Whose action asks.
        context: Context,
    },
    /// Goes on in the bridge behind a patch port, with a copy.
    Peer {
        /// The patch port.
        port: PortNo,
        /// The queue that outputs go by.
        queue: Option<u32>,
        /// Outputs send so many bytes at most.
        max_len: u32,
        /// Whose action asks.
        context: Context,
    },
    /// Does the action set.
    ActionSet {
        /// How deep.
        depth: u16,
    },
}

/// Where a packet goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Continuation {
    /// In which bridge.
    pub bridge: BridgeId,
    /// What goes over the packet's key: what the walk wrote besides headers.
    pub metadata: Box<[(Slot, Bits)]>,
    /// The stack, its top last.
    pub stack: Box<[StackItem]>,
    /// What is to be done, the first last.
    pub pending: Box<[Pending]>,
    /// The action set, in the order in which it was written.
    pub action_set: Box<[Action]>,
    /// The queue that outputs go by.
    pub queue: Option<u32>,
    /// Outputs send so many bytes at most; [`u32::MAX`]: all.
    pub max_len: u32,
}
