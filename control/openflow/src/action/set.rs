//! `set_field` and `load`: bits of a field are set.

use super::bits::{field, is_narrow, plain_width, target, unpack, width};
use super::decode::{Context, sized};
use super::encode::{nicira, standard};
use super::legacy;
use crate::bytes::{Reader, Writer};
use crate::oxm::{self, Entry, Item, Named, Wide};
use weft_flow::action::{LongValue, SetForm};
use weft_flow::field::ones;
use weft_flow::request::Refusal;
use weft_flow::{Action, Field, TlvMap, Version};

/// Reads `set_field`; before 1.5 it has no mask.
pub(super) fn decode_field(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let entry = entry(&mut body, context)?;
    if context.version < Version::V15 && entry.mask.is_some() {
        return Err(Refusal::BadSetMask);
    }
    body.zeros(body.remaining(), Refusal::BadSetArgument)?;
    let is_port = entry.field.name() == "in_port_oxm";
    if is_port || !entry.field.is_writable() || entry.check_value().is_err() {
        return Err(Refusal::BadSetArgument);
    }
    // A VID is set together with the bit that says that there is a tag.
    if entry.field.name() == "vlan_vid" && entry.bits().value & 0x1000 == 0 {
        return Err(Refusal::BadSetArgument);
    }
    let bits = entry.field.bits();
    let is_partial = !bits.is_multiple_of(8) && entry.field.tun_metadata_number().is_none();
    let has_all = entry.mask.is_some_and(|mask| oxm::number(mask) == ones(bits));
    let form = if is_partial && has_all { SetForm::FieldMasked } else { SetForm::Field };
    Ok(action(&entry, form))
}

/// Reads `load` with value and mask of the whole field.
pub(super) fn decode_masked(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let entry = entry(&mut body, context)?;
    body.zeros(body.remaining(), Refusal::BadSetArgument)?;
    if !entry.field.is_writable() {
        return Err(Refusal::BadSetArgument);
    }
    Ok(action(&entry, SetForm::LoadMasked))
}

fn entry<'a>(body: &mut Reader<'a>, context: Context<'_>) -> Result<Entry<'a>, Refusal> {
    let header = oxm::read_header(&mut body.clone(), context.tlvs)?;
    match header.named {
        Named::Field(_) => {}
        Named::WrongLength if header.payload > 0 => return Err(Refusal::BadSetLen),
        _ => return Err(Refusal::BadSetType),
    }
    match oxm::read(body, context.tlvs)? {
        Item::Field(entry) => Ok(entry),
        Item::Cookie(..) | Item::Unknown => Err(Refusal::BadSetType),
    }
}

fn action(entry: &Entry<'_>, form: SetForm) -> Action {
    if entry.is_wide() {
        let (value, mask) = entry.wide();
        return Action::SetLong(Box::new(LongValue { field: entry.field, value, mask, form }));
    }
    let bits = entry.bits();
    Action::SetField {
        field: entry.field,
        value: bits.value,
        mask: bits.mask,
        has_vlan: false,
        form,
    }
}

/// Reads `load` of a run of bits.
pub(super) fn decode_load(body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let mut body = sized(body, 14)?;
    let packed = body.u16()?;
    let bits = target(unpack(field(&mut body, context)?, packed), context)?;
    let value = u128::from(body.u64()?);
    if value & !ones(bits.bits.into()) != 0 {
        return Err(Refusal::ActionBadArgument);
    }
    let form = SetForm::Load;
    let (words, mask) = (run(value, bits.offset), run(ones(bits.bits.into()), bits.offset));
    if width(bits.field, context) > 128 {
        let long = LongValue { field: bits.field, value: words, mask, form };
        return Ok(Action::SetLong(Box::new(long)));
    }
    let ([value, ..], [mask, ..]) = (words, mask);
    Ok(Action::SetField { field: bits.field, value, mask, has_vlan: false, form })
}

/// Bits at an offset in words.
fn run(bits: u128, offset: u16) -> Wide {
    let mut words = Wide::default();
    let (word, shift) = (usize::from(offset / 128), u32::from(offset % 128));
    if let Some(place) = words.get_mut(word) {
        *place = bits << shift;
    }
    if let Some(place) = words.get_mut(word + 1) {
        *place = bits.checked_shr(128 - shift).unwrap_or_default();
    }
    words
}

/// What is set, and how it was said.
#[derive(Clone, Copy)]
pub(super) struct Set {
    pub(super) field: Field,
    pub(super) value: Wide,
    pub(super) mask: Wide,
    pub(super) has_vlan: bool,
    pub(super) form: SetForm,
}

impl Set {
    /// A field of at most 128 bits.
    pub(super) fn narrow(field: Field, value: u128, mask: u128) -> Self {
        let wide = |low| std::array::from_fn(|word| if word == 0 { low } else { 0 });
        let (value, mask) = (wide(value), wide(mask));
        Self { field, value, mask, has_vlan: false, form: SetForm::Field }
    }

    fn is_whole(&self, tlvs: &TlvMap) -> bool {
        let bits = if self.field.tun_metadata_number().is_some() {
            let bytes = tlvs.bytes_of(self.field).unwrap_or(self.field.bytes());
            u32::try_from(bytes * 8).unwrap_or(u32::MAX)
        } else {
            self.field.bits()
        };
        let words = self.mask.iter().zip((0..).step_by(128));
        words.into_iter().all(|(word, start)| *word == ones(bits.saturating_sub(start)))
    }
}

/// Writes what sets bits, in the form of the version and of the request.
pub(super) fn encode(out: &mut Vec<u8>, context: Context<'_>, set: &Set) {
    if context.version >= Version::V15 {
        encode_field(out, context, set);
    } else if matches!(set.form, SetForm::Load | SetForm::LoadMasked) {
        encode_loads(out, context, set);
    } else if context.version < Version::V12 {
        legacy::encode_set(out, context, set);
    } else if set.form == SetForm::Field && set.is_whole(context.tlvs) {
        encode_field(out, context, set);
    } else {
        encode_loads(out, context, set);
    }
}

/// Writes `set_field`.
pub(super) fn encode_field(out: &mut Vec<u8>, context: Context<'_>, set: &Set) {
    let mut mask = set.mask;
    // A run of bits leaves out those that fill the last byte of the field.
    if matches!(set.form, SetForm::Field | SetForm::LoadMasked)
        && set.is_whole(context.tlvs)
        && set.field.tun_metadata_number().is_none()
    {
        let [low, ..] = &mut mask;
        *low = ones(set.field.bits().next_multiple_of(8));
    }
    let bits = (&set.value, &mask);
    standard(out, 25, |out| {
        oxm::write_field(out, set.field, context.version, bits, context.tlvs);
    });
}

/// Writes `load` for each run of bits, or one with a mask where a field has no short header.
pub(super) fn encode_loads(out: &mut Vec<u8>, context: Context<'_>, set: &Set) {
    let is_option = set.field.tun_metadata_number().is_some();
    if set.form == SetForm::LoadMasked || is_option || !is_narrow(set.field) {
        let bits = (&set.value, &set.mask);
        return nicira(out, 33, |out| {
            oxm::write_field(out, set.field, context.version, bits, context.tlvs);
        });
    }
    let ([value, ..], [mask, ..]) = (set.value, set.mask);
    let mask = mask & ones(plain_width(set.field));
    let mut offset = 0;
    while let Some(left) = mask.checked_shr(offset).filter(|left| *left != 0) {
        offset += left.trailing_zeros();
        let bits = (mask >> offset).trailing_ones().min(64);
        nicira(out, 7, |out| {
            out.u16(u16::try_from(offset << 6 | (bits - 1)).unwrap_or_default());
            oxm::write_name(out, set.field, Version::V10, context.tlvs);
            out.u64(u64::try_from(value >> offset & ones(bits)).unwrap_or_default());
        });
        offset += bits;
    }
}
