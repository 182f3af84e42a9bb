//! Packets: those that controllers send, and those that they get.

mod into;
mod into2;
mod out;

pub use into::{PacketIn, PacketInFormat, PacketInReason};

pub(super) use into::nicira as nicira_packet_in;
pub(super) use into2::PacketIn2;
