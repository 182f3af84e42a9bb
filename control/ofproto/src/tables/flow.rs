//! Flows: a rule and what tables know of it beside.

use crate::Time;
use std::sync::Arc;
use weft_flow::request::FlowFlags;
use weft_flow::{Rule, RuleId};

/// Priorities above this are the switch's own: no message sees or changes those flows.
pub const MESSAGE_PRIORITY_MAX: u32 = u16::MAX as u32;

/// What a flow has beside its rule that its request said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Flags.
    pub flags: FlowFlags,
    /// Seconds without a packet; 0: none.
    pub idle_timeout: u16,
    /// Seconds since the last change; 0: none.
    pub hard_timeout: u16,
    /// Flows of less importance are evicted first.
    pub importance: u16,
}

/// Where a flow comes in a dump: dumps are in the order of tables, then of age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the table.
    pub(crate) table: u8,
    /// The number of the addition.
    pub(crate) order: u64,
}

impl Position {
    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { order: self.order.saturating_add(1), ..self }
    }
}

/// A flow of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// What those who decide know of it.
    pub rule: Arc<Rule>,
    /// What its request said beside.
    pub details: Details,
    /// When it was added.
    pub created: Time,
    /// When its actions last changed; its hard timeout runs from here.
    pub modified: Time,
    /// When a packet last met it, or it was added.
    pub used: Time,
    /// Packets that met it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its place among the flows of its table; stays when it is replaced.
    pub(crate) order: u64,
    /// The number of the change that added it.
    pub(crate) added: u64,
    /// The number of the last change of it.
    pub(crate) changed: u64,
    /// Under which point in time it waits to expire.
    pub(crate) due: Option<Time>,
}

/// Why a flow expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Idle,
    Hard,
}

impl Flow {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> RuleId {
        self.rule.id
    }

    /// Where it comes in a dump.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { table: self.rule.table.0, order: self.order }
    }

    /// True when no message sees it.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.rule.priority > MESSAGE_PRIORITY_MAX
    }

    /// When it expires if no packet meets it until then.
    ///
    /// An addition in the place of a flow keeps the time of its last packet, and stock measures the
    /// new idle timeout from there: such a flow may be gone at once.  Here the timeout runs from
    /// the addition.
    pub(crate) fn expires(&self) -> Option<(Time, Expiry)> {
        let hard = match self.details.hard_timeout {
            0 => None,
            secs => Some((self.modified.after_secs(secs), Expiry::Hard)),
        };
        let idle = match self.details.idle_timeout {
            0 => None,
            secs => Some((self.used.max(self.created).after_secs(secs), Expiry::Idle)),
        };
        match (hard, idle) {
            (Some(hard), Some(idle)) => Some(if idle.0 < hard.0 { idle } else { hard }),
            (hard, idle) => hard.or(idle),
        }
    }
}
