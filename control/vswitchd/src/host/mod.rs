//! The host: the kernel's tables, and the devices, programs and sockets that are opened.

pub(crate) mod apply;
pub(crate) mod descriptors;
pub mod kernel;
pub mod links;
pub mod machine;
pub(crate) mod nic;
pub(crate) mod parallel;
pub(crate) mod pins;
pub mod taps;
