//! The greeting: which versions each side speaks, and which one both will.

use crate::bytes::{Reader, Writer};
use crate::frame::{HEADER_BYTES, Header};
use weft_flow::Version;
use weft_flow::request::Refusal;

/// The element of a greeting that lists versions.
const VERSION_BITMAP: u16 = 1;

/// A set of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions(u32);

impl Versions {
    /// None.
    pub const NONE: Self = Self(0);
    /// 1.0 to 1.5.
    pub const ALL: Self = Self(0x7e);

    /// All that are not later than this one.
    #[must_use]
    pub const fn up_to(version: Version) -> Self {
        Self((2 << version as u32) - 2)
    }

    /// This one more.
    #[must_use]
    pub const fn with(self, version: Version) -> Self {
        Self(self.0 | 1 << version as u32)
    }

    /// True when this version is one of them.
    #[must_use]
    pub const fn contains(self, version: Version) -> bool {
        self.0 & 1 << version as u32 != 0
    }

    /// Those that are in both sets.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The latest of them.
    #[must_use]
    pub fn latest(self) -> Option<Version> {
        Version::ALL.into_iter().rev().find(|version| self.contains(*version))
    }

    /// The set of which bit N is set for the number N of a version; numbers of no version count
    /// for nothing.
    #[must_use]
    pub const fn from_bitmap(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }
}

/// What a greeting says that its sender speaks.
///
/// Without a list that is every version up to that of its header.
///
/// # Errors
/// It is shorter than a header.  Elements that are cut short end the list of elements, as in stock.
pub fn decode(message: &[u8]) -> Result<Versions, Refusal> {
    let header = Header::parse(message).ok_or(Refusal::BadLen)?;
    let mut reader = Reader::new(message.get(HEADER_BYTES..).unwrap_or_default());
    while let (Ok(kind), Ok(length)) = (reader.u16(), reader.u16()) {
        let body = usize::from(length).checked_sub(4);
        let Some(Ok(mut body)) = body.map(|len| reader.part(len)) else { break };
        if kind == VERSION_BITMAP
            && let Ok(bits) = body.u32()
        {
            return Ok(Versions::from_bitmap(bits));
        }
        let padding = usize::from(length).next_multiple_of(8).saturating_sub(length.into());
        if reader.skip(padding).is_err() {
            break;
        }
    }
    Ok(up_to_number(header.version))
}

/// All versions with numbers up to this one.
fn up_to_number(number: u8) -> Versions {
    let known = Version::ALL.into_iter().filter(|version| *version as u8 <= number);
    known.fold(Versions::NONE, Versions::with)
}

/// A greeting of one that speaks these; the list goes along when the header cannot say it.  The
/// stock switch sends no list when it speaks all versions.
pub fn encode(versions: Versions, xid: u32, out: &mut Vec<u8>) {
    let latest = versions.latest().unwrap_or(Version::V10);
    let is_simple = versions == Versions::up_to(latest);
    let length = if is_simple { 8 } else { 16 };
    out.bytes(&Header { version: latest as u8, kind: 0, length, xid }.to_bytes());
    if !is_simple {
        out.u16(VERSION_BITMAP);
        out.u16(8);
        out.u32(versions.0);
    }
}

/// The version that both sides will speak: the latest that both do.
///
/// # Errors
/// There is none: [`refuse`] says so, and the connection ends.
pub fn agree(ours: Versions, theirs: Versions) -> Result<Version, Refusal> {
    ours.both(theirs).latest().ok_or(Refusal::HelloIncompatible)
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut numbers =
            Version::ALL.into_iter().filter(|one| self.contains(*one)).map(|one| one as u8);
        let Some(first) = numbers.next() else { return f.write_str("no version") };
        match self.latest() {
            Some(latest) if latest as u8 > first && *self == Self::up_to(latest) => {
                write!(f, "version 0x{:02x} and earlier", latest as u8)
            }
            Some(latest) if latest as u8 > first => {
                write!(f, "versions 0x{first:02x}")?;
                numbers.try_for_each(|number| write!(f, ", 0x{number:02x}"))
            }
            _ => write!(f, "version 0x{first:02x}"),
        }
    }
}

/// Says that there is no common version, in 1.0, as the stock switch does: an error with a text.
/// Then the connection ends.
pub fn refuse(ours: Versions, theirs: Versions, out: &mut Vec<u8>) {
    let text = format!("We support {ours}, you support {theirs}, no common versions.");
    let start = out.len();
    out.bytes(&Header { version: Version::V10 as u8, kind: 1, length: 0, xid: 0 }.to_bytes());
    // HELLO_FAILED, INCOMPATIBLE.
    out.u16(0);
    out.u16(0);
    out.bytes(text.as_bytes());
    out.patch_len(start.saturating_add(2), start);
}

#[cfg(test)]
mod tests {
    use super::{Versions, agree, decode, encode, refuse};
    use proptest::prelude::*;
    use weft_flow::Version;
    use weft_flow::request::Refusal;

    #[test]
    fn the_switch_speaks_all_without_a_list() {
        let mut out = Vec::new();
        encode(Versions::ALL, 9, &mut out);
        assert_eq!(out, [6, 0, 0, 8, 0, 0, 0, 9]);
        assert_eq!(decode(&out), Ok(Versions::ALL));
    }

    #[test]
    fn a_controller_that_speaks_one_version_gets_it() {
        let theirs = decode(&[6, 0, 0, 16, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 0x40]).unwrap();
        assert_eq!(agree(Versions::ALL, theirs), Ok(Version::V15));
        let ours = Versions::up_to(Version::V13);
        assert_eq!(agree(ours, theirs), Err(Refusal::HelloIncompatible));
    }

    #[test]
    fn a_controller_of_other_versions_is_told_so() {
        let mut out = Vec::new();
        refuse(Versions::ALL, Versions::NONE.with(Version::V13), &mut out);
        let error = crate::error::decode(&out).unwrap();
        assert_eq!(error.refusal, Some(Refusal::HelloIncompatible));
        let text = "We support version 0x06 and earlier, you support version 0x04, \
                    no common versions.";
        assert_eq!(std::str::from_utf8(error.quote()), Ok(text));
        let some = Versions::NONE.with(Version::V10).with(Version::V13);
        assert_eq!(some.to_string(), "versions 0x01, 0x04");
        assert_eq!(Versions::NONE.to_string(), "no version");
    }

    #[test]
    fn unknown_elements_and_versions_count_for_nothing() {
        let mut hello = vec![9, 0, 0, 24, 0, 0, 0, 1, 0, 7, 0, 5, 1, 0, 0, 0];
        hello.extend([0, 1, 0, 8, 0xff, 0, 0, 0x11]);
        assert_eq!(decode(&hello), Ok(Versions::NONE.with(Version::V13)));
        assert_eq!(decode(&[9, 0, 0, 8, 0, 0, 0, 1]), Ok(Versions::ALL));
        assert_eq!(decode(&[0, 0, 0, 8, 0, 0, 0, 1]), Ok(Versions::NONE));
        assert_eq!(decode(&[4, 0, 0, 10, 0, 0, 0, 1, 0, 1]), Ok(Versions::up_to(Version::V13)));
    }

    proptest! {
        #[test]
        fn greetings_come_back(bits in any::<u32>()) {
            let versions = Versions::from_bitmap(bits);
            prop_assume!(versions != Versions::NONE);
            let mut out = Vec::new();
            encode(versions, 1, &mut out);
            prop_assert_eq!(decode(&out), Ok(versions));
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decode(&bytes).is_err(), bytes.len() < 8);
        }
    }
}
