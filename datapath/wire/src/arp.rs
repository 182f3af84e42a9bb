//! ARP for IPv4 over Ethernet, RFC 826.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |      hardware type = 1        |    protocol type = 0x0800     |
//! |  hlen = 6     |  plen = 4     |          operation            |
//! |                  sender hardware address                      |
//! |                               |  sender protocol address      |
//! |                               |                               |
//! |                  target hardware address                      |
//! |                  target protocol address                      |
//! ```

use crate::error::room;
use crate::{EtherType, Layer, MacAddr, ParseError, WriteError};
use core::net::Ipv4Addr;
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of an ARP packet, in bytes.
pub const LEN_BYTES: usize = 28;

/// Operation: who has this address?
pub const REQUEST: u16 = 1;
/// Operation: I have it.
pub const REPLY: u16 = 2;

const HARDWARE_ETHERNET: u16 = 1;

/// An ARP packet, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ArpPacket {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
    operation: U16,
    /// Who asks or answers.
    pub sender_mac: MacAddr,
    sender_ip: [u8; 4],
    /// Who is asked for (zero in a request) or answered.
    pub target_mac: MacAddr,
    target_ip: [u8; 4],
}

impl ArpPacket {
    /// Puts a packet together; `operation` is [`REQUEST`] or [`REPLY`].
    #[must_use]
    pub const fn new(
        operation: u16,
        (sender_mac, sender_ip): (MacAddr, Ipv4Addr),
        (target_mac, target_ip): (MacAddr, Ipv4Addr),
    ) -> Self {
        Self {
            hardware: U16::new(HARDWARE_ETHERNET),
            protocol: U16::new(EtherType::IPV4.0),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_mac,
            sender_ip: sender_ip.octets(),
            target_mac,
            target_ip: target_ip.octets(),
        }
    }

    /// Splits `bytes` into packet and what follows, which is padding.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] below 28 bytes; [`ParseError::ArpKind`] and
    /// [`ParseError::BadLength`] for other than IPv4 over Ethernet.
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        let (arp, rest) = Self::ref_from_prefix(bytes)
            .map_err(|_| ParseError::truncated(Layer::Arp, LEN_BYTES, bytes.len()))?;
        let (hardware, protocol) = (arp.hardware.get(), arp.protocol.get());
        if (hardware, protocol) != (HARDWARE_ETHERNET, EtherType::IPV4.0) {
            return Err(ParseError::ArpKind { hardware, protocol });
        }
        if (arp.hardware_len, arp.protocol_len) != (6, 4) {
            let claimed = 8 + 2 * (usize::from(arp.hardware_len) + usize::from(arp.protocol_len));
            return Err(ParseError::BadLength { layer: Layer::Arp, claimed_bytes: claimed });
        }
        Ok((arp, rest))
    }

    /// [`REQUEST`], [`REPLY`] or something else.
    #[must_use]
    pub const fn operation(&self) -> u16 {
        self.operation.get()
    }

    /// Address of who asks or answers.
    #[must_use]
    pub const fn sender_ip(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.sender_ip;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Address asked for.
    #[must_use]
    pub const fn target_ip(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.target_ip;
        Ipv4Addr::new(a, b, c, d)
    }

    /// Writes this packet to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        room::<LEN_BYTES>(out)?.copy_from_slice(self.as_bytes());
        Ok(LEN_BYTES)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::ArpPacket;
    use crate::MacAddr;
    use proptest::prelude::*;

    /// Any request, reply or other operation.
    pub fn any_arp() -> impl Strategy<Value = ArpPacket> {
        any::<(u16, [u8; 6], [u8; 4], [u8; 6], [u8; 4])>().prop_map(
            |(operation, from, from_ip, to, to_ip)| {
                let sender = (MacAddr(from), from_ip.into());
                ArpPacket::new(operation, sender, (MacAddr(to), to_ip.into()))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips_and_needs_all_its_bytes(arp in generators::any_arp(), padding: [u8; 18]) {
            let mut bytes = vec![0; LEN_BYTES];
            prop_assert_eq!(arp.write(&mut bytes), Ok(LEN_BYTES));
            bytes.extend(padding);
            prop_assert_eq!(ArpPacket::parse(&bytes), Ok((&arp, &padding[..])));
            for len in 0..LEN_BYTES {
                prop_assert_eq!(
                    ArpPacket::parse(&bytes[..len]),
                    Err(ParseError::truncated(Layer::Arp, LEN_BYTES, len))
                );
            }
        }

        /// The first six bytes have one legal value.
        #[test]
        fn other_kinds_are_refused(arp in generators::any_arp(), at in 0usize..6, flip in 1u8..) {
            let mut bytes = arp.as_bytes().to_vec();
            bytes[at] ^= flip;
            prop_assert!(ArpPacket::parse(&bytes).is_err());
        }

        #[test]
        fn survives_noise(noise: Vec<u8>) {
            let _ = ArpPacket::parse(&noise);
        }
    }

    #[test]
    fn a_request_looks_as_rfc_826_draws_it() {
        let me = (MacAddr([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1));
        let arp = ArpPacket::new(REQUEST, me, (MacAddr::ZERO, Ipv4Addr::new(10, 0, 0, 2)));
        let drawn =
            [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];
        assert_eq!(arp.as_bytes(), drawn);
    }
}
