//! Fragments of inner packets that are too long for their tunnel.
//!
//! IPv4 is fragmented where it may be, as by any router (RFC 791 section 3.2).  IPv6 is fragmented by
//! nobody but its sender; but a link must carry 1280 bytes (RFC 8200 section 5), and a tunnel over a
//! narrow underlay does not.  Such packets are fragmented as the sender would have done it: every host
//! puts them together, while hardly any tunnel end puts fragments of its own packets together, as
//! RFC 2473 section 7.1 would have it.

use weft_wire::IpProtocol;
use weft_wire::checksum;
use weft_wire::ipv6::Ipv6Header;

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const FRAGMENT_BYTES: usize = 8;
/// RFC 8200 section 5: every link carries that much.
const IPV6_MIN: u32 = 1280;
const MORE_V4: u16 = 0x2000;
const MORE_V6: u16 = 1;

/// One fragment of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Length of its frame.
    pub len: usize,
    /// Where in the payload the next one starts; `None` when this was the last.
    pub next: Option<usize>,
}

/// True when an IP packet may be cut into parts of `mtu` bytes, or fits without what pads its frame.
pub(crate) fn may(packet: &[u8], mtu: u32) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.first_chunk::<8>().is_some_and(|&[_, _, hi, lo, _, _, flags, _]| {
            flags & 0x40 == 0 || u32::from(u16::from_be_bytes([hi, lo])) <= mtu
        }),
        Some(6) => packet.first_chunk::<6>().is_some_and(|&[_, _, _, _, hi, lo]| {
            40 + u32::from(u16::from_be_bytes([hi, lo])) <= mtu.max(IPV6_MIN)
        }),
        _ => false,
    }
}

/// Writes into `out` the frame with the bytes from `offset` of the packet's payload, as many as fit
/// `mtu`.  `None` when the packet is not what its header says, or cannot be cut.
pub(crate) fn part(
    frame: &[u8],
    l2_bytes: usize,
    mtu: u32,
    offset: usize,
    out: &mut [u8],
) -> Option<Part> {
    let (l2, packet) = frame.split_at_checked(l2_bytes)?;
    let (out_l2, out) = out.split_at_mut_checked(l2_bytes)?;
    out_l2.copy_from_slice(l2);
    let mtu = usize::try_from(mtu).ok()?;
    let part = match packet.first()? >> 4 {
        4 => part_v4(packet, mtu, offset, out),
        6 => part_v6(packet, mtu, offset, out),
        _ => None,
    }?;
    Some(Part { len: l2_bytes + part.len, ..part })
}

/// The bytes from `offset` of a payload, as many as fit a packet whose headers are `header_bytes`, and
/// whether they are the last.
fn cut(payload: &[u8], offset: usize, mtu: usize, header_bytes: usize) -> Option<(&[u8], bool)> {
    let rest = payload.get(offset..)?;
    let room = mtu.checked_sub(header_bytes)?;
    let is_last = rest.len() <= room;
    let bytes = if is_last { rest } else { rest.get(..room & !7)? };
    (is_last || !bytes.is_empty()).then_some((bytes, is_last))
}

fn part_v4(packet: &[u8], mtu: usize, offset: usize, out: &mut [u8]) -> Option<Part> {
    let &[first, _, len_hi, len_lo, _, _, frag_hi, frag_lo, ..] =
        packet.first_chunk::<IPV4_BYTES>()?;
    let header_bytes = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    let payload = packet.get(header_bytes.max(IPV4_BYTES)..total)?;
    let (bytes, is_last) = cut(payload, offset, mtu, header_bytes)?;
    let len = header_bytes + bytes.len();
    let (ip, body) = out.get_mut(..len)?.split_at_mut_checked(header_bytes)?;
    body.copy_from_slice(bytes);
    ip.copy_from_slice(packet.get(..header_bytes)?);
    if offset != 0 {
        blank_first_only_options(ip.get_mut(IPV4_BYTES..)?);
    }
    // The packet may itself be a fragment: its offset and its More Fragments bit stay in force.
    let before = u16::from_be_bytes([frag_hi, frag_lo]);
    let more = if is_last { before & MORE_V4 } else { MORE_V4 };
    let at = (before & 0x1fff) + u16::try_from(offset / 8).ok()?;
    let field = before & 0x4000 | more | at & 0x1fff;
    ip.get_mut(2..4)?.copy_from_slice(&u16::try_from(len).ok()?.to_be_bytes());
    ip.get_mut(6..8)?.copy_from_slice(&field.to_be_bytes());
    ip.get_mut(10..12)?.fill(0);
    let sum = checksum::internet_checksum(ip).to_be_bytes();
    ip.get_mut(10..12)?.copy_from_slice(&sum);
    Some(Part { len, next: (!is_last).then_some(offset + bytes.len()) })
}

/// Options without the copied bit belong to the first fragment only (RFC 791 section 3.1): "no
/// operation" takes their place in the others.
fn blank_first_only_options(mut options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    while let Some((&mut kind, _)) = options.split_first_mut() {
        let len = match (kind, options.get(1)) {
            (NO_OPERATION, _) => 1,
            // What is malformed stays as it is.
            (END, _) | (_, None | Some(..2)) => return,
            (_, Some(&len)) => usize::from(len),
        };
        let Some((option, rest)) = options.split_at_mut_checked(len) else { return };
        if kind & 0x80 == 0 {
            option.fill(NO_OPERATION);
        }
        options = rest;
    }
}

/// What a fragment header says, and what stands behind it.
struct Fragmentable<'a> {
    next_header: IpProtocol,
    id: u32,
    /// Offset in units of 8 bytes in the upper 13 bits, and the M flag.
    field: u16,
    payload: &'a [u8],
}

fn part_v6(packet: &[u8], mtu: usize, offset: usize, out: &mut [u8]) -> Option<Part> {
    let (header, payload) = Ipv6Header::parse(packet).ok()?;
    if IPV6_BYTES + payload.len() <= mtu {
        let whole = packet.get(..IPV6_BYTES + payload.len())?;
        out.get_mut(..whole.len())?.copy_from_slice(whole);
        return Some(Part { len: whole.len(), next: None });
    }
    let before = fragmentable(header, payload)?;
    let (bytes, is_last) = cut(before.payload, offset, mtu, IPV6_BYTES + FRAGMENT_BYTES)?;
    let len = IPV6_BYTES + FRAGMENT_BYTES + bytes.len();
    let (headers, body) = out.get_mut(..len)?.split_at_mut_checked(IPV6_BYTES + FRAGMENT_BYTES)?;
    body.copy_from_slice(bytes);
    let (ip, fragment) = headers.split_first_chunk_mut::<IPV6_BYTES>()?;
    ip.copy_from_slice(packet.get(..IPV6_BYTES)?);
    let payload_bytes = u16::try_from(len - IPV6_BYTES).ok()?;
    ip.get_mut(4..6)?.copy_from_slice(&payload_bytes.to_be_bytes());
    *ip.get_mut(6)? = IpProtocol::FRAGMENT.get();
    let more = if is_last { before.field & MORE_V6 } else { MORE_V6 };
    // In units of 8 bytes, shifted by three: just the bytes.
    let at = (before.field & !7).checked_add(u16::try_from(offset).ok()?)?;
    let [at_hi, at_lo] = (at | more).to_be_bytes();
    let [a, b, c, d] = before.id.to_be_bytes();
    fragment.copy_from_slice(&[before.next_header.get(), 0, at_hi, at_lo, a, b, c, d]);
    Some(Part { len, next: (!is_last).then_some(offset + bytes.len()) })
}

/// What may be cut of an IPv6 packet: all behind the fixed header, or behind a fragment header that
/// follows it.  `None` when there are options for routers, which would have to be in each part.
fn fragmentable<'a>(header: &Ipv6Header, payload: &'a [u8]) -> Option<Fragmentable<'a>> {
    match header.next_header {
        IpProtocol::FRAGMENT => {
            let (&[next, _, hi, lo, id @ ..], payload) =
                payload.split_first_chunk::<FRAGMENT_BYTES>()?;
            Some(Fragmentable {
                next_header: IpProtocol(next),
                id: u32::from_be_bytes(id),
                field: u16::from_be_bytes([hi, lo]),
                payload,
            })
        }
        IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DESTINATION_OPTIONS => None,
        next_header => {
            Some(Fragmentable { next_header, id: identification(payload), field: 0, payload })
        }
    }
}

/// The same for the same bytes, and hardly ever for others: parts of two packets are not put together
/// into one, whichever workers have cut them.
fn identification(payload: &[u8]) -> u32 {
    // FNV-1a, 32 bits.
    payload
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
