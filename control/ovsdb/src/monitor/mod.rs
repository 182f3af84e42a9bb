//! Monitors: what a client wants to hear of, and the text of what it hears.
//!
//! `monitor` answers and updates with old and new columns (RFC 7047 section 4.1.5); `monitor_cond` and
//! `monitor_cond_since` add conditions and send differences (`update2`, `update3`). The text of an update
//! depends on the specification alone, so sessions that ask for the same share it.

pub(crate) mod history;
pub(crate) mod initial;
pub mod outbox;
mod spec;
mod text;

use std::rc::Rc;

use serde_json::Value;
use uuid::Uuid;

use crate::monitor::history::Merged;
pub use crate::monitor::spec::MonitorSpec;

/// Which generation of the protocol a monitor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `monitor` and `update`.
    Update,
    /// `monitor_cond` and `update2`.
    Update2,
    /// `monitor_cond_since` and `update3`.
    Update3,
}

impl Kind {
    /// Name of the notification.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Update2 => "update2",
            Self::Update3 => "update3",
        }
    }
}

/// A monitor of a session.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    /// The client's name for it.
    pub id: Value,
    /// Number of the database.
    pub db: usize,
    /// Generation of the protocol.
    pub kind: Kind,
    /// Equal specifications share one.
    pub spec: Rc<MonitorSpec>,
    /// What happened since the session started to lag, if it does.
    pub missed: Option<Merged>,
}

impl Monitor {
    /// The start of an update up to its body; `]}` ends it. `last` is the newest transaction in it.
    pub fn update_start(&self, last: Uuid) -> Rc<str> {
        let (method, id) = (self.kind.method(), &self.id);
        let start = match self.kind {
            Kind::Update3 => {
                format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},\"{last}\",")
            }
            _ => format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},"),
        };
        Rc::from(start)
    }

    /// Rows that are remembered for it.
    pub fn missed_rows(&self) -> usize {
        self.missed.as_ref().map_or(0, Merged::len)
    }
}
