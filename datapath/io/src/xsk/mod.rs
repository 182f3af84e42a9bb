//! `AF_XDP`: memory shared with the kernel, and the rings that pass it to and fro.

pub mod abi;
pub mod config;
mod fill;
mod join;
mod large;
pub mod queue;
pub mod ring;
pub(crate) mod rings;
mod superframes;
pub mod umem;
pub mod watch;
