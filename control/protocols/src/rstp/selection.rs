//! The port role selection machine, 802.1D-2004 section 17.28: `updtRolesTree` and its like.

use super::bridge::Rstp;
use super::port::{InfoIs, Times};
use crate::PortKey;
use crate::tree::{Claim, PortRole};
use weft_wire::stp::PortIdentifier;

/// The best way to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RootPath {
    pub(super) vector: Claim,
    pub(super) times: Times,
    /// The port, and its identifier; none at the root.
    pub(super) port: Option<(PortKey, PortIdentifier)>,
}

impl Rstp {
    /// One step.  True when something changed.
    pub(super) fn port_role_selection(&mut self) -> bool {
        if !self.ports.iter().any(|port| port.reselect) {
            return false;
        }
        for port in &mut self.ports {
            port.reselect = false;
        }
        self.updt_roles_tree();
        for port in &mut self.ports {
            port.selected = true;
        }
        true
    }

    /// Section 17.21.25 a) to c).
    fn best_path(&self) -> RootPath {
        let own = self.settings.identifier;
        let vector = Claim { root: own, cost: 0, bridge: own, port: PortIdentifier(0) };
        let here = RootPath { vector, times: self.bridge_times(), port: None };
        self.ports
            .iter()
            .filter(|port| port.info_is == InfoIs::Received && port.is_led_by_other(own))
            .map(|port| {
                let cost = port.priority_vector.cost.saturating_add(port.settings.path_cost);
                let vector = Claim { cost, ..port.priority_vector };
                let message_age = port.times.message_age.saturating_add(1);
                let times = Times { message_age, ..port.times };
                RootPath { vector, times, port: Some((port.id, port.identifier)) }
            })
            .filter(|path| path.vector < here.vector)
            .min_by_key(|path| (path.vector, path.port.map(|(_, identifier)| identifier)))
            .unwrap_or(here)
    }

    /// Section 17.21.25.
    fn updt_roles_tree(&mut self) {
        let own = self.settings.identifier;
        let best = self.best_path();
        let hello = self.bridge_times().hello;
        self.root_path = best;
        for port in &mut self.ports {
            let vector = best.vector;
            port.designated_priority = Claim { bridge: own, port: port.identifier, ..vector };
            port.designated_times = Times { hello, ..best.times };
            let is_led_by_us = port.priority_vector.bridge.address() == own.address();
            let differs = port.priority_vector != port.designated_priority
                || port.times != port.designated_times;
            let is_root = best.port.is_some_and(|(id, _)| id == port.id);
            let is_better = port.designated_priority < port.priority_vector;
            (port.selected_role, port.updt_info) = match port.info_is {
                InfoIs::Disabled => (PortRole::Disabled, false),
                InfoIs::Aged => (PortRole::Designated, true),
                InfoIs::Mine => (PortRole::Designated, differs),
                InfoIs::Received if is_root => (PortRole::Root, false),
                InfoIs::Received if is_better => (PortRole::Designated, true),
                InfoIs::Received if is_led_by_us => (PortRole::Backup, false),
                InfoIs::Received => (PortRole::Alternate, false),
            };
        }
    }
}
