//! Group records: what reports of `IGMPv3` (RFC 3376 section 4.2.4) and `MLDv2` (RFC 3810 section
//! 5.2.5) are made of.  The two differ in the length of an address alone.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |  Record Type  |  Aux Data Len |     Number of Sources (N)     |
//! ~                 Multicast Address, 4 or 16 bytes              ~
//! ~                 Source Addresses, N times as long             ~
//! ~                 Auxiliary Data, in words of 4 bytes           ~
//! ```

use crate::{Layer, WriteError};
use core::fmt::Debug;
use core::marker::PhantomData;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Type, lengths: what stands in front of the group's address, in bytes.
const HEAD_BYTES: usize = 4;

/// An address as group records hold it.
pub trait GroupAddress: Copy + Eq + Debug {
    /// Its length on the wire, in bytes.
    const LEN_BYTES: usize;

    /// Takes one off the front of `bytes`.
    fn take(bytes: &[u8]) -> Option<(Self, &[u8])>;

    /// Puts it at the front of `out`, and returns what is left of that.
    fn put(self, out: &mut [u8]) -> Option<&mut [u8]>;
}

macro_rules! group_address {
    ($address:ty, $len:literal) => {
        impl GroupAddress for $address {
            const LEN_BYTES: usize = $len;

            fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let (octets, rest) = bytes.split_first_chunk::<$len>()?;
                Some((Self::from_octets(*octets), rest))
            }

            fn put(self, out: &mut [u8]) -> Option<&mut [u8]> {
                let (octets, rest) = out.split_first_chunk_mut::<$len>()?;
                *octets = self.octets();
                Some(rest)
            }
        }
    };
}

group_address!(Ipv4Addr, 4);
group_address!(Ipv6Addr, 16);

/// The second half of a query of `IGMPv3` (RFC 3376 section 4.1) or `MLDv2` (RFC 3810 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceQuery<'a, A> {
    /// S flag and robustness, as they stand; the upper four bits are ignored.
    pub flags: u8,
    /// Querier's Query Interval Code.
    pub qqic: u8,
    /// Source addresses, one behind the other: a multiple of an address's length.
    pub sources: &'a [u8],
    /// What the addresses are.
    pub address: PhantomData<A>,
}

impl<'a, A: GroupAddress> SourceQuery<'a, A> {
    /// Reads it; `None` when fewer sources are there than it says.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[flags, qqic, high, low], rest) = bytes.split_first_chunk::<4>()?;
        let count = usize::from(u16::from_be_bytes([high, low]));
        let sources = rest.get(..count * A::LEN_BYTES)?;
        Some(Self { flags, qqic, sources, address: PhantomData })
    }

    /// Fills `out`, which is as long as the half query.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] of `layer` when the sources are no whole addresses, or too many.
    pub(crate) fn write(&self, layer: Layer, out: &mut [u8]) -> Result<(), WriteError> {
        let len_bytes = self.sources.len();
        let too_long = WriteError::TooLong { layer, len_bytes };
        let count = u16::try_from(len_bytes / A::LEN_BYTES).map_err(|_| too_long)?;
        if !len_bytes.is_multiple_of(A::LEN_BYTES) {
            return Err(too_long);
        }
        let [high, low] = count.to_be_bytes();
        let (head, rest) = out.split_first_chunk_mut::<4>().ok_or(too_long)?;
        *head = [self.flags, self.qqic, high, low];
        rest.copy_from_slice(self.sources);
        Ok(())
    }
}

/// What a record says of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// The current state: these sources only.
    pub const MODE_IS_INCLUDE: Self = Self(1);
    /// The current state: all sources but these.
    pub const MODE_IS_EXCLUDE: Self = Self(2);
    /// News: these sources only.
    pub const CHANGE_TO_INCLUDE: Self = Self(3);
    /// News: all sources but these.
    pub const CHANGE_TO_EXCLUDE: Self = Self(4);
    /// These sources besides.
    pub const ALLOW_NEW_SOURCES: Self = Self(5);
    /// These sources no longer.
    pub const BLOCK_OLD_SOURCES: Self = Self(6);

    /// True for the six types above.  A record of another type must be ignored.
    #[must_use]
    pub const fn is_known(self) -> bool {
        matches!(self.0, 1..=6)
    }
}

/// One group record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a, A> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: A,
    /// Source addresses, one behind the other: a multiple of the address's length.
    pub sources: &'a [u8],
    /// Auxiliary data, a multiple of 4 bytes.  Neither protocol defines any.
    pub auxiliary: &'a [u8],
}

impl<'a, A: GroupAddress> Record<'a, A> {
    /// Takes one record off the front of `bytes`; `None` when it is not all there.
    #[must_use]
    pub fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[kind, words, high, low], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (group, rest) = A::take(rest)?;
        let sources_bytes = usize::from(u16::from_be_bytes([high, low])) * A::LEN_BYTES;
        let (sources, rest) = rest.split_at_checked(sources_bytes)?;
        let (auxiliary, rest) = rest.split_at_checked(usize::from(words) * 4)?;
        Some((Self { kind: RecordKind(kind), group, sources, auxiliary }, rest))
    }

    /// True when the sender wants nothing of this group any more: these sources only, and none.
    #[must_use]
    pub const fn is_leave(&self) -> bool {
        let includes =
            matches!(self.kind, RecordKind::MODE_IS_INCLUDE | RecordKind::CHANGE_TO_INCLUDE);
        includes && self.sources.is_empty()
    }

    /// Length on the wire, in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        HEAD_BYTES + A::LEN_BYTES + self.sources.len() + self.auxiliary.len()
    }

    /// Writes this record to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short, or a list is too long or no multiple of its unit.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let count = |bytes: &[u8], unit: usize| {
            let is_whole = bytes.len().is_multiple_of(unit);
            let too_long =
                WriteError::TooLong { layer: crate::Layer::GroupRecord, len_bytes: bytes.len() };
            u16::try_from(bytes.len() / unit).ok().filter(|_| is_whole).ok_or(too_long)
        };
        let [high, low] = count(self.sources, A::LEN_BYTES)?.to_be_bytes();
        let words = count(self.auxiliary, 4)?;
        let len_bytes = self.auxiliary.len();
        let words = u8::try_from(words)
            .map_err(|_| WriteError::TooLong { layer: crate::Layer::GroupRecord, len_bytes })?;
        let need_bytes = self.len_bytes();
        let short = WriteError::ShortBuffer { need_bytes, have_bytes: out.len() };
        let out = out.get_mut(..need_bytes).ok_or(short)?;
        let (head, rest) = out.split_first_chunk_mut::<HEAD_BYTES>().ok_or(short)?;
        *head = [self.kind.0, words, high, low];
        let rest = self.group.put(rest).ok_or(short)?;
        let (sources, auxiliary) = rest.split_at_mut_checked(self.sources.len()).ok_or(short)?;
        sources.copy_from_slice(self.sources);
        auxiliary.copy_from_slice(self.auxiliary);
        Ok(need_bytes)
    }
}

/// The records of a report that were found to be all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records<'a, A> {
    /// How many there are.
    count: u16,
    /// The records, one behind the other, and nothing else.
    bytes: &'a [u8],
    address: PhantomData<A>,
}

impl<'a, A: GroupAddress> Records<'a, A> {
    /// The first `count` records of `bytes`; `None` when they are not all there.  What follows is
    /// ignored (RFC 3376 section 4.2.11).  Takes no more steps than `bytes` has room for records.
    #[must_use]
    pub fn parse(count: u16, bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        for _ in 0..count {
            (_, rest) = Record::<A>::take(rest)?;
        }
        let bytes = bytes.get(..bytes.len() - rest.len())?;
        Some(Self { count, bytes, address: PhantomData })
    }

    /// How many there are.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.count
    }

    /// Walks them.
    pub fn iter(&self) -> impl Iterator<Item = Record<'a, A>> + use<'a, A> {
        let mut left = self.bytes;
        core::iter::from_fn(move || {
            let (record, rest) = Record::take(left)?;
            left = rest;
            Some(record)
        })
    }

    /// Their bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{GroupAddress, Record, RecordKind};
    use proptest::prelude::*;

    /// Up to five well-formed records, written one behind the other; with their number.
    ///
    /// # Panics
    ///
    /// When one cannot be written.
    pub fn any_records<A: GroupAddress + Arbitrary>() -> impl Strategy<Value = (u16, Vec<u8>)> {
        let one = (0u8..9, any::<A>(), 0usize..5, 0usize..4, any::<u8>());
        prop::collection::vec(one, 0..6).prop_map(|records| {
            let mut bytes = Vec::new();
            for (kind, group, sources, words, fill) in &records {
                let record = Record {
                    kind: RecordKind(*kind),
                    group: *group,
                    sources: &vec![*fill; sources * A::LEN_BYTES],
                    auxiliary: &vec![*fill; words * 4],
                };
                let mut written = vec![0; record.len_bytes()];
                assert_eq!(record.write(&mut written), Ok(written.len()));
                bytes.extend(written);
            }
            (u16::try_from(records.len()).unwrap_or(u16::MAX), bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;
    use proptest::prelude::*;

    fn walk<A: GroupAddress>(count: u16, bytes: &[u8], behind: &[u8]) {
        let all = [bytes, behind].concat();
        let records = Records::<A>::parse(count, &all).unwrap();
        assert_eq!((records.number(), records.as_bytes()), (count, bytes));
        let mut again = Vec::new();
        for record in records.iter() {
            let start = again.len();
            again.resize(start + record.len_bytes(), 0xee);
            assert_eq!(record.write(&mut again[start..]), Ok(record.len_bytes()));
        }
        assert_eq!(again, bytes);
        for len in 0..bytes.len() {
            assert_eq!(Records::<A>::parse(count, &bytes[..len]), None);
        }
    }

    proptest! {
        #[test]
        fn records_round_trip_and_no_truncation_passes(
            (count, bytes) in generators::any_records::<Ipv4Addr>(), behind: Vec<u8>,
        ) {
            walk::<Ipv4Addr>(count, &bytes, &behind);
        }

        #[test]
        fn the_longer_ones_too((count, bytes) in generators::any_records::<Ipv6Addr>(), behind: Vec<u8>) {
            walk::<Ipv6Addr>(count, &bytes, &behind);
        }

        /// Any claim of a count over any bytes: never more records than there is room for.
        #[test]
        fn the_walk_is_bounded(count: u16, noise: Vec<u8>) {
            if let Some(records) = Records::<Ipv4Addr>::parse(count, &noise) {
                prop_assert_eq!(records.iter().count(), usize::from(count));
                prop_assert!(usize::from(count) * 8 <= noise.len());
            }
            if let Some(records) = Records::<Ipv6Addr>::parse(count, &noise) {
                prop_assert!(usize::from(count) * 20 <= noise.len());
                prop_assert_eq!(records.as_bytes(), &noise[..records.as_bytes().len()]);
            }
        }

        #[test]
        fn only_an_empty_include_leaves(kind: u8, sources in 0usize..3) {
            let bytes = vec![7; sources * 4];
            let record = Record {
                kind: RecordKind(kind),
                group: Ipv4Addr::new(239, 1, 2, 3),
                sources: &bytes,
                auxiliary: &[],
            };
            prop_assert_eq!(record.is_leave(), matches!(kind, 1 | 3) && sources == 0);
            prop_assert_eq!(record.kind.is_known(), (1..7).contains(&kind));
        }
    }

    #[test]
    fn refuses_what_has_no_place_on_the_wire() {
        let long = vec![0; 65536 * 4];
        let record = |sources, auxiliary| Record {
            kind: RecordKind::MODE_IS_EXCLUDE,
            group: Ipv4Addr::LOCALHOST,
            sources,
            auxiliary,
        };
        let mut out = vec![0; 300_000];
        for (sources, auxiliary) in [
            (&long[..], &[][..]),
            (&long[..5], &[][..]),
            (&[][..], &long[..1024]),
            (&[], &long[..2]),
        ] {
            let len_bytes = sources.len() + auxiliary.len();
            let error = WriteError::TooLong { layer: Layer::GroupRecord, len_bytes };
            assert_eq!(record(sources, auxiliary).write(&mut out), Err(error));
        }
        let error = WriteError::ShortBuffer { need_bytes: 12, have_bytes: 11 };
        assert_eq!(record(&long[..4], &[]).write(&mut out[..11]), Err(error));
    }
}
