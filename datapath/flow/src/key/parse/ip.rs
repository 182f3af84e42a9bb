//! IPv4 and IPv6, its extension headers, fragments.

use super::super::words::Words;
use super::upper;
use crate::{Slot, extensions};
use weft_wire::{Ipv4Header, Ipv6Header};

/// In [`Slot::NwFrag`]: a fragment, and one that is not the first.
const FRAGMENT: u8 = 1;
const LATER: u8 = 2;

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
    let walk = extensions::walk(header.next_header, payload)?;
    let fragment = match (walk.is_fragment, walk.is_later) {
        (_, true) => FRAGMENT | LATER,
        (true, false) => FRAGMENT,
        (false, false) => 0,
    };
    key.set(Slot::Ipv6Label, header.flow_label().into());
    key.set(Slot::NwTos, header.traffic_class().into());
    key.set(Slot::NwTtl, header.hop_limit.into());
    key.set(Slot::NwFrag, fragment.into());
    key.set(Slot::NwProto, walk.protocol.0.into());
    if walk.is_later {
        return Some(());
    }
    upper::read(key, walk.protocol, payload.get(walk.at..)?)
}
