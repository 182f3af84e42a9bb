//! The match of 1.0, 40 bytes: exact fields, addresses with prefixes.

use super::{Asked, NO_VLAN, PRESENT, normalized};
use crate::bytes::{Reader, Writer};
use weft_flow::request::Refusal;
use weft_flow::{Bits, Match, PortNo, Slot};

/// How many bytes it has.
const LEN: usize = 40;
const WILD_IN_PORT: u32 = 1;
const WILD_VLAN: u32 = 1 << 1;
const WILD_ETH_SRC: u32 = 1 << 2;
const WILD_ETH_DST: u32 = 1 << 3;
const WILD_ETH_TYPE: u32 = 1 << 4;
const WILD_PROTOCOL: u32 = 1 << 5;
const WILD_TP_SRC: u32 = 1 << 6;
const WILD_TP_DST: u32 = 1 << 7;
const SOURCE_SHIFT: u32 = 8;
const TARGET_SHIFT: u32 = 14;
const WILD_PCP: u32 = 1 << 20;
const WILD_TOS: u32 = 1 << 21;

/// Reads a match; fields that no packet can have, by the others, are left out.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Match, Refusal> {
    let mut reader = reader.part(LEN)?;
    let wild = reader.u32()?;
    let mut matching = Match::any();
    let mut set = |wildcard: u32, slot: Slot, value: u128| {
        if wild & wildcard == 0 {
            matching.set_slot(slot, Bits::new(value, slot.ones()));
        }
    };
    set(WILD_IN_PORT, Slot::InPort, PortNo::from_u16(reader.u16()?).0.into());
    set(WILD_ETH_SRC, Slot::EthSrc, crate::oxm::number(reader.take(6)?));
    set(WILD_ETH_DST, Slot::EthDst, crate::oxm::number(reader.take(6)?));
    let (vid, pcp) = (reader.u16()?, reader.u8()?);
    reader.skip(1)?;
    set(WILD_ETH_TYPE, Slot::EthType, reader.u16()?.into());
    let tos = reader.u8()?;
    set(WILD_PROTOCOL, Slot::NwProto, reader.u8()?.into());
    reader.skip(2)?;
    let (source, target) = (reader.u32()?, reader.u32()?);
    set(WILD_TP_SRC, Slot::TpSrc, reader.u16()?.into());
    set(WILD_TP_DST, Slot::TpDst, reader.u16()?.into());
    matching.set_slot(Slot::VlanTci, vlan(wild, vid, pcp));
    if wild & WILD_TOS == 0 {
        matching.set_slot(Slot::NwTos, Bits::new(tos.into(), 0xfc));
    }
    for (slot, address, shift) in
        [(Slot::NwSrc, source, SOURCE_SHIFT), (Slot::NwDst, target, TARGET_SHIFT)]
    {
        let mask = u32::MAX.checked_shl(wild >> shift & 0x3f).unwrap_or(0);
        matching.set_slot(slot, Bits::new(address.into(), mask.into()));
    }
    Ok(normalized(matching))
}

fn vlan(wild: u32, vid: u16, pcp: u8) -> Bits {
    let tci = vid & 0x0fff | u16::from(pcp) << 13 | PRESENT;
    let mask = match (wild & WILD_VLAN != 0, wild & WILD_PCP != 0) {
        (true, true) => 0,
        (false, _) if vid == NO_VLAN => return Bits::new(0, 0xffff),
        (false, true) => 0x1fff,
        (true, false) => 0xf000,
        (false, false) => 0xffff,
    };
    Bits::new(tci.into(), mask)
}

/// Writes what of a match these bytes can say.
pub(super) fn encode(matching: &Match, out: &mut Vec<u8>) {
    let start = out.len();
    let mut asked = Asked { matching, wild: 0 };
    let low = |value: u128| u16::try_from(value & 0xffff).unwrap_or_default();
    let byte = |value: u128| u8::try_from(value & 0xff).unwrap_or_default();
    out.u32(0);
    out.u16(low(asked.take(Slot::InPort, WILD_IN_PORT, u128::MAX)));
    crate::oxm::number_bytes(out, asked.take(Slot::EthSrc, WILD_ETH_SRC, u128::MAX), 6);
    crate::oxm::number_bytes(out, asked.take(Slot::EthDst, WILD_ETH_DST, u128::MAX), 6);
    let tci = matching.slot(Slot::VlanTci);
    if tci.mask & 0x1000 != 0 && tci.value & 0x1000 == 0 {
        out.u16(NO_VLAN);
        out.u8(0);
    } else {
        out.u16(low(asked.take(Slot::VlanTci, WILD_VLAN, 0x0fff)));
        out.u8(byte(asked.take(Slot::VlanTci, WILD_PCP, 0xe000) >> 13));
    }
    out.u8(0);
    out.u16(low(asked.take(Slot::EthType, WILD_ETH_TYPE, u128::MAX)));
    out.u8(byte(asked.take(Slot::NwTos, WILD_TOS, 0xfc)));
    out.u8(byte(asked.take(Slot::NwProto, WILD_PROTOCOL, u128::MAX)));
    out.zeros(2);
    crate::oxm::number_bytes(out, asked.take(Slot::NwSrc, 0, u128::MAX), 4);
    crate::oxm::number_bytes(out, asked.take(Slot::NwDst, 0, u128::MAX), 4);
    out.u16(low(asked.take(Slot::TpSrc, WILD_TP_SRC, u128::MAX)));
    out.u16(low(asked.take(Slot::TpDst, WILD_TP_DST, u128::MAX)));
    let free = |slot| matching.slot(slot).mask.trailing_zeros().min(32);
    asked.wild |= free(Slot::NwSrc) << SOURCE_SHIFT | free(Slot::NwDst) << TARGET_SHIFT;
    if let Some(place) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *place = asked.wild.to_be_bytes();
    }
}
