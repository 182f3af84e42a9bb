//! Matches on the wire: the structures of 1.0 and 1.1, OXM since 1.2, and Nicira's extended match.

mod fields;
mod names;
mod v10;
mod v11;
mod write;

pub use fields::{Cookie, Unknown, decode_fields};
pub use v11::encode_standard;
pub use write::{Form, encode_fields};

use crate::bytes::{Reader, Writer};
use weft_flow::request::Refusal;
use weft_flow::{Bits, Match, Slot, TlvMap, Version};

/// The type of 1.1's structure.
const STANDARD: u16 = 0;
/// The type of a match of OXM.
const OXM: u16 = 1;
/// Type and length.
const HEADER: usize = 4;

/// Reads the match of a message: 40 bytes in 1.0; later what its type and length say.
///
/// # Errors
/// Type, length, fields, values, masks or prerequisites that cannot be.
pub fn decode(version: Version, reader: &mut Reader<'_>, tlvs: &TlvMap) -> Result<Match, Refusal> {
    if version == Version::V10 {
        return v10::decode(reader);
    }
    let mut ahead = *reader;
    let kind = ahead.u16()?;
    let len = usize::from(ahead.u16()?);
    match kind {
        STANDARD if len == v11::LEN => v11::decode(reader),
        STANDARD => Err(Refusal::MatchBadLen),
        OXM => {
            let fields = len.checked_sub(HEADER).ok_or(Refusal::MatchBadLen)?;
            let all = reader.take(len.next_multiple_of(8)).map_err(|_| Refusal::MatchBadLen)?;
            let mut inside = Reader::refusing(all, Refusal::MatchBadLen);
            inside.skip(HEADER)?;
            let fields = inside.take(fields)?;
            decode_fields(fields, tlvs, Unknown::Refused, None)
        }
        _ => Err(Refusal::MatchBadType),
    }
}

/// Reads Nicira's extended match: `len` bytes of fields, padded to 8.  The cookie that it asks for
/// is returned with the bits of it that count.
///
/// # Errors
/// As [`decode`].
pub fn decode_nxm(
    reader: &mut Reader<'_>,
    len: usize,
    tlvs: &TlvMap,
) -> Result<(Match, Cookie), Refusal> {
    let all = reader.take(len.next_multiple_of(8)).map_err(|_| Refusal::MatchBadLen)?;
    let fields = all.get(..len).ok_or(Refusal::MatchBadLen)?;
    let mut cookie = Cookie::default();
    let matching = decode_fields(fields, tlvs, Unknown::Refused, Some(&mut cookie))?;
    Ok((matching, cookie))
}

/// Writes the match of a reply: what of it 1.0's 40 bytes can say, or all of it as OXM.
pub fn encode(matching: &Match, version: Version, tlvs: &TlvMap, out: &mut Vec<u8>) {
    if version == Version::V10 {
        return v10::encode(matching, out);
    }
    let start = out.len();
    out.u16(OXM);
    out.u16(0);
    encode_fields(matching, Form::Oxm(version), tlvs, out);
    out.patch_len(start + 2, start);
    out.pad_to(8, start);
}

/// Writes Nicira's extended match, padded to 8 bytes, and returns how many bytes its fields have.
pub fn encode_nxm(matching: &Match, cookie: Cookie, tlvs: &TlvMap, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    encode_fields(matching, Form::Nxm, tlvs, out);
    write::cookie(cookie, out);
    let len = out.len() - start;
    out.pad_to(8, start);
    len
}

/// Leaves out what the structures of 1.0 and 1.1 name although no packet has it.
fn normalized(mut matching: Match) -> Match {
    let exact = |slot: Slot| {
        let bits = matching.slot(slot);
        (bits.mask == slot.ones()).then_some(bits.value)
    };
    let is_ip = matches!(exact(Slot::EthType), Some(0x0800 | 0x86dd));
    let is_ipv4_or_arp = matches!(exact(Slot::EthType), Some(0x0800 | 0x0806 | 0x8035));
    let has_ports = is_ip && matches!(exact(Slot::NwProto), Some(1 | 6 | 17 | 58 | 132));
    let mut keep = |kept: bool, slots: &[Slot]| {
        for slot in slots.iter().filter(|_| !kept) {
            matching.set_slot(*slot, Bits::default());
        }
    };
    keep(is_ipv4_or_arp, &[Slot::NwSrc, Slot::NwDst]);
    keep(is_ipv4_or_arp || is_ip, &[Slot::NwProto]);
    keep(is_ip, &[Slot::NwTos]);
    keep(has_ports, &[Slot::TpSrc, Slot::TpDst]);
    matching
}

/// The VID that says that there is no tag, in the structures of 1.0 and 1.1.
const NO_VLAN: u16 = 0xffff;
/// The bit of a TCI that says that there is a tag.
const PRESENT: u16 = 0x1000;

/// A match as the structures of 1.0 and 1.1 say it: values, and a bit for each that may be any.
struct Asked<'a> {
    matching: &'a Match,
    wild: u32,
}

impl Asked<'_> {
    /// The value of some bits of a slot, or 0 and the wildcard where nothing is asked of them.
    fn take(&mut self, slot: Slot, wildcard: u32, mask: u128) -> u128 {
        let bits = self.matching.slot(slot);
        if bits.mask & mask == 0 {
            self.wild |= wildcard;
        }
        bits.value & mask
    }
}

#[cfg(test)]
mod tests;
