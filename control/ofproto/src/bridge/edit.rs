//! A change of a bridge in the making: done at once, and undone if it cannot be completed.

use super::outcome::{FlowChange, MonitorEvent, RemovedFlow, WatchedEvent};
use super::state::State;
use crate::Time;
use crate::groups::GroupEntry;
use crate::meters::MeterEntry;
use crate::tables::{Details, Flow};
use std::sync::Arc;
use weft_flow::request::{PacketOut, PortConfig, Refusal, RemovedReason};
use weft_flow::{GroupId, MeterId, PortNo, Rule, RuleId};

/// One thing that was done, with what undoes it.
#[derive(Debug)]
enum Step {
    FlowAdded {
        rule: Arc<Rule>,
        details: Details,
        added: u64,
    },
    /// Replaced by one with the same number; `is_new` when it was an addition.
    FlowReplaced {
        old: Flow,
        rule: Arc<Rule>,
        details: Details,
        added: u64,
        is_new: bool,
    },
    /// Without a reason when another one takes its place.
    FlowRemoved {
        old: Flow,
        reason: Option<RemovedReason>,
    },
    GroupSet {
        id: GroupId,
        old: Option<GroupEntry>,
    },
    MeterSet {
        id: MeterId,
        old: Option<MeterEntry>,
    },
    PortSet {
        port: PortNo,
        old: PortConfig,
    },
    PacketOut(Box<PacketOut>),
}

/// What has been done so far.
#[derive(Debug)]
pub(crate) struct Edit<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) now: Time,
    steps: Vec<Step>,
}

/// What a completed edit did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) changes: Vec<FlowChange>,
    pub(crate) removed: Vec<RemovedFlow>,
    pub(crate) events: Vec<WatchedEvent>,
}

impl<'s> Edit<'s> {
    pub(crate) fn new(state: &'s mut State, now: Time) -> Self {
        Self { state, now, steps: Vec::new() }
    }

    /// Adds a flow under a number that was reserved.
    pub(crate) fn add_flow(&mut self, flow: Flow) {
        let (rule, details, added) = (Arc::clone(&flow.rule), flow.details, flow.added);
        self.steps.push(Step::FlowAdded { rule, details, added });
        self.state.tables.insert(flow);
    }

    /// Puts a flow in the place of the one with its number.
    pub(crate) fn replace_flow(&mut self, new: Flow, is_new: bool) {
        let (rule, details, added) = (Arc::clone(&new.rule), new.details, new.added);
        if let Some(old) = self.state.tables.remove(rule.id) {
            self.state.tables.insert(new);
            self.steps.push(Step::FlowReplaced { old, rule, details, added, is_new });
        }
    }

    /// Takes a flow out; without a reason when another one takes its place.
    pub(crate) fn remove_flow(&mut self, id: RuleId, reason: Option<RemovedReason>) {
        if let Some(old) = self.state.tables.remove(id) {
            self.steps.push(Step::FlowRemoved { old, reason });
        }
    }

    /// Puts a group in its place, or takes it away.
    pub(crate) fn set_group(&mut self, id: GroupId, new: Option<GroupEntry>) {
        let old = self.state.groups.set(id, new);
        self.steps.push(Step::GroupSet { id, old });
    }

    /// Puts a meter in its place, or takes it away.
    pub(crate) fn set_meter(&mut self, id: MeterId, new: Option<MeterEntry>) {
        let old = self.state.meters.set(id, new);
        self.steps.push(Step::MeterSet { id, old });
    }

    /// Forbids a port something.
    pub(crate) fn set_port(&mut self, port: PortNo, config: PortConfig) {
        if let Some(old) = self.state.ports.set_config(port, config) {
            self.steps.push(Step::PortSet { port, old });
        }
    }

    /// A packet is to be sent after what was done so far.
    pub(crate) fn packet_out(&mut self, packet: PacketOut) -> Result<(), Refusal> {
        if packet.buffer.is_some() {
            return Err(Refusal::BufferUnknown);
        }
        self.state.check_actions(&packet.actions)?;
        self.steps.push(Step::PacketOut(Box::new(packet)));
        Ok(())
    }

    /// Undoes all, the last first.
    pub(crate) fn undo(self) {
        let Self { state, steps, .. } = self;
        for step in steps.into_iter().rev() {
            undo_step(state, step);
        }
        state.tables.forget_orphans();
    }

    /// Says what was done.
    pub(crate) fn finish(self) -> Done {
        let Self { state, now, steps } = self;
        let mut done = Done::default();
        for step in steps {
            done.add(state, now, step);
        }
        done
    }
}

fn undo_step(state: &mut State, step: Step) {
    match step {
        Step::FlowAdded { rule, .. } => {
            state.tables.remove(rule.id);
            state.tables.give_back(rule.id);
        }
        Step::FlowReplaced { old, .. } => {
            state.tables.remove(old.id());
            state.tables.insert(old);
        }
        Step::FlowRemoved { old, .. } => state.tables.insert(old),
        Step::GroupSet { id, old } => drop(state.groups.set(id, old)),
        Step::MeterSet { id, old } => drop(state.meters.set(id, old)),
        Step::PortSet { port, old } => drop(state.ports.set_config(port, old)),
        Step::PacketOut(_) => {}
    }
}

impl Done {
    fn add(&mut self, state: &mut State, now: Time, step: Step) {
        match step {
            Step::FlowAdded { rule, details, added } => {
                self.changes.push(FlowChange::RuleAdded(Arc::clone(&rule)));
                let kind = MonitorEvent::Added;
                self.events.push(WatchedEvent { kind, rule, details, old: None, added });
            }
            Step::FlowReplaced { old, rule, details, added, is_new } => {
                let kind = if is_new { MonitorEvent::Added } else { MonitorEvent::Modified };
                let old = old.rule;
                self.changes.push(FlowChange::RuleReplaced {
                    old: Arc::clone(&old),
                    new: Arc::clone(&rule),
                });
                self.events.push(WatchedEvent { kind, rule, details, old: Some(old), added });
            }
            Step::FlowRemoved { old, reason } => self.add_removed(state, now, old, reason),
            Step::GroupSet { id, .. } => self.changes.push(match state.groups.get(id) {
                Some(entry) => FlowChange::GroupSet(Arc::clone(&entry.group)),
                None => FlowChange::GroupRemoved(id),
            }),
            Step::MeterSet { id, .. } => self.changes.push(match state.meters.get(id) {
                Some(entry) => FlowChange::MeterSet(Arc::clone(&entry.meter)),
                None => FlowChange::MeterRemoved(id),
            }),
            Step::PortSet { port, .. } => {
                self.changes
                    .extend(state.ports.config(port).map(|now| FlowChange::PortSet(port, now)));
            }
            Step::PacketOut(packet) => self.changes.push(FlowChange::PacketOut(packet)),
        }
    }

    fn add_removed(
        &mut self,
        state: &mut State,
        at: Time,
        flow: Flow,
        reason: Option<RemovedReason>,
    ) {
        state.tables.retire(flow.id());
        self.changes.push(FlowChange::RuleRemoved(Arc::clone(&flow.rule)));
        let Some(reason) = reason else { return };
        self.events.push(WatchedEvent {
            kind: MonitorEvent::Removed(reason),
            rule: Arc::clone(&flow.rule),
            details: flow.details,
            old: None,
            added: flow.added,
        });
        if flow.details.flags.sends_flow_removed && !flow.is_hidden() {
            self.removed.push(RemovedFlow { flow, reason, at });
        }
    }
}
