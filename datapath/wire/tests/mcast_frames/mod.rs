//! Frames of hosts and routers that speak IGMP and MLD, made by hand: from the RFCs' figures, not
//! by the code under test.
#![allow(dead_code, reason = "each test uses some")]

use proptest::prelude::*;
use std::net::Ipv6Addr;
use weft_wire::Group;

/// Groups 0 to 3 are of IPv4, 4 to 7 of IPv6.  0 and 1 share an address of Ethernet.
const V4: [[u8; 4]; 4] = [[239, 1, 2, 3], [238, 129, 2, 3], [239, 0, 0, 9], [232, 5, 6, 7]];
const V6: [&str; 4] = ["ff05::1:3", "ff02::1:ff00:1", "ff0e::77", "ff35::8000:1"];

/// The address of a group, one of IPv4 as the IPv6 address that it is mapped to.
pub fn address(group: u8) -> Ipv6Addr {
    match V4.get(usize::from(group)) {
        Some(v4) => std::net::Ipv4Addr::from(*v4).to_ipv6_mapped(),
        None => V6[usize::from(group) - 4].parse().unwrap(),
    }
}

/// The number of a group.
pub fn group_of(group: Group) -> u8 {
    (0..8).find(|number| Group::from(address(*number)) == group).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Query,
    /// Version 1 of either protocol, `IGMPv2`, or a leave.
    Old,
    /// With records.
    New,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Said {
    pub kind: Kind,
    pub is_v6: bool,
    /// Groups, and whether they are joined.  One in an old message.
    pub groups: Vec<(u8, bool)>,
    /// The sender has an address.
    pub has_source: bool,
    /// The checksum is wrong.
    pub is_damaged: bool,
    /// Chooses between ways to say the same.
    pub variety: u8,
}

/// Any message.
pub fn said() -> impl Strategy<Value = Said> {
    let kind = prop_oneof![
        1 => Just(Kind::Query),
        4 => Just(Kind::Old),
        3 => Just(Kind::New),
    ];
    let groups = prop::collection::vec((0u8..4, prop::bool::weighted(0.7)), 1..4);
    let rest = (prop::bool::weighted(0.9), prop::bool::weighted(0.05), any::<u8>());
    (kind, any::<bool>(), groups, rest).prop_map(|(kind, is_v6, mut groups, rest)| {
        let (has_source, is_damaged, variety) = rest;
        if kind == Kind::Old {
            groups.truncate(1);
        }
        for (group, _) in &mut groups {
            *group += if is_v6 { 4 } else { 0 };
        }
        Said { kind, is_v6, groups, has_source, is_damaged, variety }
    })
}

impl Said {
    /// The frame, from a station behind `port`.
    pub fn frame(&self, port: u16) -> Vec<u8> {
        let message = if self.is_v6 { self.mld() } else { self.igmp() };
        if self.is_v6 { self.v6(port, message) } else { self.v4(port, message) }
    }

    fn igmp(&self) -> Vec<u8> {
        let (group, joins) = self.groups[0];
        let v4 = |group: u8| V4[usize::from(group)];
        match self.kind {
            Kind::Query => {
                let tail: &[u8] = if self.variety & 1 == 0 { &[] } else { &[2, 125, 0, 0] };
                [&[0x11, 100, 0, 0, 0, 0, 0, 0], tail].concat()
            }
            Kind::Old => {
                let kind = if joins { [0x12, 0x16][usize::from(self.variety & 1)] } else { 0x17 };
                [&[kind, 0, 0, 0][..], &v4(group)].concat()
            }
            Kind::New => {
                let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, self.groups.len() as u8 + 1];
                // A record of an unknown type, with all there can be in a record, is stepped over.
                message.extend([9, 1, 0, 1, 239, 1, 2, 3, 1, 1, 1, 1, 0xde, 0xad, 0xbe, 0xef]);
                for (group, joins) in &self.groups {
                    message.extend(self.record(*joins, &v4(*group), 4));
                }
                message
            }
        }
    }

    fn mld(&self) -> Vec<u8> {
        let (group, joins) = self.groups[0];
        let v6 = |group: u8| address(group).octets();
        match self.kind {
            Kind::Query => {
                let tail: &[u8] = if self.variety & 1 == 0 { &[] } else { &[2, 125, 0, 0] };
                [&[130, 0, 0, 0, 0x27, 0x10, 0, 0][..], &[0; 16], tail].concat()
            }
            Kind::Old => {
                let kind = if joins { 131 } else { 132 };
                [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &v6(group)].concat()
            }
            Kind::New => {
                let mut message = vec![143, 0, 0, 0, 0, 0, 0, self.groups.len() as u8];
                for (group, joins) in &self.groups {
                    message.extend(self.record(*joins, &v6(*group), 16));
                }
                message
            }
        }
    }

    /// A record that joins or leaves, in one of the ways there are.
    fn record(&self, joins: bool, group: &[u8], unit: usize) -> Vec<u8> {
        let (kind, sources) = match (joins, self.variety % 4) {
            (true, 0) => (4, 0),
            (true, 1) => (2, 1),
            (true, 2) => (1, 2),
            (true, _) => (6, 1),
            (false, 0 | 1) => (3, 0),
            (false, _) => (1, 0),
        };
        let words = self.variety >> 6;
        let mut record = vec![kind, words, 0, sources];
        record.extend(group);
        record.resize(record.len() + usize::from(sources) * unit + usize::from(words) * 4, 0x33);
        record
    }

    fn finish(&self, message: &mut [u8], pseudo: &[u8]) {
        let sum = plain_checksum(&[pseudo, message]);
        let sum = if self.is_damaged { sum ^ 0x0100 } else { sum };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    fn v4(&self, port: u16, mut message: Vec<u8>) -> Vec<u8> {
        self.finish(&mut message, &[]);
        let source = if self.has_source { [10, 0, 0, port as u8] } else { [0; 4] };
        v4_packet(2, source, [224, 0, 0, 22], &message, port)
    }

    fn v6(&self, port: u16, mut message: Vec<u8>) -> Vec<u8> {
        let mut source = [0; 16];
        if self.has_source {
            (source[0], source[1], source[15]) = (0xfe, 0x80, port as u8 + 1);
        }
        let target: Ipv6Addr = "ff02::16".parse().unwrap();
        let len = message.len() as u32;
        let pseudo = [&source[..], &target.octets(), &len.to_be_bytes(), &[0, 0, 0, 58]].concat();
        self.finish(&mut message, &pseudo);
        // Hop-by-hop options: router alert, padding.
        let payload = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &message].concat();
        v6_packet(0, source, target, &payload, port)
    }
}

/// A frame with an IPv4 packet, router alert included.
pub fn v4_packet(
    protocol: u8,
    source: [u8; 4],
    target: [u8; 4],
    payload: &[u8],
    port: u16,
) -> Vec<u8> {
    let mac = [0x01, 0x00, 0x5e, target[1] & 0x7f, target[2], target[3]];
    let total = 24 + payload.len() as u16;
    let [high, low] = total.to_be_bytes();
    let mut header = vec![0x46, 0xc0, high, low, 0, 0, 0, 0, 1, protocol, 0, 0];
    header.extend(source);
    header.extend(target);
    header.extend([0x94, 4, 0, 0]);
    let sum = plain_checksum(&[&header]).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [&mac[..], &[2, 0, 0, 0, 0, port as u8], &[0x08, 0x00], &header, payload].concat()
}

/// A frame with an IPv6 packet.
pub fn v6_packet(
    next: u8,
    source: [u8; 16],
    target: Ipv6Addr,
    payload: &[u8],
    port: u16,
) -> Vec<u8> {
    let octets = target.octets();
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let mac = [&[0x33, 0x33][..], &octets[12..]].concat();
    let header = [0x60, 0, 0, 0, high, low, next, 1];
    let head = [&mac[..], &[2, 0, 0, 0, 0, port as u8], &[0x86, 0xdd], &header].concat();
    [&head[..], &source, &octets, payload].concat()
}

/// The internet checksum of `parts`, one after the other; all but the last have an even length.
fn plain_checksum(parts: &[&[u8]]) -> u16 {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let words = bytes.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// A report of `IGMPv2`.
pub fn igmp_report(group: [u8; 4], port: u16) -> Vec<u8> {
    let mut message = [&[0x16, 0, 0, 0][..], &group].concat();
    let sum = plain_checksum(&[&message]).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    v4_packet(2, [10, 0, 0, 9], group, &message, port)
}

/// Data for a group.
pub fn data(group: u8, port: u16) -> Vec<u8> {
    let address = address(group);
    match address.to_ipv4_mapped() {
        Some(v4) => v4_packet(17, [10, 0, 0, 1], v4.octets(), &[0x55; 30], port),
        None => v6_packet(17, [0xfd; 16], address, &[0x55; 30], port),
    }
}
