//! Ethernet II frames, IEEE 802.3 section 3, with up to two VLAN tags.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |                      target address                           |
//! |                               |                               |
//! |                       source address                          |
//! |          EtherType            |
//! ```

use crate::error::room;
use crate::{EtherType, Layer, MacAddr, ParseError, Tag, WriteError};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of an Ethernet header without tags, in bytes.
pub const LEN_BYTES: usize = 14;

/// The shortest frame on a wire, without FCS, in bytes; shorter ones are padded with zeros.
pub const FRAME_MIN_BYTES: usize = 60;

/// Offset of the first tag or, without one, of the `EtherType`.
pub const TAG_OFFSET: usize = 12;

/// The fixed Ethernet header, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct EthernetHeader {
    /// Whom the frame is for.
    pub target: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    ethertype: U16,
}

impl EthernetHeader {
    /// Puts a header together.
    #[must_use]
    pub const fn new(target: MacAddr, source: MacAddr, ethertype: EtherType) -> Self {
        Self { target, source, ethertype: U16::new(ethertype.0) }
    }

    /// Splits `frame` into header and the rest, which starts with a tag's TCI when
    /// [`EthernetHeader::ethertype`] is that of a tag.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 14 bytes.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        Self::ref_from_prefix(frame)
            .map_err(|_| ParseError::truncated(Layer::Ethernet, LEN_BYTES, frame.len()))
    }

    /// What follows: a protocol, a tag, or below 0x0600 a length.
    #[must_use]
    pub const fn ethertype(&self) -> EtherType {
        EtherType(self.ethertype.get())
    }

    /// Writes this header to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is shorter than the header.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        room::<LEN_BYTES>(out)?.copy_from_slice(self.as_bytes());
        Ok(LEN_BYTES)
    }
}

/// What the Ethernet header and up to two tags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2 {
    /// Whom the frame is for.
    pub target: MacAddr,
    /// Who sent it.
    pub source: MacAddr,
    /// The tag right behind the addresses.
    pub outer_tag: Option<Tag>,
    /// The tag behind that one.
    pub inner_tag: Option<Tag>,
    /// What stands behind the tags: a protocol, below 0x0600 a length, or a third tag.
    pub ethertype: EtherType,
    /// Where the payload starts: 14, 18 or 22 bytes from the start of the frame.
    pub l3_offset: usize,
}

impl L2 {
    /// How many tags were read, 0 to 2.
    #[must_use]
    pub const fn tag_count(&self) -> usize {
        self.outer_tag.is_some() as usize + self.inner_tag.is_some() as usize
    }
}

/// Reads addresses, up to two VLAN tags and the `EtherType` of `frame`.
///
/// A third tag is payload, as it is to Open vSwitch: the work is bounded.
///
/// # Errors
///
/// [`ParseError::Truncated`] when the frame ends before the `EtherType` behind the tags does.
#[inline]
pub fn parse_l2(frame: &[u8]) -> Result<L2, ParseError> {
    let (header, rest) = EthernetHeader::parse(frame)?;
    let l2 = L2 {
        target: header.target,
        source: header.source,
        outer_tag: None,
        inner_tag: None,
        ethertype: header.ethertype(),
        l3_offset: LEN_BYTES,
    };
    if l2.ethertype.is_tag() { parse_tags(l2, rest) } else { Ok(l2) }
}

/// Reads one or two tags; `rest` starts with the TCI of the first.
fn parse_tags(mut l2: L2, rest: &[u8]) -> Result<L2, ParseError> {
    let (outer, rest) = split_tag(&mut l2, rest)?;
    l2.outer_tag = Some(outer);
    if l2.ethertype.is_tag() {
        let (inner, _) = split_tag(&mut l2, rest)?;
        l2.inner_tag = Some(inner);
    }
    Ok(l2)
}

/// Takes the TCI and the next `EtherType` off `rest`.
fn split_tag<'a>(l2: &mut L2, rest: &'a [u8]) -> Result<(Tag, &'a [u8]), ParseError> {
    let (&[a, b, c, d], after) = rest.split_first_chunk().ok_or(ParseError::truncated(
        Layer::Vlan,
        Tag::LEN_BYTES + 2,
        rest.len() + 2,
    ))?;
    let tci = crate::Tci::from_wire(u16::from_be_bytes([a, b]));
    let tag = Tag { tpid: l2.ethertype, tci };
    l2.ethertype = EtherType(u16::from_be_bytes([c, d]));
    l2.l3_offset += Tag::LEN_BYTES;
    Ok((tag, after))
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{EthernetHeader, L2, LEN_BYTES};
    use crate::mac::generators::{any_mac, unicast_mac};
    use crate::vlan::generators::any_tag;
    use crate::{EtherType, Tag};
    use proptest::prelude::*;

    /// A header with any target, a unicast source and an `EtherType` that is no tag.
    pub fn any_ethernet() -> impl Strategy<Value = EthernetHeader> {
        let ethertype = any::<u16>().prop_map(EtherType).prop_filter("tag", |e| !e.is_tag());
        (any_mac(), unicast_mac(), ethertype)
            .prop_map(|(target, source, ethertype)| EthernetHeader::new(target, source, ethertype))
    }

    /// A frame's L2 part with 0 to 2 tags, as bytes and as what they should be read as.
    pub fn any_l2() -> impl Strategy<Value = (Vec<u8>, L2)> {
        (any_ethernet(), proptest::collection::vec(any_tag(), 0..=2)).prop_map(|(header, tags)| {
            let mut bytes = [header.target.0, header.source.0].concat();
            bytes.extend(tags.iter().flat_map(|tag| tag.to_bytes()));
            bytes.extend(header.ethertype().0.to_be_bytes());
            let l2 = L2 {
                target: header.target,
                source: header.source,
                outer_tag: tags.first().copied(),
                inner_tag: tags.get(1).copied(),
                ethertype: header.ethertype(),
                l3_offset: LEN_BYTES + tags.len() * Tag::LEN_BYTES,
            };
            (bytes, l2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn header_round_trips(header in generators::any_ethernet(), payload: Vec<u8>) {
            let mut frame = vec![0; LEN_BYTES];
            prop_assert_eq!(header.write(&mut frame), Ok(LEN_BYTES));
            frame.extend(&payload);
            prop_assert_eq!(EthernetHeader::parse(&frame), Ok((&header, &payload[..])));
        }

        #[test]
        fn l2_round_trips((mut frame, l2) in generators::any_l2(), payload: Vec<u8>) {
            frame.extend(payload);
            prop_assert_eq!(parse_l2(&frame), Ok(l2));
        }

        #[test]
        fn every_truncation_is_an_error((frame, l2) in generators::any_l2()) {
            prop_assert_eq!(frame.len(), l2.l3_offset);
            for len in 0..frame.len() {
                let error = parse_l2(&frame[..len]).unwrap_err();
                let ParseError::Truncated { need_bytes, have_bytes, .. } = error else {
                    panic!("{error}");
                };
                prop_assert!(have_bytes < need_bytes);
            }
        }

        #[test]
        fn noise_is_read_within_bounds(noise: Vec<u8>) {
            if let Ok(l2) = parse_l2(&noise) {
                prop_assert!(l2.l3_offset <= noise.len());
                prop_assert_eq!(l2.l3_offset, LEN_BYTES + 4 * l2.tag_count());
            }
        }
    }

    #[test]
    fn a_third_tag_is_payload() {
        for tags in [3usize, 4, 64] {
            let mut frame = vec![2; 12];
            for vid in 0..tags {
                frame.extend([0x81, 0, 0, u8::try_from(vid).unwrap()]);
            }
            frame.extend([8, 0]);
            let l2 = parse_l2(&frame).unwrap();
            assert_eq!((l2.tag_count(), l2.ethertype, l2.l3_offset), (2, EtherType::C_TAG, 22));
            assert_eq!(l2.inner_tag.unwrap().tci.vid().get(), 1);
        }
    }
}
