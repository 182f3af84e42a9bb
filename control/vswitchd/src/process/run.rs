//! The one loop: database, kernel, control sockets, workers and timers, one event at a time.

use crate::command;
use crate::config::desired::Rows;
use crate::config::news::News;
use crate::host::kernel::{self, Changes, LinkStats, Monitor, watched};
use crate::host::machine;
use crate::lower::workers::{self, WorkerError};
use crate::process::engine::{Engine, Leave};
use crate::process::errand::Errands;
use crate::process::options::RUNDIR_USUAL;
use crate::process::pidfile::Pidfiles;
use crate::process::unixctl::{self, Answer, REQUESTS_MAX, Request, Target, Unixctl};
use crate::process::vlog::Vlog;
use crate::protocols::spanning::TICK;
use crate::report::capture::{self, CaptureSocket};
use crate::report::metrics::{Metrics, MetricsTarget};
use crate::report::status::Wanted;
use crate::store::database::Database;
use crate::store::purge::Purge;
use crate::store::{Store, StoreConfig};
use crate::underlay::icmp_errors::UnderlayErrors;
use crate::underlay::path_mtu::Report;
use anyhow::{Context, anyhow};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// News of the kernel come in swarms: so long one waits for the rest.
const SETTLE: Duration = Duration::from_millis(15);

/// How often next hops are looked after, and failures are tried again.
const TEND: Duration = Duration::from_secs(1);

/// After a change of the configuration counters are written so soon.
const FIRST_STATISTICS: Duration = Duration::from_millis(200);

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

/// What lives as long as the daemon, and vanishes with it.
struct Presence {
    pidfiles: Pidfiles,
    _unixctls: Vec<Unixctl>,
    _capture: CaptureSocket,
    _metrics: Option<Metrics>,
    requests: mpsc::Receiver<Request>,
    captures: mpsc::Receiver<capture::Request>,
}

impl Presence {
    async fn announce(config: &RunConfig) -> anyhow::Result<Self> {
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
    let monitor = Monitor::open().context("netlink")?;
    let mut engine = Engine::start(config.rundir.clone(), vlog)?;
    engine.test_faults = config.test_faults;
    engine.storage = store.server.as_ref().map(Database::fault_handle).unwrap_or_default();
    if !store.is_active() {
        tracing::warn!("another switch holds the lock of the database: waiting for it");
    }
    ready()?;
    tracing::info!("weftd {} serves {}", env!("CARGO_PKG_VERSION"), config.rundir.display());
    let mut control = Loop::new(config.rundir.clone(), presence, monitor, &engine)?;
    let turns = engine.turns.clone();
    let end = turns.measure(control.turn(&mut engine, &mut store, &config.store)).await;
    engine.stop(end.as_ref().map_or(Leave::Devices, |(leave, _)| *leave));
    store.settle().await;
    if let Some(server) = store.server.take() {
        server.stop().await;
    }
    tracing::info!("stopped");
    // Whoever gave the order hears of it when nothing stands in the way of a next start.
    drop(control);
    if let (_, Some(reply)) = end? {
        // It may have lost patience.
        let _ = reply.send(Ok(String::new()));
        tokio::time::sleep(LAST_WORD).await;
    }
    Ok(())
}

/// Between two updates of statistics.
fn statistics_interval(engine: &Engine) -> Duration {
    Duration::from_millis(engine.desired.stats_interval_millis.max(1000))
}

struct Loop {
    rundir: PathBuf,
    presence: Presence,
    monitor: Monitor,
    errors: UnderlayErrors,
    notices: AsyncFd<std::os::fd::OwnedFd>,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// False while the database is out of reach; the switch goes on by what it knows.
    is_connected: bool,
    /// When to look at the world again.
    due: Option<Instant>,
    /// What to look at then.
    news: News,
    statistics_due: Instant,
    /// When new interfaces get their first counters, if there are any.
    first_due: Option<Instant>,
    /// When time passes for the spanning trees, if there are any.
    trees_due: Option<Instant>,
    /// When to look for listeners on ports, if there are any ports.
    taps_due: Option<Instant>,
    /// When time passes for multicast snooping, if there is any.
    snooping_due: Option<Instant>,
    /// What takes several turns.
    errands: Errands,
    /// A thread that reads the counters of the kernel's links.
    counters_read: Option<JoinHandle<io::Result<LinkCounters>>>,
    /// The kernel's tables could not be read, or its notifications not be heard: to be tried again.
    is_deaf: bool,
}

/// Counters of links, by their numbers.
type LinkCounters = Vec<(u32, LinkStats)>;

/// What comes again and again.
struct Pace {
    tend: tokio::time::Interval,
    watch: tokio::time::Interval,
}

impl Pace {
    fn new() -> Self {
        let every = |time| {
            let mut interval = interval(time);
            // Time in which the loop did not run is not made up for.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        Self { tend: every(TEND), watch: every(workers::LOOK) }
    }
}

/// What woke the loop.
enum Wake {
    Database(Result<weft_ovsdb::Changes, weft_ovsdb::ClientError>),
    Kernel(io::Result<Option<Vec<u8>>>),
    PathMtu(Report),
    Command(Request),
    Capture(capture::Request),
    Workers,
    Trees,
    Taps,
    Snooping,
    Due,
    Tend,
    /// A worker owes an answer.
    Watch,
    Statistics,
    LinkCounters(Option<io::Result<LinkCounters>>),
    FirstStatistics,
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
            Self::Trees => "trees",
            Self::Taps => "taps",
            Self::Snooping => "snooping",
            Self::Due => "reconcile",
            Self::Tend => "tend",
            Self::Watch => "watch",
            Self::Statistics | Self::LinkCounters(_) | Self::FirstStatistics => "statistics",
            Self::Errand => "errand",
            Self::Stop | Self::Reopen => "signal",
        }
    }
}

/// The outcome of a thread, if there is one; it waits until that is done.
async fn outcome<T>(thread: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(running) = thread else { return std::future::pending().await };
    let outcome = running.await.ok();
    *thread = None;
    outcome
}

impl Loop {
    fn new(
        rundir: PathBuf,
        presence: Presence,
        monitor: Monitor,
        engine: &Engine,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            rundir,
            presence,
            monitor,
            errors: UnderlayErrors::open(),
            notices: watched(engine.workers.notices()?)?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            is_connected: true,
            due: Some(Instant::now()),
            news: News::elsewhere(),
            statistics_due: Instant::now() + Duration::from_millis(500),
            first_due: None,
            trees_due: None,
            taps_due: None,
            snooping_due: None,
            errands: Errands::default(),
            counters_read: None,
            is_deaf: false,
        })
    }

    /// Waits for one thing to happen.  Dropping any branch loses nothing.
    async fn wait(&mut self, store: &mut Store, pace: &mut Pace, engine: &Engine) -> Wake {
        let Pace { tend, watch } = pace;
        let (is_owed, is_ready) = (engine.workers.is_owed(), self.errands.is_ready(engine));
        let far = Instant::now() + Duration::from_hours(1);
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.hangup.recv() => Wake::Reopen,
            change = store.client.next_change(), if self.is_connected => Wake::Database(change),
            Some(request) = self.presence.requests.recv(), if self.errands.has_room() => {
                Wake::Command(request)
            }
            Some(request) = self.presence.captures.recv() => Wake::Capture(request),
            () = sleep_until(self.due.unwrap_or(far)) => Wake::Due,
            news = self.monitor.next(), if !self.is_deaf => Wake::Kernel(news),
            report = self.errors.next() => Wake::PathMtu(report),
            ready = self.notices.readable() => {
                if let Ok(mut ready) = ready { ready.clear_ready(); }
                Wake::Workers
            }
            () = sleep_until(self.trees_due.unwrap_or(far)) => Wake::Trees,
            () = sleep_until(self.taps_due.unwrap_or(far)) => Wake::Taps,
            () = sleep_until(self.snooping_due.unwrap_or(far)) => Wake::Snooping,
            _ = tend.tick() => Wake::Tend,
            _ = watch.tick(), if is_owed => Wake::Watch,
            () = sleep_until(self.statistics_due) => Wake::Statistics,
            read = outcome(&mut self.counters_read) => Wake::LinkCounters(read),
            () = sleep_until(self.first_due.unwrap_or(far)) => Wake::FirstStatistics,
            // Whatever else there is goes first, and other tasks of this thread do.
            () = tokio::task::yield_now(), if is_ready => Wake::Errand,
        }
    }

    /// Looks soon at what has changed outside of the database.
    fn soon(&mut self, after: Duration) {
        let at = Instant::now() + after;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    async fn turn(
        &mut self,
        engine: &mut Engine,
        store: &mut Store,
        config: &StoreConfig,
    ) -> anyhow::Result<End> {
        let mut pace = Pace::new();
        loop {
            self.snooping_due = engine.snooping.due().map(Instant::from_std);
            engine.turns.begin("wait");
            let wake = self.wait(store, &mut pace, engine).await;
            engine.turns.begin(wake.kind());
            if let Some(end) = self.serve(wake, engine, store, config).await? {
                return Ok(end);
            }
            if engine.replace_lost_workers() {
                self.due = Some(Instant::now());
            }
            // A turn ends here: other tasks of this thread have theirs.
            tokio::task::yield_now().await;
        }
    }

    /// Does what has to be done; the order to end is handed back.
    async fn serve(
        &mut self,
        wake: Wake,
        engine: &mut Engine,
        store: &mut Store,
        config: &StoreConfig,
    ) -> anyhow::Result<Option<End>> {
        match wake {
            Wake::Stop => return Ok(Some((Leave::Devices, None))),
            Wake::Reopen => drop(engine.vlog.reopen()),
            Wake::Database(change) => {
                self.database(change, engine, store, config).await?;
                self.write_for_errands(engine, store);
            }
            Wake::Kernel(news) => self.kernel(news, engine)?,
            Wake::PathMtu(report) => {
                if engine.note_report(&report) {
                    self.soon(Duration::ZERO);
                }
            }
            Wake::Command(request) => {
                let exit = command::answer(request, engine, store, &mut self.errands);
                return Ok(exit.map(|(leave, reply)| (leave, Some(reply))));
            }
            Wake::Capture(request) => {
                let ports = &engine.plan.ports;
                engine.captures.answer(request, |name| ports.by_port_or_interface(name).is_some());
                engine.captures_changed();
            }
            Wake::Workers => {
                hear_workers(engine)?;
                self.trees(engine, store)?;
            }
            Wake::Snooping => engine.turn_snooping()?,
            Wake::Trees => {
                self.trees_due = Some(Instant::now() + TICK);
                self.trees(engine, store)?;
            }
            Wake::Taps => {
                engine.tend_taps();
                self.taps_due = engine.taps_pause().map(|pause| Instant::now() + pause);
            }
            Wake::Due => {
                self.due = None;
                self.reconcile(engine, store)?;
            }
            Wake::Tend => self.tend(engine, store).await?,
            Wake::Watch => engine.workers.watch(),
            Wake::Statistics => {
                store.tend(config).await?;
                self.read_counters(engine, store);
            }
            Wake::LinkCounters(read) => self.statistics(read, engine, store),
            Wake::FirstStatistics => {
                self.first_due = None;
                if store.is_active() {
                    self.errands.after(engine.count_fresh(), None);
                }
            }
            Wake::Errand => {
                self.errands.turn(engine);
                self.write_for_errands(engine, store);
            }
        }
        Ok(None)
    }

    /// Writes what errands want to be written, one piece after the other: pieces that pile up while the
    /// database is busy would be one long turn.
    fn write_for_errands(&mut self, engine: &mut Engine, store: &mut Store) {
        while store.is_idle() {
            let Some(mut write) = self.errands.take_write() else { return };
            self.write(engine, store, std::mem::take(&mut write.wanted));
            self.errands.written(write);
        }
    }

    /// Does what time alone brings.
    async fn tend(&mut self, engine: &mut Engine, store: &mut Store) -> anyhow::Result<()> {
        if !self.is_connected {
            self.connect(engine, store).await;
        }
        engine.workers.ping();
        self.presence.pidfiles.tend();
        engine.ask_neighbours();
        if let Some(step) = engine.probe_silent_hops(std::time::Instant::now()) {
            self.errands.after(step, None);
        }
        if self.is_deaf {
            self.listen_again(engine)?;
        }
        if engine.captures.has_left() {
            engine.captures_changed();
        }
        let now = std::time::Instant::now();
        engine.tend_workers(now)?;
        engine.coverage.turn(now);
        if engine.turn_dead_ends(now) && store.is_active() {
            self.tell(engine, store, &News::default());
        }
        let is_wider = engine.path_mtus.expire(now);
        if is_wider {
            engine.ways.invalidate(|_, _| true);
        }
        self.news.is_elsewhere |= engine.wants_retry();
        if self.news.is_elsewhere || engine.ways.is_behind(now) {
            self.soon(Duration::ZERO);
        }
        Ok(())
    }

    async fn database(
        &mut self,
        change: Result<weft_ovsdb::Changes, weft_ovsdb::ClientError>,
        engine: &mut Engine,
        store: &mut Store,
        config: &StoreConfig,
    ) -> anyhow::Result<()> {
        let change = change.and_then(|changes| {
            if !store.note_answers(&changes)? {
                engine.forget_told();
            }
            Ok(changes)
        });
        match change {
            Ok(changes) if changes.has_no_news() => return Ok(()),
            Ok(changes) => {
                store.note_controllers();
                self.news.add_rows(changes.rows);
                if changes.stolen.iter().any(|lock| lock == crate::report::status::LOCK) {
                    tracing::warn!("another switch has taken the database over");
                }
                if !changes.locked.is_empty() {
                    store.introduce(config).await.context("writing the first rows")?;
                }
            }
            Err(error) => {
                tracing::warn!("{error}: connecting again");
                self.is_connected = false;
                store.note_loss();
                engine.forget_told();
            }
        }
        self.due = Some(Instant::now());
        Ok(())
    }

    /// Tries to reach the database again.
    async fn connect(&mut self, engine: &mut Engine, store: &mut Store) {
        let attempt = tokio::time::timeout(TEND, store.client.reconnect());
        match self.meanwhile(engine, attempt).await {
            Ok(Ok(())) => {
                tracing::info!("the database is back");
                self.is_connected = true;
                self.due = Some(Instant::now());
            }
            Ok(Err(error)) => tracing::debug!("{error}"),
            Err(_) => tracing::debug!("the database does not answer"),
        }
    }

    fn kernel(
        &mut self,
        news: io::Result<Option<Vec<u8>>>,
        engine: &mut Engine,
    ) -> anyhow::Result<()> {
        match news {
            Ok(Some(bytes)) => {
                let changes = engine.kernel.note_bytes(&bytes);
                self.note_changes(changes, engine)
            }
            Ok(None) => {
                tracing::warn!("news of the kernel were lost: reading everything anew");
                self.read_tables(engine)
            }
            Err(error) => {
                tracing::warn!("news of the kernel: {error}: listening again");
                self.is_deaf = true;
                Ok(())
            }
        }
    }

    /// Reads the kernel's tables anew; when that does not work, it is tried again.
    fn read_tables(&mut self, engine: &mut Engine) -> anyhow::Result<()> {
        match engine.kernel.refresh() {
            Ok(changes) => self.note_changes(changes, engine),
            Err(error) => {
                tracing::warn!("the kernel's tables: {error}: reading them again");
                self.is_deaf = true;
                Ok(())
            }
        }
    }

    /// Listens to the kernel anew, and reads what was missed.
    fn listen_again(&mut self, engine: &mut Engine) -> anyhow::Result<()> {
        match Monitor::open() {
            Ok(monitor) => {
                (self.monitor, self.is_deaf) = (monitor, false);
                self.read_tables(engine)
            }
            Err(error) => {
                tracing::warn!("news of the kernel: {error}: trying again");
                Ok(())
            }
        }
    }

    /// Takes in what the kernel has said so far.
    fn hear_kernel(&mut self, engine: &mut Engine) -> anyhow::Result<()> {
        while !self.is_deaf {
            match self.monitor.take() {
                Ok(Some(bytes)) if bytes.is_empty() => break,
                news => self.kernel(news, engine)?,
            }
        }
        Ok(())
    }

    fn note_changes(&mut self, changes: Changes, engine: &mut Engine) -> anyhow::Result<()> {
        if !changes.is_empty() {
            engine.note_changes(changes)?;
            self.soon(SETTLE);
        }
        Ok(())
    }

    fn reconcile(&mut self, engine: &mut Engine, store: &mut Store) -> anyhow::Result<()> {
        if !store.is_active() || store.uuids("Open_vSwitch").is_empty() {
            return Ok(());
        }
        let news = std::mem::take(&mut self.news);
        let has_planned = engine.reconcile(&*store, &news)?;
        if engine.spanning.is_active() && self.trees_due.is_none() {
            self.trees_due = Some(Instant::now() + TICK);
        }
        if self.taps_due.is_none() && engine.has_nic_ports() {
            self.taps_due = Some(Instant::now());
        }
        if !engine.fresh.is_empty() && self.first_due.is_none() {
            // New interfaces have counters soon, not only at the end of the interval.
            self.first_due = Some(Instant::now() + FIRST_STATISTICS);
        }
        if engine.take_restarted() {
            self.notices = watched(engine.workers.notices()?)?;
        }
        if has_planned {
            // The devices that were just made or changed have their rows in this transaction.
            self.hear_kernel(engine)?;
        }
        self.catch_up(engine);
        // An interval that was made shorter ends sooner.
        self.statistics_due = self.statistics_due.min(Instant::now() + statistics_interval(engine));
        self.tell(engine, store, &news);
        Ok(())
    }

    fn trees(&mut self, engine: &mut Engine, store: &mut Store) -> anyhow::Result<()> {
        if !engine.spanning.is_active() {
            self.trees_due = None;
            return Ok(());
        }
        engine.turn_trees()?;
        if engine.take_states_changed() && store.is_active() {
            self.tell(engine, store, &News::default());
        }
        Ok(())
    }

    /// Has a thread read the kernel's counters, unless the last are under way still.
    fn read_counters(&mut self, engine: &Engine, store: &Store) {
        self.statistics_due = Instant::now() + statistics_interval(engine);
        if store.is_active() && !engine.is_counting && self.counters_read.is_none() {
            self.counters_read = Some(tokio::task::spawn_blocking(kernel::read_counters));
        }
    }

    /// Writes what has been counted.
    fn statistics(
        &mut self,
        read: Option<io::Result<LinkCounters>>,
        engine: &mut Engine,
        store: &mut Store,
    ) {
        match read {
            Some(Ok(counters)) => engine.kernel.note_counters(counters),
            Some(Err(error)) => tracing::warn!("the kernel's counters: {error}"),
            None => {}
        }
        let mut wanted = Wanted::default();
        machine::want(store, &self.rundir, &mut wanted);
        self.write(engine, store, wanted);
        if store.has_refused() {
            self.tell(engine, store, &News::default());
        }
        self.errands.after(engine.count_all(), None);
    }

    /// What was read instead of heard of is looked at, too.
    fn catch_up(&mut self, engine: &Engine) {
        if engine.has_changes() {
            self.soon(SETTLE);
        }
    }

    /// Writes what has become of the configuration.
    fn tell(&self, engine: &mut Engine, store: &mut Store, news: &News) {
        let mut wanted = engine.statuses(news);
        store.want_controllers(&mut wanted);
        self.write(engine, store, wanted);
    }

    /// Has rows say what is wanted, as soon as the database can be reached.
    fn write(&self, engine: &mut Engine, store: &mut Store, wanted: Wanted) {
        if !self.is_connected {
            return engine.forget_told();
        }
        if let Err(error) = store.write(wanted) {
            // The next wait for news finds the connection gone.
            tracing::warn!("{error}");
            engine.forget_told();
        }
    }

    /// Waits for the database, and serves what must not wait for it: frames that workers hand up, and the
    /// spanning trees.
    async fn meanwhile<T>(&mut self, engine: &mut Engine, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let kind = engine.turns.kind();
        loop {
            engine.turns.begin("wait");
            let far = Instant::now() + Duration::from_hours(1);
            let is_owed = engine.workers.is_owed();
            let outcome = tokio::select! {
                biased;
                outcome = &mut work => Some(outcome),
                ready = self.notices.readable() => {
                    if let Ok(mut ready) = ready { ready.clear_ready(); }
                    None
                }
                () = sleep_until(self.trees_due.unwrap_or(far)) => {
                    self.trees_due = Some(Instant::now() + TICK);
                    None
                }
                () = tokio::time::sleep(workers::LOOK), if is_owed => {
                    engine.workers.watch();
                    None
                }
            };
            if let Some(outcome) = outcome {
                engine.turns.begin(kind);
                return outcome;
            }
            engine.turns.begin("workers");
            let mut served = hear_workers(engine);
            if engine.spanning.is_active() {
                served = served.and(engine.turn_trees());
            }
            if let Err(error) = served {
                tracing::error!("{error}");
            }
        }
    }
}

/// The order to end, and who waits for it to be done.
type End = (Leave, Option<oneshot::Sender<Answer>>);

/// Takes in what workers say, but for spanning trees.
fn hear_workers(engine: &mut Engine) -> Result<(), WorkerError> {
    let ports = engine.workers.wanted_hops();
    engine.want_next_hops(&ports);
    engine.turn_snooping()
}
