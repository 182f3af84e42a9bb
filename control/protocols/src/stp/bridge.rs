//! The protocol of 802.1D-1998: its procedures (section 8.6) and what they answer to (section
//! 8.7).  A procedure here is called what it is called there.

use super::port::{Claim, Port, PortRole, PortState};
use super::timer::Timer;
use super::{
    Action, BridgeSettings, Gate, PortSettings, STEP_MAX_MS, SpanningTree, TICK_MAX_MS, send,
};
use crate::PortKey;
use weft_wire::stp::{Bpdu, BpduInfo, BridgeIdentifier, PortIdentifier, WireTime};

/// Least time between two Config BPDUs on one port; 802.1D-1998 table 8-3.
const HOLD_TIME_MS: u32 = 1000;
/// What a bridge adds to the age of what it passes on; 802.1D-1998 table 8-2.
const MESSAGE_AGE_INCREMENT_MS: u32 = 1000;

/// Times that the root sets for all, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    hello: u32,
    max_age: u32,
    forward_delay: u32,
}

impl Times {
    fn of_settings(settings: &BridgeSettings) -> Self {
        let ms = |secs: u8| u32::from(secs) * 1000;
        Self {
            hello: ms(settings.hello_time_secs),
            max_age: ms(settings.max_age_secs),
            forward_delay: ms(settings.forward_delay_secs),
        }
    }

    /// Those of the root, kept in the ranges of 802.1D-1998 table 8-3: a root that announces a
    /// forward delay of 0 must not talk us into a loop.
    fn of_root(info: &BpduInfo) -> Self {
        Self {
            hello: info.hello_time.ms().clamp(1000, 10_000),
            max_age: info.max_age.ms().clamp(6000, 40_000),
            forward_delay: info.forward_delay.ms().clamp(4000, 30_000),
        }
    }
}

/// A Config BPDU that arrived.
struct Heard {
    info: BpduInfo,
    topology_change: bool,
    topology_change_ack: bool,
}

/// One bridge that speaks 802.1D-1998 STP.
#[derive(Debug)]
pub struct Stp {
    name: String,
    settings: BridgeSettings,
    now_ms: u64,
    designated_root: BridgeIdentifier,
    root_path_cost: u32,
    root_port: Option<PortKey>,
    times: Times,
    topology_change_detected: bool,
    topology_change: bool,
    hello: Timer,
    tcn: Timer,
    topology_change_timer: Timer,
    /// In the order of their numbers.
    ports: Vec<Port>,
    actions: Vec<Action>,
}

impl Stp {
    /// A bridge without ports, which believes to be the root.  `name` is for [`SpanningTree::show`].
    #[must_use]
    pub fn new(name: &str, settings: BridgeSettings) -> Self {
        let settings = settings.sane();
        let mut hello = Timer::default();
        hello.start(0);
        Self {
            name: name.to_owned(),
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
    pub fn configure(&mut self, settings: BridgeSettings) {
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
    pub fn set_port(&mut self, id: PortKey, settings: PortSettings) {
        match self.ports.iter_mut().find(|port| port.id == id) {
            Some(port) if port.settings == settings => return,
            Some(_) => self.change_port(id, settings),
            None => self.add_port(id, settings),
        }
        self.ports.sort_by_key(|port| (port.settings.number, port.id));
    }

    /// The bridge believes to be the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.designated_root == self.settings.identifier
    }

    /// Role and state of a port that takes part.
    #[must_use]
    pub fn role_and_state(&self, id: PortKey) -> Option<(PortRole, PortState)> {
        self.port(id).map(|port| (self.role_of(port), port.state))
    }

    /// The bridge that this one believes to be the root.
    #[must_use]
    pub const fn designated_root(&self) -> BridgeIdentifier {
        self.designated_root
    }

    /// What the path to the root costs; 0 at the root.
    #[must_use]
    pub const fn root_path_cost(&self) -> u32 {
        self.root_path_cost
    }

    /// The root says, or this bridge as root, that stations may have moved.
    #[must_use]
    pub const fn topology_changes(&self) -> bool {
        self.topology_change
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn settings(&self) -> &BridgeSettings {
        &self.settings
    }

    pub(super) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Hello time, max age and forward delay in use.
    pub(super) const fn current_ms(&self) -> [u32; 3] {
        [self.times.hello, self.times.max_age, self.times.forward_delay]
    }

    pub(super) fn ports(&self) -> &[Port] {
        &self.ports
    }

    pub(super) fn port(&self, id: PortKey) -> Option<&Port> {
        self.ports.iter().find(|port| port.id == id)
    }

    fn port_mut(&mut self, id: PortKey) -> Option<&mut Port> {
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

    fn ids(&self) -> Vec<PortKey> {
        self.ports.iter().map(|port| port.id).collect()
    }

    /// What this bridge claims on the LAN of a port with that identifier.
    fn own_claim(&self, port: PortIdentifier) -> Claim {
        Claim {
            root: self.designated_root,
            cost: self.root_path_cost,
            bridge: self.settings.identifier,
            port,
        }
    }

    fn add_port(&mut self, id: PortKey, settings: PortSettings) {
        let is_up = settings.is_up;
        let claim = self.own_claim(settings.identifier());
        self.ports.push(Port::new(id, settings, claim, self.now_ms));
        if is_up {
            self.enable_port(id);
        } else {
            // It was open until now.
            let (from, to) = (PortState::Disabled.name(), PortState::Disabled.name());
            self.actions.push(Action::State { port: id, gate: Gate::CLOSED, from, to });
        }
    }

    /// 802.1D-1998 sections 8.8.5 and 8.8.6: another identifier, another path cost.
    fn change_port(&mut self, id: PortKey, settings: PortSettings) {
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
    fn update(&mut self, was_root: bool) {
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
    fn abdicate(&mut self) {
        self.hello.stop();
        if self.topology_change_detected {
            self.topology_change_timer.stop();
            self.transmit_tcn();
            self.tcn.start(0);
        }
    }

    fn set_state(&mut self, id: PortKey, state: PortState) {
        let now_ms = self.now_ms;
        let Some(port) = self.port_mut(id) else { return };
        if port.state != state {
            let (from, to) = (port.state.name(), state.name());
            port.state = state;
            port.changed_ms = now_ms;
            let gate = state.gate();
            self.actions.push(Action::State { port: id, gate, from, to });
        }
    }

    /// Section 8.6.1.
    fn transmit_config(&mut self, id: PortKey) {
        let is_root = self.is_root();
        let root_age = self.root_port().map_or(0, |port| port.message_age.value());
        let message_age = if is_root { 0 } else { root_age + MESSAGE_AGE_INCREMENT_MS };
        let (root, root_path_cost) = (self.designated_root, self.root_path_cost);
        let (bridge, times) = (self.settings.identifier, self.times);
        let topology_change = self.topology_change;
        let Some(port) = self.port_mut(id) else { return };
        if port.state == PortState::Disabled {
            return;
        }
        if port.hold.is_running() {
            port.config_pending = true;
            return;
        }
        port.config_pending = false;
        if message_age >= times.max_age {
            return;
        }
        let info = BpduInfo {
            root,
            root_path_cost,
            bridge,
            port: port.identifier,
            message_age: WireTime::from_ms(message_age),
            max_age: WireTime::from_ms(times.max_age),
            hello_time: WireTime::from_ms(times.hello),
            forward_delay: WireTime::from_ms(times.forward_delay),
        };
        let topology_change_ack = std::mem::take(&mut port.owes_ack);
        port.hold.start(0);
        port.counts.tx += 1;
        let bpdu = Bpdu::Config { info, topology_change, topology_change_ack };
        let frame = send(id, port.settings.source, &bpdu);
        self.actions.push(frame);
    }

    /// Section 8.6.2: what was heard is better than what the port holds, or news from the same
    /// bridge and port.
    fn supersedes_port_info(&self, port: &Port, info: &BpduInfo) -> bool {
        let heard = Claim::of(info);
        let held = port.claim;
        let by_bridge = |claim: Claim| (claim.root, claim.cost, claim.bridge);
        by_bridge(heard) < by_bridge(held)
            || by_bridge(heard) == by_bridge(held)
                && (heard.bridge != self.settings.identifier || heard.port <= held.port)
    }

    /// Section 8.6.3, the record, and 8.6.4, its timers.
    fn record_config_information(&mut self, id: PortKey, info: &BpduInfo) {
        if let Some(port) = self.port_mut(id) {
            port.claim = Claim::of(info);
            port.message_age.start(info.message_age.ms());
        }
    }

    /// Section 8.6.5.
    fn config_bpdu_generation(&mut self) {
        let own = self.settings.identifier;
        for id in self.ids() {
            if self.port(id).is_some_and(|port| port.is_designated(own)) {
                self.transmit_config(id);
            }
        }
    }

    /// Section 8.6.7.
    fn transmit_tcn(&mut self) {
        let Some(id) = self.root_port else { return };
        let Some(port) = self.port_mut(id) else { return };
        port.counts.tx += 1;
        let frame = send(id, port.settings.source, &Bpdu::TopologyChange);
        self.actions.push(frame);
    }

    /// Section 8.6.8.
    fn configuration_update(&mut self) {
        self.root_selection();
        self.designated_port_selection();
    }

    /// Section 8.6.9.
    fn root_selection(&mut self) {
        let own = self.settings.identifier;
        let best = self
            .ports
            .iter()
            .filter(|port| port.state != PortState::Disabled && !port.is_designated(own))
            // Our own claim, heard through another port, leads nowhere.
            .filter(|port| port.claim.root < own && port.claim.bridge != own)
            .min_by_key(|port| {
                let cost = port.claim.cost.saturating_add(port.settings.path_cost.into());
                (port.claim.root, cost, port.claim.bridge, port.claim.port, port.identifier)
            });
        (self.root_port, self.designated_root, self.root_path_cost) = match best {
            Some(port) => (
                Some(port.id),
                port.claim.root,
                port.claim.cost.saturating_add(port.settings.path_cost.into()),
            ),
            None => (None, own, 0),
        };
    }

    /// Section 8.6.10.
    fn designated_port_selection(&mut self) {
        let own = self.settings.identifier;
        for id in self.ids() {
            let Some(port) = self.port(id) else { continue };
            let is_ours = port.is_designated(own)
                || port.claim.root != self.designated_root
                || self.own_claim(port.identifier) <= port.claim;
            if is_ours {
                self.become_designated_port(id);
            }
        }
    }

    /// Section 8.6.11.
    fn become_designated_port(&mut self, id: PortKey) {
        let Some(port) = self.port(id) else { return };
        let claim = self.own_claim(port.identifier);
        if let Some(port) = self.port_mut(id) {
            port.claim = claim;
        }
    }

    /// Section 8.6.12; a port that hears itself blocks.
    fn port_state_selection(&mut self) {
        let own = self.settings.identifier;
        for id in self.ids() {
            let is_root_port = self.root_port == Some(id);
            let Some(port) = self.port_mut(id) else { continue };
            let is_designated = port.is_designated(own);
            if is_designated {
                port.message_age.stop();
            } else {
                port.config_pending = false;
                port.owes_ack = false;
            }
            if is_root_port || is_designated && !port.looped.is_running() {
                self.make_forwarding(id);
            } else {
                self.make_blocking(id);
            }
        }
    }

    /// Section 8.6.13.
    fn make_forwarding(&mut self, id: PortKey) {
        if let Some(port) = self.port_mut(id)
            && port.state == PortState::Blocking
        {
            port.forward_delay.start(0);
            self.set_state(id, PortState::Listening);
        }
    }

    /// Section 8.6.14.
    fn make_blocking(&mut self, id: PortKey) {
        let Some(port) = self.port_mut(id) else { return };
        if matches!(port.state, PortState::Disabled | PortState::Blocking) {
            return;
        }
        port.forward_delay.stop();
        let was_active = matches!(port.state, PortState::Forwarding | PortState::Learning);
        self.set_state(id, PortState::Blocking);
        if was_active {
            self.topology_change_detection();
        }
    }

    /// Section 8.6.15.
    fn topology_change_detection(&mut self) {
        if self.is_root() {
            self.set_topology_change(true);
            self.topology_change_timer.start(0);
        } else if !self.topology_change_detected {
            self.transmit_tcn();
            self.tcn.start(0);
        }
        self.topology_change_detected = true;
        self.flush();
    }

    /// Section 8.6.16.
    fn topology_change_acknowledged(&mut self) {
        self.topology_change_detected = false;
        self.tcn.stop();
    }

    fn set_topology_change(&mut self, is_changing: bool) {
        if self.topology_change != is_changing {
            self.topology_change = is_changing;
            let secs = is_changing.then_some(self.times.forward_delay / 1000);
            self.actions.push(Action::Aging { secs });
            if is_changing {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        if !self.actions.contains(&Action::FlushBridge) {
            self.actions.push(Action::FlushBridge);
        }
    }

    /// Section 8.7.1.
    fn received_config_bpdu(&mut self, id: PortKey, heard: &Heard) {
        let own = self.settings.identifier;
        let Some(port) = self.port(id) else { return };
        if heard.info.bridge == own && heard.info.port == port.identifier {
            self.heard_itself(id);
            return;
        }
        if !self.supersedes_port_info(port, &heard.info) {
            if port.is_designated(own) {
                self.transmit_config(id);
            }
            return;
        }
        let was_root = self.is_root();
        self.record_config_information(id, &heard.info);
        self.configuration_update();
        self.port_state_selection();
        if was_root && !self.is_root() {
            self.abdicate();
        }
        if self.root_port == Some(id) {
            self.times = Times::of_root(&heard.info);
            self.set_topology_change(heard.topology_change);
            self.config_bpdu_generation();
            if heard.topology_change_ack {
                self.topology_change_acknowledged();
            }
        }
    }

    fn heard_itself(&mut self, id: PortKey) {
        if let Some(port) = self.port_mut(id) {
            port.looped.start(0);
        }
        self.port_state_selection();
    }

    /// Section 8.7.2.
    fn received_tcn_bpdu(&mut self, id: PortKey) {
        let own = self.settings.identifier;
        if self.port(id).is_some_and(|port| port.is_designated(own)) {
            self.topology_change_detection();
            if let Some(port) = self.port_mut(id) {
                port.owes_ack = true;
            }
            self.transmit_config(id);
        }
    }

    /// Lets at most [`STEP_MAX_MS`] pass.
    fn step(&mut self, ms: u32) {
        self.now_ms += u64::from(ms);
        // Section 8.7.3.
        if self.hello.advance(ms, self.times.hello) {
            self.config_bpdu_generation();
            self.hello.start(0);
        }
        // Section 8.7.6.
        if self.tcn.advance(ms, u32::from(self.settings.hello_time_secs) * 1000) {
            self.transmit_tcn();
            self.tcn.start(0);
        }
        // Section 8.7.7.
        let own = Times::of_settings(&self.settings);
        if self.topology_change_timer.advance(ms, own.max_age + own.forward_delay) {
            self.topology_change_detected = false;
            self.set_topology_change(false);
        }
        for id in self.ids() {
            self.step_port(id, ms);
        }
    }

    fn step_port(&mut self, id: PortKey, ms: u32) {
        let Times { max_age, forward_delay, .. } = self.times;
        let Some(port) = self.port_mut(id) else { return };
        let is_mute = port.message_age.advance(ms, max_age);
        let is_due = port.forward_delay.advance(ms, forward_delay);
        let may_send = port.hold.advance(ms, HOLD_TIME_MS) && port.config_pending;
        let is_straight = port.looped.advance(ms, max_age);
        if is_mute {
            // Section 8.7.4.
            let was_root = self.is_root();
            self.become_designated_port(id);
            self.update(was_root);
        }
        if is_due {
            self.forward_delay_timer_expiry(id);
        }
        if may_send {
            self.transmit_config(id);
        }
        if is_straight {
            self.port_state_selection();
        }
    }

    /// Section 8.7.5, but a bridge that leads no LAN notifies, too: its internal ports take no part
    /// in the tree, and the stations behind them moved.
    fn forward_delay_timer_expiry(&mut self, id: PortKey) {
        let Some(port) = self.port_mut(id) else { return };
        match port.state {
            PortState::Listening => {
                port.forward_delay.start(0);
                self.set_state(id, PortState::Learning);
            }
            PortState::Learning => {
                self.set_state(id, PortState::Forwarding);
                self.topology_change_detection();
            }
            PortState::Disabled | PortState::Blocking | PortState::Forwarding => {}
        }
    }
}

impl SpanningTree for Stp {
    fn receive(&mut self, id: PortKey, frame: &[u8]) {
        let Some(port) = self.port_mut(id) else { return };
        if port.state == PortState::Disabled {
            return;
        }
        match Bpdu::parse_frame(frame) {
            Ok((_, Bpdu::Config { info, topology_change, topology_change_ack })) => {
                port.counts.rx += 1;
                let heard = Heard { info, topology_change, topology_change_ack };
                self.received_config_bpdu(id, &heard);
            }
            Ok((_, Bpdu::TopologyChange)) => {
                port.counts.rx += 1;
                self.received_tcn_bpdu(id);
            }
            // A bridge that speaks RSTP falls back when it hears us.
            Ok((_, Bpdu::Rst { .. })) | Err(_) => port.counts.error += 1,
        }
    }

    fn tick(&mut self, elapsed_ms: u32) {
        let mut left = elapsed_ms.min(TICK_MAX_MS);
        while left > 0 {
            let ms = left.min(STEP_MAX_MS);
            self.step(ms);
            left -= ms;
        }
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
        let from = port.state.name();
        if port.state != PortState::Disabled {
            self.disable_port(id);
        }
        self.ports.retain(|port| port.id != id);
        self.actions.retain(|action| {
            !matches!(action, Action::State { port, .. } | Action::Send { port, .. } if *port == id)
        });
        let to = PortState::Forwarding.name();
        self.actions.push(Action::State { port: id, gate: Gate::OPEN, from, to });
    }

    fn gate(&self, id: PortKey) -> Gate {
        self.port(id).map_or(Gate::OPEN, |port| port.state.gate())
    }

    fn force_topology_change(&mut self) {
        self.topology_change_detection();
    }

    fn show(&self) -> String {
        self.show_text()
    }

    fn bridge_status(&self) -> Vec<(&'static str, String)> {
        self.bridge_map()
    }

    fn port_status(&self, port: PortKey) -> Vec<(&'static str, String)> {
        self.port_map(port)
    }

    fn port_statistics(&self, port: PortKey) -> Vec<(&'static str, u64)> {
        self.count_map(port)
    }
}
