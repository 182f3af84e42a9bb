//! TCP, RFC 9293 section 3.1: ports, numbers, flags and where the payload starts.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |          Source Port          |       Destination Port        |
//! |                        Sequence Number                        |
//! |                    Acknowledgment Number                      |
//! | Data  |Rsrvd|A|C|E|U|A|P|R|S|F|            Window             |
//! | Offset|     |E|W|C|R|C|S|S|Y|I|                               |
//! |           Checksum            |         Urgent Pointer        |
//! ~                    Options, to Data Offset x 4                ~
//! ```

use crate::checksum;
use crate::error::room;
use crate::{Layer, ParseError, WriteError};
use core::fmt;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of a TCP header without options, in bytes.
pub const LEN_BYTES: usize = 20;

/// Where the checksum stands in the header, in bytes.
pub const CHECKSUM_OFFSET: usize = 16;

/// A set of TCP flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// ECN echo, RFC 3168.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced, RFC 3168.
    pub const CWR: Self = Self(0x80);
    /// Accurate ECN, RFC 9768.
    pub const AE: Self = Self(0x100);

    /// All nine flags; the rest of the 16 bits is reserved or the data offset.
    const MASK: u16 = 0x01ff;

    /// True when all of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for TcpFlags {
    /// As tcpdump writes them: `S` for SYN, `.` for ACK.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(TcpFlags, &str); 9] = [
            (TcpFlags::FIN, "F"),
            (TcpFlags::SYN, "S"),
            (TcpFlags::RST, "R"),
            (TcpFlags::PSH, "P"),
            (TcpFlags::ACK, "."),
            (TcpFlags::URG, "U"),
            (TcpFlags::ECE, "E"),
            (TcpFlags::CWR, "W"),
            (TcpFlags::AE, "e"),
        ];
        if self.0 == 0 {
            return f.write_str("none");
        }
        LETTERS.iter().filter(|(flag, _)| self.has(*flag)).try_for_each(|(_, l)| f.write_str(l))
    }
}

/// The fixed part of a TCP header, over the bytes of a frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct TcpHeader {
    source_port: U16,
    target_port: U16,
    sequence: U32,
    acknowledgment: U32,
    offset_flags: U16,
    window: U16,
    checksum: U16,
    urgent: U16,
}

impl TcpHeader {
    /// A header without options, flags or checksum.
    #[must_use]
    pub const fn new(source_port: u16, target_port: u16, sequence: u32) -> Self {
        Self {
            source_port: U16::new(source_port),
            target_port: U16::new(target_port),
            sequence: U32::new(sequence),
            acknowledgment: U32::ZERO,
            offset_flags: U16::new(5 << 12),
            window: U16::ZERO,
            checksum: U16::ZERO,
            urgent: U16::ZERO,
        }
    }

    /// Splits `bytes`, the payload of an IP packet, into the fixed header and the data; options
    /// are skipped.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`], or [`ParseError::BadLength`] for a data offset below 5.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(&Self, &[u8]), ParseError> {
        let truncated = |need| ParseError::truncated(Layer::Tcp, need, bytes.len());
        let (header, _) = Self::ref_from_prefix(bytes).map_err(|_| truncated(LEN_BYTES))?;
        let header_len = header.header_len_bytes();
        if header_len < LEN_BYTES {
            return Err(ParseError::BadLength { layer: Layer::Tcp, claimed_bytes: header_len });
        }
        let payload = bytes.get(header_len..).ok_or(truncated(header_len))?;
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

    /// Sequence number of the first byte of data (or of SYN).
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.sequence.get()
    }

    /// Sets the sequence number.
    pub const fn set_sequence(&mut self, sequence: u32) {
        self.sequence = U32::new(sequence);
    }

    /// Acknowledgment number.
    #[must_use]
    pub const fn acknowledgment(&self) -> u32 {
        self.acknowledgment.get()
    }

    /// Sets the acknowledgment number; the flag is apart.
    pub const fn set_acknowledgment(&mut self, acknowledgment: u32) {
        self.acknowledgment = U32::new(acknowledgment);
    }

    /// Length with options, in bytes: 20 to 60 once parsed.
    #[must_use]
    pub const fn header_len_bytes(&self) -> usize {
        (self.offset_flags.get() >> 12) as usize * 4
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> TcpFlags {
        TcpFlags(self.offset_flags.get() & TcpFlags::MASK)
    }

    /// Sets the flags; data offset and reserved bits stay.
    pub const fn set_flags(&mut self, flags: TcpFlags) {
        let rest = self.offset_flags.get() & !TcpFlags::MASK;
        self.offset_flags = U16::new(rest | flags.0 & TcpFlags::MASK);
    }

    /// Window, unscaled.
    #[must_use]
    pub const fn window(&self) -> u16 {
        self.window.get()
    }

    /// Sets the window.
    pub const fn set_window(&mut self, window: u16) {
        self.window = U16::new(window);
    }

    /// The checksum as it stands.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// Sets the checksum.
    pub const fn set_checksum(&mut self, checksum: u16) {
        self.checksum = U16::new(checksum);
    }

    /// Checks the checksum of `segment`, a whole TCP segment without padding; `pseudo` is the
    /// partial sum of the pseudo-header for its length.
    ///
    /// # Errors
    ///
    /// [`ParseError::BadChecksum`].
    pub fn verify_checksum(segment: &[u8], pseudo: u64) -> Result<(), ParseError> {
        match checksum::finish(checksum::sum(segment) + pseudo) {
            0 => Ok(()),
            _ => Err(ParseError::BadChecksum { layer: Layer::Tcp }),
        }
    }

    /// Writes the fixed header to the front of `out`, with data offset and checksum as they are;
    /// returns its length.
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
    use super::{TcpFlags, TcpHeader};
    use proptest::prelude::*;

    /// Any header without options.
    pub fn any_tcp() -> impl Strategy<Value = TcpHeader> {
        any::<(u16, u16, u32, u32, u16, u16)>().prop_map(
            |(source, target, sequence, acknowledgment, flags, window)| {
                let mut header = TcpHeader::new(source, target, sequence);
                header.set_acknowledgment(acknowledgment);
                header.set_flags(TcpFlags(flags));
                header.set_window(window);
                header
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
        fn round_trips(header in generators::any_tcp(), options in 0usize..=10, data: Vec<u8>) {
            let mut bytes = vec![1; LEN_BYTES + options * 4];
            prop_assert_eq!(header.write(&mut bytes), Ok(LEN_BYTES));
            bytes[12] += u8::try_from(options).unwrap() << 4;
            let header_len = bytes.len();
            bytes.extend(&data);
            let (parsed, rest) = TcpHeader::parse(&bytes).unwrap();
            prop_assert_eq!(rest, &data[..]);
            prop_assert_eq!(parsed.header_len_bytes(), header_len);
            prop_assert_eq!(*parsed, TcpHeader { offset_flags: parsed.offset_flags, ..header });
            prop_assert_eq!(parsed.flags(), header.flags());
            for len in 0..header_len {
                prop_assert!(TcpHeader::parse(&bytes[..len]).is_err());
            }
        }

        /// Flags are nine bits; data offset and the three reserved bits are left alone.
        #[test]
        fn flags_touch_nothing_else(mut header in generators::any_tcp(), raw: u16, flags: u16) {
            header.offset_flags = raw.into();
            header.set_flags(TcpFlags(flags));
            prop_assert_eq!(header.flags(), TcpFlags(flags & 0x1ff));
            prop_assert_eq!(header.offset_flags.get() & 0xfe00, raw & 0xfe00);
        }

        #[test]
        fn survives_noise(noise: Vec<u8>) {
            if let Ok((header, data)) = TcpHeader::parse(&noise) {
                prop_assert_eq!(header.header_len_bytes() + data.len(), noise.len());
            }
        }
    }

    #[test]
    fn a_data_offset_below_five_is_refused() {
        for words in 0..5u8 {
            let mut bytes = [0; 24];
            bytes[12] = words << 4;
            let claimed_bytes = usize::from(words) * 4;
            let error = ParseError::BadLength { layer: Layer::Tcp, claimed_bytes };
            assert_eq!(TcpHeader::parse(&bytes), Err(error));
        }
    }

    #[test]
    fn flags_read_as_in_tcpdump() {
        assert_eq!(TcpFlags::SYN.with(TcpFlags::ACK).to_string(), "S.");
        assert_eq!(TcpFlags(0).to_string(), "none");
        assert_eq!(TcpFlags(0x1ff).without(TcpFlags::FIN).to_string(), "SRP.UEWe");
    }
}
