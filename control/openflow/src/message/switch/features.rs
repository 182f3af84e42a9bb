//! What a switch says of itself first.

use super::PortDesc;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::Version;

/// What a switch says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The datapath id of the bridge.
    pub datapath_id: u64,
    /// Packets that it can keep; the stock switch keeps none.
    pub buffers: u32,
    /// How many tables it has.
    pub tables: u8,
    /// Number of an auxiliary connection: 1.3 and later.
    pub auxiliary_id: u8,
    /// As on the wire: [`capabilities`].
    pub capabilities: u32,
    /// Which actions it has, as on the wire; 0 since 1.1.
    pub actions: u32,
    /// Its ports: 1.0 to 1.2.
    pub ports: Vec<PortDesc>,
}

/// The abilities that a switch like the stock one has, as each version says them.
#[must_use]
pub const fn capabilities(version: Version) -> u32 {
    match version {
        // Statistics of flows, tables, ports and queues; addresses of ARP.
        Version::V10 => 0xc7,
        // Groups.
        Version::V11 => 0xcf,
        // No bit says ARP any more.
        Version::V12 | Version::V13 => 0x4f,
        // Bundles.
        Version::V14 | Version::V15 => 0x24f,
    }
}

impl Layout for Features {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        wire.u64(&mut self.datapath_id)?;
        wire.u32(&mut self.buffers)?;
        wire.u8(&mut self.tables)?;
        if version >= Version::V13 {
            wire.u8(&mut self.auxiliary_id)?;
            wire.pad(2)?;
        } else {
            wire.pad(3)?;
        }
        wire.u32(&mut self.capabilities)?;
        wire.u32(&mut self.actions)?;
        if version < Version::V13 { wire.list(&mut self.ports) } else { Ok(()) }
    }
}
