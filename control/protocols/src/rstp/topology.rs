//! The topology change machine, 802.1D-2004 section 17.31: who must forget what it learned.

use super::port::{Port, Times, Topology};
use super::transitions::{Step, TreeEffect};
use crate::tree::PortRole;

impl Port {
    /// One step.  `root_times` are those of the root.
    pub(super) fn topology_change(&mut self, root_times: Times) -> Step {
        let is_told = self.rcvd_tc || self.rcvd_tcn || self.rcvd_tc_ack || self.tc_prop;
        let is_active = self.role.is_active();
        match self.topology {
            Topology::Inactive if self.learn && !self.fdb_flush => self.topology_learning(),
            Topology::Learning if is_active && self.forward && !self.oper_edge => {
                // DETECTED.
                self.topology = Topology::Active;
                self.new_tc_while(root_times);
                self.new_info = true;
                return Step::Asks(TreeEffect::PropagateTopologyChange);
            }
            Topology::Learning if is_told => self.topology_learning(),
            Topology::Learning if !is_active && !self.learn && !self.learning => {
                self.topology = Topology::Inactive;
                self.fdb_flush = true;
                self.timers.topology_change = 0;
                self.tc_ack = false;
            }
            Topology::Active if !is_active || self.oper_edge => self.topology_learning(),
            Topology::Active if self.rcvd_tcn || self.rcvd_tc => {
                if self.rcvd_tcn {
                    // NOTIFIED_TCN.
                    self.new_tc_while(root_times);
                }
                // NOTIFIED_TC.
                self.rcvd_tcn = false;
                self.rcvd_tc = false;
                self.tc_ack |= self.role == PortRole::Designated;
                return Step::Asks(TreeEffect::PropagateTopologyChange);
            }
            Topology::Active if self.tc_prop => {
                // PROPAGATING.
                self.new_tc_while(root_times);
                self.fdb_flush = true;
                self.tc_prop = false;
            }
            Topology::Active if self.rcvd_tc_ack => {
                // ACKNOWLEDGED.
                self.timers.topology_change = 0;
                self.rcvd_tc_ack = false;
            }
            _ => return Step::Idle,
        }
        Step::Changed
    }

    fn topology_learning(&mut self) {
        self.topology = Topology::Learning;
        self.rcvd_tc = false;
        self.rcvd_tcn = false;
        self.rcvd_tc_ack = false;
        self.tc_prop = false;
    }

    /// Section 17.21.7.
    fn new_tc_while(&mut self, root_times: Times) {
        if self.timers.topology_change != 0 {
            return;
        }
        if self.send_rstp {
            self.timers.topology_change = root_times.hello + 1;
            self.new_info = true;
        } else {
            self.timers.topology_change = root_times.max_age + root_times.forward_delay;
        }
    }
}
