//! The switch itself: what happens to a frame between RX and TX.
//!
//! This crate decides.  It never names a file descriptor, a thread or a clock: frames come from a
//! [`FrameIo`], time comes in as [`Tick`], configuration as one immutable [`Snapshot`].  Read
//! [`pipeline`] first.
#![forbid(unsafe_code)]

pub mod act;
pub mod bridge;
mod datapath;
mod frame;
pub mod mcast;
mod pass;
pub mod pipeline;
mod snapshot;
pub mod tunnel;
pub mod view;

pub use bridge::{
    Announcement, Fdb, FdbRecord, FdbStats, Learned, MirrorConf, MirrorOutput, MirroredPorts, Move,
    PriorityTags, RawTag, Sighting, Station, VidSet, VlanConf, VlanMode,
};
pub use datapath::Datapath;
pub use frame::{
    BATCH_MAX, Batch, Charge, DropReason, Fate, FrameBuf, FrameIo, FrameQueue, HEADROOM_BYTES,
    Ingress, Meta, Verdict,
};
pub use snapshot::{
    BridgeConf, BridgeId, IfaceConf, IfaceId, IfaceKind, Ifaces, LinkConf, LinkId, LinkRole,
    MirrorId, PortConf, PortId, Snapshot, SnapshotBuilder, Tick, Vtep, WorkerId,
};
pub use tunnel::{
    Csum, Encap, InKey, Local, NextHop, Numbers, OrInherit, Reach, TunnelConf, TunnelKey,
    TunnelTable,
};
pub use view::sample::Sample;
pub use view::trace;
pub use view::{Capture, Counters, Direction, IfaceCounters, LinkCounters, MirrorCounters};
