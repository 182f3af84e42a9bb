//! Lists of actions, read one by one.

use super::{nicira, standard};
use crate::bytes::Reader;
use weft_flow::action::Actions;
use weft_flow::request::Refusal;
use weft_flow::{Action, TlvMap, Version};

/// What all actions of a message are read and written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The version of the message.
    pub(crate) version: Version,
    /// The map of tunnel options.
    pub(crate) tlvs: &'a TlvMap,
    /// In how many lists of actions this one is.
    depth: u8,
}

/// So many lists of actions may be in each other.
const DEPTH: u8 = 64;
/// The type of experimenters' actions.
const EXPERIMENTER: u16 = 0xffff;
/// Nicira, the experimenter.
pub(super) const NICIRA: u32 = 0x2320;
/// The Open Networking Foundation, the experimenter.
pub(super) const ONF: u32 = 0x4f4e_4600;
/// The only action of the Open Networking Foundation.
pub(super) const COPY_FIELD: u16 = 3200;

impl<'a> Context<'a> {
    /// The context of a message's list.
    pub(crate) const fn new(version: Version, tlvs: &'a TlvMap) -> Self {
        Self { version, tlvs, depth: 0 }
    }

    /// The context of a list inside an action of this one.
    pub(super) const fn inside(self) -> Result<Self, Refusal> {
        if self.depth >= DEPTH {
            return Err(Refusal::TooMany);
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// Reads actions until the bytes end.
pub(crate) fn list(bytes: &[u8], context: Context<'_>) -> Result<Actions, Refusal> {
    if !bytes.len().is_multiple_of(8) {
        return Err(Refusal::BadLen);
    }
    let mut reader = Reader::refusing(bytes, Refusal::ActionBadLen);
    let mut actions = Vec::new();
    while !reader.is_empty() {
        actions.push(one(&mut reader, context)?);
    }
    Ok(actions.into())
}

fn one(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let mut ahead = *reader;
    let kind = ahead.u16()?;
    let len = usize::from(ahead.u16()?);
    known(kind, ahead, context.version)?;
    if len < 8 || !len.is_multiple_of(8) {
        return Err(Refusal::ActionBadLen);
    }
    let mut body = reader.part(len)?;
    body.skip(4)?;
    if kind != EXPERIMENTER {
        return standard::decode(kind, body, context);
    }
    let experimenter = body.u32()?;
    let subtype = body.u16()?;
    if experimenter == ONF {
        return standard::copy_field_onf(body, context);
    }
    nicira::decode(subtype, body, context)
}

/// Refuses actions that a version does not have.
fn known(kind: u16, mut behind: Reader<'_>, version: Version) -> Result<(), Refusal> {
    let is_standard = match kind {
        EXPERIMENTER => {
            let (experimenter, subtype) = (behind.u32()?, behind.u16()?);
            return experimenters(experimenter, subtype, version);
        }
        0..=10 => true,
        11 => version == Version::V10,
        13..=24 => version > Version::V10,
        25 => version >= Version::V12,
        28 | 29 => version >= Version::V15,
        _ => false,
    };
    if is_standard { Ok(()) } else { Err(Refusal::ActionBadType) }
}

fn experimenters(experimenter: u32, subtype: u16, version: Version) -> Result<(), Refusal> {
    let is_known = match (experimenter, subtype) {
        (
            NICIRA,
            1 | 2 | 5 | 8..=10 | 12..=17 | 19..=22 | 27..=29 | 32 | 34..=39 | 41..=45 | 49 | 50,
        ) => true,
        // Standard actions say these in later versions.
        (NICIRA, 4 | 18 | 23..=26 | 30 | 31 | 40) => version == Version::V10,
        (NICIRA, 6 | 7 | 33) => version < Version::V15,
        (NICIRA, 46 | 47) => version >= Version::V13,
        (ONF, COPY_FIELD) => matches!(version, Version::V13 | Version::V14),
        (NICIRA | ONF, _) => false,
        _ => return Err(Refusal::ActionBadVendor),
    };
    if is_known { Ok(()) } else { Err(Refusal::ActionBadVendorType) }
}

/// Refuses a body that has not so many bytes.
pub(super) fn sized(body: Reader<'_>, bytes: usize) -> Result<Reader<'_>, Refusal> {
    if body.remaining() == bytes { Ok(body) } else { Err(Refusal::ActionBadLen) }
}
