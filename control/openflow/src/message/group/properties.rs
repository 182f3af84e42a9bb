//! How a group of type select chooses, as a property of groups: Netronome's, which the stock
//! switch and its clients have taken over.

use crate::bytes::Reader;
use crate::message::wire::{Done, Wire};
use crate::oxm::{self, Item};
use weft_flow::field::ones;
use weft_flow::request::{Refusal, SelectMethod};
use weft_flow::{Bits, Field};

/// A property of an experimenter.
const EXPERIMENTER: u16 = 0xffff;
const NETRONOME: u32 = 0x0000_154d;
const SELECT_METHOD: u32 = 1;
/// Bytes of the name of a method, with a zero behind it.
const NAME_BYTES: usize = 16;

/// The properties of a group, to the end.
pub(super) fn method(wire: &mut Wire<'_>, method: &mut SelectMethod) -> Done {
    if !wire.is_reading() {
        return if *method == SelectMethod::Default { Ok(()) } else { one(wire, method) };
    }
    while !wire.left().is_empty() {
        one(wire, method)?;
    }
    Ok(())
}

fn one(wire: &mut Wire<'_>, method: &mut SelectMethod) -> Done {
    let mark = wire.mark();
    wire.block(2, |wire| {
        let (mut kind, mut experimenter, mut subtype) = (EXPERIMENTER, NETRONOME, SELECT_METHOD);
        wire.u16(&mut kind)?;
        if kind != EXPERIMENTER {
            return Err(Refusal::PropBadType);
        }
        wire.length()?;
        wire.u32(&mut experimenter)?;
        if experimenter != NETRONOME {
            return Err(Refusal::PropBadExperimenter);
        }
        wire.u32(&mut subtype)?;
        if subtype != SELECT_METHOD {
            return Err(Refusal::PropBadExpType);
        }
        wire.pad(4)?;
        body(wire, method)
    })
    .map_err(|refusal| if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal })?;
    wire.align_short(8, mark)
}

fn body(wire: &mut Wire<'_>, method: &mut SelectMethod) -> Done {
    let (mut name, mut parameter, mut fields) = match method {
        SelectMethod::Default => (String::new(), 0, Box::default()),
        SelectMethod::DpHash { parameter } => ("dp_hash".to_owned(), *parameter, Box::default()),
        SelectMethod::Hash { parameter, fields } => {
            ("hash".to_owned(), *parameter, std::mem::take(fields))
        }
    };
    wire.text(NAME_BYTES, &mut name)?;
    wire.u64(&mut parameter)?;
    hashed(wire, &mut fields)?;
    *method = match name.as_str() {
        "" if fields.is_empty() => SelectMethod::Default,
        "dp_hash" if fields.is_empty() => SelectMethod::DpHash { parameter },
        "hash" => SelectMethod::Hash { parameter, fields },
        _ => return Err(Refusal::PropBadValue),
    };
    Ok(())
}

/// What is hashed: fields, of which the value is the mask.
fn hashed(wire: &mut Wire<'_>, fields: &mut Box<[(Field, u128)]>) -> Done {
    let (version, map) = (wire.version(), wire.session.map);
    let mut bytes = Vec::new();
    for (field, mask) in &*std::mem::take(fields) {
        oxm::write(&mut bytes, *field, version, Bits::new(*mask, ones(field.bits())));
    }
    let mut bytes = bytes.into_boxed_slice();
    wire.rest(&mut bytes)?;
    let mut reader = Reader::refusing(&bytes, Refusal::PropBadLen);
    let mut read = Vec::new();
    while !reader.is_empty() {
        match oxm::read(&mut reader, map)? {
            Item::Field(entry) if entry.mask.is_none() && !entry.is_wide() => {
                read.push((entry.field, entry.bits().value));
            }
            _ => return Err(Refusal::PropBadValue),
        }
    }
    *fields = read.into();
    Ok(())
}
