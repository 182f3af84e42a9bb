//! Flow monitors: connections that hear of every change of flows.

mod feed;
mod request;

use crate::Details;
use crate::bridge::MonitorEvent;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_flow::Rule;
use weft_flow::request::MonitorRequest;

/// A connection, by a number that whoever keeps connections gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ConnectionId(pub u64);

/// Who asked for a change, and under which transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The connection.
    pub connection: ConnectionId,
    /// The transaction id of its message.
    pub xid: u32,
}

/// What a monitor tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorUpdate {
    /// A flow that was there when the monitor began.
    Initial(FlowView),
    /// A flow that was added, changed or is gone.
    Event(MonitorEvent, FlowView),
    /// What the connection did itself, under this transaction id.
    Own(u32),
    /// The connection lags: it hears of flows no more that are added or changed.
    Paused,
    /// It heard what it missed.
    Resumed,
}

/// A flow as a monitor tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// The flow.
    pub rule: Arc<Rule>,
    /// Its timeouts.
    pub details: Details,
    /// Its actions are told too.
    pub with_actions: bool,
}

/// What monitors tell, by connection, in order.
pub type MonitorUpdates = BTreeMap<ConnectionId, Vec<MonitorUpdate>>;

/// How many monitors a connection may have.
const MONITORS_MAX: usize = 256;

/// The monitors of a connection.
#[derive(Debug, Default)]
struct Watcher {
    monitors: BTreeMap<u32, MonitorRequest>,
    /// The number of the last change before it paused.
    paused_at: Option<u64>,
}

/// The monitors of a bridge.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    watchers: BTreeMap<ConnectionId, Watcher>,
}

impl Monitors {
    /// True when nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// A connection is gone.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.watchers.remove(&connection);
    }
}
