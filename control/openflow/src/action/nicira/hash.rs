//! `bundle` and `multipath`: choices by hash.

use crate::action::bits::{field, pack, target, unpack};
use crate::action::decode::{Context, sized};
use crate::action::encode::nicira;
use crate::bytes::{Reader, Writer, is_zero};
use crate::oxm;
use weft_flow::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};
use weft_flow::request::Refusal;
use weft_flow::{Action, PortNo, Version};

/// The kind of a bundle's members: ports, by the header of `in_port`.
const PORTS: u32 = 0x0000_0002;
/// So many members may a bundle have.
const MEMBERS: u16 = 2048;

fn hash_fields(number: u16) -> Result<HashFields, Refusal> {
    use HashFields::{
        EthSrc, NwDst, NwSrc, SymmetricL3, SymmetricL3L4, SymmetricL3L4Udp, SymmetricL4,
    };
    [EthSrc, SymmetricL4, SymmetricL3L4, SymmetricL3L4Udp, NwSrc, NwDst, SymmetricL3]
        .into_iter()
        .find(|fields| *fields as u16 == number)
        .ok_or(Refusal::ActionBadArgument)
}

/// Reads `multipath`.
pub(in crate::action) fn decode_multipath(
    body: Reader<'_>,
    context: Context<'_>,
) -> Result<Action, Refusal> {
    use MultipathAlgorithm::{HashThreshold, Hrw, IterHash, ModuloN};
    let mut body = sized(body, 22)?;
    let (fields, basis) = (body.u16()?, body.u16()?);
    body.skip(2)?;
    let (algorithm, max_link, argument) = (body.u16()?, body.u16()?, body.u32()?);
    body.skip(2)?;
    let packed = body.u16()?;
    let destination = unpack(field(&mut body, context)?, packed);
    let algorithm = [ModuloN, HashThreshold, Hrw, IterHash]
        .into_iter()
        .find(|known| *known as u16 == algorithm)
        .ok_or(Refusal::ActionBadArgument);
    let fields = hash_fields(fields)?;
    let algorithm = algorithm?;
    // All links must have a number of so many bits.
    if u32::from(max_link).checked_shr(destination.bits.into()).is_some_and(|rest| rest != 0) {
        return Err(Refusal::ActionBadArgument);
    }
    let destination = target(destination, context)?;
    Ok(Action::Multipath(Box::new(Multipath {
        fields,
        basis,
        algorithm,
        max_link,
        argument,
        destination,
    })))
}

/// Writes `multipath`.
pub(in crate::action) fn encode_multipath(out: &mut Vec<u8>, context: Context<'_>, of: &Multipath) {
    nicira(out, 10, |out| {
        out.u16(of.fields as u16);
        out.u16(of.basis);
        out.zeros(2);
        out.u16(of.algorithm as u16);
        out.u16(of.max_link);
        out.u32(of.argument);
        out.zeros(2);
        out.u16(pack(of.destination));
        oxm::write_name(out, of.destination.field, Version::V10, context.tlvs);
    });
}

/// Reads `bundle` or `bundle_load`.
pub(in crate::action) fn decode_bundle(
    mut body: Reader<'_>,
    context: Context<'_>,
    loads: bool,
) -> Result<Action, Refusal> {
    let (algorithm, fields, basis) = (body.u16()?, body.u16()?, body.u16()?);
    let (kind, count, packed) = (body.u32()?, body.u16()?, body.u16()?);
    let mut name = Reader::new(body.take(4)?);
    let is_plain = packed == 0 && name.peek() == [0; 4];
    let is_plain = is_zero(body.take(4)?) && is_plain;
    let mut ports = body.part(2 * usize::from(count))?;
    let destination = if loads {
        let bits = unpack(field(&mut name, context)?, packed);
        if bits.bits < 16 {
            return Err(Refusal::ActionBadArgument);
        }
        Some(target(bits, context)?)
    } else {
        None
    };
    let fields = hash_fields(fields)?;
    let algorithm = match algorithm {
        0 => BundleAlgorithm::ActiveBackup,
        1 => BundleAlgorithm::Hrw,
        _ => return Err(Refusal::ActionBadArgument),
    };
    if count > MEMBERS || kind != PORTS || !loads && !is_plain {
        return Err(Refusal::ActionBadArgument);
    }
    let members = (0..count)
        .map(|_| ports.u16().and_then(|port| member(PortNo::from_u16(port), PortNo::MAX)))
        .collect::<Result<_, _>>()?;
    Ok(Action::Bundle(Box::new(Bundle { fields, basis, algorithm, members, destination })))
}

/// Refuses what cannot be a member of a bundle, where ports have numbers below `end`.
pub(in crate::action) fn member(port: PortNo, end: u32) -> Result<PortNo, Refusal> {
    if port == PortNo::CONTROLLER {
        return Err(Refusal::BadOutPort);
    }
    if port != PortNo::ANY {
        crate::action::check::port(port, end)?;
    }
    Ok(port)
}

/// Writes `bundle` or `bundle_load`.
pub(in crate::action) fn encode_bundle(out: &mut Vec<u8>, context: Context<'_>, of: &Bundle) {
    nicira(out, if of.destination.is_some() { 13 } else { 12 }, |out| {
        out.u16(of.algorithm as u16);
        out.u16(of.fields as u16);
        out.u16(of.basis);
        out.u32(PORTS);
        out.u16(u16::try_from(of.members.len()).unwrap_or(u16::MAX));
        if let Some(destination) = of.destination {
            out.u16(pack(destination));
            oxm::write_name(out, destination.field, Version::V10, context.tlvs);
        } else {
            out.zeros(6);
        }
        out.zeros(4);
        for port in &of.members {
            out.u16(port.to_u16().unwrap_or_default());
        }
    });
}
