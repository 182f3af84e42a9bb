//! Actions that read and write fields.

use super::super::words::Word;
use super::super::{ReadError, value};
use super::number;
use crate::Names;
use crate::read::field::subfield;
use weft_flow::action::{LongValue, SetForm};
use weft_flow::field::ones;
use weft_flow::{Action, Bits, Field};

/// The action with a name, if it is one of these.
pub(super) fn read(
    name: &str,
    word: Word<'_>,
    names: &dyn Names,
) -> Result<Option<Action>, ReadError> {
    let action = match name {
        "set_field" => set_field(word.argument, names)?,
        "load" => load(word.argument)?,
        "move" => copy(word.argument)?,
        "push" => Action::Push(subfield(word.argument)?),
        "pop" => Action::Pop(subfield(word.argument)?),
        "delete_field" => Action::DeleteField(field(word.argument)?),
        "check_pkt_larger" => Action::CheckPktLarger {
            bytes: number(word.argument, "packet length")?,
            destination: subfield(word.destination)?,
        },
        _ => return Ok(None),
    };
    Ok(Some(action))
}

fn field(text: &str) -> Result<Field, ReadError> {
    Field::by_name(text).ok_or_else(|| ReadError::UnknownField(text.to_owned()))
}

/// What is on both sides of an arrow.
fn arrow(text: &str) -> Result<(&str, &str), ReadError> {
    let (source, destination) =
        text.split_once("->").ok_or_else(|| ReadError::NoArrow(text.to_owned()))?;
    Ok((source.trim(), destination.trim()))
}

fn set_field(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    let (what, name) = arrow(text)?;
    let field = field(name)?;
    if !field.is_writable() {
        return Err(ReadError::NotWritable(field));
    }
    if field.tun_metadata_number().is_some() {
        return option(field, what);
    }
    let Bits { value, mask } = value::read(field, what, names)?;
    Ok(Action::SetField { field, value, mask, has_vlan: false, form: SetForm::Field })
}

/// An option of tunnels, short or long.
fn option(field: Field, text: &str) -> Result<Action, ReadError> {
    let (value, mask) = value::option(field, text)?;
    let is_short = |words: &[u128; 8]| words.iter().skip(1).all(|word| *word == 0);
    match (mask, value) {
        (Some(mask), [value, ..]) if is_short(&mask) => {
            let [mask, ..] = mask;
            let value = value & mask;
            Ok(Action::SetField { field, value, mask, has_vlan: false, form: SetForm::Field })
        }
        (mask, value) => {
            let mut all = [u128::MAX; 8];
            let [.., last] = &mut all;
            *last = ones(96);
            let mask = mask.unwrap_or(all);
            let long = LongValue { field, value, mask, form: SetForm::Field };
            Ok(Action::SetLong(Box::new(long)))
        }
    }
}

fn load(text: &str) -> Result<Action, ReadError> {
    let (what, name) = arrow(text)?;
    let to = subfield(name)?;
    let number: u128 = number(what, "numeric format")?;
    let width = u32::from(to.bits);
    if width > 128 || number > ones(width) {
        return Err(ReadError::DoesNotFit { value: number, bits: to.bits });
    }
    Ok(Action::SetField {
        field: to.field,
        value: number << to.offset,
        mask: ones(width) << to.offset,
        has_vlan: false,
        form: SetForm::Load,
    })
}

fn copy(text: &str) -> Result<Action, ReadError> {
    let (source, destination) = arrow(text)?;
    let (source, destination) = (subfield(source)?, subfield(destination)?);
    if source.bits != destination.bits {
        return Err(ReadError::OtherWidth { source, destination });
    }
    Ok(Action::Move { source, destination, is_copy: false })
}
