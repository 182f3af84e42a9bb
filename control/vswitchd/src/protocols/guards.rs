//! Loop guards, as this daemon drives them: one for each bridge with `other_config:loop-guard=true`.

use crate::config::desired::{Bridge, Desired, Port};
use crate::config::names::PortName;
use crate::protocols::spanning::Member;
use crate::protocols::{Errand, key_of, port_of};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_protocols::loop_guard::{
    BLOCK_MS, GuardAction, GuardState, GuardedPort, GuardedStation, LoopGuard, Moved, Reason, Sign,
};
use weft_switch::{Move, PortId};

/// The key of `Bridge.other_config`.
const KEY: &str = "loop-guard";

struct Guard {
    machine: LoopGuard,
    bridge: Uuid,
    /// The row and the name of each port that is watched.
    members: BTreeMap<PortId, (Uuid, PortName)>,
}

/// The guards of all bridges, by name.
#[derive(Default)]
pub struct Guards(BTreeMap<String, Guard>);

impl Guards {
    /// True when time has to pass for a guard.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.0.is_empty()
    }

    /// What the probes of a bridge have in them, when it has a guard.
    #[must_use]
    pub fn nonce(&self, bridge: &str) -> Option<u64> {
        self.0.get(bridge).map(|guard| guard.machine.nonce())
    }

    /// False while a port is blocked or on probation.
    #[must_use]
    pub fn is_open(&self, bridge: &str, port: PortId) -> bool {
        self.0.get(bridge).is_none_or(|guard| guard.machine.is_open(key_of(port)))
    }

    /// Makes the guards fit the configuration; without one, all ports of a bridge are open.
    pub fn configure(
        &mut self,
        desired: &Desired,
        member: &impl Fn(&Bridge, &Port) -> Option<Member>,
    ) {
        let wants =
            |bridge: &Bridge| bridge.other_config.get(KEY).is_some_and(|value| value == "true");
        self.0.retain(|name, guard| {
            let bridge = desired.bridges.get(name);
            bridge.is_some_and(|bridge| wants(bridge) && bridge.uuid == guard.bridge)
        });
        for (name, bridge) in desired.bridges.iter().filter(|(_, bridge)| wants(bridge)) {
            let guard = self.0.entry(name.clone()).or_insert_with(|| {
                tracing::info!("{name}: loop guard starts");
                let id = bridge.uuid.as_u64_pair().0;
                let machine = LoopGuard::new(id, Uuid::new_v4().as_u64_pair().1);
                Guard { machine, bridge: bridge.uuid, members: BTreeMap::new() }
            });
            guard.configure_ports(bridge, member);
        }
    }

    /// All ports that are watched.
    pub fn members(&self) -> impl Iterator<Item = PortId> + '_ {
        self.0.values().flat_map(|guard| guard.members.keys().copied())
    }

    /// Takes a frame that came in on `port` of a bridge.
    pub fn receive(&mut self, bridge: &str, port: PortId, frame: &[u8]) {
        if let Some(guard) = self.0.get_mut(bridge) {
            guard.machine.receive(key_of(port), frame);
        }
    }

    /// Takes what a worker counted in a bridge.
    pub fn moved(&mut self, bridge: &str, counted: &Move) {
        let Some(guard) = self.0.get_mut(bridge) else { return };
        let Move { station, from, to, count, .. } = *counted;
        let station = GuardedStation { vid: station.vid(), mac: station.mac() };
        guard.machine.moved(&Moved { station, from: key_of(from), to: key_of(to), count });
    }

    /// Lets time pass.  `forwards` says whether a spanning tree lets a port forward.
    pub fn tick(&mut self, elapsed_ms: u32, forwards: impl Fn(&str, PortId) -> bool) {
        for (bridge, guard) in &mut self.0 {
            for id in guard.members.keys() {
                guard.machine.set_forwards(key_of(*id), forwards(bridge, *id));
            }
            guard.machine.tick(elapsed_ms);
        }
    }

    /// Adds what is to be done to `errands`; true when ports were blocked or opened.
    pub fn take_errands(&mut self, errands: &mut Vec<Errand>) -> bool {
        let mut changed = false;
        for (bridge, guard) in &mut self.0 {
            for action in guard.machine.take_actions() {
                match action {
                    GuardAction::Send { port, frame } => {
                        errands.push(Errand::Send(port_of(port), frame));
                    }
                    GuardAction::State { port, state } => {
                        changed = true;
                        guard.log(bridge, port_of(port), state);
                        // Stations are to be found another way now.
                        let flush = Errand::Flush(bridge.clone(), None);
                        if !errands.contains(&flush) {
                            errands.push(flush);
                        }
                    }
                }
            }
        }
        changed
    }

    /// Why a port is blocked, in words; none for a port that is open.
    #[must_use]
    pub fn reason(&self, bridge: &str, port: PortId) -> Option<String> {
        let guard = self.0.get(bridge)?;
        match guard.machine.state(key_of(port)) {
            GuardState::Open => None,
            GuardState::Blocked(reason) | GuardState::Probation(reason) => {
                Some(guard.describe(reason))
            }
        }
    }

    /// Keys and values of Port.status, for each row that is not open.
    pub fn statuses(
        &self,
        bridge: &str,
    ) -> impl Iterator<Item = (Uuid, [(&'static str, String); 2])> {
        let guard = self.0.get(bridge);
        guard.into_iter().flat_map(|guard| {
            guard.members.iter().filter_map(|(id, (row, _))| {
                let (state, reason) = match guard.machine.state(key_of(*id)) {
                    GuardState::Open => return None,
                    GuardState::Blocked(reason) => ("blocked", reason),
                    GuardState::Probation(reason) => ("probation", reason),
                };
                let state = ("loop_guard_state", state.to_owned());
                Some((*row, [state, ("loop_guard_reason", guard.describe(reason))]))
            })
        })
    }
}

impl Guard {
    fn configure_ports(
        &mut self,
        bridge: &Bridge,
        member: &impl Fn(&Bridge, &Port) -> Option<Member>,
    ) {
        let mut stay = BTreeMap::new();
        for port in bridge.ports.values() {
            let Some(member) = member(bridge, port) else { continue };
            let settings =
                GuardedPort { is_up: member.is_up, vid: member.vid.get(), group: member.group };
            self.machine.set_port(key_of(member.id), settings);
            stay.insert(member.id, (port.uuid, port.name.clone()));
        }
        for gone in self.members.keys().filter(|id| !stay.contains_key(*id)) {
            self.machine.remove_port(key_of(*gone));
        }
        self.members = stay;
    }

    fn name(&self, port: PortId) -> &str {
        self.members.get(&port).map_or("a port that is gone", |(_, name)| name.as_str())
    }

    fn describe(&self, reason: Reason) -> String {
        let other = self.name(port_of(reason.other));
        match reason.sign {
            Sign::Reflection => "it hears its own probe".to_owned(),
            Sign::Probe => format!("a probe came back between it and {other}"),
            Sign::Moves(station) => {
                let (mac, vid) = (station.mac, station.vid.get());
                format!("{mac} in VLAN {vid} moves back and forth between it and {other}")
            }
        }
    }

    fn log(&self, bridge: &str, id: PortId, state: GuardState) {
        let port = self.name(id);
        match state {
            GuardState::Open => tracing::info!("{bridge}: {port}: loop guard opens it"),
            GuardState::Blocked(reason) => {
                let (why, secs) = (self.describe(reason), BLOCK_MS / 1000);
                tracing::warn!("{bridge}: {port}: loop guard blocks it for {secs} s: {why}");
            }
            GuardState::Probation(_) => {
                tracing::info!(
                    "{bridge}: {port}: loop guard looks whether the loop is still there"
                );
            }
        }
    }
}
