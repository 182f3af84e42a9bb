//! What is seen of frames from outside: counters, captures, samples, traces.

mod capture;
mod counters;
mod effects;
mod journal;
mod ledger;
pub mod sample;
pub mod trace;

pub use capture::{Capture, Direction};
pub use counters::{Counters, IfaceCounters, LinkCounters, MirrorCounters};
pub(crate) use effects::{Effects, Heard, Live};
pub(crate) use journal::Journal;
pub(crate) use ledger::Ledger;
pub(crate) use trace::entered;
