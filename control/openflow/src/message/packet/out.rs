//! Requests that send packets, as messages.

use crate::message::flow_buffer;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::action::Actions;
use weft_flow::request::{PacketOut, Refusal};
use weft_flow::{Bits, Match, PortNo, Slot, Version};

/// The ingress port in what a packet has.
pub(super) fn in_port(metadata: &Match) -> PortNo {
    let bits = metadata.slot(Slot::InPort);
    if bits.mask == 0 {
        return PortNo::ANY;
    }
    PortNo(u32::try_from(bits.value).unwrap_or(PortNo::ANY.0))
}

pub(super) fn set_in_port(metadata: &mut Match, port: PortNo) {
    metadata.set_slot(Slot::InPort, Bits::new(port.0.into(), Slot::InPort.ones()));
}

/// Ports of the bridge, and those reserved numbers that can send.
const fn may_send(port: PortNo) -> bool {
    port.0 < PortNo::MAX || matches!(port, PortNo::LOCAL | PortNo::ANY | PortNo::CONTROLLER)
}

impl Layout for PacketOut {
    fn blank() -> Self {
        Self {
            buffer: None,
            metadata: Match::any(),
            actions: Actions::default(),
            packet: Box::default(),
        }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        flow_buffer(wire, &mut self.buffer)?;
        let mut port = in_port(&self.metadata);
        if version < Version::V15 {
            wire.port(&mut port)?;
        }
        let len = wire.actions_len()?;
        match version {
            Version::V10 => {}
            Version::V15 => {
                wire.pad(2)?;
                wire.matching(&mut self.metadata)?;
                port = in_port(&self.metadata);
            }
            _ => wire.pad(6)?,
        }
        if !may_send(port) {
            return Err(Refusal::BadPort);
        }
        set_in_port(&mut self.metadata, port);
        wire.actions_of_len(len, &mut self.actions)?;
        if self.buffer.is_some() {
            // There is no such buffer; the bytes do not matter.
            wire.skip_rest();
            return Ok(());
        }
        wire.rest(&mut self.packet)
    }
}
