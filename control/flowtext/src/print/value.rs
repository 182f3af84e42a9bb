//! Values of fields, with their masks.

use super::port_text;
use crate::{Names, flags};
use std::net::{Ipv4Addr, Ipv6Addr};
use weft_flow::field::{Style, ones};
use weft_flow::{Bits, Field, PortNo};

/// A hexadecimal number as C prints it: 0 has no prefix.
pub(super) fn hex(value: u128) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// Hexadecimal numbers: the value, and the mask where it is not all ones.
pub(super) fn hex_masked(bits: Bits, width: u32) -> String {
    if bits.mask == ones(width) {
        hex(bits.value)
    } else {
        format!("{}/{}", hex(bits.value), hex(bits.mask))
    }
}

/// A decimal number, or hexadecimal ones where the mask is not all ones.
pub(super) fn decimal_masked(bits: Bits, width: u32) -> String {
    let Bits { value, mask } = bits;
    if mask == ones(width) { value.to_string() } else { format!("{value:#x}/{mask:#x}") }
}

/// The low 48 bits.
pub(super) fn mac(value: u128) -> String {
    let [.., first, second, third, fourth, fifth, sixth] = value.to_be_bytes();
    mac_bytes([first, second, third, fourth, fifth, sixth])
}

/// The bytes of an address.
pub(super) fn mac_bytes(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// An address, and the mask where it is not all ones.
pub(super) fn mac_masked(bits: Bits) -> String {
    if bits.mask == ones(48) {
        mac(bits.value)
    } else {
        format!("{}/{}", mac(bits.value), mac(bits.mask))
    }
}

/// The low 32 bits.
pub(super) fn ipv4(value: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = value.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// An address, and the mask where it is not all ones: as a length where it is one.
pub(super) fn ipv4_masked(bits: Bits) -> String {
    let address = ipv4(bits.value);
    match prefix(bits.mask, 32) {
        Some(32) => address.to_string(),
        Some(length) => format!("{address}/{length}"),
        None => format!("{address}/{}", ipv4(bits.mask)),
    }
}

/// An address, and the mask where it is not all ones: as a length where it is one.
pub(super) fn ipv6_masked(bits: Bits) -> String {
    let address = Ipv6Addr::from_bits(bits.value);
    match prefix(bits.mask, 128) {
        Some(128) => address.to_string(),
        Some(length) => format!("{address}/{length}"),
        None => format!("{address}/{}", Ipv6Addr::from_bits(bits.mask)),
    }
}

/// The length of a mask that is a prefix.
fn prefix(mask: u128, width: u32) -> Option<u32> {
    let length = mask.count_ones();
    (mask == ones(width) & !ones(width.checked_sub(length)?)).then_some(length)
}

/// Which fragments: mask and value of the two bits.
pub(super) fn fragment(bits: Bits) -> &'static str {
    match (bits.mask & 3, bits.value & 3) {
        (3 | 1, 0) => "no",
        (3, 1) => "first",
        (3, 3) | (2, 2) => "later",
        (1, 1) => "yes",
        (2, 0) => "not_later",
        _ => "<error>",
    }
}

/// A field's value as `set_field` and its like write it; the mask is shown where it is not all of
/// the field.
pub(super) fn field(field: Field, bits: Bits, names: &dyn Names) -> String {
    let width = field.bits().min(128);
    match field.style() {
        Style::Decimal if bits.mask == ones(width) => bits.value.to_string(),
        Style::Decimal => format!("{}/{}", bits.value, hex(bits.mask)),
        Style::Hexadecimal => hex_masked(bits, width),
        Style::Ethernet => mac_masked(bits),
        Style::Ipv4 => ipv4_masked(bits),
        Style::Ipv6 => ipv6_masked(bits),
        Style::Port => {
            let number = u16::try_from(bits.value).unwrap_or(u16::MAX);
            port_text(PortNo::from_u16(number), names)
        }
        Style::PortWide => port_text(PortNo(u32::try_from(bits.value).unwrap_or(u32::MAX)), names),
        Style::Fragment => fragment(bits).to_owned(),
        Style::TunnelFlags => flags::signed(bits.value, bits.mask, flags::TUNNEL),
        Style::TcpFlags => flags::tcp(bits.value, bits.mask),
        Style::CtState => flags::ct_state(bits.value, bits.mask),
        Style::PacketType => {
            format!("({},{})", bits.value >> 16, hex(bits.value & ones(16)))
        }
    }
}
