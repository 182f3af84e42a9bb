//! Where the bits of a slot are in a frame, and which checksums cover them.

use super::layout::{Layout, Network, SCTP, Upper};
use crate::{Bits, Slot};
use weft_wire::IpProtocol;
use weft_wire::icmp::v6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};

/// Options of neighbour discovery: link-layer addresses of source and target.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

/// The bits of a slot: whole 16-bit words, as checksums count them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where the words start in the frame.
    pub(super) at: usize,
    /// How long they are: 2 to 16 bytes.
    pub(super) len: usize,
    /// The slot's lowest bit in them.
    pub(super) shift: u32,
    pub(super) covered: Covered,
}

/// Which checksums cover some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covered {
    /// None.
    No,
    /// That of the IPv4 header.
    Network,
    /// That of the IPv4 header if it is one, and that behind it, by its pseudo-header.
    Addresses,
    /// That behind IP.
    Upper,
}

impl Upper {
    fn is_icmp(self) -> bool {
        [IpProtocol::ICMP, IpProtocol::ICMPV6].contains(&self.protocol)
    }
}

impl Place {
    const fn new(at: usize, len: usize, covered: Covered) -> Self {
        Self { at, len, shift: 0, covered }
    }

    const fn shifted(mut self, shift: u32) -> Self {
        self.shift = shift;
        self
    }
}

/// Where a slot's bits are; `None` when the frame has none.
pub(super) fn place(layout: &Layout, frame: &[u8], slot: Slot) -> Option<Place> {
    match slot {
        Slot::EthDst => return Some(Place::new(0, 6, Covered::No)),
        Slot::EthSrc => return Some(Place::new(6, 6, Covered::No)),
        Slot::VlanTci => return (layout.tags > 0).then_some(Place::new(14, 2, Covered::No)),
        Slot::InnerTci => return (layout.tags > 1).then_some(Place::new(18, 2, Covered::No)),
        _ => {}
    }
    let start = layout.start;
    match layout.network? {
        Network::Mpls if slot == Slot::MplsLse => Some(Place::new(start, 4, Covered::No)),
        Network::Mpls => None,
        Network::Arp => arp(start, slot),
        Network::V4 => v4(start, slot).or_else(|| upper(layout.upper?, frame, slot)),
        Network::V6 { is_routed } => {
            v6(start, is_routed, slot).or_else(|| upper(layout.upper?, frame, slot))
        }
    }
}

/// What is to be written: of a slot that is narrower than its field, and of a tag's bits that say
/// something else in a key.
pub(super) fn widened(layout: &Layout, slot: Slot, bits: Bits) -> Bits {
    match slot {
        // The opcode has 16 bits, of which the high ones are zero.
        Slot::NwProto if layout.network == Some(Network::Arp) => {
            Bits { value: bits.value, mask: bits.mask | 0xff00 }
        }
        // Bit 12 says in a key that there is a tag; in the tag it is another.
        Slot::VlanTci | Slot::InnerTci => Bits::new(bits.value, bits.mask & 0xefff),
        // Types and codes have 8 bits.
        Slot::TpSrc | Slot::TpDst if layout.upper.is_some_and(Upper::is_icmp) => {
            Bits::new(bits.value, bits.mask & 0xff)
        }
        _ => Bits::new(bits.value, bits.mask & slot.ones()),
    }
}

fn arp(start: usize, slot: Slot) -> Option<Place> {
    let (offset, len) = match slot {
        Slot::NwProto => (6, 2),
        Slot::ArpSha => (8, 6),
        Slot::NwSrc => (14, 4),
        Slot::ArpTha => (18, 6),
        Slot::NwDst => (24, 4),
        _ => return None,
    };
    Some(Place::new(start + offset, len, Covered::No))
}

fn v4(start: usize, slot: Slot) -> Option<Place> {
    match slot {
        Slot::NwTos => Some(Place::new(start, 2, Covered::Network)),
        Slot::NwTtl => Some(Place::new(start + 8, 2, Covered::Network).shifted(8)),
        Slot::NwSrc => Some(Place::new(start + 12, 4, Covered::Addresses)),
        Slot::NwDst => Some(Place::new(start + 16, 4, Covered::Addresses)),
        _ => None,
    }
}

fn v6(start: usize, is_routed: bool, slot: Slot) -> Option<Place> {
    match slot {
        Slot::Ipv6Label => Some(Place::new(start, 4, Covered::No)),
        Slot::NwTos => Some(Place::new(start, 4, Covered::No).shifted(20)),
        Slot::NwTtl => Some(Place::new(start + 6, 2, Covered::No)),
        Slot::Ipv6Src => Some(Place::new(start + 8, 16, Covered::Addresses)),
        Slot::Ipv6Dst => {
            let covered = if is_routed { Covered::No } else { Covered::Addresses };
            Some(Place::new(start + 24, 16, covered))
        }
        _ => None,
    }
}

fn upper(upper: Upper, frame: &[u8], slot: Slot) -> Option<Place> {
    let Upper { protocol, start, .. } = upper;
    let place = |offset, len| Some(Place::new(start + offset, len, Covered::Upper));
    match (protocol, slot) {
        (IpProtocol::ICMP | IpProtocol::ICMPV6, Slot::TpSrc) => Some(place(0, 2)?.shifted(8)),
        (IpProtocol::TCP | IpProtocol::UDP | SCTP, Slot::TpDst) => place(2, 2),
        (IpProtocol::TCP | IpProtocol::UDP | SCTP, Slot::TpSrc)
        | (IpProtocol::ICMP | IpProtocol::ICMPV6, Slot::TpDst) => place(0, 2),
        (IpProtocol::ICMPV6, _) if is_discovery(frame, start) => match slot {
            Slot::NdReserved => place(4, 4),
            Slot::NdTarget if upper.end - start >= 24 => place(8, 16),
            Slot::NdOptionsType => Some(place(option(upper, frame, None)?, 2)?.shifted(8)),
            Slot::ArpSha => place(option(upper, frame, Some(SOURCE_ADDRESS))? + 2, 6),
            Slot::ArpTha => place(option(upper, frame, Some(TARGET_ADDRESS))? + 2, 6),
            _ => None,
        },
        _ => None,
    }
}

/// True for a neighbour solicitation or advertisement with code 0.
fn is_discovery(frame: &[u8], start: usize) -> bool {
    let head = frame.get(start..).and_then(|bytes| bytes.first_chunk());
    matches!(head, Some([NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT, 0]))
}

/// Where the first option with a link-layer address starts, from the header: one of this kind, or
/// of either.
fn option(upper: Upper, frame: &[u8], kind: Option<u8>) -> Option<usize> {
    let bytes = frame.get(upper.start..upper.end)?;
    let mut at = 24;
    while let Some(&[option, units]) = bytes.get(at..)?.first_chunk() {
        // RFC 4861 section 4.6: the length counts units of 8 bytes and is not 0.
        let len = usize::from(units) * 8;
        if len == 0 || bytes.len() < at + len {
            return None;
        }
        let is_address = len == 8 && [SOURCE_ADDRESS, TARGET_ADDRESS].contains(&option);
        if is_address && kind.is_none_or(|kind| kind == option) {
            return Some(at);
        }
        at += len;
    }
    None
}
