//! Requests that forget connections.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::Refusal;

/// One direction of a connection; what is nothing may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtTuple {
    /// The source; IPv4 as `::ffff:a.b.c.d`.
    pub source: Option<[u8; 16]>,
    /// The destination.
    pub destination: Option<[u8; 16]>,
    /// The source port.
    pub source_port: Option<u16>,
    /// The destination port.
    pub destination_port: Option<u16>,
    /// The id of ICMP.
    pub icmp_id: Option<u16>,
    /// The type of ICMP.
    pub icmp_type: Option<u8>,
    /// The code of ICMP.
    pub icmp_code: Option<u8>,
}

/// Which connections are to be forgotten: those that are all of this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtFlush {
    /// The number of the IP protocol; 0: any.
    pub protocol: u8,
    /// The direction that the first packet had.
    pub original: Option<CtTuple>,
    /// The direction of answers.
    pub reply: Option<CtTuple>,
    /// The zone.
    pub zone: Option<u16>,
}

/// Properties of the request.
const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;
/// Properties of a direction.
const SOURCE: u16 = 0;
const DESTINATION: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
const ICMP_TYPE: u16 = 5;
const ICMP_CODE: u16 = 6;

fn property(wire: &mut Wire<'_>, mut kind: u16, body: impl FnOnce(&mut Wire<'_>) -> Done) -> Done {
    let mark = wire.mark();
    wire.block(2, |wire| {
        wire.u16(&mut kind)?;
        wire.length()?;
        body(wire)
    })
    .map_err(|refusal| if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal })?;
    wire.align_short(8, mark)
}

/// A number of 16 bits, in a property as long as its place.
fn short(wire: &mut Wire<'_>, value: &mut u16) -> Done {
    wire.u16(value)?;
    wire.pad(2)
}

fn byte(wire: &mut Wire<'_>, value: &mut u8) -> Done {
    wire.u8(value)?;
    if wire.is_reading() && wire.left().is_empty() { Ok(()) } else { wire.pad(3) }
}

/// The numbers of the properties that are there, in order.
fn next_kind(wire: &Wire<'_>) -> Option<u16> {
    match *wire.left() {
        [high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

impl CtTuple {
    fn one(&mut self, wire: &mut Wire<'_>, kind: u16) -> Done {
        property(wire, kind, |wire| match kind {
            SOURCE => wire.array(self.source.get_or_insert_default()),
            DESTINATION => wire.array(self.destination.get_or_insert_default()),
            SOURCE_PORT => short(wire, self.source_port.get_or_insert_default()),
            DESTINATION_PORT => short(wire, self.destination_port.get_or_insert_default()),
            ICMP_ID => short(wire, self.icmp_id.get_or_insert_default()),
            ICMP_TYPE => byte(wire, self.icmp_type.get_or_insert_default()),
            ICMP_CODE => byte(wire, self.icmp_code.get_or_insert_default()),
            // The stock switch reads on.
            _ => wire.rest(&mut Box::default()),
        })
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        // What is nested begins at a multiple of 8 bytes.
        wire.pad(4)?;
        if wire.is_reading() {
            while let Some(kind) = next_kind(wire) {
                self.one(wire, kind)?;
            }
            return wire.end();
        }
        let there = [
            self.source.is_some(),
            self.destination.is_some(),
            self.source_port.is_some(),
            self.destination_port.is_some(),
            self.icmp_id.is_some(),
            self.icmp_type.is_some(),
            self.icmp_code.is_some(),
        ];
        for (kind, _) in (0..).zip(there).filter(|(_, is_there)| *is_there) {
            self.one(wire, kind)?;
        }
        Ok(())
    }
}

/// True for an IPv4 address.
const fn is_v4(address: [u8; 16]) -> bool {
    matches!(address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
}

impl CtFlush {
    /// Refuses addresses of IPv4 beside those of IPv6.
    fn check_families(&self) -> Done {
        let tuples = self.original.iter().chain(&self.reply);
        let mut families = tuples.flat_map(|tuple| [tuple.source, tuple.destination]).flatten();
        let first = families.next().map(is_v4);
        if families.all(|address| Some(is_v4(address)) == first) {
            Ok(())
        } else {
            Err(Refusal::PropBadValue)
        }
    }

    fn one(&mut self, wire: &mut Wire<'_>, kind: u16) -> Done {
        property(wire, kind, |wire| match kind {
            ORIGINAL => self.original.get_or_insert_default().layout(wire),
            REPLY => self.reply.get_or_insert_default().layout(wire),
            ZONE => short(wire, self.zone.get_or_insert_default()),
            // The stock switch reads on.
            _ => wire.rest(&mut Box::default()),
        })
    }
}

impl Layout for CtFlush {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u8(&mut self.protocol)?;
        wire.zeros(7)?;
        if wire.is_reading() {
            while let Some(kind) = next_kind(wire) {
                self.one(wire, kind)?;
            }
            wire.end()?;
            return self.check_families();
        }
        let there = [self.original.is_some(), self.reply.is_some(), self.zone.is_some()];
        for (kind, _) in (0..).zip(there).filter(|(_, is_there)| *is_there) {
            self.one(wire, kind)?;
        }
        Ok(())
    }
}
