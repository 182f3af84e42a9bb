//! The steps of programs.

use super::Continuation;
use crate::{Bits, MeterId, PortNo, RuleId, Slot, TableId};
use std::sync::Arc;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sets bits of a slot of at most 64 bits: of a header, or of what goes along with the packet.
    Set {
        /// Which slot.
        slot: Slot,
        /// The bits, zero where the mask is.
        value: u64,
        /// Which bits.
        mask: u64,
    },
    /// Sets bits of a wider slot: [`super::Program::wide`] has them.
    SetWide {
        /// Which slot.
        slot: Slot,
        /// Where they are.
        at: u16,
    },
    /// Nothing goes along any more that says something of tunnels.
    ClearTunnel,
    /// Puts a tag on.
    PushVlan {
        /// 0x8100 or 0x88a8.
        ethertype: u16,
        /// Without the bit that says in keys that there is a tag.
        tci: u16,
    },
    /// Takes the outer tag off.
    PopVlan,
    /// Puts an MPLS entry on.
    PushMpls {
        /// 0x8847 or 0x8848.
        ethertype: u16,
        /// All of it.
        entry: u32,
    },
    /// Takes the outer MPLS entry off.
    PopMpls {
        /// What is behind it.
        ethertype: u16,
    },
    /// Sends the frame.
    Send {
        /// Where to.
        target: Target,
        /// The first so many bytes of it; [`u32::MAX`]: all.
        max_len: u32,
        /// No later step needs the frame.
        is_last: bool,
    },
    /// Outputs that follow go by this queue, or by that of the packet.
    Queue(Option<u32>),
    /// Sends the frame to controllers: [`super::Program::punt`] says how.
    Punt(u16),
    /// Reads the frame anew and goes on: [`super::Program::continuation`] says where.
    Resume {
        /// Where it is.
        at: u16,
        /// The key is to have a hash of both ends of L2 to L4, with this basis.
        hash_basis: Option<u32>,
        /// No later step needs the frame.
        is_last: bool,
    },
    /// Goes on only below the rate of a meter; above it the packet, or the copy, ends here.
    Meter(MeterId),
    /// Adds or refreshes a flow: [`super::Program::learn`] has it.
    Learn(u16),
    /// Shortens the timeouts of a rule, in seconds; 0: not that one.
    Shorten {
        /// Which rule.
        rule: RuleId,
        /// The new idle timeout.
        idle: u16,
        /// The new hard timeout.
        hard: u16,
    },
    /// Goes on here with a frame longer than that, at another step with a shorter one.
    Longer {
        /// Bytes.
        bytes: u16,
        /// The other step.
        otherwise: u32,
    },
    /// What follows, until the [`Step::EndClone`] that belongs to it, is done with a copy.
    Clone {
        /// The copy is changed, and the frame is needed afterwards; else the frame itself serves.
        copies: bool,
    },
    /// Back to the frame as it was.
    EndClone,
    /// The end: what follows is for [`Step::Longer`].
    End,
    /// The packet, or the copy, ends here, and counts as dropped.
    Drop(Refused),
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A port of a bridge; the ingress port too.
    Port(super::BridgeId, PortNo),
    /// Where a learning bridge sends it.
    Normal(super::BridgeId),
    /// All ports but the ingress port and those that floods spare; patch ports apart.
    Flood(super::BridgeId),
    /// All ports but the ingress port; patch ports apart.
    All(super::BridgeId),
}

/// Why a packet is dropped that its flows do not drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refused {
    /// Connection tracking is not built yet.
    Ct,
    /// Sampling for a collector is not built yet.
    Sample,
    /// More than 64 tables deep.
    TooDeep,
    /// More than 4096 look-ups.
    TooManyLookups,
    /// More than 64 KiB on the stack.
    StackFull,
    /// The program became too long.
    TooLong,
}

/// Why a controller gets a packet; numbers of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// No rule took it.
    NoMatch = 0,
    /// An action.
    #[default]
    Action = 1,
    /// Its TTL ran out.
    InvalidTtl = 2,
    /// An output of the action set.
    ActionSet = 3,
    /// A bucket of a group.
    Group = 4,
    /// A packet-out.
    PacketOut = 5,
}

/// A packet for controllers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Punt {
    /// At most so many bytes of it; 65535: all.
    pub max_len: u16,
    /// Which controllers get it: those with this id.
    pub controller_id: u16,
    /// Why; a number of [`Reason`], or what the action says.
    pub reason: u8,
    /// The rule takes all packets, with priority 0: to controllers from 1.3 on the reason is that
    /// nothing matched.
    pub is_miss: bool,
    /// Goes along; nobody reads it here.
    pub userdata: Box<[u8]>,
    /// The meter of these packets.
    pub meter: Option<MeterId>,
    /// The table, or [`TableId::ALL`].
    pub table: TableId,
    /// The rule's; all ones without a rule.
    pub cookie: u64,
    /// What the walk wrote besides headers: it goes over what the packet had.
    pub metadata: Box<[(Slot, Bits)]>,
    /// The packet waits; a controller resumes it here.
    pub continuation: Option<Arc<Continuation>>,
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn steps_are_small() {
        assert!(size_of::<Step>() <= 24);
    }
}
