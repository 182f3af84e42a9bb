//! Where the headers of a frame are.

use super::place::{place, widened};
use super::sums;
use crate::{Bits, Slot, extensions};
use weft_wire::{ArpPacket, EtherType, IpProtocol, Ipv4Header, Ipv6Header};

/// SCTP, RFC 9260.
pub(super) const SCTP: IpProtocol = IpProtocol(132);
/// MPLS multicast, RFC 5332.
pub(super) const MPLS_MULTICAST: EtherType = EtherType(0x8848);
/// Reverse ARP, RFC 903.
const RARP: EtherType = EtherType(0x8035);
/// Where the headers of a frame are.  It is right until tags or MPLS entries come or go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many tags were looked behind.
    pub(super) tags: u8,
    /// Where the network header starts, or would start.
    pub(super) start: usize,
    /// The network header, when all of it is there.
    pub(super) network: Option<Network>,
    /// The header behind IP, when its fixed part is all there.
    pub(super) upper: Option<Upper>,
    /// An Ethernet SNAP header stands in front of the network header.
    pub(super) is_snap: bool,
    has_partial_checksum: bool,
}

/// What the network header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// An MPLS entry.
    Mpls,
    /// ARP or RARP for IPv4 over Ethernet.
    Arp,
    /// IPv4.
    V4,
    /// IPv6.
    V6 {
        /// A routing header has segments left: the checksum behind it covers another destination.
        is_routed: bool,
    },
}

/// The header behind IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upper {
    pub(super) protocol: IpProtocol,
    /// Where it starts in the frame.
    pub(super) start: usize,
    /// Where its payload ends in the frame.
    pub(super) end: usize,
    /// The packet is the first of several fragments.
    pub(super) is_fragment: bool,
}

impl Layout {
    /// Finds the headers of a frame, at most `tags_max` tags deep.
    #[must_use]
    pub fn of(frame: &[u8], tags_max: u8) -> Self {
        let mut layout = Self {
            tags: 0,
            start: weft_wire::ethernet::LEN_BYTES,
            network: None,
            upper: None,
            is_snap: false,
            has_partial_checksum: false,
        };
        let mut ethertype = ethertype_before(frame, layout.start);
        while layout.tags < tags_max && ethertype.is_some_and(EtherType::is_tag) {
            let Some(next) = ethertype_before(frame, layout.start + 4) else { break };
            ethertype = Some(next);
            layout.tags += 1;
            layout.start += 4;
        }
        if ethertype.is_some_and(EtherType::is_length) {
            ethertype = layout.skip_snap(frame);
        }
        if let Some(ethertype) = ethertype {
            layout.find_network(frame, ethertype);
        }
        layout
    }

    /// The same for a frame whose TCP or UDP checksum field has the pseudo-header's sum only, for
    /// whoever sends it to complete: edits keep it what it is.
    #[must_use]
    pub fn with_partial_checksum(mut self) -> Self {
        self.has_partial_checksum = true;
        self
    }

    /// Gives the bits in `bits.mask` of a slot the value `bits.value`, and mends the checksums that
    /// cover them.  False when the frame has no such bits.  The tag of [`Slot::VlanTci`] stays there,
    /// with its drop-eligible bit, whatever the value says about its presence.
    pub fn set(&self, frame: &mut [u8], slot: Slot, bits: Bits) -> bool {
        let Some(place) = place(self, frame, slot) else { return false };
        let bits = widened(self, slot, bits);
        let partial = self.has_partial_checksum;
        sums::write(self, frame, place, bits, partial).is_some()
    }

    fn skip_snap(&mut self, frame: &[u8]) -> Option<EtherType> {
        match frame.get(self.start..)?.first_chunk()? {
            [0xaa, 0xaa, 3, 0, 0, 0, high, low] => {
                self.start += 8;
                self.is_snap = true;
                Some(EtherType(u16::from_be_bytes([*high, *low])))
            }
            _ => None,
        }
    }

    fn find_network(&mut self, frame: &[u8], ethertype: EtherType) {
        let packet = frame.get(self.start..).unwrap_or_default();
        match ethertype {
            EtherType::IPV4 => self.find_v4(packet),
            EtherType::IPV6 => self.find_v6(packet),
            EtherType::ARP | RARP if ArpPacket::parse(packet).is_ok() => {
                self.network = Some(Network::Arp);
            }
            EtherType::MPLS | MPLS_MULTICAST if packet.len() >= 4 => {
                self.network = Some(Network::Mpls);
            }
            _ => {}
        }
    }

    fn find_v4(&mut self, packet: &[u8]) {
        let Ok((header, payload)) = Ipv4Header::parse(packet) else { return };
        self.network = Some(Network::V4);
        if header.fragment_offset_bytes() == 0 {
            let start = header.header_len_bytes();
            self.find_upper(header.protocol, start, payload.len(), header.is_fragment());
        }
    }

    fn find_v6(&mut self, packet: &[u8]) {
        let Ok((header, payload)) = Ipv6Header::parse(packet) else { return };
        let walk = extensions::walk(header.next_header, payload);
        let is_routed = walk.as_ref().is_some_and(|walk| walk.is_routed);
        self.network = Some(Network::V6 { is_routed });
        if let Some(walk) = walk
            && !walk.is_later
        {
            let start = weft_wire::ipv6::LEN_BYTES + walk.at;
            let len = payload.len() - walk.at;
            self.find_upper(walk.protocol, start, len, walk.is_fragment);
        }
    }

    /// `offset` is from the network header.
    fn find_upper(&mut self, protocol: IpProtocol, offset: usize, len: usize, is_fragment: bool) {
        let fixed_len = match protocol {
            IpProtocol::TCP => weft_wire::tcp::LEN_BYTES,
            IpProtocol::UDP => weft_wire::udp::LEN_BYTES,
            SCTP => 12,
            IpProtocol::ICMP => weft_wire::icmp::LEN_BYTES,
            IpProtocol::ICMPV6 if self.network != Some(Network::V4) => weft_wire::icmp::LEN_BYTES,
            _ => return,
        };
        if len >= fixed_len {
            let start = self.start + offset;
            self.upper = Some(Upper { protocol, start, end: start + len, is_fragment });
        }
    }
}

/// The `EtherType` in the two bytes before `end`.
pub(super) fn ethertype_before(frame: &[u8], end: usize) -> Option<EtherType> {
    let bytes = frame.get(end.checked_sub(2)?..end)?.first_chunk()?;
    Some(EtherType(u16::from_be_bytes(*bytes)))
}
