//! A change on its way from rows to frames: stage after stage, and none of them waits inside a turn.
//!
//! One change is under way at a time; what changes meanwhile is for the next one.  Many dirty ports are worked
//! on in pieces ([`pieces`]), each of which goes through all stages.  Whoever waits for the change is told at its
//! end.
//!
//! | stage | does | the next one waits until |
//! | --- | --- | --- |
//! | plan | looks at what is there, and plans the next piece | |
//! | part | a snapshot without what goes | all workers forward by it |
//! | close | links that go: threads close them | all are closed |
//! | open | NICs that come: threads open them | all are open |
//! | adopt | takes the NICs into service | |
//! | adjust | TAPs, addresses, MTUs, VTEPs; back to `plan` when something failed | |
//! | publish | numbers for what comes, and a snapshot with it | all workers forward by it |
//! | settle | forgets what was learned on ports with other VLANs | |

mod pieces;
mod publish;
mod remove;

use super::Engine;
use crate::config::changed_rows::ChangedRows;
use crate::config::desired::Rows;
use crate::config::names::PortName;
use crate::host::nic::NicOrder;
use crate::plan::{Dirty, Plan, plan};
use pieces::pieces;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_switch::PortId;

/// Plans that one piece may need: a step that fails changes the plan.
const ROUNDS_MAX: usize = 4;

/// A turn begins nothing more of a change after so long.
const TURN: Duration = Duration::from_millis(2);

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Plan,
    Part,
    Close,
    Open,
    Adopt,
    Adjust,
    Publish,
    Settle,
    Over,
}

/// A change that is under way.
pub(crate) struct Change {
    stage: Stage,
    /// What is not planned yet.
    waiting: VecDeque<Dirty>,
    /// Links that failed are tried again.
    is_retry: bool,
    /// All interfaces may be other than their rows say.
    is_shared: bool,
    piece: Piece,
}

/// What is worked on now.
#[derive(Default)]
struct Piece {
    dirty: Dirty,
    next: Plan,
    /// How often it was planned.
    round: usize,
    /// How many steps of this stage are done.
    done: usize,
    /// No step has failed.
    is_complete: bool,
    /// Interfaces that forward no more.
    gone: Vec<Uuid>,
    /// Ports that interfaces have left.
    left: BTreeSet<PortName>,
    orders: Vec<NicOrder>,
    /// Ports that have other VLANs.
    moved: Vec<PortId>,
}

impl Change {
    fn new(waiting: VecDeque<Dirty>, is_retry: bool, is_shared: bool) -> Self {
        Self { stage: Stage::Plan, waiting, is_retry, is_shared, piece: Piece::default() }
    }
}

impl Engine {
    /// Begins to make what is there equal to what is wanted, as far as that is possible, given that
    /// `changed_rows` names the rows that changed.  Failures are those of single interfaces.  None when nothing
    /// is to be done: rows changed that say nothing of it, as those do that we write ourselves.
    pub(crate) fn begin(&mut self, rows: &impl Rows, changed_rows: &ChangedRows) -> Option<Change> {
        let (mut changed, read) = self.config.update(rows, changed_rows);
        self.views.coverage.add("port_read", read);
        let is_retry = self.host.failures.is_due(Instant::now());
        if is_retry {
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
            return None;
        }
        self.views.coverage.add("bridge_reconfigure", 1);
        self.restart_workers();
        let mut dirty = Dirty::of(&changed, &self.config.desired);
        let seen = self.observer().follow_kernel(&mut dirty);
        self.reported.mark(seen);
        if !self.plan.is_complete {
            dirty = Dirty::everything(&self.config.desired, &self.plan);
        }
        let waiting = pieces(dirty, &self.config.desired, &self.plan);
        Some(Change::new(waiting, is_retry, changed.shared))
    }

    /// True when the change waits for nobody.
    pub(crate) fn can_go_on(&self, change: &Change) -> bool {
        match change.stage {
            Stage::Close | Stage::Settle => self.lower.is_in_force(),
            Stage::Open | Stage::Adopt => self.host.threads.is_idle(),
            Stage::Plan | Stage::Part | Stage::Adjust | Stage::Publish | Stage::Over => true,
        }
    }

    /// Goes on with a change as far as it waits for nobody, unless that takes long.  True when it is over.
    pub(crate) fn go_on(&mut self, rows: &impl Rows, change: &mut Change) -> bool {
        let until = Instant::now() + TURN;
        while self.can_go_on(change) {
            let piece = &mut change.piece;
            change.stage = match change.stage {
                Stage::Plan => self.next_piece(rows, piece, &mut change.waiting),
                Stage::Part => self.part(piece),
                Stage::Close => self.close(piece, until),
                Stage::Open => self.open(piece, until),
                Stage::Adopt => self.adopt(piece, until),
                Stage::Adjust => self.adjust(piece, until),
                Stage::Publish => {
                    self.publish(piece);
                    Stage::Settle
                }
                Stage::Settle => {
                    self.settle(piece);
                    Stage::Plan
                }
                Stage::Over => {
                    self.end(change);
                    return true;
                }
            };
            if Instant::now() >= until {
                break;
            }
        }
        false
    }

    /// Plans the next piece, if there is one, or this one again.
    fn next_piece(
        &mut self,
        rows: &impl Rows,
        piece: &mut Piece,
        waiting: &mut VecDeque<Dirty>,
    ) -> Stage {
        if piece.round == 0 {
            let Some(dirty) = waiting.pop_front() else { return Stage::Over };
            piece.dirty = dirty;
        }
        piece.round += 1;
        piece.is_complete = true;
        piece.next = loop {
            let mut observed = self.observer().observe(rows, &piece.dirty);
            let next = plan(&self.config.desired, &observed, &self.plan, &piece.dirty);
            self.observer().keep_paths(&piece.dirty, &mut observed);
            match next {
                Some(next) => break next,
                None => piece.dirty.all = true,
            }
        };
        Stage::Part
    }

    /// Orders the NICs that come.
    fn open(&mut self, piece: &mut Piece, until: Instant) -> Stage {
        while let Some(step) = piece.next.open.get(piece.done) {
            piece.done += 1;
            match self.apply().order(step) {
                Ok(order) => piece.orders.extend(order),
                Err(_) => piece.is_complete = false,
            }
            if Instant::now() >= until {
                return Stage::Open;
            }
        }
        piece.done = 0;
        self.host.threads.open(std::mem::take(&mut piece.orders));
        Stage::Adopt
    }

    /// Takes the NICs into service that are open.
    fn adopt(&mut self, piece: &mut Piece, until: Instant) -> Stage {
        while let Some(opened) = self.host.threads.take_opened() {
            piece.is_complete &= self.apply().take_nic(opened);
            if Instant::now() >= until {
                return Stage::Adopt;
            }
        }
        Stage::Adjust
    }

    /// Runs the steps that no thread has run.
    fn adjust(&mut self, piece: &mut Piece, until: Instant) -> Stage {
        while let Some(step) = piece.next.open.get(piece.done) {
            piece.done += 1;
            piece.is_complete &= self.apply().step(step);
            if Instant::now() >= until {
                return Stage::Adjust;
            }
        }
        piece.done = 0;
        if piece.is_complete || piece.round == ROUNDS_MAX { Stage::Publish } else { Stage::Plan }
    }

    /// What was opened and nobody has taken yet is taken into service, so that whoever closes all closes it, too.
    pub(crate) async fn settle_links(&mut self) {
        self.host.threads.settle(&mut self.host.links, &mut self.lower.workers).await;
        while let Some(opened) = self.host.threads.take_opened() {
            self.apply().take_nic(opened);
        }
    }

    fn end(&mut self, change: &Change) {
        let failed = self.host.failures.all().values().map(|(ifindex, _)| *ifindex);
        self.host.links.release_pins(failed);
        if change.is_retry {
            self.host.failures.end(Instant::now());
        }
        if change.is_shared {
            // Devices may be in another state, which is in no plan.
            let linked = self.config.desired.linked();
            self.reported.mark(linked.map(|(_, _, interface)| interface.uuid));
        }
    }

    /// All queues change hands: the simple way, which disturbs traffic for some milliseconds.
    fn restart_workers(&mut self) {
        let Some(before) = self.lower.restart(&self.config.desired.worker_cpus) else { return };
        let names: Vec<_> = self.host.links.iter().map(|(name, _)| name.clone()).collect();
        let links = names.iter().filter_map(|name| self.host.links.leave(name, false)).collect();
        self.host.threads.end(links, before);
        let bridge_mtus = std::mem::take(&mut self.plan.bridge_mtus);
        self.plan = super::Installed { bridge_mtus, ..super::Installed::default() };
        self.views.rates = super::Rates::default();
        self.views.captures.tell_again();
        self.protocols.snooping.publish_again();
    }
}
