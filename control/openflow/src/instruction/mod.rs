//! Instructions on the wire.  What they say is a list of actions, in the order in which they are
//! executed; in 1.0 a flow has just that list.

use crate::action::{Context, Outer, Place, encode as encode_actions, list, verify, verify_set};
use crate::bytes::{Reader, Writer};
use weft_flow::action::{Actions, Instruction};
use weft_flow::request::Refusal;
use weft_flow::{Action, MeterId, TableId, TlvMap, Version};

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;
const EXPERIMENTER: u16 = 0xffff;
/// Type and length.
const HEADER: usize = 4;

/// Reads the instructions of a flow, in 1.0 its actions.
///
/// # Errors
/// Types, lengths, arguments or an order that cannot be, or an instruction twice.
pub fn decode(bytes: &[u8], version: Version, tlvs: &TlvMap) -> Result<Actions, Refusal> {
    let context = Context::new(version, tlvs);
    let actions =
        if version == Version::V10 { list(bytes, context)? } else { instructions(bytes, context)? };
    verify(&actions, Place::Instructions, Outer::None)?;
    Ok(actions)
}

fn instructions(bytes: &[u8], context: Context<'_>) -> Result<Actions, Refusal> {
    if !bytes.len().is_multiple_of(8) {
        return Err(Refusal::InstBadLen);
    }
    let mut bodies: [Option<Reader<'_>>; 6] = [None; 6];
    let mut reader = Reader::refusing(bytes, Refusal::InstBadLen);
    while !reader.is_empty() {
        let (kind, body) = one(&mut reader, context.version)?;
        let place = bodies.get_mut(usize::from(kind) - 1).ok_or(Refusal::UnknownInst)?;
        if place.replace(body).is_some() {
            return Err(Refusal::DupInst);
        }
    }
    let [goto, metadata, write, apply, clear, meter] = bodies;
    let mut actions = Vec::new();
    if let Some(mut body) = meter {
        actions.push(Action::Meter(MeterId(body.u32()?)));
    }
    if let Some(mut body) = apply {
        body.skip(4)?;
        actions.extend(list(body.rest(), context)?);
    }
    if clear.is_some() {
        actions.push(Action::ClearActions);
    }
    if let Some(mut body) = write {
        body.skip(4)?;
        let set = list(body.rest(), context)?;
        verify_set(&set)?;
        verify(&set, Place::Nested, Outer::WriteActions)?;
        actions.push(Action::WriteActions(set));
    }
    if let Some(mut body) = metadata {
        body.skip(4)?;
        let (value, mask) = (body.u64()?, body.u64()?);
        actions.push(Action::WriteMetadata { value: value & mask, mask });
    }
    if let Some(mut body) = goto {
        actions.push(Action::GotoTable(TableId(body.u8()?)));
    }
    Ok(actions.into())
}

/// The type of an instruction, 1 to 6, and its body of the right length.
fn one<'a>(reader: &mut Reader<'a>, version: Version) -> Result<(u16, Reader<'a>), Refusal> {
    let mut ahead = *reader;
    let (kind, len) = (ahead.u16()?, usize::from(ahead.u16()?));
    if len < 8 || !len.is_multiple_of(8) {
        return Err(Refusal::InstBadLen);
    }
    let mut body = reader.part(len)?;
    body.skip(HEADER)?;
    let is_fixed = match kind {
        // From 1.5 on meters are actions.
        METER if version >= Version::V15 => return Err(Refusal::UnknownInst),
        GOTO_TABLE | CLEAR_ACTIONS | METER => len == 8,
        WRITE_METADATA => len == 24,
        WRITE_ACTIONS | APPLY_ACTIONS => true,
        EXPERIMENTER => return Err(Refusal::InstBadExperimenter),
        _ => return Err(Refusal::UnknownInst),
    };
    if is_fixed { Ok((kind, body)) } else { Err(Refusal::InstBadLen) }
}

/// Writes the instructions of a flow, in 1.0 its actions.  What a version cannot say is left out.
pub fn encode(actions: &[Action], version: Version, tlvs: &TlvMap, out: &mut Vec<u8>) {
    if version == Version::V10 {
        return encode_actions(actions, version, tlvs, out);
    }
    let mut left = actions;
    while let Some((first, rest)) = left.split_first() {
        if kind(first, version) == Instruction::ApplyActions {
            let is_other = |action: &Action| kind(action, version) != Instruction::ApplyActions;
            let count = left.iter().position(is_other).unwrap_or(left.len());
            let (applied, behind) = left.split_at(count);
            instruction(out, APPLY_ACTIONS, |out| {
                out.zeros(4);
                encode_actions(applied, version, tlvs, out);
            });
            left = behind;
        } else {
            single(out, first, version, tlvs);
            left = rest;
        }
    }
}

/// The instruction that an action is, or is part of: from 1.5 on meters are actions.
fn kind(action: &Action, version: Version) -> Instruction {
    match action {
        Action::Meter(_) if version >= Version::V15 => Instruction::ApplyActions,
        _ => action.instruction(),
    }
}

fn single(out: &mut Vec<u8>, action: &Action, version: Version, tlvs: &TlvMap) {
    match action {
        Action::Meter(meter) if version >= Version::V13 => {
            instruction(out, METER, |out| out.u32(meter.0));
        }
        Action::ClearActions => instruction(out, CLEAR_ACTIONS, |out| out.zeros(4)),
        Action::WriteActions(set) => instruction(out, WRITE_ACTIONS, |out| {
            out.zeros(4);
            encode_actions(set, version, tlvs, out);
        }),
        Action::WriteMetadata { value, mask } => instruction(out, WRITE_METADATA, |out| {
            out.zeros(4);
            out.u64(*value);
            out.u64(*mask);
        }),
        Action::GotoTable(table) => instruction(out, GOTO_TABLE, |out| {
            out.u8(table.0);
            out.zeros(3);
        }),
        _ => {}
    }
}

fn instruction(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.u16(kind);
    out.u16(0);
    body(out);
    out.patch_len(start + 2, start);
}
