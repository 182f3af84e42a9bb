//! Frames to multicast groups, on the fast path: what a frame is, and the lists of ports it goes to.
//!
//! Control learns who is a member of which group (`weft-protocols`) and gives all workers the lists
//! that follow from it, as [`Groups`].  They are learned, not configured, so they are no part of a
//! snapshot and are swapped alone.  A bridge without `Groups` does not snoop.

mod groups;
mod message;

pub(crate) use groups::HeardFrames;
pub use groups::{Groups, Heard, ListId, Snooping};
pub(crate) use message::{Class, classify};
