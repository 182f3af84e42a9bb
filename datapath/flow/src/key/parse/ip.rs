//! IPv4 and IPv6, its extension headers, fragments.

use super::super::words::Words;
use super::{take, upper};
use crate::Slot;
use weft_wire::{IpProtocol, Ipv4Header, Ipv6Header};

/// In [`Slot::NwFrag`]: a fragment, and one that is not the first.
const FRAGMENT: u8 = 1;
const LATER: u8 = 2;

/// Extension headers that are walked: a packet with more reads as one that is cut off.
const EXTENSIONS_MAX: usize = 16;

/// Authentication header, RFC 4302: its length counts words of 4 bytes.
const AH: IpProtocol = IpProtocol(51);

pub(super) fn v4(key: &mut Words, bytes: &[u8]) -> Option<()> {
    let (header, payload) = Ipv4Header::parse(bytes).ok()?;
    let fragment = match (header.is_fragment(), header.fragment_offset_bytes()) {
        (false, _) => 0,
        (true, 0) => FRAGMENT,
        (true, _) => FRAGMENT | LATER,
    };
    key.set(Slot::NwSrc, u32::from(header.source()).into());
    key.set(Slot::NwDst, u32::from(header.target()).into());
    key.set(Slot::NwTos, header.tos.into());
    key.set(Slot::NwTtl, header.ttl.into());
    key.set(Slot::NwFrag, fragment.into());
    key.set(Slot::NwProto, header.protocol.0.into());
    if fragment & LATER == 0 { upper::read(key, header.protocol, payload) } else { Some(()) }
}

pub(super) fn v6(key: &mut Words, bytes: &[u8]) -> Option<()> {
    let (header, payload) = Ipv6Header::parse(bytes).ok()?;
    key.set(Slot::Ipv6Src, u128::from(header.source()));
    key.set(Slot::Ipv6Dst, u128::from(header.target()));
    let mut walk = Walk { protocol: header.next_header, rest: payload, fragment: 0 };
    walk.skip_extensions()?;
    key.set(Slot::Ipv6Label, header.flow_label().into());
    key.set(Slot::NwTos, header.traffic_class().into());
    key.set(Slot::NwTtl, header.hop_limit.into());
    key.set(Slot::NwFrag, walk.fragment.into());
    key.set(Slot::NwProto, walk.protocol.0.into());
    if walk.fragment & LATER == 0 { upper::read(key, walk.protocol, walk.rest) } else { Some(()) }
}

/// Where a walk along extension headers is.
struct Walk<'a> {
    protocol: IpProtocol,
    rest: &'a [u8],
    fragment: u8,
}

impl Walk<'_> {
    /// Goes to what is no extension header; a later fragment has that of fragments as protocol.
    fn skip_extensions(&mut self) -> Option<()> {
        for _ in 0..EXTENSIONS_MAX {
            let unit = match self.protocol {
                IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DESTINATION_OPTIONS => 8,
                AH => 4,
                IpProtocol::FRAGMENT if self.fragment & LATER == 0 => {
                    self.skip_fragment()?;
                    continue;
                }
                _ => return Some(()),
            };
            let &[next, len, ..] = self.rest.first_chunk::<8>()?;
            self.protocol = IpProtocol(next);
            // AH's length counts from its third word, that of the others from their second.
            let len = unit * usize::from(len) + 8;
            self.rest = self.rest.get(len..)?;
        }
        None
    }

    fn skip_fragment(&mut self) -> Option<()> {
        let [next, _, high, low, ..]: [u8; 8] = take(&mut self.rest)?;
        // The reserved bits count as well, as they do in Open vSwitch.
        let word = u16::from_be_bytes([high, low]);
        if word != 0 {
            self.fragment = FRAGMENT;
        }
        self.protocol = IpProtocol(next);
        if word & 0xfff8 != 0 {
            self.fragment = FRAGMENT | LATER;
            self.protocol = IpProtocol::FRAGMENT;
        }
        Some(())
    }
}
