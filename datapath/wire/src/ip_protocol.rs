//! The protocol number of IPv4 and the next-header number of IPv6 (one registry, RFC 5237).

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What follows an IP header.  Any 8 bits are one.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 hop-by-hop options, RFC 8200 section 4.3.
    pub const HOP_BY_HOP: Self = Self(0);
    /// `ICMPv4`.
    pub const ICMP: Self = Self(1);
    /// IGMP, RFC 3376.
    pub const IGMP: Self = Self(2);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header, RFC 8200 section 4.4.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header, RFC 8200 section 4.5.
    pub const FRAGMENT: Self = Self(44);
    /// GRE.
    pub const GRE: Self = Self(47);
    /// ESP.
    pub const ESP: Self = Self(50);
    /// `ICMPv6`.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows, RFC 8200 section 4.7.
    pub const NO_NEXT: Self = Self(59);
    /// IPv6 destination options, RFC 8200 section 4.6.
    pub const DESTINATION_OPTIONS: Self = Self(60);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ICMP => f.write_str("ICMP"),
            Self::TCP => f.write_str("TCP"),
            Self::UDP => f.write_str("UDP"),
            Self::GRE => f.write_str("GRE"),
            Self::ESP => f.write_str("ESP"),
            Self::ICMPV6 => f.write_str("ICMPv6"),
            Self(other) => write!(f, "proto {other}"),
        }
    }
}

impl fmt::Debug for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpProtocol({})", self.0)
    }
}
