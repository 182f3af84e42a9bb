//! Actions: what a flow, a bucket or a packet-out does with a packet.
//!
//! Instructions are actions too, as they are in texts: a list of actions holds at most one of each
//! instruction, in the order in which instructions are executed ([`Action::instruction`]).

mod kinds;

pub use kinds::{
    Bundle, BundleAlgorithm, Conjunction, Controller, Ct, FinTimeout, HashFields, Learn,
    LearnDestination, LearnFlags, LearnSource, LearnSpec, LongValue, Multipath, MultipathAlgorithm,
    Nat, NatAddresses, NatFlags, Resubmit, Sample, SampleDirection, SampleNumber, SetForm,
    ZoneSource,
};

use crate::{Field, GroupId, MeterId, PortNo, Subfield, TableId};

/// A list of actions.
pub type Actions = Box<[Action]>;

/// One action.  Those that several encodings stand for are kept in one form; where replies must
/// have the encoding that the request had, the form says which.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sends the packet out of a port; to the controller at most `max_len` bytes of it.
    Output {
        /// Where to, a reserved number too.
        port: PortNo,
        /// Bytes for the controller; means nothing for other ports, but replies have it.
        max_len: u16,
    },
    /// Sends the packet out of the port whose number some bits of a field are.
    OutputReg {
        /// The bits.
        source: Subfield,
        /// Bytes for the controller.
        max_len: u16,
    },
    /// Sends the first bytes of the packet out of a port.
    OutputTruncated {
        /// Where to.
        port: PortNo,
        /// Bytes, at least 14.
        max_len: u32,
    },
    /// Sends the packet to controllers, or sets it aside for one of them.
    Controller(Box<Controller>),
    /// Sends the packet out of a port by a queue: `enqueue` of 1.0.
    Enqueue {
        /// Where to.
        port: PortNo,
        /// The queue of the port.
        queue: u32,
    },
    /// Chooses a port by hash and sends the packet there, or writes its number to a field.
    Bundle(Box<Bundle>),
    /// Lets a group decide.
    Group(GroupId),

    /// Sets some bits of a field of at most 128 bits.  `set_field`, `load` and `reg_load` are this.
    SetField {
        /// Which field; writable.
        field: Field,
        /// The bits, zero where the mask is.
        value: u128,
        /// Which bits are set; the field's bits for all.
        mask: u128,
        /// True when the packet must have a tag already, by what the flow matches or did before.
        has_vlan: bool,
        /// The form that it was sent in.
        form: SetForm,
    },
    /// Sets an option of tunnels that is wider than 128 bits.
    SetLong(Box<LongValue>),
    /// Copies bits from one field to another.
    Move {
        /// From.
        source: Subfield,
        /// To; as many bits.
        destination: Subfield,
        /// True for the form `copy_field`, false for `move`.
        is_copy: bool,
    },
    /// Pushes bits onto the stack.
    Push(Subfield),
    /// Pops bits from the stack.
    Pop(Subfield),
    /// Takes an option of tunnels out of what tunnels get.
    DeleteField(Field),

    /// `mod_vlan_vid` of 1.0 and 1.1: sets the VID of the outer tag.
    SetVlanVid {
        /// 0 to 4095.
        vid: u16,
        /// True in 1.0: a packet without a tag gets one.
        pushes: bool,
        /// True when the packet must have a tag already, by what the flow matches or did before.
        has_vlan: bool,
    },
    /// `mod_vlan_pcp` of 1.0 and 1.1: sets the priority of the outer tag.
    SetVlanPcp {
        /// 0 to 7.
        pcp: u8,
        /// True in 1.0: a packet without a tag gets one.
        pushes: bool,
        /// True when the packet must have a tag already, by what the flow matches or did before.
        has_vlan: bool,
    },
    /// Takes off the outer tag.
    StripVlan,
    /// Puts on a tag.
    PushVlan {
        /// 0x8100 or 0x88a8.
        ethertype: u16,
    },
    /// `mod_dl_src` of 1.0 and 1.1.
    SetEthSrc([u8; 6]),
    /// `mod_dl_dst` of 1.0 and 1.1.
    SetEthDst([u8; 6]),
    /// `mod_nw_src` of 1.0 and 1.1.
    SetIpv4Src([u8; 4]),
    /// `mod_nw_dst` of 1.0 and 1.1.
    SetIpv4Dst([u8; 4]),
    /// `mod_nw_tos` of 1.0 and 1.1: the DSCP in the high 6 bits.
    SetIpDscp(u8),
    /// `mod_nw_ecn` of 1.1.
    SetIpEcn(u8),
    /// `mod_nw_ttl`.
    SetIpTtl(u8),
    /// `mod_tp_src` of 1.0 and 1.1.
    SetL4SrcPort {
        /// The number.
        port: u16,
        /// The protocol that the packet must have, by what the flow matches; 0: not said.
        protocol: u8,
    },
    /// `mod_tp_dst` of 1.0 and 1.1.
    SetL4DstPort {
        /// The number.
        port: u16,
        /// The protocol that the packet must have, by what the flow matches; 0: not said.
        protocol: u8,
    },
    /// Decrements the TTL; a packet with 0 or 1 goes to these controllers and no further.
    DecTtl {
        /// Ids of controllers; `dec_ttl` without ids has 0.
        controllers: Box<[u16]>,
        /// True for the form that lists ids.
        lists_ids: bool,
    },
    /// Sets the label of the outer MPLS entry, 20 bits.
    SetMplsLabel(u32),
    /// Sets the traffic class of the outer MPLS entry, 3 bits.
    SetMplsTc(u8),
    /// Sets the TTL of the outer MPLS entry.
    SetMplsTtl(u8),
    /// Decrements the TTL of the outer MPLS entry.
    DecMplsTtl,
    /// Puts on an MPLS entry.
    PushMpls {
        /// 0x8847 or 0x8848.
        ethertype: u16,
    },
    /// Takes off an MPLS entry.
    PopMpls {
        /// What is behind it.
        ethertype: u16,
    },

    /// Sets the key of tunnels.
    SetTunnel {
        /// The key.
        id: u64,
        /// True for the form with 64 bits.
        is_wide: bool,
    },
    /// Sets the queue of outputs that follow.
    SetQueue(u32),
    /// Back to the queue from before.
    PopQueue,
    /// Shortens the timeouts of this flow when a packet ends its connection.
    FinTimeout(FinTimeout),
    /// Looks the packet up in a table, does that flow's actions, and comes back.
    Resubmit(Resubmit),
    /// Adds or refreshes a flow made from this packet.
    Learn(Box<Learn>),
    /// One clause of a conjunction.
    Conjunction(Conjunction),
    /// Chooses a link by hash and writes its number to a field.
    Multipath(Box<Multipath>),
    /// Bytes that nobody reads.
    Note(Box<[u8]>),
    /// Ends this packet's actions.
    Exit,
    /// Samples packets for IPFIX.
    Sample(Box<Sample>),
    /// Sends the packet through connection tracking.
    Ct(Box<Ct>),
    /// Forgets what connection tracking said.
    CtClear,
    /// Translates addresses; inside `ct` only.
    Nat(Box<Nat>),
    /// Does these actions with a copy of the packet.
    Clone(Actions),
    /// Writes to a bit of a field whether the packet is longer than that.
    CheckPktLarger {
        /// Bytes, with the Ethernet header.
        bytes: u16,
        /// One bit.
        destination: Subfield,
    },

    /// Instruction: the packet is subject to a meter first.
    Meter(MeterId),
    /// Instruction: empties the action set.
    ClearActions,
    /// Instruction: adds to the action set.
    WriteActions(Actions),
    /// Instruction: writes bits of the metadata.
    WriteMetadata {
        /// The bits.
        value: u64,
        /// Which.
        mask: u64,
    },
    /// Instruction: goes on in a later table.
    GotoTable(TableId),
}

/// Kinds of instructions, in the order in which they are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instruction {
    /// A meter.
    Meter,
    /// Actions that are done at once.
    ApplyActions,
    /// Empties the action set.
    ClearActions,
    /// Adds to the action set.
    WriteActions,
    /// Writes metadata.
    WriteMetadata,
    /// Goes on in a later table.
    GotoTable,
}

impl Action {
    /// The instruction that it is, or is part of.
    #[must_use]
    pub const fn instruction(&self) -> Instruction {
        match self {
            Self::Meter(_) => Instruction::Meter,
            Self::ClearActions => Instruction::ClearActions,
            Self::WriteActions(_) => Instruction::WriteActions,
            Self::WriteMetadata { .. } => Instruction::WriteMetadata,
            Self::GotoTable(_) => Instruction::GotoTable,
            _ => Instruction::ApplyActions,
        }
    }

    /// The lists of actions inside it.
    #[must_use]
    pub fn nested(&self) -> &[Self] {
        match self {
            Self::Clone(actions) | Self::WriteActions(actions) => actions,
            Self::Ct(ct) => &ct.actions,
            _ => &[],
        }
    }
}
