//! Nicira's actions, read by their subtype.

pub(super) mod conntrack;
pub(super) mod controller;
pub(super) mod hash;
pub(super) mod learn;
pub(super) mod sample;

use super::decode::{Context, list, sized};
use super::standard::{MPLS_LABEL, MPLS_TC};
use super::{bits, set, standard, verify};
use crate::bytes::Reader;
use weft_flow::action::{Conjunction, FinTimeout, Resubmit};
use weft_flow::request::Refusal;
use weft_flow::{Action, GroupId, PortNo, TableId};

/// Reads the body of an action of Nicira.
pub(super) fn decode(
    subtype: u16,
    mut body: Reader<'_>,
    context: Context<'_>,
) -> Result<Action, Refusal> {
    match subtype {
        1 | 14 | 44 => resubmit(subtype, sized(body, 6)?),
        2 | 4 | 5 | 9 | 17 | 18 | 19 | 21 | 40 | 43 => simple(subtype, body),
        23..=26 | 30 | 31 => mpls(subtype, sized(body, 6)?),
        6 => bits::decode_move(body, context),
        7 => set::decode_load(body, context),
        33 => set::decode_masked(body, context),
        8 => Ok(Action::Note(body.rest().into())),
        10 => hash::decode_multipath(body, context),
        12 | 13 => hash::decode_bundle(body, context, subtype == 13),
        15 => bits::decode_output(body, context),
        32 => bits::decode_output_wide(body, context),
        16 | 45 => learn::decode(body, context, subtype == 45),
        20 => controller::decode_old(sized(body, 6)?),
        37 => controller::decode(body),
        22 => write_metadata(sized(body, 22)?),
        27 | 28 => bits::decode_stack(body, context, subtype == 28),
        29 | 38 | 41 => sample::decode(body, subtype),
        34 => conjunction(sized(body, 6)?),
        35 => conntrack::decode(body, context),
        36 => conntrack::decode_nat(body),
        39 => output_truncated(sized(body, 6)?),
        42 => clone(body, context),
        49 => bits::decode_larger(body, context),
        50 => bits::decode_delete(body, context),
        // Encapsulations and their headers are not supported.
        46 | 47 => Err(Refusal::ActionBadType),
        _ => Err(Refusal::ActionBadVendorType),
    }
}

fn resubmit(subtype: u16, mut body: Reader<'_>) -> Result<Action, Refusal> {
    let in_port = PortNo::from_u16(body.u16()?);
    let names_table = subtype != 1;
    let mut table = TableId::ALL;
    if names_table {
        table = TableId(body.u8()?);
        body.zeros(3, Refusal::ActionBadArgument)?;
    }
    Ok(Action::Resubmit(Resubmit { in_port, table, with_ct: subtype == 44, names_table }))
}

/// Actions with one number, or none.
fn simple(subtype: u16, body: Reader<'_>) -> Result<Action, Refusal> {
    let mut body = match subtype {
        9 => sized(body, 14)?,
        21 => body,
        _ => sized(body, 6)?,
    };
    match subtype {
        2 | 4 | 40 => {
            body.skip(2)?;
            let value = body.u32()?;
            Ok(match subtype {
                2 => Action::SetTunnel { id: value.into(), is_wide: false },
                4 => Action::SetQueue(value),
                _ => Action::Group(GroupId(value)),
            })
        }
        5 => Ok(Action::PopQueue),
        9 => {
            body.skip(6)?;
            Ok(Action::SetTunnel { id: body.u64()?, is_wide: true })
        }
        17 => Ok(Action::Exit),
        18 => Ok(Action::DecTtl { controllers: [0].into(), lists_ids: false }),
        19 => Ok(Action::FinTimeout(FinTimeout { idle: body.u16()?, hard: body.u16()? })),
        21 => dec_ttl(body),
        _ => Ok(Action::CtClear),
    }
}

fn dec_ttl(mut body: Reader<'_>) -> Result<Action, Refusal> {
    let count = body.u16()?;
    body.zeros(4, Refusal::MustBeZero)?;
    let mut ids = body.part(2 * usize::from(count))?;
    let controllers = (0..count).map(|_| ids.u16()).collect::<Result<_, _>>()?;
    Ok(Action::DecTtl { controllers, lists_ids: true })
}

fn mpls(subtype: u16, mut body: Reader<'_>) -> Result<Action, Refusal> {
    match subtype {
        23 => standard::push_mpls(body.u16()?),
        24 => Ok(Action::PopMpls { ethertype: body.u16()? }),
        25 => Ok(Action::SetMplsTtl(body.u8()?)),
        26 => Ok(Action::DecMplsTtl),
        30 => {
            body.skip(2)?;
            Ok(Action::SetMplsLabel(body.u32()? & MPLS_LABEL))
        }
        _ => Ok(Action::SetMplsTc(body.u8()? & MPLS_TC)),
    }
}

fn write_metadata(mut body: Reader<'_>) -> Result<Action, Refusal> {
    body.zeros(6, Refusal::MustBeZero)?;
    let (value, mask) = (body.u64()?, body.u64()?);
    Ok(Action::WriteMetadata { value: value & mask, mask })
}

fn conjunction(mut body: Reader<'_>) -> Result<Action, Refusal> {
    let (clause, clauses, id) = (body.u8()?, body.u8()?, body.u32()?);
    if !(2..=64).contains(&clauses) || clause >= clauses {
        return Err(Refusal::BadConjunction);
    }
    Ok(Action::Conjunction(Conjunction { id, clause, clauses }))
}

fn output_truncated(mut body: Reader<'_>) -> Result<Action, Refusal> {
    const ETHERNET_HEADER: u32 = 14;
    let (port, max_len) = (PortNo::from_u16(body.u16()?), body.u32()?);
    if max_len < ETHERNET_HEADER {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(Action::OutputTruncated { port, max_len })
}

fn clone(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    body.skip(6)?;
    let actions = list(body.rest(), context.inside()?)?;
    verify::verify(&actions, verify::Place::Nested, verify::Outer::Clone)?;
    Ok(Action::Clone(actions))
}
