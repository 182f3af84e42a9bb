//! The control protocols of a bridge: pure state machines that keep loops out and learn groups.
//!
//! Frames and time go in; gates, flushes and frames come out.  The crate opens no file, reads no
//! clock and names no key of the database: its owner (`weft-vswitchd`) reads settings, passes time
//! as an argument and carries out what a machine asks for.
//!
//! | module | what it decides |
//! | --- | --- |
//! | [`tree`] | what the next two share |
//! | [`stp`] | which ports must not forward, by 802.1D-1998 |
//! | [`rstp`] | the same, by 802.1D-2004 |
//! | [`mcast`] | who is a member of which multicast group, and where routers are |
//! | [`loop_guard`] | which port to block where a loop shows that no tree watches over |
#![forbid(unsafe_code)]

pub mod loop_guard;
pub mod mcast;
mod port_key;
pub mod rstp;
pub mod stp;
pub mod tree;

pub use port_key::PortKey;
