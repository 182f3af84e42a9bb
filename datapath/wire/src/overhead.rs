//! How many bytes a tunnel adds: the arithmetic of effective MTUs, in one table.
//!
//! An *overhead* is what stands between the underlay's IP MTU and the overlay's: outer IP, tunnel
//! header and the inner Ethernet header.  Outer Ethernet is not in it, since an MTU does not count
//! it either; each inner VLAN tag takes [`VLAN_BYTES`] more.

use crate::{ethernet, geneve, gre, ipv4, ipv6, udp, vlan, vxlan};

/// An inner Ethernet header.
pub const ETHERNET_BYTES: usize = ethernet::LEN_BYTES;
/// One VLAN tag.
pub const VLAN_BYTES: usize = vlan::Tag::LEN_BYTES;
/// Each of checksum, key and sequence number of GRE.
pub const GRE_OPTION_BYTES: usize = 4;

/// Which IP a tunnel goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OuterIp {
    /// IPv4, without options.
    V4,
    /// IPv6, without extension headers.
    V6,
}

impl OuterIp {
    /// Length of its header, in bytes.
    #[must_use]
    pub const fn len_bytes(self) -> usize {
        match self {
            Self::V4 => ipv4::LEN_BYTES,
            Self::V6 => ipv6::LEN_BYTES,
        }
    }
}

/// Overhead of Ethernet in GRE with `option_count` (0 to 3) of checksum, key and sequence number.
#[must_use]
pub const fn gre(ip: OuterIp, option_count: usize) -> usize {
    ip.len_bytes() + gre::LEN_BYTES + option_count * GRE_OPTION_BYTES + ETHERNET_BYTES
}

/// Overhead of VXLAN.
#[must_use]
pub const fn vxlan(ip: OuterIp) -> usize {
    ip.len_bytes() + udp::LEN_BYTES + vxlan::LEN_BYTES + ETHERNET_BYTES
}

/// Overhead of Ethernet in Geneve with `options_bytes` of options.
#[must_use]
pub const fn geneve(ip: OuterIp, options_bytes: usize) -> usize {
    ip.len_bytes() + udp::LEN_BYTES + geneve::LEN_BYTES + options_bytes + ETHERNET_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of standards.md E6.
    #[test]
    fn gives_the_effective_mtus_of_the_table() {
        let effective: Vec<_> = (0..4).map(|options| 1500 - gre(OuterIp::V4, options)).collect();
        assert_eq!(effective, [1462, 1458, 1454, 1450]);
        assert_eq!(1500 - vxlan(OuterIp::V4), 1450);
        assert_eq!(1500 - geneve(OuterIp::V4, 0), 1450);
        assert_eq!(1500 - geneve(OuterIp::V4, 8), 1442);
        assert_eq!(1500 - geneve(OuterIp::V4, 252), 1198);
        assert_eq!(gre(OuterIp::V6, 1), gre(OuterIp::V4, 1) + 20);
        assert_eq!(geneve(OuterIp::V6, 0), geneve(OuterIp::V4, 0) + 20);
        assert_eq!(1500 - gre(OuterIp::V4, 0) - VLAN_BYTES, 1458);
    }
}
