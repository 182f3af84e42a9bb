//! The offload header of `IFF_VNET_HDR` (`struct virtio_net_hdr`): what the kernel left undone.

use super::VNET_HEADER_BYTES;
use weft_wire::checksum;
use weft_wire::coalesce::Offload;

const NEEDS_CSUM: u8 = 1;

/// Offset of the checksum in a UDP header.
const UDP_CHECKSUM_OFFSET: usize = 6;

/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM_OFFSET: u16 = 16;

/// What kind of super-frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gso {
    None,
    /// TCP over either IP version.
    Tcp,
    /// UDP datagrams of equal size, over either IP version.
    Udp,
    /// Nothing that was asked for.
    Other,
}

/// The header.  Fields are in the machine's byte order, the default of the TUN driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct VnetHeader {
    flags: u8,
    gso_type: u8,
    /// Payload bytes of each segment.
    pub(super) gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl VnetHeader {
    pub(super) const fn parse(bytes: [u8; VNET_HEADER_BYTES]) -> Self {
        let [flags, gso_type, _, _, s0, s1, c0, c1, o0, o1] = bytes;
        Self {
            flags,
            gso_type,
            gso_size: u16::from_ne_bytes([s0, s1]),
            csum_start: u16::from_ne_bytes([c0, c1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    /// The bytes for a TCP super-frame that we joined.
    pub(super) const fn of_superframe(offload: Offload) -> [u8; VNET_HEADER_BYTES] {
        let gso_type = if offload.is_v6 { 4 } else { 1 };
        let [h0, h1] = offload.headers_len.to_ne_bytes();
        let [s0, s1] = offload.gso_size.to_ne_bytes();
        let [c0, c1] = offload.checksum_start.to_ne_bytes();
        let [o0, o1] = TCP_CHECKSUM_OFFSET.to_ne_bytes();
        [NEEDS_CSUM, gso_type, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    pub(super) const fn gso(self) -> Gso {
        // The highest bit says that TCP has ECN; that shows in the TCP header too.
        match self.gso_type & 0x7f {
            0 => Gso::None,
            1 | 4 => Gso::Tcp,
            5 => Gso::Udp,
            _ => Gso::Other,
        }
    }

    /// Completes the checksum of a frame, if it is missing: whether it was.  `None` when the header
    /// points outside the frame.
    pub(super) fn complete_checksum(self, frame: &mut [u8]) -> Option<bool> {
        if self.flags & NEEDS_CSUM == 0 {
            return Some(false);
        }
        let covered = frame.get_mut(usize::from(self.csum_start)..)?;
        let offset = usize::from(self.csum_offset);
        if covered.len() < offset + 2 {
            return None;
        }
        // The field holds the sum of the pseudo-header, so it takes part in the sum.
        let sum = checksum::sum(covered);
        let value = if offset == UDP_CHECKSUM_OFFSET {
            checksum::finish_udp(sum)
        } else {
            checksum::finish(sum)
        };
        covered.get_mut(offset..offset + 2)?.copy_from_slice(&value.to_be_bytes());
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(flags: u8, start: u16, offset: u16) -> VnetHeader {
        let ([c0, c1], [o0, o1]) = (start.to_ne_bytes(), offset.to_ne_bytes());
        VnetHeader::parse([flags, 0, 0, 0, 0, 0, c0, c1, o0, o1])
    }

    proptest! {
        /// With the pseudo-header sum in the field, the completed bytes and the pseudo-header sum
        /// to all ones.
        #[test]
        fn completed_checksums_are_right(
            mut frame in prop::collection::vec(any::<u8>(), 60..300),
            start in 14u16..40,
            udp: bool,
            pseudo in 1u16..,
        ) {
            let offset = if udp { 6u16 } else { 16 };
            let at = usize::from(start + offset);
            frame[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
            let done = header(NEEDS_CSUM, start, offset).complete_checksum(&mut frame);
            prop_assert_eq!(done, Some(true));
            let total = checksum::sum(&frame[usize::from(start)..]) + u64::from(pseudo);
            // Over right bytes the one's complement sum is all ones, less the field's own value
            // taken out of the covered bytes.
            prop_assert_eq!(checksum::fold(total), 0xffff);
            if udp {
                prop_assert_ne!(&frame[at..at + 2], &[0, 0]);
            }
        }

        #[test]
        fn nonsense_is_refused_and_changes_nothing(
            frame in prop::collection::vec(any::<u8>(), 0..100), flags: u8, start: u16, offset: u16,
        ) {
            let mut copy = frame.clone();
            let done = header(flags, start, offset).complete_checksum(&mut copy);
            let inside = usize::from(start) + usize::from(offset) + 2 <= frame.len();
            let needed = flags & NEEDS_CSUM != 0;
            let expected = if needed { inside.then_some(true) } else { Some(false) };
            prop_assert_eq!(done, expected);
            if done != Some(true) {
                prop_assert_eq!(copy, frame);
            }
        }
    }

    /// RFC 768: a checksum of zero means none, so it is sent as all ones; TCP has no such rule.
    #[test]
    fn a_checksum_of_zero() {
        for (offset, expected) in [(6, [0xff, 0xff]), (16, [0, 0])] {
            let mut frame = [0; 60];
            let at = 34 + usize::from(offset);
            frame[at..at + 2].fill(0xff);
            let done = header(NEEDS_CSUM, 34, offset).complete_checksum(&mut frame);
            assert_eq!(done, Some(true));
            assert_eq!(frame[at..at + 2], expected);
        }
    }

    /// What is written for a super-frame is what is read of one.
    #[test]
    fn super_frames_of_ours() {
        let offload = Offload { is_v6: true, headers_len: 86, gso_size: 1428, checksum_start: 54 };
        for is_v6 in [false, true] {
            let bytes = VnetHeader::of_superframe(Offload { is_v6, ..offload });
            let header = VnetHeader::parse(bytes);
            assert_eq!((header.flags, header.gso(), header.gso_size), (1, Gso::Tcp, 1428));
            assert_eq!((header.csum_start, header.csum_offset), (54, 16));
            assert_eq!(
                (bytes[1], &bytes[2..4]),
                (if is_v6 { 4 } else { 1 }, &86u16.to_ne_bytes()[..])
            );
        }
    }

    #[test]
    fn kinds_of_super_frames() {
        let gso = |kind| VnetHeader::parse([0, kind, 0, 0, 0, 0, 0, 0, 0, 0]).gso();
        assert_eq!(gso(0), Gso::None);
        assert_eq!(gso(1), Gso::Tcp);
        assert_eq!(gso(0x81), Gso::Tcp);
        assert_eq!(gso(4), Gso::Tcp);
        assert_eq!(gso(5), Gso::Udp);
        assert_eq!(gso(3), Gso::Other);
    }
}
