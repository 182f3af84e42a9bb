//! What became of it: rows, counters, copies of frames.

pub mod counters;
pub mod doctor;
pub mod machine;
pub(crate) mod rows;
pub mod seen;
pub mod status;

use crate::coverage::Coverage;
use crate::serve::capture::Captures;
use crate::turns::TurnLog;
use counters::Rates;
use std::collections::BTreeMap;
use weft_switch::WorkerId;
use weft_worker::Report;

/// What is kept for those who look.
#[derive(Default)]
pub struct Views {
    /// Captures that run.
    pub captures: Captures,
    /// How often each thing happened, for `coverage/show`.
    pub coverage: Coverage,
    /// How long the turns of the loop take.
    pub turns: TurnLog,
    /// Counters as they were, for rates.
    pub rates: Rates,
    /// What workers had counted when `dpif-netdev/pmd-stats-clear` was given.
    pub cleared: BTreeMap<WorkerId, Report>,
}
