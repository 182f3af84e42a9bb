//! What monitors tell of changes; and connections that lag.
//!
//! A connection that lags pauses: it hears only of flows that go and that it has heard of, in full
//! even of those that it took out itself.  When it
//! has caught up it hears of every flow that was added or changed meanwhile, as it is then.

use super::request::wants;
use super::{ConnectionId, FlowView, MonitorUpdate, MonitorUpdates, Monitors, Origin, Watcher};
use crate::bridge::{MonitorEvent, WatchedEvent};
use crate::tables::{Flow, MESSAGE_PRIORITY_MAX, Tables};
use std::collections::BTreeMap;
use weft_flow::Rule;
use weft_flow::request::{MonitorFlags, MonitorRequest};

impl Monitors {
    /// What connections hear of events that `origin` asked for.
    pub(crate) fn feed(&self, events: &[WatchedEvent], origin: Option<Origin>) -> MonitorUpdates {
        let mut all = BTreeMap::new();
        for (connection, watcher) in &self.watchers {
            let own = origin.filter(|origin| origin.connection == *connection);
            let updates = watcher.updates(events, own.map(|origin| origin.xid));
            if !updates.is_empty() {
                all.insert(*connection, updates);
            }
        }
        all
    }

    /// A connection lags.  Returns what it hears.
    pub(crate) fn pause(&mut self, connection: ConnectionId, change: u64) -> Vec<MonitorUpdate> {
        match self.watchers.get_mut(&connection) {
            Some(watcher) if watcher.paused_at.is_none() => {
                watcher.paused_at = Some(change);
                vec![MonitorUpdate::Paused]
            }
            _ => Vec::new(),
        }
    }

    /// A connection has caught up.  Returns what it missed.
    pub(crate) fn resume(
        &mut self,
        connection: ConnectionId,
        tables: &Tables,
    ) -> Vec<MonitorUpdate> {
        let Some(watcher) = self.watchers.get_mut(&connection) else { return Vec::new() };
        let Some(paused_at) = watcher.paused_at.take() else { return Vec::new() };
        let mut updates: Vec<_> = tables
            .all_flows()
            .filter(|flow| flow.changed > paused_at && !flow.is_hidden())
            .filter_map(|flow| watcher.missed(flow, paused_at))
            .collect();
        updates.push(MonitorUpdate::Resumed);
        updates
    }
}

impl Watcher {
    fn updates(&self, events: &[WatchedEvent], own_xid: Option<u32>) -> Vec<MonitorUpdate> {
        let mut updates = Vec::new();
        let mut has_told_own = false;
        for event in events {
            if event.rule.priority > MESSAGE_PRIORITY_MAX || self.is_deaf_to(event) {
                continue;
            }
            let Some(flags) = self.flags(event.kind, &event.rule, event.old.as_deref()) else {
                continue;
            };
            match own_xid {
                Some(xid) if !flags.own_in_full && self.paused_at.is_none() => {
                    if !has_told_own {
                        updates.push(MonitorUpdate::Own(xid));
                        has_told_own = true;
                    }
                }
                _ => {
                    let view = FlowView {
                        rule: event.rule.clone(),
                        details: event.details,
                        with_actions: flags.actions,
                    };
                    updates.push(MonitorUpdate::Event(event.kind, view));
                }
            }
        }
        updates
    }

    /// True when it is paused and has no need to hear of the event before it resumes.
    fn is_deaf_to(&self, event: &WatchedEvent) -> bool {
        self.paused_at.is_some_and(|paused_at| {
            !matches!(event.kind, MonitorEvent::Removed(_)) || event.added > paused_at
        })
    }

    /// What a flow has become since it paused.
    fn missed(&self, flow: &Flow, paused_at: u64) -> Option<MonitorUpdate> {
        let is_new = flow.added > paused_at;
        let kind = if is_new { MonitorEvent::Added } else { MonitorEvent::Modified };
        let flags = self.flags(kind, &flow.rule, None)?;
        Some(MonitorUpdate::Event(kind, FlowView::of(flow, flags.actions)))
    }

    /// The flags, together, of the monitors that want to hear of an event; nothing if none does.
    fn flags(&self, kind: MonitorEvent, rule: &Rule, old: Option<&Rule>) -> Option<MonitorFlags> {
        let wanting = self.monitors.values().filter(|monitor| wants_kind(monitor, kind));
        wanting.filter(|monitor| wants(monitor, rule, old)).map(|monitor| monitor.flags).reduce(
            |all, flags| MonitorFlags {
                actions: all.actions || flags.actions,
                own_in_full: all.own_in_full || flags.own_in_full,
                ..all
            },
        )
    }
}

fn wants_kind(monitor: &MonitorRequest, kind: MonitorEvent) -> bool {
    match kind {
        MonitorEvent::Added => monitor.flags.added,
        MonitorEvent::Modified => monitor.flags.modified,
        MonitorEvent::Removed(_) => monitor.flags.removed,
    }
}
