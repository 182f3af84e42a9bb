//! What the operator may set: `stp-*` of `other_config`.

use std::collections::BTreeSet;
use weft_wire::MacAddr;
use weft_wire::stp::{BridgeIdentifier, PortIdentifier};

/// What is set for a bridge as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeSettings {
    /// Priority and address; the lowest in the network becomes root.
    pub identifier: BridgeIdentifier,
    /// Seconds between BPDUs of the root, 1 to 10.
    pub hello_time_secs: u8,
    /// Seconds for which information of the root is good, 6 to 40.
    pub max_age_secs: u8,
    /// Seconds of listening, and again of learning, 4 to 30.
    pub forward_delay_secs: u8,
}

impl BridgeSettings {
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

    /// Reads `Bridge.other_config` `stp-system-id`, `stp-priority`, `stp-hello-time`, `stp-max-age`
    /// and `stp-forward-delay`; what is absent or no number has its default, what is out of range
    /// the nearest legal value.  `address` is the bridge's own.
    #[must_use]
    pub fn from_other_config<'a>(get: impl Fn(&str) -> Option<&'a str>, address: MacAddr) -> Self {
        let default = Self::new(address);
        let address = get("stp-system-id").and_then(|text| text.parse().ok()).unwrap_or(address);
        let priority = number(get("stp-priority")).and_then(|wish| u16::try_from(wish).ok());
        let secs = |key, default| {
            let wish = number(get(key)).unwrap_or(u64::from(default));
            u8::try_from(wish).unwrap_or(u8::MAX)
        };
        Self {
            identifier: BridgeIdentifier::new(priority.unwrap_or(0x8000), address),
            hello_time_secs: secs("stp-hello-time", default.hello_time_secs),
            max_age_secs: secs("stp-max-age", default.max_age_secs),
            forward_delay_secs: secs("stp-forward-delay", default.forward_delay_secs),
        }
        .sane()
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Name of the port, for `stp/show`.
    pub name: String,
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

impl PortSettings {
    /// Priority 128, cost as of a 10 Gb/s link or a tunnel, up.
    #[must_use]
    pub fn new(name: &str, number: u8, source: MacAddr) -> Self {
        Self {
            name: name.to_owned(),
            number,
            priority: 128,
            path_cost: path_cost(None),
            source,
            is_up: true,
        }
    }

    /// Reads `Port.other_config` `stp-port-priority` and `stp-path-cost`; the number comes from
    /// [`assign_numbers`], and whether the port takes part at all from `stp-enable`, which the
    /// caller looks at.  `speed_mbps` is the link's, if it is known.
    #[must_use]
    pub fn from_other_config<'a>(
        get: impl Fn(&str) -> Option<&'a str>,
        name: &str,
        number_given: u8,
        source: MacAddr,
        speed_mbps: Option<u64>,
    ) -> Self {
        let priority = number(get("stp-port-priority")).and_then(|wish| u8::try_from(wish).ok());
        let cost = number(get("stp-path-cost")).and_then(|wish| u16::try_from(wish).ok());
        Self {
            priority: priority.unwrap_or(128),
            path_cost: cost.unwrap_or_else(|| path_cost(speed_mbps)),
            ..Self::new(name, number_given, source)
        }
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

/// Why a port gets no number and takes no part in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// The number is not in range.
    Invalid(u64),
    /// Another port has that number.
    Duplicate(u16),
    /// All numbers are given out.
    TooMany,
}

/// Gives each port of a bridge a number from 1 to `max` (255 for STP, 4095 for RSTP): the one
/// that it asks for, else the lowest that nobody asks for.  One result for each request.
#[must_use]
pub fn assign_numbers(wishes: &[Option<u64>], max: u16) -> Vec<Result<u16, NumberError>> {
    let mut taken = BTreeSet::new();
    let explicit: Vec<_> = wishes
        .iter()
        .map(|wish| {
            wish.map(|wish| {
                let number = u16::try_from(wish).unwrap_or(0);
                if !(1..=max).contains(&number) {
                    return Err(NumberError::Invalid(wish));
                }
                if taken.insert(number) { Ok(number) } else { Err(NumberError::Duplicate(number)) }
            })
        })
        .collect();
    let mut free = (1..=max).filter(|number| !taken.contains(number));
    explicit
        .into_iter()
        .map(|wish| wish.unwrap_or_else(|| free.next().ok_or(NumberError::TooMany)))
        .collect()
}

/// A number as OVS reads it from `other_config`: decimal, or hex behind `0x`.
pub(crate) fn number(text: Option<&str>) -> Option<u64> {
    let text = text?.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A number in `range`, or none.
pub(crate) fn in_range(text: Option<&str>, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    number(text).filter(|wish| range.contains(wish))
}

/// A truth value as OVS reads it from `other_config`: `true` in any case is true; when the default
/// is true, only `false` is false.
pub(crate) fn flag(text: Option<&str>, default: bool) -> bool {
    match text {
        Some(text) if default => !text.eq_ignore_ascii_case("false"),
        Some(text) => text.eq_ignore_ascii_case("true"),
        None => default,
    }
}
