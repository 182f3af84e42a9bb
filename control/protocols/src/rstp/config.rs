//! What the operator may set.

use weft_wire::MacAddr;
use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

/// What is set for a bridge as a whole.  The hello time is 2 s and cannot be set (802.1D-2004
/// table 17-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RstpSettings {
    /// Priority, a multiple of 4096, and address; the lowest in the network becomes root.
    pub identifier: BridgeIdentifier,
    /// Seconds for which information of the root is good, 6 to 40.
    pub max_age_secs: u8,
    /// Seconds that a port waits for a neighbour that speaks STP only, 4 to 30.
    pub forward_delay_secs: u8,
    /// BPDUs that a port may send in one second, 1 to 10.
    pub transmit_hold_count: u8,
    /// Speak STP to everybody.
    pub force_stp: bool,
    /// Seconds after which a station is forgotten, when set for the tree.
    pub aging_time_secs: Option<u32>,
}

impl RstpSettings {
    /// Priority 32768, max age 20 s, forward delay 15 s, at most 6 BPDUs a second.
    #[must_use]
    pub const fn new(address: MacAddr) -> Self {
        Self {
            identifier: BridgeIdentifier::new(0x8000, address),
            max_age_secs: 20,
            forward_delay_secs: 15,
            transmit_hold_count: 6,
            force_stp: false,
            aging_time_secs: None,
        }
    }

    /// The same with everything in its range and in the relation that 802.1D-2004 section 17.14
    /// wants: 2 × (forward delay - 1) ≥ max age ≥ 2 × (hello time + 1).
    #[must_use]
    pub fn sane(self) -> Self {
        let priority = self.identifier.priority() & 0xf000;
        let max_age_secs = self.max_age_secs.clamp(6, 40);
        Self {
            identifier: BridgeIdentifier::new(priority, self.identifier.address()),
            max_age_secs,
            forward_delay_secs: self.forward_delay_secs.clamp(max_age_secs.div_ceil(2) + 1, 30),
            transmit_hold_count: self.transmit_hold_count.clamp(1, 10),
            ..self
        }
    }
}

/// What is set for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is set on its own")]
pub struct RstpPortSettings {
    /// Number in the bridge, 1 to 4095, each only once.
    pub number: u16,
    /// The lower, the sooner the port leads to or from the root; a multiple of 16 up to 240; 128
    /// unless set.
    pub priority: u8,
    /// What a frame's way through this port costs, 1 to 200,000,000; see [`path_cost`].
    pub path_cost: u32,
    /// Source address of BPDUs: the port's own.
    pub source: MacAddr,
    /// The link is up and the port is wanted up.
    pub is_up: bool,
    /// The operator says that no bridge is behind this port, so that it forwards at once.
    pub admin_edge: bool,
    /// A port that hears no BPDU for 3 s is taken for an edge port.
    pub auto_edge: bool,
    /// The link has one other end, so that a handshake with it is possible.
    pub point_to_point: bool,
    /// When this becomes true, the port tries whether its neighbour speaks RSTP again.
    pub mcheck: bool,
}

impl RstpPortSettings {
    /// Priority 128, cost as of a 10 Gb/s link or a tunnel, up, edge detected, point-to-point.
    #[must_use]
    pub const fn new(number: u16, source: MacAddr) -> Self {
        Self {
            number,
            priority: 128,
            path_cost: path_cost(None),
            source,
            is_up: true,
            admin_edge: false,
            auto_edge: true,
            point_to_point: true,
            mcheck: false,
        }
    }

    /// Priority and number as BPDUs carry them: 4 and 12 bits.
    #[must_use]
    pub const fn identifier(&self) -> PortIdentifier {
        let [high, low] = self.number.to_be_bytes();
        PortIdentifier(u16::from_be_bytes([self.priority & 0xf0 | high & 0x0f, low]))
    }
}

/// The path cost of 802.1D-2004 table 17-3 for a link of that speed in Mb/s; an unknown speed (a
/// tunnel, a patch port) counts as 10 Gb/s.
#[must_use]
pub const fn path_cost(speed_mbps: Option<u64>) -> u32 {
    match speed_mbps {
        Some(1..=9) => 20_000_000,
        Some(10..=99) => 2_000_000,
        Some(100..=999) => 200_000,
        Some(1000..=9999) => 20_000,
        Some(100_000..=999_999) => 200,
        Some(1_000_000..=9_999_999) => 20,
        Some(10_000_000..) => 2,
        _ => 2000,
    }
}
