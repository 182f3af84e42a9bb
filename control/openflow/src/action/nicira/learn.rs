//! `learn`: flows that packets make.

use crate::action::bits::{any_field, field};
use crate::action::decode::Context;
use crate::action::encode::nicira;
use crate::bytes::{Reader, Writer, is_zero};
use crate::oxm::{self, number, number_bytes};
use weft_flow::action::{Learn, LearnDestination, LearnFlags, LearnSource, LearnSpec};
use weft_flow::field::ones;
use weft_flow::request::Refusal;
use weft_flow::{Action, Subfield, TableId, Version};

const SEND_FLOW_REMOVED: u16 = 1;
const DELETE_LEARNED: u16 = 1 << 1;
const WRITE_RESULT: u16 = 1 << 2;
/// In the header of a part: how many bits.
const BITS: u16 = 0x3ff;
/// In the header of a part: the bits are in the message.
const IMMEDIATE: u16 = 1 << 13;
/// In the header of a part: where bits go.
const TARGET: u16 = 3 << 11;
const TARGET_MATCH: u16 = 0;
const TARGET_LOAD: u16 = 1 << 11;
const TARGET_OUTPUT: u16 = 2 << 11;

/// Reads `learn`, in the form with a limit or without.
pub(in crate::action) fn decode(
    mut body: Reader<'_>,
    context: Context<'_>,
    has_limit_form: bool,
) -> Result<Action, Refusal> {
    let (idle_timeout, hard_timeout, priority) = (body.u16()?, body.u16()?, body.u16()?);
    let (cookie, flags, table) = (body.u64()?, body.u16()?, body.u8()?);
    body.zeros(1, Refusal::ActionBadArgument)?;
    let (fin_idle_timeout, fin_hard_timeout) = (body.u16()?, body.u16()?);
    let possible = if has_limit_form { 7 } else { 3 };
    if flags & !possible != 0 || table == TableId::ALL.0 {
        return Err(Refusal::ActionBadArgument);
    }
    let writes_result = flags & WRITE_RESULT != 0;
    let (mut limit, mut result) = (0, None);
    if has_limit_form {
        limit = body.u32()?;
        let offset = body.u16()?;
        body.zeros(2, Refusal::ActionMustBeZero)?;
        if writes_result {
            let field = any_field(&mut body, context)?;
            if !field.is_writable() {
                return Err(Refusal::BadSetArgument);
            }
            result = Some(Subfield { field, offset, bits: 1 });
        } else if offset != 0 {
            return Err(Refusal::ActionBadArgument);
        }
    }
    Ok(Action::Learn(Box::new(Learn {
        idle_timeout,
        hard_timeout,
        priority,
        cookie,
        flags: LearnFlags {
            sends_flow_removed: flags & SEND_FLOW_REMOVED != 0,
            deletes_learned: flags & DELETE_LEARNED != 0,
            writes_result,
        },
        table: TableId(table),
        fin_idle_timeout,
        fin_hard_timeout,
        limit,
        result,
        has_limit_form,
        specs: specs(body, context)?,
    })))
}

fn specs(mut body: Reader<'_>, context: Context<'_>) -> Result<Box<[LearnSpec]>, Refusal> {
    let mut specs = Vec::new();
    while !body.is_empty() {
        let header = body.u16()?;
        if header == 0 {
            break;
        }
        specs.push(spec(header, &mut body, context)?);
    }
    if !is_zero(body.rest()) {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(specs.into())
}

fn spec(header: u16, body: &mut Reader<'_>, context: Context<'_>) -> Result<LearnSpec, Refusal> {
    let bits = header & BITS;
    let is_immediate = header & IMMEDIATE != 0;
    let target = header & TARGET;
    if target == TARGET || target == TARGET_OUTPUT && is_immediate {
        return Err(Refusal::ActionBadArgument);
    }
    let source_bytes = if is_immediate { 2 * usize::from(bits).div_ceil(16) } else { 6 };
    let needed = source_bytes + if target == TARGET_OUTPUT { 0 } else { 6 };
    if body.remaining() < needed {
        return Err(Refusal::ActionBadLen);
    }
    let part = |body: &mut Reader<'_>| {
        let field = field(body, context)?;
        Ok(Subfield { field, offset: body.u16()?, bits })
    };
    let source = if is_immediate {
        let value = body.take(source_bytes)?;
        // No field but a wide option of a tunnel takes more.
        if bits > 128 {
            return Err(Refusal::ActionBadArgument);
        }
        LearnSource::Value(number(value) & ones(bits.into()))
    } else {
        LearnSource::Field(part(body)?)
    };
    let destination = match target {
        TARGET_MATCH => LearnDestination::Match(part(body)?),
        TARGET_LOAD => LearnDestination::Load(part(body)?),
        _ => LearnDestination::Output,
    };
    Ok(LearnSpec { bits, source, destination })
}

/// Writes `learn`, in the form that it was sent in.
pub(in crate::action) fn encode(out: &mut Vec<u8>, context: Context<'_>, of: &Learn) {
    let has_limit_form = of.has_limit_form || of.limit != 0 || of.result.is_some();
    let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
    nicira(out, if has_limit_form { 45 } else { 16 }, |out| {
        out.u16(of.idle_timeout);
        out.u16(of.hard_timeout);
        out.u16(of.priority);
        out.u64(of.cookie);
        out.u16(
            flag(of.flags.sends_flow_removed, SEND_FLOW_REMOVED)
                | flag(of.flags.deletes_learned, DELETE_LEARNED)
                | flag(of.flags.writes_result, WRITE_RESULT),
        );
        out.u8(of.table.0);
        out.u8(0);
        out.u16(of.fin_idle_timeout);
        out.u16(of.fin_hard_timeout);
        if has_limit_form {
            out.u32(of.limit);
            out.u16(of.result.map_or(0, |result| result.offset));
            out.zeros(2);
            if let Some(result) = of.result {
                oxm::write_name(out, result.field, Version::V10, context.tlvs);
            }
        }
        for spec in &of.specs {
            encode_spec(out, context, spec);
        }
    });
}

fn encode_spec(out: &mut Vec<u8>, context: Context<'_>, spec: &LearnSpec) {
    let part = |out: &mut Vec<u8>, part: Subfield| {
        oxm::write_name(out, part.field, Version::V10, context.tlvs);
        out.u16(part.offset);
    };
    let target = match spec.destination {
        LearnDestination::Match(_) => TARGET_MATCH,
        LearnDestination::Load(_) => TARGET_LOAD,
        LearnDestination::Output => TARGET_OUTPUT,
    };
    match spec.source {
        LearnSource::Field(source) => {
            out.u16(spec.bits | target);
            part(out, source);
        }
        LearnSource::Value(value) => {
            out.u16(spec.bits | target | IMMEDIATE);
            number_bytes(out, value, 2 * usize::from(spec.bits).div_ceil(16));
        }
    }
    if let LearnDestination::Match(to) | LearnDestination::Load(to) = spec.destination {
        part(out, to);
    }
}
