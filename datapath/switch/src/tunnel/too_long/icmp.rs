//! What is said to the sender of a frame that is too long for its tunnel.
//!
//! The answers are those a router would give (RFC 1191, RFC 8201).  A switch has no address, so
//! they come from the address that the packet was for, which is what the sender's kernel looks up
//! the path by.

use weft_wire::ipv6::Ipv6Header;
use weft_wire::{IpProtocol, checksum, ipv4};

const L2_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const ICMP_BYTES: usize = 8;
/// RFC 1812 section 4.3.2.3: an `ICMPv4` error is at most so long, IP header included.
const ICMPV4_MAX_BYTES: usize = 576;
const PROTOCOL_ICMP: u8 = 1;
const NEXT_ICMPV6: u8 = IpProtocol::ICMPV6.get();
const TTL: u8 = 64;

/// Writes an answer to a frame that does not fit into `out`, as an untagged Ethernet frame; its length.
/// `None` when it is not IP, or must not be answered.
///
/// The frame has `l2_bytes` in front of its L3 header; `mtu` is the largest L3 packet that would fit.
pub(crate) fn answer(frame: &[u8], l2_bytes: usize, mtu: u32, out: &mut [u8]) -> Option<usize> {
    let l2 = frame.first_chunk::<12>()?;
    let packet = frame.get(l2_bytes..)?;
    if l2[0] & 1 == 1 || l2[6] & 1 == 1 {
        return None;
    }
    let room = out.get_mut(L2_BYTES..);
    let written = match frame.get(l2_bytes - 2..l2_bytes) {
        Some([0x08, 0x00]) => answer_v4(packet, mtu, room),
        Some([0x86, 0xdd]) => answer_v6(packet, mtu, room),
        _ => None,
    }?;
    let head = out.first_chunk_mut::<L2_BYTES>()?;
    head[..6].copy_from_slice(&l2[6..]);
    head[6..12].copy_from_slice(&l2[..6]);
    head[12..].copy_from_slice(if written.is_ipv6 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
    Some(L2_BYTES + written.len)
}

struct Written {
    is_ipv6: bool,
    len: usize,
}

/// RFC 1122 section 3.2.2: never in answer to an ICMP error, to a fragment other than the first,
/// or to what did not come from, or was not for, one host.
fn answer_v4(packet: &[u8], mtu: u32, out: Option<&mut [u8]>) -> Option<Written> {
    // Whoever sent it cannot be told from a damaged header (RFC 1812 section 5.2.2).
    ipv4::verify_checksum(packet).ok()?;
    let (header, rest) = packet.split_first_chunk::<IPV4_BYTES>()?;
    let &[ver_ihl, _, _, _, _, _, flags, offset, _, protocol, _, _, addresses @ ..] = header;
    let &[s0, s1, s2, s3, t0, t1, t2, t3] = &addresses;
    let is_host =
        |first: u8, all: [u8; 4]| first != 0 && first != 127 && first < 224 && all != [255; 4];
    let is_first = (flags & 0x1f, offset) == (0, 0);
    // Types 3, 4, 5, 11 and 12 are errors.
    let is_error = protocol == PROTOCOL_ICMP && matches!(rest.first(), Some(3..=5 | 11 | 12));
    let may = ver_ihl >> 4 == 4
        && is_first
        && !is_error
        && is_host(s0, [s0, s1, s2, s3])
        && is_host(t0, [t0, t1, t2, t3]);
    if !may {
        return None;
    }
    let quoted = packet.get(..packet.len().min(ICMPV4_MAX_BYTES - IPV4_BYTES - ICMP_BYTES))?;
    let len = IPV4_BYTES + ICMP_BYTES + quoted.len();
    let out = out?.get_mut(..len)?;
    let (ip, icmp) = out.split_at_mut(IPV4_BYTES);
    let [len_hi, len_lo] = u16::try_from(len).ok()?.to_be_bytes();
    ip.copy_from_slice(&[
        0x45,
        0xc0,
        len_hi,
        len_lo,
        0,
        0,
        0,
        0,
        TTL,
        PROTOCOL_ICMP,
        0,
        0,
        t0,
        t1,
        t2,
        t3,
        s0,
        s1,
        s2,
        s3,
    ]);
    let sum = checksum::internet_checksum(ip).to_be_bytes();
    ip.get_mut(10..12)?.copy_from_slice(&sum);
    let [mtu_hi, mtu_lo] = u16::try_from(mtu).ok()?.to_be_bytes();
    let (head, body) = icmp.split_at_mut(ICMP_BYTES);
    head.copy_from_slice(&[3, 4, 0, 0, 0, 0, mtu_hi, mtu_lo]);
    body.copy_from_slice(quoted);
    let sum = checksum::internet_checksum(icmp).to_be_bytes();
    icmp.get_mut(2..4)?.copy_from_slice(&sum);
    Some(Written { is_ipv6: false, len })
}

/// RFC 4443 section 2.4 (e): the same, for IPv6.
fn answer_v6(packet: &[u8], mtu: u32, out: Option<&mut [u8]>) -> Option<Written> {
    const REDIRECT: u8 = 137;
    let (ip, payload) = Ipv6Header::parse(packet).ok()?;
    let walk = ip.walk(payload).ok()?;
    let is_later = walk.fragment.is_some_and(|fragment| fragment.offset_bytes != 0);
    // Types below 128 are errors.
    let is_error = walk.protocol == IpProtocol::ICMPV6
        && walk.payload.first().is_none_or(|kind| *kind < 128 || *kind == REDIRECT);
    let (source, target) = packet.get(8..IPV6_BYTES)?.split_at_checked(16)?;
    let is_host = |a: &[u8]| a.first() != Some(&0xff) && a.get(..15) != Some(&[0; 15]);
    if is_later || is_error || !is_host(source) || !is_host(target) {
        return None;
    }
    let quoted = packet.get(..packet.len().min(1280 - IPV6_BYTES - ICMP_BYTES))?;
    let payload = ICMP_BYTES + quoted.len();
    let out = out?.get_mut(..IPV6_BYTES + payload)?;
    let (ip, icmp) = out.split_at_mut(IPV6_BYTES);
    let [len_hi, len_lo] = u16::try_from(payload).ok()?.to_be_bytes();
    let (fixed, answered) = ip.split_at_mut(8);
    fixed.copy_from_slice(&[0x60, 0, 0, 0, len_hi, len_lo, NEXT_ICMPV6, TTL]);
    let (from, to) = answered.split_at_mut(16);
    from.copy_from_slice(target);
    to.copy_from_slice(source);
    let (head, body) = icmp.split_at_mut(ICMP_BYTES);
    let [a, b, c, d] = mtu.max(1280).to_be_bytes();
    head.copy_from_slice(&[2, 0, 0, 0, a, b, c, d]);
    body.copy_from_slice(quoted);
    let pseudo = checksum::sum(answered) + u64::try_from(payload).ok()? + u64::from(NEXT_ICMPV6);
    let sum = (!checksum::fold(pseudo + checksum::sum(icmp))).to_be_bytes();
    icmp.get_mut(2..4)?.copy_from_slice(&sum);
    Some(Written { is_ipv6: true, len: IPV6_BYTES + payload })
}
