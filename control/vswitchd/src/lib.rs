//! weftd: turns what the operator wants into snapshots for the workers, and what they did into
//! rows of the database.
//!
//! One thread, one loop (`run.rs`): the database, the kernel's news, control sockets, workers and
//! timers, one event after the other.  Read `desired.rs`, `plan.rs`, `apply.rs`, `publish.rs` and
//! `status.rs` in this order: that is the life of a config change, and `engine.rs` walks it.
#![forbid(unsafe_code)]

mod apply;
pub mod capture;
pub mod command;
pub mod common;
pub mod coverage;
pub mod database;
pub mod dead_ends;
mod descriptors;
pub mod desired;
pub mod detach;
mod disk_fault;
pub mod doctor;
pub mod duplicates;
pub mod engine;
mod errand;
pub mod explain;
pub mod flow;
pub mod guards;
pub mod ignored;
pub mod kernel;
#[cfg(test)]
mod known_tests;
pub mod links;
pub mod machine;
pub mod metrics;
mod mirrors;
pub mod names;
pub mod news;
mod nic;
pub mod odp;
pub mod ofport;
pub mod options;
mod parallel;
pub mod path_mtu;
pub mod pidfile;
mod pins;
pub mod placement;
pub mod plan;
pub mod planned;
pub mod publish;
pub mod purge;
mod rebalance;
mod report;
pub mod run;
pub mod silence;
pub mod snooping;
pub mod spanning;
pub mod status;
pub mod store;
pub mod supervise;
pub mod taps;
pub mod tunnel_options;
pub mod tunnels;
pub mod turns;
mod underlay_errors;
pub mod unixctl;
pub mod vlog;
pub mod walk;
pub mod ways;
pub mod workers;
