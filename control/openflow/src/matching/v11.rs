//! The structure of 1.1's match, 88 bytes: addresses and metadata with masks, MPLS.

use super::{Asked, NO_VLAN, PRESENT, STANDARD, normalized};
use crate::bytes::{Reader, Writer};
use crate::oxm::{number, number_bytes};
use weft_flow::request::Refusal;
use weft_flow::{Bits, Match, PortNo, Slot};

/// How many bytes it has, with type and length.
pub(super) const LEN: usize = 88;
const WILD_IN_PORT: u32 = 1;
const WILD_VLAN: u32 = 1 << 1;
const WILD_PCP: u32 = 1 << 2;
const WILD_ETH_TYPE: u32 = 1 << 3;
const WILD_TOS: u32 = 1 << 4;
const WILD_PROTOCOL: u32 = 1 << 5;
const WILD_TP_SRC: u32 = 1 << 6;
const WILD_TP_DST: u32 = 1 << 7;
const WILD_MPLS_LABEL: u32 = 1 << 8;
const WILD_MPLS_TC: u32 = 1 << 9;
/// The VID that says that there is a tag, of any VID.
const ANY_VLAN: u16 = 0xfffe;

/// Reads a match; fields that no packet can have, by the others, are left out.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Match, Refusal> {
    let mut reader = reader.part(LEN)?;
    reader.skip(4)?;
    let in_port = reader.u32()?;
    let wild = reader.u32()?;
    let mut matching = Match::any();
    let mut set = |wildcard: u32, slot: Slot, value: u128, mask: u128| {
        if wild & wildcard == 0 {
            matching.set_slot(slot, Bits::new(value, mask));
        }
    };
    if wild & WILD_IN_PORT == 0 {
        let port = PortNo(in_port);
        port.to_u16().ok_or(Refusal::BadValue)?;
        set(0, Slot::InPort, port.0.into(), u128::MAX);
    }
    for slot in [Slot::EthSrc, Slot::EthDst] {
        let value = number(reader.take(6)?);
        set(0, slot, value, !number(reader.take(6)?));
    }
    let (vid, pcp) = (reader.u16()?, reader.u8()?);
    reader.skip(1)?;
    let tci = vlan(wild, vid, pcp)?;
    set(0, Slot::VlanTci, tci.value, tci.mask);
    set(WILD_ETH_TYPE, Slot::EthType, reader.u16()?.into(), u128::MAX);
    let tos = reader.u8()?;
    set(WILD_TOS, Slot::NwTos, tos.into(), 0xfc);
    set(WILD_PROTOCOL, Slot::NwProto, reader.u8()?.into(), u128::MAX);
    for slot in [Slot::NwSrc, Slot::NwDst] {
        let value = reader.u32()?;
        set(0, slot, value.into(), (!reader.u32()?).into());
    }
    let (source, target) = (reader.u16()?, reader.u16()?);
    set(WILD_TP_SRC, Slot::TpSrc, source.into(), u128::MAX);
    set(WILD_TP_DST, Slot::TpDst, target.into(), u128::MAX);
    let (label, tc) = (reader.u32()?, reader.u8()?);
    reader.skip(3)?;
    let value = reader.u64()?;
    set(0, Slot::Metadata, value.into(), (!reader.u64()?).into());
    mpls(&mut matching, wild, label, tc);
    check_transport(&matching, wild, tos, source, target)?;
    Ok(normalized(matching))
}

fn vlan(wild: u32, vid: u16, pcp: u8) -> Result<Bits, Refusal> {
    let (tci, mask) = match vid {
        _ if wild & WILD_VLAN != 0 => return Ok(Bits::default()),
        NO_VLAN => return Ok(Bits::new(0, 0xffff)),
        ANY_VLAN => (PRESENT, 0x1000),
        0..0x1000 => (vid | PRESENT, 0x1fff),
        _ => return Err(Refusal::BadValue),
    };
    if wild & WILD_PCP != 0 {
        return Ok(Bits::new(tci.into(), mask));
    }
    if pcp > 7 {
        return Err(Refusal::BadValue);
    }
    Ok(Bits::new((tci | u16::from(pcp) << 13).into(), mask | 0xe000))
}

fn mpls(matching: &mut Match, wild: u32, label: u32, tc: u8) {
    if !matches!(matching.slot(Slot::EthType), Bits { value: 0x8847 | 0x8848, .. }) {
        return;
    }
    let mut bits = Bits::default();
    if wild & WILD_MPLS_LABEL == 0 {
        bits = Bits::new(u128::from(label) << 12, 0xffff_f000);
    }
    if wild & WILD_MPLS_TC == 0 {
        let tc = Bits::new(u128::from(tc) << 9, 0xe00);
        bits = Bits { value: bits.value | tc.value, mask: bits.mask | tc.mask };
    }
    matching.set_slot(Slot::MplsLse, bits);
}

/// Refuses a TOS with bits of ECN, and types of ICMP beyond a byte.
fn check_transport(
    matching: &Match,
    wild: u32,
    tos: u8,
    source: u16,
    target: u16,
) -> Result<(), Refusal> {
    if matching.slot(Slot::EthType) != Bits::new(0x0800, 0xffff) {
        return Ok(());
    }
    if wild & WILD_TOS == 0 && tos & 3 != 0 {
        return Err(Refusal::BadValue);
    }
    let protocol = matching.slot(Slot::NwProto);
    let asks = |wildcard: u32| wild & wildcard == 0;
    match protocol.value {
        _ if !asks(WILD_TP_SRC) && !asks(WILD_TP_DST) => Ok(()),
        1 if asks(WILD_TP_SRC) && source > 0xff || asks(WILD_TP_DST) && target > 0xff => {
            Err(Refusal::BadField)
        }
        _ => Ok(()),
    }
}

/// Writes what of a match this structure can say.
pub fn encode_standard(matching: &Match, out: &mut Vec<u8>) {
    let start = out.len();
    out.u16(STANDARD);
    out.u16(88);
    let mut asked = Asked { matching, wild: 0 };
    let masked = |out: &mut Vec<u8>, slot: Slot, width: usize| {
        let bits = matching.slot(slot);
        number_bytes(out, bits.value, width);
        number_bytes(out, !bits.mask, width);
    };
    number_bytes(out, asked.take(Slot::InPort, WILD_IN_PORT, u128::MAX), 4);
    out.u32(0);
    masked(out, Slot::EthSrc, 6);
    masked(out, Slot::EthDst, 6);
    let tci = matching.slot(Slot::VlanTci);
    let vid = match (tci.mask & 0x1000 != 0, tci.value & 0x1000 != 0) {
        (true, false) => NO_VLAN.into(),
        (true, true) if tci.mask.trailing_zeros() >= 12 => ANY_VLAN.into(),
        _ => asked.take(Slot::VlanTci, 0, 0x0fff),
    };
    asked.take(Slot::VlanTci, WILD_VLAN, 0x1fff);
    number_bytes(out, vid, 2);
    number_bytes(out, asked.take(Slot::VlanTci, WILD_PCP, 0xe000) >> 13, 1);
    out.u8(0);
    number_bytes(out, asked.take(Slot::EthType, WILD_ETH_TYPE, u128::MAX), 2);
    number_bytes(out, asked.take(Slot::NwTos, WILD_TOS, 0xfc), 1);
    number_bytes(out, asked.take(Slot::NwProto, WILD_PROTOCOL, u128::MAX), 1);
    masked(out, Slot::NwSrc, 4);
    masked(out, Slot::NwDst, 4);
    number_bytes(out, asked.take(Slot::TpSrc, WILD_TP_SRC, u128::MAX), 2);
    number_bytes(out, asked.take(Slot::TpDst, WILD_TP_DST, u128::MAX), 2);
    number_bytes(out, asked.take(Slot::MplsLse, WILD_MPLS_LABEL, 0xffff_f000) >> 12, 4);
    number_bytes(out, asked.take(Slot::MplsLse, WILD_MPLS_TC, 0xe00) >> 9, 1);
    out.zeros(3);
    masked(out, Slot::Metadata, 8);
    if let Some(place) = out.get_mut(start + 8..).and_then(<[u8]>::first_chunk_mut) {
        *place = asked.wild.to_be_bytes();
    }
}
