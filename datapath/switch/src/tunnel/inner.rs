//! What the outer headers take from the inner frame: ECN, DSCP, TTL, and which flow it is.

use weft_wire::checksum::{self, local};
use weft_wire::parse_l2;
use weft_wire::{EtherType, IpProtocol};

/// An inner frame, read as far as its IP header, behind at most two VLAN tags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inner<'a> {
    /// The fixed header, and the packet from there on.
    V4(&'a [u8; 20], &'a [u8]),
    /// The fixed header, and what follows it.
    V6(&'a [u8; 40], &'a [u8]),
    /// Not IP: the frame.
    Other(&'a [u8]),
}

/// Odd numbers with many bits of either kind, to multiply with.
const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// Multiplies, and folds the halves of the product together.
#[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
const fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ MIX[0]) as u128 * (b ^ MIX[1]) as u128;
    product as u64 ^ (product >> 64) as u64
}

impl<'a> Inner<'a> {
    /// Reads the headers.
    #[inline]
    pub(crate) fn read(frame: &'a [u8]) -> Self {
        let Ok(l2) = parse_l2(frame) else { return Self::Other(frame) };
        let packet = frame.get(l2.l3_offset..).unwrap_or_default();
        let ip = match l2.ethertype {
            EtherType::IPV4 => packet.first_chunk().map(|header| Self::V4(header, packet)),
            EtherType::IPV6 => {
                packet.split_first_chunk().map(|(header, rest)| Self::V6(header, rest))
            }
            _ => None,
        };
        ip.unwrap_or(Self::Other(frame))
    }

    /// TOS or traffic class; `None` when it is not IP.
    pub(crate) const fn tos(&self) -> Option<u8> {
        match self {
            Self::V4([_, tos, ..], _) => Some(*tos),
            Self::V6([high, low, ..], _) => Some(*high << 4 | *low >> 4),
            Self::Other(_) => None,
        }
    }

    /// TTL or hop limit; `None` when it is not IP.
    pub(crate) const fn ttl(&self) -> Option<u8> {
        match self {
            Self::V4([_, _, _, _, _, _, _, _, ttl, ..], _)
            | Self::V6([_, _, _, _, _, _, _, ttl, ..], _) => Some(*ttl),
            Self::Other(_) => None,
        }
    }

    /// Partial sum of `frame`, of which this was read.
    #[inline]
    pub(crate) fn frame_sum(&self, frame: &[u8]) -> u64 {
        match self {
            Self::V4(_, packet) => {
                local::frame_sum_l3(frame, frame.len() - packet.len(), EtherType::IPV4)
            }
            Self::V6(header, rest) => {
                let l3_offset = frame.len() - rest.len() - header.len();
                local::frame_sum_l3(frame, l3_offset, EtherType::IPV6)
            }
            Self::Other(_) => checksum::sum(frame),
        }
    }

    /// A number that is the same for all packets of a flow and scattered between flows: of IP the
    /// addresses, the protocol and the ports; of other frames the MAC addresses.  Fragments have no
    /// ports here, not even the first, so that those of one packet stay together.
    #[inline]
    pub(crate) fn flow_hash(&self) -> u32 {
        let mixed = match *self {
            Self::V4(header, packet) => {
                let &[start, _, _, _, _, _, flags, offset, _, protocol, ..] = header;
                let is_fragment = (flags & 0x3f, offset) != (0, 0);
                let ports = if is_fragment {
                    0
                } else {
                    ports(protocol, packet.get(usize::from(start & 0x0f) * 4..))
                };
                mix(word(header.get(12..)), u64::from(protocol) << 32 | u64::from(ports))
            }
            Self::V6(header, rest) => {
                let &[_, _, _, _, _, _, protocol, ..] = header;
                let ports = u64::from(protocol) << 32 | u64::from(ports(protocol, Some(rest)));
                let source = mix(word(header.get(8..)), word(header.get(16..)));
                let target = mix(word(header.get(24..)), word(header.get(32..)));
                mix(source, target.rotate_left(17) ^ ports)
            }
            Self::Other(frame) => mix(word(Some(frame)), word(frame.get(4..))),
        };
        (mixed >> 32) as u32
    }
}

/// The first eight bytes; 0 when there are fewer.
fn word(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Both ports of TCP, UDP or SCTP (RFC 9260) as one number.
fn ports(protocol: u8, segment: Option<&[u8]>) -> u32 {
    const SCTP: IpProtocol = IpProtocol(132);
    match IpProtocol(protocol) {
        IpProtocol::TCP | IpProtocol::UDP | SCTP => {
            segment.and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        }
        _ => 0,
    }
}
