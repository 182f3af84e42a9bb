//! The drivers of control protocols: time and frames in, gates and flushes out.

pub mod guards;
pub mod snooping;
pub mod spanning;
