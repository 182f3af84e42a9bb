//! The embedded database, on a thread and a runtime of its own: whatever its clients ask of it keeps the
//! switch waiting for nothing. The switch itself is one of these clients.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use weft_ovsdb::{FaultHandle, Server, ServerConfig, ServerError};

/// The name of the thread.
const THREAD: &str = "weft-database";

/// What is done on the thread.
type Job = Box<dyn FnOnce(&Server) + Send>;

/// A running server.  Dropping it ends it.
pub struct Database {
    /// None when it is to end.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    fault: FaultHandle,
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Starts it: its sockets accept when this returns.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (started, outcome) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            serve(config, queue, started);
            // Nobody may be interested.
            let _ = end.send(());
        });
        let thread = thread.map_err(ServerError::Thread)?;
        let lost = || ServerError::Thread(std::io::Error::other("it ended before it served"));
        let fault = outcome.await.unwrap_or_else(|_| Err(lost()))?;
        Ok(Self { jobs: Some(jobs), fault, ended, thread: Some(thread) })
    }

    /// Has something done on the thread, after what was asked for before; false when it has ended.
    pub fn run(&self, job: impl FnOnce(&Server) + Send + 'static) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(Box::new(job)).is_ok())
    }

    /// Why the file cannot be written, if so.
    #[must_use]
    pub fn fault_handle(&self) -> FaultHandle {
        self.fault.clone()
    }

    /// Ends every connection, removes the sockets and unlocks the file.
    pub async fn stop(mut self) {
        self.jobs = None;
        // When the thread panicked, it has ended all the same.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the database panicked");
        }
    }
}

fn serve(
    config: ServerConfig,
    mut queue: mpsc::UnboundedReceiver<Job>,
    started: oneshot::Sender<Result<FaultHandle, ServerError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(ServerError::Thread(error)))),
    };
    LocalSet::new().block_on(&runtime, async {
        let server = match Server::start(config).await {
            Ok(server) => server,
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok(server.fault_handle())).is_err() {
            return;
        }
        while let Some(job) = queue.recv().await {
            // One command that fails is no reason to end the database.
            if catch_unwind(AssertUnwindSafe(|| job(&server))).is_err() {
                tracing::error!("a command to the database panicked");
            }
        }
        server.stop().await;
    });
}
