//! Traces and sampled traffic in words.

pub mod explain;
pub mod flow;
pub mod odp;
pub mod walk;
