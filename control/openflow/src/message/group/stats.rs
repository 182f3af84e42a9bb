//! What replies say of the use of groups.

use crate::message::wire::{Done, Layout, Wire};
use std::time::Duration;
use weft_flow::{GroupId, Version};

/// The use of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Packets.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The use of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Which group.
    pub id: GroupId,
    /// How many flows and groups use it.
    pub references: u32,
    /// Packets; all ones if nobody knows.
    pub packets: u64,
    /// Bytes of them; all ones if nobody knows.
    pub bytes: u64,
    /// How long it is there: 1.3 and later say it.
    pub duration: Duration,
    /// Of each of its buckets.
    pub buckets: Vec<BucketStats>,
}

impl Layout for BucketStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u64(&mut self.packets)?;
        wire.u64(&mut self.bytes)
    }
}

impl Layout for GroupStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(0, |wire| {
            wire.length()?;
            wire.pad(2)?;
            wire.u32(&mut self.id.0)?;
            wire.u32(&mut self.references)?;
            wire.pad(4)?;
            wire.u64(&mut self.packets)?;
            wire.u64(&mut self.bytes)?;
            // Nicira's form in 1.0 has it too.
            if !matches!(wire.version(), Version::V11 | Version::V12) {
                wire.duration(&mut self.duration)?;
            }
            wire.list(&mut self.buckets)
        })
    }
}
