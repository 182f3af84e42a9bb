//! The sum over a whole frame, known from its headers ("local checksum offload").
//!
//! A right TCP or UDP checksum makes the sum over segment and pseudo-header zero, so the sum over
//! the segment is the pseudo-header's, negated: no look at the payload is needed for a checksum
//! that covers the frame from the outside.  Where the inner checksum is wrong, the outer one comes
//! out wrong as well, over the bytes that are sent: damage stays visible, and is found one hop
//! earlier.  It is never covered up, as it is by a new sum over damaged bytes.

use super::{fold, sum};
use crate::l4::L4;
use crate::{EtherType, IpProtocol};

/// Partial sum of `frame`, an Ethernet frame.
///
/// Headers and padding are summed as they are; the segment is taken for what its checksum says.
/// A frame without such a checksum (no TCP or UDP, a fragment, UDP without checksum, lengths that
/// differ) is summed whole.
#[must_use]
#[inline]
pub fn frame_sum(frame: &[u8]) -> u64 {
    L4::locate(frame).and_then(|l4| known_sum(frame, &l4)).unwrap_or_else(|| sum(frame))
}

/// The same for who knows already where the IP header is, and which IP it is.
#[must_use]
#[inline]
pub fn frame_sum_l3(frame: &[u8], l3_offset: usize, ethertype: EtherType) -> u64 {
    let l4 = L4::locate_l3(frame, l3_offset, ethertype);
    l4.and_then(|l4| known_sum(frame, &l4)).unwrap_or_else(|| sum(frame))
}

#[inline]
fn known_sum(frame: &[u8], l4: &L4) -> Option<u64> {
    let at = l4.checksum_at()?;
    let segment_bytes = l4.end - l4.start;
    if l4.protocol == IpProtocol::UDP {
        let &[_, _, _, _, len_hi, len_lo, sum_hi, sum_lo] =
            frame.get(at.checked_sub(crate::udp::CHECKSUM_OFFSET)?..)?.first_chunk()?;
        let covers_all = usize::from(u16::from_be_bytes([len_hi, len_lo])) == segment_bytes;
        if !covers_all || [sum_hi, sum_lo] == [0, 0] {
            return None;
        }
    }
    // The addresses stand in the header and, negated, in the pseudo-header: they cancel out.
    let is_v4 = l4.ip == EtherType::IPV4;
    let (from, to) = if is_v4 { (12, 20) } else { (8, 40) };
    let in_front = match (is_v4, l4.l3_offset) {
        // The usual lengths as constants: there is no loop then.
        (true, 14) => sum(frame.first_chunk::<26>()?),
        (false, 14) => sum(frame.first_chunk::<22>()?),
        _ => sum(frame.get(..l4.l3_offset + from)?),
    };
    let extensions = match frame.get(l4.l3_offset + to..l4.start)? {
        [] => 0,
        extensions => sum(extensions),
    };
    let rest_of_pseudo = u64::from(l4.protocol.get()) + segment_bytes as u64;
    // Negated modulo 0xffff: a segment has fewer than 2^16 bytes.
    let segment = (2 * 0xffff_u64).checked_sub(rest_of_pseudo)?;
    if l4.end == frame.len() {
        return Some(in_front + extensions + segment);
    }
    let padding = sum(frame.get(l4.end..)?);
    // Headers have an even length; a segment need not.
    let padding = if segment_bytes.is_multiple_of(2) {
        padding
    } else {
        u64::from(fold(padding).swap_bytes())
    };
    Some(in_front + extensions + segment + padding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::any_spec;
    use proptest::prelude::*;

    fn known(frame: &[u8]) -> Option<u64> {
        known_sum(frame, &L4::locate(frame)?)
    }

    proptest! {
        /// For a frame whose checksum is right it is the sum over all bytes, padding of any length
        /// and content included.
        #[test]
        fn is_the_sum_of_a_right_frame(spec in any_spec(), padding in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut frame = spec.build();
            frame.extend(padding);
            prop_assert!(known(&frame).is_some());
            prop_assert_eq!(frame_sum(&frame) % 0xffff, sum(&frame) % 0xffff);
        }

        /// Any damage to the segment leaves the two sums apart, as far as a checksum can tell.
        #[test]
        fn differs_for_a_damaged_frame(spec in any_spec(), at: prop::sample::Index, flip in 1u8..) {
            let mut frame = spec.build();
            let l4 = L4::locate(&frame).unwrap();
            // Lengths and ports are part of what is known; the payload is not looked at.
            let from = l4.checksum_at().unwrap() + 2;
            prop_assume!(from < l4.end);
            let at = from + at.index(l4.end - from);
            frame[at] ^= flip;
            prop_assume!(known(&frame).is_some());
            prop_assert_ne!(frame_sum(&frame) % 0xffff, sum(&frame) % 0xffff);
        }

        /// Without a checksum to trust, the bytes themselves are summed.
        #[test]
        fn is_the_plain_sum_of_anything_else(spec in any_spec(), more: bool) {
            let mut frame = spec.build();
            let l4 = L4::locate(&frame).unwrap();
            if !spec.is_tcp {
                let at = l4.checksum_at().unwrap();
                frame[at..at + 2].fill(0);
            } else if !spec.is_v6 {
                frame[l4.l3_offset + 6] = if more { 0x20 } else { 0x01 };
            } else {
                return Ok(());
            }
            if !spec.payload.is_empty() {
                frame[l4.end - 1] ^= 0xff;
            }
            prop_assert_eq!(known(&frame), None);
            prop_assert_eq!(frame_sum(&frame), sum(&frame));
        }

        #[test]
        fn survives_noise(noise: Vec<u8>) {
            let _ = frame_sum(&noise);
        }
    }
}
