//! Finishing checksums that a sender left to its network card.
//!
//! A guest behind a veth, or a TAP, that offers checksum offload sends TCP and UDP with only the
//! pseudo-header's sum in the checksum field.  A TAP says so (virtio-net `NEEDS_CSUM`): there is
//! [`complete_at`].  A veth through `AF_XDP` does not: [`complete`] knows such a frame by its field,
//! which is the folded and *uncomplemented* sum of the pseudo-header.  A frame whose right checksum
//! happens to be that number is computed anew, to the same number.

use super::{finish, finish_udp, fold, sum};
use crate::l4::L4;
use crate::{EtherType, IpProtocol, Layer, ParseError};

/// What [`complete`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Completion {
    /// No partial checksum: the frame is as it was.
    NotPartial,
    /// The checksum was partial and is whole now.
    Completed,
}

/// Completes the TCP or UDP checksum of an Ethernet frame with up to two VLAN tags, if it is
/// partial.  A frame with another checksum costs a look at its headers, none at its payload.
///
/// Left alone: what is not TCP or UDP in IPv4 or IPv6, fragments, and anything malformed.
#[inline]
pub fn complete(frame: &mut [u8]) -> Completion {
    finish_partial(L4::locate(frame), frame)
}

/// The same for who knows already where the IP header is, and which IP it is.
#[inline]
pub fn complete_l3(frame: &mut [u8], l3_offset: usize, ethertype: EtherType) -> Completion {
    finish_partial(L4::locate_l3(frame, l3_offset, ethertype), frame)
}

#[inline]
fn finish_partial(l4: Option<L4>, frame: &mut [u8]) -> Completion {
    match l4 {
        Some(l4) if is_partial(&l4, frame) => match fill(&l4, frame) {
            Some(()) => Completion::Completed,
            None => Completion::NotPartial,
        },
        _ => Completion::NotPartial,
    }
}

/// True when the checksum field holds the pseudo-header's sum.
#[inline]
fn is_partial(l4: &L4, frame: &[u8]) -> bool {
    let field = l4.checksum_at().and_then(|at| frame.get(at..)?.first_chunk::<2>());
    field.is_some_and(|&f| u16::from_be_bytes(f) == fold(l4.pseudo_sum(l4.end - l4.start)))
}

/// Sums the segment, in which the field still stands for the pseudo-header, and writes the field.
fn fill(l4: &L4, frame: &mut [u8]) -> Option<()> {
    let at = l4.checksum_at()?;
    let total = sum(frame.get(l4.start..l4.end)?);
    let is_udp = l4.protocol == IpProtocol::UDP;
    let checksum = if is_udp { finish_udp(total) } else { finish(total) };
    *frame.get_mut(at..)?.first_chunk_mut()? = checksum.to_be_bytes();
    Some(())
}

/// Completes the checksum that virtio-net's `VIRTIO_NET_HDR_F_NEEDS_CSUM` announces: the field at
/// `csum_start + csum_offset` holds the pseudo-header's sum, and the checksum covers all from
/// `csum_start` to the end of the packet (virtio 1.2 section 5.1.6).
///
/// The end is what the IP header says, so that padding stays out; without a readable IP header it
/// is the end of the frame.  A UDP result of 0 is written as 0xffff; UDP is known by its offset 6.
///
/// # Errors
///
/// [`ParseError::Truncated`] when the field is not inside the packet; the frame is unchanged.
pub fn complete_at(frame: &mut [u8], csum_start: u16, csum_offset: u16) -> Result<(), ParseError> {
    let start = usize::from(csum_start);
    let at = usize::from(csum_offset);
    let ip_end = L4::locate(frame).map(|l4| l4.end).filter(|&end| end >= start);
    let end = ip_end.unwrap_or(frame.len());
    let truncated = ParseError::truncated(Layer::Ethernet, start + at + 2, end);
    let segment = frame.get_mut(start..end).ok_or(truncated)?;
    let total = sum(segment);
    let field = segment.get_mut(at..).and_then(|tail| tail.first_chunk_mut::<2>());
    let is_udp = at == crate::udp::CHECKSUM_OFFSET;
    let checksum = if is_udp { finish_udp(total) } else { finish(total) };
    *field.ok_or(truncated)? = checksum.to_be_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{Spec, any_spec};
    use proptest::prelude::*;

    /// Puts the pseudo-header's sum where the checksum was, as the Linux stack does.
    fn make_partial(frame: &mut [u8]) -> L4 {
        let l4 = L4::locate(frame).unwrap();
        let at = l4.checksum_at().unwrap();
        let pseudo = fold(l4.pseudo_sum(l4.end - l4.start));
        frame[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
        l4
    }

    proptest! {
        /// The completed frame is the frame whose checksum the builder computed; non-zero padding
        /// behind the IP packet (CVE-2020-35498) changes nothing.
        #[test]
        fn completes_to_the_right_checksum(spec in any_spec(), padding in prop::collection::vec(1u8.., 0..300)) {
            let mut right = spec.build();
            right.extend(padding);
            let mut frame = right.clone();
            let l4 = make_partial(&mut frame);
            let mut flagged = frame.clone();
            prop_assert_eq!(complete(&mut frame), Completion::Completed);
            prop_assert_eq!(&frame, &right);
            prop_assert_eq!(l4.is_checksum_right(&frame), Some(true));
            let start = u16::try_from(l4.start).unwrap();
            let offset = u16::try_from(l4.checksum_at().unwrap() - l4.start).unwrap();
            prop_assert_eq!(complete_at(&mut flagged, start, offset), Ok(()));
            prop_assert_eq!(&flagged, &right);
        }

        /// A finished frame stays as it is, whether or not it looks partial by chance.
        #[test]
        fn leaves_a_right_frame_alone(spec in any_spec()) {
            let right = spec.build();
            let mut frame = right.clone();
            let _ = complete(&mut frame);
            prop_assert_eq!(frame, right);
        }

        /// A wrong checksum that is not partial stays wrong: the receiver is to notice.
        #[test]
        fn repairs_nothing_else(spec in any_spec(), flip in 1u16..) {
            let mut frame = spec.build();
            let l4 = make_partial(&mut frame);
            let at = l4.checksum_at().unwrap();
            let field = u16::from_be_bytes([frame[at], frame[at + 1]]) ^ flip;
            frame[at..at + 2].copy_from_slice(&field.to_be_bytes());
            let before = frame.clone();
            prop_assert_eq!(complete(&mut frame), Completion::NotPartial);
            prop_assert_eq!(frame, before);
        }

        #[test]
        fn leaves_fragments_alone(spec in any_spec(), more: bool, offset in 1u16..0x2000) {
            prop_assume!(!spec.is_v6);
            let mut frame = spec.build();
            let l4 = make_partial(&mut frame);
            let word = if more { 0x2000 } else { offset };
            frame[l4.l3_offset + 6..l4.l3_offset + 8].copy_from_slice(&word.to_be_bytes());
            let before = frame.clone();
            prop_assert_eq!(complete(&mut frame), Completion::NotPartial);
            prop_assert_eq!(frame, before);
        }

        /// Every truncation and every single wrong byte: no panic, and no byte changes but the
        /// field.
        #[test]
        fn survives_damage(spec in any_spec(), cut: prop::sample::Index, at: prop::sample::Index, value: u8) {
            let mut frame = spec.build();
            let l4 = make_partial(&mut frame);
            let index = at.index(frame.len());
            frame[index] = value;
            frame.truncate(cut.index(frame.len() + 1));
            let before = frame.clone();
            let _ = complete(&mut frame);
            let changed = before.iter().zip(&frame).filter(|(a, b)| a != b).count();
            prop_assert!(changed <= 2);
            let start = u16::try_from(l4.start).unwrap();
            let _ = complete_at(&mut frame, start, u16::from(value));
        }

        #[test]
        fn flagged_fields_outside_are_refused(mut frame: Vec<u8>, start: u16, offset: u16) {
            let before = frame.clone();
            let end = usize::from(start) + usize::from(offset) + 2;
            let done = complete_at(&mut frame, start, offset);
            if end > frame.len() {
                prop_assert!(done.is_err() && before == frame);
            }
        }
    }

    #[test]
    fn udp_sends_ffff_for_zero() {
        // Find a payload whose sum makes the checksum 0.
        let spec = Spec {
            is_tcp: false,
            is_v6: false,
            tags: vec![],
            payload: vec![0, 0],
            ..Spec::default()
        };
        let mut frame = spec.build();
        let l4 = L4::locate(&frame).unwrap();
        let checksum = u16::from_be_bytes([frame[l4.start + 6], frame[l4.start + 7]]);
        frame[l4.start + 8..l4.start + 10].copy_from_slice(&checksum.to_be_bytes());
        make_partial(&mut frame);
        assert_eq!(complete(&mut frame), Completion::Completed);
        assert_eq!(frame[l4.start + 6..l4.start + 8], [0xff, 0xff]);
        assert_eq!(l4.is_checksum_right(&frame), Some(true));
    }
}
