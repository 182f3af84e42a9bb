//! The switch itself: what happens to a frame between RX and TX.
//!
//! This crate decides.  It never names a file descriptor, a thread or a clock: frames come from a
//! [`FrameIo`], time comes in as [`Tick`], configuration as one immutable [`Snapshot`].  Read
//! [`pipeline`] first.
#![forbid(unsafe_code)]

pub mod batch;
pub mod capture;
mod chunked;
pub mod counters;
pub mod datapath;
pub mod drop;
pub mod fdb;
mod fdb_age;
mod fragment;
pub mod frame;
mod icmp;
pub mod ids;
mod limit;
pub mod loop_guard;
pub mod mcast;
pub mod mirror;
mod moves;
mod mss;
pub mod pipeline;
pub mod recent;
pub mod rstp;
pub mod sighting;
pub mod snapshot;
pub mod stage;
pub mod stp;
pub mod trace;
pub mod tunnel;
pub mod tunnel_table;
pub mod vlan;

pub use batch::{BATCH_MAX, Batch, Meta, Verdict};
pub use capture::{Capture, Direction};
pub use counters::{Counters, LinkCounters, MirrorCounters, PortCounters};
pub use datapath::{Announcement, Datapath};
pub use drop::DropReason;
pub use fdb::{Fdb, FdbRecord, FdbStats, Learned, Station};
pub use frame::{Charge, Fate, FrameBuf, FrameIo};
pub use ids::{BridgeId, LinkId, MirrorId, PortId, Tick, WorkerId};
pub use mirror::{MirrorConf, MirrorOutput, MirroredPorts};
pub use recent::Flow;
pub use sighting::Sighting;
pub use snapshot::{
    BridgeConf, LinkConf, LinkRole, PortConf, PortKind, Snapshot, SnapshotBuilder, Vtep,
};
pub use tunnel::{
    Csum, Encap, InKey, Local, NextHop, OrInherit, Reach, Sequence, TunnelConf, TunnelKey,
};
pub use tunnel_table::TunnelTable;
pub use vlan::{PriorityTags, RawTag, VidSet, VlanConf, VlanMode};
