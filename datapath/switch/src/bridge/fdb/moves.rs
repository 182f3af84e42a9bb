//! Stations that were heard on another port than before, counted for the loop guard.

use crate::{BridgeId, PortId, Station};

/// Different moves that are counted between two reports; more are ignored, for a loop shows in each.
const MOVES_MAX: usize = 64;

/// A station that was heard on another port than before, as a worker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The bridge.
    pub bridge: BridgeId,
    /// The station.
    pub station: Station,
    /// The port where it was heard before.
    pub from: PortId,
    /// The port where it was heard after that.
    pub to: PortId,
    /// How many times, since the last report.
    pub count: u32,
}

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
        let first = Move { bridge, station, from, to, count: 1 };
        let same = self.0.iter_mut().find(|counted| Move { count: 1, ..**counted } == first);
        if let Some(counted) = same {
            counted.count = counted.count.saturating_add(1);
        } else if self.0.len() < MOVES_MAX {
            self.0.push(first);
        }
    }

    /// What was counted since the last call; no allocation when there was nothing.
    pub(crate) fn take(&mut self) -> Vec<Move> {
        let moves = self.0.clone();
        self.0.clear();
        moves
    }
}
