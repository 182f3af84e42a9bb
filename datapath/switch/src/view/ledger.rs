//! What frames leave behind in a worker: figures, and what other threads are to hear of.

use super::capture::Capture;
use super::counters::Counters;
use super::effects::Heard;
use super::sample::Samples;
use crate::act::{PerSecond, Waiting};
use crate::bridge::{Announcer, Moves};
use crate::mcast::HeardFrames;
use crate::{Fdb, IfaceId, Learned, Numbers};

/// ICMP answers out of one port in one second, at most (RFC 1812 section 4.3.2.8).
const ANSWERS_PER_SECOND_MAX: u16 = 100;

/// Control frames that one batch hands to the control thread, at most.
const PUNTED_MAX: usize = 16;

/// Everything that [`super::Live`] writes to.
pub(crate) struct Ledger<F> {
    /// Frames and drops by interface, link and mirror.
    pub(crate) counters: Counters,
    /// What other workers are to learn.
    pub(crate) announcer: Announcer,
    /// Stations that were heard elsewhere than before, for the loop guard.
    pub(crate) moves: Moves,
    /// Copies of IGMP and MLD for the control thread.
    pub(crate) heard: HeardFrames,
    /// Who wants copies of frames.
    pub(crate) capture: Option<Box<dyn Capture>>,
    /// What came in lately.
    pub(crate) samples: Samples,
    /// Frames flooded because their destination was not known.
    pub(crate) unknown_frames: u64,
    /// Frames that wait for the next hops of their tunnels.
    pub(crate) waiting: Waiting<F>,
    /// ICMP answers, as many as may be.
    pub(crate) answers: PerSecond,
    /// Numbers of outer packets, which other workers draw from, too.
    pub(crate) numbers: Numbers,
    /// Control frames for the control thread, and where they came in.
    pub(crate) punted: Vec<(IfaceId, Vec<u8>)>,
}

impl<F> Ledger<F> {
    /// Nothing yet.  `seed` scatters hash tables; `announces` says whether other workers listen.
    pub(crate) fn new(seed: u64, announces: bool, numbers: Numbers) -> Self {
        Self {
            counters: Counters::default(),
            announcer: Announcer::new(announces),
            moves: Moves::default(),
            heard: HeardFrames::default(),
            capture: None,
            samples: Samples::new(seed),
            unknown_frames: 0,
            waiting: Waiting::default(),
            answers: PerSecond::new(ANSWERS_PER_SECOND_MAX),
            numbers,
            punted: Vec::new(),
        }
    }

    /// Tells other workers and the loop guard what an address taught.
    #[inline]
    pub(crate) fn learned(&mut self, learned: Learned, fdb: &Fdb, hash: u64, heard: Heard) {
        let Heard { bridge, station, port, is_guarded, .. } = heard;
        self.announcer.note(learned, bridge, station, || fdb.sighting(station, hash));
        if is_guarded && let Learned::Moved(before) = learned {
            self.moves.note(bridge, station, before, port);
        }
    }

    /// Keeps a copy of a control frame for the control thread; more than a few in one batch are noise.
    pub(crate) fn punt(&mut self, iface: IfaceId, bytes: &[u8]) {
        if self.punted.len() < PUNTED_MAX {
            self.punted.push((iface, bytes.to_vec()));
        }
    }
}
