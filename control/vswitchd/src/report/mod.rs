//! What became of it: rows, counters, copies of frames.

pub mod capture;
pub mod coverage;
pub mod metrics;
pub(crate) mod rows;
pub mod status;
