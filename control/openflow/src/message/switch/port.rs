//! Ports as replies describe them.

use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::{PortConfig, Refusal};
use weft_flow::{PortNo, Version};

/// What a port is in now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortState {
    /// There is no link.
    pub link_down: bool,
    /// Something outside of the tables blocks it: 1.1 and later.
    pub blocked: bool,
    /// Fast failover may choose it: 1.1 and later.
    pub live: bool,
    /// The state of its spanning tree: 0 listening, 1 learning, 2 forwarding, 3 blocking: 1.0.
    pub stp: u8,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortDesc {
    /// Its number.
    pub port: PortNo,
    /// Its address.
    pub hw_addr: [u8; 6],
    /// Its name: at most 15 bytes of it are said.
    pub name: String,
    /// What controllers have forbidden it.
    pub config: PortConfig,
    /// What it is in now.
    pub state: PortState,
    /// What its link is, in the bits of 1.1: speeds from bit 0 on, 10 Mb/s half duplex first.
    pub current: u32,
    /// What it offers its peer.
    pub advertised: u32,
    /// What it could.
    pub supported: u32,
    /// What its peer offers.
    pub peer: u32,
    /// Kilobits a second: 1.1 and later.
    pub current_kbps: u32,
    /// Kilobits a second: 1.1 and later.
    pub max_kbps: u32,
}

/// Bits of link features that 1.0 and later versions have in the same places.
const SPEEDS: u32 = 0x7f;
/// How far 1.0's kinds of media and negotiation are below those of 1.1.
const MEDIA_SHIFT: u32 = 4;
const MEDIA: u32 = 0xf800;

/// Link features, whose bits moved after 1.0.
fn link(wire: &mut Wire<'_>, features: &mut u32) -> Done {
    if wire.version() > Version::V10 {
        return wire.u32(features);
    }
    let mut old = *features & SPEEDS | (*features & MEDIA) >> MEDIA_SHIFT;
    wire.u32(&mut old)?;
    *features = old & SPEEDS | (old << MEDIA_SHIFT) & MEDIA;
    Ok(())
}

/// What is forbidden: the flag for floods is 1.0's only.
pub(super) fn config(wire: &mut Wire<'_>, config: &mut PortConfig) -> Done {
    let mut flags = [
        (1, &mut config.down),
        (1 << 2, &mut config.no_recv),
        (1 << 5, &mut config.no_fwd),
        (1 << 6, &mut config.no_packet_in),
        (1 << 4, &mut config.no_flood),
    ];
    let count = if wire.version() == Version::V10 { 5 } else { 4 };
    wire.flags(Width::U32, flags.get_mut(..count).unwrap_or_default(), None)
}

fn state(wire: &mut Wire<'_>, state: &mut PortState) -> Done {
    if wire.version() > Version::V10 {
        let mut flags =
            [(1, &mut state.link_down), (1 << 1, &mut state.blocked), (1 << 2, &mut state.live)];
        return wire.flags(Width::U32, &mut flags, None);
    }
    let mut old = u32::from(state.link_down) | u32::from(state.stp & 3) << 8;
    wire.u32(&mut old)?;
    state.link_down = old & 1 != 0;
    state.stp = u8::try_from(old >> 8 & 3).unwrap_or_default();
    Ok(())
}

impl PortDesc {
    fn links(&mut self, wire: &mut Wire<'_>) -> Done {
        for features in
            [&mut self.current, &mut self.advertised, &mut self.supported, &mut self.peer]
        {
            link(wire, features)?;
        }
        if wire.version() > Version::V10 {
            wire.u32(&mut self.current_kbps)?;
            wire.u32(&mut self.max_kbps)?;
        }
        Ok(())
    }

    /// The form of 1.4 and later: properties, of which that of Ethernet is read.
    fn properties(&mut self, wire: &mut Wire<'_>) -> Done {
        if !wire.is_reading() {
            return self.ethernet(wire);
        }
        while let [high, low, ..] = *wire.left() {
            if u16::from_be_bytes([high, low]) == ETHERNET {
                self.ethernet(wire)?;
            } else {
                wire.block(2, |wire| {
                    let mut other = Box::default();
                    wire.pad(2)?;
                    wire.length()?;
                    wire.rest(&mut other)
                })?;
            }
        }
        wire.end()
    }

    fn ethernet(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(2, |wire| {
            wire.u16(&mut { ETHERNET })?;
            wire.length()?;
            wire.pad(4)?;
            self.links(wire)
        })
    }
}

/// The property of ports of Ethernet.
const ETHERNET: u16 = 0;
/// Bytes of a name, with the zero behind it.
const NAME_BYTES: usize = 16;

impl Layout for PortDesc {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        if version < Version::V14 {
            wire.port(&mut self.port)?;
            if version > Version::V10 {
                wire.pad(4)?;
            }
            wire.array(&mut self.hw_addr)?;
            if version > Version::V10 {
                wire.pad(2)?;
            }
            wire.text(NAME_BYTES, &mut self.name)?;
            config(wire, &mut self.config)?;
            state(wire, &mut self.state)?;
            return self.links(wire);
        }
        wire.block(4, |wire| {
            wire.port(&mut self.port)?;
            wire.length()?;
            wire.pad(2)?;
            wire.array(&mut self.hw_addr)?;
            wire.pad(2)?;
            wire.text(NAME_BYTES, &mut self.name)?;
            config(wire, &mut self.config)?;
            state(wire, &mut self.state)?;
            self.properties(wire)
        })
    }
}

/// What happened to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PortChange {
    /// It came.
    #[default]
    Added,
    /// It went.
    Deleted,
    /// It is another now: its link, what is forbidden, its address.
    Modified,
}

/// Says what happened to a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortStatus {
    /// What happened.
    pub change: PortChange,
    /// The port, as it is or was.
    pub port: PortDesc,
}

impl Layout for PortStatus {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        use PortChange::{Added, Deleted, Modified};
        let rows = [(0, Added), (1, Deleted), (2, Modified)];
        wire.choice(Width::U8, &mut self.change, &rows, Refusal::BadReason)?;
        wire.pad(7)?;
        self.port.layout(wire)
    }
}
