//! Errors: what a switch answers to a request that it refuses.

mod codes;

use crate::bytes::{Reader, Writer};
use crate::frame::{HEADER_BYTES, Header, MESSAGE_MAX_BYTES};
use codes::{Number, ROWS};
use weft_flow::Version;
use weft_flow::request::Refusal;

/// The type of messages that say an error.
const ERROR: u8 = 1;
/// The type of errors that an experimenter numbered.
const EXPERIMENTER: u16 = 0xffff;
/// The type of Nicira's errors in 1.0 and 1.1.
const VENDOR: u16 = 0xb0c2;
const NICIRA: u32 = 0x0000_2320;
const ONF: u32 = 0x4f4e_4600;

/// An error as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMessage {
    /// The type.
    pub kind: u16,
    /// The code.
    pub code: u16,
    /// What it stands for, if anybody here knows.
    pub refusal: Option<Refusal>,
    /// What follows: numbers of an experimenter, if it is one's, and what [`Self::quote`] says.
    pub body: Box<[u8]>,
}

impl ErrorMessage {
    /// The start of the request that was refused, for most errors.
    #[must_use]
    pub fn quote(&self) -> &[u8] {
        let numbers = match self.kind {
            EXPERIMENTER => 4,
            VENDOR => 8,
            _ => 0,
        };
        self.body.get(numbers..).unwrap_or_default()
    }
}

/// The number of a refusal in a version.  One that the version has no number for is said as
/// [`Refusal::UnencodableError`].
fn number(refusal: Refusal, version: Version) -> Number {
    let find = |wanted| {
        ROWS.iter().find(|(refusal, first, last, _)| {
            *refusal == wanted && (*first..=*last).contains(&version)
        })
    };
    let row = find(refusal).or_else(|| find(Refusal::UnencodableError));
    row.map_or(Number::Of(1, 1), |row| row.3)
}

/// Says that `request` was refused: an error with the transaction id of the request and its bytes,
/// as many as there is room for.
pub fn encode(refusal: Refusal, version: Version, request: &[u8], out: &mut Vec<u8>) {
    let xid = Header::parse(request).map_or(0, |header| header.xid);
    let start = out.len();
    out.bytes(&Header { version: version as u8, kind: ERROR, length: 0, xid }.to_bytes());
    match number(refusal, version) {
        Number::Of(kind, code) => {
            out.u16(kind);
            out.u16(code);
        }
        Number::Nx10(kind, code) => {
            out.u16(VENDOR);
            out.u16(0);
            out.u32(NICIRA);
            out.u16(kind);
            out.u16(code);
        }
        Number::Nx(code) => experimenter(NICIRA, code, out),
        Number::Onf(code) => experimenter(ONF, code, out),
    }
    let room = MESSAGE_MAX_BYTES.saturating_sub(out.len().saturating_sub(start));
    out.bytes(request.get(..room).unwrap_or(request));
    out.patch_len(start.saturating_add(2), start);
}

fn experimenter(who: u32, code: u16, out: &mut Vec<u8>) {
    out.u16(EXPERIMENTER);
    out.u16(code);
    out.u32(who);
}

/// Reads an error.
///
/// # Errors
/// It is shorter than errors are.
pub fn decode(message: &[u8]) -> Result<ErrorMessage, Refusal> {
    let header = Header::parse(message).ok_or(Refusal::BadLen)?;
    let mut reader = Reader::new(message.get(HEADER_BYTES..).unwrap_or_default());
    let (kind, code) = (reader.u16()?, reader.u16()?);
    let body = reader.peek().into();
    let number = match kind {
        EXPERIMENTER => match reader.u32()? {
            NICIRA => Some(Number::Nx(code)),
            ONF => Some(Number::Onf(code)),
            _ => None,
        },
        VENDOR => match reader.u32()? {
            NICIRA => Some(Number::Nx10(reader.u16()?, reader.u16()?)),
            _ => None,
        },
        _ => Some(Number::Of(kind, code)),
    };
    let refusal = Version::from_wire(header.version).and_then(|version| {
        let here = |first: Version, last: Version| (first..=last).contains(&version);
        ROWS.iter().find(|row| here(row.1, row.2) && Some(row.3) == number).map(|row| row.0)
    });
    Ok(ErrorMessage { kind, code, refusal, body })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use proptest::prelude::*;
    use weft_flow::Version;
    use weft_flow::request::Refusal;

    const REQUEST: [u8; 8] = [6, 18, 0, 8, 0, 0, 0, 9];

    #[test]
    fn every_refusal_is_said_in_every_version_and_read_back() {
        for version in Version::ALL {
            for refusal in Refusal::ALL.iter().copied() {
                let mut out = Vec::new();
                encode(refusal, version, &REQUEST, &mut out);
                let error = decode(&out).unwrap();
                assert_eq!(error.quote(), REQUEST);
                let read = error.refusal;
                let has_number = super::ROWS
                    .iter()
                    .any(|row| row.0 == refusal && (row.1..=row.2).contains(&version));
                let said = if has_number { refusal } else { Refusal::UnencodableError };
                assert_eq!(read, Some(said), "{version:?}");
            }
        }
    }

    #[test]
    fn every_refusal_has_a_number_in_the_last_version_or_never_will() {
        let only_old = [Refusal::BadEmergTimeout, Refusal::FlowModUnsupported];
        for refusal in Refusal::ALL {
            let has_number =
                super::ROWS.iter().any(|row| row.0 == *refusal && row.2 == Version::V15);
            assert_ne!(has_number, only_old.contains(refusal), "{refusal:?}");
        }
    }

    #[test]
    fn long_requests_are_cut() {
        let mut out = Vec::new();
        encode(Refusal::TlvBadCommand, Version::V10, &vec![6; 65535], &mut out);
        assert_eq!(out.len(), 65535);
        assert_eq!(out.get(2..4), Some(&[0xff, 0xff][..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
