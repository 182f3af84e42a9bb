//! What the operator may set: `rstp-*` of `other_config`.

use crate::stp::{flag, in_range, number};
use weft_wire::MacAddr;
use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

/// What is set for a bridge as a whole.  The hello time is 2 s and cannot be set (802.1D-2004
/// table 17-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeSettings {
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

impl BridgeSettings {
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

    /// Reads `Bridge.other_config` `rstp-address`, `rstp-priority`, `rstp-ageing-time`,
    /// `rstp-force-protocol-version`, `rstp-max-age`, `rstp-forward-delay` and
    /// `rstp-transmit-hold-count`.  What is absent, no number or out of range has its default; a
    /// priority is rounded down to a multiple of 4096.  `address` is the bridge's own.
    #[must_use]
    pub fn from_other_config<'a>(get: impl Fn(&str) -> Option<&'a str>, address: MacAddr) -> Self {
        let default = Self::new(address);
        let address = get("rstp-address").and_then(|text| text.parse().ok()).unwrap_or(address);
        let priority = in_range(get("rstp-priority"), 0..=0xffff)
            .and_then(|wish| u16::try_from(wish).ok())
            .unwrap_or(0x8000);
        let small = |key, range, default| {
            in_range(get(key), range).and_then(|wish| u8::try_from(wish).ok()).unwrap_or(default)
        };
        Self {
            identifier: BridgeIdentifier::new(priority, address),
            max_age_secs: small("rstp-max-age", 6..=40, default.max_age_secs),
            forward_delay_secs: small("rstp-forward-delay", 4..=30, default.forward_delay_secs),
            transmit_hold_count: small("rstp-transmit-hold-count", 1..=10, 6),
            force_stp: number(get("rstp-force-protocol-version")) == Some(0),
            aging_time_secs: in_range(get("rstp-ageing-time"), 10..=1_000_000)
                .and_then(|wish| u32::try_from(wish).ok()),
        }
        .sane()
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column's key of its own")]
pub struct PortSettings {
    /// Name of the port, for `rstp/show`.
    pub name: String,
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

impl PortSettings {
    /// Priority 128, cost as of a 10 Gb/s link or a tunnel, up, edge detected, point-to-point.
    #[must_use]
    pub fn new(name: &str, number: u16, source: MacAddr) -> Self {
        Self {
            name: name.to_owned(),
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

    /// Reads `Port.other_config` `rstp-port-priority`, `rstp-path-cost`, `rstp-port-admin-edge`,
    /// `rstp-port-auto-edge`, `rstp-port-mcheck`, `rstp-admin-p2p-mac` (0 no, 1 yes, 2 as the link
    /// is) and `rstp-admin-port-state`.  The number comes from [`crate::stp::assign_numbers`], and
    /// whether the port takes part at all from `rstp-enable`, which the caller looks at.
    #[must_use]
    pub fn from_other_config<'a>(
        get: impl Fn(&str) -> Option<&'a str>,
        name: &str,
        number_given: u16,
        source: MacAddr,
        link: Link,
    ) -> Self {
        let priority =
            in_range(get("rstp-port-priority"), 0..=240).and_then(|wish| u8::try_from(wish).ok());
        let cost = in_range(get("rstp-path-cost"), 1..=200_000_000)
            .and_then(|wish| u32::try_from(wish).ok());
        Self {
            priority: priority.unwrap_or(128) & 0xf0,
            path_cost: cost.unwrap_or_else(|| path_cost(link.speed_mbps)),
            is_up: link.is_up && flag(get("rstp-admin-port-state"), true),
            admin_edge: flag(get("rstp-port-admin-edge"), false),
            auto_edge: flag(get("rstp-port-auto-edge"), true),
            point_to_point: match number(get("rstp-admin-p2p-mac")) {
                Some(0) => false,
                Some(2) => link.is_full_duplex,
                _ => true,
            },
            mcheck: flag(get("rstp-port-mcheck"), false),
            ..Self::new(name, number_given, source)
        }
    }

    /// Priority and number as BPDUs carry them: 4 and 12 bits.
    #[must_use]
    pub const fn identifier(&self) -> PortIdentifier {
        let [high, low] = self.number.to_be_bytes();
        PortIdentifier(u16::from_be_bytes([self.priority & 0xf0 | high & 0x0f, low]))
    }
}

/// What is known of a port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The link is up.
    pub is_up: bool,
    /// Its speed in Mb/s, if it is known.
    pub speed_mbps: Option<u64>,
    /// True for a tunnel and a patch port, too.
    pub is_full_duplex: bool,
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
