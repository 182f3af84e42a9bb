//! Segmentation of super-frames in software: TCP (TSO) and UDP (USO), over IPv4 and IPv6.
//!
//! A TAP with segmentation offload hands over one frame with up to 64 KiB of payload and headers
//! for all of it.  [`tcp_segments`] and [`udp_segments`] cut it into the frames that its sender
//! would have sent without offload: each with the headers of the super-frame, lengths of its own,
//! IPv4 identification counted up, and its checksums computed whether or not those of the
//! super-frame were.

use crate::l4::L4;
use crate::tcp::TcpFlags;
use crate::{EtherType, IpProtocol, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};
use crate::{WriteError, checksum, ipv4, ipv6, udp};
use zerocopy::FromBytes;

pub mod cut;

/// Why a super-frame cannot be segmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SegmentError {
    /// Not the protocol asked for in IPv4 or IPv6, malformed, or a fragment.
    #[error("not a whole {protocol} packet in IPv4 or IPv6")]
    Protocol {
        /// The protocol asked for.
        protocol: IpProtocol,
    },
    /// A segment size of 0.
    #[error("segment size is 0")]
    ZeroSize,
}

/// Cuts the TCP super-frame `frame`, with up to two VLAN tags, into segments of at most
/// `gso_size` bytes of TCP payload.
///
/// Sequence numbers go up; FIN and PSH stay on the last segment alone and CWR on the first alone
/// (RFC 3168 section 6.1.2).  A frame without payload is one segment.
///
/// # Errors
///
/// [`SegmentError`].
pub fn tcp_segments(frame: &[u8], gso_size: u16) -> Result<Segments<'_>, SegmentError> {
    Segments::new(frame, gso_size, IpProtocol::TCP)
}

/// Cuts the UDP super-frame `frame` into datagrams of at most `gso_size` bytes of payload, as
/// `VIRTIO_NET_HDR_GSO_UDP_L4` asks.  (Fragmentation of one datagram, `VIRTIO_NET_HDR_GSO_UDP`, is
/// another thing.)
///
/// # Errors
///
/// [`SegmentError`].
pub fn udp_segments(frame: &[u8], gso_size: u16) -> Result<Segments<'_>, SegmentError> {
    Segments::new(frame, gso_size, IpProtocol::UDP)
}

/// The segments of one super-frame, in order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    l4: L4,
    /// All headers, from Ethernet to TCP or UDP.
    headers: &'a [u8],
    /// Payload that has not been given out.
    rest: &'a [u8],
    gso_size: usize,
    /// Number of the next segment.
    index: u16,
    /// How many bytes of payload were given out.
    offset: u32,
    is_done: bool,
}

impl<'a> Segments<'a> {
    fn new(frame: &'a [u8], gso_size: u16, protocol: IpProtocol) -> Result<Self, SegmentError> {
        if gso_size == 0 {
            return Err(SegmentError::ZeroSize);
        }
        let unfit = SegmentError::Protocol { protocol };
        let l4 = L4::locate(frame).filter(|l4| l4.protocol == protocol).ok_or(unfit)?;
        let segment = frame.get(l4.start..l4.end).ok_or(unfit)?;
        let header_len = match protocol {
            IpProtocol::TCP => TcpHeader::parse(segment).map_err(|_| unfit)?.0.header_len_bytes(),
            _ if segment.len() < udp::LEN_BYTES => return Err(unfit),
            _ => udp::LEN_BYTES,
        };
        let whole = frame.get(..l4.end).ok_or(unfit)?;
        let (headers, rest) = whole.split_at_checked(l4.start + header_len).ok_or(unfit)?;
        let gso_size = usize::from(gso_size);
        Ok(Self { l4, headers, rest, gso_size, index: 0, offset: 0, is_done: false })
    }

    /// Length of the headers that every segment carries, in bytes from the start of the frame.
    #[must_use]
    pub const fn headers_len_bytes(&self) -> usize {
        self.headers.len()
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.is_done {
            return None;
        }
        let at = self.rest.len().min(self.gso_size);
        let (payload, rest) = self.rest.split_at_checked(at)?;
        let segment = Segment {
            l4: self.l4,
            headers: self.headers,
            payload,
            index: self.index,
            offset: self.offset,
            is_last: rest.is_empty(),
        };
        self.rest = rest;
        self.is_done = rest.is_empty();
        self.index = self.index.wrapping_add(1);
        self.offset = self.offset.wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        Some(segment)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.is_done { 0 } else { self.rest.len().div_ceil(self.gso_size).max(1) };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Segments<'_> {}
impl core::iter::FusedIterator for Segments<'_> {}

/// One segment, yet to be written.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    l4: L4,
    headers: &'a [u8],
    payload: &'a [u8],
    index: u16,
    offset: u32,
    is_last: bool,
}

impl Segment<'_> {
    /// Length of the frame that [`Segment::write_into`] writes, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.headers.len() + self.payload.len()
    }

    /// The part of the super-frame's payload that this segment carries.
    #[must_use]
    pub const fn payload(&self) -> &[u8] {
        self.payload
    }

    /// Writes the segment, a whole Ethernet frame with right checksums, to the front of `out`;
    /// returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write_into(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let need_bytes = self.len_bytes();
        let short = WriteError::ShortBuffer { need_bytes, have_bytes: out.len() };
        let frame = out.get_mut(..need_bytes).ok_or(short)?;
        let (headers, payload) = frame.split_at_mut_checked(self.headers.len()).ok_or(short)?;
        headers.copy_from_slice(self.headers);
        payload.copy_from_slice(self.payload);
        let (before, l4) = frame.split_at_mut_checked(self.l4.start).ok_or(short)?;
        let l3 = before.get_mut(self.l4.l3_offset..).ok_or(short)?;
        patch_l3(&self.l4, self.index, l3, l4.len()).ok_or(short)?;
        self.patch_l4(l4).ok_or(short)?;
        Ok(need_bytes)
    }

    /// Corrects the TCP or UDP header at the start of `l4`, which ends with the payload.
    fn patch_l4(&self, l4: &mut [u8]) -> Option<()> {
        let pseudo = self.l4.pseudo_sum(l4.len());
        if self.l4.protocol == IpProtocol::TCP {
            let (tcp, _) = TcpHeader::mut_from_prefix(l4).ok()?;
            self.patch_tcp(tcp);
            let checksum = checksum::finish(checksum::sum(l4) + pseudo);
            TcpHeader::mut_from_prefix(l4).ok()?.0.set_checksum(checksum);
        } else {
            let (udp, _) = UdpHeader::mut_from_prefix(l4).ok()?;
            udp.set_checksum(0);
            let udp = *udp;
            udp.write(l4, self.payload.len()).ok()?;
            let checksum = checksum::finish_udp(checksum::sum(l4) + pseudo);
            UdpHeader::mut_from_prefix(l4).ok()?.0.set_checksum(checksum);
        }
        Some(())
    }

    fn patch_tcp(&self, tcp: &mut TcpHeader) {
        tcp.set_sequence(tcp.sequence().wrapping_add(self.offset));
        let mut flags = tcp.flags();
        if !self.is_last {
            flags = flags.without(TcpFlags::FIN.with(TcpFlags::PSH));
        }
        if self.index != 0 {
            flags = flags.without(TcpFlags::CWR);
        }
        tcp.set_flags(flags);
        tcp.set_checksum(0);
    }
}

/// Corrects the IP header at the start of `l3`, in front of `l4_len` bytes: that of packet `index` of several.
fn patch_l3(l4: &L4, index: u16, l3: &mut [u8], l4_len: usize) -> Option<()> {
    let l3_len = l3.len();
    if l4.ip == EtherType::IPV4 {
        let total_len = u16::try_from(l3_len + l4_len).ok()?;
        let (fixed, options) = l3.split_first_chunk_mut::<{ ipv4::LEN_BYTES }>()?;
        let header = Ipv4Header::mut_from_bytes(fixed).ok()?;
        header.patch(total_len, header.id().wrapping_add(index), options);
    } else {
        let (fixed, extensions) = l3.split_first_chunk_mut::<{ ipv6::LEN_BYTES }>()?;
        let payload_len = u16::try_from(extensions.len() + l4_len).ok()?;
        Ipv6Header::mut_from_bytes(fixed).ok()?.patch(payload_len);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Spec, any_spec};
    use proptest::prelude::*;

    fn cut(frame: &[u8], gso_size: u16, is_tcp: bool) -> Vec<Vec<u8>> {
        let cut = if is_tcp { tcp_segments } else { udp_segments };
        let segments = cut(frame, gso_size).unwrap();
        let count = segments.len();
        let written: Vec<_> = segments
            .map(|segment| {
                let mut out = vec![0xee; segment.len_bytes() + 3];
                assert_eq!(segment.write_into(&mut out), Ok(segment.len_bytes()));
                assert!(segment.write_into(&mut vec![0; segment.len_bytes() - 1]).is_err());
                assert!(out.ends_with(&[0xee; 3]));
                out.truncate(segment.len_bytes());
                out
            })
            .collect();
        assert_eq!(written.len(), count);
        written
    }

    /// The frames that the sender would have built itself.
    fn model(spec: &Spec, gso_size: usize) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = match spec.payload.as_slice() {
            [] => vec![&[]],
            payload => payload.chunks(gso_size).collect(),
        };
        let last = chunks.len() - 1;
        let frame = |(n, chunk): (usize, &&[u8])| {
            let mut flags = spec.flags;
            if n != last {
                flags &= !0x09;
            }
            if n != 0 {
                flags &= !0x80;
            }
            let offset = u32::try_from(n * gso_size).unwrap();
            let id = spec.id.wrapping_add(u16::try_from(n).unwrap());
            let sequence = spec.sequence.wrapping_add(offset);
            Spec { flags, id, sequence, payload: chunk.to_vec(), ..spec.clone() }.build()
        };
        chunks.iter().enumerate().map(frame).collect()
    }

    proptest! {
        /// Segments are what the builder makes of each piece of the payload; the checksum of the
        /// super-frame, and padding behind it, do not matter.
        #[test]
        fn equals_what_the_sender_would_send(spec in any_spec(), gso_size in 1u16..400, junk: [u8; 2], padding in 0usize..9) {
            let mut frame = spec.build();
            let at = L4::locate(&frame).unwrap().checksum_at().unwrap();
            frame[at..at + 2].copy_from_slice(&junk);
            frame.resize(frame.len() + padding, 0xdd);
            prop_assert_eq!(cut(&frame, gso_size, spec.is_tcp), model(&spec, gso_size.into()));
            let other = if spec.is_tcp { udp_segments } else { tcp_segments };
            prop_assert!(other(&frame, gso_size).is_err());
        }

        #[test]
        fn survives_damage(spec in any_spec(), at: prop::sample::Index, value: u8, len: prop::sample::Index, gso_size in 1u16..) {
            let mut frame = spec.build();
            let at = at.index(frame.len());
            frame[at] = value;
            frame.truncate(len.index(frame.len() + 1));
            for segments in [tcp_segments(&frame, gso_size), udp_segments(&frame, gso_size)] {
                for segment in segments.into_iter().flatten() {
                    prop_assert!(segment.write_into(&mut [0; 1000]).is_ok());
                }
            }
        }
    }

    #[test]
    fn a_full_super_frame_is_cut_to_the_mss() {
        let payload: Vec<u8> = (0..64_000u32).map(|n| n.to_be_bytes()[3]).collect();
        for (is_v6, is_tcp) in [(false, true), (true, true), (false, false), (true, false)] {
            let spec = Spec {
                is_v6,
                is_tcp,
                payload: payload.clone(),
                id: 0xfff0,
                sequence: 0xffff_0000,
                ..Spec::default()
            };
            let segments = cut(&spec.build(), 1448, is_tcp);
            assert_eq!(segments.len(), 45);
            assert_eq!(segments, model(&spec, 1448));
        }
    }

    #[test]
    fn a_size_of_zero_is_refused() {
        let frame = Spec::default().build();
        assert_eq!(tcp_segments(&frame, 0).unwrap_err(), SegmentError::ZeroSize);
        let error = SegmentError::Protocol { protocol: IpProtocol::UDP };
        assert_eq!(udp_segments(&frame, 100).unwrap_err(), error);
        assert_eq!(error.to_string(), "not a whole UDP packet in IPv4 or IPv6");
    }
}
