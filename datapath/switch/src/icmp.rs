//! What to do with a frame that is too long for its tunnel: tell the sender, or fragment.
//!
//! The answers are those a router would give (RFC 1191, RFC 8201).  A switch has no address, so
//! they come from the address that the packet was for, which is what the sender's kernel looks up
//! the path by.

use weft_wire::checksum;

const L2_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const ICMP_BYTES: usize = 8;
/// RFC 1812 section 4.3.2.3: an `ICMPv4` error is at most so long, IP header included.
const ICMPV4_MAX_BYTES: usize = 576;
const PROTOCOL_ICMP: u8 = 1;
const NEXT_ICMPV6: u8 = 58;
const TTL: u8 = 64;

/// What can be done for a packet that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// An answer of so many bytes was written.
    Answer(usize),
    /// It may be fragmented.
    Fragment,
    /// Nothing: not IP, or not to be answered.
    None,
}

/// Decides, and writes the answer into `out` as an untagged Ethernet frame.
///
/// `frame` is the frame that does not fit, with `l2_bytes` in front of its L3 header; `mtu` the
/// largest L3 packet that would.
pub(crate) fn remedy(frame: &[u8], l2_bytes: usize, mtu: u32, out: &mut [u8]) -> Remedy {
    let (Some(l2), Some(packet)) = (frame.first_chunk::<12>(), frame.get(l2_bytes..)) else {
        return Remedy::None;
    };
    if l2[0] & 1 == 1 || l2[6] & 1 == 1 {
        return Remedy::None;
    }
    let written = match frame.get(l2_bytes - 2..l2_bytes) {
        Some([0x08, 0x00]) if may_fragment(packet) => return Remedy::Fragment,
        Some([0x08, 0x00]) => answer_v4(packet, mtu, out.get_mut(L2_BYTES..)),
        Some([0x86, 0xdd]) => answer_v6(packet, mtu, out.get_mut(L2_BYTES..)),
        _ => None,
    };
    let (Some(written), Some(head)) = (written, out.first_chunk_mut::<L2_BYTES>()) else {
        return Remedy::None;
    };
    head[..6].copy_from_slice(&l2[6..]);
    head[6..12].copy_from_slice(&l2[..6]);
    head[12..].copy_from_slice(if written.is_ipv6 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
    Remedy::Answer(L2_BYTES + written.len)
}

struct Written {
    is_ipv6: bool,
    len: usize,
}

/// True for an IPv4 packet without options and without DF.
fn may_fragment(packet: &[u8]) -> bool {
    matches!(packet.first_chunk(), Some(&[0x45, _, _, _, _, _, flags, _]) if flags & 0x40 == 0)
}

/// RFC 1122 section 3.2.2: never in answer to an ICMP error, to a fragment other than the first,
/// or to what did not come from, or was not for, one host.
fn answer_v4(packet: &[u8], mtu: u32, out: Option<&mut [u8]>) -> Option<Written> {
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
    let (header, rest) = packet.split_first_chunk::<IPV6_BYTES>()?;
    let &[version, _, _, _, _, _, next, _, addresses @ ..] = header;
    let (source, target) = addresses.split_at(16);
    let is_host = |a: &[u8]| a.first() != Some(&0xff) && a.get(..15) != Some(&[0; 15]);
    // Types below 128 are errors.
    let is_error = next == NEXT_ICMPV6 && rest.first().is_none_or(|kind| *kind < 128);
    if version >> 4 != 6 || is_error || !is_host(source) || !is_host(target) {
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

/// One fragment of an IPv4 frame, written into `out`: the bytes from `offset` of its payload, as
/// many as fit `mtu`.  Returns its length and the offset of the next, `None` when that was the
/// last.  `None` at all when the packet is not what its header says.
pub(crate) fn fragment(
    frame: &[u8],
    l2_bytes: usize,
    mtu: u32,
    offset: usize,
    out: &mut [u8],
) -> Option<(usize, Option<usize>)> {
    let packet = frame.get(l2_bytes..)?;
    let (header, _) = packet.split_first_chunk::<IPV4_BYTES>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let payload = packet.get(IPV4_BYTES..total)?;
    let room = usize::try_from(mtu).ok()?.checked_sub(IPV4_BYTES)? & !7;
    let rest = payload.get(offset..)?;
    let is_last = rest.len() <= room;
    let part = rest.get(..rest.len().min(room)).filter(|part| !part.is_empty())?;

    let len = l2_bytes + IPV4_BYTES + part.len();
    let out = out.get_mut(..len)?;
    let (l2, l3) = out.split_at_mut(l2_bytes);
    l2.copy_from_slice(frame.get(..l2_bytes)?);
    let (ip, body) = l3.split_at_mut(IPV4_BYTES);
    body.copy_from_slice(part);
    ip.copy_from_slice(header);
    // The packet may itself be a fragment: its offset and its More Fragments bit stay in force.
    let before = u16::from_be_bytes([header[6], header[7]]);
    let more = if is_last { before & 0x2000 } else { 0x2000 };
    let at = (before & 0x1fff) + u16::try_from(offset / 8).ok()?;
    let total = u16::try_from(IPV4_BYTES + part.len()).ok()?;
    ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
    ip.get_mut(6..8)?.copy_from_slice(&(more | at & 0x1fff).to_be_bytes());
    ip.get_mut(10..12)?.fill(0);
    let sum = checksum::internet_checksum(ip).to_be_bytes();
    ip.get_mut(10..12)?.copy_from_slice(&sum);
    Some((len, (!is_last).then_some(offset + part.len())))
}
