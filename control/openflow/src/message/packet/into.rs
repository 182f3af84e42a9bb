//! Packets that controllers get, in the forms that `OpenFlow` has and in Nicira's first one.

use super::out::{in_port, set_in_port};
use crate::message::flow_buffer;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::Refusal;
use weft_flow::{Match, TableId, Version};

/// In which form a connection gets packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PacketInFormat {
    /// That of its version.
    #[default]
    Standard,
    /// Nicira's first.
    Nicira,
    /// Nicira's second, with properties.
    Nicira2,
}

/// Why a controller gets a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PacketInReason {
    /// A flow that takes what no other takes sent it.
    #[default]
    NoMatch,
    /// An action sent it.
    Action,
    /// Its TTL is used up.
    InvalidTtl,
    /// The action set sent it; before 1.4 an action.
    ActionSet,
    /// A group sent it; before 1.4 an action.
    Group,
    /// A packet-out sent it; before 1.4 an action.
    PacketOut,
}

impl PacketInReason {
    const ALL: [Self; 6] = [
        Self::NoMatch,
        Self::Action,
        Self::InvalidTtl,
        Self::ActionSet,
        Self::Group,
        Self::PacketOut,
    ];

    /// Its number in the latest version: a bit of the masks of asynchronous messages.
    #[must_use]
    pub fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|reason| *reason == self).unwrap_or_default();
        u8::try_from(at).unwrap_or_default()
    }

    /// The reason with a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// A packet that a controller gets, or gives back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketIn {
    /// Its bytes, as many as were asked for.
    pub packet: Box<[u8]>,
    /// How long it is.
    pub full_len: u32,
    /// Where it waits; there never is a buffer.
    pub buffer: Option<u32>,
    /// Why.
    pub reason: PacketInReason,
    /// The table of the flow that sent it.
    pub table: TableId,
    /// The cookie of that flow; all ones: none.
    pub cookie: u64,
    /// What it has beside its bytes: the ingress port, metadata, registers, the tunnel.
    pub metadata: Match,
    /// What the action said; Nicira's second form only.
    pub userdata: Box<[u8]>,
    /// What the switch needs to go on with it; Nicira's second form only.
    pub continuation: Option<Box<[u8]>>,
}

/// The reason as a version says it.
pub(super) fn reason(wire: &mut Wire<'_>, reason: &mut PacketInReason) -> Done {
    use PacketInReason::{Action, ActionSet, Group, PacketOut};
    let is_new = matches!(reason, ActionSet | Group | PacketOut);
    if is_new && wire.version() < Version::V14 {
        *reason = Action;
    }
    let mut number = reason.number();
    wire.u8(&mut number)?;
    *reason = PacketInReason::from_number(number).ok_or(Refusal::BadReason)?;
    Ok(())
}

impl PacketIn {
    /// The length of the whole packet, in 16 bits.
    fn total_len(&mut self, wire: &mut Wire<'_>) -> Done {
        let mut len = u16::try_from(self.full_len).unwrap_or(u16::MAX);
        wire.u16(&mut len)?;
        self.full_len = len.into();
        Ok(())
    }

    fn port(&mut self, wire: &mut Wire<'_>) -> Done {
        let mut port = in_port(&self.metadata);
        wire.port(&mut port)?;
        set_in_port(&mut self.metadata, port);
        Ok(())
    }
}

/// Nicira's first form.
pub(crate) fn nicira(wire: &mut Wire<'_>, packet: &mut PacketIn) -> Done {
    flow_buffer(wire, &mut packet.buffer)?;
    packet.total_len(wire)?;
    reason(wire, &mut packet.reason)?;
    wire.u8(&mut packet.table.0)?;
    wire.u64(&mut packet.cookie)?;
    wire.nx_match(6, &mut packet.metadata, None)?;
    wire.pad(2)?;
    wire.rest(&mut packet.packet)
}

impl Layout for PacketIn {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        flow_buffer(wire, &mut self.buffer)?;
        match wire.version() {
            Version::V10 => {
                self.total_len(wire)?;
                self.port(wire)?;
                reason(wire, &mut self.reason)?;
                wire.pad(1)?;
            }
            Version::V11 => {
                self.port(wire)?;
                // The physical port: the same.
                let mut port = in_port(&self.metadata);
                wire.port(&mut port)?;
                self.total_len(wire)?;
                reason(wire, &mut self.reason)?;
                wire.u8(&mut self.table.0)?;
            }
            version => {
                self.total_len(wire)?;
                reason(wire, &mut self.reason)?;
                wire.u8(&mut self.table.0)?;
                if version > Version::V12 {
                    wire.u64(&mut self.cookie)?;
                }
                wire.matching(&mut self.metadata)?;
                wire.pad(2)?;
            }
        }
        wire.rest(&mut self.packet)
    }
}
