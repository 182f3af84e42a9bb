//! The `EtherType`: which protocol follows an Ethernet header, IEEE 802.3 section 3.2.6.

use core::fmt;

/// An `EtherType`.  Below 0x0600 it is the length of an IEEE 802.3 frame instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4, RFC 894.
    pub const IPV4: Self = Self(0x0800);
    /// ARP, RFC 826.
    pub const ARP: Self = Self(0x0806);
    /// IPv6, RFC 2464.
    pub const IPV6: Self = Self(0x86dd);
    /// A C-tag follows, IEEE 802.1Q.
    pub const C_TAG: Self = Self(0x8100);
    /// An S-tag follows, IEEE 802.1ad.
    pub const S_TAG: Self = Self(0x88a8);
    /// Transparent Ethernet bridging: an Ethernet frame follows a tunnel header, RFC 1701.
    pub const TEB: Self = Self(0x6558);
    /// MPLS unicast, RFC 3032.
    pub const MPLS: Self = Self(0x8847);
    /// Slow protocols (LACP), IEEE 802.3 annex 57A.
    pub const SLOW: Self = Self(0x8809);
    /// LLDP, IEEE 802.1AB.
    pub const LLDP: Self = Self(0x88cc);
    /// Network service header, RFC 8300.
    pub const NSH: Self = Self(0x894f);
    /// ERSPAN type II inside GRE.
    pub const ERSPAN_II: Self = Self(0x88be);
    /// ERSPAN type III inside GRE.
    pub const ERSPAN_III: Self = Self(0x22eb);
    /// The smallest value that is a type rather than a length.
    pub const MIN: Self = Self(0x0600);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// True when a VLAN tag follows: C-tag or S-tag.
    #[must_use]
    pub const fn is_tag(self) -> bool {
        self.0 == Self::C_TAG.0 || self.0 == Self::S_TAG.0
    }

    /// True when this is the length of an IEEE 802.3 frame with an LLC header.
    #[must_use]
    pub const fn is_length(self) -> bool {
        self.0 < Self::MIN.0
    }
}

impl From<u16> for EtherType {
    fn from(raw: u16) -> Self {
        Self(raw)
    }
}

impl From<EtherType> for u16 {
    fn from(ethertype: EtherType) -> Self {
        ethertype.0
    }
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtherType({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_tags_and_lengths_from_types() {
        for raw in 0..=u16::MAX {
            let ethertype = EtherType(raw);
            assert_eq!(ethertype.is_tag(), raw == 0x8100 || raw == 0x88a8);
            assert_eq!(ethertype.is_length(), raw < 1536);
        }
        assert_eq!(EtherType::IPV4.to_string(), "0x0800");
    }
}
