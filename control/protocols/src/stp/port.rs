//! A port in 802.1D-1998 STP.

use super::{Gate, PortSettings, timer::Timer};
use crate::PortKey;
use weft_wire::stp::{BpduInfo, BridgeIdentifier, PortIdentifier};

/// The state of a port, 802.1D-1998 section 8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// Its link is down.
    Disabled,
    /// Kept out of the tree.
    Blocking,
    /// On its way into the tree: waits for news of a better port.
    Listening,
    /// Learns stations but does not forward yet.
    Learning,
    /// Part of the tree.
    Forwarding,
}

impl PortState {
    /// The name as OVS writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Blocking => "blocking",
            Self::Listening => "listening",
            Self::Learning => "learning",
            Self::Forwarding => "forwarding",
        }
    }

    /// What a port in this state may do.
    #[must_use]
    pub const fn gate(self) -> Gate {
        match self {
            Self::Disabled | Self::Blocking | Self::Listening => Gate::CLOSED,
            Self::Learning => Gate::LEARNING,
            Self::Forwarding => Gate::OPEN,
        }
    }
}

/// The role of a port in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// Leads towards the root.
    Root,
    /// Leads a LAN towards the root.
    Designated,
    /// Neither, so it blocks.
    Alternate,
    /// Its link is down.
    Disabled,
}

impl PortRole {
    /// The name as OVS writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Designated => "designated",
            Self::Alternate => "alternate",
            Self::Disabled => "disabled",
        }
    }
}

/// What was last heard on a port, or what the bridge itself would say there.  Its order is the
/// one of 802.1D-1998 section 8.3.2: less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) root: BridgeIdentifier,
    pub(crate) cost: u32,
    pub(crate) bridge: BridgeIdentifier,
    pub(crate) port: PortIdentifier,
}

impl Claim {
    pub(crate) const fn of(info: &BpduInfo) -> Self {
        Self { root: info.root, cost: info.root_path_cost, bridge: info.bridge, port: info.port }
    }
}

/// The counters of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) tx: u64,
    pub(super) rx: u64,
    pub(super) error: u64,
}

#[derive(Debug)]
pub(super) struct Port {
    pub(super) id: PortKey,
    pub(super) settings: PortSettings,
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
    pub(super) counts: Counts,
}

impl Port {
    pub(super) fn new(id: PortKey, settings: PortSettings, claim: Claim, now_ms: u64) -> Self {
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
            counts: Counts::default(),
        }
    }

    /// The bridge `own` speaks for this port's LAN (802.1D-1998 section 8.5.5.5, 8.5.5.6).
    pub(super) fn is_designated(&self, own: BridgeIdentifier) -> bool {
        self.claim.bridge == own && self.claim.port == self.identifier
    }
}
