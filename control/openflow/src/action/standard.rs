//! The standard actions, read: those of 1.0, and those of 1.1 with what later versions added.

use super::bits::moved;
use super::decode::{Context, sized};
use super::set;
use crate::bytes::Reader;
use weft_flow::request::Refusal;
use weft_flow::{Action, GroupId, MeterId, PortNo, Version};

/// The bits of an MPLS label.  Others that a message has are left out: no entry has room for them.
pub(super) const MPLS_LABEL: u32 = 0xf_ffff;
/// The bits of a traffic class of MPLS.
pub(super) const MPLS_TC: u8 = 7;

/// Reads the body of a standard action.
pub(super) fn decode(kind: u16, body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    match (kind, context.version) {
        (_, Version::V10) => first(kind, body),
        (25, version) if version >= Version::V12 => set::decode_field(body, context),
        (28, Version::V15) => copy_field(body, context),
        (29, Version::V15) => Ok(Action::Meter(MeterId(sized(body, 4)?.u32()?))),
        _ => later(kind, body),
    }
}

fn argument(value: u8, bits: u8) -> Result<u8, Refusal> {
    if value & !bits == 0 { Ok(value) } else { Err(Refusal::ActionBadArgument) }
}

fn output(port: PortNo, max_len: u16) -> Result<Action, Refusal> {
    super::check::port(port, PortNo::MAX)?;
    Ok(Action::Output { port, max_len })
}

/// Version 1.0.
fn first(kind: u16, body: Reader<'_>) -> Result<Action, Refusal> {
    let bytes = if matches!(kind, 4 | 5 | 11) { 12 } else { 4 };
    if kind > 11 {
        return Err(Refusal::ActionBadType);
    }
    let mut body = sized(body, bytes)?;
    match kind {
        0 => output(PortNo::from_u16(body.u16()?), body.u16()?),
        1 | 2 => vlan(kind, body, true),
        3 => Ok(Action::StripVlan),
        4 => Ok(Action::SetEthSrc(body.array()?)),
        5 => Ok(Action::SetEthDst(body.array()?)),
        6 => Ok(Action::SetIpv4Src(body.array()?)),
        7 => Ok(Action::SetIpv4Dst(body.array()?)),
        8 => Ok(Action::SetIpDscp(argument(body.u8()?, 0xfc)?)),
        9 => Ok(Action::SetL4SrcPort { port: body.u16()?, protocol: 0 }),
        10 => Ok(Action::SetL4DstPort { port: body.u16()?, protocol: 0 }),
        _ => {
            let port = PortNo::from_u16(body.u16()?);
            body.skip(6)?;
            let is_port = port.0 < PortNo::MAX || [PortNo::IN_PORT, PortNo::LOCAL].contains(&port);
            let queue = body.u32()?;
            if is_port { Ok(Action::Enqueue { port, queue }) } else { Err(Refusal::BadOutPort) }
        }
    }
}

fn vlan(kind: u16, mut body: Reader<'_>, pushes: bool) -> Result<Action, Refusal> {
    if kind == 1 {
        let vid = body.u16()?;
        if vid > 0x0fff {
            return Err(Refusal::ActionBadArgument);
        }
        return Ok(Action::SetVlanVid { vid, pushes, has_vlan: false });
    }
    let pcp = argument(body.u8()?, 7)?;
    Ok(Action::SetVlanPcp { pcp, pushes, has_vlan: false })
}

/// Version 1.1 and later.
fn later(kind: u16, body: Reader<'_>) -> Result<Action, Refusal> {
    let bytes = match kind {
        0 | 3 | 4 => 12,
        1 | 2 | 5..=10 | 13..=24 => 4,
        _ => return Err(Refusal::ActionBadType),
    };
    let mut body = sized(body, bytes)?;
    match kind {
        0 => {
            let port = PortNo(body.u32()?);
            port.to_u16().ok_or(Refusal::BadOutPort)?;
            output(port, body.u16()?)
        }
        1 | 2 => vlan(kind, body, false),
        3 => Ok(Action::SetEthSrc(body.array()?)),
        4 => Ok(Action::SetEthDst(body.array()?)),
        5 => Ok(Action::SetIpv4Src(body.array()?)),
        6 => Ok(Action::SetIpv4Dst(body.array()?)),
        7 => Ok(Action::SetIpDscp(argument(body.u8()?, 0xfc)?)),
        8 => Ok(Action::SetIpEcn(argument(body.u8()?, 3)?)),
        9 => Ok(Action::SetL4SrcPort { port: body.u16()?, protocol: 0 }),
        10 => Ok(Action::SetL4DstPort { port: body.u16()?, protocol: 0 }),
        13 => Ok(Action::SetMplsLabel(body.u32()? & MPLS_LABEL)),
        14 => Ok(Action::SetMplsTc(body.u8()? & MPLS_TC)),
        15 => Ok(Action::SetMplsTtl(body.u8()?)),
        16 => Ok(Action::DecMplsTtl),
        17 => match body.u16()? {
            ethertype @ (0x8100 | 0x88a8) => Ok(Action::PushVlan { ethertype }),
            _ => Err(Refusal::ActionBadArgument),
        },
        18 => Ok(Action::StripVlan),
        19 => push_mpls(body.u16()?),
        20 => Ok(Action::PopMpls { ethertype: body.u16()? }),
        21 => Ok(Action::SetQueue(body.u32()?)),
        22 => Ok(Action::Group(GroupId(body.u32()?))),
        23 => Ok(Action::SetIpTtl(body.u8()?)),
        _ => Ok(Action::DecTtl { controllers: [0].into(), lists_ids: false }),
    }
}

/// Puts on an MPLS entry.
pub(super) fn push_mpls(ethertype: u16) -> Result<Action, Refusal> {
    match ethertype {
        0x8847 | 0x8848 => Ok(Action::PushMpls { ethertype }),
        _ => Err(Refusal::ActionBadArgument),
    }
}

/// `copy_field` of 1.5.
fn copy_field(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let numbers = [body.u16()?, body.u16()?, body.u16()?];
    body.skip(2)?;
    moved(body, context, numbers, true)
}

/// `copy_field` as the Open Networking Foundation's extension of 1.3.
pub(super) fn copy_field_onf(
    mut body: Reader<'_>,
    context: Context<'_>,
) -> Result<Action, Refusal> {
    body.skip(2)?;
    let numbers = [body.u16()?, body.u16()?, body.u16()?];
    body.skip(2)?;
    moved(body, context, numbers, true)
}
