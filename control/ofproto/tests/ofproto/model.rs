//! What a bridge is to do, in the simplest words: flows in one list, and every look-up a walk over it.

use std::collections::BTreeSet;
use weft_flow::request::{
    FlowCommand, FlowMod, GroupCommand, GroupMod, MeterCommand, MeterMod, Refusal, RemovedReason,
};
use weft_flow::{Action, Field, GroupId, Match, MeterId, PortNo, TableId};
use weft_ofproto::{BridgeRequest, Details, Flow, Learning, Time};

/// A flow of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub table: u8,
    pub priority: u32,
    pub matching: Match,
    pub cookie: u64,
    pub actions: Box<[Action]>,
    pub details: Details,
    pub created: Time,
    pub modified: Time,
    pub used: Time,
    pub packets: u64,
}

/// What is heard of a flow that is gone.
pub type Gone = (RemovedReason, u8, u32, Match);

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub now: Time,
    pub flows: Vec<Entry>,
    pub groups: BTreeSet<u32>,
    pub meters: BTreeSet<u32>,
    pub limit: Option<u32>,
    pub evicts: bool,
    pub gone: Vec<Gone>,
}

fn flat(actions: &[Action]) -> Vec<&Action> {
    actions.iter().flat_map(|action| [vec![action], flat(action.nested())].concat()).collect()
}

pub fn names_group(actions: &[Action], id: u32) -> bool {
    flat(actions).contains(&&Action::Group(GroupId(id)))
}

pub fn names_meter(actions: &[Action], id: u32) -> bool {
    flat(actions).contains(&&Action::Meter(MeterId(id)))
}

fn learned(actions: &[Action]) -> Option<(u8, u64)> {
    flat(actions).into_iter().find_map(|action| match action {
        Action::Learn(learn) => Some((learn.table.0, learn.cookie)),
        _ => None,
    })
}

impl Entry {
    fn new(table: u8, of: &FlowMod, now: Time) -> Self {
        Self {
            table,
            priority: of.priority.into(),
            matching: of.matching.clone(),
            cookie: of.cookie,
            actions: of.actions.clone(),
            details: Details {
                flags: of.flags,
                idle_timeout: of.idle_timeout,
                hard_timeout: of.hard_timeout,
                importance: of.importance,
            },
            created: now,
            modified: now,
            used: now,
            packets: 0,
        }
    }

    pub fn of(flow: &Flow) -> Self {
        let rule = &flow.rule;
        assert_eq!(flow.bytes, flow.packets * 60);
        Self {
            table: rule.table.0,
            priority: rule.priority,
            matching: rule.matching.clone(),
            cookie: rule.cookie,
            actions: rule.actions.clone(),
            details: flow.details,
            created: flow.created,
            modified: flow.modified,
            used: flow.used,
            packets: flow.packets,
        }
    }

    fn is_at(&self, table: u8, of: &FlowMod) -> bool {
        self.table == table
            && self.priority == u32::from(of.priority)
            && self.matching == of.matching
    }

    pub fn deadline(&self) -> Option<(Time, RemovedReason)> {
        let Details { idle_timeout: idle, hard_timeout: hard, .. } = self.details;
        let hard =
            (hard > 0).then(|| (self.modified.0 + u64::from(hard) * 1000, RemovedReason::Hard));
        let since = self.used.max(self.created).0;
        let idle = (idle > 0).then(|| (since + u64::from(idle) * 1000, RemovedReason::Idle));
        let first = [hard, idle].into_iter().flatten().min_by_key(|(at, _)| *at);
        first.map(|(at, why)| (Time(at), why))
    }
}

impl Model {
    fn check(&self, actions: &[Action]) -> Result<(), Refusal> {
        let all = flat(actions);
        let missing = |id: &u32, there: &BTreeSet<u32>| !there.contains(id);
        let groups =
            all.iter().filter_map(|a| if let Action::Group(id) = a { Some(id.0) } else { None });
        if groups.into_iter().any(|id| missing(&id, &self.groups)) {
            return Err(Refusal::BadOutGroup);
        }
        let meters =
            all.iter().filter_map(|a| if let Action::Meter(id) = a { Some(id.0) } else { None });
        if meters.into_iter().any(|id| missing(&id, &self.meters)) {
            return Err(Refusal::InvalidMeter);
        }
        Ok(())
    }

    fn remove(&mut self, reason: RemovedReason, is: impl Fn(&Entry) -> bool) {
        let (gone, left): (Vec<_>, _) = std::mem::take(&mut self.flows).into_iter().partition(is);
        self.flows = left;
        for entry in gone {
            if entry.details.flags.sends_flow_removed {
                self.gone.push((reason, entry.table, entry.priority, entry.matching));
            }
        }
    }

    fn learners(&self) -> BTreeSet<(u8, u64)> {
        self.flows.iter().filter_map(|entry| learned(&entry.actions)).collect()
    }

    /// Takes out what was learned by flows that were there `before`.
    fn clean(&mut self, mut before: BTreeSet<(u8, u64)>) {
        loop {
            let now = self.learners();
            let orphans: Vec<_> = before.difference(&now).copied().collect();
            if orphans.is_empty() {
                return;
            }
            for (table, cookie) in orphans {
                self.remove(RemovedReason::Delete, |e| e.table == table && e.cookie == cookie);
            }
            before = now;
        }
    }

    fn victim(&self) -> Option<usize> {
        let candidates = self.flows.iter().enumerate();
        let candidates: Vec<_> = candidates
            .filter(|(_, e)| e.table == 1 && self.evicts)
            .filter_map(|(place, e)| {
                let (due, _) = e.deadline()?;
                let group = e.matching.get(Field::reg(0).unwrap()).value & 1;
                Some((group, (e.details.importance, due, place)))
            })
            .collect();
        let size = |group| candidates.iter().filter(|(of, _)| *of == group).count();
        let largest = candidates.iter().map(|(group, _)| (size(*group), *group)).max()?.1;
        let of_group = candidates.iter().filter(|(group, _)| *group == largest);
        of_group.map(|(_, order)| *order).min().map(|(.., place)| place)
    }

    fn evict(&mut self) -> bool {
        let Some(place) = self.victim() else { return false };
        let entry = self.flows[place].clone();
        self.remove(RemovedReason::Eviction, |e| {
            e.table == 1 && e.priority == entry.priority && e.matching == entry.matching
        });
        true
    }

    fn excess(&self) -> usize {
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        self.flows.iter().filter(|e| e.table == 1).count().saturating_sub(limit)
    }

    fn add(&mut self, of: &FlowMod) -> Result<(), Refusal> {
        self.check(&of.actions)?;
        let table = if of.table == TableId::ALL { 0 } else { of.table.0 };
        let new = Entry::new(table, of, self.now);
        if let Some(old) = self.flows.iter_mut().find(|e| e.is_at(table, of)) {
            let packets = if of.flags.resets_counts { 0 } else { old.packets };
            *old = Entry { used: old.used, packets, ..new };
            return Ok(());
        }
        let overlaps = |e: &Entry| {
            e.table == table && e.priority == new.priority && e.matching.overlaps(&new.matching)
        };
        if of.flags.checks_overlap && self.flows.iter().any(overlaps) {
            return Err(Refusal::Overlap);
        }
        self.flows.push(new);
        let before = self.flows.len();
        while table == 1 && self.excess() > 0 {
            // The new one is no candidate.
            let new = self.flows.pop().unwrap();
            let room = self.evict();
            self.flows.push(new);
            if !room {
                return Err(Refusal::TableFull);
            }
        }
        assert!(self.flows.len() <= before);
        Ok(())
    }

    fn targets(&self, of: &FlowMod, is_strict: bool) -> Vec<usize> {
        let is = |e: &Entry| {
            let matches =
                if is_strict { e.is_at(e.table, of) } else { of.matching.contains(&e.matching) };
            let sends = |port| flat(&e.actions).contains(&&Action::Output { port, max_len: 0 });
            matches
                && (of.table == TableId::ALL || of.table.0 == e.table)
                && (e.cookie ^ of.cookie_filter) & of.cookie_mask == 0
                && (of.out_port == PortNo::ANY || sends(of.out_port))
                && (of.out_group == GroupId::ANY || names_group(&e.actions, of.out_group.0))
        };
        (0..self.flows.len()).filter(|place| is(&self.flows[*place])).collect()
    }

    fn flow(&mut self, of: &FlowMod) -> Result<(), Refusal> {
        let before = self.learners();
        let is_strict = matches!(of.command, FlowCommand::ModifyStrict | FlowCommand::DeleteStrict);
        match of.command {
            FlowCommand::Add => self.add(of)?,
            FlowCommand::Modify | FlowCommand::ModifyStrict => {
                self.check(&of.actions)?;
                let targets = self.targets(of, is_strict);
                if targets.is_empty() && of.modify_adds && of.cookie_mask == 0 {
                    self.add(of)?;
                }
                for place in targets {
                    let entry = &mut self.flows[place];
                    entry.actions.clone_from(&of.actions);
                    entry.modified = self.now;
                    if of.modifies_cookie {
                        entry.cookie = of.cookie;
                    }
                    if of.flags.resets_counts {
                        entry.packets = 0;
                    }
                }
            }
            FlowCommand::Delete | FlowCommand::DeleteStrict => {
                let targets = self.targets(of, is_strict);
                let all: Vec<_> = targets.iter().map(|place| self.flows[*place].clone()).collect();
                self.remove(RemovedReason::Delete, |e| all.contains(e));
            }
        }
        self.clean(before);
        Ok(())
    }

    pub fn learn(&mut self, of: &FlowMod) -> Result<Learning, Refusal> {
        let before = self.learners();
        let table = of.table.0;
        let new = Entry::new(table, of, self.now);
        let limit = of.learned.unwrap().limit as usize;
        let count = self.flows.iter().filter(|e| e.table == table && e.cookie == of.cookie).count();
        let old = self.flows.iter_mut().find(|e| e.is_at(table, of));
        match old {
            Some(old)
                if (&old.actions, old.cookie, old.details)
                    == (&new.actions, new.cookie, new.details) =>
            {
                (old.modified, old.used) = (self.now, self.now);
                return Ok(Learning::Refreshed);
            }
            None if limit > 0 && count >= limit => return Ok(Learning::LimitReached),
            _ => {}
        }
        self.add(of)?;
        self.clean(before);
        Ok(Learning::Added)
    }

    fn group(&mut self, of: &GroupMod) -> Result<(), Refusal> {
        let id = of.id.0;
        match (of.command, self.groups.contains(&id)) {
            (GroupCommand::Add, true) => return Err(Refusal::GroupExists),
            (GroupCommand::Modify, false) => return Err(Refusal::UnknownGroup),
            (GroupCommand::Delete, _) => {
                let all = self.groups.clone();
                for gone in all.into_iter().filter(|one| *one == id || of.id == GroupId::ALL) {
                    self.groups.remove(&gone);
                    let before = self.learners();
                    self.remove(RemovedReason::GroupDelete, |e| names_group(&e.actions, gone));
                    self.clean(before);
                }
            }
            _ if of.id == GroupId::ALL => return Err(Refusal::InvalidGroup),
            _ => drop(self.groups.insert(id)),
        }
        Ok(())
    }

    fn meter(&mut self, of: &MeterMod) -> Result<(), Refusal> {
        let id = of.id.0;
        match (of.command, self.meters.contains(&id)) {
            (MeterCommand::Add, true) => return Err(Refusal::MeterExists),
            (MeterCommand::Modify, false) => return Err(Refusal::UnknownMeter),
            (MeterCommand::Delete, _) => {
                let all = self.meters.clone();
                for gone in all.into_iter().filter(|one| *one == id || of.id == MeterId::ALL) {
                    self.meters.remove(&gone);
                    let before = self.learners();
                    self.remove(RemovedReason::MeterDelete, |e| names_meter(&e.actions, gone));
                    self.clean(before);
                }
            }
            _ if of.id == MeterId::ALL => return Err(Refusal::InvalidMeter),
            _ => drop(self.meters.insert(id)),
        }
        Ok(())
    }

    pub fn request(&mut self, request: &BridgeRequest) -> Result<(), Refusal> {
        match request {
            BridgeRequest::Flow(of) => self.flow(of),
            BridgeRequest::Group(of) => self.group(of),
            BridgeRequest::Meter(of) => self.meter(of),
            BridgeRequest::Port(_) | BridgeRequest::PacketOut(_) => panic!("not in the model"),
        }
    }

    /// Does it, or nothing.
    pub fn attempt<T, E>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = self.clone();
        let done = change(self);
        if done.is_err() {
            *self = before;
        }
        done
    }

    pub fn expire(&mut self) {
        let before = self.learners();
        let now = self.now;
        for reason in [RemovedReason::Hard, RemovedReason::Idle] {
            self.remove(reason, |e| {
                e.deadline().is_some_and(|(at, why)| at <= now && why == reason)
            });
        }
        self.clean(before);
    }

    pub fn limit(&mut self, limit: Option<u32>, evicts: bool) {
        (self.limit, self.evicts) = (limit, evicts);
        let before = self.learners();
        while self.excess() > 0 && self.evict() {}
        self.clean(before);
    }
}
