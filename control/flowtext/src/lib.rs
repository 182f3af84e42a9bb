//! Flows and actions as text: what `ovs-ofctl` and `ofproto/trace` print and read
//! (ovs-fields(7), ovs-actions(7)).
#![forbid(unsafe_code)]

mod flags;
mod names;
pub mod print;
pub mod read;

pub use names::{Names, Numbers};
