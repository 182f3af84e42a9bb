//! What the disk is asked for, so that nobody waits who need not: syncs and compactions.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use crate::server::Inner;

/// Has the disk take what replies wait for. Whatever is written during one write-out goes with the next.
pub(crate) async fn sync(inner: Rc<Inner>) {
    let mut pace = Pace::default();
    loop {
        inner.unsynced.notified().await;
        loop {
            let Some(job) = inner.state.borrow_mut().take_sync() else { break };
            let is_short = pace.is_fast() && !inner.state.borrow().is_compacting();
            let file = Arc::clone(&job.file);
            let begun = Instant::now();
            let outcome =
                if is_short { file.sync_data() } else { blocking(move || file.sync_data()).await };
            pace.note(begun.elapsed());
            inner.state.borrow_mut().synced(job, &outcome);
            // Whoever has asked meanwhile goes with the next one.
            tokio::task::yield_now().await;
        }
    }
}

/// How the disk did lately. Clients must not wait for a slow one, but to hand a sync to another thread and
/// to be woken up by it takes as long as a fast one. A single sync that takes a few times as long as others,
/// as happens on a busy machine, makes no slow disk.
#[derive(Debug)]
struct Pace {
    /// Of the time that a sync takes; older ones weigh less.
    mean: Duration,
}

impl Default for Pace {
    /// To be slow is assumed until some syncs were fast.
    fn default() -> Self {
        Self { mean: 2 * Self::FAST }
    }
}

impl Pace {
    /// A disk is fast below this.
    const FAST: Duration = Duration::from_millis(1);
    /// What one sync weighs less than all before it.
    const WEIGHT: u32 = 16;

    fn note(&mut self, took: Duration) {
        self.mean = (self.mean * (Self::WEIGHT - 1) + took) / Self::WEIGHT;
    }

    fn is_fast(&self) -> bool {
        self.mean < Self::FAST
    }
}

/// Runs what may take long on another thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// How soon a file that cannot be written is looked at again, at least.
const MEND: Duration = Duration::from_secs(1);
/// So many times as long as looking took, for a disk that is slow to refuse.
const MEND_FACTOR: u32 = 20;

/// Sees again and again to a file that cannot be written.
pub(crate) async fn mend(inner: Rc<Inner>) {
    let mut pause = MEND;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        inner.state.borrow_mut().mend();
        pause = MEND.max(begun.elapsed() * MEND_FACTOR);
    }
}

pub(crate) async fn compact_by_itself(inner: Rc<Inner>) {
    tracing::info!("compacting the database file");
    if let Err(error) = compact(&inner, 0).await {
        tracing::warn!(%error, "compaction failed");
    }
}

/// Bytes that may be written to the new file while clients wait.
const TAIL_BYTES_MAX: usize = 1 << 16;

pub(crate) async fn compact(inner: &Rc<Inner>, db: usize) -> io::Result<()> {
    inner.state.borrow().check_ready(db).map_err(io::Error::other)?;
    let Some(job) = inner.state.borrow_mut().start_compaction(db) else {
        return Err(io::Error::other("a compaction is under way already"));
    };
    let written = async {
        let mut new = blocking(move || job.write()).await?;
        loop {
            let tail = inner.state.borrow_mut().take_tail(db);
            let length = tail.len();
            new = blocking(move || new.append(&tail).map(|()| new)).await?;
            if length <= TAIL_BYTES_MAX {
                return Ok(new);
            }
        }
    }
    .await;
    let mut state = inner.state.borrow_mut();
    let outcome = written.and_then(|new| state.put_in_place(db, new));
    if outcome.is_err() {
        state.give_up_compaction(db);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_as_fast_as_it_was_on_average_lately() {
        let mut pace = Pace::default();
        let mut note = |micros, times| {
            (0..times).for_each(|_| pace.note(Duration::from_micros(micros)));
            pace.is_fast()
        };
        assert!(!note(200, 10));
        assert!(note(200, 10));
        // One that is late is not yet a slow disk, one that keeps everybody waiting is, and so are many.
        assert!(note(3_000, 1));
        assert!(!note(20_000, 1));
        assert!(note(200, 30));
        assert!(!note(2_000, 20));
    }
}
