//! Values of fields, with their masks.

use super::{ReadError, port_from};
use crate::{Names, flags};
use std::net::{Ipv4Addr, Ipv6Addr};
use weft_flow::field::{Style, ones};
use weft_flow::{Bits, Field};

/// A decimal or hexadecimal number; as C reads them, 010 is eight.
pub(super) fn number(text: &str) -> Option<u128> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u128::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u128::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

/// Six bytes with colons between them.
pub(super) fn mac(text: &str) -> Option<u128> {
    let mut value = 0;
    let mut bytes = 0;
    for byte in text.split(':') {
        value = value << 8 | u128::from(u8::from_str_radix(byte, 16).ok()?);
        bytes += 1;
    }
    (bytes == 6).then_some(value)
}

fn ipv4(text: &str) -> Option<u128> {
    text.parse::<Ipv4Addr>().ok().map(|address| address.to_bits().into())
}

fn ipv6(text: &str) -> Option<u128> {
    text.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits)
}

/// A mask: the length of a prefix, or an address.
fn address_mask(text: &str, width: u32, read: fn(&str) -> Option<u128>) -> Option<u128> {
    match text.parse::<u32>() {
        Ok(length) => Some(ones(width) & !ones(width.checked_sub(length)?)),
        Err(_) => read(text),
    }
}

/// A value and its mask, of a field of at most 128 bits.
pub(super) fn read(field: Field, text: &str, names: &dyn Names) -> Result<Bits, ReadError> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (value, Some(mask)),
        None => (text, None),
    };
    if mask.is_some() && !field.is_maskable() {
        return Err(ReadError::NoMask(field));
    }
    let width = field.bits().min(128);
    let invalid = |expected| ReadError::Invalid { value: text.to_owned(), expected };
    let masked = |read: fn(&str) -> Option<u128>, expected| {
        let value = read(value).ok_or_else(|| invalid(expected))?;
        let mask = match mask {
            Some(mask) => address_mask(mask, width, read).ok_or_else(|| invalid(expected))?,
            None => ones(width),
        };
        Ok(Bits::new(value, mask))
    };
    match field.style() {
        Style::Ethernet => masked(mac, "Ethernet address"),
        Style::Ipv4 => masked(ipv4, "IP address"),
        Style::Ipv6 => masked(ipv6, "IPv6 address"),
        Style::Decimal | Style::Hexadecimal => integer(field, value, mask),
        Style::Port | Style::PortWide => port(field, value, names),
        Style::Fragment => fragment(value),
        Style::TunnelFlags => signed(text, flags::TUNNEL, 1, "tunnel")
            .or_else(|error| integer(field, value, mask).map_err(|_| error)),
        Style::TcpFlags => signed(text, flags::TCP, ones(12), "TCP")
            .or_else(|error| integer(field, value, mask).map_err(|_| error)),
        Style::CtState => signed(text, flags::CT_STATE, ones(8), "ct_state")
            .or_else(|error| integer(field, value, mask).map_err(|_| error)),
        Style::PacketType => packet_type(text),
    }
}

fn integer(field: Field, value: &str, mask: Option<&str>) -> Result<Bits, ReadError> {
    let width = field.bits().min(128);
    let read = |text: &str| {
        let number = number(text).ok_or_else(|| ReadError::Invalid {
            value: text.to_owned(),
            expected: "numeric format",
        })?;
        if number > ones(width) {
            return Err(ReadError::TooLarge { value: text.to_owned(), field });
        }
        Ok(number)
    };
    let mask = mask.map_or(Ok(ones(width)), read)?;
    Ok(Bits::new(read(value)?, mask))
}

fn port(field: Field, text: &str, names: &dyn Names) -> Result<Bits, ReadError> {
    let port = port_from(text, names);
    let unknown = || ReadError::UnknownPort { value: text.to_owned(), field };
    let port = port.ok_or_else(unknown)?;
    let number = match field.style() {
        Style::Port => u128::from(port.to_u16().ok_or_else(unknown)?),
        _ => u128::from(port.0),
    };
    Ok(Bits::new(number, ones(field.bits())))
}

fn fragment(text: &str) -> Result<Bits, ReadError> {
    let (value, mask) = match text {
        "no" => (0, 3),
        "yes" => (1, 1),
        "first" => (1, 3),
        "later" => (3, 3),
        "not_later" => (0, 2),
        _ => return Err(ReadError::UnknownFragment(text.to_owned())),
    };
    // The bits above never are set: asked for with the others, as `ip_frag=no` does.
    let mask = if mask == 3 { 0xff } else { mask };
    Ok(Bits::new(value, mask))
}

/// `+a-b`, or `a|b` for all that there are.
fn signed(text: &str, names: &[&str], all: u128, of: &'static str) -> Result<Bits, ReadError> {
    let unknown = |name: &str| ReadError::UnknownFlag { value: name.to_owned(), of };
    let find = |name: &str| {
        let bit = names.iter().position(|other| *other == name).ok_or_else(|| unknown(name))?;
        Ok(1u128 << bit)
    };
    if text == "0" {
        return Ok(Bits::new(0, all));
    }
    if !text.starts_with(['+', '-']) {
        let bits: Result<u128, ReadError> =
            text.split('|').map(find).try_fold(0, |bits, bit| Ok(bits | bit?));
        return Ok(Bits::new(bits?, all));
    }
    let mut bits = Bits::default();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let name = rest.get(1..).unwrap_or_default();
        let end = name.find(['+', '-']).unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        let bit = find(name)?;
        bits.mask |= bit;
        if sign == '+' {
            bits.value |= bit;
        }
        rest = after;
    }
    Ok(bits)
}

fn packet_type(text: &str) -> Result<Bits, ReadError> {
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let parts = inside.and_then(|inside| inside.split_once(','));
    let read = |part: &str| number(part.trim()).filter(|number| *number <= ones(16));
    let value = parts.and_then(|(namespace, kind)| Some(read(namespace)? << 16 | read(kind)?));
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "packet type" };
    Ok(Bits::new(value.ok_or_else(invalid)?, ones(32)))
}

/// Value and mask, if there is one, of an option of tunnels: words of 128 bits, the last bytes
/// first.
pub(super) fn option(
    field: Field,
    text: &str,
) -> Result<([u128; 8], Option<[u128; 8]>), ReadError> {
    match text.split_once('/') {
        Some((value, mask)) => Ok((long(field, value)?, Some(long(field, mask)?))),
        None => Ok((long(field, text)?, None)),
    }
}

/// Words of 128 bits, the last bytes first.
fn long(field: Field, text: &str) -> Result<[u128; 8], ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "numeric format" };
    let mut words = [0; 8];
    let Some(digits) = text.strip_prefix("0x") else {
        let [first, ..] = &mut words;
        *first = number(text).ok_or_else(invalid)?;
        return Ok(words);
    };
    let mut rest = digits;
    for word in &mut words {
        let at = rest.len().saturating_sub(32);
        if !rest.is_char_boundary(at) {
            return Err(invalid());
        }
        let (before, last) = rest.split_at(at);
        if !last.is_empty() {
            *word = u128::from_str_radix(last, 16).map_err(|_| invalid())?;
        }
        rest = before;
    }
    if rest.is_empty() {
        Ok(words)
    } else {
        Err(ReadError::TooLarge { value: text.to_owned(), field })
    }
}
