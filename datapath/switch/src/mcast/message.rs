//! What an IP packet to a group address is, for the fast path and for the state machine.

use super::{Group, Mdb};
use crate::{PortId, Tick};
use weft_wire::igmp::{Igmp, Role};
use weft_wire::mld::{self, Mld};
use weft_wire::vid::Vid;
use weft_wire::{EtherType, IpProtocol, Ipv4Header, Ipv6Header, parse_l2};

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
            Err(_) => (None, Group::NONE),
        },
        EtherType::IPV6 => match Ipv6Header::parse(l3) {
            Ok((header, payload)) => (mld_role(header, payload), Group::from(header.target())),
            Err(_) => (None, Group::NONE),
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

impl Mdb {
    /// Takes a frame that came in on `port`, in VLAN `vid`.  Only whole IGMP and MLD messages with a
    /// right checksum teach anything, and a port with `mcast-snooping-flood` teaches nothing: it
    /// gets all there is anyway.
    pub fn receive(&mut self, port: PortId, vid: Vid, frame: &[u8], now: Tick) {
        if !self.learns_from(port) {
            return;
        }
        let Ok(l2) = parse_l2(frame) else { return };
        let l3 = frame.get(l2.l3_offset..).unwrap_or_default();
        match l2.ethertype {
            EtherType::IPV4 => self.receive_v4(port, vid, l3, now),
            EtherType::IPV6 => self.receive_v6(port, vid, l3, now),
            _ => {}
        }
    }

    fn receive_v4(&mut self, port: PortId, vid: Vid, packet: &[u8], now: Tick) {
        let Ok((header, payload)) = Ipv4Header::parse(packet) else { return };
        if header.protocol != IpProtocol::IGMP || header.is_fragment() {
            return;
        }
        match Igmp::parse(payload) {
            Ok(Igmp::Query { .. }) => {
                // A switch that proxies queries has no address (RFC 4541 section 2.1.1, 1 b).
                if !header.source().is_unspecified() {
                    self.note_router(vid, port, now);
                }
            }
            Ok(Igmp::ReportV1 { group } | Igmp::ReportV2 { group }) => {
                self.join(vid, group.into(), port, now);
            }
            Ok(Igmp::Leave { group }) => self.leave(vid, group.into(), port),
            Ok(Igmp::ReportV3(records)) => {
                for record in records.iter().filter(|record| record.kind.is_known()) {
                    if record.is_leave() {
                        self.leave(vid, record.group.into(), port);
                    } else {
                        self.join(vid, record.group.into(), port, now);
                    }
                }
            }
            Ok(Igmp::Other { .. }) | Err(_) => {}
        }
    }

    fn receive_v6(&mut self, port: PortId, vid: Vid, packet: &[u8], now: Tick) {
        let Ok((header, payload)) = Ipv6Header::parse(packet) else { return };
        let Ok(walk) = header.walk(payload) else { return };
        if walk.protocol != IpProtocol::ICMPV6 || walk.is_fragment() {
            return;
        }
        let len_bytes = u32::try_from(walk.payload.len()).unwrap_or(u32::MAX);
        let pseudo = header.pseudo_sum(IpProtocol::ICMPV6, len_bytes);
        match Mld::parse(walk.payload, pseudo) {
            Ok(Some(Mld::Query { .. })) => {
                if !header.source().is_unspecified() {
                    self.note_router(vid, port, now);
                }
            }
            Ok(Some(Mld::Report { group })) => self.join(vid, group.into(), port, now),
            Ok(Some(Mld::Done { group })) => self.leave(vid, group.into(), port),
            Ok(Some(Mld::ReportV2(records))) => {
                for record in records.iter().filter(|record| record.kind.is_known()) {
                    if record.is_leave() {
                        self.leave(vid, record.group.into(), port);
                    } else {
                        self.join(vid, record.group.into(), port, now);
                    }
                }
            }
            Ok(None) | Err(_) => {}
        }
    }
}
