//! What replies say of the use of meters.

use crate::message::wire::{Done, Layout, Wire};
use std::time::Duration;
use weft_flow::MeterId;

/// What was above the rate of a band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BandStats {
    /// Packets.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The use of a meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeterStats {
    /// Which meter.
    pub id: MeterId,
    /// How many flows use it.
    pub flows: u32,
    /// Packets that it saw.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How long it is there.
    pub duration: Duration,
    /// Of each of its bands.
    pub bands: Vec<BandStats>,
}

impl Layout for BandStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u64(&mut self.packets)?;
        wire.u64(&mut self.bytes)
    }
}

impl Layout for MeterStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(4, |wire| {
            wire.u32(&mut self.id.0)?;
            wire.length()?;
            wire.pad(6)?;
            wire.u32(&mut self.flows)?;
            wire.u64(&mut self.packets)?;
            wire.u64(&mut self.bytes)?;
            wire.duration(&mut self.duration)?;
            wire.list(&mut self.bands)
        })
    }
}
