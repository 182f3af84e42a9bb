//! What BPDUs and timers cause: 802.1D-1998 section 8.7.

use super::bridge::{Stp, Times};
use crate::PortKey;
use crate::tree::{PortState, TICK_MAX_MS};
use weft_wire::stp::{Bpdu, BpduInfo};

/// Least time between two Config BPDUs on one port; 802.1D-1998 table 8-3.
const HOLD_TIME_MS: u32 = 1000;

/// How many milliseconds one step of virtual time has at most.
const STEP_MAX_MS: u32 = 250;

/// A Config BPDU that arrived.
struct Heard {
    info: BpduInfo,
    topology_change: bool,
    topology_change_ack: bool,
}

impl Stp {
    /// Takes a frame that may be a BPDU.
    pub(super) fn received(&mut self, id: PortKey, frame: &[u8]) {
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

    /// Lets time pass, in steps.
    pub(super) fn pass_time(&mut self, elapsed_ms: u32) {
        let mut left = elapsed_ms.min(TICK_MAX_MS);
        while left > 0 {
            let ms = left.min(STEP_MAX_MS);
            self.step(ms);
            left -= ms;
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
            _ => {}
        }
    }
}
