//! One bridge: its ports, its clock, and the order in which the machines run.

use super::port::{HELLO_TIME_SECS, MIGRATE_TIME_SECS, Port, Times};
use super::selection::RootPath;
use super::transitions::{Step, TreeEffect};
use super::{RstpPortSettings, RstpSettings};
use crate::PortKey;
use crate::tree::{
    Action, BridgeStatus, Claim, Gate, PortCounts, PortState, PortStatus, SpanningTree, TICK_MAX_MS,
};
use weft_wire::stp::{Bpdu, BpduInfo, BridgeIdentifier, PortIdentifier};

/// Milliseconds between two ticks of the port timers.
const SECOND_MS: u32 = 1000;

/// Rounds after which the machines must have come to rest.  Each sets what others wait for at
/// most a few times, whatever the number of ports.
const ROUNDS_MAX: usize = 1000;

/// One bridge that speaks RSTP.
#[derive(Debug)]
pub struct Rstp {
    pub(super) settings: RstpSettings,
    /// In the order of their numbers.
    pub(super) ports: Vec<Port>,
    pub(super) root_path: RootPath,
    pub(super) actions: Vec<Action>,
    /// Time since the last tick of the port timers.
    fraction_ms: u32,
}

impl Rstp {
    /// A bridge without ports, which believes to be the root.
    #[must_use]
    pub fn new(settings: RstpSettings) -> Self {
        let settings = settings.sane();
        let mut bridge = Self {
            settings,
            ports: Vec::new(),
            root_path: own_path(&settings),
            actions: Vec::new(),
            fraction_ms: 0,
        };
        if settings.aging_time_secs.is_some() {
            bridge.actions.push(Action::Aging { secs: settings.aging_time_secs });
        }
        bridge
    }

    /// Changes the bridge's settings; what did not change has no effect.  Another protocol version
    /// starts all ports anew.
    pub fn configure(&mut self, settings: RstpSettings) {
        let settings = settings.sane();
        if settings == self.settings {
            return;
        }
        let old = std::mem::replace(&mut self.settings, settings);
        if old.aging_time_secs != settings.aging_time_secs {
            self.actions.push(Action::Aging { secs: settings.aging_time_secs });
        }
        if old.force_stp != settings.force_stp {
            let (times, is_rstp) = (self.bridge_times(), !settings.force_stp);
            for port in &mut self.ports {
                let claim = own_claim(settings.identifier, port.identifier);
                let (counts, reported_state) = (port.counts, port.reported_state);
                *port = Port::new(port.id, port.settings, claim, times, is_rstp);
                (port.counts, port.reported_state) = (counts, reported_state);
            }
        }
        self.root_path = own_path(&settings);
        self.reselect();
    }

    /// Adds a port, or changes the settings of one that there is.  What did not change has no
    /// effect.
    pub fn set_port(&mut self, id: PortKey, settings: RstpPortSettings) {
        let (times, is_rstp) = (self.bridge_times(), !self.settings.force_stp);
        match self.ports.iter_mut().find(|port| port.id == id) {
            Some(port) if port.settings == settings => return,
            Some(port) => {
                port.mcheck |= settings.mcheck && !port.settings.mcheck && is_rstp;
                port.oper_edge |= settings.admin_edge && !port.settings.admin_edge;
                port.identifier = settings.identifier();
                port.enabled = settings.is_up;
                port.settings = settings;
            }
            None => {
                let claim = own_claim(self.settings.identifier, settings.identifier());
                self.ports.push(Port::new(id, settings, claim, times, is_rstp));
                // It was open until now.
                let (from, to) = (PortState::Disabled, PortState::Disabled);
                self.actions.push(Action::State { port: id, from, to });
            }
        }
        self.ports.sort_by_key(|port| (port.settings.number, port.id));
        self.reselect();
    }

    pub(super) fn port(&self, id: PortKey) -> Option<&Port> {
        self.ports.iter().find(|port| port.id == id)
    }

    pub(super) fn bridge_times(&self) -> Times {
        times_of(&self.settings)
    }

    /// Chooses all roles anew.
    fn reselect(&mut self) {
        for port in &mut self.ports {
            port.reselect = true;
            port.selected = false;
        }
        self.settle();
    }

    /// Runs all machines until none has anything to do, then sends what there is to send.
    fn settle(&mut self) {
        let mut rounds = 0;
        while self.round() && rounds < ROUNDS_MAX {
            rounds += 1;
        }
        debug_assert!(rounds < ROUNDS_MAX, "the machines do not come to rest");
        for index in 0..self.ports.len() {
            self.port_transmit(index);
        }
        for port in &mut self.ports {
            let to = port.state();
            let from = std::mem::replace(&mut port.reported_state, to);
            if from != to {
                self.actions.push(Action::State { port: port.id, from, to });
            }
        }
    }

    /// One step of each machine of each port.  True when something changed.
    fn round(&mut self) -> bool {
        let is_rstp = !self.settings.force_stp;
        let root_times = self.root_path.times;
        let mut changed = false;
        for index in 0..self.ports.len() {
            if let Some(port) = self.ports.get_mut(index) {
                changed |= port.protocol_migration(is_rstp);
                changed |= port.bridge_detection();
                changed |= port.port_information();
            }
            let step = self.port_role_transitions(index);
            changed |= self.follow(index, step);
            if let Some(port) = self.ports.get_mut(index) {
                changed |= port.port_state_transition();
                let step = port.topology_change(root_times);
                changed |= self.follow(index, step);
            }
        }
        self.flush_ports();
        changed | self.port_role_selection()
    }

    /// Does to the tree what a step of the port at `index` asks for.
    fn follow(&mut self, index: usize, step: Step) -> bool {
        let Step::Asks(effect) = step else { return step == Step::Changed };
        for (other, port) in self.ports.iter_mut().enumerate() {
            match effect {
                TreeEffect::Sync => port.sync = true,
                TreeEffect::ReRoot => port.re_root = true,
                TreeEffect::PropagateTopologyChange => port.tc_prop |= other != index,
            }
        }
        true
    }

    fn flush_ports(&mut self) {
        for port in self.ports.iter_mut().filter(|port| port.fdb_flush) {
            port.fdb_flush = false;
            let action = Action::FlushPort { port: port.id };
            if !self.actions.contains(&action) {
                self.actions.push(action);
            }
        }
    }

    /// The port receive machine, section 17.23, for a BPDU that is valid.
    fn receive_bpdu(&mut self, index: usize, bpdu: Bpdu) {
        let own = self.settings.identifier;
        let Some(port) = self.ports.get_mut(index) else { return };
        port.counts.rx += 1;
        port.oper_edge = false;
        port.timers.edge_delay = MIGRATE_TIME_SECS;
        let message = match bpdu {
            Bpdu::Config { info, .. } | Bpdu::Rst { info, .. }
                if is_own(&info, own, port.identifier) =>
            {
                port.timers.looped = 3 * HELLO_TIME_SECS;
                None
            }
            // A Config BPDU comes from a designated port.
            Bpdu::Config { .. } | Bpdu::TopologyChange => {
                port.rcvd_stp = true;
                Some(bpdu)
            }
            // Section 17.21.22: a bridge that is forced to STP does not know this type.
            Bpdu::Rst { .. } if self.settings.force_stp => None,
            Bpdu::Rst { .. } => {
                port.rcvd_rstp = true;
                Some(bpdu)
            }
        };
        port.message = message;
        self.settle();
    }

    /// The port timers machine, section 17.22.
    fn second(&mut self) {
        for port in &mut self.ports {
            port.timers.tick();
            port.tx_count = port.tx_count.saturating_sub(1);
            port.counts.uptime_secs += 1;
        }
        self.settle();
    }
}

fn times_of(settings: &RstpSettings) -> Times {
    Times {
        message_age: 0,
        max_age: settings.max_age_secs.into(),
        hello: HELLO_TIME_SECS,
        forward_delay: settings.forward_delay_secs.into(),
    }
}

fn own_claim(own: BridgeIdentifier, port: PortIdentifier) -> Claim {
    Claim { root: own, cost: 0, bridge: own, port }
}

fn own_path(settings: &RstpSettings) -> RootPath {
    let vector = own_claim(settings.identifier, PortIdentifier(0));
    RootPath { vector, times: times_of(settings), port: None }
}

fn is_own(info: &BpduInfo, bridge: BridgeIdentifier, port: PortIdentifier) -> bool {
    info.bridge == bridge && info.port == port
}

impl SpanningTree for Rstp {
    fn receive(&mut self, id: PortKey, frame: &[u8]) {
        let Some(index) = self.ports.iter().position(|port| port.id == id) else { return };
        let Some(port) = self.ports.get_mut(index).filter(|port| port.enabled) else { return };
        match Bpdu::parse_frame(frame) {
            Ok((_, bpdu)) => self.receive_bpdu(index, bpdu),
            Err(_) => port.counts.error += 1,
        }
    }

    fn tick(&mut self, elapsed_ms: u32) {
        self.fraction_ms += elapsed_ms.min(TICK_MAX_MS);
        while self.fraction_ms >= SECOND_MS {
            self.fraction_ms -= SECOND_MS;
            self.second();
        }
    }

    fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    fn set_link(&mut self, id: PortKey, is_up: bool) {
        if let Some(port) = self.ports.iter_mut().find(|port| port.id == id) {
            port.settings.is_up = is_up;
            port.enabled = is_up;
            if !is_up {
                port.timers.edge_delay = MIGRATE_TIME_SECS;
                port.timers.looped = 0;
            }
            self.settle();
        }
    }

    fn remove_port(&mut self, id: PortKey) {
        let Some(from) = self.port(id).map(Port::state) else { return };
        // The others learn that it is gone before it is.
        self.set_link(id, false);
        self.ports.retain(|port| port.id != id);
        self.actions.retain(|action| !action.is_of(id));
        self.actions.push(Action::State { port: id, from, to: PortState::Forwarding });
        self.settle();
    }

    fn gate(&self, id: PortKey) -> Gate {
        self.port(id).map_or(Gate::OPEN, |port| port.state().gate())
    }

    fn force_topology_change(&mut self) {
        for port in self.ports.iter_mut().filter(|port| port.enabled) {
            port.rcvd_tcn = true;
        }
        self.settle();
    }

    fn bridge_status(&self) -> BridgeStatus {
        self.status()
    }

    fn ports(&self) -> Vec<PortKey> {
        self.ports.iter().map(|port| port.id).collect()
    }

    fn port_status(&self, id: PortKey) -> Option<PortStatus> {
        self.port(id).map(Port::status)
    }

    fn port_counts(&self, id: PortKey) -> Option<PortCounts> {
        self.port(id).map(|port| port.counts)
    }
}
