//! The port information machine, 802.1D-2004 section 17.27: what a BPDU means for its port.

use super::port::{InfoIs, Port, Times};
use crate::tree::Claim;
use weft_wire::stp::{Bpdu, SenderRole};

/// `rcvInfo`'s answers, section 17.21.8.
enum Received {
    SuperiorDesignated,
    RepeatedDesignated,
    InferiorDesignated,
    InferiorRootOrAlternate,
    Other,
}

impl Port {
    /// One step.  True when something changed.
    pub(super) fn port_information(&mut self) -> bool {
        if !self.enabled {
            return self.information_disabled();
        }
        match self.info_is {
            InfoIs::Disabled => self.information_aged(),
            _ if self.selected && self.updt_info => self.information_update(),
            InfoIs::Aged => return false,
            InfoIs::Received
                if self.timers.received_info == 0 && !self.updt_info && self.message.is_none() =>
            {
                self.information_aged();
            }
            _ if self.updt_info => return false,
            _ => match self.message.take() {
                Some(message) => self.information_receive(&message),
                None => return false,
            },
        }
        true
    }

    fn information_disabled(&mut self) -> bool {
        let had_message = self.message.take().is_some();
        if self.info_is == InfoIs::Disabled {
            return had_message;
        }
        self.proposing = false;
        self.proposed = false;
        self.agree = false;
        self.agreed = false;
        self.timers.received_info = 0;
        self.info_is = InfoIs::Disabled;
        self.reselect = true;
        self.selected = false;
        true
    }

    fn information_aged(&mut self) {
        self.info_is = InfoIs::Aged;
        self.reselect = true;
        self.selected = false;
    }

    fn information_update(&mut self) {
        self.proposing = false;
        self.proposed = false;
        // betterorsameInfo(Mine).
        self.agreed &=
            self.info_is == InfoIs::Mine && self.designated_priority <= self.priority_vector;
        self.synced &= self.agreed;
        self.priority_vector = self.designated_priority;
        self.times = self.designated_times;
        self.updt_info = false;
        self.info_is = InfoIs::Mine;
        self.new_info = true;
    }

    fn information_receive(&mut self, message: &Bpdu) {
        match self.rcv_info(message) {
            Received::SuperiorDesignated => self.superior_designated(message),
            Received::RepeatedDesignated => {
                self.record_proposal(message);
                self.set_tc_flags(message);
                self.updt_rcvd_info_while();
            }
            Received::InferiorDesignated => self.record_dispute(message),
            Received::InferiorRootOrAlternate => {
                self.record_agreement(message);
                self.set_tc_flags(message);
            }
            Received::Other => self.set_tc_flags(message),
        }
    }

    fn superior_designated(&mut self, message: &Bpdu) {
        let Some((claim, times)) = vector_of(message) else { return };
        self.agreed = false;
        self.proposing = false;
        self.record_proposal(message);
        self.set_tc_flags(message);
        // betterorsameInfo(Received).
        self.agree &= self.info_is == InfoIs::Received && claim <= self.priority_vector;
        self.priority_vector = claim;
        self.times = times;
        self.updt_rcvd_info_while();
        self.info_is = InfoIs::Received;
        self.reselect = true;
        self.selected = false;
    }

    /// Section 17.21.8.
    fn rcv_info(&self, message: &Bpdu) -> Received {
        let Some((claim, times)) = vector_of(message) else { return Received::Other };
        let own = self.priority_vector;
        match role_of(message) {
            SenderRole::Designated => {
                let is_same = claim == own;
                if is_same && times == self.times && self.info_is == InfoIs::Received {
                    Received::RepeatedDesignated
                } else if is_superior(claim, own) || is_same && times != self.times {
                    Received::SuperiorDesignated
                } else if claim > own {
                    Received::InferiorDesignated
                } else {
                    Received::Other
                }
            }
            SenderRole::Root | SenderRole::AlternateOrBackup if claim >= own => {
                Received::InferiorRootOrAlternate
            }
            _ => Received::Other,
        }
    }

    /// Section 17.21.9.
    fn record_agreement(&mut self, message: &Bpdu) {
        let agrees = matches!(message, Bpdu::Rst { flags, .. } if flags.agreement);
        self.agreed = agrees && self.settings.point_to_point;
        if self.agreed {
            self.proposing = false;
        }
    }

    /// Section 17.21.10, as 802.1Q corrects it: a neighbour that holds worse information than
    /// ours and learns all the same does not hear us, so we must not forward.
    fn record_dispute(&mut self, message: &Bpdu) {
        if matches!(message, Bpdu::Rst { flags, .. } if flags.learning) {
            self.disputed = true;
            self.agreed = false;
        }
    }

    /// Section 17.21.11.
    fn record_proposal(&mut self, message: &Bpdu) {
        if matches!(message, Bpdu::Rst { flags, .. } if flags.proposal) {
            self.proposed = true;
        }
    }

    /// Section 17.21.17.
    fn set_tc_flags(&mut self, message: &Bpdu) {
        match message {
            Bpdu::Config { topology_change, topology_change_ack, .. } => {
                self.rcvd_tc |= topology_change;
                self.rcvd_tc_ack |= topology_change_ack;
            }
            Bpdu::TopologyChange => self.rcvd_tcn = true,
            Bpdu::Rst { flags, .. } => self.rcvd_tc |= flags.topology_change,
        }
    }

    /// Section 17.21.23.
    fn updt_rcvd_info_while(&mut self) {
        let age = self.times.message_age + 1;
        let is_good = age <= self.times.max_age;
        self.timers.received_info = if is_good { 3 * self.times.hello } else { 0 };
    }
}

fn vector_of(message: &Bpdu) -> Option<(Claim, Times)> {
    match message {
        Bpdu::Config { info, .. } | Bpdu::Rst { info, .. } => {
            Some((Claim::of(info), Times::of(info)))
        }
        Bpdu::TopologyChange => None,
    }
}

/// The role that the sender's port plays; section 9.2.9 takes one that does not say for
/// designated.
fn role_of(message: &Bpdu) -> SenderRole {
    match message {
        Bpdu::Rst { flags, .. } if flags.role != SenderRole::Unknown => flags.role,
        _ => SenderRole::Designated,
    }
}

/// Section 17.6: better, or from the bridge and port that the port hears already and not the same.
fn is_superior(heard: Claim, own: Claim) -> bool {
    let number = |claim: Claim| (claim.bridge.address(), claim.port.0 & 0x0fff);
    heard < own || heard != own && number(heard) == number(own)
}
