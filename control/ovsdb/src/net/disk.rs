//! What the disk is asked for, so that nobody waits who need not: syncs and compactions.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use crate::methods::commits::SyncJob;
use crate::net::server::Inner;

/// Has the disk take what replies wait for. Whatever is written during one write-out goes with the next.
pub(crate) async fn sync(inner: Rc<Inner>) {
    let mut pace = Pace::default();
    loop {
        while let Some(owed) = Owed::take(&inner) {
            let is_short = pace.is_fast() && !inner.state.borrow().is_compacting();
            let file = Arc::clone(&owed.file);
            #[cfg(test)]
            assert!(!inner.sync_panics.take(), "the test wants it so");
            let begun = Instant::now();
            let outcome =
                if is_short { file.sync_data() } else { blocking(move || file.sync_data()).await };
            pace.note(begun.elapsed());
            owed.answer(&outcome);
            // Whoever has asked meanwhile goes with the next one.
            tokio::task::yield_now().await;
        }
        inner.unsynced.notified().await;
    }
}

/// Replies that wait for the disk. A panic answers them with an error: what was not synced is not promised.
struct Owed<'a> {
    inner: &'a Inner,
    file: Arc<File>,
    job: Option<SyncJob>,
}

impl<'a> Owed<'a> {
    fn take(inner: &'a Inner) -> Option<Self> {
        let job = inner.state.borrow_mut().take_sync()?;
        Some(Self { inner, file: Arc::clone(&job.file), job: Some(job) })
    }

    fn answer(mut self, outcome: &io::Result<()>) {
        if let Some(job) = self.job.take() {
            self.inner.state.borrow_mut().synced(job, outcome);
        }
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(job) = self.job.take()
            && let Ok(mut state) = self.inner.state.try_borrow_mut()
        {
            state.synced(job, &Err(io::Error::other("the database failed before the disk had it")));
        }
    }
}

/// How soon a task that panicked is started again.
const RESTART: Duration = Duration::from_millis(100);

/// Runs a task that the server cannot be without, and starts it again when it panics.
pub(crate) async fn supervised<F: Future<Output = ()>>(does: &str, start: impl Fn() -> F) {
    loop {
        let mut task = Box::pin(start());
        let run = poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
                Ok(poll) => poll.map(|()| true),
                Err(_) => Poll::Ready(false),
            }
        });
        if run.await {
            return;
        }
        tracing::error!("the task of the database that {does} panicked, and is started again");
        tokio::time::sleep(RESTART).await;
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
    use crate::client::{Client, ClientError};
    use crate::net::config::ServerConfig;
    use crate::net::server::Server;
    use serde_json::{Value, json};

    fn in_a_runtime(test: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test());
    }

    fn queue(dscp: u8) -> Vec<Value> {
        vec![
            json!({"op": "insert", "table": "Queue", "row": {"dscp": dscp}}),
            json!({"op": "commit", "durable": true}),
        ]
    }

    /// No client is answered that the disk has what it has not, and the next transaction is durable again.
    #[test]
    fn a_panic_of_the_task_that_syncs_is_an_error_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (path, socket) = (dir.path().join("conf.db"), dir.path().join("db.sock"));
        in_a_runtime(async || {
            let config = ServerConfig::new(&path).remote(format!("punix:{}", socket.display()));
            let server = Server::start(config).await.unwrap();
            let mut client = Client::connect(&format!("unix:{}", socket.display())).await.unwrap();
            client.transact_on("Open_vSwitch", queue(1)).await.unwrap();
            server.inner.sync_panics.set(true);
            let refused = client.transact_on("Open_vSwitch", queue(2)).await.unwrap_err();
            let ClientError::Transaction { error, details, .. } = refused else {
                panic!("{refused}");
            };
            assert_eq!(error, "I/O error", "{details}");
            // As soon as everything was written anew.
            let written = async {
                while client.transact_on("Open_vSwitch", queue(3)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), written).await.expect("syncs go on");
            server.stop().await;
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"dscp\":3"), "{text}");
    }

    #[test]
    fn a_task_that_panics_is_started_again() {
        let runs = std::cell::Cell::new(0);
        in_a_runtime(async || {
            supervised("counts", async || {
                runs.set(runs.get() + 1);
                tokio::task::yield_now().await;
                assert!(runs.get() > 2, "the test wants it so");
            })
            .await;
        });
        assert_eq!(runs.get(), 3);
    }

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
