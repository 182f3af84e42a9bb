//! What the operator may set.

use weft_wire::MacAddr;
use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

/// What is set for a bridge as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StpSettings {
    /// Priority and address; the lowest in the network becomes root.
    pub identifier: BridgeIdentifier,
    /// Seconds between BPDUs of the root, 1 to 10.
    pub hello_time_secs: u8,
    /// Seconds for which information of the root is good, 6 to 40.
    pub max_age_secs: u8,
    /// Seconds of listening, and again of learning, 4 to 30.
    pub forward_delay_secs: u8,
}

impl StpSettings {
    /// Priority 32768, hello time 2 s, max age 20 s, forward delay 15 s.
    #[must_use]
    pub const fn new(address: MacAddr) -> Self {
        Self {
            identifier: BridgeIdentifier::new(0x8000, address),
            hello_time_secs: 2,
            max_age_secs: 20,
            forward_delay_secs: 15,
        }
    }

    /// The same with timers in their ranges and in the relation that 802.1D-1998 section 8.10.2
    /// wants: 2 × (forward delay - 1) ≥ max age ≥ 2 × (hello time + 1).
    #[must_use]
    pub fn sane(self) -> Self {
        let hello_time_secs = self.hello_time_secs.clamp(1, 10);
        let max_age_secs = self.max_age_secs.clamp((2 * (hello_time_secs + 1)).max(6), 40);
        let forward_delay_secs = self.forward_delay_secs.clamp(max_age_secs.div_ceil(2) + 1, 30);
        Self { hello_time_secs, max_age_secs, forward_delay_secs, ..self }
    }
}

/// What is set for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StpPortSettings {
    /// Number in the bridge, 1 to 255, each only once.
    pub number: u8,
    /// The lower, the sooner the port leads to or from the root; 128 unless set.
    pub priority: u8,
    /// What a frame's way through this port costs; see [`path_cost`].
    pub path_cost: u16,
    /// Source address of BPDUs: the port's own.
    pub source: MacAddr,
    /// The link is up and the port is wanted up.
    pub is_up: bool,
}

impl StpPortSettings {
    /// Priority 128, cost as of a 10 Gb/s link or a tunnel, up.
    #[must_use]
    pub const fn new(number: u8, source: MacAddr) -> Self {
        Self { number, priority: 128, path_cost: path_cost(None), source, is_up: true }
    }

    /// Priority and number as BPDUs carry them.
    #[must_use]
    pub const fn identifier(&self) -> PortIdentifier {
        PortIdentifier(u16::from_be_bytes([self.priority, self.number]))
    }
}

/// The path cost that OVS gives a link of that speed in Mb/s; an unknown speed (a tunnel, a patch
/// port) counts as 10 Gb/s.
#[must_use]
pub const fn path_cost(speed_mbps: Option<u64>) -> u16 {
    match speed_mbps {
        Some(10..=15) => 100,
        Some(16..=99) => 62,
        Some(100..=999) => 19,
        Some(1000..=9999) => 4,
        Some(4..=9) => 250,
        _ => 2,
    }
}
