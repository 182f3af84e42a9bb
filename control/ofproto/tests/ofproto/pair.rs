//! Bridges against their model.

use crate::make::Desk;
use crate::model::{Entry, Gone, Model, names_group, names_meter};
use crate::monitors::watch_all;
use crate::random::{Op, ops};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_flow::request::{MonitorFlags, MonitorRequest};
use weft_flow::{Action, Field, GroupId, Match, MeterId, Rule, RuleId, Subfield, TableId};
use weft_ofproto::{
    ConnectionId, FlowChange, MonitorEvent, MonitorUpdate, Outcome, RuleUse, TableConfig,
};

/// Table, priority and match.
type Place = (u8, u32, Match);

/// A bridge beside its model, and what outcomes say of it.
struct Pair {
    desk: Desk,
    model: Model,
    rules: BTreeMap<RuleId, Arc<Rule>>,
    retired: Vec<RuleId>,
    watched: BTreeMap<Place, (u64, Box<[Action]>)>,
}

const WATCHER: ConnectionId = ConnectionId(1);

impl Pair {
    fn new() -> Self {
        let mut desk = Desk::default();
        let flags = MonitorFlags { own_in_full: true, ..watch_all(1).flags };
        let request = MonitorRequest { flags, ..watch_all(1) };
        desk.bridge.monitor(WATCHER, &[request]).unwrap();
        Self {
            desk,
            model: Model::default(),
            rules: BTreeMap::new(),
            retired: Vec::new(),
            watched: BTreeMap::new(),
        }
    }

    fn run(&mut self, op: Op) {
        let now = self.desk.now;
        self.model.now = now;
        self.model.gone.clear();
        let bridge = &mut self.desk.bridge;
        let outcome = match op {
            Op::BridgeRequest(request) => {
                let expected = self.model.attempt(|model| model.request(&request));
                let done = bridge.request(now, request, None);
                assert_eq!(done.as_ref().err(), expected.as_ref().err());
                done.unwrap_or_default()
            }
            Op::Bundle(requests) => {
                let expected = self.model.attempt(|model| {
                    let mut each = requests.iter().enumerate();
                    each.try_for_each(|(place, one)| model.request(one).map_err(|e| (place, e)))
                });
                let done = bridge.commit(now, requests, None);
                let failure = done.as_ref().err().map(|failure| (failure.place, failure.refusal));
                assert_eq!(failure, expected.err());
                done.unwrap_or_default()
            }
            Op::Learn(request) => {
                let expected = self.model.attempt(|model| model.learn(&request));
                let done = bridge.learn(now, request);
                assert_eq!(
                    done.as_ref().map(|(learning, _)| *learning),
                    expected.as_ref().copied()
                );
                done.map(|(_, outcome)| outcome).unwrap_or_default()
            }
            Op::Wait(millis) => {
                self.desk.wait(millis);
                Outcome::default()
            }
            Op::Use(place, packets) => {
                self.meet(place, packets);
                Outcome::default()
            }
            Op::Expire => {
                self.model.expire();
                bridge.expire(now, usize::MAX)
            }
            Op::Limit { limit, evicts } => {
                self.model.limit(limit, evicts);
                let groups = [Subfield { field: Field::reg(0).unwrap(), offset: 0, bits: 1 }];
                let config = TableConfig { limit, evicts, groups: groups.into() };
                bridge.set_table_config(now, TableId(1), config)
            }
            Op::Release => {
                bridge.release(self.retired.drain(..));
                Outcome::default()
            }
        };
        self.hear(outcome);
        self.compare();
    }

    /// Packets meet a flow.
    fn meet(&mut self, place: usize, packets: u64) {
        let flows = self.desk.flows();
        let Some(flow) = flows.get(place % flows.len().max(1)) else { return };
        let last = self.desk.now;
        let bytes = packets * 60;
        self.desk.bridge.add_rule_uses(&[RuleUse { rule: flow.id(), packets, bytes, last }]);
        let it = Entry::of(flow);
        let entry = self.model.flows.iter_mut().find(|entry| **entry == it).unwrap();
        (entry.used, entry.packets) = (last, entry.packets + packets);
    }

    /// Follows an outcome.
    fn hear(&mut self, outcome: Outcome) {
        self.retired.extend(outcome.removed_rules());
        for change in outcome.changes {
            match change {
                FlowChange::RuleAdded(rule) => assert_eq!(self.rules.insert(rule.id, rule), None),
                FlowChange::RuleReplaced { old, new } => {
                    assert_eq!(old.id, new.id);
                    assert_eq!(self.rules.insert(new.id, new), Some(old));
                }
                FlowChange::RuleRemoved(rule) => {
                    assert_eq!(self.rules.remove(&rule.id), Some(rule));
                }
                _ => {}
            }
        }
        let gone = outcome.removed.into_iter().map(|gone| {
            let rule = &gone.flow.rule;
            (gone.reason, rule.table.0, rule.priority, rule.matching.clone())
        });
        let mut gone: Vec<Gone> = gone.collect();
        gone.sort_unstable();
        self.model.gone.sort_unstable();
        assert_eq!(gone, self.model.gone);
        for update in outcome.updates.into_values().flatten() {
            let MonitorUpdate::Event(kind, view) = update else { panic!("{update:?}") };
            let rule = view.rule;
            let key = (rule.table.0, rule.priority, rule.matching.clone());
            let value = (rule.cookie, rule.actions.clone());
            match kind {
                MonitorEvent::Added => drop(self.watched.insert(key, value)),
                MonitorEvent::Modified => assert!(self.watched.insert(key, value).is_some()),
                MonitorEvent::Removed(_) => assert_eq!(self.watched.remove(&key), Some(value)),
            }
        }
    }

    fn compare(&mut self) {
        let flows = self.desk.flows();
        let real: Vec<_> = flows.iter().map(Entry::of).collect();
        let mut model = self.model.flows.clone();
        model.sort_by_key(|entry| entry.table);
        assert_eq!(real, model);
        let rules: BTreeMap<_, _> =
            flows.iter().map(|flow| (flow.id(), flow.rule.clone())).collect();
        assert_eq!(rules, self.rules);
        let watched = model
            .iter()
            .map(|e| ((e.table, e.priority, e.matching.clone()), (e.cookie, e.actions.clone())));
        assert_eq!(watched.collect::<BTreeMap<_, _>>(), self.watched);
        let bridge = &mut self.desk.bridge;
        let groups = bridge.groups(GroupId::ALL).map(|entry| entry.group.id.0);
        assert_eq!(groups.collect::<BTreeSet<_>>(), self.model.groups);
        for id in 1..3 {
            let named = model.iter().filter(|entry| names_group(&entry.actions, id)).count();
            assert_eq!(bridge.flows_of_group(GroupId(id)), named);
        }
        let metered = model.iter().filter(|entry| names_meter(&entry.actions, 1)).count();
        assert_eq!(bridge.flows_of_meter(MeterId(1)), metered);
        let option = Action::DeleteField(Field::tun_metadata(3).unwrap());
        let uses_option = model.iter().any(|entry| entry.actions.contains(&option));
        assert_eq!(bridge.remove_options(&[3]).is_err(), uses_option);
        bridge.remove_options(&[4]).unwrap();
        let first = model.iter().filter_map(Entry::deadline).map(|(at, _)| at).min();
        assert_eq!(bridge.next_expiry().is_some(), first.is_some());
        assert!(bridge.next_expiry() <= first);
    }
}

proptest! {
    #[test]
    fn bridges_do_as_the_model(ops in ops()) {
        let mut pair = Pair::new();
        for op in ops {
            pair.run(op);
        }
    }
}
