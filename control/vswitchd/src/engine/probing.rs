//! The look at next hops, as an errand: what was sent to them and came from them, for some ports at a time.

use crate::engine::errand::{Counters, Step, by_port};
use crate::engine::parts::Needs;
use crate::netlink::kernel::Kernel;
use crate::plan::path::Path;
use crate::underlay::Hop;
use crate::underlay::hop_probe::{HopProbe, Traffic, ready};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;
use uuid::Uuid;
use weft_switch::IfaceCounters;

/// A look that is under way.
struct Looked {
    ways: HashMap<Uuid, Hop>,
    counted: BTreeMap<Hop, Traffic>,
}

/// What a look changes.
pub(crate) enum Probing {}

/// The looks so far, and who is asked.
pub(crate) struct Parts<'a> {
    pub probe: &'a mut HopProbe,
    pub kernel: &'a mut Kernel,
}

impl Needs for Probing {
    type Parts<'a> = Parts<'a>;
}

impl HopProbe {
    /// Has the kernel look after next hops that are silent, every now and then.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        paths: &BTreeMap<Uuid, Path>,
        counters: Counters<'_>,
    ) -> Option<Step> {
        if !self.is_due(now) {
            return None;
        }
        self.looked_at = Some(now);
        let ways: HashMap<Uuid, Hop> = ready(paths).collect();
        let rows = ways.keys().copied().collect();
        let looked = Looked { ways, counted: BTreeMap::new() };
        Some(by_port::<Probing, _>(counters, rows, looked, look_at_port, ask_silent))
    }
}

fn look_at_port(_: &mut Parts<'_>, looked: &mut Looked, row: &Uuid, counters: &IfaceCounters) {
    if let Some(hop) = looked.ways.get(row) {
        let traffic = looked.counted.entry(*hop).or_default();
        traffic.sent += counters.tx_frames;
        traffic.received += counters.rx_frames;
    }
}

fn ask_silent(lent: &mut Parts<'_>, looked: Looked) -> Step {
    for (ifindex, next_hop) in lent.probe.turn(looked.counted) {
        if let Err(error) = lent.kernel.probe_neighbour(ifindex, next_hop) {
            tracing::debug!("asking whether {next_hop} is still there: {error}");
        }
    }
    Step::Done(Ok(String::new()))
}
