//! Moves links between workers, so that those that talk to each other are together.
//!
//! A queue moves as it is, with all that is on its rings.  The order of things loses nothing and keeps every
//! frame behind those before it: the next worker expects the queue, and keeps frames for it; all workers hear whose
//! the link is; only then does the one that has it send what was handed over to it, and let go.

use crate::host::links::{Link, Links};
use crate::host::taps::TapState;
use crate::lower::placement::{self, Places};
use crate::lower::workers::{WorkerError, Workers};
use crate::process::engine::Engine;
use std::time::{Duration, Instant};
use weft_switch::WorkerId;

/// After a move nothing moves for so long: the measure looks four seconds back.
const PAUSE: Duration = Duration::from_secs(5);

/// When links moved last.
#[derive(Debug, Default)]
pub struct Rebalance {
    moved_at: Option<Instant>,
}

impl Rebalance {
    fn is_due(&self, now: Instant) -> bool {
        self.moved_at.is_none_or(|at| now.duration_since(at) >= PAUSE)
    }
}

/// The links that can move, and where they are.  Queues of a NIC that has several are on all workers, and stay.
fn places(links: &Links, workers: &Workers) -> Places {
    let place = |link: &Link| match *link.workers {
        [worker] if link.tap.state == TapState::Untapped && workers.shares_memory(worker) => {
            Some((link.id, worker))
        }
        _ => None,
    };
    links.iter().filter_map(|(_, link)| place(link)).collect()
}

impl Engine {
    /// Moves links when much is won by it.  To be called about once a second.
    ///
    /// # Errors
    /// When a worker is lost.
    pub(crate) fn tend_workers(&mut self, now: Instant) -> Result<(), WorkerError> {
        if self.workers.count() > 1 && self.desired.rebalances && self.rebalance.is_due(now) {
            self.rebalance_workers(now, false)?;
        }
        Ok(())
    }

    /// Moves links between workers, also for little when somebody asked for it.
    ///
    /// # Errors
    /// When a worker is lost.
    pub(crate) fn rebalance_workers(
        &mut self,
        now: Instant,
        is_asked_for: bool,
    ) -> Result<(), WorkerError> {
        let talks = self.workers.talks();
        let at = places(&self.links, &self.workers);
        let moves = placement::moves(&talks, &at, self.workers.count(), is_asked_for);
        if moves.is_empty() {
            return Ok(());
        }
        self.rebalance.moved_at = Some(now);
        for (link, worker) in &moves {
            self.workers.expect_queue(*worker, *link);
            self.links.set_worker(*link, *worker);
        }
        self.install()?;
        for (link, worker) in moves {
            let from = at.get(&link).copied().unwrap_or(WorkerId(0));
            if self.workers.move_queues(link, from, worker)? {
                let name = self.links.numbered(link).map_or("", |(name, _)| name);
                tracing::info!("{name}: from worker {} to worker {}", from.0, worker.0);
            } else {
                // Whoever replaces that worker opens its links anew.
                self.links.set_worker(link, from);
            }
        }
        Ok(())
    }
}
