//! What a bridge holds that requests change and that can be undone.

use crate::groups::Groups;
use crate::meters::Meters;
use crate::ports::Ports;
use crate::tables::{Tables, Uses};
use weft_flow::Action;
use weft_flow::request::Refusal;

/// The parts of a bridge that an edit changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) groups: Groups,
    pub(crate) meters: Meters,
    pub(crate) ports: Ports,
    /// How many changes of flows there were.
    changes: u64,
}

impl State {
    /// The number of one more change of a flow.
    pub(crate) fn next_change(&mut self) -> u64 {
        self.changes = self.changes.saturating_add(1);
        self.changes
    }

    /// The number of the last change of a flow.
    pub(crate) fn last_change(&self) -> u64 {
        self.changes
    }

    /// Checks that the groups and meters are there that actions name.  As in stock, those of
    /// `controller` may be missing.
    pub(crate) fn check_actions(&self, actions: &[Action]) -> Result<(), Refusal> {
        let uses = Uses::of_actions(actions);
        if uses.groups.iter().any(|group| self.groups.get(*group).is_none()) {
            return Err(Refusal::BadOutGroup);
        }
        if uses.meters.iter().any(|meter| self.meters.get(*meter).is_none()) {
            return Err(Refusal::InvalidMeter);
        }
        Ok(())
    }
}
