//! From a plan to the workers: snapshots, questions, and which worker has which link.

pub(crate) mod apply;
pub(crate) mod mirrors;
pub mod placement;
pub mod publish;
pub(crate) mod rebalance;
pub mod supervise;

use crate::config::names::PortName;
use crate::plan::installed::Installed;
use crate::workers::{Question, StartError, Workers};
use publish::Ids;
use rebalance::Rebalance;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use weft_switch::{PortId, Snapshot};

/// The workers, and what they forward by.
pub struct Lower {
    /// The workers.
    pub workers: Workers,
    /// Numbers of bridges, ports, interfaces, mirrors and groups.
    pub ids: Ids,
    /// What the workers forward by.
    pub snapshot: Arc<Snapshot>,
    /// The number of the snapshot: it goes up with every one.
    pub epoch: u64,
    /// When each bridge began to forward.
    pub bridges_since: BTreeMap<Uuid, Instant>,
    /// Ports that may be other than in the snapshot.
    dirty: BTreeSet<PortId>,
    rebalance: Rebalance,
    /// The CPUs that workers were asked for.
    cpus: Vec<usize>,
    has_restarted: bool,
    /// The order to forward by the snapshot.
    installing: Option<Question>,
}

impl Lower {
    /// Starts one worker.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        let ids = Ids::default();
        Ok(Self {
            workers: Workers::start(&[], &ids.outer)?,
            ids,
            snapshot: Arc::default(),
            epoch: 0,
            bridges_since: BTreeMap::new(),
            dirty: BTreeSet::new(),
            rebalance: Rebalance::default(),
            cpus: Vec::new(),
            has_restarted: false,
            installing: None,
        })
    }

    /// Has all workers forward by this.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.epoch = snapshot.epoch;
        self.snapshot = Arc::new(snapshot);
        self.installing = Some(self.workers.install(&self.snapshot));
    }

    /// The order to forward by the snapshot, until all workers do.
    #[must_use]
    pub fn installing(&self) -> Option<Question> {
        self.installing.filter(|question| !self.workers.is_answered(*question))
    }

    /// True when all workers forward by the snapshot.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.installing().is_none()
    }

    /// Ports may be other than in the snapshot.
    pub fn mark(&mut self, ports: impl IntoIterator<Item = PortId>) {
        self.dirty.extend(ports);
    }

    /// The same for a port by name, if it has a number.
    pub fn mark_port(&mut self, name: &PortName) {
        self.dirty.extend(self.ids.port(name));
    }

    /// Forgets the addresses behind links that have lost their carrier.
    pub fn forget_behind(&mut self, links: &[String], plan: &Installed) {
        for name in links {
            let port = plan.ports.by_device(name);
            if let Some(id) = port.and_then(|port| self.ids.port(&port.port)) {
                self.workers.forget_fdb(None, Some(id));
            }
        }
    }

    /// Starts workers on other CPUs, unless they are those of before; the workers of before, whose queues
    /// are to be closed.  When it fails, those go on.
    pub fn restart(&mut self, cpus: &[usize]) -> Option<Workers> {
        if self.cpus == cpus {
            return None;
        }
        tracing::info!("workers on CPUs {cpus:?}");
        cpus.clone_into(&mut self.cpus);
        let mut workers = match Workers::start(cpus, &self.ids.outer) {
            Ok(workers) => workers,
            Err(error) => {
                tracing::error!("{error}: those before go on");
                return None;
            }
        };
        workers.number_on(&self.workers);
        self.has_restarted = true;
        self.snapshot = Arc::default();
        Some(std::mem::replace(&mut self.workers, workers))
    }

    /// True, once, after all workers were replaced.
    pub fn take_restarted(&mut self) -> bool {
        std::mem::take(&mut self.has_restarted)
    }
}
