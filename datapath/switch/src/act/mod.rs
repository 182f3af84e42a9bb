//! What is done with a frame that is decided: tags, copies, sending, and coming in again.

mod again;
mod egress;
mod limit;
mod retag;

pub(crate) use again::{Crossing, cross, hand_over};
pub use again::{PATCH_FRAMES_MAX, PATCH_HOPS_MAX};
pub(crate) use egress::{deliver, egress, listed, recipients, send, send_tunnelled, sent};
pub use limit::PerSecond;
pub(crate) use retag::{push_tags, retag};
