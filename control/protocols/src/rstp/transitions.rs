//! The port role transitions machine and the port state transition machine, 802.1D-2004 sections
//! 17.29 and 17.30.

use super::bridge::Rstp;
use super::port::Port;
use crate::tree::PortRole;

/// What a step of one port asks of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeEffect {
    /// `setSyncTree`: all ports are to get in step with new information.
    Sync,
    /// `setReRootTree`: all ports that were on the way to the old root are to stop.
    ReRoot,
    /// `setTcPropTree`: all other ports are to pass the topology change on.
    PropagateTopologyChange,
}

/// What a step of one machine did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    Changed,
    Asks(TreeEffect),
}

/// What the other ports are like.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    /// `allSynced`, section 17.20.3.
    all_synced: bool,
    /// `reRooted`, section 17.20.10.
    re_rooted: bool,
}

impl Rstp {
    /// One step of the role transitions of the port at `index`.
    pub(super) fn port_role_transitions(&mut self, index: usize) -> Step {
        let is_rstp = !self.settings.force_stp;
        let others = self.others(index);
        let Some(port) = self.ports.get_mut(index) else { return Step::Idle };
        if !port.selected || port.updt_info {
            return Step::Idle;
        }
        if port.role != port.selected_role {
            return port.change_role();
        }
        match port.role {
            PortRole::Disabled => port.disabled_port(),
            PortRole::Root => port.root_port(others, is_rstp),
            PortRole::Designated => port.designated_port(),
            PortRole::Alternate | PortRole::Backup => port.alternate_port(others),
        }
    }

    /// Looks at all ports only for a port that wants to know.
    fn others(&self, index: usize) -> Others {
        let Some(port) = self.ports.get(index) else { return Others::default() };
        let asks_root = port.role == PortRole::Root;
        let asks_synced = !port.agree && !matches!(port.role, PortRole::Designated);
        Others {
            all_synced: asks_synced && self.all_synced(),
            re_rooted: asks_root
                && self.ports.iter().all(|p| p.id == port.id || p.timers.recent_root == 0),
        }
    }

    fn all_synced(&self) -> bool {
        self.ports.iter().all(|port| {
            port.selected
                && port.role == port.selected_role
                && (port.synced || port.role == PortRole::Root)
        })
    }
}

impl Port {
    fn change_role(&mut self) -> Step {
        self.role = self.selected_role;
        match self.role {
            PortRole::Root => self.timers.recent_root = self.designated_times.forward_delay,
            PortRole::Designated => {}
            // DISABLE_PORT, BLOCK_PORT.
            PortRole::Disabled | PortRole::Alternate | PortRole::Backup => {
                self.learn = false;
                self.forward = false;
            }
        }
        Step::Changed
    }

    /// `DISABLED_PORT`.
    fn disabled_port(&mut self) -> Step {
        let max_age = self.designated_times.max_age;
        self.rest(max_age)
    }

    /// What `DISABLED_PORT` and `ALTERNATE_PORT` keep: nothing to do, in step with everything.
    fn rest(&mut self, forward_delay: u16) -> Step {
        if self.learning || self.forwarding {
            return Step::Idle;
        }
        let is_at_rest = self.timers.forward_delay == forward_delay
            && self.synced
            && !self.sync
            && !self.re_root
            && self.timers.recent_root == 0;
        self.timers.forward_delay = forward_delay;
        self.synced = true;
        self.timers.recent_root = 0;
        self.sync = false;
        self.re_root = false;
        if is_at_rest { Step::Idle } else { Step::Changed }
    }

    fn root_port(&mut self, others: Others, is_rstp: bool) -> Step {
        let forward_delay = self.designated_times.forward_delay;
        let may_advance = self.timers.forward_delay == 0
            || others.re_rooted && self.timers.recent_backup == 0 && is_rstp;
        if self.proposed && !self.agree {
            // ROOT_PROPOSED.
            self.proposed = false;
            return Step::Asks(TreeEffect::Sync);
        }
        if others.all_synced && !self.agree || self.proposed && self.agree {
            // ROOT_AGREED.
            self.proposed = false;
            self.sync = false;
            self.agree = true;
            self.new_info = true;
        } else if !self.forward && !self.re_root {
            // REROOT.
            return Step::Asks(TreeEffect::ReRoot);
        } else if self.timers.recent_root != forward_delay {
            // ROOT_PORT.
            self.timers.recent_root = forward_delay;
        } else if may_advance && !self.learn {
            // ROOT_LEARN.
            self.timers.forward_delay = self.forward_delay_secs();
            self.learn = true;
        } else if may_advance && self.learn && !self.forward {
            // ROOT_FORWARD.
            self.timers.forward_delay = 0;
            self.forward = true;
        } else if self.re_root && self.forward {
            // REROOTED.
            self.re_root = false;
        } else {
            return Step::Idle;
        }
        Step::Changed
    }

    fn designated_port(&mut self) -> Step {
        let may_advance = (self.timers.forward_delay == 0 || self.agreed || self.oper_edge)
            && (self.timers.recent_root == 0 || !self.re_root)
            && !self.sync
            && !self.is_looped();
        let must_stop = (self.sync && !self.synced
            || self.re_root && self.timers.recent_root != 0
            || self.disputed)
            && !self.oper_edge
            || self.is_looped();
        let is_in_step = !self.learning && !self.forwarding || self.agreed || self.oper_edge;
        if !self.forward && !self.agreed && !self.proposing && !self.oper_edge {
            // DESIGNATED_PROPOSE.
            self.proposing = true;
            self.timers.edge_delay = self.edge_delay_secs();
            self.new_info = true;
        } else if is_in_step && !self.synced || self.sync && self.synced {
            // DESIGNATED_SYNCED.
            self.timers.recent_root = 0;
            self.synced = true;
            self.sync = false;
        } else if self.timers.recent_root == 0 && self.re_root {
            // DESIGNATED_RETIRED.
            self.re_root = false;
        } else if must_stop && (self.learn || self.forward) {
            // DESIGNATED_DISCARD.
            self.learn = false;
            self.forward = false;
            self.disputed = false;
            self.timers.forward_delay = self.forward_delay_secs();
        } else if may_advance && !self.learn {
            // DESIGNATED_LEARN.
            self.learn = true;
            self.timers.forward_delay = self.forward_delay_secs();
        } else if may_advance && self.learn && !self.forward {
            // DESIGNATED_FORWARD.
            self.forward = true;
            self.timers.forward_delay = 0;
            self.agreed = self.send_rstp;
        } else {
            return Step::Idle;
        }
        Step::Changed
    }

    fn alternate_port(&mut self, others: Others) -> Step {
        if self.learning || self.forwarding {
            return Step::Idle;
        }
        if self.proposed && !self.agree {
            // ALTERNATE_PROPOSED.
            self.proposed = false;
            return Step::Asks(TreeEffect::Sync);
        }
        if others.all_synced && !self.agree || self.proposed && self.agree {
            // ALTERNATE_AGREED.
            self.proposed = false;
            self.agree = true;
            self.new_info = true;
            return Step::Changed;
        }
        // BACKUP_PORT.
        let recent = 2 * self.designated_times.hello;
        if self.role == PortRole::Backup && self.timers.recent_backup != recent {
            self.timers.recent_backup = recent;
            return Step::Changed;
        }
        // ALTERNATE_PORT.
        let forward_delay = self.forward_delay_secs();
        self.rest(forward_delay)
    }

    /// Section 17.20.4.
    const fn edge_delay_secs(&self) -> u16 {
        if self.settings.point_to_point {
            super::port::MIGRATE_TIME_SECS
        } else {
            self.designated_times.max_age
        }
    }

    /// One step of the port state transition machine.
    pub(super) fn port_state_transition(&mut self) -> bool {
        let wanted = (self.learn, self.learn && self.forward);
        let is_there = wanted == (self.learning, self.forwarding);
        (self.learning, self.forwarding) = wanted;
        !is_there
    }
}
