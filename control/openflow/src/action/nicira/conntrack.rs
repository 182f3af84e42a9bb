//! `ct` and `nat`: connection tracking.

use crate::action::bits::{field, pack, source, unpack};
use crate::action::decode::{Context, list};
use crate::action::encode::{self, nicira};
use crate::action::verify::{Outer, Place, verify};
use crate::bytes::{Reader, Writer};
use crate::oxm;
use weft_flow::action::{Ct, Nat, NatAddresses, NatFlags, ZoneSource};
use weft_flow::request::Refusal;
use weft_flow::{Action, TableId, Version};

const COMMIT: u16 = 1;
const FORCE: u16 = 1 << 1;
const V4_FIRST: u16 = 1;
const V4_LAST: u16 = 1 << 1;
const V6_FIRST: u16 = 1 << 2;
const V6_LAST: u16 = 1 << 3;
const PORT_FIRST: u16 = 1 << 4;
const PORT_LAST: u16 = 1 << 5;

/// Reads `ct`.
pub(in crate::action) fn decode(
    mut body: Reader<'_>,
    context: Context<'_>,
) -> Result<Action, Refusal> {
    let flags = body.u16()?;
    let (commits, forces) = (flags & COMMIT != 0, flags & FORCE != 0);
    if forces && !commits {
        return Err(Refusal::ActionBadArgument);
    }
    let mut name = Reader::new(body.take(4)?);
    let number = body.u16()?;
    let zone = if name.peek() == [0; 4] {
        ZoneSource::Value(number)
    } else {
        let bits = source(unpack(field(&mut name, context)?, number), context)?;
        if bits.bits != 16 {
            return Err(Refusal::BadSetLen);
        }
        ZoneSource::Field(bits)
    };
    let table = Some(TableId(body.u8()?)).filter(|table| *table != TableId::ALL);
    body.skip(3)?;
    let helper = body.u16()?;
    let actions = list(body.rest(), context.inside()?)?;
    verify(&actions, Place::Nested, Outer::Ct)?;
    let is_plain = |action: &Action| matches!(action, Action::Nat(nat) if **nat == Nat::default());
    if !commits && !actions.iter().all(is_plain) {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(Action::Ct(Box::new(Ct { commits, forces, zone, table, helper, actions })))
}

/// Writes `ct`.
pub(in crate::action) fn encode(out: &mut Vec<u8>, context: Context<'_>, of: &Ct) {
    nicira(out, 35, |out| {
        out.u16(if of.commits { COMMIT } else { 0 } | if of.forces { FORCE } else { 0 });
        match of.zone {
            ZoneSource::Value(zone) => {
                out.u32(0);
                out.u16(zone);
            }
            ZoneSource::Field(bits) => {
                oxm::write_name(out, bits.field, Version::V10, context.tlvs);
                out.u16(pack(bits));
            }
        }
        out.u8(of.table.unwrap_or(TableId::ALL).0);
        out.zeros(3);
        out.u16(of.helper);
        encode::list(&of.actions, context, out);
    });
}

/// Reads `nat`.
pub(in crate::action) fn decode_nat(mut body: Reader<'_>) -> Result<Action, Refusal> {
    body.skip(2)?;
    let (flags, present) = (nat_flags(body.u16()?)?, body.u16()?);
    let mut values = Reader::refusing(body.rest(), Refusal::ActionBadArgument);
    let has = |flag: u16| present & flag != 0;
    let addresses = if has(V4_FIRST) {
        if has(V6_FIRST | V6_LAST) {
            return Err(Refusal::ActionBadArgument);
        }
        let (first, last) = range(&mut values, has(V4_LAST))?;
        NatAddresses::V4(first, last)
    } else if has(V4_LAST) {
        return Err(Refusal::ActionBadArgument);
    } else if has(V6_FIRST) {
        let (first, last) = range(&mut values, has(V6_LAST))?;
        NatAddresses::V6(first, last)
    } else if has(V6_LAST) {
        return Err(Refusal::ActionBadArgument);
    } else {
        NatAddresses::None
    };
    let mut ports = None;
    if has(PORT_FIRST) {
        if addresses == NatAddresses::None {
            return Err(Refusal::ActionBadArgument);
        }
        let (first, last) = range(&mut values, has(PORT_LAST))?;
        ports = Some((u16::from_be_bytes(first), last.map(u16::from_be_bytes)));
    } else if has(PORT_LAST) {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(Action::Nat(Box::new(Nat { flags, addresses, ports })))
}

/// What a range begins with, and what it ends with.
type Range<const N: usize> = ([u8; N], Option<[u8; N]>);

/// A first value, which is not zero, and a last one, which is not less.
fn range<const N: usize>(values: &mut Reader<'_>, has_last: bool) -> Result<Range<N>, Refusal> {
    let first = values.array()?;
    let last = if has_last { Some(values.array()?) } else { None };
    if first == [0; N] || last.is_some_and(|last: [u8; N]| last < first) {
        return Err(Refusal::ActionBadArgument);
    }
    Ok((first, last))
}

fn nat_flags(flags: u16) -> Result<NatFlags, Refusal> {
    let has = |bit: u16| flags >> bit & 1 != 0;
    let known = NatFlags {
        source: has(0),
        destination: has(1),
        persistent: has(2),
        hashes_ports: has(3),
        random_ports: has(4),
    };
    let contradicts = known.source && known.destination || known.hashes_ports && known.random_ports;
    if flags >> 5 != 0 || contradicts {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(known)
}

/// Writes `nat`.
pub(in crate::action) fn encode_nat(out: &mut Vec<u8>, of: &Nat) {
    let flags = [
        of.flags.source,
        of.flags.destination,
        of.flags.persistent,
        of.flags.hashes_ports,
        of.flags.random_ports,
    ];
    let flags = flags.iter().zip(0..).map(|(is_set, bit)| u16::from(*is_set) << bit).sum();
    let (mut present, mut values) = (0, Vec::new());
    let mut put = |flag: u16, bytes: &[u8]| {
        present |= flag;
        values.bytes(bytes);
    };
    match of.addresses {
        NatAddresses::None => {}
        NatAddresses::V4(first, last) => {
            put(V4_FIRST, &first);
            if let Some(last) = last {
                put(V4_LAST, &last);
            }
        }
        NatAddresses::V6(first, last) => {
            put(V6_FIRST, &first);
            if let Some(last) = last {
                put(V6_LAST, &last);
            }
        }
    }
    if let Some((first, last)) = of.ports {
        put(PORT_FIRST, &first.to_be_bytes());
        if let Some(last) = last {
            put(PORT_LAST, &last.to_be_bytes());
        }
    }
    nicira(out, 36, |out| {
        out.zeros(2);
        out.u16(flags);
        out.u16(present);
        out.bytes(&values);
    });
}
