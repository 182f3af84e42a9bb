//! IGMP: version 1 (RFC 1112), version 2 (RFC 2236) and version 3 (RFC 3376).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |      Type     | Max Resp Code |           Checksum            |
//! |                         Group Address                         |   versions 1 and 2 end here
//! | Resv  |S| QRV |     QQIC      |     Number of Sources (N)     |   query, version 3
//! ~                       N source addresses                      ~
//!
//! |  Type = 0x22  |    Reserved   |           Checksum            |   report, version 3
//! |           Reserved            |   Number of Group Records     |
//! ~                         group records                         ~
//! ```

use crate::checksum;
use crate::group_record::{Records, SourceQuery};
use crate::{Layer, ParseError, WriteError};
use core::net::Ipv4Addr;

/// Length of a message of versions 1 and 2, and of the fixed part of a report of version 3.
pub const LEN_BYTES: usize = 8;

/// Length of a query of version 3 without sources, in bytes.
pub const QUERY_V3_LEN_BYTES: usize = 12;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// What a frame is to a switch that listens, as its first byte says.  Enough to forward it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A report or a leave: for routers.
    Membership,
    /// A query: for everybody.
    Query,
    /// Anything else.
    Other,
}

impl Role {
    /// The role of a message of this type.
    #[must_use]
    pub const fn of(kind: u8) -> Self {
        match kind {
            REPORT_V1 | REPORT_V2 | REPORT_V3 | LEAVE => Self::Membership,
            QUERY => Self::Query,
            _ => Self::Other,
        }
    }
}

/// An IGMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Igmp<'a> {
    /// Who is there?  The group is 0.0.0.0 in a general query.
    Query {
        /// Max Resp Code, in tenths of a second below 128; 0 in version 1.
        code: u8,
        /// The group asked for.
        group: Ipv4Addr,
        /// What version 3 has besides.
        v3: Option<QueryV3<'a>>,
    },
    /// A member of a group, version 1.
    ReportV1 {
        /// The group.
        group: Ipv4Addr,
    },
    /// A member of a group, version 2.
    ReportV2 {
        /// The group.
        group: Ipv4Addr,
    },
    /// A member of some group no longer.
    Leave {
        /// The group.
        group: Ipv4Addr,
    },
    /// The state of groups, version 3.
    ReportV3(Records<'a, Ipv4Addr>),
    /// A message of a type that hosts ignore.
    Other {
        /// The type.
        kind: u8,
    },
}

/// The second half of a query of version 3.
pub type QueryV3<'a> = SourceQuery<'a, Ipv4Addr>;

impl<'a> Igmp<'a> {
    /// Reads the payload of an IP packet, its checksum included.  Bytes behind what a message says
    /// it holds are covered by the checksum and otherwise ignored.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`]; [`ParseError::BadChecksum`]; [`ParseError::BadLength`] for a query
    /// of 9 to 11 bytes, which RFC 3376 section 7.1 has us ignore, and for records or sources that
    /// are not all there.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let layer = Layer::Igmp;
        let (&[kind, code, _, _, g1, g2, g3, g4], rest) = bytes
            .split_first_chunk::<LEN_BYTES>()
            .ok_or(ParseError::truncated(layer, LEN_BYTES, bytes.len()))?;
        if checksum::internet_checksum(bytes) != 0 {
            return Err(ParseError::BadChecksum { layer });
        }
        let group = Ipv4Addr::new(g1, g2, g3, g4);
        let bad_length = ParseError::BadLength { layer, claimed_bytes: bytes.len() };
        Ok(match kind {
            QUERY if rest.is_empty() => Self::Query { code, group, v3: None },
            QUERY => Self::Query { code, group, v3: Some(QueryV3::parse(rest).ok_or(bad_length)?) },
            REPORT_V1 => Self::ReportV1 { group },
            REPORT_V2 => Self::ReportV2 { group },
            LEAVE => Self::Leave { group },
            REPORT_V3 => {
                let count = u16::from_be_bytes([g3, g4]);
                Self::ReportV3(Records::parse(count, rest).ok_or(bad_length)?)
            }
            kind => Self::Other { kind },
        })
    }

    /// Length of the message as [`Igmp::write`] makes it, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        match self {
            Self::Query { v3: Some(v3), .. } => QUERY_V3_LEN_BYTES + v3.sources.len(),
            Self::ReportV3(records) => LEN_BYTES + records.as_bytes().len(),
            _ => LEN_BYTES,
        }
    }

    /// Writes this message to the front of `out`, with its checksum; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short, or the sources are too many or no multiple of 4 bytes.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let need_bytes = self.len_bytes();
        let short = WriteError::ShortBuffer { need_bytes, have_bytes: out.len() };
        let message = out.get_mut(..need_bytes).ok_or(short)?;
        let (fixed, rest) = message.split_first_chunk_mut::<LEN_BYTES>().ok_or(short)?;
        let plain = |kind, code, group: Ipv4Addr| {
            let [g1, g2, g3, g4] = group.octets();
            [kind, code, 0, 0, g1, g2, g3, g4]
        };
        *fixed = match *self {
            Self::Query { code, group, v3 } => {
                if let Some(v3) = v3 {
                    v3.write(Layer::Igmp, rest)?;
                }
                plain(QUERY, code, group)
            }
            Self::ReportV1 { group } => plain(REPORT_V1, 0, group),
            Self::ReportV2 { group } => plain(REPORT_V2, 0, group),
            Self::Leave { group } => plain(LEAVE, 0, group),
            Self::ReportV3(records) => {
                rest.copy_from_slice(records.as_bytes());
                let [high, low] = records.number().to_be_bytes();
                [REPORT_V3, 0, 0, 0, 0, 0, high, low]
            }
            Self::Other { kind } => plain(kind, 0, Ipv4Addr::UNSPECIFIED),
        };
        let [high, low] = checksum::internet_checksum(message).to_be_bytes();
        if let Some([_, _, at_high, at_low]) = message.first_chunk_mut::<4>() {
            (*at_high, *at_low) = (high, low);
        }
        Ok(need_bytes)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{Igmp, QueryV3, Records};
    use crate::group_record::generators::any_records;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    /// Any message, written.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn any_igmp() -> impl Strategy<Value = Vec<u8>> {
        let sources = prop::collection::vec(any::<[u8; 4]>(), 0..5);
        let fields = (any::<(u8, u8, u8)>(), any::<Ipv4Addr>(), sources);
        (0u8..7, fields, any_records::<Ipv4Addr>()).prop_map(
            |(choice, fields, (count, records))| {
                let ((code, flags, qqic), group, sources) = fields;
                let sources = sources.concat();
                let v3 = Some(QueryV3 {
                    flags,
                    qqic,
                    sources: &sources,
                    address: core::marker::PhantomData,
                });
                let message = match choice {
                    0 => Igmp::Query { code, group, v3: None },
                    1 => Igmp::Query { code, group, v3 },
                    2 => Igmp::ReportV1 { group },
                    3 => Igmp::ReportV2 { group },
                    4 => Igmp::Leave { group },
                    _ => match Records::parse(count, &records) {
                        Some(records) => Igmp::ReportV3(records),
                        None => Igmp::Other { kind: 0x13 },
                    },
                };
                let mut bytes = vec![0xee; message.len_bytes()];
                assert_eq!(message.write(&mut bytes), Ok(bytes.len()));
                bytes
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The message with its checksum made right again.
    fn fixed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[2..4].fill(0);
        let sum = checksum::internet_checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    proptest! {
        #[test]
        fn round_trips(bytes in generators::any_igmp()) {
            let message = Igmp::parse(&bytes).unwrap();
            prop_assert_eq!(message.len_bytes(), bytes.len());
            let mut again = vec![0x77; bytes.len()];
            prop_assert_eq!(message.write(&mut again), Ok(bytes.len()));
            prop_assert_eq!(&again, &bytes);
            let error = WriteError::ShortBuffer { need_bytes: bytes.len(), have_bytes: bytes.len() - 1 };
            prop_assert_eq!(message.write(&mut again[1..]), Err(error));
        }

        /// With a checksum that is right for what is left: a truncation never reads as the whole.
        #[test]
        fn no_truncation_passes(bytes in generators::any_igmp()) {
            let whole = Igmp::parse(&bytes).unwrap();
            for len in 4..bytes.len() {
                let cut = fixed(bytes[..len].to_vec());
                match Igmp::parse(&cut) {
                    Err(ParseError::Truncated { need_bytes, have_bytes, .. }) => {
                        prop_assert!(len < 8 && need_bytes == 8 && have_bytes == len);
                    }
                    Err(ParseError::BadLength { claimed_bytes, .. }) => prop_assert_eq!(claimed_bytes, len),
                    // A query of version 3, cut to eight bytes, is one of version 2.
                    Ok(Igmp::Query { v3: None, .. }) => prop_assert_eq!(len, 8),
                    Ok(other) => prop_assert!(false, "{other:?} of {whole:?}"),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
        }

        #[test]
        fn a_flipped_bit_fails_the_checksum(bytes in generators::any_igmp(), bit: prop::sample::Index) {
            let mut bytes = bytes;
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Igmp::parse(&bytes), Err(ParseError::BadChecksum { layer: Layer::Igmp }));
        }

        /// What follows is summed and ignored; behind a query it makes version 3 of it, or nothing.
        #[test]
        fn ignores_what_follows(bytes in generators::any_igmp(), words in 1usize..6) {
            let longer = fixed([&bytes[..], &vec![0; words * 4]].concat());
            let (whole, longer) = (Igmp::parse(&bytes).unwrap(), Igmp::parse(&longer).unwrap());
            if let Igmp::Query { code, group, v3: None } = whole {
                let v3 = Some(QueryV3 { flags: 0, qqic: 0, sources: &[], address: core::marker::PhantomData });
                prop_assert_eq!(longer, Igmp::Query { code, group, v3 });
            } else {
                prop_assert_eq!(longer, whole);
            }
        }

        #[test]
        fn survives_noise(noise in prop::collection::vec(any::<u8>(), 8..80), kind in 0usize..6) {
            let mut noise = noise;
            noise[0] = [QUERY, REPORT_V1, REPORT_V2, LEAVE, REPORT_V3, noise[0]][kind];
            let role = Role::of(noise[0]);
            match Igmp::parse(&fixed(noise)) {
                Ok(Igmp::Query { .. }) => prop_assert_eq!(role, Role::Query),
                Ok(Igmp::Other { .. }) => prop_assert_eq!(role, Role::Other),
                Ok(_) => prop_assert_eq!(role, Role::Membership),
                Err(ParseError::BadLength { .. }) => {}
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }

    /// RFC 2236 as a host sends it: a report for 239.1.2.3.
    #[test]
    fn reads_a_report_by_hand() {
        let bytes = [0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3];
        let group = Ipv4Addr::new(239, 1, 2, 3);
        assert_eq!(Igmp::parse(&bytes), Ok(Igmp::ReportV2 { group }));
    }
}
