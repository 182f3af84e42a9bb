//! Multicast snooping: frames for a group go to those who asked for it (RFC 4541).
//!
//! [`Mdb`] is what one bridge has heard: who is a member of which group, and where routers are.
//! It is a pure state machine.  A control thread owns one per bridge and
//!
//! - calls [`Mdb::receive`] with each copy that a worker hands up, [`Mdb::expire`] about once a
//!   second, and [`Mdb::flush`] or [`Mdb::forget_port`] when what was learned is void;
//! - gives [`Mdb::lists`] to all workers when [`Mdb::take_changed`] says so.
//!
//! The rules are those of Open vSwitch 3.1.  An IP packet to a group address on a bridge that snoops
//! goes
//!
//! | what | to |
//! | --- | --- |
//! | IGMP reports and leaves, MLD reports and dones | routers of the VLAN, ports that flood reports |
//! | other IGMP, MLD queries, 224.0.0.0/24, `ff02::1` | all |
//! | a group with members | these, routers of the VLAN, ports that flood |
//! | any other | all, or routers of the VLAN and ports that flood |
//!
//! The group is the IP destination; 32 groups share one address of Ethernet.  Broadcasts, and group
//! addresses of other protocols, are flooded as ever.
//!
//! Where this differs from Open vSwitch: a membership ages by itself, and not only when its group is
//! the one heard of longest ago; a report is taken whole or not at all, and the auxiliary data of its
//! records has the unit of RFC 3376; a group that is no group address is not learned; what a port
//! taught goes with its link; and a port never gets frames of a VLAN that it does not carry.

mod lists;
mod mdb;
mod message;

pub use lists::{List, Traffic};
pub use mdb::{Entry, EntryKind, Mdb, ROUTER_AGE_SECS, SnoopingPort, SnoopingSettings};
