//! From a plan to the workers: snapshots, questions, and which worker has which link.

pub(crate) mod mirrors;
pub mod placement;
pub mod publish;
pub(crate) mod rebalance;
pub mod supervise;
pub mod workers;
