//! What is done with a frame that is decided: tags, copies, sending, and coming in again.

mod again;
mod egress;
mod limit;
mod retag;
mod waiting;

pub(crate) use again::{Crossing, cross, enter_at};
pub use again::{PATCH_FRAMES_MAX, PATCH_HOPS_MAX};
pub(crate) use egress::{deliver, egress, listed, recipients, send, send_copy, send_tunnelled};
pub(crate) use limit::PerSecond;
pub(crate) use retag::{push_tags, retag};
pub(crate) use waiting::Waiting;
pub use waiting::{WAITING_MAX, WAITING_PER_TUNNEL_MAX};
