//! Who is who in a spanning tree, and times, as BPDUs carry them.

use crate::MacAddr;
use core::fmt;

/// Who a bridge is in the spanning tree: 16 bits of priority and its address.  The numerically
/// lower one is better (802.1D section 9.2.5).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeIdentifier(pub u64);

impl BridgeIdentifier {
    /// Puts an identifier together.
    #[must_use]
    pub const fn new(priority: u16, address: MacAddr) -> Self {
        let [p1, p2] = priority.to_be_bytes();
        let [o1, o2, o3, o4, o5, o6] = address.octets();
        Self(u64::from_be_bytes([p1, p2, o1, o2, o3, o4, o5, o6]))
    }

    /// The upper 16 bits.  In 802.1D-2004 the lower 12 of these are the system id extension.
    #[must_use]
    pub const fn priority(self) -> u16 {
        let [p1, p2, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([p1, p2])
    }

    /// The bridge's address.
    #[must_use]
    pub const fn address(self) -> MacAddr {
        MacAddr::from_u64(self.0)
    }
}

impl fmt::Display for BridgeIdentifier {
    /// `8000.0123456789ab`, priority and address in hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}.{:012x}", self.priority(), self.address().to_u64())
    }
}

impl fmt::Debug for BridgeIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which port of its bridge sent a BPDU.  The numerically lower one is better.
///
/// 802.1D-1998 divides the 16 bits into 8 of priority and 8 of number, 802.1D-2004 section 9.2.7
/// into 4 and 12; this type leaves that to its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIdentifier(pub u16);

/// A span of time as BPDUs carry it, in units of 1/256 s; 802.1D section 9.2.8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireTime(pub u16);

impl WireTime {
    /// A whole number of seconds, 0 to 255.
    #[must_use]
    pub const fn from_secs(secs: u8) -> Self {
        Self(u16::from_be_bytes([secs, 0]))
    }

    /// The nearest representable time to `ms` milliseconds; 255.996 s when it is more than that.
    #[must_use]
    pub fn from_ms(ms: u32) -> Self {
        let units = (u64::from(ms) * 256 + 500) / 1000;
        Self(u16::try_from(units).unwrap_or(u16::MAX))
    }

    /// The time in milliseconds, rounded to the nearest.
    #[must_use]
    pub const fn ms(self) -> u32 {
        (self.0 as u32 * 1000 + 128) / 256
    }

    /// The time in whole seconds, rounded to the nearest; 0 to 256.
    #[must_use]
    pub const fn secs_rounded(self) -> u16 {
        let [secs, fraction] = self.0.to_be_bytes();
        secs as u16 + (fraction >= 0x80) as u16
    }
}
