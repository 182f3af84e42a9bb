//! Opening: the one place that makes descriptors.
//!
//! Most of it takes privileges, and all of it can be handed from process to process.  The rest of the crate is built
//! over descriptors, and does not ask where they come from: [`crate::XskQueue::adopt`], [`crate::Tap::over`],
//! [`crate::StackQueue::of_packet_socket`], [`crate::Region::adopt`].

mod icmp;
mod memory;
mod packet;
mod tap;
mod xsk;

pub use icmp::{icmp_errors_v4, icmp_errors_v6};
pub use memory::region;
pub(crate) use memory::{memory, size_of_memfd};
pub use packet::packet_socket;
pub use tap::{OpenTap, tap};
pub(crate) use xsk::xsk;
pub use xsk::{BoundXsk, bind_xsk};
