//! The control loop's state, and what it does with it.
//!
//! [`Engine::reconcile`] is the whole way from rows to frames: read what is wanted, look at what
//! is there, plan, remove, add, publish.  It runs after every change of either side, and does
//! nothing when nothing is to be done.

use crate::config::desired::known::{Known, Touched};
use crate::config::desired::{Bridge, Desired, Port, Rows};
use crate::config::news::News;
use crate::host::kernel::{Changes, Kernel};
use crate::host::links::Links;
use crate::host::pins::Pins;
use crate::host::taps::Listeners;
use crate::lower::publish::{self, Ids};
use crate::lower::rebalance::Rebalance;
use crate::lower::workers::{WorkerError, Workers};
use crate::plan::planned::Standing;
use crate::plan::{Carrier, Held, NUMBERS_MAX, Plan, Scope, plan};
use crate::process::turns::TurnLog;
use crate::process::vlog::Vlog;
use crate::protocols::snooping::Snooping;
use crate::protocols::spanning::{Errand, Member, Spanning};
use crate::report::capture::Captures;
use crate::report::coverage::Coverage;
use crate::report::rows::ToldCounters;
use crate::report::status::InterfaceStatus;
use crate::underlay::dead_ends::DeadEnds;
use crate::underlay::path_mtu::PathMtus;
use crate::underlay::silence::Silence;
use crate::underlay::tunnels::Path;
use crate::underlay::ways::Ways;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_io::ethtool::{Medium, medium};
use weft_ovsdb::FaultHandle;
use weft_switch::{PortCounters, PortId, Snapshot, WorkerId};
use weft_wire::mac::MacAddr;
use weft_worker::Report;

/// A link that could not be opened is tried again after so long,
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// and not before so many times as long as trying took have passed: with thousands of ports it may
/// take long, and be in vain.
const RETRY_SHARE: u32 = 100;

/// Plans that one reconciliation may need: a step that fails changes the plan.
const ROUNDS_MAX: usize = 4;

/// All that the control loop knows.
#[expect(clippy::struct_excessive_bools, reason = "each says another thing")]
pub struct Engine {
    /// The kernel's tables.
    pub kernel: Kernel,
    /// The workers.
    pub workers: Workers,
    /// Open links.
    pub links: Links,
    /// What is wanted, as read last.
    pub desired: Desired,
    /// What was published last.
    pub plan: Standing,
    /// The way of each tunnel.
    pub paths: BTreeMap<Uuid, Path>,
    /// What those ways were before.
    pub ways: Ways,
    /// What routers of the underlay say of path MTUs.
    pub path_mtus: PathMtus,
    /// What they say of tunnels whose packets lead nowhere.
    pub dead_ends: DeadEnds,
    /// Next hops that do not answer.
    pub(crate) silence: Silence,
    /// Numbers of bridges and ports.
    pub ids: Ids,
    /// Spanning trees.
    pub spanning: Spanning,
    /// Multicast snooping.
    pub snooping: Snooping,
    /// What the workers forward by.
    pub snapshot: Arc<Snapshot>,
    /// When each bridge began to forward.
    pub bridges_since: BTreeMap<Uuid, Instant>,
    /// Goes up with every snapshot.
    pub epoch: u64,
    /// Logging.
    pub vlog: Vlog,
    /// Why the file of the database cannot be written, if so.
    pub storage: FaultHandle,
    /// Captures that run.
    pub captures: Captures,
    /// Whether counters are being read for the database.
    pub is_counting: bool,
    /// How long the turns of the loop take.
    pub turns: TurnLog,
    /// Counters as they were, for rates.
    pub rates: Rates,
    /// Where the sockets are.
    pub rundir: PathBuf,
    /// How often each thing happened, for `coverage/show`.
    pub coverage: Coverage,
    /// What workers had counted when `dpif-netdev/pmd-stats-clear` was given.
    pub cleared: BTreeMap<WorkerId, Report>,
    /// Whether `weft/fail-worker` exists.
    pub test_faults: bool,
    pub(crate) rebalance: Rebalance,
    known: Known,
    /// What of the kernel's tables was not looked at yet.
    changes: Changes,
    /// Ports that may be other than in the snapshot.
    unpublished: BTreeSet<PortId>,
    /// Interfaces that may be other than their rows say.
    pub(crate) untold: BTreeSet<Uuid>,
    /// Interfaces that forward since a moment ago: their counters are not in their rows yet.
    pub(crate) fresh: BTreeSet<Uuid>,
    /// What was told of the counters of ports.
    pub(crate) told_counters: ToldCounters,
    /// What rows of Interface were told last.
    pub(crate) told: HashMap<Uuid, InterfaceStatus>,
    /// A spanning tree or a loop guard was at work when rows were told of it last.
    pub(crate) told_trees: bool,
    worker_cpus: Vec<usize>,
    has_restarted: bool,
    states_changed: bool,
    /// NICs whose sockets a worker has that hangs.
    pub(crate) stuck_nics: BTreeSet<String>,
    failed: BTreeMap<String, (u32, String)>,
    /// What had failed when it was tried again.
    failed_before: BTreeMap<String, (u32, String)>,
    retried_at: Instant,
    retry_pause: Duration,
    asked: BTreeMap<(u32, IpAddr), Instant>,
    reported: BTreeSet<String>,
    promiscuous: BTreeSet<String>,
    pub(crate) listeners: Listeners,
}

/// Traffic of ports as it was, for rates.
#[derive(Debug, Default)]
pub struct Rates {
    /// When it was read.
    pub at: Option<Instant>,
    /// Frames and bytes received, and sent, by interface.
    pub traffic: HashMap<Uuid, [u64; 4]>,
}

impl Rates {
    /// Takes over what was read now.
    pub fn note(&mut self, traffic: HashMap<Uuid, [u64; 4]>) {
        (self.at, self.traffic) = (Some(Instant::now()), traffic);
    }
}

/// Frames and bytes that a port received, and sent.
#[must_use]
pub const fn traffic(counters: &PortCounters) -> [u64; 4] {
    [counters.rx_frames, counters.rx_bytes, counters.tx_frames, counters.tx_bytes]
}

/// What [`Engine::stop`] leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// TAPs and pinned XDP links, for the next start to adopt.
    Devices,
    /// Nothing.
    Nothing,
}

impl Engine {
    /// Starts one worker and reads the kernel's tables.
    ///
    /// # Errors
    /// When workers cannot be started or the kernel does not answer.
    pub fn start(rundir: PathBuf, vlog: Vlog) -> Result<Self, WorkerError> {
        Ok(Self {
            kernel: Kernel::open()?,
            workers: Workers::start(&[])?,
            links: Links::new(Pins::open()),
            desired: Desired::default(),
            plan: Standing::default(),
            paths: BTreeMap::new(),
            ways: Ways::default(),
            path_mtus: PathMtus::default(),
            silence: Silence::default(),
            dead_ends: DeadEnds::default(),
            ids: Ids::default(),
            spanning: Spanning::default(),
            snooping: Snooping::default(),
            snapshot: Arc::default(),
            bridges_since: BTreeMap::new(),
            epoch: 0,
            vlog,
            storage: FaultHandle::default(),
            captures: Captures::default(),
            is_counting: false,
            turns: TurnLog::default(),
            rates: Rates::default(),
            rundir,
            coverage: Coverage::default(),
            cleared: BTreeMap::new(),
            test_faults: false,
            rebalance: Rebalance::default(),
            known: Known::default(),
            changes: Changes::default(),
            unpublished: BTreeSet::new(),
            untold: BTreeSet::new(),
            fresh: BTreeSet::new(),
            told_counters: ToldCounters::default(),
            told: HashMap::new(),
            told_trees: false,
            worker_cpus: Vec::new(),
            has_restarted: false,
            states_changed: false,
            stuck_nics: BTreeSet::new(),
            failed: BTreeMap::new(),
            failed_before: BTreeMap::new(),
            retried_at: Instant::now(),
            retry_pause: RETRY_AFTER,
            asked: BTreeMap::new(),
            reported: BTreeSet::new(),
            promiscuous: BTreeSet::new(),
            listeners: Listeners::default(),
        })
    }

    /// Counts an event for `coverage/show`.
    pub fn cover(&mut self, name: &'static str) {
        self.cover_many(name, 1);
    }

    /// Counts so many events.
    pub fn cover_many(&mut self, name: &'static str, count: u64) {
        self.coverage.add(name, count);
    }

    /// Makes what is there equal to what is wanted, as far as that is possible, given that `news`
    /// names what has changed.  False when nothing was to be done: rows changed that say nothing of
    /// it, as those do that we write ourselves.
    ///
    /// # Errors
    /// When a worker is stuck.  All other failures are failures of single interfaces.
    pub fn reconcile(&mut self, rows: &impl Rows, news: &News) -> Result<bool, WorkerError> {
        let mut touched = self.known.update(rows, news, &mut self.desired);
        let read = self.known.take_read();
        self.cover_many("port_read", read);
        let retried_at = self.wants_retry().then(Instant::now);
        if let Some(now) = retried_at {
            touched.is_elsewhere = true;
            (self.failed_before, self.retried_at) = (std::mem::take(&mut self.failed), now);
        }
        self.forgive(&touched);
        touched.is_elsewhere |= news.is_elsewhere;
        // A setting without effect changes nothing else.
        self.log_problems();
        if touched.is_empty() && !self.has_changes() && self.plan.is_complete {
            return Ok(false);
        }
        self.cover("bridge_reconfigure");
        if self.worker_cpus != self.desired.worker_cpus {
            self.restart_workers();
        }
        let mut scope = Scope::of(&touched, &self.desired);
        self.follow_kernel(&mut scope);
        if !self.plan.is_complete {
            scope = Scope::all(&self.desired, &self.plan);
        }
        let mut round = 1;
        loop {
            let mut observed = self.observe(rows, &scope);
            let next = plan(&self.desired, &observed, &self.plan, &scope);
            self.keep_paths(&scope, &mut observed);
            let Some(next) = next else {
                scope.linked = true;
                continue;
            };
            self.remove(&next)?;
            if self.add(&next) || round == ROUNDS_MAX {
                self.publish(next)?;
                break;
            }
            round += 1;
        }
        self.links.release_pins(self.failed.values().map(|(ifindex, _)| *ifindex));
        if let Some(then) = retried_at {
            self.retry_pause = RETRY_AFTER.max(then.elapsed() * RETRY_SHARE);
        }
        if touched.is_elsewhere {
            // Devices may be in another state, which is in no plan.
            self.untold.extend(self.desired.linked().map(|(_, _, interface)| interface.uuid));
        }
        Ok(true)
    }

    /// True, once, after all workers were replaced.
    pub fn take_restarted(&mut self) -> bool {
        std::mem::take(&mut self.has_restarted)
    }

    /// True when a link that could not be opened should be tried again.
    #[must_use]
    pub fn wants_retry(&self) -> bool {
        !self.failed.is_empty() && self.retried_at.elapsed() > self.retry_pause
    }

    /// What is wanted otherwise than before is tried again at once.
    fn forgive(&mut self, touched: &Touched) {
        if self.failed.is_empty() {
            return;
        }
        for (_, _, interface) in
            touched.interfaces.iter().filter_map(|row| self.desired.interface(row))
        {
            self.failed.remove(&interface.name);
        }
    }

    /// What could not be opened is tried again in the next reconciliation.
    pub(crate) fn retry_now(&mut self) {
        self.retry_pause = Duration::ZERO;
    }

    /// Devices are to be looked at as if the kernel had told of them.
    pub(crate) fn note_devices(&mut self, changes: Changes) {
        self.changes.add(changes);
    }

    fn log_problems(&mut self) {
        let now: BTreeSet<String> = self.desired.problems.iter().map(ToString::to_string).collect();
        for problem in now.difference(&self.reported) {
            tracing::warn!("{problem}");
        }
        self.reported = now;
    }

    /// All queues change hands: the simple way, which disturbs traffic for some milliseconds.
    fn restart_workers(&mut self) {
        let cpus = self.desired.worker_cpus.clone();
        tracing::info!("workers on CPUs {cpus:?}");
        self.worker_cpus.clone_from(&cpus);
        let mut workers = match Workers::start(&cpus) {
            Ok(workers) => workers,
            Err(error) => {
                tracing::error!("{error}: those before go on");
                return;
            }
        };
        workers.number_on(&self.workers);
        let names: Vec<_> = self.links.iter().map(|(name, _)| name.clone()).collect();
        let names = names.iter().map(|name| (name.as_str(), false));
        self.links.close_all(names, &mut self.workers);
        std::mem::replace(&mut self.workers, workers).stop();
        self.has_restarted = true;
        self.snapshot = Arc::default();
        let bridge_mtus = std::mem::take(&mut self.plan.bridge_mtus);
        self.plan = Standing { bridge_mtus, ..Standing::default() };
        self.rates = Rates::default();
        self.snooping.tell_again();
    }

    /// Frames wait for the next hop of these ports.
    pub fn want_next_hops(&mut self, ports: &[PortId]) {
        for port in ports {
            let path = self.ids.ports.key(port.0).and_then(|interface| self.paths.get(interface));
            if let Some(path) = path
                && let (Some(egress), Some(next_hop)) = (&path.egress, path.next_hop)
                && let Err(error) = self.kernel.ask_neighbour(egress.ifindex, next_hop)
            {
                tracing::debug!("asking for {next_hop}: {error}");
            }
        }
    }

    /// First half of a change: nothing is sent any more to what goes; then it goes.
    fn remove(&mut self, next: &Plan) -> Result<(), WorkerError> {
        let closing: BTreeSet<&String> = next
            .close
            .iter()
            .filter_map(|step| match step {
                crate::plan::Step::Close { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        let stay: BTreeSet<Uuid> = next.ports.iter().map(|port| port.interface).collect();
        let is_gone = |row: &&Uuid| {
            self.plan.ports.get(row).is_some_and(|port| {
                let closes = port.carrier == Carrier::Link && closing.contains(&port.name);
                closes || !stay.contains(*row)
            })
        };
        let gone: Vec<Uuid> = next.planned.iter().filter(is_gone).copied().collect();
        if gone.is_empty() && closing.is_empty() {
            return Ok(());
        }
        for row in &gone {
            self.plan.ports.remove(row);
            self.unpublished.extend(self.ids.port(row));
        }
        self.leave_underlays(&closing);
        self.install()?;
        for row in gone {
            if let Some(number) = self.ids.ports.take_back(&row) {
                self.workers.flush_fdb(None, Some(PortId(number)), None)?;
                self.snooping.forget_port(PortId(number));
            }
        }
        self.close_links(&next.close);
        Ok(())
    }

    /// Tunnels that leave by a NIC that is closed have no way any more.
    fn leave_underlays(&mut self, closing: &BTreeSet<&String>) {
        let mut links = closing.iter().filter_map(|name| self.links.get(name));
        if !links.any(|link| link.held == Held::Underlay) {
            return;
        }
        for row in self.plan.ports.linked().clone() {
            let Some(port) = self.plan.ports.get(&row) else { continue };
            let mut left = port.clone();
            left.leave_underlays(closing);
            if left != *port {
                self.unpublished.extend(self.ids.port(&row));
                self.plan.ports.insert(left);
            }
        }
    }

    /// Second half: what comes is opened.  False when a step failed, so that a new plan is needed.
    fn add(&mut self, next: &Plan) -> bool {
        let mut is_complete = self.open_nics(&next.open);
        for step in &next.open {
            is_complete &= self.step(step);
        }
        is_complete
    }

    /// Records that a link cannot be opened for now.
    pub(crate) fn note_failure(&mut self, name: &str, ifindex: u32, text: String) {
        let failure = (ifindex, text);
        if self.failed_before.remove(name).as_ref() != Some(&failure) {
            tracing::warn!("{name}: {}", failure.1);
        }
        self.failed.insert(name.to_owned(), failure);
    }

    /// A NIC that was not promiscuous before is so for our sake.
    pub(crate) fn promiscuous_mut(&mut self) -> &mut BTreeSet<String> {
        &mut self.promiscuous
    }

    fn publish(&mut self, next: Plan) -> Result<(), WorkerError> {
        let bridges = self.desired.bridges.values().take(NUMBERS_MAX);
        let bridges: BTreeSet<Uuid> = bridges.map(|bridge| bridge.uuid).collect();
        for number in self.ids.bridges.keep_only(|row| bridges.contains(row)) {
            self.workers.flush_fdb(Some(weft_switch::BridgeId(number)), None, None)?;
        }
        for bridge in bridges {
            // There are no more of them than numbers.
            let _ = self.ids.bridges.give(&bridge);
        }
        self.ids.keep_sequences(&next);
        let mut fresh = Vec::new();
        for port in &next.ports {
            // The plan has no more of them than there are numbers.
            if let Some((number, true)) = self.ids.ports.give(&port.interface) {
                fresh.push(PortId(number));
                self.fresh.insert(port.interface);
            }
        }
        if !fresh.is_empty() {
            self.workers.clear_ports(&fresh.into())?;
        }
        self.number_mirrors()?;
        let moved = self.moved_vlans(&next);
        self.cover_many("port_planned", next.looked_at as u64);
        for row in &next.planned {
            self.unpublished.extend(self.ids.port(row));
        }
        self.untold.extend(next.planned.iter().copied());
        let groups: BTreeSet<String> =
            next.ports.iter().filter_map(|port| port.split_horizon.clone()).collect();
        self.plan.take_over(next);
        self.ids.groups.keep_only(|group| self.plan.ports.has_group(group));
        for group in groups {
            // There are as many numbers as interfaces, and each group has one at least.
            let _ = self.ids.groups.give(&group);
        }
        self.configure_trees();
        self.unpublish_gates();
        self.configure_snooping();
        for port in &moved {
            self.snooping.forget_port(*port);
        }
        self.tell_groups()?;
        self.turn_trees()?;
        for port in moved {
            self.workers.flush_fdb(None, Some(port), None)?;
        }
        Ok(())
    }

    /// Makes the spanning trees fit the plan.  Internal ports take no part: a host is no bridge.
    fn configure_trees(&mut self) {
        let mut spanning = std::mem::take(&mut self.spanning);
        let address = |bridge: &Bridge| Some(MacAddr(self.device(&bridge.name)?.mac));
        spanning.configure(&self.desired, address, |bridge, port| self.member(bridge, port));
        self.spanning = spanning;
    }

    /// What is known of a port that is planned and may take part.
    fn member(&self, bridge: &Bridge, port: &Port) -> Option<Member> {
        let rows = port.interfaces.iter().map(|interface| &interface.uuid);
        let mut planned = rows.filter_map(|row| self.plan.ports.get(row));
        let planned = planned.find(|planned| planned.bridge == bridge.name)?;
        let local = self.device(&bridge.name).map(|device| MacAddr(device.mac))?;
        let group = planned.split_horizon.as_ref().and_then(|name| self.ids.groups.get(name));
        let mut member = Member {
            id: self.ids.port(&planned.interface)?,
            interface: planned.name.clone(),
            source: local,
            is_up: true,
            medium: Medium::default(),
            vid: planned.vlan.tag,
            group: group.unwrap_or(0),
        };
        if planned.carrier == Carrier::Link {
            let link = self.links.get(&planned.name).filter(|link| link.held != Held::Tap)?;
            let device = self.device(&planned.name);
            member.source = device.map_or(local, |device| MacAddr(device.mac));
            member.is_up = device.is_some_and(|device| device.is_running);
            member.medium = link.medium;
        }
        Some(member)
    }

    /// The gates of ports that take part in something may be others now.
    fn unpublish_gates(&mut self) {
        self.unpublished.extend(self.spanning.all_members());
    }

    /// Makes snooping fit the plan.
    fn configure_snooping(&mut self) {
        let mut snooping = std::mem::take(&mut self.snooping);
        let bridge = |uuid: &Uuid| self.ids.bridge(uuid);
        let port = |uuid: &Uuid| self.ids.port(uuid);
        let is_down = |name: &str| {
            let device = self.links.get(name).and_then(|link| self.kernel.link(link.ifindex));
            device.is_some_and(|device| device.name == name && !device.is_running)
        };
        snooping.configure(&self.desired, &self.plan.ports, bridge, port, is_down);
        self.snooping = snooping;
    }

    /// Hands snooping what was heard, and workers what has become of it.
    ///
    /// # Errors
    /// When a worker is stuck.
    pub fn turn_snooping(&mut self) -> Result<(), WorkerError> {
        for heard in self.workers.take_heard() {
            self.snooping.receive(&heard);
        }
        self.snooping.expire();
        if self.snooping.may_tell() { self.tell_groups() } else { Ok(()) }
    }

    /// Gives the workers the lists that have changed.
    fn tell_groups(&mut self) -> Result<(), WorkerError> {
        let began = Instant::now();
        for (bridge, groups) in self.snooping.take_news() {
            self.workers.set_groups(bridge, groups.as_ref())?;
        }
        self.snooping.told(began);
        Ok(())
    }

    /// Hands the trees what came in, lets time pass for them, and does what they ask for.
    ///
    /// # Errors
    /// When a worker is stuck.
    pub fn turn_trees(&mut self) -> Result<(), WorkerError> {
        for (port, frame) in self.workers.take_punted() {
            let row = self.ids.ports.key(port.0);
            if let Some(planned) = row.and_then(|row| self.plan.ports.get(row)) {
                self.spanning.receive(&planned.bridge, port, &frame);
            }
        }
        for news in self.workers.take_moves() {
            let row = self.ids.bridges.key(news.bridge.0);
            let named = self.desired.bridges.values().find(|bridge| Some(&bridge.uuid) == row);
            if let Some(bridge) = named {
                self.spanning.guards.moved(&bridge.name, &news);
            }
        }
        self.spanning.tick();
        let (errands, changed) = self.spanning.take_errands();
        if changed {
            self.unpublish_gates();
        }
        // Gates first: what is sent afterwards may open those of a neighbour.
        self.install()?;
        self.states_changed |= changed;
        for errand in errands {
            match errand {
                Errand::Send(port, frame) => self.workers.transmit(port, frame)?,
                Errand::Flush(name, port) => {
                    self.snooping.flush(&name);
                    let bridge = self.desired.bridges.get(&name);
                    let id = bridge.and_then(|bridge| self.ids.bridge(&bridge.uuid));
                    if let Some(id) = id {
                        self.workers.flush_fdb(Some(id), port, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// True, once, after a spanning tree changed the state of a port.
    pub fn take_states_changed(&mut self) -> bool {
        std::mem::take(&mut self.states_changed)
    }

    /// Ports that have other VLANs in `next`: what was learned on them is not true any more.
    fn moved_vlans(&self, next: &Plan) -> Vec<PortId> {
        let moved = next.ports.iter().filter(|port| {
            self.plan.ports.get(&port.interface).is_some_and(|old| old.vlan != port.vlan)
        });
        moved.filter_map(|port| self.ids.port(&port.interface)).collect()
    }

    /// Looks at all ports anew, then as [`Engine::install`].
    pub(crate) fn install_all(&mut self) -> Result<(), WorkerError> {
        let rows = self.plan.ports.iter().map(|port| &port.interface);
        self.unpublished.extend(rows.filter_map(|row| self.ids.port(row)));
        self.install()
    }

    /// Sends the snapshot of [`Engine::plan`] to the workers, unless they have it.
    pub(crate) fn install(&mut self) -> Result<(), WorkerError> {
        let touched = std::mem::take(&mut self.unpublished);
        let changed = self.links.take_changed();
        let Some(snapshot) = publish::snapshot(self, &touched, changed) else { return Ok(()) };
        self.epoch = snapshot.epoch;
        self.cover("snapshot_installed");
        let snapshot = Arc::new(snapshot);
        self.workers.install(&snapshot)?;
        self.snapshot = snapshot;
        let rows: BTreeSet<_> = self.desired.bridges.values().map(|bridge| bridge.uuid).collect();
        self.bridges_since.retain(|row, _| rows.contains(row));
        for row in rows {
            self.bridges_since.entry(row).or_insert_with(Instant::now);
        }
        self.captures_changed();
        Ok(())
    }

    /// Gives workers the sink for the captures that run now.
    pub fn captures_changed(&mut self) {
        self.captures.prune();
        let number = |name: &str| {
            let port = self.plan.ports.by_port_or_interface(name)?;
            self.ids.port(&port.interface)
        };
        if !self.captures.rebind(number) {
            return;
        }
        let captures = &self.captures;
        if let Err(error) = self.workers.set_capture(|| captures.sink()) {
            tracing::error!("{error}");
        }
    }

    /// Notes carriers that came or went on these devices.  Who was behind a link that went may be
    /// elsewhere by now, so its addresses are forgotten.
    fn note_carriers<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), WorkerError> {
        for name in names {
            let before = self.links.get(name).and_then(|link| link.is_running);
            self.look_at_carrier(name);
            let Some(link) = self.links.get_mut(name) else { continue };
            if before.is_none() || before == link.is_running {
                continue;
            }
            link.resets += 1;
            link.medium = medium(name);
            let is_lost = link.is_running == Some(false);
            if let Some(port) = self.link_port(name).filter(|_| is_lost) {
                self.workers.flush_fdb(None, Some(port), None)?;
            }
        }
        Ok(())
    }

    /// Takes over whether the device of a link runs.
    pub(crate) fn look_at_carrier(&mut self, name: &str) {
        let Some(link) = self.links.get_mut(name) else { return };
        let now = self.kernel.link(link.ifindex).filter(|now| now.name == *name);
        link.is_running = Some(now.is_some_and(|now| now.is_running));
    }

    /// The number of the port whose device has this name.
    fn link_port(&self, name: &str) -> Option<PortId> {
        let port = self.plan.ports.by_device(name)?;
        self.ids.port(&port.interface)
    }

    /// Stops the workers and lets go of the links.
    pub fn stop(mut self, leave: Leave) {
        if leave == Leave::Nothing {
            let close: Vec<_> = self
                .links
                .iter()
                .map(|(name, link)| crate::plan::Step::Close {
                    name: name.clone(),
                    removes_device: link.held == Held::Tap,
                })
                .collect();
            self.close_links(&close);
            if let Some(pins) = self.links.pins() {
                // Not empty when another weftd of this namespace has pins of its own there.
                let _ = std::fs::remove_dir(pins);
            }
        }
        let Self { mut links, mut workers, .. } = self;
        links.abandon(&mut workers);
        workers.stop();
    }
}

mod observe;
