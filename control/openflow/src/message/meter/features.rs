//! What a switch can do with meters.

use crate::message::wire::{Done, Layout, Wire};

/// What a switch can do with meters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeterFeatures {
    /// How many there can be; ovn-controller uses none where this is 0.
    pub max_meters: u32,
    /// Types of bands: a bit for each number of a type.
    pub band_types: u32,
    /// Flags that meters may have.
    pub capabilities: u32,
    /// How many bands a meter can have.
    pub max_bands: u8,
    /// How many colours there are.
    pub max_color: u8,
}

impl MeterFeatures {
    /// What a switch like the stock one says: bands that drop, all flags.
    pub const OF_SWITCH: Self =
        Self { max_meters: 0x4_0000, band_types: 2, capabilities: 0xf, max_bands: 8, max_color: 0 };
}

impl Layout for MeterFeatures {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u32(&mut self.max_meters)?;
        wire.u32(&mut self.band_types)?;
        wire.u32(&mut self.capabilities)?;
        wire.u8(&mut self.max_bands)?;
        wire.u8(&mut self.max_color)?;
        wire.pad(2)
    }
}
