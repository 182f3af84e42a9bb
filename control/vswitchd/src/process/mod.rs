//! The process: options, logging, control sockets, and the loop that everything runs on.

mod control;
pub mod detach;
pub mod options;
pub mod pidfile;
mod presence;
pub mod run;
