//! GRE, RFC 2784, with key and sequence number, RFC 2890.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |C|R|K|S|R R|    Reserved0    | Ver |         Protocol Type     |
//! |      Checksum (optional)      |       Reserved1 (Optional)    |
//! |                         Key (optional)                        |
//! |                 Sequence Number (optional)                    |
//! ```
//!
//! Bits 1, 4 and 5 are R above: RFC 2784 section 2.3 has a receiver discard a packet with any of
//! them set, unless it speaks RFC 1701, which we do not.  Bits 6 to 12 and Reserved1 are sent as
//! zero and ignored on receipt.

use crate::checksum;
use crate::error::room;
use crate::{EtherType, Layer, ParseError, WriteError};

/// Length of a header without options, in bytes.
pub const LEN_BYTES: usize = 4;

/// Length of the longest header, in bytes.
pub const LEN_MAX_BYTES: usize = 16;

const CHECKSUM_PRESENT: u16 = 0x8000;
const KEY_PRESENT: u16 = 0x2000;
const SEQUENCE_PRESENT: u16 = 0x1000;
/// Bits 1-5 less K and S: routing, strict source route and the first bit of recursion control of
/// RFC 1701.
const MUST_BE_ZERO: u16 = 0x4c00;
pub(crate) const VERSION_MASK: u8 = 0x07;

/// A GRE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gre {
    /// What the payload is; [`EtherType::TEB`] for an Ethernet frame.
    pub protocol: EtherType,
    /// The checksum as received, `None` without the C bit.  When writing, the number is ignored:
    /// `Some` asks for the field, and [`Gre::fill_checksum`] fills it in.
    pub checksum: Option<u16>,
    /// The key, `None` without the K bit.
    pub key: Option<u32>,
    /// The sequence number, `None` without the S bit.
    pub sequence: Option<u32>,
}

/// Takes a 32-bit word off the front of `rest`; `need` says how many bytes the header takes.
fn split_word<'a>(rest: &mut &'a [u8], truncated: ParseError) -> Result<&'a [u8; 4], ParseError> {
    let (word, after) = rest.split_first_chunk().ok_or(truncated)?;
    *rest = after;
    Ok(word)
}

impl Gre {
    /// A header without checksum, key or sequence number.
    #[must_use]
    pub const fn new(protocol: EtherType) -> Self {
        Self { protocol, checksum: None, key: None, sequence: None }
    }

    /// Splits `packet`, the payload of an IP packet without padding, into header and payload.
    ///
    /// The checksum is not looked at; see [`Gre::verify_checksum`].
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`]; [`ParseError::GreVersion`], which goes first, since version 1
    /// is another protocol; [`ParseError::GreFlags`].
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let truncated = |need| ParseError::truncated(Layer::Gre, need, packet.len());
        let (&[high, low, proto_high, proto_low], mut rest) =
            packet.split_first_chunk::<LEN_BYTES>().ok_or(truncated(LEN_BYTES))?;
        let flags = u16::from_be_bytes([high, low]);
        if low & VERSION_MASK != 0 {
            return Err(ParseError::GreVersion { version: low & VERSION_MASK });
        }
        if flags & MUST_BE_ZERO != 0 {
            return Err(ParseError::GreFlags { flags });
        }
        let mut gre = Self::new(EtherType(u16::from_be_bytes([proto_high, proto_low])));
        if flags & (CHECKSUM_PRESENT | KEY_PRESENT | SEQUENCE_PRESENT) == 0 {
            return Ok((gre, rest));
        }
        let need = truncated(Self::flagged_len_bytes(flags));
        if flags & CHECKSUM_PRESENT != 0 {
            let &[high, low, _, _] = split_word(&mut rest, need)?;
            gre.checksum = Some(u16::from_be_bytes([high, low]));
        }
        if flags & KEY_PRESENT != 0 {
            gre.key = Some(u32::from_be_bytes(*split_word(&mut rest, need)?));
        }
        if flags & SEQUENCE_PRESENT != 0 {
            gre.sequence = Some(u32::from_be_bytes(*split_word(&mut rest, need)?));
        }
        Ok((gre, rest))
    }

    /// Length of a header with these flags.
    const fn flagged_len_bytes(flags: u16) -> usize {
        let words = flags & (CHECKSUM_PRESENT | KEY_PRESENT | SEQUENCE_PRESENT);
        LEN_BYTES + 4 * words.count_ones() as usize
    }

    /// The first 16 bits of this header.
    const fn flags(&self) -> u16 {
        let mut flags = 0;
        if self.checksum.is_some() {
            flags |= CHECKSUM_PRESENT;
        }
        if self.key.is_some() {
            flags |= KEY_PRESENT;
        }
        if self.sequence.is_some() {
            flags |= SEQUENCE_PRESENT;
        }
        flags
    }

    /// Length of this header, 4 to 16 bytes.
    #[must_use]
    pub const fn header_len_bytes(&self) -> usize {
        Self::flagged_len_bytes(self.flags())
    }

    /// Checks the checksum of `packet`, from which this header was parsed; it covers header and
    /// payload (RFC 2784 section 2.5).  Without the C bit there is nothing to check.
    ///
    /// # Errors
    ///
    /// [`ParseError::BadChecksum`].
    pub fn verify_checksum(&self, packet: &[u8]) -> Result<(), ParseError> {
        if self.checksum.is_none() || checksum::internet_checksum(packet) == 0 {
            return Ok(());
        }
        Err(ParseError::BadChecksum { layer: Layer::Gre })
    }

    /// Writes this header to the front of `out`, the checksum as 0; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let len = self.header_len_bytes();
        let have_bytes = out.len();
        let mut rest =
            out.get_mut(..len).ok_or(WriteError::ShortBuffer { need_bytes: len, have_bytes })?;
        let [a, b] = self.flags().to_be_bytes();
        let [c, d] = self.protocol.0.to_be_bytes();
        let words = [
            Some([a, b, c, d]),
            self.checksum.map(|_| [0; 4]),
            self.key.map(u32::to_be_bytes),
            self.sequence.map(u32::to_be_bytes),
        ];
        for word in words.into_iter().flatten() {
            *room(rest)? = word;
            rest = rest.get_mut(4..).unwrap_or_default();
        }
        Ok(len)
    }

    /// Fills the checksum in of `packet`, which starts with a header with the C bit and ends with
    /// the payload.  A packet without the C bit is left as it is.
    pub fn fill_checksum(packet: &mut [u8]) {
        match packet {
            [high, _, _, _, a, b, ..] if *high & 0x80 != 0 => (*a, *b) = (0, 0),
            _ => return,
        }
        let checksum = checksum::internet_checksum(packet).to_be_bytes();
        if let Some(field) = packet.get_mut(4..6) {
            field.copy_from_slice(&checksum);
        }
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::Gre;
    use crate::EtherType;
    use proptest::prelude::*;

    /// Any header; a checksum is `Some(0)`, as [`Gre::write`] writes it.
    pub fn any_gre() -> impl Strategy<Value = Gre> {
        any::<(u16, bool, Option<u32>, Option<u32>)>().prop_map(
            |(protocol, has_checksum, key, sequence)| Gre {
                protocol: EtherType(protocol),
                checksum: has_checksum.then_some(0),
                key,
                sequence,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(gre: &Gre, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xee; gre.header_len_bytes()];
        assert_eq!(gre.write(&mut packet), Ok(packet.len()));
        packet.extend(payload);
        packet
    }

    proptest! {
        #[test]
        fn round_trips(gre in generators::any_gre(), payload: Vec<u8>) {
            let packet = written(&gre, &payload);
            prop_assert_eq!(Gre::parse(&packet), Ok((gre, &payload[..])));
        }

        #[test]
        fn every_truncation_is_an_error(gre in generators::any_gre()) {
            let packet = written(&gre, &[]);
            for len in 0..packet.len() {
                let need = if len < LEN_BYTES { LEN_BYTES } else { packet.len() };
                prop_assert_eq!(
                    Gre::parse(&packet[..len]),
                    Err(ParseError::truncated(Layer::Gre, need, len))
                );
                prop_assert!(gre.write(&mut vec![0; len]).is_err());
            }
        }

        /// standards.md E2, for every value of the first 16 bits.
        #[test]
        fn flags_are_judged_bit_by_bit(flags: u16) {
            let mut packet = [0u8; 16];
            packet[..2].copy_from_slice(&flags.to_be_bytes());
            let bit = |n: u16| flags & (1 << (15 - n)) != 0; // as the RFC numbers them
            match Gre::parse(&packet) {
                Err(ParseError::GreVersion { version }) => {
                    prop_assert_eq!(u16::from(version), flags & 7);
                    prop_assert!(version != 0);
                }
                Err(ParseError::GreFlags { flags: named }) => {
                    prop_assert_eq!(named, flags);
                    prop_assert!(bit(1) || bit(4) || bit(5));
                }
                Ok((gre, rest)) => {
                    prop_assert!(!bit(13) && !bit(14) && !bit(15) && !bit(1) && !bit(4) && !bit(5));
                    prop_assert_eq!(gre.checksum.is_some(), bit(0));
                    prop_assert_eq!(gre.key.is_some(), bit(2));
                    prop_assert_eq!(gre.sequence.is_some(), bit(3));
                    prop_assert_eq!(rest.len() + gre.header_len_bytes(), packet.len());
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        /// Bits 6-12 and Reserved1 are ignored, though the checksum covers them.
        #[test]
        fn reserved_bits_are_ignored(gre in generators::any_gre(), reserved: u16, one: [u8; 2]) {
            let mut packet = written(&gre, &[]);
            packet[0] |= u8::try_from((reserved & 0x0300) >> 8).unwrap();
            packet[1] |= u8::try_from(reserved & 0x00f8).unwrap();
            if gre.checksum.is_some() {
                packet[6..8].copy_from_slice(&one);
            }
            prop_assert_eq!(Gre::parse(&packet), Ok((gre, &[][..])));
        }

        #[test]
        fn a_wrong_bit_fails_the_checksum(mut gre in generators::any_gre(), payload: Vec<u8>, bit: prop::sample::Index) {
            let mut packet = written(&gre, &payload);
            Gre::fill_checksum(&mut packet);
            let (parsed, _) = Gre::parse(&packet).unwrap();
            prop_assert_eq!(parsed.verify_checksum(&packet), Ok(()));
            gre.checksum = parsed.checksum;
            prop_assert_eq!(parsed, gre);
            let bit = bit.index(packet.len() * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parsed.verify_checksum(&packet).is_err(), gre.checksum.is_some());
        }

        #[test]
        fn survives_noise(mut noise: Vec<u8>) {
            Gre::fill_checksum(&mut noise.clone());
            if let [high, low, ..] = noise.as_mut_slice() {
                (*high, *low) = (*high & 0xb3, *low & 0xf8); // get past the flags
            }
            if let Ok((gre, payload)) = Gre::parse(&noise) {
                prop_assert_eq!(gre.header_len_bytes() + payload.len(), noise.len());
                let _ = gre.verify_checksum(&noise);
            }
        }
    }

    #[test]
    fn version_goes_before_flags() {
        // PPTP, RFC 2637: K, S and A set, version 1.
        let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Gre::parse(&pptp), Err(ParseError::GreVersion { version: 1 }));
        assert_eq!(Gre::parse(&[0x40, 0, 0x65, 0x58]), Err(ParseError::GreFlags { flags: 0x4000 }));
    }
}
