//! What a switch can do with groups.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::{GroupId, Version};

/// What a switch can do with groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupFeatures {
    /// Types that it has: a bit for each number of a type.
    pub types: u32,
    /// As on the wire: 1 weights, 2 liveness, 4 groups in groups, 8 checks for loops of those.
    pub capabilities: u32,
    /// How many groups of each type there can be.
    pub max_groups: [u32; 4],
    /// Actions in buckets of each type: a bit for each number of an action.
    pub actions: [u32; 4],
}

impl GroupFeatures {
    /// What a switch like the stock one says: all types, all of its actions.
    #[must_use]
    pub const fn of_switch(version: Version) -> Self {
        let actions = match version {
            Version::V10 => 0x0fff,
            Version::V11 => 0x01ff_e7ff,
            Version::V12 | Version::V13 | Version::V14 | Version::V15 => 0x03ff_8001,
        };
        let max = GroupId::MAX.0;
        Self { types: 0xf, capabilities: 7, max_groups: [max; 4], actions: [actions; 4] }
    }
}

impl Layout for GroupFeatures {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u32(&mut self.types)?;
        wire.u32(&mut self.capabilities)?;
        for number in self.max_groups.iter_mut().chain(&mut self.actions) {
            wire.u32(number)?;
        }
        Ok(())
    }
}
