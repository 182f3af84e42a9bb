//! Where and when a station was heard, in an order on which all workers agree.

use crate::{PortId, Tick};

/// A station that moves more often within one second is announced again in the next.
pub(crate) const TURN_MAX: u8 = 63;

/// One sighting of a station.  The greatest is the one to believe: the later second; within one
/// second the higher turn, for whoever knows of a sighting and hears the station elsewhere counts
/// one up; and of two that knew nothing of each other, the higher port number.  That a station is
/// still where it was is turn 0, because not every frame is announced: a move, which is at least
/// turn 1, wins against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The second.
    pub heard_at: Tick,
    /// 0 when it stayed; 1 when it came or moved, one more for each further move in that second,
    /// at most 63.
    pub turn: u8,
    /// The port.
    pub port: PortId,
}

impl Sighting {
    /// Of a station that was not known.
    pub(crate) const fn first(port: PortId, now: Tick) -> Self {
        Self { heard_at: now, turn: 1, port }
    }

    /// What follows when the station is heard on `port` at `now`.
    pub(crate) fn followed_by(self, port: PortId, now: Tick) -> Self {
        let moves = u8::from(port != self.port);
        if now > self.heard_at {
            return Self { heard_at: now, turn: moves, port };
        }
        Self { port, turn: (self.turn + moves).min(TURN_MAX), ..self }
    }
}

/// What an entry of the FDB is, and how it came, in one byte: an entry has no more to spare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark(u8);

impl Mark {
    const STATIC: u8 = 1 << 7;
    const OWN: u8 = 1 << 6;

    /// Of a static entry.
    pub(crate) const fn fixed() -> Self {
        Self(Self::STATIC)
    }

    /// Of an entry that this worker heard itself, or was told of.
    pub(crate) const fn learned(turn: u8, is_own: bool) -> Self {
        Self(turn & TURN_MAX | if is_own { Self::OWN } else { 0 })
    }

    pub(crate) const fn is_static(self) -> bool {
        self.0 & Self::STATIC != 0
    }

    /// True when this worker heard it itself.
    pub(crate) const fn is_own(self) -> bool {
        self.0 & Self::OWN != 0
    }

    pub(crate) const fn turn(self) -> u8 {
        self.0 & TURN_MAX
    }
}
