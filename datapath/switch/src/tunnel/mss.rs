//! `other_config:tunnel-mss-clamp`: TCP is told in time how large its segments may be, for paths
//! on which ICMP gets lost.

use weft_wire::checksum;
use weft_wire::tcp::{self, TcpFlags};
use weft_wire::tlv::{TcpOptions, Tlvs};
use weft_wire::{EtherType, IpProtocol, parse_l2};

/// The option's kind, RFC 9293 section 3.2; its value has two bytes.
const MSS: u8 = 2;
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES: u32 = 20;

/// Lowers the MSS option of a TCP SYN in an Ethernet frame to what fits, where `mtu_of` says how
/// long an IP packet may be behind an L2 header of so many bytes.  All other frames stay as they
/// are; so does a SYN without the option, whose MSS is small enough anyway (RFC 9293: 536 or 1220).
pub(crate) fn clamp(frame: &mut [u8], mtu_of: impl FnOnce(usize) -> Option<u32>) -> Option<()> {
    let l2 = parse_l2(frame).ok()?;
    let packet = frame.get_mut(l2.l3_offset..)?;
    let (segment, ip_bytes) = match l2.ethertype {
        EtherType::IPV4 => (segment_v4(packet)?, IPV4_BYTES),
        EtherType::IPV6 => (segment_v6(packet)?, IPV4_BYTES * 2),
        _ => return None,
    };
    let &[_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, ..] = segment.first_chunk::<20>()?;
    if !TcpFlags(u16::from(flags)).has(TcpFlags::SYN) {
        return None;
    }
    let mss_max = mtu_of(l2.l3_offset)?.checked_sub(ip_bytes + TCP_BYTES)?;
    let mss_max = u16::try_from(mss_max).ok()?;
    lower(segment, usize::from(offset >> 4) * 4, mss_max)
}

/// The TCP segment of an IPv4 packet, unless it is another protocol's or a later fragment.
fn segment_v4(packet: &mut [u8]) -> Option<&mut [u8]> {
    let &[first, _, _, _, _, _, frag_hi, frag_lo, _, protocol, ..] = packet.first_chunk::<20>()?;
    let is_first = (frag_hi & 0x1f, frag_lo) == (0, 0);
    let header_bytes = usize::from(first & 0x0f) * 4;
    (protocol == IpProtocol::TCP.get() && is_first).then_some(())?;
    packet.get_mut(header_bytes..)
}

/// The TCP segment of an IPv6 packet without extension headers, which no SYN has in practice.
fn segment_v6(packet: &mut [u8]) -> Option<&mut [u8]> {
    let &[_, _, _, _, _, _, protocol, ..] = packet.first_chunk::<IPV6_BYTES>()?;
    (protocol == IpProtocol::TCP.get()).then_some(())?;
    packet.get_mut(IPV6_BYTES..)
}

/// Lowers the option in a segment with a header of `header_bytes`.
fn lower(segment: &mut [u8], header_bytes: usize, mss_max: u16) -> Option<()> {
    let mut options = Tlvs::<TcpOptions>::new(segment.get(tcp::LEN_BYTES..header_bytes)?);
    let found = options.find_map(|option| option.ok().filter(|option| option.kind == MSS))?;
    let before = u16::from_be_bytes(found.value.try_into().ok()?);
    let at = header_bytes - options.rest().len() - found.value.len();
    (before > mss_max).then(|| write(segment, at, before, mss_max))?
}

/// Replaces the value at `at`, and makes the checksum fit.
fn write(segment: &mut [u8], at: usize, before: u16, after: u16) -> Option<()> {
    *segment.get_mut(at..)?.first_chunk_mut()? = after.to_be_bytes();
    // A value that straddles two of the words that are added counts with its bytes swapped.
    let swap = |value: u16| if at.is_multiple_of(2) { value } else { value.swap_bytes() };
    let field = segment.get_mut(tcp::CHECKSUM_OFFSET..)?.first_chunk_mut()?;
    let sum = checksum::update_u16(u16::from_be_bytes(*field), swap(before), swap(after));
    *field = sum.to_be_bytes();
    Some(())
}

#[cfg(test)]
#[path = "mss_tests.rs"]
mod tests;
