//! Multicast listener discovery: version 1 (RFC 2710) and version 2 (RFC 3810), in `ICMPv6`.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |     Type      |     Code      |           Checksum            |
//! |      Maximum Response Code    |           Reserved            |
//! |                  Multicast Address, 16 bytes                  |   version 1 ends here
//! | Resv  |S| QRV |     QQIC      |     Number of Sources (N)     |   query, version 2
//! ~                       N source addresses                      ~
//!
//! |  Type = 143   |    Reserved   |           Checksum            |   report, version 2
//! |           Reserved            |   Number of Records           |
//! ~                         group records                         ~
//! ```
//!
//! Such packets come behind a hop-by-hop header with a router alert, which
//! [`Ipv6Header::walk`](crate::Ipv6Header::walk) steps over.

use crate::checksum;
use crate::group_record::{GroupAddress, Records, SourceQuery};
use crate::{IcmpHeader, Layer, ParseError, WriteError};
use core::net::Ipv6Addr;

/// Length of a message of version 1, in bytes.
pub const LEN_BYTES: usize = 24;

/// Length of a query of version 2 without sources, in bytes.
pub const QUERY_V2_LEN_BYTES: usize = 28;

/// Length of the fixed part of a report of version 2, in bytes.
pub const REPORT_V2_LEN_BYTES: usize = 8;

const QUERY: u8 = 130;
const REPORT: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

/// What an `ICMPv6` message is to a switch that listens, as its type says; `None` when it is none
/// of these.
#[must_use]
pub const fn role(kind: u8) -> Option<crate::igmp::Role> {
    use crate::igmp::Role;
    match kind {
        QUERY => Some(Role::Query),
        REPORT | DONE | REPORT_V2 => Some(Role::Membership),
        _ => None,
    }
}

/// An MLD message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mld<'a> {
    /// Who is there?  The group is `::` in a general query.
    Query {
        /// Maximum Response Code, in milliseconds below 32768.
        code: u16,
        /// The group asked for.
        group: Ipv6Addr,
        /// What version 2 has besides.
        v2: Option<QueryV2<'a>>,
    },
    /// A listener of a group, version 1.
    Report {
        /// The group.
        group: Ipv6Addr,
    },
    /// A listener of some group no longer.
    Done {
        /// The group.
        group: Ipv6Addr,
    },
    /// The state of groups, version 2.
    ReportV2(Records<'a, Ipv6Addr>),
}

/// The second half of a query of version 2.
pub type QueryV2<'a> = SourceQuery<'a, Ipv6Addr>;

impl<'a> Mld<'a> {
    /// Reads an `ICMPv6` message, its checksum included; `None` when it is another message.
    /// `pseudo` is the partial sum of the pseudo-header.  Bytes behind what a message says it holds
    /// are covered by the checksum and otherwise ignored.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`]; [`ParseError::BadChecksum`]; [`ParseError::BadLength`] for a query
    /// of 25 to 27 bytes, which RFC 3810 section 8.1 has us ignore, and for records or sources that
    /// are not all there.
    pub fn parse(bytes: &'a [u8], pseudo: u64) -> Result<Option<Self>, ParseError> {
        let layer = Layer::Mld;
        let truncated = |need| ParseError::truncated(layer, need, bytes.len());
        let (&[kind, _, _, _, c1, c2, n1, n2], rest) = bytes
            .split_first_chunk::<REPORT_V2_LEN_BYTES>()
            .ok_or(truncated(REPORT_V2_LEN_BYTES))?;
        if role(kind).is_none() {
            return Ok(None);
        }
        IcmpHeader::verify_checksum(layer, bytes, pseudo)?;
        let bad_length = ParseError::BadLength { layer, claimed_bytes: bytes.len() };
        if kind == REPORT_V2 {
            let records = Records::parse(u16::from_be_bytes([n1, n2]), rest).ok_or(bad_length)?;
            return Ok(Some(Self::ReportV2(records)));
        }
        let (group, rest) = Ipv6Addr::take(rest).ok_or(truncated(LEN_BYTES))?;
        Ok(Some(match kind {
            REPORT => Self::Report { group },
            DONE => Self::Done { group },
            _ => {
                let v2 = match rest {
                    [] => None,
                    rest => Some(QueryV2::parse(rest).ok_or(bad_length)?),
                };
                Self::Query { code: u16::from_be_bytes([c1, c2]), group, v2 }
            }
        }))
    }

    /// Length of the message as [`Mld::write`] makes it, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        match self {
            Self::Query { v2: Some(v2), .. } => QUERY_V2_LEN_BYTES + v2.sources.len(),
            Self::ReportV2(records) => REPORT_V2_LEN_BYTES + records.as_bytes().len(),
            _ => LEN_BYTES,
        }
    }

    /// Writes this message to the front of `out`, with its checksum; returns its length.  `pseudo`
    /// as above, for a message of [`Mld::len_bytes`].
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short, or the sources are too many or no multiple of 16
    /// bytes.
    pub fn write(&self, out: &mut [u8], pseudo: u64) -> Result<usize, WriteError> {
        let need_bytes = self.len_bytes();
        let short = WriteError::ShortBuffer { need_bytes, have_bytes: out.len() };
        let message = out.get_mut(..need_bytes).ok_or(short)?;
        let (fixed, rest) = message.split_first_chunk_mut::<REPORT_V2_LEN_BYTES>().ok_or(short)?;
        let (kind, [c1, c2], [n1, n2]) = match *self {
            Self::Query { code, group, v2 } => {
                let rest = group.put(rest).ok_or(short)?;
                if let Some(v2) = v2 {
                    v2.write(Layer::Mld, rest)?;
                }
                (QUERY, code.to_be_bytes(), [0, 0])
            }
            Self::Report { group } => {
                group.put(rest).ok_or(short)?;
                (REPORT, [0, 0], [0, 0])
            }
            Self::Done { group } => {
                group.put(rest).ok_or(short)?;
                (DONE, [0, 0], [0, 0])
            }
            Self::ReportV2(records) => {
                rest.copy_from_slice(records.as_bytes());
                (REPORT_V2, [0, 0], records.number().to_be_bytes())
            }
        };
        *fixed = [kind, 0, 0, 0, c1, c2, n1, n2];
        let [high, low] = checksum::finish(checksum::sum(message) + pseudo).to_be_bytes();
        if let Some([_, _, at_high, at_low]) = message.first_chunk_mut::<4>() {
            (*at_high, *at_low) = (high, low);
        }
        Ok(need_bytes)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{Mld, QueryV2, Records};
    use crate::group_record::generators::any_records;
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    /// Any message, written for a pseudo-header of this sum.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn any_mld(pseudo: u64) -> impl Strategy<Value = Vec<u8>> {
        let sources = prop::collection::vec(any::<[u8; 16]>(), 0..4);
        let fields = (any::<(u16, u8, u8)>(), any::<Ipv6Addr>(), sources);
        (0u8..6, fields, any_records::<Ipv6Addr>()).prop_map(
            move |(choice, fields, (count, records))| {
                let ((code, flags, qqic), group, sources) = fields;
                let sources = sources.concat();
                let v2 = Some(QueryV2 {
                    flags,
                    qqic,
                    sources: &sources,
                    address: core::marker::PhantomData,
                });
                let message = match choice {
                    0 => Mld::Query { code, group, v2: None },
                    1 => Mld::Query { code, group, v2 },
                    2 => Mld::Report { group },
                    3 => Mld::Done { group },
                    _ => Records::parse(count, &records).map_or(Mld::Done { group }, Mld::ReportV2),
                };
                let mut bytes = vec![0xee; message.len_bytes()];
                assert_eq!(message.write(&mut bytes, pseudo), Ok(bytes.len()));
                bytes
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::igmp::Role;
    use proptest::prelude::*;

    const PSEUDO: u64 = 0x1_2345;

    fn fixed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[2..4].fill(0);
        let sum = checksum::finish(checksum::sum(&bytes) + PSEUDO);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Mld<'_>, ParseError> {
        Mld::parse(bytes, PSEUDO).map(|message| message.expect("a type of MLD's"))
    }

    proptest! {
        #[test]
        fn round_trips(bytes in generators::any_mld(PSEUDO)) {
            let message = parse(&bytes).unwrap();
            prop_assert_eq!(message.len_bytes(), bytes.len());
            let mut again = vec![0x77; bytes.len()];
            prop_assert_eq!(message.write(&mut again, PSEUDO), Ok(bytes.len()));
            prop_assert_eq!(&again, &bytes);
            let error = WriteError::ShortBuffer { need_bytes: bytes.len(), have_bytes: bytes.len() - 1 };
            prop_assert_eq!(message.write(&mut again[1..], PSEUDO), Err(error));
        }

        /// With a checksum that is right for what is left: a truncation never reads as the whole.
        #[test]
        fn no_truncation_passes(bytes in generators::any_mld(PSEUDO)) {
            for len in 4..bytes.len() {
                match parse(&fixed(bytes[..len].to_vec())) {
                    Err(ParseError::Truncated { need_bytes, have_bytes, .. }) => {
                        let needed = if len < 8 { 8 } else { 24 };
                        prop_assert_eq!((need_bytes, have_bytes), (needed, len));
                    }
                    Err(ParseError::BadLength { claimed_bytes, .. }) => prop_assert_eq!(claimed_bytes, len),
                    // A query of version 2, cut to 24 bytes, is one of version 1.
                    Ok(Mld::Query { v2: None, .. }) => prop_assert_eq!(len, 24),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }

        #[test]
        fn a_flipped_bit_fails_the_checksum(bytes in generators::any_mld(PSEUDO), bit: prop::sample::Index) {
            let mut bytes = bytes;
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = match role(bytes[0]) {
                Some(_) => Err(ParseError::BadChecksum { layer: Layer::Mld }),
                None => Ok(None),
            };
            prop_assert_eq!(Mld::parse(&bytes, PSEUDO), expected);
        }

        /// What follows is summed and ignored; behind a query it makes version 2 of it.
        #[test]
        fn ignores_what_follows(bytes in generators::any_mld(PSEUDO), words in 1usize..6) {
            let longer = fixed([&bytes[..], &vec![0; words * 4]].concat());
            let (whole, longer) = (parse(&bytes).unwrap(), parse(&longer).unwrap());
            if let Mld::Query { code, group, v2: None } = whole {
                let v2 = Some(QueryV2 { flags: 0, qqic: 0, sources: &[], address: core::marker::PhantomData });
                prop_assert_eq!(longer, Mld::Query { code, group, v2 });
            } else {
                prop_assert_eq!(longer, whole);
            }
        }

        #[test]
        fn survives_noise(noise in prop::collection::vec(any::<u8>(), 8..120), kind in 0usize..5) {
            let mut noise = noise;
            noise[0] = [QUERY, REPORT, DONE, REPORT_V2, noise[0]][kind];
            let role = role(noise[0]);
            match Mld::parse(&fixed(noise), PSEUDO) {
                Ok(None) => prop_assert_eq!(role, None),
                Ok(Some(Mld::Query { .. })) => prop_assert_eq!(role, Some(Role::Query)),
                Ok(Some(_)) => prop_assert_eq!(role, Some(Role::Membership)),
                Err(ParseError::BadLength { .. } | ParseError::Truncated { .. }) => {}
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
