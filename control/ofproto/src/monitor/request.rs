//! Requests for monitors.

use super::{ConnectionId, FlowView, MONITORS_MAX, MonitorUpdate, Monitors, Watcher};
use crate::tables::{Flow, Tables, numbers, sends_to, uses_group};
use std::collections::BTreeSet;
use weft_flow::request::{MonitorCommand, MonitorFlags, MonitorRequest, Refusal};
use weft_flow::{GroupId, PortNo, Rule, TableId};

impl Monitors {
    /// Does what the requests of one message say, all or none; returns the flows that are there, if
    /// they ask for them.
    pub(crate) fn request(
        &mut self,
        connection: ConnectionId,
        requests: &[MonitorRequest],
        tables: &Tables,
    ) -> Result<Vec<MonitorUpdate>, Refusal> {
        let none = Watcher::default();
        let mut monitors = self.watchers.get(&connection).unwrap_or(&none).monitors.clone();
        for request in requests {
            let is_there = monitors.contains_key(&request.id);
            match request.command {
                MonitorCommand::Add if is_there => return Err(Refusal::MonitorExists),
                MonitorCommand::Modify | MonitorCommand::Delete if !is_there => {
                    return Err(Refusal::UnknownMonitor);
                }
                MonitorCommand::Delete => drop(monitors.remove(&request.id)),
                MonitorCommand::Add | MonitorCommand::Modify => {
                    check(request)?;
                    monitors.insert(request.id, request.clone());
                }
            }
        }
        if monitors.len() > MONITORS_MAX {
            return Err(Refusal::MonitorExists);
        }
        let began = requests.iter().filter(|r| r.command != MonitorCommand::Delete);
        let initial = initial(began.filter(|request| request.flags.initial), tables);
        if monitors.is_empty() {
            self.watchers.remove(&connection);
        } else {
            self.watchers.entry(connection).or_default().monitors = monitors;
        }
        Ok(initial)
    }
}

fn check(request: &MonitorRequest) -> Result<(), Refusal> {
    let MonitorFlags { initial, added, removed, modified, .. } = request.flags;
    if initial || added || removed || modified { Ok(()) } else { Err(Refusal::MonitorBadFlags) }
}

/// The flows that monitors ask for, each once, by table and age.
fn initial<'r>(
    requests: impl Iterator<Item = &'r MonitorRequest>,
    tables: &Tables,
) -> Vec<MonitorUpdate> {
    let mut wanted = BTreeSet::new();
    let mut with_actions = BTreeSet::new();
    for request in requests {
        for flow in flows(request, tables) {
            wanted.insert((flow.position(), flow.id()));
            if request.flags.actions {
                with_actions.insert(flow.id());
            }
        }
    }
    let views = wanted.into_iter().filter_map(|(_, id)| {
        let with_actions = with_actions.contains(&id);
        Some(MonitorUpdate::Initial(FlowView::of(tables.get(id)?, with_actions)))
    });
    views.collect()
}

/// The flows that a monitor asks for.
fn flows<'t>(request: &'t MonitorRequest, tables: &'t Tables) -> impl Iterator<Item = &'t Flow> {
    numbers(request.table)
        .flat_map(|table| tables.of_table(table))
        .filter(|flow| !flow.is_hidden() && wants(request, &flow.rule, None))
}

/// True when a monitor watches a flow, as it is or as it was.
pub(super) fn wants(request: &MonitorRequest, rule: &Rule, old: Option<&Rule>) -> bool {
    let here = match request.table {
        TableId::ALL => rule.table != TableId::INTERNAL,
        table => rule.table == table,
    };
    let either = |is: &dyn Fn(&Rule) -> bool| is(rule) || old.is_some_and(is);
    let port = request.out_port;
    let group = request.out_group;
    here && request.matching.contains(&rule.matching)
        && (port == PortNo::ANY || either(&|rule| sends_to(&rule.actions, port)))
        && (group == GroupId::ANY || either(&|rule| uses_group(&rule.actions, group)))
}

impl FlowView {
    pub(super) fn of(flow: &Flow, with_actions: bool) -> Self {
        Self { rule: flow.rule.clone(), details: flow.details, with_actions }
    }
}
