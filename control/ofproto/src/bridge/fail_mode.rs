//! What a bridge does without controllers.

use super::{Edit, FlowBridge, Outcome, OwnFlow};
use crate::Time;
use weft_flow::request::{Refusal, RemovedReason};

/// How a bridge goes on that no controller tells what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailMode {
    /// It learns.
    Standalone,
    /// It does what its flows say.
    #[default]
    Secure,
}

/// Who tells a bridge what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Oversight {
    /// How it goes on without controllers.
    pub fail_mode: FailMode,
    /// Controllers are configured.
    pub has_controllers: bool,
    /// None of them was reachable for three intervals of probes.
    pub is_deserted: bool,
}

impl Oversight {
    /// True when all flows of before go, as in stock: when the first controller is configured or
    /// the last one no longer, and when the mode changes while there is none.
    fn flushes_after(self, old: Self) -> bool {
        self.has_controllers != old.has_controllers
            || self.fail_mode != old.fail_mode && !self.has_controllers
    }

    /// The flow that the switch has of its own.
    fn own_flow(self) -> Option<OwnFlow> {
        match self {
            Self { fail_mode: FailMode::Secure, .. } => None,
            Self { has_controllers: false, .. } => Some(OwnFlow::normal()),
            Self { is_deserted: true, .. } => Some(OwnFlow::fail_open()),
            Self { is_deserted: false, .. } => None,
        }
    }
}

impl FlowBridge {
    /// Somebody else tells the bridge what to do, or nobody.
    ///
    /// # Errors
    /// [`Refusal::TableFull`] when table 0 has no room for the flow of a bridge that learns; nothing
    /// has changed then.
    pub fn set_oversight(&mut self, now: Time, new: Oversight) -> Result<Outcome, Refusal> {
        let old = self.oversight;
        let flushes = new.flushes_after(old);
        let (was, is) = (old.own_flow(), new.own_flow());
        let ((), outcome) = self.edit(now, None, |edit| {
            if !flushes && was == is {
                return Ok(());
            }
            if flushes {
                edit.flush();
            } else if let Some(was) = &was {
                edit.remove_own(was);
            }
            is.map_or(Ok(()), |is| edit.put_own(&is))
        })?;
        self.oversight = new;
        Ok(outcome)
    }
}

impl Edit<'_> {
    /// Takes out all flows but those of the switch's own table.
    fn flush(&mut self) {
        let all: Vec<_> = self.state.tables.all_flows().map(crate::Flow::id).collect();
        for id in all {
            self.remove_flow(id, Some(RemovedReason::Delete));
        }
        self.remove_orphans();
    }
}
