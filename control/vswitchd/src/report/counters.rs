//! Counters as they were written last, and as they were for rates.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_switch::IfaceCounters;

/// After a change of the configuration counters are written so soon.
const FIRST: Duration = Duration::from_millis(200);

/// Traffic of ports as it was, for rates.
#[derive(Debug, Default)]
pub struct Rates {
    /// When it was read.
    pub at: Option<Instant>,
    /// Frames and bytes received, and sent, by interface.
    pub traffic: HashMap<Uuid, [u64; 4]>,
}

impl Rates {
    /// Takes over what was read now.
    pub fn note(&mut self, traffic: HashMap<Uuid, [u64; 4]>) {
        (self.at, self.traffic) = (Some(Instant::now()), traffic);
    }
}

/// Frames and bytes that a port received, and sent.
#[must_use]
pub const fn traffic(counters: &IfaceCounters) -> [u64; 4] {
    [counters.rx_frames, counters.rx_bytes, counters.tx_frames, counters.tx_bytes]
}

/// The numbers in `statistics`, and when they are written next.
#[derive(Default)]
pub struct Written {
    /// By interface, as they were written last.
    pub(crate) numbers: HashMap<Uuid, Box<[i64]>>,
    /// Interfaces that forward since a moment ago: their counters are not in their rows yet.
    pub(crate) fresh: BTreeSet<Uuid>,
    /// When those are read.
    pub(crate) fresh_due: Option<Instant>,
    /// Whether all are being read.
    pub(crate) is_counting: bool,
}

impl Written {
    /// The counters of these are to be in their rows soon, not only at the end of the interval.
    pub fn begin(&mut self, interfaces: impl IntoIterator<Item = Uuid>) {
        self.fresh.extend(interfaces);
        if !self.fresh.is_empty() && self.fresh_due.is_none() {
            self.fresh_due = Some(Instant::now() + FIRST);
        }
    }

    /// When the counters of new interfaces are to be written, if there are some.
    #[must_use]
    pub const fn due(&self) -> Option<Instant> {
        self.fresh_due
    }

    /// Whether the counters of all ports are being read.
    #[must_use]
    pub const fn is_counting(&self) -> bool {
        self.is_counting
    }

    /// An interface has no counters, or others may be in its row.
    pub fn forget(&mut self, interface: &Uuid) {
        self.numbers.remove(interface);
    }

    /// Nothing is known of what is in rows.
    pub fn forget_all(&mut self) {
        self.numbers.clear();
    }
}
