//! The procedures of 802.1D-1998 section 8.6.

use super::bridge::Stp;
use super::port::Port;
use crate::PortKey;
use crate::tree::{Action, Claim, PortState, send};
use weft_wire::stp::{Bpdu, BpduInfo, WireTime};

/// What a bridge adds to the age of what it passes on; 802.1D-1998 table 8-2.
const MESSAGE_AGE_INCREMENT_MS: u32 = 1000;

impl Stp {
    /// Section 8.6.1.
    pub(super) fn transmit_config(&mut self, id: PortKey) {
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

    /// Section 8.6.2: what was heard is better than what the port holds, or as good and from the same
    /// bridge and port.
    pub(super) fn supersedes_port_info(&self, port: &Port, info: &BpduInfo) -> bool {
        let heard = Claim::of(info);
        let recorded = port.claim;
        let by_bridge = |claim: Claim| (claim.root, claim.cost, claim.bridge);
        by_bridge(heard) < by_bridge(recorded)
            || by_bridge(heard) == by_bridge(recorded)
                && (heard.bridge != self.settings.identifier || heard.port <= recorded.port)
    }

    /// Section 8.6.3, the record, and 8.6.4, its timers.
    pub(super) fn record_config_information(&mut self, id: PortKey, info: &BpduInfo) {
        if let Some(port) = self.port_mut(id) {
            port.claim = Claim::of(info);
            port.message_age.start(info.message_age.ms());
        }
    }

    /// Section 8.6.5.
    pub(super) fn config_bpdu_generation(&mut self) {
        let own = self.settings.identifier;
        for id in self.ids() {
            if self.port(id).is_some_and(|port| port.is_designated(own)) {
                self.transmit_config(id);
            }
        }
    }

    /// Section 8.6.7.
    pub(super) fn transmit_tcn(&mut self) {
        let Some(id) = self.root_port else { return };
        let Some(port) = self.port_mut(id) else { return };
        port.counts.tx += 1;
        let frame = send(id, port.settings.source, &Bpdu::TopologyChange);
        self.actions.push(frame);
    }

    /// Section 8.6.8.
    pub(super) fn configuration_update(&mut self) {
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
    pub(super) fn become_designated_port(&mut self, id: PortKey) {
        let Some(port) = self.port(id) else { return };
        let claim = self.own_claim(port.identifier);
        if let Some(port) = self.port_mut(id) {
            port.claim = claim;
        }
    }

    /// Section 8.6.12; a port that hears itself blocks.
    pub(super) fn port_state_selection(&mut self) {
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
    pub(super) fn topology_change_detection(&mut self) {
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
    pub(super) fn topology_change_acknowledged(&mut self) {
        self.topology_change_detected = false;
        self.tcn.stop();
    }

    pub(super) fn set_topology_change(&mut self, is_changing: bool) {
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
}
