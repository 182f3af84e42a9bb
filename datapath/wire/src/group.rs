//! An IP multicast group, of either version of IP.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// An IP multicast group; one of IPv4 is kept as the IPv6 address that it is mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u128);

impl Group {
    /// No group: nobody is a member.
    pub const UNSPECIFIED: Self = Self(0);

    /// True when this is a multicast address.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => v4.is_multicast(),
            None => address.is_multicast(),
        }
    }

    /// True for 224.0.0.0/24 and `ff02::1`, which everybody hears always (RFC 4541 2.1.2 and 3).
    #[must_use]
    pub const fn is_local(self) -> bool {
        const ALL_NODES: u128 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).to_bits();
        match Ipv6Addr::from_bits(self.0).to_ipv4_mapped() {
            Some(v4) => matches!(v4.octets(), [224, 0, 0, _]),
            None => self.0 == ALL_NODES,
        }
    }
}

impl From<Ipv4Addr> for Group {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.to_ipv6_mapped().to_bits())
    }
}

impl From<Ipv6Addr> for Group {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.to_bits())
    }
}

impl fmt::Display for Group {
    /// As people write it: `239.1.2.3`, `ff05::1:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.0);
        match address.to_ipv4_mapped() {
            Some(v4) => v4.fmt(f),
            None => address.fmt(f),
        }
    }
}
