//! Requests that change ports, as messages.

use super::port::config;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::{PortConfig, PortMod, Refusal};
use weft_flow::{PortNo, Version};

/// The property of ports of Ethernet: what to offer.
const ETHERNET: u16 = 0;

impl Layout for PortMod {
    fn blank() -> Self {
        let none = PortConfig::default();
        Self { port: PortNo(0), hw_addr: [0; 6], config: none, mask: none, advertise: 0 }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        wire.port(&mut self.port)?;
        if version > Version::V10 {
            wire.pad(4)?;
        }
        wire.array(&mut self.hw_addr)?;
        if version > Version::V10 {
            wire.pad(2)?;
        }
        config(wire, &mut self.config)?;
        config(wire, &mut self.mask)?;
        if version < Version::V14 {
            wire.u32(&mut self.advertise)?;
            return wire.pad(4);
        }
        let has_property =
            if wire.is_reading() { !wire.left().is_empty() } else { self.advertise != 0 };
        if has_property { property(wire, &mut self.advertise) } else { Ok(()) }
    }
}

fn property(wire: &mut Wire<'_>, advertise: &mut u32) -> Done {
    let mut kind = ETHERNET;
    wire.block(2, |wire| {
        wire.u16(&mut kind)?;
        if kind != ETHERNET {
            return Err(Refusal::PropBadType);
        }
        wire.length()?;
        wire.u32(advertise)
    })
}
