//! The one loop: database, kernel, control sockets, workers and deadlines, one event at a time.
//!
//! A part that has something to do by time says when ([`Timed::due`]); the earliest deadline is
//! the one that the loop waits for.

mod rows;
mod timed;

use crate::engine::errand::{Errands, Ready};
use crate::engine::{Engine, Leave};
use crate::host::threads::Done;
use crate::netlink::events::{KernelEvent, KernelEvents};
use crate::netlink::kernel::watched;
use crate::process::presence::Presence;
use crate::serve::capture;
use crate::serve::unixctl::{Answer, Request};
use crate::store::{Store, StoreConfig};
use crate::underlay::icmp_errors::{Noted, UnderlayErrors};
use crate::underlay::path_mtu::Report;
use rows::Reconciliation;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use timed::{LinkCounters, Statistics, Timed};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How long to wait when nothing is due.
const FAR: Duration = Duration::from_hours(1);

/// The order to end, and who waits for it to be done.
pub(super) type End = (Leave, Option<oneshot::Sender<Answer>>);

/// The loop.
pub(super) struct Control {
    engine: Engine,
    store: Store,
    store_config: StoreConfig,
    presence: Presence,
    kernel: KernelEvents,
    icmp: UnderlayErrors,
    /// Becomes readable when a worker has something to say.
    notices: AsyncFd<OwnedFd>,
    signals: Signals,
    reconciliation: Reconciliation,
    statistics: Statistics,
    /// What takes several turns.
    errands: Errands,
    /// When parts are looked after that have no time of their own.
    tend_due: Instant,
}

/// Signals that mean something to the loop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.hangup.recv() => Wake::Reopen,
        }
    }
}

/// What woke the loop.
enum Wake {
    Database(Result<weft_ovsdb::Changes, weft_ovsdb::ClientError>),
    Kernel(KernelEvent),
    PathMtu(Report),
    Command(Request),
    Capture(capture::Request),
    Workers,
    /// The time of a part has come.
    Due(Timed),
    LinkCounters(Option<LinkCounters>),
    /// A thread has opened or closed links.
    Links(Option<Done>),
    /// The change that is under way can go on.
    Change,
    Errand,
    Stop,
    Reopen,
}

impl Wake {
    /// What the turn is called.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "rows",
            Self::Kernel(_) => "kernel",
            Self::PathMtu(_) => "path-mtu",
            Self::Command(_) => "command",
            Self::Capture(_) => "capture",
            Self::Workers => "workers",
            Self::Due(timed) => timed.name(),
            Self::LinkCounters(_) => "statistics",
            Self::Links(_) => "links",
            Self::Change => Timed::Reconcile.name(),
            Self::Errand => "errand",
            Self::Stop | Self::Reopen => "signal",
        }
    }
}

impl Control {
    pub fn new(
        store_config: StoreConfig,
        presence: Presence,
        kernel: KernelEvents,
        engine: Engine,
        store: Store,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            store_config,
            presence,
            kernel,
            icmp: UnderlayErrors::open(),
            notices: watched(engine.lower.workers.notices()?)?,
            signals: Signals::open()?,
            engine,
            store,
            reconciliation: Reconciliation::at_start(),
            statistics: Statistics::at_start(),
            errands: Errands::default(),
            tend_due: Instant::now(),
        })
    }

    /// Serves until somebody gives the order to end.
    ///
    /// # Errors
    /// When it cannot go on.
    pub async fn run(&mut self) -> anyhow::Result<End> {
        let turns = self.engine.views.turns.clone();
        loop {
            turns.begin("wait");
            let wake = self.wait().await;
            turns.begin(wake.kind());
            if let Some(end) = self.serve(wake).await? {
                return Ok(end);
            }
            if self.engine.replace_lost_workers() {
                self.reconciliation.soon(Duration::ZERO);
            }
            self.engine.follow_captures();
            // A turn ends here: other tasks of this thread have theirs.
            tokio::task::yield_now().await;
        }
    }

    /// Waits for one thing to happen.  Dropping any branch loses nothing.
    async fn wait(&mut self) -> Wake {
        let next = self.next_due();
        let is_ready = self.errands.is_ready(&self.engine.lower.workers);
        let is_changing = self.reconciliation.can_go_on(&self.engine);
        let at = next.map_or_else(|| Instant::now() + FAR, |(at, _)| at);
        tokio::select! {
            biased;
            wake = self.signals.next() => wake,
            change = self.store.client.next_change(), if self.reconciliation.is_connected => {
                Wake::Database(change)
            }
            Some(request) = self.presence.requests.recv(), if self.errands.has_room() => {
                Wake::Command(request)
            }
            Some(request) = self.presence.captures.recv() => Wake::Capture(request),
            () = tokio::time::sleep_until(at.into()), if next.is_some() => {
                next.map_or(Wake::Errand, |(_, timed)| Wake::Due(timed))
            }
            event = self.kernel.next(), if !self.kernel.is_deaf() => Wake::Kernel(event),
            report = self.icmp.next() => Wake::PathMtu(report),
            ready = self.notices.readable() => {
                if let Ok(mut ready) = ready { ready.clear_ready(); }
                Wake::Workers
            }
            done = self.engine.host.threads.next() => Wake::Links(done),
            read = self.statistics.read() => Wake::LinkCounters(read),
            // Whatever else there is goes first, and other tasks of this thread do.
            () = tokio::task::yield_now(), if is_changing => Wake::Change,
            () = tokio::task::yield_now(), if is_ready => Wake::Errand,
        }
    }

    /// Does what has to be done; the order to end is handed back.
    async fn serve(&mut self, wake: Wake) -> anyhow::Result<Option<End>> {
        match wake {
            Wake::Stop => return Ok(Some((Leave::Devices, None))),
            Wake::Reopen => drop(self.engine.daemon.vlog.reopen()),
            Wake::Database(change) => {
                self.database(change).await?;
                self.write_for_errands();
            }
            Wake::Kernel(event) => {
                let changes = self.kernel.note(event, &mut self.engine.host.kernel);
                self.note_changes(changes);
            }
            Wake::PathMtu(report) => self.note_report(&report),
            Wake::Command(request) => {
                let Self { engine, store, errands, .. } = self;
                let exit = engine.answer(request, store, errands);
                return Ok(exit.map(|(leave, reply)| (leave, Some(reply))));
            }
            Wake::Capture(request) => {
                let Engine { views, plan, .. } = &mut self.engine;
                let is_port = |name: &str| plan.ports.by_port_or_interface(name).is_some();
                views.captures.answer(request, is_port);
            }
            Wake::Workers => {
                self.engine.hear_workers();
                self.turn_trees();
            }
            Wake::Due(timed) => self.turn(timed).await?,
            Wake::LinkCounters(read) => self.write_statistics(read),
            Wake::Links(done) => self.engine.note_links(done),
            Wake::Change => self.go_on_changing(),
            Wake::Errand => {
                self.go_on();
                self.write_for_errands();
            }
        }
        Ok(None)
    }

    /// Goes on with an errand.
    fn go_on(&mut self) {
        let ready = self.errands.take_ready(&mut self.engine.lower.workers);
        let Some(Ready { reply, resume, answers }) = ready else { return };
        let step = resume(&mut self.engine, answers);
        self.errands.after(step, reply);
    }

    fn turn_trees(&mut self) {
        if !self.engine.protocols.spanning.is_active() {
            return;
        }
        self.engine.turn_trees();
        if self.engine.protocols.take_states_changed() && self.store.is_active() {
            self.tell(&crate::config::changed_rows::ChangedRows::default());
        }
    }

    fn note_report(&mut self, report: &Report) {
        let Engine { underlay, plan, lower, views, .. } = &mut self.engine;
        match underlay.note_report(report, plan, lower.ids.source_ports) {
            Some(Noted::PathMtu { is_narrower }) => {
                views.coverage.add("path_mtu_report", 1);
                if is_narrower {
                    self.reconciliation.soon(Duration::ZERO);
                }
            }
            Some(Noted::Unreachable) => views.coverage.add("unreachable_report", 1),
            None => {}
        }
    }

    /// Stops the workers and the database.  Whoever drops what is left gives up the sockets.
    pub async fn stop(self, leave: Leave) -> Presence {
        let Self { engine, mut store, presence, .. } = self;
        engine.stop(leave).await;
        store.settle().await;
        if let Some(server) = store.server.take() {
            server.stop().await;
        }
        presence
    }
}
