//! VLAN tags, IEEE 802.1Q section 9 (C-tag) and 802.1ad (S-tag).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |      TPID 0x8100 or 0x88a8    |PCP  |D|          VID          |
//! ```

use crate::error::room;
use crate::{EtherType, Layer, ParseError, Tci, WriteError};

/// One VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Tag protocol identifier: [`EtherType::C_TAG`] or [`EtherType::S_TAG`] when it was parsed.
    pub tpid: EtherType,
    /// Priority, drop eligibility and VLAN.
    pub tci: Tci,
}

impl Tag {
    /// Length on the wire, in bytes.
    pub const LEN_BYTES: usize = 4;

    /// A C-tag.
    #[must_use]
    pub const fn c_tag(tci: Tci) -> Self {
        Self { tpid: EtherType::C_TAG, tci }
    }

    /// Reads the tag whose TPID starts `bytes`; `Ok(None)` when no tag starts there.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] when `bytes` end within the TPID or, after a TPID, before the
    /// `EtherType` that must follow the tag.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, ParseError> {
        let truncated = |need| ParseError::truncated(Layer::Vlan, need, bytes.len());
        let (&tpid, _) = bytes.split_first_chunk::<2>().ok_or(truncated(2))?;
        let tpid = EtherType(u16::from_be_bytes(tpid));
        if !tpid.is_tag() {
            return Ok(None);
        }
        let need_bytes = Self::LEN_BYTES + 2;
        let (&[_, _, high, low], rest) = bytes
            .split_first_chunk::<{ Self::LEN_BYTES }>()
            .filter(|(_, rest)| rest.len() >= 2)
            .ok_or(truncated(need_bytes))?;
        let tci = Tci::from_wire(u16::from_be_bytes([high, low]));
        Ok(Some((Self { tpid, tci }, rest)))
    }

    /// The bytes of this tag, to stand behind the source address.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN_BYTES] {
        let [a, b] = self.tpid.0.to_be_bytes();
        let [c, d] = self.tci.to_wire().to_be_bytes();
        [a, b, c, d]
    }

    /// Writes this tag to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is shorter than the tag.
    pub fn write(self, out: &mut [u8]) -> Result<usize, WriteError> {
        *room(out)? = self.to_bytes();
        Ok(Self::LEN_BYTES)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::Tag;
    use crate::EtherType;
    use crate::vid::generators::any_tci;
    use proptest::prelude::*;

    /// Any C-tag or S-tag.
    pub fn any_tag() -> impl Strategy<Value = Tag> {
        (any::<bool>(), any_tci()).prop_map(|(is_s_tag, tci)| {
            let tpid = if is_s_tag { EtherType::S_TAG } else { EtherType::C_TAG };
            Tag { tpid, tci }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(tag in generators::any_tag(), rest: [u8; 7]) {
            let mut bytes = tag.to_bytes().to_vec();
            bytes.extend(rest);
            prop_assert_eq!(Tag::parse(&bytes), Ok(Some((tag, &rest[..]))));
            let mut out = [0xaa; 6];
            prop_assert_eq!(tag.write(&mut out), Ok(4));
            prop_assert_eq!(&out[..4], &bytes[..4]);
            for len in 0..6 {
                prop_assert!(Tag::parse(&bytes[..len]).is_err());
            }
        }

        #[test]
        fn other_ethertypes_are_no_tag(raw: u16, rest: [u8; 4]) {
            prop_assume!(!EtherType(raw).is_tag());
            let mut bytes = raw.to_be_bytes().to_vec();
            bytes.extend(rest);
            prop_assert_eq!(Tag::parse(&bytes), Ok(None));
        }
    }

    #[test]
    fn says_how_much_room_it_needs() {
        let tag = Tag::c_tag(Tci::from_wire(5));
        assert_eq!(
            tag.write(&mut [0; 3]),
            Err(WriteError::ShortBuffer { need_bytes: 4, have_bytes: 3 })
        );
    }
}
