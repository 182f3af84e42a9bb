//! The statistics of 1.5: fields with headers, as matches have them.

use crate::message::wire::{Done, Wire};
use std::time::Duration;
use weft_flow::request::Refusal;

/// The class of the fields.
const CLASS: u16 = 0x8002;
const DURATION: u8 = 0;
const IDLE_TIME: u8 = 1;
const FLOW_COUNT: u8 = 3;
const PACKET_COUNT: u8 = 4;
const BYTE_COUNT: u8 = 5;

/// What such statistics say; nothing for what they do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oxs {
    /// How long the flow is there.
    pub(super) duration: Option<Duration>,
    /// How long it had no packet.
    pub(super) idle: Option<Duration>,
    /// Packets.
    pub(super) packets: Option<u64>,
    /// Bytes of them.
    pub(super) bytes: Option<u64>,
    /// How many flows there are.
    pub(super) flows: Option<u32>,
}

fn header(wire: &mut Wire<'_>, mut field: u8, mut len: u8) -> Done {
    wire.u16(&mut { CLASS })?;
    field <<= 1;
    wire.u8(&mut field)?;
    wire.u8(&mut len)
}

impl Oxs {
    fn write(&mut self, wire: &mut Wire<'_>) -> Done {
        for (field, value) in [(DURATION, &mut self.duration), (IDLE_TIME, &mut self.idle)] {
            if let Some(value) = value {
                header(wire, field, 8)?;
                wire.duration(value)?;
            }
        }
        for (field, value) in [(PACKET_COUNT, &mut self.packets), (BYTE_COUNT, &mut self.bytes)] {
            if let Some(value) = value {
                header(wire, field, 8)?;
                wire.u64(value)?;
            }
        }
        if let Some(value) = &mut self.flows {
            header(wire, FLOW_COUNT, 4)?;
            wire.u32(value)?;
        }
        Ok(())
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Done {
        while !wire.left().is_empty() {
            let (mut class, mut field, mut len) = (0, 0, 0);
            wire.u16(&mut class)?;
            wire.u8(&mut field)?;
            wire.u8(&mut len)?;
            let slot = match (class, field >> 1) {
                (CLASS, DURATION) => &mut self.duration,
                (CLASS, IDLE_TIME) => &mut self.idle,
                (CLASS, PACKET_COUNT | BYTE_COUNT) if len == 8 => {
                    let value = wire.number64()?;
                    let is_bytes = field >> 1 == BYTE_COUNT;
                    *(if is_bytes { &mut self.bytes } else { &mut self.packets }) = Some(value);
                    continue;
                }
                (CLASS, FLOW_COUNT) if len == 4 => {
                    let mut value = 0;
                    wire.u32(&mut value)?;
                    self.flows = Some(value);
                    continue;
                }
                _ => {
                    wire.pad(len.into())?;
                    continue;
                }
            };
            if len != 8 {
                return Err(Refusal::BadLen);
            }
            let mut value = Duration::ZERO;
            wire.duration(&mut value)?;
            *slot = Some(value);
        }
        Ok(())
    }

    /// Two bytes of nothing, a length, the fields, zeros up to 8 bytes.
    pub(super) fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let mark = wire.mark();
        wire.block(2, |wire| {
            wire.pad(2)?;
            wire.length()?;
            if wire.is_reading() { self.read(wire) } else { self.write(wire) }
        })?;
        wire.align(8, mark)
    }
}
