//! What a bridge says of its tree.

use super::bridge::Rstp;
use super::port::{Port, Times};
use crate::tree::{BridgeStatus, PortStatus, TreeTimes};

impl From<Times> for TreeTimes {
    fn from(times: Times) -> Self {
        Self {
            hello_secs: times.hello.into(),
            max_age_secs: times.max_age.into(),
            forward_delay_secs: times.forward_delay.into(),
        }
    }
}

impl Rstp {
    pub(super) fn status(&self) -> BridgeStatus {
        let path = &self.root_path;
        BridgeStatus {
            identifier: self.settings.identifier,
            own_times: self.bridge_times().into(),
            root: path.vector.root,
            root_times: path.times.into(),
            root_path_cost: path.vector.cost,
            root_port: path.port,
            designated_bridge: path.vector.bridge,
            designated_port: path.vector.port,
        }
    }
}

impl Port {
    pub(super) const fn status(&self) -> PortStatus {
        let claim = self.priority_vector;
        PortStatus {
            identifier: self.identifier,
            number: self.settings.number,
            priority: self.settings.priority,
            path_cost: self.settings.path_cost,
            role: self.role,
            state: self.state(),
            is_edge: self.oper_edge,
            secs_in_state: None,
            designated_bridge: claim.bridge,
            designated_port: claim.port,
            designated_cost: claim.cost,
        }
    }
}
