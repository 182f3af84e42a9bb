//! Where the TCP or UDP segment of a packet lies, and what its checksum covers besides it.

use crate::ethernet::{L2, parse_l2};
use crate::{EtherType, IpProtocol, Ipv4Header, Ipv6Header, checksum};

/// The upper layer of an IP packet that is whole: no fragment, no route with segments left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L4 {
    /// [`EtherType::IPV4`] or [`EtherType::IPV6`].
    pub ip: EtherType,
    /// Where the IP header starts in the frame, in bytes.
    pub l3_offset: usize,
    /// Where the upper layer starts in the frame, in bytes.
    pub start: usize,
    /// Where it ends in the frame: the IP length says so, and padding lies behind it.
    pub end: usize,
    /// The upper layer.
    pub protocol: IpProtocol,
    /// Partial sum of the two addresses.
    pub address_sum: u64,
}

impl L4 {
    /// Finds the upper layer of a frame with up to two VLAN tags; `None` when the frame is not IP,
    /// malformed, or a fragment.
    #[must_use]
    #[inline]
    pub fn locate(frame: &[u8]) -> Option<Self> {
        let L2 { ethertype, l3_offset, .. } = parse_l2(frame).ok()?;
        Self::locate_l3(frame, l3_offset, ethertype)
    }

    /// The same for who knows already where the IP header is.
    #[must_use]
    #[inline]
    pub fn locate_l3(frame: &[u8], l3_offset: usize, ethertype: EtherType) -> Option<Self> {
        let packet = frame.get(l3_offset..)?;
        match ethertype {
            EtherType::IPV4 => Self::locate_v4(packet, l3_offset),
            EtherType::IPV6 => Self::locate_v6(packet, l3_offset),
            _ => None,
        }
    }

    #[inline]
    fn locate_v4(packet: &[u8], l3_offset: usize) -> Option<Self> {
        let (header, payload) = Ipv4Header::parse(packet).ok()?;
        if header.is_fragment() {
            return None;
        }
        let start = l3_offset + header.header_len_bytes();
        Some(Self {
            ip: EtherType::IPV4,
            l3_offset,
            start,
            end: start + payload.len(),
            protocol: header.protocol,
            address_sum: header.pseudo_sum(IpProtocol(0), 0),
        })
    }

    fn locate_v6(packet: &[u8], l3_offset: usize) -> Option<Self> {
        let (header, payload) = Ipv6Header::parse(packet).ok()?;
        let walk = header.walk(payload).ok()?;
        if walk.is_fragment() || walk.is_routed {
            return None;
        }
        let start = l3_offset + crate::ipv6::LEN_BYTES + walk.extensions_bytes;
        Some(Self {
            ip: EtherType::IPV6,
            l3_offset,
            start,
            end: start + walk.payload.len(),
            protocol: walk.protocol,
            address_sum: header.pseudo_sum(IpProtocol(0), 0),
        })
    }

    /// Partial sum of the pseudo-header for an upper layer of `len_bytes`.
    #[must_use]
    #[inline]
    pub fn pseudo_sum(&self, len_bytes: usize) -> u64 {
        self.address_sum + u64::from(self.protocol.0) + len_bytes as u64
    }

    /// Where in the frame the checksum of TCP or UDP stands; `None` for another protocol, or when
    /// the fixed header is not all there.
    #[must_use]
    #[inline]
    pub fn checksum_at(&self) -> Option<usize> {
        let (offset, header_len) = match self.protocol {
            IpProtocol::TCP => (crate::tcp::CHECKSUM_OFFSET, crate::tcp::LEN_BYTES),
            IpProtocol::UDP => (crate::udp::CHECKSUM_OFFSET, crate::udp::LEN_BYTES),
            _ => return None,
        };
        (self.end - self.start >= header_len).then_some(self.start + offset)
    }

    /// Whether the TCP or UDP checksum of `frame`, in which this was found, is right.  A UDP
    /// checksum of 0, "none", counts as right.  `None` for other protocols.
    #[must_use]
    pub fn is_checksum_right(&self, frame: &[u8]) -> Option<bool> {
        let at = self.checksum_at()?;
        let segment = frame.get(self.start..self.end)?;
        let field = frame.get(at..at + 2)?;
        let is_none = self.protocol == IpProtocol::UDP && field == [0, 0];
        let sum = checksum::sum(segment) + self.pseudo_sum(segment.len());
        Some(is_none || checksum::finish(sum) == 0)
    }
}
