//! What others find of the daemon: pid files, control sockets, the page for Prometheus.

use crate::process::options::RUNDIR_USUAL;
use crate::process::pidfile::Pidfiles;
use crate::process::run::RunConfig;
use crate::serve::capture::{self, CaptureSocket};
use crate::serve::metrics::Metrics;
use crate::serve::unixctl::{self, REQUESTS_MAX, Request, Target, Unixctl};
use anyhow::{Context, anyhow};
use std::io::ErrorKind;
use std::path::Path;
use tokio::sync::mpsc;

/// What lives as long as the daemon, and vanishes with it.
pub(super) struct Presence {
    pub pidfiles: Pidfiles,
    _unixctls: Vec<Unixctl>,
    _capture: CaptureSocket,
    _metrics: Option<Metrics>,
    pub requests: mpsc::Receiver<Request>,
    pub captures: mpsc::Receiver<capture::Request>,
}

impl Presence {
    /// Takes the pid files and opens the sockets.
    ///
    /// # Errors
    /// When another daemon has them, or a folder is missing.
    pub async fn announce(config: &RunConfig) -> anyhow::Result<Self> {
        let pid = std::process::id();
        let rundir = &config.rundir;
        make_rundir(rundir)?;
        let mut pidfiles = Pidfiles::default();
        pidfiles.take(&config.pidfile)?;
        for (name, ending) in
            [("ovs-vswitchd", "ctl"), ("ovsdb-server", "ctl"), ("weft", "capture")]
        {
            unixctl::remove_stale(rundir, name, ending);
        }
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let listen = |path: &Path, target| {
            let socket = Unixctl::listen(path, target, sender.clone());
            socket.with_context(|| format!("control socket {}", path.display()))
        };
        let usual = rundir.join(format!("ovs-vswitchd.{pid}.ctl"));
        let path = config.unixctl.as_ref().unwrap_or(&usual);
        let mut unixctls = vec![listen(path, Target::Switch)?];
        if config.store.external.is_none() {
            pidfiles.take(&rundir.join("ovsdb-server.pid"))?;
            let path = rundir.join(format!("ovsdb-server.{pid}.ctl"));
            unixctls.push(listen(&path, Target::Database)?);
        }
        let metrics = match &config.metrics {
            None => None,
            Some(target) => {
                let metrics = Metrics::listen(target, sender.clone()).await;
                Some(metrics.map_err(|error| match error.kind() {
                    ErrorKind::AddrInUse => anyhow!(
                        "--metrics {target}: another program listens there: choose another place"
                    ),
                    _ => anyhow!("--metrics {target}: {error}"),
                })?)
            }
        };
        let (sender, captures) = mpsc::channel(4);
        let path = rundir.join(format!("weft.{pid}.capture"));
        let capture = CaptureSocket::listen(&path, sender)
            .with_context(|| format!("capture socket {}", path.display()))?;
        Ok(Self {
            pidfiles,
            _unixctls: unixctls,
            _capture: capture,
            _metrics: metrics,
            requests,
            captures,
        })
    }
}

/// Makes the usual folder, where that of a system is gone with each start of it.  Any other must be
/// there: clients would look for the sockets where the operator meant them to be.
fn make_rundir(rundir: &Path) -> anyhow::Result<()> {
    if rundir == Path::new(RUNDIR_USUAL) {
        return std::fs::create_dir_all(rundir).with_context(|| rundir.display().to_string());
    }
    if !rundir.is_dir() {
        anyhow::bail!("--rundir {}: there is no such folder: make it first", rundir.display());
    }
    Ok(())
}
