//! The process: options, logging, control sockets, and the loop that everything runs on.

pub mod detach;
pub mod doctor;
pub mod engine;
pub(crate) mod errand;
pub mod options;
pub mod pidfile;
pub mod run;
pub mod turns;
pub mod unixctl;
pub mod vlog;
