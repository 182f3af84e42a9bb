//! What an IP packet to a group address is to the fast path.

use weft_wire::igmp::Role;
use weft_wire::{EtherType, Group, IpProtocol, Ipv4Header, Ipv6Header, mld, parse_l2};

/// What a frame to a group address is to a bridge that snoops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// To be flooded, and a copy is wanted when it is a query.
    Flood {
        /// It is a query.
        is_query: bool,
    },
    /// A report or a leave, of which a copy is wanted.
    Membership,
    /// Data for this group.
    Data(Group),
}

/// Reads as much of a frame as forwarding needs.  A packet that cannot be read is data for a group
/// that nobody is a member of.
pub(crate) fn classify(frame: &[u8]) -> Class {
    const FLOOD: Class = Class::Flood { is_query: false };
    let Ok(l2) = parse_l2(frame) else { return FLOOD };
    let l3 = frame.get(l2.l3_offset..).unwrap_or_default();
    let (role, group) = match l2.ethertype {
        EtherType::IPV4 => match Ipv4Header::parse(l3) {
            Ok((header, payload)) => (igmp_role(header, payload), Group::from(header.target())),
            Err(_) => (None, Group::UNSPECIFIED),
        },
        EtherType::IPV6 => match Ipv6Header::parse(l3) {
            Ok((header, payload)) => (mld_role(header, payload), Group::from(header.target())),
            Err(_) => (None, Group::UNSPECIFIED),
        },
        _ => return FLOOD,
    };
    match role {
        Some(Role::Membership) => Class::Membership,
        Some(Role::Query) => Class::Flood { is_query: true },
        Some(Role::Other) => FLOOD,
        None if group.is_local() => FLOOD,
        None => Class::Data(group),
    }
}

fn igmp_role(header: &Ipv4Header, payload: &[u8]) -> Option<Role> {
    if header.protocol != IpProtocol::IGMP {
        return None;
    }
    let is_message = header.fragment_offset_bytes() == 0 && payload.len() >= 8;
    Some(payload.first().filter(|_| is_message).map_or(Role::Other, |kind| Role::of(*kind)))
}

fn mld_role(header: &Ipv6Header, payload: &[u8]) -> Option<Role> {
    let walk = header.walk(payload).ok()?;
    let is_message = walk.protocol == IpProtocol::ICMPV6
        && walk.fragment.is_none_or(|fragment| fragment.offset_bytes == 0);
    mld::role(*walk.payload.first().filter(|_| is_message)?)
}
