//! The control loop's state in parts, and the way from rows to frames.
//!
//! [`Engine::reconcile`] is that whole way: read what is wanted, look at what is there, plan,
//! remove, add, publish.  It runs after every change of either side, and does nothing when nothing
//! is to be done.  Everything else takes the parts that it needs: commands and errands by
//! `command/lend.rs`, the loop by name.

pub mod count;
pub(crate) mod errand;
mod observe;
pub(crate) mod parts;
pub(crate) mod probing;

use crate::config::Config;
use crate::config::changed_rows::ChangedRows;
use crate::config::desired::Rows;
use crate::host::Host;
use crate::lower::apply::Apply;
use crate::lower::publish::Publisher;
use crate::lower::{Lower, mirrors, supervise};
use crate::netlink::kernel::Changes;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, Dirty, Held, NUMBERS_MAX, Plan, Step, plan};
use crate::protocols::Protocols;
use crate::protocols::members::Members;
use crate::report::Views;
use crate::report::counters::Rates;
use crate::report::rows::Reported;
use crate::report::seen::Seen;
use crate::report::status::Wanted;
use crate::underlay::Underlay;
use crate::vlog::Vlog;
use crate::workers::StartError;
use observe::Observer;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;
use uuid::Uuid;
use weft_ovsdb::FaultHandle;
use weft_switch::{BridgeId, PortId};

/// Plans that one reconciliation may need: a step that fails changes the plan.
const ROUNDS_MAX: usize = 4;

/// All that the control loop knows, by subject.
pub struct Engine {
    /// What is wanted.
    pub config: Config,
    /// What was published last.
    pub plan: Installed,
    /// What there is on the host.
    pub host: Host,
    /// Where the packets of tunnels go.
    pub underlay: Underlay,
    /// The workers, and what they forward by.
    pub lower: Lower,
    /// Spanning trees, loop guards, multicast snooping.
    pub protocols: Protocols,
    /// What was reported to rows.
    pub reported: Reported,
    /// What is kept for those who look.
    pub views: Views,
    /// The daemon.
    pub daemon: Daemon,
}

/// What the daemon was started with.
pub struct Daemon {
    /// Logging.
    pub vlog: Vlog,
    /// Why the file of the database cannot be written, if so.
    pub storage: FaultHandle,
    /// Where the sockets are.
    pub rundir: PathBuf,
    /// Whether `weft/fail-worker` exists.
    pub test_faults: bool,
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
    pub fn start(daemon: Daemon) -> Result<Self, StartError> {
        Ok(Self {
            config: Config::default(),
            plan: Installed::default(),
            host: Host::open(&daemon.rundir)?,
            underlay: Underlay::default(),
            lower: Lower::start()?,
            protocols: Protocols::default(),
            reported: Reported::default(),
            views: Views::default(),
            daemon,
        })
    }

    /// What there is to report.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        Seen::of(&self.config, &self.plan, &self.host, &self.underlay, &self.protocols)
    }

    /// The values that rows are to have, but for counters: what is not as it was reported last, and all
    /// of the rows that `changed` names.
    pub fn statuses(&mut self, changed: &ChangedRows) -> Wanted {
        let mut reported = std::mem::take(&mut self.reported);
        let wanted = reported.statuses(self.seen(), changed);
        self.reported = reported;
        wanted
    }

    /// What makes snapshots and hands them to the workers.
    pub fn publisher(&mut self) -> Publisher<'_> {
        Publisher {
            desired: &self.config.desired,
            plan: &self.plan,
            gates: &self.protocols.spanning,
            links: &mut self.host.links,
            lower: &mut self.lower,
            coverage: &mut self.views.coverage,
        }
    }

    fn observer(&mut self) -> Observer<'_> {
        Observer {
            desired: &self.config.desired,
            plan: &self.plan,
            host: &mut self.host,
            underlay: &mut self.underlay,
        }
    }

    fn apply(&mut self) -> Apply<'_> {
        Apply { host: &mut self.host, lower: &mut self.lower, plan: &self.plan }
    }

    /// Takes in that the kernel's tables are other than they were.
    pub fn note_changes(&mut self, changes: Changes) {
        let lost = self.host.note_changes(changes);
        self.lower.forget_behind(&lost, &self.plan);
    }

    /// True when something has changed in the kernel, or by time alone, that was not looked at yet.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.host.has_changes() || self.underlay.ways.is_behind(Instant::now())
    }

    /// Makes what is there equal to what is wanted, as far as that is possible, given that
    /// `changed_rows` names the rows that changed.  Failures are those of single interfaces.  False when nothing was to be
    /// done: rows changed that say nothing of it, as those do that we write ourselves.
    pub fn reconcile(&mut self, rows: &impl Rows, changed_rows: &ChangedRows) -> bool {
        let (mut changed, read) = self.config.update(rows, changed_rows);
        self.views.coverage.add("port_read", read);
        let retries = self.host.failures.is_due(Instant::now());
        if retries {
            changed.shared = true;
            self.host.failures.begin(Instant::now());
        }
        for row in &changed.interfaces {
            // What is wanted otherwise than before is tried again at once.
            if let Some((_, _, interface)) = self.config.desired.interface(row) {
                self.host.failures.forgive(&interface.name);
            }
        }
        changed.shared |= changed_rows.anything;
        if changed.is_empty() && !self.has_changes() && self.plan.is_complete {
            return false;
        }
        self.views.coverage.add("bridge_reconfigure", 1);
        self.restart_workers();
        let mut dirty = Dirty::of(&changed, &self.config.desired);
        let told = self.observer().follow_kernel(&mut dirty);
        self.reported.mark(told);
        if !self.plan.is_complete {
            dirty = Dirty::everything(&self.config.desired, &self.plan);
        }
        self.change(rows, &mut dirty);
        let failed = self.host.failures.all().values().map(|(ifindex, _)| *ifindex);
        self.host.links.release_pins(failed);
        if retries {
            self.host.failures.end(Instant::now());
        }
        if changed.shared {
            // Devices may be in another state, which is in no plan.
            let linked = self.config.desired.linked();
            self.reported.mark(linked.map(|(_, _, interface)| interface.uuid));
        }
        true
    }

    /// Plans what is dirty, and does what is planned; again, when a step fails.
    fn change(&mut self, rows: &impl Rows, dirty: &mut Dirty) {
        let mut round = 1;
        loop {
            let mut observed = self.observer().observe(rows, dirty);
            let next = plan(&self.config.desired, &observed, &self.plan, dirty);
            self.observer().keep_paths(dirty, &mut observed);
            let Some(next) = next else {
                dirty.all = true;
                continue;
            };
            self.remove(&next);
            if self.add(&next) || round == ROUNDS_MAX {
                return self.publish(next);
            }
            round += 1;
        }
    }

    /// All queues change hands: the simple way, which disturbs traffic for some milliseconds.
    fn restart_workers(&mut self) {
        let Some(mut before) = self.lower.restart(&self.config.desired.worker_cpus) else { return };
        let names: Vec<_> = self.host.links.iter().map(|(name, _)| name.clone()).collect();
        let names = names.iter().map(|name| (name.as_str(), false));
        self.host.links.close_all(names, &mut before);
        before.stop();
        let bridge_mtus = std::mem::take(&mut self.plan.bridge_mtus);
        self.plan = Installed { bridge_mtus, ..Installed::default() };
        self.views.rates = Rates::default();
        self.views.captures.tell_again();
        self.protocols.snooping.publish_again();
    }

    /// First half of a change: nothing is sent any more to what goes; then it goes.
    fn remove(&mut self, next: &Plan) {
        let closing: BTreeSet<&String> = next
            .close
            .iter()
            .filter_map(|step| match step {
                Step::Close { name, .. } => Some(name),
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
            return;
        }
        for row in &gone {
            self.plan.ports.remove(row);
            self.lower.mark_row(row);
        }
        self.leave_underlays(&closing);
        self.publisher().install();
        for row in gone {
            if let Some(number) = self.lower.ids.ports.take_back(&row) {
                self.lower.workers.flush_fdb(None, Some(PortId(number)), None);
                self.protocols.snooping.forget_port(PortId(number));
            }
        }
        self.apply().close_links(&next.close);
    }

    /// Tunnels that leave by a NIC that is closed have no way any more.
    fn leave_underlays(&mut self, closing: &BTreeSet<&String>) {
        let mut links = closing.iter().filter_map(|name| self.host.links.get(name));
        if !links.any(|link| link.held == Held::Underlay) {
            return;
        }
        for row in self.plan.ports.linked().clone() {
            let Some(port) = self.plan.ports.get(&row) else { continue };
            let mut left = port.clone();
            left.leave_underlays(closing);
            if left != *port {
                self.lower.mark_row(&row);
                self.plan.ports.insert(left);
            }
        }
    }

    /// Second half: what comes is opened.  False when a step failed, so that a new plan is needed.
    fn add(&mut self, next: &Plan) -> bool {
        let mut apply = self.apply();
        let mut is_complete = apply.open_nics(&next.open);
        for step in &next.open {
            is_complete &= apply.step(step);
        }
        is_complete
    }

    /// Gives what is planned its numbers, and the workers the next snapshot.
    fn publish(&mut self, next: Plan) {
        self.number_bridges();
        self.number_ports(&next);
        mirrors::number(&self.config.desired, &mut self.lower.ids, &self.lower.workers);
        let moved = self.moved_vlans(&next);
        self.views.coverage.add("port_planned", next.looked_at as u64);
        for row in &next.planned {
            self.lower.mark_row(row);
        }
        self.reported.mark(next.planned.iter().copied());
        let groups: BTreeSet<String> =
            next.ports.iter().filter_map(|port| port.split_horizon.clone()).collect();
        self.plan.take_over(next);
        self.lower.ids.groups.keep_only(|group| self.plan.ports.has_group(group));
        for group in groups {
            // There are as many numbers as interfaces, and each group has one at least.
            let _ = self.lower.ids.groups.give(&group);
        }
        let members = Members { plan: &self.plan, host: &self.host };
        self.protocols.configure(&self.config.desired, &mut self.lower, &members);
        for port in &moved {
            self.protocols.snooping.forget_port(*port);
        }
        self.protocols.publish_groups(&mut self.lower);
        self.turn_trees();
        for port in moved {
            self.lower.workers.flush_fdb(None, Some(port), None);
        }
    }

    fn number_bridges(&mut self) {
        let bridges = self.config.desired.bridges.values().take(NUMBERS_MAX);
        let bridges: BTreeSet<Uuid> = bridges.map(|bridge| bridge.uuid).collect();
        for number in self.lower.ids.bridges.keep_only(|row| bridges.contains(row)) {
            self.lower.workers.flush_fdb(Some(BridgeId(number)), None, None);
        }
        for bridge in bridges {
            // There are no more of them than numbers.
            let _ = self.lower.ids.bridges.give(&bridge);
        }
    }

    /// New ports begin with counters of zero.
    fn number_ports(&mut self, next: &Plan) {
        let mut fresh = Vec::new();
        for port in &next.ports {
            // The plan has no more of them than there are numbers.
            if let Some((number, true)) = self.lower.ids.ports.give(&port.interface) {
                self.lower.ids.outer.restart(PortId(number));
                fresh.push((PortId(number), port.interface));
            }
        }
        if !fresh.is_empty() {
            self.lower.workers.clear_ports(&fresh.iter().map(|(id, _)| *id).collect());
        }
        self.reported.counters.begin(fresh.into_iter().map(|(_, row)| row));
    }

    /// Ports that have other VLANs in `next`: what was learned on them is not true any more.
    fn moved_vlans(&self, next: &Plan) -> Vec<PortId> {
        let moved = next.ports.iter().filter(|port| {
            self.plan.ports.get(&port.interface).is_some_and(|old| old.vlan != port.vlan)
        });
        moved.filter_map(|port| self.lower.ids.port(&port.interface)).collect()
    }

    /// Hands the trees what came in, lets time pass for them, and does what they ask for.
    pub fn turn_trees(&mut self) {
        self.protocols.hear(&self.config.desired, &self.plan, &mut self.lower);
        let errands = self.protocols.tick(&mut self.lower);
        // Gates first: what is sent afterwards may open those of a neighbour.
        self.publisher().install();
        self.protocols.run(errands, &self.config.desired, &mut self.lower);
    }

    /// Takes in what workers say, but for spanning trees.
    pub fn hear_workers(&mut self) {
        let Self { lower, underlay, host, protocols, .. } = self;
        for port in lower.workers.wanted_hops() {
            if let Some(tunnel) = lower.ids.ports.key(port.0) {
                underlay.want_next_hop(&mut host.kernel, tunnel);
            }
        }
        protocols.turn_snooping(lower);
    }

    /// Serves what must not wait: frames that workers hand up, spanning trees, workers that hang.
    pub fn serve_workers(&mut self) {
        if self.lower.workers.due().is_some_and(|due| due <= Instant::now()) {
            self.lower.workers.watch();
        }
        self.hear_workers();
        if self.protocols.spanning.is_active() {
            self.turn_trees();
        }
    }

    /// Puts a new worker in the place of each that has ended or hangs.  True when links were closed
    /// that are to be opened again.
    pub fn replace_lost_workers(&mut self) -> bool {
        let replaced = supervise::replace_lost(&mut self.lower, &mut self.host);
        if replaced.workers > 0 {
            self.views.coverage.add("worker_replaced", replaced.workers);
        }
        if replaced.has_lost {
            self.protocols.snooping.publish_again();
            self.views.captures.tell_again();
        }
        replaced.has_closed_links
    }

    /// Gives workers the sink for the captures that run now, if it is another one than before.
    pub fn follow_captures(&mut self) {
        let Self { views, plan, lower, .. } = self;
        let number = |name: &str| {
            let port = plan.ports.by_port_or_interface(name)?;
            lower.ids.port(&port.interface)
        };
        if views.captures.follow(number) {
            lower.workers.set_capture(|| views.captures.sink());
        }
    }

    /// Stops the workers and lets go of the links.
    pub fn stop(mut self, leave: Leave) {
        if leave == Leave::Nothing {
            let close = |(name, link): (&String, &crate::host::links::Link)| Step::Close {
                name: name.clone(),
                removes_device: link.held == Held::Tap,
            };
            let close: Vec<_> = self.host.links.iter().map(close).collect();
            self.apply().close_links(&close);
            self.host.links.remove_pins();
        }
        self.host.links.abandon(&mut self.lower.workers);
        self.lower.workers.stop();
    }
}
