//! Super-frames that nobody says the segment size of, as those that come by generic XDP: TCP, bare or
//! in a GRE, Geneve or VXLAN packet, is cut to the MTU.

use super::{SegmentError, Segments, patch_l3, tcp_segments};
use crate::geneve::Geneve;
use crate::gre::Gre;
use crate::l4::L4;
use crate::udp::UdpHeader;
use crate::vxlan::Vxlan;
use crate::{EtherType, IpProtocol, WriteError, checksum};
use zerocopy::FromBytes;

/// Cuts the super-frame `frame` into frames whose IP packets are at most `mtu` bytes long.
///
/// What is around an inner frame is repeated on each, with lengths, IPv4 identification and checksums
/// of its own; a UDP checksum of 0, "none", stays so.
///
/// # Errors
///
/// [`SegmentError`]: not TCP, or no room for a byte of payload.
pub fn to_mtu(frame: &[u8], mtu: u32) -> Result<Cut<'_>, SegmentError> {
    let unfit = SegmentError::Protocol { protocol: IpProtocol::TCP };
    let l4 = L4::locate(frame).ok_or(unfit)?;
    let outer = Outer::find(frame, l4);
    let inner = frame.get(outer.as_ref().map_or(0, |outer| outer.headers.len())..l4.end);
    let mut segments = tcp_segments(inner.ok_or(unfit)?, 1)?;
    let headers_bytes = frame.len().min(l4.end) - segments.rest.len();
    let room = (l4.l3_offset + mtu as usize).saturating_sub(headers_bytes);
    segments.gso_size = if room == 0 { return Err(SegmentError::ZeroSize) } else { room };
    Ok(Cut { outer, segments, index: 0 })
}

/// The frames that a super-frame is cut into, in order.
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    outer: Option<Outer<'a>>,
    segments: Segments<'a>,
    index: u16,
}

/// What is around the inner frame.
#[derive(Clone, Copy, Debug)]
struct Outer<'a> {
    /// From the Ethernet header to the tunnel header.
    headers: &'a [u8],
    l4: L4,
}

impl<'a> Outer<'a> {
    /// `None` when there is no inner frame.
    fn find(frame: &'a [u8], l4: L4) -> Option<Self> {
        let packet = frame.get(l4.start..l4.end)?;
        let inner = match l4.protocol {
            IpProtocol::GRE => {
                let (gre, inner) = Gre::parse(packet).ok()?;
                (gre.protocol == EtherType::TEB).then_some(inner)?
            }
            IpProtocol::UDP => inner_of_udp(UdpHeader::parse(packet).ok()?.1)?,
            _ => return None,
        };
        // The inner frame ends where the packet does.
        let headers = frame.get(..l4.end.checked_sub(inner.len())?)?;
        Some(Self { headers, l4 })
    }

    /// Writes the headers for an inner frame that follows them in `out`.
    fn write_into(&self, out: &mut [u8], index: u16) -> Option<()> {
        out.get_mut(..self.headers.len())?.copy_from_slice(self.headers);
        let (before, packet) = out.split_at_mut_checked(self.l4.start)?;
        let packet_bytes = packet.len();
        patch_l3(&self.l4, index, before.get_mut(self.l4.l3_offset..)?, packet_bytes)?;
        if self.l4.protocol == IpProtocol::GRE {
            Gre::fill_checksum(packet);
            return Some(());
        }
        let (header, payload) = packet.split_first_chunk_mut::<{ crate::udp::LEN_BYTES }>()?;
        let mut udp = *UdpHeader::ref_from_bytes(header).ok()?;
        let has_checksum = udp.checksum() != 0;
        udp.set_checksum(0);
        udp.write(header, payload.len()).ok()?;
        if has_checksum {
            let sum = checksum::sum(packet) + self.l4.pseudo_sum(packet_bytes);
            let (udp, _) = UdpHeader::mut_from_prefix(packet).ok()?;
            udp.set_checksum(checksum::finish_udp(sum));
        }
        Some(())
    }
}

/// The inner frame of a datagram to a tunnel port.  Geneve names what it carries where VXLAN has
/// reserved bytes.
fn inner_of_udp(datagram: &[u8]) -> Option<&[u8]> {
    match Geneve::parse(datagram) {
        Ok((geneve, inner)) if geneve.protocol == EtherType::TEB => Some(inner),
        _ => Vxlan::parse(datagram).ok().map(|(_, inner)| inner),
    }
}

impl Cut<'_> {
    /// Length of the next frame, in bytes; `None` when there is no more.
    #[must_use]
    pub fn next_len_bytes(&self) -> Option<usize> {
        let outer_bytes = self.outer.as_ref().map_or(0, |outer| outer.headers.len());
        Some(outer_bytes + self.segments.clone().next()?.len_bytes())
    }

    /// Writes the next frame to the front of `out`, and returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`], also when there is no next frame.
    pub fn write_next(&mut self, out: &mut [u8]) -> Result<usize, WriteError> {
        let have_bytes = out.len();
        let need_bytes = self.next_len_bytes().unwrap_or(usize::MAX);
        let short = WriteError::ShortBuffer { need_bytes, have_bytes };
        let out = out.get_mut(..need_bytes).ok_or(short)?;
        let segment = self.segments.next().ok_or(short)?;
        let outer_bytes = self.outer.as_ref().map_or(0, |outer| outer.headers.len());
        segment.write_into(out.get_mut(outer_bytes..).ok_or(short)?)?;
        if let Some(outer) = &self.outer {
            outer.write_into(out, self.index).ok_or(short)?;
        }
        self.index = self.index.wrapping_add(1);
        Ok(need_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::partial;
    use crate::frames::{Spec, any_spec};
    use crate::{Vni, ipv4};
    use proptest::prelude::*;

    /// A tunnel header in front of an inner frame; the outer packet is one of UDP, or else GRE.
    #[derive(Clone, Debug)]
    enum Tunnel {
        Gre(Gre),
        Geneve(Vec<u8>),
        Vxlan,
    }

    fn any_tunnel() -> impl Strategy<Value = Tunnel> {
        prop_oneof![
            (any::<Option<u16>>(), any::<Option<u32>>()).prop_map(|(checksum, key)| {
                Tunnel::Gre(Gre { checksum, key, ..Gre::new(EtherType::TEB) })
            }),
            crate::geneve::generators::any_options().prop_map(Tunnel::Geneve),
            Just(Tunnel::Vxlan),
        ]
    }

    fn header(tunnel: &Tunnel) -> Vec<u8> {
        let mut out = vec![0; 300];
        let len = match tunnel {
            Tunnel::Gre(gre) => gre.write(&mut out),
            Tunnel::Geneve(options) => {
                let geneve = Geneve::new(Vni::from_wire([1, 2, 3]), EtherType::TEB);
                Geneve { options, ..geneve }.write(&mut out)
            }
            Tunnel::Vxlan => Vxlan { vni: Vni::from_wire([1, 2, 3]) }.write(&mut out),
        };
        out.truncate(len.unwrap());
        out
    }

    /// The tunnel packet around `inner`, as its sender would make it.
    fn wrap(outer: &Spec, tunnel: &Tunnel, is_summed: bool, inner: &[u8]) -> Vec<u8> {
        let payload = [header(tunnel), inner.to_vec()].concat();
        // The last of IPv6 extension headers would say that GRE follows.
        let is_gre6 = matches!(tunnel, Tunnel::Gre(_)) && outer.is_v6;
        let ip_options = if is_gre6 { 0 } else { outer.ip_options };
        let mut frame = Spec { is_tcp: false, payload, ip_options, ..outer.clone() }.build();
        let l4 = L4::locate(&frame).unwrap();
        if matches!(tunnel, Tunnel::Gre(_)) {
            // GRE in the place of UDP.
            frame.drain(l4.start..l4.start + 8);
            frame[l4.l3_offset + if l4.ip == EtherType::IPV4 { 9 } else { 6 }] = IpProtocol::GRE.0;
            let (before, packet) = frame.split_at_mut(l4.start);
            patch_l3(&l4, 0, &mut before[l4.l3_offset..], packet.len()).unwrap();
            Gre::fill_checksum(packet);
        } else if !is_summed {
            frame[l4.start + 6..l4.start + 8].fill(0);
        }
        frame
    }

    fn cut(frame: &[u8], mtu: u32) -> Vec<Vec<u8>> {
        let mut cut = to_mtu(frame, mtu).unwrap();
        let mut frames = Vec::new();
        while let Some(len) = cut.next_len_bytes() {
            assert!(cut.clone().write_next(&mut vec![0; len - 1]).is_err());
            let mut out = vec![0xee; len + 3];
            assert_eq!(cut.write_next(&mut out), Ok(len));
            assert!(out.ends_with(&[0xee; 3]));
            out.truncate(len);
            frames.push(out);
        }
        frames
    }

    fn is_long(frame: &[u8], mtu: usize) -> bool {
        frame.len() > L4::locate(frame).unwrap().l3_offset + mtu
    }

    proptest! {
        /// Each frame is what the sender would have made of its segment.
        #[test]
        fn equals_what_the_sender_would_send(
            inner in any_spec(), outer in any_spec(), tunnel in any_tunnel(), is_summed: bool,
            gso_size in 1u16..400,
        ) {
            let inner = Spec { is_tcp: true, ..inner };
            let whole = inner.build();
            let packet = wrap(&outer, &tunnel, is_summed, &whole);
            let segments: Vec<_> = tcp_segments(&whole, gso_size).unwrap().collect();
            let expected = segments.iter().enumerate().map(|(number, segment)| {
                let mut bytes = vec![0; segment.len_bytes()];
                segment.write_into(&mut bytes).unwrap();
                let id = outer.id.wrapping_add(u16::try_from(number).unwrap());
                wrap(&Spec { id, ..outer.clone() }, &tunnel, is_summed, &bytes)
            });
            let l3_offset = L4::locate(&packet).unwrap().l3_offset;
            let headers_bytes = packet.len() - inner.payload.len();
            let mtu = headers_bytes - l3_offset + usize::from(gso_size);
            let frames = cut(&packet, u32::try_from(mtu).unwrap());
            prop_assert_eq!(&frames, &expected.collect::<Vec<_>>());
            prop_assert!(frames.iter().all(|frame| !is_long(frame, mtu)));
            let no_room = u32::try_from(mtu - usize::from(gso_size)).unwrap();
            prop_assert_eq!(to_mtu(&packet, no_room).unwrap_err(), SegmentError::ZeroSize);
        }

        /// Without a tunnel it is the segments themselves.
        #[test]
        fn bare_tcp_is_cut(inner in any_spec(), gso_size in 1u16..400) {
            let inner = Spec { is_tcp: true, ..inner };
            let whole = inner.build();
            let l3_offset = L4::locate(&whole).unwrap().l3_offset;
            let headers_bytes = whole.len() - inner.payload.len() - l3_offset;
            let frames = cut(&whole, u32::try_from(headers_bytes).unwrap() + u32::from(gso_size));
            let expected: Vec<_> = tcp_segments(&whole, gso_size).unwrap().map(|segment| {
                let mut bytes = vec![0; segment.len_bytes()];
                segment.write_into(&mut bytes).unwrap();
                bytes
            }).collect();
            prop_assert_eq!(frames, expected);
        }

        #[test]
        fn survives_damage(
            inner in any_spec(), outer in any_spec(), tunnel in any_tunnel(),
            at: prop::sample::Index, value: u8, len: prop::sample::Index, mtu in 0u32..2000,
        ) {
            let mut packet = wrap(&outer, &tunnel, true, &inner.build());
            let at = at.index(packet.len());
            packet[at] = value;
            packet.truncate(len.index(packet.len() + 1));
            if let Ok(mut cut) = to_mtu(&packet, mtu) {
                while let Some(len) = cut.next_len_bytes() {
                    prop_assert!(cut.write_next(&mut vec![0; len]).is_ok());
                }
            }
        }
    }

    /// What a kernel leaves to the device is finished: partial checksums, outer and inner.
    #[test]
    fn partial_checksums_do_not_matter() {
        let inner = Spec { payload: vec![7; 5000], ..Spec::default() };
        let whole = wrap(&Spec::default(), &Tunnel::Vxlan, true, &inner.build());
        let mut left = whole.clone();
        let l4 = L4::locate(&left).unwrap();
        let pseudo = checksum::fold(l4.pseudo_sum(l4.end - l4.start));
        left[l4.start + 6..l4.start + 8].copy_from_slice(&pseudo.to_be_bytes());
        assert_eq!(cut(&left, 1500), cut(&whole, 1500));
        assert_eq!(partial::complete(&mut left), partial::Completion::Completed);
        assert_eq!(left, whole);
        assert!(ipv4::verify_checksum(&cut(&whole, 1500)[2][14..]).is_ok());
    }

    #[test]
    fn other_packets_are_refused() {
        let inner = Spec { is_tcp: false, payload: vec![7; 5000], ..Spec::default() };
        assert!(
            to_mtu(&wrap(&Spec::default(), &Tunnel::Vxlan, true, &inner.build()), 1500).is_err()
        );
        assert!(to_mtu(&inner.build(), 1500).is_err());
        assert!(to_mtu(&[], 1500).is_err());
    }
}
