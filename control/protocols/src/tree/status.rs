//! What a tree says of itself, as values: how to show them is not its business.

use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

use super::{PortRole, PortState};
use crate::PortKey;

/// Hello time, max age and forward delay, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeTimes {
    /// Between BPDUs of the root.
    pub hello_secs: u32,
    /// For which information of the root is good.
    pub max_age_secs: u32,
    /// Of listening, and again of learning.
    pub forward_delay_secs: u32,
}

/// Who is the root, and how far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeStatus {
    /// This bridge.
    pub identifier: BridgeIdentifier,
    /// What it would have as root.
    pub own_times: TreeTimes,
    /// The bridge that it believes to be the root.
    pub root: BridgeIdentifier,
    /// What is in use: the root's.
    pub root_times: TreeTimes,
    /// What the path to the root costs; 0 at the root.
    pub root_path_cost: u32,
    /// The port that leads there, and its identifier; none at the root.
    pub root_port: Option<(PortKey, PortIdentifier)>,
    /// The bridge that is next on the way there, or the root itself.
    pub designated_bridge: BridgeIdentifier,
    /// The port of that bridge; 0 at the root.
    pub designated_port: PortIdentifier,
}

/// What a port is in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// Priority and number as BPDUs carry them.
    pub identifier: PortIdentifier,
    /// Its number in the bridge.
    pub number: u16,
    /// Its priority.
    pub priority: u8,
    /// What a frame's way through it costs.
    pub path_cost: u32,
    /// Its role.
    pub role: PortRole,
    /// Its state.
    pub state: PortState,
    /// It is taken for a port with no bridge behind it; never in STP.
    pub is_edge: bool,
    /// Seconds for which it has been in that state; STP alone counts them.
    pub secs_in_state: Option<u64>,
    /// The bridge that leads its LAN.
    pub designated_bridge: BridgeIdentifier,
    /// The port by which that bridge does.
    pub designated_port: PortIdentifier,
    /// What the way from there to the root costs.
    pub designated_cost: u32,
}

/// What a port has sent and received since it takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// BPDUs sent.
    pub tx: u64,
    /// Valid BPDUs received.
    pub rx: u64,
    /// Frames received that were no BPDU, or one of another version.
    pub error: u64,
    /// Seconds since it takes part; RSTP alone counts them.
    pub uptime_secs: u64,
}
