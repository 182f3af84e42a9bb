//! What all stages have at hand while frames go through them.

use crate::act::Crossing;
use crate::mcast::Snooping;
use crate::view::Effects;
use crate::{Fdb, Snapshot, Tick};

/// One pass of frames through the stages.
pub(crate) struct Pass<'a, E: Effects> {
    /// The configuration.
    pub(crate) snapshot: &'a Snapshot,
    /// What was learned, by bridge number.
    pub(crate) fdbs: &'a mut [Option<Fdb>],
    /// Lists of ports that multicast snooping made.
    pub(crate) groups: &'a Snooping,
    /// Frames that come in again.
    pub(crate) crossing: &'a mut Crossing<E::Frame>,
    /// The time of these frames.
    pub(crate) now: Tick,
    /// Where everything goes that is done with a frame.
    pub(crate) effects: E,
}
