//! What a bridge claims on a LAN: the priority vector.

use weft_wire::stp::{BpduInfo, BridgeIdentifier, PortIdentifier};

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
