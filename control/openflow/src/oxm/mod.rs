//! Fields on the wire: NXM and OXM headers, values and masks.
//!
//! A header is a class (16 bits), a number (7 bits), a mask bit and the number of bytes that
//! follow; class 0xffff has an experimenter of 4 bytes first, which count.

mod value;

pub use value::{Wide, from_words, number, number_bytes, words};

use crate::bytes::{Reader, Writer};
use value::is_inconsistent;
use weft_flow::field::{Class, ones};
use weft_flow::request::Refusal;
use weft_flow::{Bits, Field, TlvMap, Version};

/// What a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A field.
    Field(Field),
    /// The cookie of a flow, in matches of Nicira's messages.
    Cookie,
    /// A field, with a length that it cannot have.
    WrongLength,
    /// Something else.
    Unknown,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it names.
    pub named: Named,
    /// Whether a mask follows the value.
    pub is_masked: bool,
    /// How many bytes of value and mask follow.
    pub payload: usize,
}

/// Class 0xffff: an experimenter follows.
const EXPERIMENTER: u16 = 0xffff;
/// The number of the cookie among Nicira's fields.
const COOKIE: u8 = 30;

/// Reads a header.
///
/// # Errors
/// Too few bytes, or an option of tunnels that the map does not have.
pub fn read_header(reader: &mut Reader<'_>, tlvs: &TlvMap) -> Result<Header, Refusal> {
    let class = reader.u16().map_err(|_| Refusal::MatchBadLen)?;
    let [number, len] = reader.array().map_err(|_| Refusal::MatchBadLen)?;
    let is_masked = number & 1 != 0;
    let (experimenter, payload) = if class == EXPERIMENTER {
        let experimenter = reader.u32().map_err(|_| Refusal::MatchBadLen)?;
        let payload = usize::from(len).checked_sub(4).ok_or(Refusal::MatchBadLen)?;
        (Some(experimenter), payload)
    } else {
        (None, usize::from(len))
    };
    let width = if is_masked { payload / 2 } else { payload };
    let named = named(class, experimenter, number >> 1, width);
    if let Named::Field(field) = named {
        tlvs.bytes_of(field)?;
    }
    Ok(Header { named, is_masked, payload })
}

fn named(class: u16, experimenter: Option<u32>, number: u8, width: usize) -> Named {
    let Some(class) = Class::from_wire(class, experimenter) else { return Named::Unknown };
    if class == Class::Nxm1 && number == COOKIE && width == 8 {
        return Named::Cookie;
    }
    match Field::by_header(class, number) {
        None => Named::Unknown,
        Some(field) if field.tun_metadata_number().is_some() || field.bytes() == width => {
            Named::Field(field)
        }
        Some(_) => Named::WrongLength,
    }
}

/// Writes the header of a field that `payload` bytes follow.
pub fn write_header(
    out: &mut Vec<u8>,
    field: Field,
    version: Version,
    is_masked: bool,
    payload: usize,
) {
    let Some(header) = field.header(version) else { return };
    let (class, experimenter) = header.class.wire();
    let len = payload + if experimenter.is_some() { 4 } else { 0 };
    out.u16(class);
    out.u8(header.number << 1 | u8::from(is_masked));
    out.u8(u8::try_from(len).unwrap_or(u8::MAX));
    if let Some(experimenter) = experimenter {
        out.u32(experimenter);
    }
}

/// A field with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The field.
    pub field: Field,
    /// How many bytes it has, by the map of options if it is one.
    pub width: usize,
    /// Its value, of at most `width` bytes: the last ones.
    pub value: &'a [u8],
    /// Which bits of it count; all, if none is given.
    pub mask: Option<&'a [u8]>,
}

/// What [`read`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A field.
    Field(Entry<'a>),
    /// The cookie of a flow: the bits that count, and which those are.
    Cookie(u64, u64),
    /// Something else; its bytes are read.
    Unknown,
}

/// Reads a field with its value.
///
/// # Errors
/// Too few bytes, bits of the value where the mask has none, or an option of tunnels that the map
/// does not have.
pub fn read<'a>(reader: &mut Reader<'a>, tlvs: &TlvMap) -> Result<Item<'a>, Refusal> {
    let header = read_header(reader, tlvs)?;
    let payload = reader.take(header.payload).map_err(|_| Refusal::MatchBadLen)?;
    let half = if header.is_masked { header.payload / 2 } else { header.payload };
    let (value, mask) = payload.split_at_checked(half).ok_or(Refusal::MatchBadLen)?;
    let mask = if header.is_masked { mask.get(..half) } else { None };
    if mask.is_some_and(|mask| is_inconsistent(value, mask)) {
        return Err(Refusal::BadWildcards);
    }
    match header.named {
        Named::Unknown | Named::WrongLength => Ok(Item::Unknown),
        Named::Cookie => {
            let low = |bytes| u64::try_from(number(bytes)).unwrap_or_default();
            Ok(Item::Cookie(low(value), mask.map_or(u64::MAX, low)))
        }
        Named::Field(field) => {
            let width = tlvs.bytes_of(field)?;
            // A value that is longer than its option is cut behind.
            let cut = |bytes: &'a [u8]| bytes.get(..width).unwrap_or(bytes);
            Ok(Item::Field(Entry { field, width, value: cut(value), mask: mask.map(cut) }))
        }
    }
}

impl Entry<'_> {
    /// True for an option of tunnels that does not fit 128 bits.
    #[must_use]
    pub const fn is_wide(&self) -> bool {
        self.width > 16
    }

    /// Value and mask of a field of at most 128 bits.
    #[must_use]
    pub fn bits(&self) -> Bits {
        Bits::new(number(self.value), self.mask.map_or(full_mask(self.field, self.width), number))
    }

    /// Value and mask of a field of any width.
    #[must_use]
    pub fn wide(&self) -> (Wide, Wide) {
        let mask = self.mask.map_or_else(|| full_words(self.width), words);
        (words(self.value), mask)
    }

    /// Refuses a value that the field cannot have.
    ///
    /// # Errors
    /// [`Refusal::BadValue`].
    pub fn check_value(&self) -> Result<(), Refusal> {
        if self.field.tun_metadata_number().is_some() {
            return Ok(());
        }
        let value = number(self.value);
        if value & !possible(self.field) != 0 || !is_port(self.field, value) {
            return Err(Refusal::BadValue);
        }
        Ok(())
    }

    /// Refuses a mask that the field cannot have in a match.
    ///
    /// # Errors
    /// [`Refusal::BadMask`].
    pub fn check_mask(&self) -> Result<(), Refusal> {
        let Some(mask) = self.mask else { return Ok(()) };
        let is_uniform = |byte: u8| mask.iter().all(|of| *of == byte);
        if self.field.is_maskable() || is_uniform(0) || is_uniform(0xff) {
            Ok(())
        } else {
            Err(Refusal::BadMask)
        }
    }
}

/// The bits that a value of a field may have.
#[must_use]
pub fn possible(field: Field) -> u128 {
    match field.name() {
        "nw_tos" => 0xfc,
        "ip_frag" => 0x3,
        "arp_op" | "ct_state" => 0xff,
        "tun_flags" => 0x1,
        _ => ones(field.bits()),
    }
}

/// False for a number that no port can have, for a field that is a port of 32 bits.
fn is_port(field: Field, value: u128) -> bool {
    const GAP: std::ops::Range<u128> = 0xff00..0xffff_ff00;
    field.name() != "in_port_oxm" || !GAP.contains(&value)
}

/// The mask that a value without mask has.
fn full_mask(field: Field, width: usize) -> u128 {
    if field.tun_metadata_number().is_some() {
        return u32::try_from(width * 8).map_or(u128::MAX, ones);
    }
    ones(field.bits())
}

fn full_words(width: usize) -> Wide {
    let all = [0xff; 128];
    words(all.get(..width).unwrap_or(&all))
}

/// Writes a field of at most 128 bits that is no option of tunnels; a mask that leaves out bits of
/// the field goes along.
pub fn write(out: &mut Vec<u8>, field: Field, version: Version, bits: Bits) {
    let width = field.bytes();
    let is_masked = bits.mask != ones(field.bits());
    write_header(out, field, version, is_masked, if is_masked { 2 * width } else { width });
    number_bytes(out, bits.value, width);
    if is_masked {
        number_bytes(out, bits.mask, width);
    }
}

/// Writes an option of tunnels of `width` bytes; a mask that leaves out bits goes along.
pub fn write_option(
    out: &mut Vec<u8>,
    field: Field,
    version: Version,
    (value, mask): (&Wide, &Wide),
    width: usize,
) {
    let is_masked = *mask != full_words(width);
    write_header(out, field, version, is_masked, if is_masked { 2 * width } else { width });
    from_words(out, value, width);
    if is_masked {
        from_words(out, mask, width);
    }
}

/// Writes a field as an action does: of options of tunnels, no zeros in front.  Other fields go
/// without mask if it has all bits of their bytes.
pub fn write_field(
    out: &mut Vec<u8>,
    field: Field,
    version: Version,
    (value, mask): (&Wide, &Wide),
    tlvs: &TlvMap,
) {
    let width = tlvs.bytes_of(field).unwrap_or(field.bytes());
    let [low, ..] = *mask;
    let is_masked = if field.tun_metadata_number().is_some() {
        *mask != full_words(width)
    } else {
        low.trailing_ones() < field.bits().next_multiple_of(8)
    };
    let needed = if field.tun_metadata_number().is_none() {
        width
    } else {
        value::width(value).max(if is_masked { value::width(mask) } else { 1 })
    };
    let width = needed.min(width.max(1));
    write_header(out, field, version, is_masked, if is_masked { 2 * width } else { width });
    from_words(out, value, width);
    if is_masked {
        from_words(out, mask, width);
    }
}

/// Writes the header of all of a field, as actions name fields.
pub fn write_name(out: &mut Vec<u8>, field: Field, version: Version, tlvs: &TlvMap) {
    let width = tlvs.bytes_of(field).unwrap_or(field.bytes());
    write_header(out, field, version, false, width);
}
