//! Which protocol a neighbour speaks, whether there is one, and what is sent to it: 802.1D-2004
//! sections 17.24 to 17.26.

use super::bridge::Rstp;
use super::port::{HELLO_TIME_SECS, MIGRATE_TIME_SECS, Port};
use crate::tree::{Action, PortRole, send};
use weft_wire::stp::{Bpdu, BpduInfo, RstFlags, SenderRole};

/// The states of the port protocol migration machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Migration {
    CheckingRstp,
    SelectingStp,
    Sensing,
}

impl Port {
    /// One step of the port protocol migration machine, section 17.24.
    pub(super) fn protocol_migration(&mut self, is_rstp: bool) -> bool {
        let is_over = self.timers.migration == 0;
        match self.migration {
            Migration::CheckingRstp if !self.enabled => {
                if self.timers.migration == MIGRATE_TIME_SECS {
                    return false;
                }
                self.check_rstp(is_rstp);
            }
            Migration::CheckingRstp if is_over => self.sense(),
            Migration::SelectingStp if is_over || !self.enabled || self.mcheck => self.sense(),
            Migration::Sensing
                if !self.enabled || self.mcheck || is_rstp && !self.send_rstp && self.rcvd_rstp =>
            {
                self.check_rstp(is_rstp);
            }
            Migration::Sensing if self.send_rstp && self.rcvd_stp => {
                self.migration = Migration::SelectingStp;
                self.send_rstp = false;
                self.timers.migration = MIGRATE_TIME_SECS;
            }
            _ => return false,
        }
        true
    }

    fn check_rstp(&mut self, is_rstp: bool) {
        self.migration = Migration::CheckingRstp;
        self.mcheck = false;
        self.send_rstp = is_rstp;
        self.timers.migration = MIGRATE_TIME_SECS;
    }

    fn sense(&mut self) {
        self.migration = Migration::Sensing;
        self.rcvd_rstp = false;
        self.rcvd_stp = false;
    }

    /// One step of the bridge detection machine, section 17.25.
    pub(super) fn bridge_detection(&mut self) -> bool {
        let is_edge = if self.oper_edge {
            self.enabled || self.settings.admin_edge
        } else {
            let is_quiet = self.timers.edge_delay == 0
                && self.settings.auto_edge
                && self.send_rstp
                && self.proposing
                && !self.is_looped();
            !self.enabled && self.settings.admin_edge || self.enabled && is_quiet
        };
        let changed = is_edge != self.oper_edge;
        self.oper_edge = is_edge;
        changed
    }

    /// The fields that all BPDUs of this port have: what it would claim as designated port.
    fn info(&self) -> BpduInfo {
        let claim = self.designated_priority;
        let [message_age, max_age, hello_time, forward_delay] = self.designated_times.wire();
        BpduInfo {
            root: claim.root,
            root_path_cost: claim.cost,
            bridge: claim.bridge,
            port: claim.port,
            message_age,
            max_age,
            hello_time,
            forward_delay,
        }
    }

    /// `txRstp`, `txConfig` or `txTcn`; none for a port that has nothing to say in STP.
    fn bpdu(&self) -> Option<Bpdu> {
        let topology_change = self.timers.topology_change != 0;
        if self.send_rstp {
            let flags = RstFlags {
                topology_change,
                proposal: self.proposing,
                role: match self.role {
                    PortRole::Root => SenderRole::Root,
                    PortRole::Designated => SenderRole::Designated,
                    PortRole::Alternate | PortRole::Backup => SenderRole::AlternateOrBackup,
                    PortRole::Disabled => return None,
                },
                learning: self.learning,
                forwarding: self.forwarding,
                agreement: self.agree,
            };
            return Some(Bpdu::Rst { info: self.info(), flags });
        }
        match self.role {
            PortRole::Designated => Some(Bpdu::Config {
                info: self.info(),
                topology_change,
                topology_change_ack: self.tc_ack,
            }),
            PortRole::Root => Some(Bpdu::TopologyChange),
            PortRole::Alternate | PortRole::Backup | PortRole::Disabled => None,
        }
    }
}

impl Rstp {
    /// The port transmit machine, section 17.26, for the port at `index`, until it is idle.
    pub(super) fn port_transmit(&mut self, index: usize) {
        let hold_count = self.settings.transmit_hold_count;
        let Some(port) = self.ports.get_mut(index) else { return };
        if !port.enabled {
            // TRANSMIT_INIT.
            port.new_info = true;
            port.tx_count = 0;
            port.timers.hello = HELLO_TIME_SECS;
            return;
        }
        if !port.selected || port.updt_info {
            return;
        }
        if port.timers.hello == 0 {
            // TRANSMIT_PERIODIC.
            let repeats_change = port.role == PortRole::Root && port.timers.topology_change != 0;
            port.new_info |= port.role == PortRole::Designated || repeats_change;
            port.timers.hello = HELLO_TIME_SECS;
        }
        if !port.new_info || port.tx_count >= hold_count {
            return;
        }
        let Some(bpdu) = port.bpdu() else { return };
        port.new_info = false;
        port.tx_count += 1;
        port.tc_ack &= matches!(bpdu, Bpdu::TopologyChange);
        port.timers.hello = HELLO_TIME_SECS;
        port.counts.tx += 1;
        let action: Action = send(port.id, port.settings.source, &bpdu);
        self.actions.push(action);
    }
}
