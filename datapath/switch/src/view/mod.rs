//! What is seen of frames from outside: counters, captures, samples, traces.

mod capture;
mod counters;
mod observe;
pub mod sample;
pub mod trace;

pub use capture::{Capture, Direction};
pub use counters::{Counters, LinkCounters, MirrorCounters, PortCounters};
pub(crate) use observe::observe;
