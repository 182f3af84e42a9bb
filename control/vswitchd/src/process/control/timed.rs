//! Deadlines: who has a turn when its time has come.

use super::Control;
use crate::config::changed_rows::ChangedRows;
use crate::engine::Engine;
use crate::engine::errand::Counters;
use crate::engine::moving;
use crate::netlink::kernel::{self, LinkStats};
use crate::report::machine;
use crate::report::status::Wanted;
use std::io;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often next hops are looked after, and failures are tried again.
const TEND: Duration = Duration::from_secs(1);

/// The first statistics after the start.
const STATISTICS_FIRST: Duration = Duration::from_millis(500);

/// What has a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// Something has changed, and is to be looked at.
    Reconcile,
    /// Time passes for spanning trees and loop guards.
    Trees,
    /// Who listens on ports is to be seen.
    Taps,
    /// Time passes for multicast snooping.
    Snooping,
    /// What has no time of its own is looked after.
    Tend,
    /// A worker owes an answer.
    Watch,
    /// All counters go into rows.
    Statistics,
    /// New interfaces get their first counters.
    FirstStatistics,
}

impl Timed {
    const ALL: [Self; 8] = [
        Self::Reconcile,
        Self::Trees,
        Self::Taps,
        Self::Snooping,
        Self::Tend,
        Self::Watch,
        Self::Statistics,
        Self::FirstStatistics,
    ];

    /// What the turn is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reconcile => "reconcile",
            Self::Trees => "trees",
            Self::Taps => "taps",
            Self::Snooping => "snooping",
            Self::Tend => "tend",
            Self::Watch => "watch",
            Self::Statistics | Self::FirstStatistics => "statistics",
        }
    }
}

/// The counters of the kernel's links, by their numbers, as they were read.
pub(super) type LinkCounters = io::Result<Vec<(u32, LinkStats)>>;

/// When statistics are written, and the thread that reads the kernel's part of them.
pub(super) struct Statistics {
    due: Instant,
    reading: Option<JoinHandle<LinkCounters>>,
}

impl Statistics {
    pub fn at_start() -> Self {
        Self { due: Instant::now() + STATISTICS_FIRST, reading: None }
    }

    /// An interval that was made shorter ends sooner.
    pub fn shorten(&mut self, interval: Duration) {
        self.due = self.due.min(Instant::now() + interval);
    }

    /// What the thread has read, when it is done; none when it has failed.
    pub async fn read(&mut self) -> Option<LinkCounters> {
        let Some(running) = &mut self.reading else { return std::future::pending().await };
        let outcome = running.await.ok();
        self.reading = None;
        outcome
    }
}

impl Control {
    /// The earliest deadline, and whose it is.
    pub(super) fn next_due(&self) -> Option<(Instant, Timed)> {
        let all = Timed::ALL.into_iter();
        all.filter_map(|timed| Some((self.due(timed)?, timed))).min_by_key(|(at, _)| *at)
    }

    fn due(&self, timed: Timed) -> Option<Instant> {
        let Engine { host, lower, protocols, reported, .. } = &self.engine;
        match timed {
            Timed::Reconcile => self.reconciliation.due(),
            Timed::Trees => protocols.spanning.due(),
            Timed::Taps => host.taps.due(&host.links),
            Timed::Snooping => protocols.snooping.due(),
            Timed::Tend => Some(self.tend_due),
            Timed::Watch => lower.workers.due(),
            Timed::Statistics => Some(self.statistics.due),
            Timed::FirstStatistics => reported.counters.due(),
        }
    }

    /// The turn of a part whose time has come.
    pub(super) async fn turn(&mut self, timed: Timed) -> anyhow::Result<()> {
        let Engine { host, lower, protocols, reported, .. } = &mut self.engine;
        match timed {
            Timed::Reconcile => self.reconcile()?,
            Timed::Trees => self.turn_trees(),
            Timed::Taps => {
                host.taps.turn(&mut host.links, &mut host.threads, &mut lower.workers);
            }
            Timed::Snooping => protocols.turn_snooping(lower),
            Timed::Tend => self.tend().await,
            Timed::Watch => {
                lower.workers.watch();
                self.engine.hear_workers();
            }
            Timed::Statistics => {
                self.store.tend(&self.store_config).await?;
                self.read_counters();
            }
            Timed::FirstStatistics => {
                reported.counters.take_due();
                if self.store.is_active() {
                    let counters = Counters { ids: &lower.ids, workers: &mut lower.workers };
                    self.errands.after(reported.counters.count_fresh(counters), None);
                }
            }
        }
        Ok(())
    }

    /// Does what time alone brings.
    async fn tend(&mut self) {
        self.tend_due = Instant::now() + TEND;
        if !self.reconciliation.is_connected {
            self.connect().await;
        }
        self.presence.pidfiles.tend();
        let now = Instant::now();
        self.engine.lower.workers.ping();
        self.tend_underlay(now);
        if self.kernel.is_deaf() {
            let changes = self.kernel.listen_again(&mut self.engine.host.kernel);
            self.note_changes(changes);
        }
        let mut publisher = self.engine.publisher();
        if publisher.is_rebalance_due(now) {
            self.errands.after(moving::begin(&mut publisher, false), None);
        }
        self.engine.views.coverage.turn(now);
        let is_behind = self.engine.underlay.ways.is_behind(now);
        self.reconciliation.tend(self.engine.host.failures.is_due(now), is_behind);
    }

    /// Next hops are asked for, and what is old is believed no more.
    fn tend_underlay(&mut self, now: Instant) {
        let Engine { underlay, host, lower, reported, .. } = &mut self.engine;
        underlay.ask_neighbours(&mut host.kernel);
        let counters = Counters { ids: &lower.ids, workers: &mut lower.workers };
        if let Some(step) = underlay.hop_probe.begin(now, &underlay.paths, counters) {
            self.errands.after(step, None);
        }
        if underlay.path_mtus.expire(now) {
            underlay.ways.invalidate(|_, _| true);
        }
        let changed = underlay.dead_ends.turn(now);
        let has_changed = !changed.is_empty();
        reported.mark(changed);
        if has_changed && self.store.is_active() {
            self.tell(&ChangedRows::default());
        }
    }

    /// Between two updates of statistics.
    pub(super) fn statistics_interval(&self) -> Duration {
        Duration::from_millis(self.engine.config.desired.stats_interval_millis.max(1000))
    }

    /// Has a thread read the kernel's counters, unless the last are under way still.
    fn read_counters(&mut self) {
        self.statistics.due = Instant::now() + self.statistics_interval();
        let is_busy = self.engine.reported.counters.is_counting();
        if self.store.is_active() && !is_busy && self.statistics.reading.is_none() {
            let reading = tokio::task::spawn_blocking(kernel::read_counters);
            self.statistics.reading = Some(reading);
        }
    }

    /// Writes what has been counted.
    pub(super) fn write_statistics(&mut self, read: Option<LinkCounters>) {
        match read {
            Some(Ok(counters)) => self.engine.host.kernel.note_counters(counters),
            Some(Err(error)) => tracing::warn!("the kernel's counters: {error}"),
            None => {}
        }
        let mut wanted = Wanted::default();
        machine::want(&self.store, &self.engine.daemon.rundir, &mut wanted);
        self.write(wanted);
        if self.store.has_refused() {
            self.tell(&ChangedRows::default());
        }
        let Engine { reported, lower, .. } = &mut self.engine;
        self.errands.after(reported.counters.count_all(&mut lower.workers), None);
    }
}
