//! Flows as values: fields, matches, actions, and the requests that change tables.
//!
//! One form for all versions of `OpenFlow`: the codec makes these values from bytes, tables keep
//! them, the datapath decides by them, and texts are printed from them.  This crate knows no message
//! of `OpenFlow`, no socket and no clock.
//!
//! Read [`field`] first: a [`Field`] is what a message names, a [`Slot`] is where its bits are.
//! A [`Key`] has a value for each slot: what tables know of a packet.
#![forbid(unsafe_code)]

pub mod action;
pub mod cache;
pub mod classifier;
mod extensions;
pub mod field;
#[cfg(test)]
mod frames;
mod group;
pub mod key;
mod matching;
mod port;
pub mod program;
pub mod request;
pub mod rewrite;
mod rule;
pub mod tlv;
mod version;
pub mod walk;

pub use action::Action;
pub use classifier::{Classifier, Tables};
pub use field::{Field, Place, Slot, Subfield};
pub use group::{Group, Meter};
pub use key::{Key, Mask};
pub use matching::{Bits, Match};
pub use port::PortNo;
pub use rule::{Rule, RuleId};
pub use tlv::TlvMap;
pub use version::Version;

/// The id of a group: 0 to `0xffff_ff00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The largest id that a group can have.
    pub const MAX: Self = Self(0xffff_ff00);
    /// All groups, in deletions.
    pub const ALL: Self = Self(0xffff_fffc);
    /// No group, or any.
    pub const ANY: Self = Self(0xffff_ffff);
}

/// The id of a meter: 1 to `0xffff_0000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MeterId(pub u32);

impl MeterId {
    /// The largest id that a meter can have.
    pub const MAX: Self = Self(0xffff_0000);
    /// The meter of packets that go to the slow path.
    pub const SLOWPATH: Self = Self(0xffff_fffd);
    /// The meter of packets that go to the controller.
    pub const CONTROLLER: Self = Self(0xffff_fffe);
    /// All meters, in deletions and statistics.
    pub const ALL: Self = Self(0xffff_ffff);
}

/// The number of a table: 0 to 253.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TableId(pub u8);

impl TableId {
    /// How many tables a bridge has that messages can name.
    pub const COUNT: u8 = 254;
    /// The table of flows of the switch's own; no message changes it.
    pub const INTERNAL: Self = Self(254);
    /// All tables, where a message may say so.
    pub const ALL: Self = Self(255);
}
