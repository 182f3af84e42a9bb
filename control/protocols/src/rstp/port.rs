//! The variables of a port, 802.1D-2004 section 17.19.

use super::RstpPortSettings;
use super::transmit::Migration;
use crate::PortKey;
use crate::tree::{Claim, PortCounts, PortRole, PortState};
use weft_wire::stp::{Bpdu, BpduInfo, BridgeIdentifier, PortIdentifier, WireTime};

/// Seconds for which a port tries out a protocol, or waits for a BPDU before it is an edge port;
/// 802.1D-2004 table 17-1.
pub(super) const MIGRATE_TIME_SECS: u16 = 3;
/// Seconds between BPDUs; 802.1D-2004 table 17-1.
pub(super) const HELLO_TIME_SECS: u16 = 2;

/// `infoIs`: where the port's priority vector comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InfoIs {
    Disabled,
    Aged,
    Mine,
    Received,
}

/// Timer values that travel with a priority vector, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) message_age: u16,
    pub(super) max_age: u16,
    pub(super) hello: u16,
    pub(super) forward_delay: u16,
}

impl Times {
    /// Those of a BPDU, kept in the ranges of 802.1D-2004 table 17-1: a root that announces a
    /// forward delay of 0 must not talk us into a loop.
    pub(super) fn of(info: &BpduInfo) -> Self {
        Self {
            message_age: info.message_age.secs_rounded(),
            max_age: info.max_age.secs_rounded().clamp(6, 40),
            hello: info.hello_time.secs_rounded().clamp(1, 10),
            forward_delay: info.forward_delay.secs_rounded().clamp(4, 30),
        }
    }

    /// As BPDUs carry them: message age, max age, hello time, forward delay.
    pub(super) fn wire(self) -> [WireTime; 4] {
        [self.message_age, self.max_age, self.hello, self.forward_delay]
            .map(|secs| WireTime::from_secs(u8::try_from(secs).unwrap_or(u8::MAX)))
    }
}

/// `TCM`'s states that last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    Inactive,
    Learning,
    Active,
}

/// The timers of section 17.17, in seconds left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    pub(super) edge_delay: u16,
    pub(super) forward_delay: u16,
    pub(super) hello: u16,
    pub(super) migration: u16,
    pub(super) recent_backup: u16,
    pub(super) received_info: u16,
    pub(super) recent_root: u16,
    pub(super) topology_change: u16,
    /// Ours: runs while the port hears itself.
    pub(super) looped: u16,
}

impl Timers {
    /// One second passes.
    pub(super) fn tick(&mut self) {
        for timer in [
            &mut self.edge_delay,
            &mut self.forward_delay,
            &mut self.hello,
            &mut self.migration,
            &mut self.recent_backup,
            &mut self.received_info,
            &mut self.recent_root,
            &mut self.topology_change,
            &mut self.looped,
        ] {
            *timer = timer.saturating_sub(1);
        }
    }
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the variables that the standard names")]
pub(super) struct Port {
    pub(super) id: PortKey,
    pub(super) settings: RstpPortSettings,
    pub(super) identifier: PortIdentifier,
    pub(super) timers: Timers,
    pub(super) tx_count: u8,
    pub(super) enabled: bool,
    /// A received BPDU, while it waits for the port information machine (`rcvdMsg`).
    pub(super) message: Option<Bpdu>,
    // Port information and role selection.
    pub(super) info_is: InfoIs,
    /// `portPriority` and `portTimes`: the best that was heard on the LAN, or our own.
    pub(super) priority_vector: Claim,
    pub(super) times: Times,
    pub(super) designated_priority: Claim,
    pub(super) designated_times: Times,
    pub(super) reselect: bool,
    pub(super) selected: bool,
    pub(super) selected_role: PortRole,
    pub(super) updt_info: bool,
    // The handshake.
    pub(super) proposing: bool,
    pub(super) proposed: bool,
    pub(super) agree: bool,
    pub(super) agreed: bool,
    pub(super) sync: bool,
    pub(super) synced: bool,
    pub(super) re_root: bool,
    pub(super) disputed: bool,
    // Role and state.
    pub(super) role: PortRole,
    pub(super) learn: bool,
    pub(super) learning: bool,
    pub(super) forward: bool,
    pub(super) forwarding: bool,
    /// The state that the last action named.
    pub(super) reported_state: PortState,
    // Migration, detection, transmission.
    pub(super) migration: Migration,
    pub(super) send_rstp: bool,
    pub(super) rcvd_rstp: bool,
    pub(super) rcvd_stp: bool,
    pub(super) mcheck: bool,
    pub(super) oper_edge: bool,
    pub(super) new_info: bool,
    // Topology change.
    pub(super) topology: Topology,
    pub(super) fdb_flush: bool,
    pub(super) rcvd_tc: bool,
    pub(super) rcvd_tc_ack: bool,
    pub(super) rcvd_tcn: bool,
    pub(super) tc_ack: bool,
    pub(super) tc_prop: bool,
    pub(super) counts: PortCounts,
}

impl Port {
    /// A port as the standard's BEGIN leaves it.  `claim` and `times` are the bridge's.
    pub(super) fn new(
        id: PortKey,
        settings: RstpPortSettings,
        claim: Claim,
        times: Times,
        is_rstp: bool,
    ) -> Self {
        let initial = Timers {
            forward_delay: times.max_age,
            recent_root: times.forward_delay,
            edge_delay: MIGRATE_TIME_SECS,
            migration: MIGRATE_TIME_SECS,
            ..Timers::default()
        };
        Self {
            id,
            identifier: settings.identifier(),
            timers: initial,
            tx_count: 0,
            enabled: settings.is_up,
            message: None,
            info_is: InfoIs::Disabled,
            priority_vector: claim,
            times,
            designated_priority: claim,
            designated_times: times,
            reselect: true,
            selected: false,
            selected_role: PortRole::Disabled,
            updt_info: false,
            proposing: false,
            proposed: false,
            agree: false,
            agreed: false,
            sync: true,
            synced: false,
            re_root: true,
            disputed: false,
            role: PortRole::Disabled,
            learn: false,
            learning: false,
            forward: false,
            forwarding: false,
            reported_state: PortState::Disabled,
            migration: Migration::CheckingRstp,
            send_rstp: is_rstp,
            rcvd_rstp: false,
            rcvd_stp: false,
            mcheck: false,
            oper_edge: settings.admin_edge,
            new_info: true,
            topology: Topology::Inactive,
            fdb_flush: false,
            rcvd_tc: false,
            rcvd_tc_ack: false,
            rcvd_tcn: false,
            tc_ack: false,
            tc_prop: false,
            counts: PortCounts::default(),
            settings,
        }
    }

    pub(super) const fn state(&self) -> PortState {
        if !self.enabled {
            PortState::Disabled
        } else if self.forwarding {
            PortState::Forwarding
        } else if self.learning {
            PortState::Learning
        } else {
            PortState::Discarding
        }
    }

    /// Section 17.20.5.
    pub(super) const fn forward_delay_secs(&self) -> u16 {
        if self.send_rstp {
            self.designated_times.hello
        } else {
            self.designated_times.forward_delay
        }
    }

    /// True while the port hears its own BPDUs.
    pub(super) const fn is_looped(&self) -> bool {
        self.timers.looped != 0
    }

    /// The claim names another bridge than `own`.
    pub(super) fn is_led_by_other(&self, own: BridgeIdentifier) -> bool {
        self.priority_vector.bridge.address() != own.address()
    }
}
