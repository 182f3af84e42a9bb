//! Frames: the memory they are in, what is known of each, and how one can die.

mod batch;
mod buf;
mod drop;
mod parse;

pub(crate) use batch::undecided;
pub use batch::{BATCH_MAX, Batch, Ingress, Meta, Verdict};
pub use buf::{Charge, Fate, FrameBuf, FrameIo, FrameQueue, HEADROOM_BYTES};
pub use drop::DropReason;
pub(crate) use parse::{l2, parse, refuse};
