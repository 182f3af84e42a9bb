//! The use of ports.

use crate::message::wire::{Done, Layout, Wire};
use std::time::Duration;
use weft_flow::{PortNo, Version};

/// A number that nobody knows.
const UNKNOWN: u64 = u64::MAX;
/// How many counters RFC 2819 has here.
const RMON: usize = 21;
const ETHERNET: u16 = 0;
const EXPERIMENTER: u16 = 0xffff;
const INTEL: u32 = 0x0000_aa01;
/// Intel's property with the counters of RFC 2819.
const RFC2819: u32 = 1;
/// Intel's property with counters that have names.
const CUSTOM: u32 = 2;

/// The use of a port.  A counter that nobody knows is all ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStats {
    /// Which port.
    pub port: PortNo,
    /// How long it is there, if anybody knows: 1.3 and later.
    pub duration: Option<Duration>,
    /// Packets in.
    pub rx_packets: u64,
    /// Packets out.
    pub tx_packets: u64,
    /// Bytes in.
    pub rx_bytes: u64,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Packets in that were dropped.
    pub rx_dropped: u64,
    /// Packets out that were dropped.
    pub tx_dropped: u64,
    /// Packets in with errors.
    pub rx_errors: u64,
    /// Packets out with errors.
    pub tx_errors: u64,
    /// Packets in that end within a byte.
    pub rx_frame_errors: u64,
    /// Packets in for which there was no room.
    pub rx_over_errors: u64,
    /// Packets in with bad check sums.
    pub rx_crc_errors: u64,
    /// Collisions.
    pub collisions: u64,
    /// Counters of RFC 2819, in the order of Intel's property: 1.4 and later.
    pub rmon: Option<Box<[u64; RMON]>>,
    /// Counters with names of at most 255 bytes: 1.4 and later.
    pub custom: Vec<(String, u64)>,
}

impl Default for PortStats {
    fn default() -> Self {
        Self {
            port: PortNo(0),
            duration: None,
            rx_packets: UNKNOWN,
            tx_packets: UNKNOWN,
            rx_bytes: UNKNOWN,
            tx_bytes: UNKNOWN,
            rx_dropped: UNKNOWN,
            tx_dropped: UNKNOWN,
            rx_errors: UNKNOWN,
            tx_errors: UNKNOWN,
            rx_frame_errors: UNKNOWN,
            rx_over_errors: UNKNOWN,
            rx_crc_errors: UNKNOWN,
            collisions: UNKNOWN,
            rmon: None,
            custom: Vec::new(),
        }
    }
}

impl PortStats {
    fn packets(&mut self, wire: &mut Wire<'_>) -> Done {
        for counter in [
            &mut self.rx_packets,
            &mut self.tx_packets,
            &mut self.rx_bytes,
            &mut self.tx_bytes,
            &mut self.rx_dropped,
            &mut self.tx_dropped,
            &mut self.rx_errors,
            &mut self.tx_errors,
        ] {
            wire.u64(counter)?;
        }
        Ok(())
    }

    fn ethernet(&mut self, wire: &mut Wire<'_>) -> Done {
        for counter in [
            &mut self.rx_frame_errors,
            &mut self.rx_over_errors,
            &mut self.rx_crc_errors,
            &mut self.collisions,
        ] {
            wire.u64(counter)?;
        }
        Ok(())
    }

    fn custom(&mut self, wire: &mut Wire<'_>) -> Done {
        let mut count = u16::try_from(self.custom.len()).unwrap_or(u16::MAX);
        wire.pad(2)?;
        wire.u16(&mut count)?;
        if wire.is_reading() {
            self.custom.clear();
            for _ in 0..count {
                let mut counter = (String::new(), 0);
                name(wire, &mut counter.0)?;
                wire.u64(&mut counter.1)?;
                self.custom.push(counter);
            }
            return Ok(());
        }
        for counter in self.custom.iter_mut().take(count.into()) {
            name(wire, &mut counter.0)?;
            wire.u64(&mut counter.1)?;
        }
        Ok(())
    }

    fn write(&mut self, wire: &mut Wire<'_>) -> Done {
        property(wire, ETHERNET, 0, 0, |wire| self.ethernet(wire))?;
        if let Some(rmon) = &mut self.rmon {
            property(wire, EXPERIMENTER, INTEL, RFC2819, |wire| {
                rmon.iter_mut().try_for_each(|counter| wire.u64(counter))
            })?;
        }
        if !self.custom.is_empty() {
            property(wire, EXPERIMENTER, INTEL, CUSTOM, |wire| self.custom(wire))?;
        }
        Ok(())
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Done {
        while let [high, low, _, _, a, b, c, d, rest @ ..] = wire.left() {
            let kind = u16::from_be_bytes([*high, *low]);
            let who = u32::from_be_bytes([*a, *b, *c, *d]);
            let subtype = rest.first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
            property(wire, kind, who, subtype, |wire| match (kind, who, subtype) {
                (ETHERNET, ..) => self.ethernet(wire),
                (EXPERIMENTER, INTEL, RFC2819) => {
                    let rmon = self.rmon.get_or_insert_with(|| Box::new([UNKNOWN; RMON]));
                    rmon.iter_mut().try_for_each(|counter| wire.u64(counter))
                }
                (EXPERIMENTER, INTEL, CUSTOM) => self.custom(wire),
                _ => wire.rest(&mut Box::default()),
            })?;
        }
        wire.end()
    }
}

/// A name behind its length.
fn name(wire: &mut Wire<'_>, name: &mut String) -> Done {
    let mut len = u8::try_from(name.len()).unwrap_or(u8::MAX);
    wire.u8(&mut len)?;
    let mut bytes: Box<[u8]> = name.as_bytes().iter().copied().take(len.into()).collect();
    wire.within(len.into(), |wire| wire.rest(&mut bytes))?;
    if wire.is_reading() {
        *name = String::from_utf8_lossy(&bytes).into_owned();
    }
    Ok(())
}

fn property(
    wire: &mut Wire<'_>,
    mut kind: u16,
    mut who: u32,
    mut subtype: u32,
    body: impl FnOnce(&mut Wire<'_>) -> Done,
) -> Done {
    let mark = wire.mark();
    wire.block(2, |wire| {
        wire.u16(&mut kind)?;
        wire.length()?;
        if kind != EXPERIMENTER {
            wire.pad(4)?;
            return body(wire);
        }
        wire.u32(&mut who)?;
        wire.u32(&mut subtype)?;
        if (who, subtype) == (INTEL, RFC2819) {
            wire.pad(4)?;
        }
        body(wire)
    })?;
    wire.align_short(8, mark)
}

impl Layout for PortStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        if version < Version::V14 {
            wire.port(&mut self.port)?;
            wire.pad(if version == Version::V10 { 6 } else { 4 })?;
            self.packets(wire)?;
            self.ethernet(wire)?;
            return if version == Version::V13 {
                wire.maybe_duration(&mut self.duration)
            } else {
                Ok(())
            };
        }
        wire.block(0, |wire| {
            wire.length()?;
            wire.pad(2)?;
            wire.port(&mut self.port)?;
            wire.maybe_duration(&mut self.duration)?;
            self.packets(wire)?;
            if wire.is_reading() { self.read(wire) } else { self.write(wire) }
        })
    }
}
