//! `AF_XDP`: memory shared with the kernel, and the rings that pass it to and fro.

pub mod abi;
mod fill;
mod join;
mod large;
pub mod open;
pub mod queue;
pub mod ring;
mod superframes;
pub mod umem;
