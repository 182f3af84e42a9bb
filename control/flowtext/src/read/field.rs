//! Fields and their bits: `NXM_NX_REG5[8..15]`, `reg5[]`, `eth_src`.

use super::{ReadError, value};
use weft_flow::{Field, Subfield};

/// Some bits of a field.
pub(super) fn subfield(text: &str) -> Result<Subfield, ReadError> {
    let (name, bits) = match text.split_once('[') {
        Some((name, bits)) => (name, bits.strip_suffix(']')),
        None => (text, Some("")),
    };
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "subfield" };
    let field = named(name).ok_or_else(|| ReadError::UnknownField(name.to_owned()))?;
    let bits = bits.ok_or_else(invalid)?;
    if bits.is_empty() {
        return Ok(Subfield::whole(field));
    }
    let (first, last) = bits.split_once("..").unwrap_or((bits, bits));
    let number = |text: &str| {
        value::number(text).and_then(|number| u16::try_from(number).ok()).ok_or_else(invalid)
    };
    let (first, last) = (number(first)?, number(last)?);
    let bits = last.checked_sub(first).and_then(|bits| bits.checked_add(1)).ok_or_else(invalid)?;
    let of = Subfield { field, offset: first, bits };
    if of.is_inside() { Ok(of) } else { Err(invalid()) }
}

/// A field by its own name or that of a header.
fn named(name: &str) -> Option<Field> {
    if let Some(field) = Field::by_name(name) {
        return Some(field);
    }
    Field::all().find(|field| {
        let headers = field.nxm().into_iter().chain(field.oxm().map(|(header, _)| header));
        headers.into_iter().any(|header| {
            name.strip_prefix(header.class.prefix()).is_some_and(|rest| rest == header.name)
        })
    })
}
