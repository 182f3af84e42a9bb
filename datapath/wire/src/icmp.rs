//! ICMP for IPv4 (RFC 792, 1191) and IPv6 (RFC 4443): the header, and what the switch needs of it.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |     Type      |     Code      |          Checksum             |
//! |  echo: identifier and sequence;  v4 3/4: unused and MTU;  v6 2/0: MTU |
//! ```

use crate::checksum;
use crate::error::room;
use crate::{Layer, ParseError, WriteError};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the header, in bytes.
pub const LEN_BYTES: usize = 8;

/// `ICMPv4` types and codes.
pub mod v4 {
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Code of [`UNREACHABLE`]: fragmentation needed and DF set.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// True for the types that report an error, which must not be answered by one
    /// (RFC 1122 section 3.2.2).
    #[must_use]
    pub const fn is_error(kind: u8) -> bool {
        matches!(kind, UNREACHABLE | 4 | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
    }
}

/// `ICMPv6` types.
pub mod v6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 129;
    /// Neighbour solicitation, RFC 4861.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement, RFC 4861.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

    /// True for the types that report an error (RFC 4443 section 2.1).
    #[must_use]
    pub const fn is_error(kind: u8) -> bool {
        kind < 128
    }
}

/// An ICMP header of either version, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code, which refines the type.
    pub code: u8,
    checksum: U16,
    /// Four bytes whose meaning is the type's.
    pub rest: [u8; 4],
}

impl IcmpHeader {
    /// A header without checksum.
    #[must_use]
    pub const fn new(kind: u8, code: u8, rest: [u8; 4]) -> Self {
        Self { kind, code, checksum: U16::ZERO, rest }
    }

    /// "Fragmentation needed" with the MTU of the next hop, RFC 1191 section 4.
    #[must_use]
    pub const fn fragmentation_needed(mtu: u16) -> Self {
        let [high, low] = mtu.to_be_bytes();
        Self::new(v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED, [0, 0, high, low])
    }

    /// "Packet too big" with the MTU of the next hop, RFC 4443 section 3.2.
    #[must_use]
    pub const fn packet_too_big(mtu: u32) -> Self {
        Self::new(v6::PACKET_TOO_BIG, 0, mtu.to_be_bytes())
    }

    /// Splits `bytes`, the payload of an IP packet, into header and body; `layer` says which ICMP
    /// it is, for the error.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 8 bytes.
    pub fn parse(layer: Layer, bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        Self::ref_from_prefix(bytes)
            .map_err(|_| ParseError::truncated(layer, LEN_BYTES, bytes.len()))
    }

    /// The checksum as it stands.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// Identifier of an echo.
    #[must_use]
    pub const fn echo_id(&self) -> u16 {
        let [high, low, ..] = self.rest;
        u16::from_be_bytes([high, low])
    }

    /// Sequence number of an echo.
    #[must_use]
    pub const fn echo_sequence(&self) -> u16 {
        let [.., high, low] = self.rest;
        u16::from_be_bytes([high, low])
    }

    /// Why an `ICMPv4` "destination unreachable" says that a packet leads nowhere (RFC 792, RFC 1812
    /// section 5.2.7.1); `None` for any other message, "fragmentation needed" too.
    #[must_use]
    pub const fn unreachable_v4(&self) -> Option<&'static str> {
        match (self.kind, self.code) {
            (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED) => None,
            (v4::UNREACHABLE, 0 | 6 | 11) => Some("network unreachable"),
            (v4::UNREACHABLE, 1 | 7 | 12) => Some("host unreachable"),
            (v4::UNREACHABLE, 2) => Some("protocol unreachable"),
            (v4::UNREACHABLE, 3) => Some("port unreachable"),
            (v4::UNREACHABLE, 9 | 10 | 13) => Some("prohibited"),
            (v4::UNREACHABLE, _) => Some("unreachable"),
            _ => None,
        }
    }

    /// The same of an `ICMPv6` "destination unreachable" (RFC 4443 section 3.1).
    #[must_use]
    pub const fn unreachable_v6(&self) -> Option<&'static str> {
        match (self.kind, self.code) {
            (v6::UNREACHABLE, 0) => Some("network unreachable"),
            (v6::UNREACHABLE, 1 | 5 | 6) => Some("prohibited"),
            (v6::UNREACHABLE, 3) => Some("host unreachable"),
            (v6::UNREACHABLE, 4) => Some("port unreachable"),
            (v6::UNREACHABLE, _) => Some("unreachable"),
            _ => None,
        }
    }

    /// MTU of the next hop in an `ICMPv4` "fragmentation needed", in bytes; `None` for any other
    /// message.  0 comes from routers older than RFC 1191.
    #[must_use]
    pub const fn next_hop_mtu_v4(&self) -> Option<u16> {
        match (self.kind, self.code) {
            (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED) => Some(self.echo_sequence()),
            _ => None,
        }
    }

    /// MTU of the next hop in an `ICMPv6` "packet too big", in bytes; `None` for any other message.
    /// The code is ignored (RFC 4443 section 3.2).
    #[must_use]
    pub const fn next_hop_mtu_v6(&self) -> Option<u32> {
        match self.kind {
            v6::PACKET_TOO_BIG => Some(u32::from_be_bytes(self.rest)),
            _ => None,
        }
    }

    /// Checks the checksum of a whole message; `pseudo` is 0 for `ICMPv4` and the partial sum of
    /// the pseudo-header for `ICMPv6`.
    ///
    /// # Errors
    ///
    /// [`ParseError::BadChecksum`].
    pub fn verify_checksum(layer: Layer, message: &[u8], pseudo: u64) -> Result<(), ParseError> {
        match checksum::finish(checksum::sum(message) + pseudo) {
            0 => Ok(()),
            _ => Err(ParseError::BadChecksum { layer }),
        }
    }

    /// Writes this header in front of `body` (which stands elsewhere, or already behind it) to the
    /// front of `out`, with the checksum over both; returns its length.  `pseudo` as above.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write(&self, out: &mut [u8], body: &[u8], pseudo: u64) -> Result<usize, WriteError> {
        let out = room::<LEN_BYTES>(out)?;
        let mut header = Self { checksum: U16::ZERO, ..*self };
        let sum = checksum::sum(header.as_bytes()) + checksum::sum(body) + pseudo;
        header.checksum = checksum::finish(sum).into();
        out.copy_from_slice(header.as_bytes());
        Ok(LEN_BYTES)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::IcmpHeader;
    use proptest::prelude::*;

    /// Any type, code and rest.
    pub fn any_icmp() -> impl Strategy<Value = IcmpHeader> {
        any::<(u8, u8, [u8; 4])>().prop_map(|(kind, code, rest)| IcmpHeader::new(kind, code, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(header in generators::any_icmp(), body: Vec<u8>, pseudo: u32) {
            let mut bytes = vec![0xee; LEN_BYTES];
            let pseudo = u64::from(pseudo);
            prop_assert_eq!(header.write(&mut bytes, &body, pseudo), Ok(LEN_BYTES));
            bytes.extend(&body);
            let (parsed, rest) = IcmpHeader::parse(Layer::Icmpv4, &bytes).unwrap();
            prop_assert_eq!(*parsed, IcmpHeader { checksum: parsed.checksum, ..header });
            prop_assert_eq!(rest, &body[..]);
            prop_assert_eq!(IcmpHeader::verify_checksum(Layer::Icmpv6, &bytes, pseudo), Ok(()));
            bytes[1] ^= 0x10;
            let error = ParseError::BadChecksum { layer: Layer::Icmpv6 };
            prop_assert_eq!(IcmpHeader::verify_checksum(Layer::Icmpv6, &bytes, pseudo), Err(error));
            for len in 0..LEN_BYTES {
                prop_assert!(IcmpHeader::parse(Layer::Icmpv4, &bytes[..len]).is_err());
            }
        }

        #[test]
        fn the_mtu_stands_in_two_messages_only(header in generators::any_icmp(), v4: u16, v6: u32) {
            prop_assert_eq!(header.next_hop_mtu_v4().is_some(), (header.kind, header.code) == (3, 4));
            prop_assert_eq!(header.next_hop_mtu_v6().is_some(), header.kind == 2);
            prop_assert_eq!(IcmpHeader::fragmentation_needed(v4).next_hop_mtu_v4(), Some(v4));
            prop_assert_eq!(IcmpHeader::packet_too_big(v6).next_hop_mtu_v6(), Some(v6));
        }
    }

    #[test]
    fn reads_an_echo() {
        let header = IcmpHeader::new(v4::ECHO_REQUEST, 0, [0x12, 0x34, 0, 7]);
        assert_eq!((header.echo_id(), header.echo_sequence()), (0x1234, 7));
        assert!(v4::is_error(3) && !v4::is_error(8) && v6::is_error(2) && !v6::is_error(128));
    }
}
