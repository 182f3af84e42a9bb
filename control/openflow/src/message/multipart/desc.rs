//! Who made the switch.

use crate::message::wire::{Done, Layout, Wire};

/// Who made the switch, and what runs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desc {
    /// Who made it: the stock switch says `Nicira, Inc.`, and scripts look for it.
    pub manufacturer: String,
    /// What it is: the stock switch says `Open vSwitch`.
    pub hardware: String,
    /// What runs on it: the stock switch says its version.
    pub software: String,
    /// Its serial number: the stock switch says `None`.
    pub serial: String,
    /// What its owner calls it: the stock switch says `None`.
    pub datapath: String,
}

impl Layout for Desc {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.text(256, &mut self.manufacturer)?;
        wire.text(256, &mut self.hardware)?;
        wire.text(256, &mut self.software)?;
        wire.text(32, &mut self.serial)?;
        wire.text(256, &mut self.datapath)
    }
}
