//! The control loop's state in parts, and the way from rows to frames.
//!
//! [`change`] is that whole way: read what is wanted, look at what is there, plan,
//! remove, add, publish.  It begins after every change of either side, and does nothing when nothing
//! is to be done.  Everything else takes the parts that it needs: commands and errands by
//! `command/lend.rs`, the loop by name.

pub(crate) mod change;
pub mod count;
pub(crate) mod errand;
pub(crate) mod moving;
mod observe;
pub(crate) mod parts;
pub(crate) mod probing;

use crate::config::Config;
use crate::config::changed_rows::ChangedRows;
use crate::host::Host;
use crate::host::threads::Done;
use crate::lower::apply::Apply;
use crate::lower::publish::Publisher;
use crate::lower::{Lower, supervise};
use crate::netlink::kernel::Changes;
use crate::plan::installed::Installed;
use crate::plan::{Held, Step};
use crate::protocols::Protocols;
use crate::report::Views;
use crate::report::counters::Rates;
use crate::report::rows::Reported;
use crate::report::seen::Seen;
use crate::report::status::Wanted;
use crate::underlay::Underlay;
use crate::vlog::Vlog;
use crate::workers::StartError;
use observe::Observer;
use std::path::PathBuf;
use std::time::Instant;
use weft_ovsdb::FaultHandle;

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

    /// Hands the trees what came in, lets time pass for them, and does what they ask for once that is in force.
    pub fn turn_trees(&mut self) {
        self.protocols.hear(&self.config.desired, &self.plan, &mut self.lower);
        self.protocols.tick(&mut self.lower);
        self.publisher().install();
        self.protocols.run(&self.config.desired, &mut self.lower);
    }

    /// Takes in what workers say, but for spanning trees.
    pub fn hear_workers(&mut self) {
        let Self { config, lower, underlay, host, protocols, .. } = self;
        for iface in lower.workers.wanted_hops() {
            if let Some(tunnel) = lower.ids.row(iface) {
                underlay.want_next_hop(&mut host.kernel, tunnel);
            }
        }
        protocols.turn_snooping(lower);
        // What has waited for a snapshot can go on.
        protocols.run(&config.desired, lower);
        host.threads.turn(&mut lower.workers);
    }

    /// Takes in what a thread has done for links.
    pub(crate) fn note_links(&mut self, done: Option<Done>) {
        let Self { host, lower, .. } = self;
        host.threads.note(done, &mut host.links, &lower.workers);
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
            lower.ids.iface(&port.interface)
        };
        if views.captures.follow(number) {
            lower.workers.set_capture(|| views.captures.sink());
        }
    }

    /// Stops the workers and lets go of the links.
    pub async fn stop(mut self, leave: Leave) {
        self.settle_links().await;
        if leave == Leave::Nothing {
            let close = |(name, link): (&String, &crate::host::links::Link)| Step::Close {
                name: name.clone(),
                removes_device: link.held == Held::Tap,
            };
            let close: Vec<_> = self.host.links.iter().map(close).collect();
            for step in &close {
                self.apply().close(step);
            }
            self.settle_links().await;
            self.host.links.remove_pins();
        }
        self.host.links.abandon(&mut self.lower.workers);
        self.lower.workers.stop();
    }
}
