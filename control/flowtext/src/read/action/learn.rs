//! `learn(…)`.

use super::super::words::words;
use super::super::{ReadError, value};
use super::{number, table, unknown};
use crate::Names;
use crate::read::field::subfield;
use weft_flow::action::{Learn, LearnDestination, LearnFlags, LearnSource, LearnSpec};
use weft_flow::{Action, Field, Subfield, TableId};

/// `table=1,idle_timeout=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]`.
pub(super) fn learn(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    let mut of = Learn {
        idle_timeout: 0,
        hard_timeout: 0,
        priority: 0x8000,
        cookie: 0,
        flags: LearnFlags::default(),
        table: TableId(1),
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        limit: 0,
        result: None,
        has_limit_form: false,
        specs: Box::default(),
    };
    let mut specs = Vec::new();
    for part in words(text) {
        if !parameter(&mut of, part, names)? {
            specs.push(spec(part, names)?);
        }
    }
    of.has_limit_form = of.limit != 0 || of.result.is_some();
    of.flags.writes_result = of.result.is_some();
    of.specs = specs.into();
    Ok(Action::Learn(Box::new(of)))
}

/// True for a word that is about the flow as a whole.
fn parameter(of: &mut Learn, text: &str, names: &dyn Names) -> Result<bool, ReadError> {
    let (name, argument) = text.split_once('=').unwrap_or((text, ""));
    match name {
        "table" => of.table = table(argument, names)?,
        "idle_timeout" => of.idle_timeout = number(argument, "timeout")?,
        "hard_timeout" => of.hard_timeout = number(argument, "timeout")?,
        "fin_idle_timeout" => of.fin_idle_timeout = number(argument, "timeout")?,
        "fin_hard_timeout" => of.fin_hard_timeout = number(argument, "timeout")?,
        "priority" => of.priority = number(argument, "priority")?,
        "cookie" => of.cookie = number(argument, "cookie")?,
        "limit" => of.limit = number(argument, "limit")?,
        "send_flow_rem" => of.flags.sends_flow_removed = true,
        "delete_learned" => of.flags.deletes_learned = true,
        "result_dst" => of.result = Some(subfield(argument)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn spec(text: &str, names: &dyn Names) -> Result<LearnSpec, ReadError> {
    if let Some(argument) = text.strip_prefix("load:") {
        let (source, destination) =
            argument.split_once("->").ok_or_else(|| ReadError::NoArrow(text.to_owned()))?;
        let to = subfield(destination)?;
        let source = self::source(source, to)?;
        return Ok(LearnSpec { bits: to.bits, source, destination: LearnDestination::Load(to) });
    }
    if let Some(argument) = text.strip_prefix("output:") {
        let from = subfield(argument)?;
        let destination = LearnDestination::Output;
        return Ok(LearnSpec { bits: from.bits, source: LearnSource::Field(from), destination });
    }
    let Some((name, argument)) = text.split_once('=') else {
        // A field alone: the packet's value of it.
        let of = subfield(text).map_err(|_| unknown("learn", text))?;
        let (source, destination) = (LearnSource::Field(of), LearnDestination::Match(of));
        return Ok(LearnSpec { bits: of.bits, source, destination });
    };
    let to = subfield(name)?;
    let destination = LearnDestination::Match(to);
    if let Some(field) = Field::by_name(name)
        && to == Subfield::whole(field)
        && subfield(argument).is_err()
    {
        let value = value::read(field, argument, names)?.value;
        return Ok(LearnSpec { bits: to.bits, source: LearnSource::Value(value), destination });
    }
    Ok(LearnSpec { bits: to.bits, source: source(argument, to)?, destination })
}

/// A number, or as many bits of a field.
fn source(text: &str, to: Subfield) -> Result<LearnSource, ReadError> {
    if let Some(number) = value::number(text) {
        if to.bits < 128 && number >> to.bits != 0 {
            return Err(ReadError::DoesNotFit { value: number, bits: to.bits });
        }
        return Ok(LearnSource::Value(number));
    }
    let source = subfield(text)?;
    if source.bits != to.bits {
        return Err(ReadError::OtherWidth { source, destination: to });
    }
    Ok(LearnSource::Field(source))
}
