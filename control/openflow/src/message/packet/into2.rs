//! Packets that controllers get in Nicira's second form, and that they give back to be resumed:
//! properties.

use super::into::{PacketIn, PacketInReason, reason};
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::Refusal;

const PACKET: u16 = 0;
const FULL_LEN: u16 = 1;
const BUFFER: u16 = 2;
const TABLE: u16 = 3;
const COOKIE: u16 = 4;
const REASON: u16 = 5;
const METADATA: u16 = 6;
const USERDATA: u16 = 7;
const CONTINUATION: u16 = 8;

/// What properties are made of: numbers need their place in 8 bytes.
const UNIT: usize = 8;

/// A packet in this form; `is_resumed` for one that comes back.
pub(crate) struct PacketIn2(pub(crate) PacketIn);

fn property(wire: &mut Wire<'_>, mut kind: u16, body: impl FnOnce(&mut Wire<'_>) -> Done) -> Done {
    let mark = wire.mark();
    wire.block(2, |wire| {
        wire.u16(&mut kind)?;
        wire.length()?;
        body(wire)
    })
    .map_err(|refusal| if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal })?;
    wire.align_short(UNIT, mark)
}

impl PacketIn2 {
    fn write(&mut self, wire: &mut Wire<'_>) -> Done {
        let packet = &mut self.0;
        property(wire, PACKET, |wire| wire.rest(&mut packet.packet))?;
        if usize::try_from(packet.full_len) != Ok(packet.packet.len()) {
            property(wire, FULL_LEN, |wire| wire.u32(&mut packet.full_len))?;
        }
        if let Some(buffer) = &mut packet.buffer {
            property(wire, BUFFER, |wire| wire.u32(buffer))?;
        }
        property(wire, TABLE, |wire| wire.u8(&mut packet.table.0))?;
        if packet.cookie != u64::MAX {
            property(wire, COOKIE, |wire| {
                wire.pad(4)?;
                wire.u64(&mut packet.cookie)
            })?;
        }
        property(wire, REASON, |wire| reason(wire, &mut packet.reason))?;
        property(wire, METADATA, |wire| wire.fields(&mut packet.metadata))?;
        if let Some(continuation) = &mut packet.continuation {
            property(wire, CONTINUATION, |wire| {
                wire.pad(4)?;
                wire.rest(continuation)
            })?;
        }
        if !packet.userdata.is_empty() {
            property(wire, USERDATA, |wire| wire.rest(&mut packet.userdata))?;
        }
        Ok(())
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Done {
        let packet = &mut self.0;
        let (mut full_len, mut has_packet) = (None, false);
        packet.cookie = u64::MAX;
        packet.reason = PacketInReason::NoMatch;
        while let [high, low, ..] = *wire.left() {
            let kind = u16::from_be_bytes([high, low]);
            property(wire, kind, |wire| match kind {
                PACKET => {
                    has_packet = true;
                    wire.rest(&mut packet.packet)
                }
                FULL_LEN => wire.u32(full_len.get_or_insert(0)),
                BUFFER => wire.u32(packet.buffer.get_or_insert(0)),
                TABLE => wire.u8(&mut packet.table.0),
                COOKIE => {
                    wire.pad(4)?;
                    wire.u64(&mut packet.cookie)
                }
                REASON => reason(wire, &mut packet.reason),
                METADATA => wire.fields(&mut packet.metadata),
                USERDATA => wire.rest(&mut packet.userdata),
                CONTINUATION => {
                    wire.pad(4)?;
                    wire.rest(packet.continuation.get_or_insert_default())
                }
                _ => Err(Refusal::PropBadType),
            })?;
        }
        wire.end()?;
        if !has_packet && packet.buffer.is_none() {
            return Err(Refusal::PropBadLen);
        }
        let len = u32::try_from(packet.packet.len()).unwrap_or(u32::MAX);
        packet.full_len = full_len.unwrap_or(len).max(len);
        Ok(())
    }
}

impl Layout for PacketIn2 {
    fn blank() -> Self {
        Self(PacketIn::default())
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.is_reading() { self.read(wire) } else { self.write(wire) }
    }
}
