//! IPv4, RFC 791.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |Version|  IHL  |Type of Service|          Total Length         |
//! |         Identification        |0|D|M|      Fragment Offset    |
//! |  Time to Live |    Protocol   |         Header Checksum       |
//! |                       Source Address                          |
//! |                    Destination Address                        |
//! ~                    Options, to IHL x 4 bytes                  ~
//! ```

use crate::checksum;
use crate::error::{length_field, room};
use crate::{IpProtocol, Layer, ParseError, WriteError};
use core::net::Ipv4Addr;
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a header without options, in bytes.
pub const LEN_BYTES: usize = 20;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// The fixed part of an IPv4 header, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Ipv4Header {
    version_ihl: u8,
    /// DSCP (upper six bits) and ECN, RFC 2474 and 3168.
    pub tos: u8,
    total_len: U16,
    id: U16,
    fragment: U16,
    /// Time to live, in hops.
    pub ttl: u8,
    /// What follows.
    pub protocol: IpProtocol,
    checksum: U16,
    source: [u8; 4],
    target: [u8; 4],
}

impl Ipv4Header {
    /// A header without options.  Length and checksum are filled in by [`Ipv4Header::write`];
    /// TOS and identification are 0, TTL is 64, and no flag is set.
    #[must_use]
    pub const fn new(source: Ipv4Addr, target: Ipv4Addr, protocol: IpProtocol) -> Self {
        Self {
            version_ihl: 0x45,
            tos: 0,
            total_len: U16::ZERO,
            id: U16::ZERO,
            fragment: U16::ZERO,
            ttl: 64,
            protocol,
            checksum: U16::ZERO,
            source: source.octets(),
            target: target.octets(),
        }
    }

    /// Splits `bytes` into the fixed header and the payload: options are skipped by IHL
    /// (RFC 1122 section 3.2.1.8), padding behind the total length is cut off.
    ///
    /// The header checksum is not looked at; see [`verify_checksum`].
    ///
    /// # Errors
    ///
    /// [`ParseError::UnsupportedVersion`]; [`ParseError::BadLength`] for an IHL below 5 or a total
    /// length below the header's; [`ParseError::Truncated`] for an IHL or total length that reaches
    /// beyond `bytes`.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        let layer = Layer::Ipv4;
        let truncated = |need| ParseError::truncated(layer, need, bytes.len());
        let (header, _) = Self::ref_from_prefix(bytes).map_err(|_| truncated(LEN_BYTES))?;
        let version = header.version();
        if version != 4 {
            return Err(ParseError::UnsupportedVersion { layer, version });
        }
        let header_len = header.header_len_bytes();
        if header_len < LEN_BYTES {
            return Err(ParseError::BadLength { layer, claimed_bytes: header_len });
        }
        if header_len > bytes.len() {
            return Err(truncated(header_len));
        }
        let total_len = usize::from(header.total_len_bytes());
        if total_len < header_len {
            return Err(ParseError::BadLength { layer, claimed_bytes: total_len });
        }
        let payload = bytes.get(header_len..total_len).ok_or(truncated(total_len))?;
        Ok((header, payload))
    }

    /// The version field: 4 once parsed.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Length with options, as IHL says: 20 to 60 bytes once parsed.
    #[must_use]
    pub const fn header_len_bytes(&self) -> usize {
        (self.version_ihl & 0x0f) as usize * 4
    }

    /// Length of header and payload, in bytes.
    #[must_use]
    pub const fn total_len_bytes(&self) -> u16 {
        self.total_len.get()
    }

    /// Identification, RFC 6864.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id.get()
    }

    /// Sets the identification.
    pub const fn set_id(&mut self, id: u16) {
        self.id = U16::new(id);
    }

    /// The DF bit.
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        self.fragment.get() & DONT_FRAGMENT != 0
    }

    /// Sets or clears the DF bit.
    pub const fn set_dont_fragment(&mut self, on: bool) {
        let rest = self.fragment.get() & !DONT_FRAGMENT;
        self.fragment = U16::new(if on { rest | DONT_FRAGMENT } else { rest });
    }

    /// The MF bit: not the last fragment.
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        self.fragment.get() & MORE_FRAGMENTS != 0
    }

    /// Where in the original packet's payload this fragment starts, in bytes.
    #[must_use]
    pub const fn fragment_offset_bytes(&self) -> usize {
        (self.fragment.get() & OFFSET_MASK) as usize * 8
    }

    /// True for any fragment, the first one included: MF is set or the offset is not 0.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.fragment.get() & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    /// The header checksum as it stands.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// Source address.
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.source;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Destination address.
    #[must_use]
    pub const fn target(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.target;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Partial sum of the pseudo-header for an upper layer of `len_bytes`.
    #[must_use]
    #[inline]
    pub fn pseudo_sum(&self, protocol: IpProtocol, len_bytes: u16) -> u64 {
        checksum::pseudo_v4(self.source, self.target, protocol.0, len_bytes)
    }

    /// Writes this header, without options, in front of a payload of `payload_bytes` to the front
    /// of `out`, with length and checksum; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short or the payload too long.
    pub fn write(&self, out: &mut [u8], payload_bytes: usize) -> Result<usize, WriteError> {
        let out = room::<LEN_BYTES>(out)?;
        let total_len = length_field(Layer::Ipv4, LEN_BYTES.saturating_add(payload_bytes))?;
        let mut header =
            Self { version_ihl: 0x45, total_len: total_len.into(), checksum: U16::ZERO, ..*self };
        header.checksum = checksum::internet_checksum(header.as_bytes()).into();
        out.copy_from_slice(header.as_bytes());
        Ok(LEN_BYTES)
    }

    /// Makes this the header, in place, of a packet of `total_len` bytes with identification `id`;
    /// `options` are the bytes behind the fixed part.  Used by segmentation.
    pub(crate) fn patch(&mut self, total_len: u16, id: u16, options: &[u8]) {
        self.total_len = total_len.into();
        self.id = id.into();
        self.checksum = U16::ZERO;
        let sum = checksum::sum(self.as_bytes()) + checksum::sum(options);
        self.checksum = checksum::finish(sum).into();
    }
}

/// Checks the header checksum, options included, of the IPv4 packet that starts `packet`.
///
/// # Errors
///
/// [`ParseError::BadChecksum`], or [`ParseError::Truncated`] when the header is not all there.
#[inline]
pub fn verify_checksum(packet: &[u8]) -> Result<(), ParseError> {
    let truncated = |need| ParseError::truncated(Layer::Ipv4, need, packet.len());
    let (header, _) = Ipv4Header::ref_from_prefix(packet).map_err(|_| truncated(LEN_BYTES))?;
    let header_len = header.header_len_bytes();
    let header = packet.get(..header_len).ok_or(truncated(header_len))?;
    match checksum::internet_checksum(header) {
        0 => Ok(()),
        _ => Err(ParseError::BadChecksum { layer: Layer::Ipv4 }),
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::Ipv4Header;
    use crate::IpProtocol;
    use proptest::prelude::*;

    /// Any header without options that is no fragment.
    pub fn any_ipv4() -> impl Strategy<Value = Ipv4Header> {
        any::<([u8; 4], [u8; 4], u8, u8, u16, u8, bool)>().prop_map(
            |(source, target, protocol, tos, id, ttl, df)| {
                let mut header =
                    Ipv4Header::new(source.into(), target.into(), IpProtocol(protocol));
                (header.tos, header.ttl) = (tos, ttl);
                header.set_id(id);
                header.set_dont_fragment(df);
                header
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(header: &Ipv4Header, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xee; LEN_BYTES];
        assert_eq!(header.write(&mut bytes, payload.len()), Ok(LEN_BYTES));
        bytes.extend(payload);
        bytes
    }

    proptest! {
        #[test]
        fn round_trips_without_the_padding(header in generators::any_ipv4(), payload: Vec<u8>, padding: Vec<u8>) {
            let mut bytes = written(&header, &payload);
            bytes.extend(padding);
            let (parsed, rest) = Ipv4Header::parse(&bytes).unwrap();
            prop_assert_eq!(rest, &payload[..]);
            let expected = Ipv4Header { total_len: parsed.total_len, checksum: parsed.checksum, ..header };
            prop_assert_eq!(*parsed, expected);
            prop_assert_eq!(usize::from(parsed.total_len_bytes()), 20 + payload.len());
            prop_assert_eq!(verify_checksum(&bytes), Ok(()));
        }

        #[test]
        fn every_truncation_is_an_error(header in generators::any_ipv4(), payload in prop::collection::vec(any::<u8>(), 0..30)) {
            let bytes = written(&header, &payload);
            for len in 0..bytes.len() {
                let need = if len < LEN_BYTES { LEN_BYTES } else { bytes.len() };
                prop_assert_eq!(
                    Ipv4Header::parse(&bytes[..len]),
                    Err(ParseError::truncated(Layer::Ipv4, need, len))
                );
            }
        }

        /// Every IHL with every total length: never a panic, never a byte outside.
        #[test]
        fn lengths_are_checked_against_each_other(header in generators::any_ipv4(), ihl in 0u8..16, total in 0u16..120, have in 20usize..100) {
            let mut bytes = written(&header, &[7; 80]);
            bytes[0] = 0x40 | ihl;
            bytes[2..4].copy_from_slice(&total.to_be_bytes());
            let (header_len, total) = (usize::from(ihl) * 4, usize::from(total));
            match Ipv4Header::parse(&bytes[..have]) {
                Ok((_, rest)) => {
                    prop_assert!(header_len >= 20 && header_len <= total && total <= have);
                    prop_assert_eq!(rest, &bytes[header_len..total]);
                }
                Err(ParseError::BadLength { claimed_bytes, .. }) => prop_assert!(
                    claimed_bytes == header_len && header_len < 20 || claimed_bytes == total && total < header_len
                ),
                Err(ParseError::Truncated { need_bytes, have_bytes, .. }) => {
                    prop_assert!(need_bytes > have_bytes && have_bytes == have);
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        /// One changed bit of the header is always noticed.
        #[test]
        fn a_flipped_bit_fails_the_checksum(header in generators::any_ipv4(), bit in 0usize..160) {
            let mut bytes = written(&header, &[]);
            prop_assume!(bit / 8 != 0); // IHL would move the end of the header
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify_checksum(&bytes), Err(ParseError::BadChecksum { layer: Layer::Ipv4 }));
        }

        #[test]
        fn survives_noise(mut noise: Vec<u8>) {
            if let Some(first) = noise.first_mut() {
                *first = 0x40 | (*first & 0x0f);
            }
            let _ = verify_checksum(&noise);
            if let Ok((_, payload)) = Ipv4Header::parse(&noise) {
                prop_assert!(payload.len() + LEN_BYTES <= noise.len());
            }
        }

        /// The reserved flag (bit 0) makes no fragment and is ignored.
        #[test]
        fn knows_fragments(raw: u16) {
            let mut header = Ipv4Header::new([1; 4].into(), [2; 4].into(), IpProtocol::UDP);
            header.fragment = raw.into();
            prop_assert_eq!(header.is_fragment(), raw & 0x3fff != 0);
            prop_assert_eq!(header.more_fragments(), raw & 0x2000 != 0);
            prop_assert_eq!(header.dont_fragment(), raw & 0x4000 != 0);
            prop_assert_eq!(header.fragment_offset_bytes(), usize::from(raw % 0x2000) * 8);
        }
    }

    #[test]
    fn options_are_skipped_and_summed() {
        let header = Ipv4Header::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), IpProtocol::GRE);
        let mut bytes = written(&header, &[1, 1, 1, 0, 0xaa, 0xbb]);
        bytes[0] = 0x46;
        let (fixed, rest) = bytes.split_first_chunk_mut::<20>().unwrap();
        Ipv4Header::mut_from_bytes(fixed).unwrap().patch(26, 9, &rest[..4]);
        assert_eq!(verify_checksum(&bytes), Ok(()));
        assert_eq!(Ipv4Header::parse(&bytes).unwrap().1, [0xaa, 0xbb]);
        bytes[21] ^= 1;
        assert!(verify_checksum(&bytes).is_err());
    }

    #[test]
    fn refuses_other_versions_and_long_payloads() {
        let header = Ipv4Header::new([1; 4].into(), [2; 4].into(), IpProtocol::UDP);
        let mut bytes = written(&header, &[]);
        bytes[0] = 0x65;
        let error = ParseError::UnsupportedVersion { layer: Layer::Ipv4, version: 6 };
        assert_eq!(Ipv4Header::parse(&bytes), Err(error));
        let error = WriteError::TooLong { layer: Layer::Ipv4, len_bytes: 65536 };
        assert_eq!(header.write(&mut bytes, 65516), Err(error));
        assert!(
            header.write(&mut bytes, 65515).is_ok() && header.write(&mut bytes[..19], 0).is_err()
        );
    }
}
