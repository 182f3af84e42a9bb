//! Frames that go by way of the kernel's network stack: the TAP of an internal port, and the packet
//! sockets of a NIC that somebody taps.
//!
//! Both hand frames over with an offload header: checksums not filled in and super-frames not cut.
//! Both are finished in software, so that a whole super-frame costs one system call.

pub(crate) mod join;
pub(crate) mod packet;
mod queue;
mod vnet;

pub use packet::packet_queue;
pub use queue::StackQueue;
pub(crate) use queue::{CUT_SEGMENTS_MAX, SUPERFRAME_BYTES_MAX};

/// Bytes of the offload header without the field for merged buffers.
pub(crate) const VNET_HEADER_BYTES: usize = 10;
