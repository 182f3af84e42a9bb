//! Starts the daemon, runs the control loop, and ends.

use crate::engine::{Daemon, Engine, Leave};
use crate::netlink::events::KernelEvents;
use crate::process::control::Control;
use crate::process::presence::Presence;
use crate::serve::metrics::MetricsTarget;
use crate::store::database::Database;
use crate::store::purge::Purge;
use crate::store::{Store, StoreConfig};
use crate::vlog::Vlog;
use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;

/// How long the answer to `exit` may take to reach the socket's buffer.
const LAST_WORD: Duration = Duration::from_millis(20);

/// How to run.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Where sockets and pid files are.
    pub rundir: PathBuf,
    /// The pid file.
    pub pidfile: PathBuf,
    /// The control socket, unless it is the usual one.
    pub unixctl: Option<PathBuf>,
    /// The database.
    pub store: StoreConfig,
    /// Where the page for Prometheus is served, if anywhere.
    pub metrics: Option<MetricsTarget>,
    /// What to delete from it at start.
    pub purge: Purge,
    /// Whether tests may make workers fail.
    pub test_faults: bool,
}

/// Runs the daemon until it is told to stop.  `ready` is called when everything is served.
///
/// # Errors
/// When it cannot start, or must not go on.
pub async fn run(
    config: RunConfig,
    vlog: Vlog,
    ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let presence = Presence::announce(&config).await?;
    let mut store = Store::open(&config.store).await?;
    if store.is_active() {
        store.introduce(&config.store).await.context("writing the first rows")?;
        let purge = config.purge.operations(&store);
        if !purge.is_empty() {
            store.run(purge).await.context("deleting at start")?;
        }
    }
    let kernel = KernelEvents::open().context("netlink")?;
    let engine = Engine::start(Daemon {
        vlog,
        storage: store.server.as_ref().map(Database::fault_handle).unwrap_or_default(),
        rundir: config.rundir.clone(),
        test_faults: config.test_faults,
    })?;
    if !store.is_active() {
        tracing::warn!("another switch holds the lock of the database: waiting for it");
    }
    ready()?;
    tracing::info!("weftd {} serves {}", env!("CARGO_PKG_VERSION"), config.rundir.display());
    let turns = engine.views.turns.clone();
    let mut control = Control::new(config.store, presence, kernel, engine, store)?;
    let end = turns.measure(control.run()).await;
    let leave = end.as_ref().map_or(Leave::Devices, |(leave, _)| *leave);
    let presence = Box::pin(control.stop(leave)).await;
    tracing::info!("stopped");
    // Whoever gave the order hears of it when nothing stands in the way of a next start.
    drop(presence);
    if let (_, Some(reply)) = end? {
        // It may have lost patience.
        let _ = reply.send(Ok(String::new()));
        tokio::time::sleep(LAST_WORD).await;
    }
    Ok(())
}
