//! What IGMP and MLD messages teach.

use super::Mdb;
use crate::PortKey;
use weft_wire::group_record::{GroupAddress, Records};
use weft_wire::igmp::Igmp;
use weft_wire::mld::Mld;
use weft_wire::vid::Vid;
use weft_wire::{EtherType, Group, IpProtocol, Ipv4Header, Ipv6Header, parse_l2};

impl Mdb {
    /// Takes a frame that came in on `port`, in VLAN `vid`.  Only whole IGMP and MLD messages with a
    /// right checksum teach anything, and a port that floods teaches nothing: it
    /// gets all there is anyway.
    pub fn receive(&mut self, port: PortKey, vid: Vid, frame: &[u8], now_secs: u32) {
        if !self.learns_from(port) {
            return;
        }
        let Ok(l2) = parse_l2(frame) else { return };
        let l3 = frame.get(l2.l3_offset..).unwrap_or_default();
        match l2.ethertype {
            EtherType::IPV4 => self.receive_v4(port, vid, l3, now_secs),
            EtherType::IPV6 => self.receive_v6(port, vid, l3, now_secs),
            _ => {}
        }
    }

    fn receive_v4(&mut self, port: PortKey, vid: Vid, packet: &[u8], now_secs: u32) {
        let Ok((header, payload)) = Ipv4Header::parse(packet) else { return };
        if header.protocol != IpProtocol::IGMP || header.is_fragment() {
            return;
        }
        match Igmp::parse(payload) {
            Ok(Igmp::Query { .. }) => {
                // A switch that proxies queries has no address (RFC 4541 section 2.1.1, 1 b).
                if !header.source().is_unspecified() {
                    self.note_router(vid, port, now_secs);
                }
            }
            Ok(Igmp::ReportV1 { group } | Igmp::ReportV2 { group }) => {
                self.join(vid, group.into(), port, now_secs);
            }
            Ok(Igmp::Leave { group }) => self.leave(vid, group.into(), port),
            Ok(Igmp::ReportV3(records)) => self.receive_records(port, vid, &records, now_secs),
            Ok(Igmp::Other { .. }) | Err(_) => {}
        }
    }

    fn receive_v6(&mut self, port: PortKey, vid: Vid, packet: &[u8], now_secs: u32) {
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
                    self.note_router(vid, port, now_secs);
                }
            }
            Ok(Some(Mld::Report { group })) => self.join(vid, group.into(), port, now_secs),
            Ok(Some(Mld::Done { group })) => self.leave(vid, group.into(), port),
            Ok(Some(Mld::ReportV2(records))) => self.receive_records(port, vid, &records, now_secs),
            Ok(None) | Err(_) => {}
        }
    }
    /// Takes the records of a report of IGMP version 3 or MLD version 2.
    fn receive_records<A: GroupAddress + Into<Group>>(
        &mut self,
        port: PortKey,
        vid: Vid,
        records: &Records<'_, A>,
        now_secs: u32,
    ) {
        for record in records.iter().filter(|record| record.kind.is_known()) {
            if record.is_leave() {
                self.leave(vid, record.group.into(), port);
            } else {
                self.join(vid, record.group.into(), port, now_secs);
            }
        }
    }
}
