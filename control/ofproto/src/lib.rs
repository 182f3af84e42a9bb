//! Flow tables, groups and meters: what requests make of them.  This crate knows no socket, no
//! clock and no bytes.
//!
//! [`FlowBridge`] is the mutable side of one bridge.  A request changes it, or is refused and changes
//! nothing.  What came of it is one [`Outcome`]: changes for those who decide about packets, which
//! a publisher makes a snapshot of, and messages for controllers.
#![forbid(unsafe_code)]

mod bridge;
mod bundle;
mod flows;
mod groups;
mod meters;
mod monitor;
mod options;
mod ports;
mod roles;
mod tables;
mod time;

pub use bridge::{
    BridgeRequest, FailMode, Failure, FinSeen, FlowBridge, FlowChange, MonitorEvent, Outcome,
    Oversight, OwnFlow, RemovedFlow, RuleUse, Totals,
};
pub use bundle::{
    BUNDLE_IDLE_MILLIS, BUNDLED_MAX, BUNDLES_MAX, BundleFlags, BundleId, Bundled, Bundles,
};
pub use flows::Learning;
pub use groups::{BucketUse, GroupEntry};
pub use meters::{BANDS_MAX, METERS_MAX, MeterEntry};
pub use monitor::{ConnectionId, FlowView, MonitorUpdate, MonitorUpdates, Origin};
pub use ports::PortEntry;
pub use roles::{RoleOutcome, Roles};
pub use tables::{Details, Flow, Lookups, MESSAGE_PRIORITY_MAX, Position, TableConfig};
pub use time::Time;
