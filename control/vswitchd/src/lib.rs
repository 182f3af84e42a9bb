//! weftd: turns what the operator wants into snapshots for the workers, and what they did into
//! rows of the database.
//!
//! One thread, one loop (`process/control/`): the database, the kernel, control sockets, workers and
//! timers, one event after the other.  A config change passes `config/desired/mod.rs`, `plan/mod.rs`, `lower/apply.rs`,
//! `lower/publish.rs` and `report/status.rs` in this order; `engine/mod.rs` walks it.
#![forbid(unsafe_code)]

pub mod command;
pub mod config;
pub mod coverage;
pub(crate) mod disk_fault;
pub mod engine;
pub mod host;
pub mod lower;
pub mod netlink;
pub mod plan;
pub mod process;
pub mod protocols;
pub mod report;
pub mod serve;
pub mod store;
pub mod trace;
pub mod turns;
pub mod underlay;
pub mod vlog;
pub mod workers;
