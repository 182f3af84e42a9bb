//! The process: options, logging, control sockets, and the loop that everything runs on.

mod control;
pub mod detach;
pub mod doctor;
pub mod engine;
pub(crate) mod errand;
mod lend;
pub mod options;
pub(crate) mod parts;
pub mod pidfile;
mod presence;
pub mod run;
pub mod turns;
pub mod unixctl;
pub mod vlog;
