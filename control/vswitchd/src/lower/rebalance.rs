//! Moves links between workers, so that those that talk to each other are together.
//!
//! A queue moves as it is, with all that is on its rings.  The order of things loses nothing and keeps every
//! frame behind those before it: the next worker expects the queue, and keeps frames for it; all workers hear whose
//! the link is; only then does the one that has it send what was handed over to it, and let go.

use crate::host::links::{Link, Links};
use crate::host::taps::TapState;
use crate::lower::placement::{self, Places};
use crate::lower::publish::Publisher;
use crate::workers::{NoWorker, Workers};
use std::time::{Duration, Instant};
use weft_switch::WorkerId;
use weft_worker::Talk;

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

impl Publisher<'_> {
    /// True when it may be worth it to move links.
    pub(crate) fn is_rebalance_due(&self, now: Instant) -> bool {
        let has_several = self.lower.workers.count() > 1;
        has_several && self.desired.rebalances && self.lower.rebalance.is_due(now)
    }

    /// Moves links between workers when much is won by it; also for little when somebody asked for it.  All of
    /// it is one turn, so that no link goes meanwhile: the workers have just said who talks to whom.
    ///
    /// # Errors
    /// When a link was to go to a worker that is not there.
    pub(crate) fn rebalance(&mut self, talks: &[Talk], is_asked_for: bool) -> Result<(), NoWorker> {
        let at = places(self.links, &self.lower.workers);
        let moves = placement::moves(talks, &at, self.lower.workers.count(), is_asked_for);
        if moves.is_empty() {
            return Ok(());
        }
        self.lower.rebalance.moved_at = Some(Instant::now());
        for (link, worker) in &moves {
            self.lower.workers.expect_queue(*worker, *link);
            self.links.set_worker(*link, *worker);
        }
        self.install();
        if let Some(question) = self.lower.installing() {
            self.lower.workers.await_order(question);
        }
        for (link, worker) in moves {
            let from = at.get(&link).copied().unwrap_or(WorkerId(0));
            if self.lower.workers.move_queues(link, from, worker)? {
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
