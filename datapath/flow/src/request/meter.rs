//! Requests that add, change and delete meters.

use crate::MeterId;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeterCommand {
    /// Adds a meter that is not there.
    Add,
    /// Changes a meter that is there.
    Modify,
    /// Deletes a meter, or all; one that is not there is no error.
    Delete,
}

/// Flags of meters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct MeterFlags {
    /// Rates are kilobits a second.
    pub kbps: bool,
    /// Rates are packets a second.
    pub pktps: bool,
    /// Bands have a burst.
    pub burst: bool,
    /// Collects statistics.
    pub stats: bool,
}

/// What happens above a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    /// Packets are dropped.
    Drop {
        /// In the unit of the meter, at least 1.
        rate: u32,
        /// Kilobits or packets.
        burst: u32,
    },
    /// The drop precedence of the DSCP goes up.
    DscpRemark {
        /// In the unit of the meter, at least 1.
        rate: u32,
        /// Kilobits or packets.
        burst: u32,
        /// By how many levels.
        levels: u8,
    },
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterCommand,
    /// Which meter; [`MeterId::ALL`] in deletions.
    pub id: MeterId,
    /// Flags.
    pub flags: MeterFlags,
    /// What happens above which rate.
    pub bands: Box<[Band]>,
}
