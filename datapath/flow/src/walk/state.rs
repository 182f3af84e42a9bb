//! What a walk knows of the packet, and what it has still to do.

use super::bridge::FlowBridge;
use crate::program::{Context, Pending, StackItem};
use crate::request::BucketId;
use crate::{Action, GroupId, Key, Mask, PortNo, Slot, TableId};

/// What is kept when a copy of the packet is worked on.
#[derive(Clone)]
pub(super) struct State<'a> {
    pub(super) tables: &'a dyn FlowBridge,
    /// The packet as tables see it.
    pub(super) key: Key,
    /// The packet as its bytes are after the steps so far.
    pub(super) sent: Key,
    /// The bits of `key` that are the same for all packets of this program.
    pub(super) written: Mask,
    /// The bits of `sent` that steps have made the same for all packets.
    pub(super) committed: Mask,
    /// The bits of `key` that were written since.
    pub(super) dirty: Mask,
    /// Tags below the two that keys have, the outer one last.
    pub(super) hidden: Vec<u16>,
    stack: Vec<StackItem>,
    /// What is on the stack, in bytes.
    pub(super) stack_bytes: usize,
    pub(super) action_set: Vec<&'a Action>,
    pub(super) queue: Option<u32>,
    pub(super) sent_queue: Option<u32>,
    /// Headers came to light that the key lacks.
    pub(super) is_stale: bool,
    /// Outputs send so many bytes at most.
    pub(super) max_len: u32,
    /// What branches have found of the frame's length: longer than the first, not than the second.
    pub(super) length: (Option<u16>, Option<u16>),
    /// How often the frame got another length.
    pub(super) resizes: u32,
}

impl<'a> State<'a> {
    pub(super) fn new(tables: &'a dyn FlowBridge, key: &Key) -> Self {
        let mut written = Mask::default();
        for slot in (0..16).map(Slot::Reg).chain([Slot::Metadata, Slot::ActsetOutput]) {
            written.cover_all(slot);
        }
        let mut key = key.clone();
        key.set(Slot::ActsetOutput, PortNo::UNSET.0.into());
        Self {
            tables,
            sent: key.clone(),
            key,
            written,
            committed: Mask::default(),
            dirty: Mask::default(),
            hidden: Vec::new(),
            stack: Vec::new(),
            stack_bytes: 0,
            action_set: Vec::new(),
            queue: None,
            sent_queue: None,
            is_stale: false,
            max_len: u32::MAX,
            length: (None, None),
            resizes: 0,
        }
    }

    /// The stack, its top last.
    pub(super) fn stack(&self) -> &[StackItem] {
        &self.stack
    }

    pub(super) fn set_stack(&mut self, items: &[StackItem]) {
        self.stack = items.to_vec();
        self.stack_bytes = items.iter().copied().map(bytes).sum();
    }

    pub(super) fn push(&mut self, item: StackItem) {
        self.stack_bytes += bytes(item);
        self.stack.push(item);
    }

    pub(super) fn pop(&mut self) -> Option<StackItem> {
        let item = self.stack.pop()?;
        self.stack_bytes -= bytes(item);
        Some(item)
    }

    pub(super) fn in_port(&self) -> PortNo {
        PortNo(u32::try_from(self.key.get(Slot::InPort)).unwrap_or_default())
    }
}

fn bytes(item: StackItem) -> usize {
    usize::from(item.bits).div_ceil(8)
}

/// Actions, the next one at hand.
#[derive(Clone)]
pub(super) enum List<'a> {
    /// As they are in a rule.
    Slice(&'a [Action]),
    /// Picked from an action set, the next one last.
    Picked(Vec<&'a Action>),
}

impl<'a> List<'a> {
    pub(super) fn next(&mut self) -> Option<&'a Action> {
        match self {
            Self::Slice(actions) => {
                let (first, rest) = actions.split_first()?;
                *actions = rest;
                Some(first)
            }
            Self::Picked(actions) => actions.pop(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Slice(actions) => actions.is_empty(),
            Self::Picked(actions) => actions.is_empty(),
        }
    }

    pub(super) fn to_owned(&self) -> Box<[Action]> {
        match self {
            Self::Slice(actions) => (*actions).into(),
            Self::Picked(actions) => actions.iter().rev().map(|action| (*action).clone()).collect(),
        }
    }
}

/// What has still to be done.
#[derive(Clone)]
pub(super) enum Work<'a> {
    Actions(List<'a>, Context),
    Lookup {
        table: TableId,
        honors_miss: bool,
        context: Context,
    },
    Group(GroupId, Context),
    Bucket {
        group: GroupId,
        bucket: BucketId,
        actions: &'a [Action],
        context: Context,
    },
    ActionSet {
        depth: u16,
    },
    /// Goes on behind a patch port.
    Peer {
        port: PortNo,
        queue: Option<u32>,
        max_len: u32,
        context: Context,
    },
    /// Back to the packet as it was, at the clone that began there.
    EndScope(Box<State<'a>>, usize),
}

impl<'a> Work<'a> {
    /// As a value of its own; the end of a scope has none.
    pub(super) fn to_pending(&self) -> Option<Pending> {
        Some(match *self {
            Self::Actions(ref list, context) => {
                Pending::Actions { actions: list.to_owned(), context }
            }
            Self::Lookup { table, honors_miss, context } => {
                Pending::Lookup { table, honors_miss, context }
            }
            Self::Group(group, context) => Pending::Group { group, context },
            Self::Bucket { group, bucket, actions, context } => {
                Pending::Bucket { group, bucket, actions: actions.into(), context }
            }
            Self::ActionSet { depth } => Pending::ActionSet { depth },
            Self::Peer { port, queue, max_len, context } => {
                Pending::Peer { port, queue, max_len, context }
            }
            Self::EndScope(..) => return None,
        })
    }

    pub(super) fn from_pending(pending: &'a Pending) -> Self {
        match *pending {
            Pending::Actions { ref actions, context } => {
                Self::Actions(List::Slice(actions), context)
            }
            Pending::Lookup { table, honors_miss, context } => {
                Self::Lookup { table, honors_miss, context }
            }
            Pending::Group { group, context } => Self::Group(group, context),
            Pending::Bucket { group, bucket, ref actions, context } => {
                Self::Bucket { group, bucket, actions, context }
            }
            Pending::ActionSet { depth } => Self::ActionSet { depth },
            Pending::Peer { port, queue, max_len, context } => {
                Self::Peer { port, queue, max_len, context }
            }
        }
    }
}
