//! The sockets of the daemon's own clients: what they ask for becomes a request to the loop.

pub mod capture;
pub mod metrics;
pub mod unixctl;
