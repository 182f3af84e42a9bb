//! Coalescing of TCP segments into a super-frame: what [`crate::segment`] does, in reverse.
//!
//! A TAP takes one frame with up to 64 KiB of payload and an offload header that says how it may be
//! cut, which costs its host's stack as much as one segment does.  A [`Run`] holds to the rules of
//! receive offload in Linux, and to one more: cutting the super-frame again gives the very segments
//! that went in.  So whoever gets it, or forwards it, can tell no difference.

use crate::l4::L4;
use crate::tcp::TcpFlags;
use crate::{
    EtherType, IpProtocol, Ipv4Header, Ipv6Header, TcpHeader, checksum, ethernet, ipv4, ipv6,
};
use zerocopy::FromBytes;

/// Segments of one run, at most: a full super-frame at the MSS of Ethernet.
pub const SEGMENTS_MAX: usize = 48;

/// The largest total length of an IPv4 packet, and payload length of IPv6, in bytes.
const PACKET_BYTES_MAX: usize = 65_535;

/// A TCP segment that may be part of a super-frame: not tagged, without IP options or extension
/// headers, not padded, with payload, with no flag but ACK and PSH, and with right checksums.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    l4: L4,
    headers_len: usize,
    payload_len: usize,
    sequence: u32,
    /// IPv4 identification; 0 for IPv6.
    id: u16,
    has_push: bool,
}

impl Piece {
    /// Looks at a frame; `None` when it has to go as it is.
    #[must_use]
    pub fn of(frame: &[u8]) -> Option<Self> {
        // Most frames that are none are told apart by their first bytes.
        let &[.., type_hi, type_lo, version, _, _, _, _, _, next, _, _, protocol] =
            frame.first_chunk::<24>()?;
        let ethertype = EtherType(u16::from_be_bytes([type_hi, type_lo]));
        let protocol = match ethertype {
            EtherType::IPV4 if version == 0x45 => protocol,
            EtherType::IPV6 => next,
            _ => return None,
        };
        if IpProtocol(protocol) != IpProtocol::TCP {
            return None;
        }
        let l4 = L4::locate_l3(frame, ethernet::LEN_BYTES, ethertype)?;
        let packet = frame.get(ethernet::LEN_BYTES..)?;
        let (ip_len, id) = if ethertype == EtherType::IPV4 {
            ipv4::verify_checksum(packet).ok()?;
            (ipv4::LEN_BYTES, Ipv4Header::parse(packet).ok()?.0.id())
        } else {
            (ipv6::LEN_BYTES, 0)
        };
        let is_plain = l4.protocol == IpProtocol::TCP
            && l4.start == ethernet::LEN_BYTES + ip_len
            && l4.end == frame.len();
        if !is_plain {
            return None;
        }
        let (tcp, payload) = TcpHeader::parse(frame.get(l4.start..)?).ok()?;
        let flags = tcp.flags();
        let fits = flags.without(TcpFlags::PSH) == TcpFlags::ACK && !payload.is_empty();
        if !fits || l4.is_checksum_right(frame) != Some(true) {
            return None;
        }
        Some(Self {
            l4,
            headers_len: frame.len() - payload.len(),
            payload_len: payload.len(),
            sequence: tcp.sequence(),
            id,
            has_push: flags.has(TcpFlags::PSH),
        })
    }

    /// Bytes of its headers, from the start of the frame: what follows is payload.
    #[must_use]
    pub const fn headers_len_bytes(&self) -> usize {
        self.headers_len
    }
}

/// How a super-frame may be cut: the fields of virtio-net's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// IPv6 rather than IPv4.
    pub is_v6: bool,
    /// Bytes of all headers.
    pub headers_len: u16,
    /// Payload bytes of each segment but the last, which may have fewer.
    pub gso_size: u16,
    /// Where the TCP header starts.  The checksum that is missing covers all from there.
    pub checksum_start: u16,
}

/// Consecutive segments of one flow, in order.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    first: Piece,
    segments: u16,
    payload_len: usize,
    /// The last one was short or had PSH: nothing can follow.
    is_closed: bool,
    has_push: bool,
}

impl Run {
    /// The run that starts with this segment.
    #[must_use]
    pub const fn new(first: Piece) -> Self {
        let (payload_len, has_push) = (first.payload_len, first.has_push);
        Self { first, segments: 1, payload_len, is_closed: has_push, has_push }
    }

    /// Whether nothing can follow the last segment.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Adds the next segment; false, and no change, when it does not continue the run.  `head` is the
    /// frame that the run started with, `frame` the one of `piece`.
    #[must_use]
    pub fn append(&mut self, head: &[u8], piece: &Piece, frame: &[u8]) -> bool {
        let first = &self.first;
        let sequence = u32::try_from(self.payload_len).map(|len| first.sequence.wrapping_add(len));
        let is_v4 = first.l4.ip == EtherType::IPV4;
        let id = if is_v4 { first.id.wrapping_add(self.segments) } else { 0 };
        let payload_len = self.payload_len + piece.payload_len;
        let continues = !self.is_closed
            && usize::from(self.segments) < SEGMENTS_MAX
            && piece.payload_len <= first.payload_len
            && first.headers_len + payload_len <= PACKET_BYTES_MAX
            && Ok(piece.sequence) == sequence
            && piece.id == id
            && piece.headers_len == first.headers_len
            && piece.l4.ip == first.l4.ip
            && has_equal_headers(first, head, frame);
        if continues {
            self.segments += 1;
            self.payload_len = payload_len;
            self.has_push = piece.has_push;
            self.is_closed = piece.has_push || piece.payload_len < first.payload_len;
        }
        continues
    }

    /// Whether a segment is of the same TCP connection and direction.
    #[must_use]
    pub fn is_same_flow(&self, head: &[u8], piece: &Piece, frame: &[u8]) -> bool {
        let first = &self.first.l4;
        let addresses_at = if first.ip == EtherType::IPV4 { 26 } else { 22 };
        let ports_end = first.start + 4;
        piece.l4.ip == first.ip
            && head.get(addresses_at..ports_end) == frame.get(addresses_at..ports_end)
    }

    /// Makes `head`, the first frame, carry the headers of the whole super-frame, which is `head` and
    /// behind it the payload of each other segment.  The TCP checksum is left partial.  `None`, and no
    /// change, for a run of one, which goes as it is.
    pub fn finish(&self, head: &mut [u8]) -> Option<Offload> {
        if self.segments < 2 {
            return None;
        }
        let L4 { ip, start, .. } = self.first.l4;
        let tcp_len = self.first.headers_len - start + self.payload_len;
        let packet = head.get_mut(ethernet::LEN_BYTES..)?;
        if ip == EtherType::IPV4 {
            let header = Ipv4Header::mut_from_prefix(packet).ok()?.0;
            let total_len = u16::try_from(ipv4::LEN_BYTES + tcp_len).ok()?;
            header.patch(total_len, header.id(), &[]);
        } else {
            let header = Ipv6Header::mut_from_prefix(packet).ok()?.0;
            header.patch(u16::try_from(tcp_len).ok()?);
        }
        let tcp = TcpHeader::mut_from_prefix(head.get_mut(start..)?).ok()?.0;
        if self.has_push {
            tcp.set_flags(tcp.flags().with(TcpFlags::PSH));
        }
        tcp.set_checksum(checksum::fold(self.first.l4.pseudo_sum(tcp_len)));
        Some(Offload {
            is_v6: ip == EtherType::IPV6,
            headers_len: u16::try_from(self.first.headers_len).ok()?,
            gso_size: u16::try_from(self.first.payload_len).ok()?,
            checksum_start: u16::try_from(start).ok()?,
        })
    }
}

/// Whether all is equal but lengths, IPv4 identification, sequence number, PSH and checksums.
fn has_equal_headers(first: &Piece, head: &[u8], frame: &[u8]) -> bool {
    let equal = |from: usize, to: usize| head.get(from..to) == frame.get(from..to);
    let start = first.l4.start;
    let ip = if first.l4.ip == EtherType::IPV4 {
        equal(0, 16) && equal(20, 24) && equal(26, start)
    } else {
        equal(0, 18) && equal(20, start)
    };
    // Ports; acknowledgment and data offset; the window; urgent pointer and options.  Of the flags
    // a piece has none but ACK and PSH.
    ip && equal(start, start + 4)
        && equal(start + 8, start + 13)
        && equal(start + 14, start + 16)
        && equal(start + 18, first.headers_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Spec;
    use crate::segment::tcp_segments;
    use proptest::prelude::*;

    /// Coalesces greedily what comes in a row, as a queue does: super-frames with how to cut them.
    fn coalesce(frames: &[Vec<u8>]) -> Vec<(Vec<u8>, Option<Offload>)> {
        let mut out = Vec::new();
        let mut rest = frames;
        while let Some((head, mut after)) = rest.split_first() {
            let mut superframe = head.clone();
            let mut offload = None;
            if let Some(piece) = Piece::of(head) {
                let mut run = Run::new(piece);
                while let Some((next, further)) = after.split_first()
                    && let Some(piece) = Piece::of(next)
                    && run.append(head, &piece, next)
                {
                    assert!(run.is_same_flow(head, &piece, next));
                    superframe.extend(&next[piece.headers_len_bytes()..]);
                    after = further;
                }
                offload = run.finish(&mut superframe);
            }
            out.push((superframe, offload));
            rest = after;
        }
        out
    }

    fn cut(superframe: &[u8], gso_size: u16) -> Vec<Vec<u8>> {
        let write = |segment: crate::segment::Segment<'_>| {
            let mut out = vec![0; segment.len_bytes()];
            segment.write_into(&mut out).unwrap();
            out
        };
        tcp_segments(superframe, gso_size).unwrap().map(write).collect()
    }

    fn cut_all(superframes: &[(Vec<u8>, Option<Offload>)]) -> Vec<Vec<u8>> {
        let pieces = |(frame, offload): &(Vec<u8>, Option<Offload>)| match offload {
            Some(offload) => cut(frame, offload.gso_size),
            None => vec![frame.clone()],
        };
        superframes.iter().flat_map(pieces).collect()
    }

    fn bulk(is_v6: bool, option_words: u8, flags: u16, sequence: u32, len: usize) -> Spec {
        let payload = (0..len).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
        Spec { is_v6, sequence, flags, option_words, payload, ..Spec::default() }
    }

    prop_compose! {
        fn any_bulk()(
            is_v6: bool, option_words in 0u8..=10, push: bool, sequence: u32, len in 1usize..5000,
        ) -> Spec {
            bulk(is_v6, option_words, if push { 0x18 } else { 0x10 }, sequence, len)
        }
    }

    proptest! {
        /// What a sender cut becomes one super-frame again, but for its checksum.
        #[test]
        fn gives_back_what_was_cut(spec in any_bulk(), gso_size in 105u16..1500) {
            let whole = spec.build();
            let segments = cut(&whole, gso_size);
            let mut joined = coalesce(&segments);
            prop_assert_eq!(joined.len(), 1);
            prop_assert_eq!(cut_all(&joined), &segments[..]);
            let (mut frame, offload) = joined.remove(0);
            let l4 = L4::locate(&whole).unwrap();
            let at = l4.checksum_at().unwrap();
            prop_assert_eq!(offload.is_some(), segments.len() > 1);
            if let Some(offload) = offload {
                prop_assert_eq!((offload.gso_size, offload.is_v6), (gso_size, spec.is_v6));
                prop_assert_eq!(usize::from(offload.checksum_start), l4.start);
                prop_assert_eq!(usize::from(offload.headers_len), whole.len() - spec.payload.len());
                let pseudo = checksum::fold(l4.pseudo_sum(l4.end - l4.start));
                prop_assert_eq!(&frame[at..at + 2], &pseudo.to_be_bytes());
                frame[at..at + 2].copy_from_slice(&whole[at..at + 2]);
            }
            prop_assert_eq!(frame, whole);
        }

        /// Whatever comes, in whatever order, damaged or not: cutting gives the same frames in the
        /// same order.
        #[test]
        fn nothing_is_lost_or_changed(
            spec in any_bulk(), other in any_bulk(), gso_size in 105u16..600,
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0usize..90, any::<u8>(), any::<bool>()), 0..4),
            swaps in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 0..3),
        ) {
            let mut frames = cut(&spec.build(), gso_size);
            frames.extend(cut(&other.build(), gso_size));
            for [a, b] in swaps {
                let (a, b) = (a.index(frames.len()), b.index(frames.len()));
                frames.swap(a, b);
            }
            for (which, at, value, cuts_short) in damage {
                let which = which.index(frames.len());
                if let Some(frame) = frames.get_mut(which) {
                    if cuts_short { frame.truncate(at) } else if let Some(byte) = frame.get_mut(at) { *byte ^= value }
                }
            }
            prop_assert_eq!(cut_all(&coalesce(&frames)), frames);
        }

        /// One header field that differs, with right checksums, ends the run.
        #[test]
        fn only_equal_headers_are_joined(spec in any_bulk(), at in 0usize..80, value in 1u8..) {
            let segments = cut(&Spec { payload: vec![7; 300], flags: 0x10, ..spec }.build(), 150);
            let [first, second] = &segments[..] else { unreachable!() };
            let l4 = L4::locate(second).unwrap();
            let mut changed = second.clone();
            let headers_len = second.len() - 150;
            changed[at % headers_len] ^= value;
            // Make the checksums right again, as a sender would.
            if l4.ip == EtherType::IPV4 && changed[14] == 0x45 {
                changed[24..26].fill(0);
                let sum = checksum::internet_checksum(&changed[14..34]);
                changed[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            if let Some(l4) = L4::locate(&changed)
                && l4.protocol == IpProtocol::TCP
            {
                changed[l4.start + 16..l4.start + 18].fill(0);
                let sum = checksum::sum(&changed[l4.start..l4.end]) + l4.pseudo_sum(l4.end - l4.start);
                changed[l4.start + 16..l4.start + 18].copy_from_slice(&checksum::finish(sum).to_be_bytes());
            }
            let frames = [first.clone(), changed.clone()];
            let joined = coalesce(&frames);
            prop_assert_eq!(cut_all(&joined), &frames[..]);
            let differs = &changed != second && changed[l4.start + 13] != 0x18;
            prop_assert_eq!(joined.len(), if differs { 2 } else { 1 });
        }
    }

    #[test]
    fn a_run_ends_with_a_short_segment_a_push_or_64_kib() {
        let segments = |flags, len| cut(&bulk(false, 3, flags, 0xffff_fff0, len).build(), 1000);
        let mut frames = segments(0x10, 2500);
        let mut next = bulk(false, 3, 0x10, 0xffff_fff0u32.wrapping_add(2500), 1000);
        next.id = 10;
        frames.push(next.build());
        assert_eq!(coalesce(&frames).len(), 2, "a short one");
        assert_eq!(coalesce(&segments(0x18, 3000)).len(), 1, "with PSH at the end");
        let mut pushed = segments(0x10, 3000);
        pushed.splice(0..1, [bulk(false, 3, 0x18, 0xffff_fff0, 1000).build()]);
        assert_eq!(coalesce(&pushed).len(), 2, "PSH on the first");
        let longer = Spec { id: 8, ..bulk(false, 3, 0x10, 100, 200) };
        let growing = [bulk(false, 3, 0x10, 0, 100).build(), longer.build()];
        assert_eq!(coalesce(&growing).len(), 2, "a longer one");
        assert_eq!(coalesce(&segments(0x10, 47_000)).len(), 1);
        assert_eq!(coalesce(&segments(0x10, 49_000)).len(), 2, "more segments than a run has");
        let large = cut(&bulk(false, 0, 0x10, 1, 65_000).build(), 8000);
        assert_eq!(coalesce(&large).len(), 1);
        let mut more = large.clone();
        more.truncate(8);
        more.extend(cut(&Spec { id: 15, ..bulk(false, 0, 0x10, 64_001, 8000) }.build(), 8000));
        assert_eq!(coalesce(&more).len(), 2, "72,000 bytes");
    }

    #[test]
    fn what_must_go_as_it_is() {
        let spec = bulk(false, 0, 0x10, 1, 100);
        assert!(Piece::of(&spec.build()).is_some());
        for flags in [0x00, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90, 0x110] {
            assert!(
                Piece::of(&Spec { flags, ..spec.clone() }.build()).is_none(),
                "flags {flags:#x}"
            );
        }
        assert!(Piece::of(&Spec { payload: Vec::new(), ..spec.clone() }.build()).is_none());
        assert!(Piece::of(&Spec { is_tcp: false, ..spec.clone() }.build()).is_none());
        for is_v6 in [false, true] {
            assert!(Piece::of(&Spec { ip_options: 1, is_v6, ..spec.clone() }.build()).is_none());
        }
        let tag = crate::Tag::c_tag(crate::Tci::new(
            crate::Pcp::default(),
            false,
            crate::Vid::new(7).unwrap(),
        ));
        assert!(Piece::of(&Spec { tags: vec![tag], ..spec.clone() }.build()).is_none());
        let mut padded = spec.build();
        padded.push(0);
        assert!(Piece::of(&padded).is_none());
        for at in [24, 100] {
            let mut wrong = spec.build();
            wrong[at] ^= 1;
            assert!(Piece::of(&wrong).is_none(), "byte {at} is wrong");
        }
    }
}
