//! A port in 802.1D-1998 STP.

use super::{StpPortSettings, timer::Timer};
use crate::PortKey;
use crate::tree::{Claim, PortCounts, PortState};
use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

#[derive(Debug)]
pub(super) struct Port {
    pub(super) id: PortKey,
    pub(super) settings: StpPortSettings,
    pub(super) identifier: PortIdentifier,
    pub(super) state: PortState,
    /// What the best bridge of this port's LAN claims.
    pub(super) claim: Claim,
    pub(super) owes_ack: bool,
    pub(super) config_pending: bool,
    pub(super) message_age: Timer,
    pub(super) forward_delay: Timer,
    pub(super) hold: Timer,
    /// Runs while the port hears itself.
    pub(super) looped: Timer,
    /// When the state last changed, in milliseconds of the bridge's clock.
    pub(super) changed_ms: u64,
    pub(super) counts: PortCounts,
}

impl Port {
    pub(super) fn new(id: PortKey, settings: StpPortSettings, claim: Claim, now_ms: u64) -> Self {
        Self {
            id,
            identifier: settings.identifier(),
            settings,
            state: PortState::Disabled,
            claim,
            owes_ack: false,
            config_pending: false,
            message_age: Timer::default(),
            forward_delay: Timer::default(),
            hold: Timer::default(),
            looped: Timer::default(),
            changed_ms: now_ms,
            counts: PortCounts::default(),
        }
    }

    /// The bridge `own` speaks for this port's LAN (802.1D-1998 section 8.5.5.5, 8.5.5.6).
    pub(super) fn is_designated(&self, own: BridgeIdentifier) -> bool {
        self.claim.bridge == own && self.claim.port == self.identifier
    }
}
