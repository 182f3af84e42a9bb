//! Stations that were heard on another port than before, counted for the loop guard.

use crate::loop_guard::Move;
use crate::{BridgeId, PortId, Station};

/// Different moves that are counted between two reports; more are ignored, for a loop shows in each.
const MOVES_MAX: usize = 64;

/// What one worker counted since it was asked last.
#[derive(Debug)]
pub(crate) struct Moves(Vec<Move>);

impl Default for Moves {
    fn default() -> Self {
        Self(Vec::with_capacity(MOVES_MAX))
    }
}

impl Moves {
    /// Counts one move.
    pub(crate) fn note(&mut self, bridge: BridgeId, station: Station, from: PortId, to: PortId) {
        let news = Move { bridge, station, from, to, count: 0 };
        let same = self.0.iter_mut().find(|known| Move { count: 0, ..**known } == news);
        if let Some(known) = same {
            known.count = known.count.saturating_add(1);
        } else if self.0.len() < MOVES_MAX {
            self.0.push(Move { count: 1, ..news });
        }
    }

    /// What was counted since the last call; no allocation when there was nothing.
    pub(crate) fn take(&mut self) -> Vec<Move> {
        let moves = self.0.clone();
        self.0.clear();
        moves
    }
}
