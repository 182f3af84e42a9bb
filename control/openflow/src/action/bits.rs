//! Parts of fields in actions: `move`, the stack, `output` to what a field says.

use super::decode::{COPY_FIELD, Context, ONF, sized};
use super::encode::{experimenter, nicira, standard};
use crate::bytes::{Reader, Writer};
use crate::oxm::{self, Named};
use weft_flow::request::Refusal;
use weft_flow::{Action, Field, Subfield, Version};

/// How many bits of a field actions can name.
pub(super) fn width(field: Field, context: Context<'_>) -> u32 {
    if field.tun_metadata_number().is_some() {
        let bytes = context.tlvs.bytes_of(field).unwrap_or(field.bytes());
        return u32::try_from(bytes * 8).unwrap_or(u32::MAX);
    }
    plain_width(field)
}

/// How many bits of a field actions can name, of options as many as one can have.
pub(super) fn plain_width(field: Field) -> u32 {
    match field.name() {
        // The bit that says that there is a tag is no bit of the VID.
        "vlan_vid" => 12,
        "tun_flags" => 1,
        _ => field.bits(),
    }
}

/// Reads a field by a header of 32 bits.
pub(super) fn field(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Field, Refusal> {
    let mut header = Reader::new(reader.take(4)?);
    match oxm::read_header(&mut header, context.tlvs) {
        Ok(oxm::Header { named: Named::Field(field), .. }) => Ok(field),
        Err(Refusal::InvalidTlvField) => Err(Refusal::InvalidTlvField),
        _ => Err(Refusal::BadSetType),
    }
}

/// Reads a field by a header that may have an experimenter.
pub(super) fn any_field(reader: &mut Reader<'_>, context: Context<'_>) -> Result<Field, Refusal> {
    let header = oxm::read_header(reader, context.tlvs)?;
    match header.named {
        Named::Field(field) if !header.is_masked => Ok(field),
        Named::Field(_) => Err(Refusal::BadMask),
        Named::WrongLength | Named::Cookie | Named::Unknown => Err(Refusal::BadField),
    }
}

/// Refuses bits that the field does not have.
pub(super) fn source(bits: Subfield, context: Context<'_>) -> Result<Subfield, Refusal> {
    let end = u32::from(bits.offset) + u32::from(bits.bits);
    if bits.bits == 0 || end > width(bits.field, context) {
        return Err(Refusal::BadSetLen);
    }
    Ok(bits)
}

/// Refuses bits that the field does not have, and fields that cannot be written.
pub(super) fn target(bits: Subfield, context: Context<'_>) -> Result<Subfield, Refusal> {
    source(bits, context)?;
    if bits.field.is_writable() { Ok(bits) } else { Err(Refusal::BadSetArgument) }
}

/// Offset (10 bits) and number of bits less one (6 bits) in one number.
pub(super) fn unpack(field: Field, packed: u16) -> Subfield {
    Subfield { field, offset: packed >> 6, bits: (packed & 0x3f) + 1 }
}

/// The reverse of [`unpack`].
pub(super) const fn pack(bits: Subfield) -> u16 {
    bits.offset << 6 | bits.bits.saturating_sub(1) & 0x3f
}

/// Refuses bytes behind the last argument that are not zero.
pub(super) fn end(mut body: Reader<'_>) -> Result<(), Refusal> {
    body.zeros(body.remaining(), Refusal::MustBeZero)
}

/// Reads `move`.
pub(super) fn decode_move(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let bits = body.u16()?;
    let (from, to) = (body.u16()?, body.u16()?);
    moved(body, context, [bits, from, to], false)
}

/// Reads what `move` and `copy_field` end with: both fields.
pub(super) fn moved(
    mut body: Reader<'_>,
    context: Context<'_>,
    [bits, from, to]: [u16; 3],
    is_copy: bool,
) -> Result<Action, Refusal> {
    let from = Subfield { field: any_field(&mut body, context)?, offset: from, bits };
    let to = Subfield { field: any_field(&mut body, context)?, offset: to, bits };
    end(body)?;
    let source = source(from, context)?;
    Ok(Action::Move { source, destination: target(to, context)?, is_copy })
}

/// Writes `move` or `copy_field`.
pub(super) fn encode_move(
    out: &mut Vec<u8>,
    context: Context<'_>,
    (from, to): (Subfield, Subfield),
    is_copy: bool,
) {
    let numbers = |out: &mut Vec<u8>| {
        out.u16(from.bits);
        out.u16(from.offset);
        out.u16(to.offset);
    };
    let fields = |out: &mut Vec<u8>, version| {
        oxm::write_name(out, from.field, version, context.tlvs);
        oxm::write_name(out, to.field, version, context.tlvs);
    };
    if context.version >= Version::V15 {
        standard(out, 28, |out| {
            numbers(out);
            out.zeros(2);
            fields(out, context.version);
        });
    } else if context.version == Version::V13 && is_copy {
        experimenter(out, ONF, COPY_FIELD, |out| {
            out.zeros(2);
            numbers(out);
            out.zeros(2);
            fields(out, context.version);
        });
    } else {
        nicira(out, 6, |out| {
            numbers(out);
            fields(out, Version::V10);
        });
    }
}

/// Reads the argument of `push` or `pop`.
pub(super) fn decode_stack(
    body: Reader<'_>,
    context: Context<'_>,
    is_pop: bool,
) -> Result<Action, Refusal> {
    let mut body = sized(body, 14)?;
    let offset = body.u16()?;
    let field = any_field(&mut body, context)?;
    let bits = Subfield { field, offset, bits: body.u16()? };
    end(body)?;
    if is_pop {
        Ok(Action::Pop(target(bits, context)?))
    } else {
        Ok(Action::Push(source(bits, context)?))
    }
}

/// Writes `push` (27) or `pop` (28).
pub(super) fn encode_stack(out: &mut Vec<u8>, context: Context<'_>, subtype: u16, bits: Subfield) {
    nicira(out, subtype, |out| {
        let start = out.len();
        out.u16(bits.offset);
        oxm::write_name(out, bits.field, Version::V10, context.tlvs);
        out.u16(bits.bits);
        out.zeros((start + 14).saturating_sub(out.len()));
    });
}

/// Reads `output` to what a field says.
pub(super) fn decode_output(body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let mut body = sized(body, 14)?;
    let packed = body.u16()?;
    let mut header = Reader::new(body.take(4)?);
    let max_len = body.u16()?;
    body.zeros(6, Refusal::ActionBadArgument)?;
    let bits = unpack(field(&mut header, context)?, packed);
    Ok(Action::OutputReg { source: source(bits, context)?, max_len })
}

/// Reads the same in the form whose header may have an experimenter.
pub(super) fn decode_output_wide(
    body: Reader<'_>,
    context: Context<'_>,
) -> Result<Action, Refusal> {
    let mut body = sized(body, 14)?;
    let (packed, max_len) = (body.u16()?, body.u16()?);
    let bits = unpack(any_field(&mut body, context)?, packed);
    end(body)?;
    Ok(Action::OutputReg { source: source(bits, context)?, max_len })
}

/// True for a field whose header has no experimenter.
pub(super) fn is_narrow(field: Field) -> bool {
    field.header(Version::V10).is_some_and(|header| header.class.wire().1.is_none())
}

/// Writes `output` to what a field says.
pub(super) fn encode_output(out: &mut Vec<u8>, context: Context<'_>, bits: Subfield, max_len: u16) {
    if is_narrow(bits.field) {
        nicira(out, 15, |out| {
            out.u16(pack(bits));
            oxm::write_name(out, bits.field, Version::V10, context.tlvs);
            out.u16(max_len);
            out.zeros(6);
        });
    } else {
        nicira(out, 32, |out| {
            out.u16(pack(bits));
            out.u16(max_len);
            oxm::write_name(out, bits.field, Version::V10, context.tlvs);
            out.zeros(2);
        });
    }
}

/// Reads `delete_field`.
pub(super) fn decode_delete(mut body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let field = any_field(&mut body, context)?;
    if field.tun_metadata_number().is_none() {
        return Err(Refusal::BadSetArgument);
    }
    Ok(Action::DeleteField(field))
}

/// Writes `delete_field`.
pub(super) fn encode_delete(out: &mut Vec<u8>, context: Context<'_>, field: Field) {
    nicira(out, 50, |out| {
        oxm::write_name(out, field, Version::V10, context.tlvs);
        out.zeros(10);
    });
}

/// Reads `check_pkt_larger`.
pub(super) fn decode_larger(body: Reader<'_>, context: Context<'_>) -> Result<Action, Refusal> {
    let mut body = sized(body, 14)?;
    let (bytes, offset) = (body.u16()?, body.u16()?);
    let field = any_field(&mut body, context)?;
    end(body)?;
    let destination = target(Subfield { field, offset, bits: 1 }, context)?;
    Ok(Action::CheckPktLarger { bytes, destination })
}

/// Writes `check_pkt_larger`.
pub(super) fn encode_larger(out: &mut Vec<u8>, context: Context<'_>, bytes: u16, to: Subfield) {
    nicira(out, 49, |out| {
        let start = out.len();
        out.u16(bytes);
        out.u16(to.offset);
        oxm::write_name(out, to.field, Version::V10, context.tlvs);
        out.zeros((start + 14).saturating_sub(out.len()));
    });
}
