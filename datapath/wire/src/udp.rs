//! UDP, RFC 768.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |          Source Port          |       Destination Port        |
//! |            Length             |           Checksum            |
//! ```

use crate::checksum;
use crate::error::{length_field, room};
use crate::{Layer, ParseError, WriteError};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a UDP header, in bytes.
pub const LEN_BYTES: usize = 8;

/// Where the checksum stands in the header, in bytes.
pub const CHECKSUM_OFFSET: usize = 6;

/// A UDP header, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct UdpHeader {
    source_port: U16,
    target_port: U16,
    len: U16,
    checksum: U16,
}

impl UdpHeader {
    /// A header without checksum; the length is filled in by [`UdpHeader::write`].
    #[must_use]
    pub const fn new(source_port: u16, target_port: u16) -> Self {
        Self {
            source_port: U16::new(source_port),
            target_port: U16::new(target_port),
            len: U16::ZERO,
            checksum: U16::ZERO,
        }
    }

    /// Splits `bytes`, the payload of an IP packet, into header and datagram; what stands behind
    /// the UDP length is cut off.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`], or [`ParseError::BadLength`] for a UDP length below 8.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        let truncated = |need| ParseError::truncated(Layer::Udp, need, bytes.len());
        let (header, _) = Self::ref_from_prefix(bytes).map_err(|_| truncated(LEN_BYTES))?;
        let len = usize::from(header.len_bytes());
        if len < LEN_BYTES {
            return Err(ParseError::BadLength { layer: Layer::Udp, claimed_bytes: len });
        }
        let payload = bytes.get(LEN_BYTES..len).ok_or(truncated(len))?;
        Ok((header, payload))
    }

    /// Source port.
    #[must_use]
    pub const fn source_port(&self) -> u16 {
        self.source_port.get()
    }

    /// Destination port.
    #[must_use]
    pub const fn target_port(&self) -> u16 {
        self.target_port.get()
    }

    /// Length of header and datagram, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> u16 {
        self.len.get()
    }

    /// The checksum as it stands; 0 means that none was sent.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// Sets the checksum.
    pub const fn set_checksum(&mut self, checksum: u16) {
        self.checksum = U16::new(checksum);
    }

    /// Checks the checksum of the datagram that starts `bytes`, when it has one; `pseudo` is the
    /// partial sum of the pseudo-header for [`UdpHeader::len_bytes`].
    ///
    /// Whether a datagram without checksum is welcome is for the caller to say (RFC 6935).
    ///
    /// # Errors
    ///
    /// [`ParseError::BadChecksum`], and those of [`UdpHeader::parse`].
    pub fn verify_checksum(bytes: &[u8], pseudo: u64) -> Result<(), ParseError> {
        let (header, payload) = Self::parse(bytes)?;
        if header.checksum() == 0 {
            return Ok(());
        }
        let sum = checksum::sum(header.as_bytes()) + checksum::sum(payload) + pseudo;
        match checksum::finish(sum) {
            0 => Ok(()),
            _ => Err(ParseError::BadChecksum { layer: Layer::Udp }),
        }
    }

    /// Writes this header in front of `payload_bytes` to the front of `out`, with the checksum as
    /// it was set; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short or the payload too long.
    pub fn write(&self, out: &mut [u8], payload_bytes: usize) -> Result<usize, WriteError> {
        let out = room::<LEN_BYTES>(out)?;
        let len = length_field(Layer::Udp, LEN_BYTES.saturating_add(payload_bytes))?.into();
        out.copy_from_slice(Self { len, ..*self }.as_bytes());
        Ok(LEN_BYTES)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::UdpHeader;
    use proptest::prelude::*;

    /// Any ports, no checksum.
    pub fn any_udp() -> impl Strategy<Value = UdpHeader> {
        any::<(u16, u16)>().prop_map(|(source, target)| UdpHeader::new(source, target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(mut header in generators::any_udp(), checksum: u16, payload: Vec<u8>, padding: Vec<u8>) {
            header.set_checksum(checksum);
            let mut bytes = vec![0; LEN_BYTES];
            prop_assert_eq!(header.write(&mut bytes, payload.len()), Ok(LEN_BYTES));
            bytes.extend(&payload);
            bytes.extend(padding);
            let (parsed, rest) = UdpHeader::parse(&bytes).unwrap();
            prop_assert_eq!(*parsed, UdpHeader { len: parsed.len, ..header });
            prop_assert_eq!(rest, &payload[..]);
            for len in 0..LEN_BYTES + payload.len() {
                prop_assert!(UdpHeader::parse(&bytes[..len]).is_err());
            }
        }

        #[test]
        fn a_wrong_bit_is_noticed(payload: Vec<u8>, pseudo in any::<u32>(), bit: prop::sample::Index) {
            let mut header = UdpHeader::new(1, 2);
            let mut bytes = vec![0; LEN_BYTES];
            header.write(&mut bytes, payload.len()).unwrap();
            bytes.extend(&payload);
            header.set_checksum(checksum::finish_udp(checksum::sum(&bytes) + u64::from(pseudo)));
            header.write(&mut bytes, payload.len()).unwrap();
            prop_assert_eq!(UdpHeader::verify_checksum(&bytes, pseudo.into()), Ok(()));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let has_checksum = bytes[6] != 0 || bytes[7] != 0;
            prop_assert_eq!(UdpHeader::verify_checksum(&bytes, pseudo.into()).is_ok(), !has_checksum);
        }

        #[test]
        fn survives_noise(noise: Vec<u8>) {
            let _ = UdpHeader::verify_checksum(&noise, 0);
            if let Ok((header, payload)) = UdpHeader::parse(&noise) {
                prop_assert_eq!(payload.len() + LEN_BYTES, usize::from(header.len_bytes()));
            }
        }
    }

    #[test]
    fn a_length_below_the_header_is_refused() {
        for len in 0..8u8 {
            let claimed_bytes = usize::from(len);
            let error = ParseError::BadLength { layer: Layer::Udp, claimed_bytes };
            assert_eq!(UdpHeader::parse(&[0, 1, 0, 2, 0, len, 0, 0]), Err(error));
        }
    }
}
