//! `controller`: packets that go to controllers, in the older form and with properties.

use crate::action::encode::nicira;
use crate::bytes::{Reader, Writer};
use weft_flow::action::Controller;
use weft_flow::request::Refusal;
use weft_flow::{Action, MeterId};

/// Because an action says so: the reason that need not be said.
const REASON_ACTION: u8 = 1;

/// Reads the older form.
pub(in crate::action) fn decode_old(mut body: Reader<'_>) -> Result<Action, Refusal> {
    let (max_len, controller_id, reason) = (body.u16()?, body.u16()?, body.u8()?);
    Ok(Action::Controller(Box::new(Controller {
        max_len,
        controller_id,
        reason,
        ..Controller::default()
    })))
}

/// Reads the form with properties.
pub(in crate::action) fn decode(mut body: Reader<'_>) -> Result<Action, Refusal> {
    body.zeros(6, Refusal::MustBeZero)?;
    let mut controller = Controller {
        max_len: u16::MAX,
        reason: REASON_ACTION,
        has_properties: true,
        ..Controller::default()
    };
    let mut properties = Reader::refusing(body.rest(), Refusal::PropBadLen);
    while !properties.is_empty() {
        property(&mut properties, &mut controller)?;
    }
    Ok(Action::Controller(Box::new(controller)))
}

/// Numbers of 16 bits have two bytes of padding that count, those of 8 bits have none; as Open
/// vSwitch does, any length is taken that the number fits in.
fn property(properties: &mut Reader<'_>, controller: &mut Controller) -> Result<(), Refusal> {
    let (kind, len) = (properties.u16()?, usize::from(properties.u16()?));
    let padding = len.next_multiple_of(8) - len;
    let mut value = properties.part(len.checked_sub(4).ok_or(Refusal::PropBadLen)?)?;
    properties.skip(padding)?;
    match kind {
        0 => controller.max_len = value.u16()?,
        1 => controller.controller_id = value.u16()?,
        2 => controller.reason = value.u8()?,
        3 => controller.userdata = value.rest().into(),
        4 => controller.pauses = true,
        5 => controller.meter = Some(MeterId(value.u32()?)).filter(|meter| meter.0 != 0),
        _ => return Err(Refusal::PropBadType),
    }
    Ok(())
}

/// Writes the older form where it can say all, and the request had it.
pub(in crate::action) fn encode(out: &mut Vec<u8>, of: &Controller) {
    let needs_properties = !of.userdata.is_empty() || of.pauses || of.meter.is_some();
    if !needs_properties && !of.has_properties {
        return nicira(out, 20, |out| {
            out.u16(of.max_len);
            out.u16(of.controller_id);
            out.u8(of.reason);
        });
    }
    nicira(out, 37, |out| {
        out.zeros(6);
        if of.max_len != u16::MAX {
            put(out, 0, &(u32::from(of.max_len) << 16).to_be_bytes());
        }
        if of.controller_id != 0 {
            put(out, 1, &(u32::from(of.controller_id) << 16).to_be_bytes());
        }
        if of.reason != REASON_ACTION {
            put(out, 2, &[of.reason]);
        }
        if !of.userdata.is_empty() {
            put(out, 3, &of.userdata);
        }
        if of.pauses {
            put(out, 4, &[]);
        }
        if let Some(meter) = of.meter {
            put(out, 5, &meter.0.to_be_bytes());
        }
    });
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let start = out.len();
    out.u16(kind);
    out.u16(0);
    out.bytes(value);
    out.patch_len(start + 2, start);
    out.pad_to(8, start);
}
