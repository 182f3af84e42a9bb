//! Frames of all kinds that keys have slots for, and a slow check of their checksums.

use crate::rewrite::crc32c;
use proptest::prelude::*;
use weft_wire::Tag;
use weft_wire::frames::plain_checksum;
use weft_wire::vlan::generators::any_tag;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SCTP: u8 = 132;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;

/// What is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Arp,
    Mpls,
    Other,
    /// IP with a protocol, and where in the datagram it starts: 8-byte units, more to come.
    V4(u8, u16, bool),
    /// The same, with a fragment header if either is set, and so many headers of options.
    V6(u8, u16, bool, u8),
}

/// Any kind; some fragments.
pub(crate) fn any_kind() -> impl Strategy<Value = Kind> {
    let part = prop_oneof![4 => Just((0, false)), 1 => Just((0, true)), 1 => Just((9, true))];
    let protocol4 = proptest::sample::select(vec![TCP, UDP, SCTP, ICMP, 47]);
    let protocol6 = proptest::sample::select(vec![TCP, UDP, SCTP, ICMPV6, ICMPV6, 47]);
    prop_oneof![
        1 => Just(Kind::Arp),
        1 => Just(Kind::Mpls),
        1 => Just(Kind::Other),
        4 => (protocol4, part.clone()).prop_map(|(proto, (at, more))| Kind::V4(proto, at, more)),
        4 => (protocol6, part, 0u8..3)
            .prop_map(|(proto, (at, more), options)| Kind::V6(proto, at, more, options)),
    ]
}

/// A frame of any kind with up to two tags, its checksums right.
pub(crate) fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let tags = proptest::collection::vec(any_tag(), 0..=2);
    (any_kind(), tags, any::<[u8; 40]>(), any::<bool>())
        .prop_map(|(kind, tags, seed, flag)| build(kind, &tags, &seed, flag))
}

/// A frame; `flag` chooses between two forms: UDP without a checksum, solicitation or advertisement.
pub(crate) fn build(kind: Kind, tags: &[Tag], seed: &[u8; 40], flag: bool) -> Vec<u8> {
    let mut frame = seed[..12].to_vec();
    frame.extend(tags.iter().flat_map(|tag| tag.to_bytes()));
    match kind {
        Kind::Arp => {
            frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1 + u8::from(flag)]);
            frame.extend(&seed[12..32]);
        }
        Kind::Mpls => {
            frame.extend([0x88, 0x47]);
            frame.extend(&seed[..20]);
        }
        Kind::Other => {
            frame.extend([0x90, 0x00]);
            frame.extend(&seed[..20]);
        }
        Kind::V4(protocol, at, more) => {
            let segment = segment(protocol, &seed[..8], seed, flag);
            let segment = if at > 0 { segment[8..].to_vec() } else { segment };
            let len = u16::try_from(20 + segment.len()).unwrap().to_be_bytes();
            let part = (at | u16::from(more) << 13).to_be_bytes();
            let mut header = vec![0x45, seed[9], len[0], len[1], 7, 7, part[0], part[1]];
            header.extend([seed[10], protocol, 0, 0]);
            header.extend(&seed[..8]);
            let sum = plain_checksum(&[&header]).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            frame.extend([8, 0]);
            frame.extend(header);
            frame.extend(segment);
        }
        Kind::V6(protocol, at, more, options) => {
            let segment = segment(protocol, &seed[..32], seed, flag);
            let mut packet = if at > 0 { segment[8..].to_vec() } else { segment };
            let mut next = protocol;
            if at > 0 || more {
                let [high, low] = (at << 3 | u16::from(more)).to_be_bytes();
                packet.splice(0..0, [next, 0, high, low, 1, 2, 3, 4]);
                next = 44;
            }
            for _ in 0..options {
                packet.splice(0..0, [next, 0, 1, 4, 0, 0, 0, 0]);
                next = 60;
            }
            frame.extend([0x86, 0xdd, 0x60 | seed[9] & 0xf, seed[10], seed[11], seed[12]]);
            frame.extend(u16::try_from(packet.len()).unwrap().to_be_bytes());
            frame.extend([next, seed[13]]);
            frame.extend(&seed[..32]);
            frame.extend(packet);
        }
    }
    frame
}

/// A segment with a checksum.
fn segment(protocol: u8, addresses: &[u8], seed: &[u8; 40], flag: bool) -> Vec<u8> {
    let mut segment = seed[4..].to_vec();
    match protocol {
        TCP => segment[12] = 0x50,
        UDP => segment[4..6].copy_from_slice(&36u16.to_be_bytes()),
        ICMPV6 => {
            segment.truncate(24);
            segment[..2].copy_from_slice(&[135 + u8::from(flag), 0]);
            segment.extend([14, 1, 1, 2, 3, 4, 5, 6, 1 + u8::from(flag), 1, 6, 5, 4, 3, 2, 1]);
        }
        _ => {}
    }
    if let Some(field) = checksum_field(protocol) {
        segment[field.clone()].fill(0);
        let sum = right_sum(protocol, addresses, &segment);
        if !(protocol == UDP && flag) {
            segment[field].copy_from_slice(&sum);
        }
    }
    segment
}

fn checksum_field(protocol: u8) -> Option<std::ops::Range<usize>> {
    match protocol {
        TCP => Some(16..18),
        UDP => Some(6..8),
        SCTP => Some(8..12),
        ICMP | ICMPV6 => Some(2..4),
        _ => None,
    }
}

/// The checksum of a segment whose field is zero.
fn right_sum(protocol: u8, addresses: &[u8], segment: &[u8]) -> Vec<u8> {
    let len = u32::try_from(segment.len()).unwrap().to_be_bytes();
    let pseudo: &[&[u8]] = &[addresses, &len, &[0, 0, 0, protocol], segment];
    match protocol {
        SCTP => crc32c::tests::crc32c(segment).to_le_bytes().to_vec(),
        ICMP => plain_checksum(&[segment]).to_be_bytes().to_vec(),
        UDP => match plain_checksum(pseudo) {
            0 => vec![0xff, 0xff],
            sum => sum.to_be_bytes().to_vec(),
        },
        _ => plain_checksum(pseudo).to_be_bytes().to_vec(),
    }
}

/// Asserts that all checksums are right, as far as the frame has all that they cover.
pub(crate) fn assert_sums(frame: &[u8]) {
    let mut at = 12;
    while [[0x81, 0], [0x88, 0xa8]].contains(frame[at..].first_chunk().unwrap()) {
        at += 4;
    }
    let packet = &frame[at + 2..];
    let (addresses, protocol, segment, is_whole) = match frame[at..at + 2] {
        [8, 0] => {
            assert_eq!(plain_checksum(&[&packet[..20]]), 0, "IPv4 header of {frame:x?}");
            (&packet[12..20], packet[9], &packet[20..], packet[6..8] == [0, 0])
        }
        [0x86, 0xdd] => {
            let (mut next, mut rest, mut is_whole) = (packet[6], &packet[40..], true);
            while [44, 60].contains(&next) {
                is_whole &= next != 44;
                (next, rest) = (rest[0], &rest[8..]);
            }
            (&packet[8..40], next, rest, is_whole)
        }
        _ => return,
    };
    let Some(field) = checksum_field(protocol).filter(|_| is_whole) else { return };
    let mut zeroed = segment.to_vec();
    zeroed[field.clone()].fill(0);
    let has_none = protocol == UDP && segment[field.clone()] == [0, 0];
    if !has_none {
        assert_eq!(segment[field], right_sum(protocol, addresses, &zeroed), "{frame:x?}");
    }
}
