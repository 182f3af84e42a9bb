//! What other workers are to learn of what this one did.

use super::sighting::TURN_MAX;
use super::{Learned, Sighting, Station};
use crate::{BATCH_MAX, BridgeId, Tick};

/// Announcements that one batch may make: each of its frames may be new to others, on a few bridges
/// that patch ports join.
const ANNOUNCEMENTS_MAX: usize = BATCH_MAX * 8;

/// Something one worker learned that the others should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// In the FDB of this bridge.
    pub bridge: BridgeId,
    /// This station
    pub station: Station,
    /// was heard there,
    pub sighting: Sighting,
    /// while this snapshot was in use.
    pub epoch: u64,
}

/// Collects announcements, if anybody listens.
#[derive(Debug)]
pub(crate) struct Announcer {
    is_on: bool,
    collected: Vec<Announcement>,
    /// A quarter of the shortest aging time.
    pub(crate) refresh_secs: u32,
    /// Of the snapshot in use.
    pub(crate) epoch: u64,
}

impl Announcer {
    /// For others, if `is_on`.
    pub(crate) fn new(is_on: bool) -> Self {
        let collected = Vec::with_capacity(if is_on { ANNOUNCEMENTS_MAX } else { 0 });
        Self { is_on, collected, refresh_secs: 75, epoch: 0 }
    }

    /// Notes what `learn` did.  What is new is always announced; that a station is still there only
    /// when the quarter of the aging time has changed since it was last heard, so that replicas agree
    /// on ages without a message per frame.
    #[inline]
    pub(crate) fn note(
        &mut self,
        learned: Learned,
        bridge: BridgeId,
        station: Station,
        sighting: impl FnOnce() -> Option<Sighting>,
    ) {
        // Of most frames there is nothing to say: they need no other look-up.
        if self.is_on
            && learned != Learned::Unchanged
            && let Some(sighting) = sighting()
            && self.is_new_to_others(learned, sighting)
        {
            self.announce(bridge, station, sighting);
        }
    }

    fn is_new_to_others(&self, learned: Learned, sighting: Sighting) -> bool {
        let quarter = |at: Tick| at.0 / self.refresh_secs.max(1);
        match learned {
            Learned::Unchanged => false,
            Learned::New | Learned::Moved(_) => true,
            Learned::Refreshed(before) => {
                // Nor did moves beyond count leave anybody sure of where it is.
                quarter(before.heard_at) != quarter(sighting.heard_at) || before.turn == TURN_MAX
            }
        }
    }

    pub(crate) fn announce(&mut self, bridge: BridgeId, station: Station, sighting: Sighting) {
        if self.collected.len() < ANNOUNCEMENTS_MAX {
            self.collected.push(Announcement { bridge, station, sighting, epoch: self.epoch });
        }
    }

    /// What was collected since the last call.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Announcement> + '_ {
        self.collected.drain(..)
    }
}
