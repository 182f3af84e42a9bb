//! One bridge: its ports, and what the operator changes (802.1D-1998 section 8.8).

use super::port::Port;
use super::timer::Timer;
use super::{StpPortSettings, StpSettings};
use crate::PortKey;
use crate::tree::{
    Action, BridgeStatus, Claim, Gate, PortCounts, PortRole, PortState, PortStatus, SpanningTree,
    TreeTimes,
};
use weft_wire::stp::{BpduInfo, BridgeIdentifier, PortIdentifier};

/// Times that the root sets for all, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) hello: u32,
    pub(super) max_age: u32,
    pub(super) forward_delay: u32,
}

impl Times {
    pub(super) fn of_settings(settings: &StpSettings) -> Self {
        let ms = |secs: u8| u32::from(secs) * 1000;
        Self {
            hello: ms(settings.hello_time_secs),
            max_age: ms(settings.max_age_secs),
            forward_delay: ms(settings.forward_delay_secs),
        }
    }

    /// Those of the root, kept in the ranges of 802.1D-1998 table 8-3: a root that announces a
    /// forward delay of 0 must not talk us into a loop.
    pub(super) fn of_root(info: &BpduInfo) -> Self {
        Self {
            hello: info.hello_time.ms().clamp(1000, 10_000),
            max_age: info.max_age.ms().clamp(6000, 40_000),
            forward_delay: info.forward_delay.ms().clamp(4000, 30_000),
        }
    }
}

impl From<Times> for TreeTimes {
    fn from(times: Times) -> Self {
        Self {
            hello_secs: times.hello / 1000,
            max_age_secs: times.max_age / 1000,
            forward_delay_secs: times.forward_delay / 1000,
        }
    }
}

/// One bridge that speaks 802.1D-1998 STP.
#[derive(Debug)]
pub struct Stp {
    pub(super) settings: StpSettings,
    pub(super) now_ms: u64,
    pub(super) designated_root: BridgeIdentifier,
    pub(super) root_path_cost: u32,
    pub(super) root_port: Option<PortKey>,
    pub(super) times: Times,
    pub(super) topology_change_detected: bool,
    pub(super) topology_change: bool,
    pub(super) hello: Timer,
    pub(super) tcn: Timer,
    pub(super) topology_change_timer: Timer,
    /// In the order of their numbers.
    pub(super) ports: Vec<Port>,
    pub(super) actions: Vec<Action>,
}

impl Stp {
    /// A bridge without ports, which believes to be the root.
    #[must_use]
    pub fn new(settings: StpSettings) -> Self {
        let settings = settings.sane();
        let mut hello = Timer::default();
        hello.start(0);
        Self {
            settings,
            now_ms: 0,
            designated_root: settings.identifier,
            root_path_cost: 0,
            root_port: None,
            times: Times::of_settings(&settings),
            topology_change_detected: false,
            topology_change: false,
            hello,
            tcn: Timer::default(),
            topology_change_timer: Timer::default(),
            ports: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Changes the bridge's settings (802.1D-1998 section 8.8.4); what did not change has no
    /// effect.
    pub fn configure(&mut self, settings: StpSettings) {
        let settings = settings.sane();
        if settings == self.settings {
            return;
        }
        let old = self.settings.identifier;
        let was_root = self.is_root();
        for port in self.ports.iter_mut().filter(|port| port.is_designated(old)) {
            port.claim.bridge = settings.identifier;
        }
        self.settings = settings;
        if was_root {
            self.times = Times::of_settings(&settings);
        }
        self.update(was_root);
    }

    /// Adds a port, or changes the settings of one that there is.  What did not change has no
    /// effect.  A number that another port has is the caller's mistake; the port works, but its
    /// identifier is not its own.
    pub fn set_port(&mut self, id: PortKey, settings: StpPortSettings) {
        match self.ports.iter_mut().find(|port| port.id == id) {
            Some(port) if port.settings == settings => return,
            Some(_) => self.change_port(id, settings),
            None => self.add_port(id, settings),
        }
        self.ports.sort_by_key(|port| (port.settings.number, port.id));
    }

    /// The bridge believes to be the root.
    pub(super) fn is_root(&self) -> bool {
        self.designated_root == self.settings.identifier
    }

    pub(super) fn port(&self, id: PortKey) -> Option<&Port> {
        self.ports.iter().find(|port| port.id == id)
    }

    pub(super) fn port_mut(&mut self, id: PortKey) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.id == id)
    }

    pub(super) fn root_port(&self) -> Option<&Port> {
        self.root_port.and_then(|id| self.port(id))
    }

    pub(super) fn role_of(&self, port: &Port) -> PortRole {
        if port.state == PortState::Disabled {
            PortRole::Disabled
        } else if self.root_port == Some(port.id) {
            PortRole::Root
        } else if port.is_designated(self.settings.identifier) && !port.looped.is_running() {
            PortRole::Designated
        } else {
            PortRole::Alternate
        }
    }

    pub(super) fn ids(&self) -> Vec<PortKey> {
        self.ports.iter().map(|port| port.id).collect()
    }

    /// What this bridge claims on the LAN of a port with that identifier.
    pub(super) fn own_claim(&self, port: PortIdentifier) -> Claim {
        Claim {
            root: self.designated_root,
            cost: self.root_path_cost,
            bridge: self.settings.identifier,
            port,
        }
    }

    fn add_port(&mut self, id: PortKey, settings: StpPortSettings) {
        let is_up = settings.is_up;
        let claim = self.own_claim(settings.identifier());
        self.ports.push(Port::new(id, settings, claim, self.now_ms));
        if is_up {
            self.enable_port(id);
        } else {
            // It was open until now.
            let (from, to) = (PortState::Disabled, PortState::Disabled);
            self.actions.push(Action::State { port: id, from, to });
        }
    }

    /// 802.1D-1998 sections 8.8.5 and 8.8.6: another identifier, another path cost.
    fn change_port(&mut self, id: PortKey, settings: StpPortSettings) {
        let own = self.settings.identifier;
        let was_root = self.is_root();
        let Some(port) = self.port_mut(id) else { return };
        let is_up = settings.is_up;
        let was_up = port.settings.is_up;
        let identifier = settings.identifier();
        let is_better = port.claim.bridge == own && identifier < port.claim.port;
        let was_designated = port.is_designated(own);
        port.identifier = identifier;
        port.settings = settings;
        port.settings.is_up = was_up;
        if was_designated {
            port.claim.port = identifier;
        } else if is_better {
            self.become_designated_port(id);
        }
        self.update(was_root);
        self.set_link(id, is_up);
    }

    /// 802.1D-1998 section 8.8.2.
    fn enable_port(&mut self, id: PortKey) {
        self.become_designated_port(id);
        if let Some(port) = self.port_mut(id) {
            port.owes_ack = false;
            port.config_pending = false;
            port.message_age.stop();
            port.forward_delay.stop();
            port.hold.stop();
            port.looped.stop();
        }
        self.set_state(id, PortState::Blocking);
        self.port_state_selection();
    }

    /// 802.1D-1998 section 8.8.3.
    fn disable_port(&mut self, id: PortKey) {
        let was_root = self.is_root();
        self.become_designated_port(id);
        self.set_state(id, PortState::Disabled);
        if let Some(port) = self.port_mut(id) {
            port.owes_ack = false;
            port.config_pending = false;
            port.message_age.stop();
            port.forward_delay.stop();
            port.looped.stop();
        }
        self.update(was_root);
    }

    /// Chooses anew who leads where, and takes over as root if nobody better is left.
    pub(super) fn update(&mut self, was_root: bool) {
        self.configuration_update();
        self.port_state_selection();
        match (was_root, self.is_root()) {
            (false, true) => {
                self.times = Times::of_settings(&self.settings);
                self.topology_change_detection();
                self.tcn.stop();
                self.config_bpdu_generation();
                self.hello.start(0);
            }
            (true, false) => self.abdicate(),
            _ => {}
        }
    }

    /// A better root was found than this bridge.
    pub(super) fn abdicate(&mut self) {
        self.hello.stop();
        if self.topology_change_detected {
            self.topology_change_timer.stop();
            self.transmit_tcn();
            self.tcn.start(0);
        }
    }

    pub(super) fn set_state(&mut self, id: PortKey, state: PortState) {
        let now_ms = self.now_ms;
        let Some(port) = self.port_mut(id) else { return };
        if port.state != state {
            let from = std::mem::replace(&mut port.state, state);
            port.changed_ms = now_ms;
            self.actions.push(Action::State { port: id, from, to: state });
        }
    }

    fn status_of(&self, port: &Port) -> PortStatus {
        PortStatus {
            identifier: port.identifier,
            number: port.settings.number.into(),
            priority: port.settings.priority,
            path_cost: port.settings.path_cost.into(),
            role: self.role_of(port),
            state: port.state,
            is_edge: false,
            secs_in_state: Some(self.now_ms.saturating_sub(port.changed_ms) / 1000),
            designated_bridge: port.claim.bridge,
            designated_port: port.claim.port,
            designated_cost: port.claim.cost,
        }
    }
}

impl SpanningTree for Stp {
    fn receive(&mut self, id: PortKey, frame: &[u8]) {
        self.received(id, frame);
    }

    fn tick(&mut self, elapsed_ms: u32) {
        self.pass_time(elapsed_ms);
    }

    fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    fn set_link(&mut self, id: PortKey, is_up: bool) {
        let Some(port) = self.port_mut(id) else { return };
        port.settings.is_up = is_up;
        match (port.state == PortState::Disabled, is_up) {
            (true, true) => self.enable_port(id),
            (false, false) => self.disable_port(id),
            _ => {}
        }
    }

    fn remove_port(&mut self, id: PortKey) {
        let Some(port) = self.port(id) else { return };
        let from = port.state;
        if port.state != PortState::Disabled {
            self.disable_port(id);
        }
        self.ports.retain(|port| port.id != id);
        self.actions.retain(|action| !action.is_of(id));
        self.actions.push(Action::State { port: id, from, to: PortState::Forwarding });
    }

    fn gate(&self, id: PortKey) -> Gate {
        self.port(id).map_or(Gate::OPEN, |port| port.state.gate())
    }

    fn force_topology_change(&mut self) {
        self.topology_change_detection();
    }

    fn bridge_status(&self) -> BridgeStatus {
        let root_port = self.root_port();
        let next = root_port.map(|port| port.claim);
        BridgeStatus {
            identifier: self.settings.identifier,
            own_times: Times::of_settings(&self.settings).into(),
            root: self.designated_root,
            root_times: self.times.into(),
            root_path_cost: self.root_path_cost,
            root_port: root_port.map(|port| (port.id, port.identifier)),
            designated_bridge: next.map_or(self.settings.identifier, |claim| claim.bridge),
            designated_port: next.map_or(PortIdentifier(0), |claim| claim.port),
        }
    }

    fn ports(&self) -> Vec<PortKey> {
        self.ports.iter().map(|port| port.id).collect()
    }

    fn port_status(&self, id: PortKey) -> Option<PortStatus> {
        self.port(id).map(|port| self.status_of(port))
    }

    fn port_counts(&self, id: PortKey) -> Option<PortCounts> {
        self.port(id).map(|port| port.counts)
    }
}
