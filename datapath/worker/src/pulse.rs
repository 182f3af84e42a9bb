//! The signs of life of a worker: what control looks at when a worker does not answer.

use crossbeam::utils::CachePadded;
use rustix::thread::Pid;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the worker, read by control.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    rounds: CachePadded<AtomicU64>,
    thread: OnceLock<Pid>,
    /// Set once it has obeyed the order to stop; closing its queues may take it a while.
    is_leaving: OnceLock<()>,
    /// Why the thread ended, when it did so unasked.
    end: OnceLock<String>,
}

impl Pulse {
    /// One more round.  The worker is the only one who writes.
    pub(crate) fn beat(&self) {
        // Relaxed: a number that is compared with itself; nothing is ordered by it.
        let rounds = self.rounds.load(Ordering::Relaxed);
        self.rounds.store(rounds.wrapping_add(1), Ordering::Relaxed);
    }

    /// Rounds since the worker started.
    pub(crate) fn rounds(&self) -> u64 {
        // Relaxed: see `beat`.
        self.rounds.load(Ordering::Relaxed)
    }

    pub(crate) fn set_thread(&self, thread: Pid) {
        let _ = self.thread.set(thread);
    }

    pub(crate) fn thread(&self) -> Option<Pid> {
        self.thread.get().copied()
    }

    pub(crate) fn leave(&self) {
        let _ = self.is_leaving.set(());
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get().is_some()
    }

    pub(crate) fn set_end(&self, text: String) {
        let _ = self.end.set(text);
    }

    pub(crate) fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}
