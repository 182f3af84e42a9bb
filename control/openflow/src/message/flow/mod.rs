//! Flows: requests that change them, what replies say of them, and what is said when they go.

mod flags;
mod flow_mod;
mod monitor;
mod oxs;
mod query;
mod removed;
mod stats;

pub use monitor::{FlowEvent, FlowUpdate};
pub use removed::FlowRemoved;
pub use stats::{Aggregate, FlowStats};

pub(super) use flow_mod::{buffer, nicira as nicira_flow_mod};
pub(super) use monitor::Update;
pub(super) use query::nicira as nicira_query;
pub(super) use removed::nicira as nicira_removed;
pub(super) use stats::{NiciraFlowStats, StandardFlowStats};
