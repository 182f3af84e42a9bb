//! IPv6 and its extension headers, RFC 8200.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |Version| Traffic Class |           Flow Label                  |
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! ~                     Source Address, 16 bytes                  ~
//! ~                  Destination Address, 16 bytes                ~
//!
//! extension:  |  Next Header  | Length / 8 - 1 |  ... |
//! fragment:   |  Next Header  |  Reserved     |      Offset       |Res|M|
//!             |                       Identification                    |
//! ```

use crate::checksum;
use crate::error::{length_field, room};
use crate::{IpProtocol, Layer, ParseError, WriteError};
use core::net::Ipv6Addr;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the fixed header, in bytes.
pub const LEN_BYTES: usize = 40;

/// How many extension headers [`Ipv6Header::walk`] walks at most.
pub const EXTENSIONS_MAX: u8 = 8;

/// The fixed IPv6 header, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Ipv6Header {
    version_class_flow: U32,
    payload_len: U16,
    /// What follows: an extension header or the upper layer.
    pub next_header: IpProtocol,
    /// Hop limit.
    pub hop_limit: u8,
    source: [u8; 16],
    target: [u8; 16],
}

/// A fragment header, RFC 8200 section 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Where in the original packet this fragment starts, in bytes.
    pub offset_bytes: usize,
    /// The M flag: not the last fragment.
    pub more: bool,
    /// Identification.
    pub id: u32,
}

/// What stands behind the extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk<'a> {
    /// The upper layer.
    pub protocol: IpProtocol,
    /// Its bytes; those of a fragment other than the first start in the middle.
    pub payload: &'a [u8],
    /// Length of all extension headers, in bytes.
    pub extensions_bytes: usize,
    /// The fragment header, when there is one.
    pub fragment: Option<Fragment>,
    /// A routing header has segments left: the destination address is not the final one, which
    /// the upper layer's checksum covers (RFC 8200 section 8.1).
    pub is_routed: bool,
}

impl Walk<'_> {
    /// True for any fragment, the first included.  A packet that is whole in spite of its fragment
    /// header is none (RFC 6946).
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.more || fragment.offset_bytes != 0)
    }
}

impl Ipv6Header {
    /// A header with traffic class and flow label 0 and hop limit 64; the length is filled in by
    /// [`Ipv6Header::write`].
    #[must_use]
    pub const fn new(source: Ipv6Addr, target: Ipv6Addr, next_header: IpProtocol) -> Self {
        Self {
            version_class_flow: U32::new(6 << 28),
            payload_len: U16::ZERO,
            next_header,
            hop_limit: 64,
            source: source.octets(),
            target: target.octets(),
        }
    }

    /// Splits `bytes` into the fixed header and its payload, extension headers included; padding
    /// behind the payload length is cut off.
    ///
    /// A payload length of 0 is taken as it stands: jumbograms (RFC 2675) are not spoken.
    ///
    /// # Errors
    ///
    /// [`ParseError::UnsupportedVersion`], or [`ParseError::Truncated`] when header or payload
    /// reach beyond `bytes`.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        let layer = Layer::Ipv6;
        let truncated = |need| ParseError::truncated(layer, need, bytes.len());
        let (header, rest) = Self::ref_from_prefix(bytes).map_err(|_| truncated(LEN_BYTES))?;
        let version = header.version();
        if version != 6 {
            return Err(ParseError::UnsupportedVersion { layer, version });
        }
        let payload_len = usize::from(header.payload_len_bytes());
        let payload = rest.get(..payload_len).ok_or(truncated(LEN_BYTES + payload_len))?;
        Ok((header, payload))
    }

    /// Walks the extension headers of `payload`, which [`Ipv6Header::parse`] gave: hop-by-hop and
    /// destination options, routing and fragment headers, at most [`EXTENSIONS_MAX`].  Whatever
    /// else is met is the upper layer.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] and [`ParseError::TooManyExtensions`].
    #[inline]
    pub fn walk<'a>(&self, payload: &'a [u8]) -> Result<Walk<'a>, ParseError> {
        let mut walk = Walk {
            protocol: self.next_header,
            payload,
            extensions_bytes: 0,
            fragment: None,
            is_routed: false,
        };
        for _ in 0..EXTENSIONS_MAX {
            if !walk.step()? {
                return Ok(walk);
            }
        }
        if walk.at_extension() {
            return Err(ParseError::TooManyExtensions { max: EXTENSIONS_MAX });
        }
        Ok(walk)
    }

    /// The version field: 6 once parsed.
    #[must_use]
    pub const fn version(&self) -> u8 {
        let [version_class, ..] = self.version_class_flow.get().to_be_bytes();
        version_class >> 4
    }

    /// Length of all that follows the fixed header, in bytes.
    #[must_use]
    pub const fn payload_len_bytes(&self) -> u16 {
        self.payload_len.get()
    }

    /// DSCP (upper six bits) and ECN.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        let [class, ..] = (self.version_class_flow.get() << 4).to_be_bytes();
        class
    }

    /// Sets DSCP and ECN.
    pub const fn set_traffic_class(&mut self, class: u8) {
        let rest = self.version_class_flow.get() & !0x0ff0_0000;
        self.version_class_flow = U32::new(rest | (class as u32) << 20);
    }

    /// The flow label, 20 bits.
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        self.version_class_flow.get() & 0x000f_ffff
    }

    /// Sets the flow label; bits above the 20th are ignored.
    pub const fn set_flow_label(&mut self, label: u32) {
        let rest = self.version_class_flow.get() & !0x000f_ffff;
        self.version_class_flow = U32::new(rest | label & 0x000f_ffff);
    }

    /// Source address.
    #[must_use]
    pub const fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.source)
    }

    /// Destination address.
    #[must_use]
    pub const fn target(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.target)
    }

    /// Partial sum of the pseudo-header for an upper layer of `len_bytes`.
    #[must_use]
    #[inline]
    pub fn pseudo_sum(&self, protocol: IpProtocol, len_bytes: u32) -> u64 {
        checksum::pseudo_v6(&self.source, &self.target, protocol.0, len_bytes)
    }

    /// Writes this header in front of `payload_bytes` to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short or the payload too long.
    pub fn write(&self, out: &mut [u8], payload_bytes: usize) -> Result<usize, WriteError> {
        let out = room::<LEN_BYTES>(out)?;
        let payload_len = length_field(Layer::Ipv6, payload_bytes)?.into();
        out.copy_from_slice(Self { payload_len, ..*self }.as_bytes());
        Ok(LEN_BYTES)
    }

    /// Sets the payload length.  Used by segmentation.
    pub(crate) fn patch(&mut self, payload_len: u16) {
        self.payload_len = payload_len.into();
    }
}

impl Walk<'_> {
    /// True when `payload` starts with an extension header that we walk.
    fn at_extension(&self) -> bool {
        let is_inside = self.fragment.is_some_and(|fragment| fragment.offset_bytes != 0);
        !is_inside
            && matches!(
                self.protocol,
                IpProtocol::HOP_BY_HOP
                    | IpProtocol::ROUTING
                    | IpProtocol::FRAGMENT
                    | IpProtocol::DESTINATION_OPTIONS
            )
    }

    /// Skips one extension header; false when there is none.
    fn step(&mut self) -> Result<bool, ParseError> {
        if !self.at_extension() {
            return Ok(false);
        }
        let payload = self.payload;
        let truncated = |need| ParseError::truncated(Layer::Ipv6, need, payload.len());
        let (&[next, len, high, low, id @ ..], _) =
            payload.split_first_chunk::<8>().ok_or(truncated(8))?;
        let mut len_bytes = 8;
        match self.protocol {
            // Its second byte is reserved and not a length.
            IpProtocol::FRAGMENT => {
                let word = u16::from_be_bytes([high, low]);
                self.fragment = Some(Fragment {
                    offset_bytes: usize::from(word & 0xfff8),
                    more: word & 1 != 0,
                    id: u32::from_be_bytes(id),
                });
            }
            protocol => {
                len_bytes += usize::from(len) * 8;
                self.is_routed |= protocol == IpProtocol::ROUTING && low != 0;
            }
        }
        self.payload = payload.get(len_bytes..).ok_or(truncated(len_bytes))?;
        self.extensions_bytes += len_bytes;
        self.protocol = IpProtocol(next);
        Ok(true)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::Ipv6Header;
    use crate::IpProtocol;
    use proptest::prelude::*;

    /// Any header, followed by any protocol.
    pub fn any_ipv6() -> impl Strategy<Value = Ipv6Header> {
        any::<([u8; 16], [u8; 16], u8, u8, u32, u8)>().prop_map(
            |(source, target, next, class, label, hops)| {
                let mut header = Ipv6Header::new(source.into(), target.into(), IpProtocol(next));
                header.set_traffic_class(class);
                header.set_flow_label(label);
                header.hop_limit = hops;
                header
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(header: &Ipv6Header, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xee; LEN_BYTES];
        assert_eq!(header.write(&mut bytes, payload.len()), Ok(LEN_BYTES));
        bytes.extend(payload);
        bytes
    }

    fn header(next: IpProtocol) -> Ipv6Header {
        Ipv6Header::new([1; 16].into(), [2; 16].into(), next)
    }

    proptest! {
        #[test]
        fn round_trips_without_the_padding(header in generators::any_ipv6(), payload: Vec<u8>, padding: Vec<u8>) {
            let mut bytes = written(&header, &payload);
            bytes.extend(padding);
            let (parsed, rest) = Ipv6Header::parse(&bytes).unwrap();
            prop_assert_eq!(rest, &payload[..]);
            prop_assert_eq!(*parsed, Ipv6Header { payload_len: parsed.payload_len, ..header });
            prop_assert_eq!(usize::from(parsed.payload_len_bytes()), payload.len());
        }

        #[test]
        fn fields_do_not_touch_each_other(mut header in generators::any_ipv6(), class: u8, label: u32) {
            let old_class = header.traffic_class();
            header.set_flow_label(label);
            prop_assert_eq!((header.traffic_class(), header.flow_label()), (old_class, label & 0xf_ffff));
            header.set_traffic_class(class);
            prop_assert_eq!((header.traffic_class(), header.flow_label()), (class, label & 0xf_ffff));
            prop_assert!(Ipv6Header::parse(header.as_bytes()).is_ok());
        }

        #[test]
        fn every_truncation_is_an_error(header in generators::any_ipv6(), payload in prop::collection::vec(any::<u8>(), 0..30)) {
            let bytes = written(&header, &payload);
            for len in 0..bytes.len() {
                let need = if len < LEN_BYTES { LEN_BYTES } else { bytes.len() };
                prop_assert_eq!(
                    Ipv6Header::parse(&bytes[..len]),
                    Err(ParseError::truncated(Layer::Ipv6, need, len))
                );
            }
        }

        /// A chain of extension headers, cut at every length, is walked or refused.
        #[test]
        fn walks_a_chain(lens in prop::collection::vec(0u8..3, 0..12)) {
            let mut payload = Vec::new();
            for (at, &len) in lens.iter().enumerate() {
                let next = if at + 1 == lens.len() { IpProtocol::UDP } else { IpProtocol::DESTINATION_OPTIONS };
                payload.extend([next.0, len]);
                payload.resize(payload.len() + 6 + usize::from(len) * 8, 0);
            }
            let extensions_bytes = payload.len();
            payload.extend([0xab; 9]);
            let first = if lens.is_empty() { IpProtocol::UDP } else { IpProtocol::HOP_BY_HOP };
            let walked = header(first).walk(&payload);
            if lens.len() > usize::from(EXTENSIONS_MAX) {
                prop_assert_eq!(walked, Err(ParseError::TooManyExtensions { max: 8 }));
            } else {
                let walk = walked.unwrap();
                prop_assert_eq!((walk.protocol, walk.extensions_bytes), (IpProtocol::UDP, extensions_bytes));
                prop_assert_eq!(walk.payload, &[0xab; 9][..]);
                prop_assert!(walk.fragment.is_none() && !walk.is_fragment());
                for len in 0..extensions_bytes {
                    prop_assert!(header(first).walk(&payload[..len]).is_err());
                }
            }
        }

        #[test]
        fn survives_noise(next in prop::sample::select(vec![0u8, 43, 44, 60, 6]), noise: Vec<u8>) {
            if let Ok(walk) = header(IpProtocol(next)).walk(&noise) {
                prop_assert!(noise.ends_with(walk.payload));
                prop_assert_eq!(noise.len(), walk.extensions_bytes + walk.payload.len());
            }
            let _ = Ipv6Header::parse(&noise);
        }

        #[test]
        fn knows_fragments(word: u16, reserved: u8, id: u32) {
            let mut payload = vec![IpProtocol::UDP.0, reserved];
            payload.extend(word.to_be_bytes());
            payload.extend(id.to_be_bytes());
            payload.extend([1, 2, 3]);
            let walk = header(IpProtocol::FRAGMENT).walk(&payload).unwrap();
            let expected = Fragment { offset_bytes: usize::from(word >> 3) * 8, more: word & 1 == 1, id };
            prop_assert_eq!(walk.fragment, Some(expected));
            prop_assert_eq!(walk.is_fragment(), word & 0xfff9 != 0);
            prop_assert_eq!((walk.protocol, walk.payload), (IpProtocol::UDP, &[1u8, 2, 3][..]));
        }
    }

    #[test]
    fn the_inside_of_a_fragment_is_not_walked() {
        let later = [IpProtocol::DESTINATION_OPTIONS.0, 0, 0, 8, 0, 0, 0, 1, 9, 9];
        let walk = header(IpProtocol::FRAGMENT).walk(&later).unwrap();
        assert_eq!(walk.protocol, IpProtocol::DESTINATION_OPTIONS);
        assert_eq!(walk.payload, [9, 9]);
    }

    #[test]
    fn sees_a_route_that_goes_on() {
        for left in [0, 1] {
            let routing = [IpProtocol::TCP.0, 0, 4, left, 0, 0, 0, 0];
            let walk = header(IpProtocol::ROUTING).walk(&routing).unwrap();
            assert_eq!((walk.is_routed, walk.protocol), (left == 1, IpProtocol::TCP));
        }
    }

    #[test]
    fn refuses_other_versions_and_long_payloads() {
        let mut bytes = written(&header(IpProtocol::TCP), &[]);
        assert!(header(IpProtocol::TCP).write(&mut bytes, 65536).is_err());
        bytes[0] = 0x45;
        let error = ParseError::UnsupportedVersion { layer: Layer::Ipv6, version: 4 };
        assert_eq!(Ipv6Header::parse(&bytes), Err(error));
    }
}
