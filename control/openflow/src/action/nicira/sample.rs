//! `sample`: packets for IPFIX.

use crate::action::decode::sized;
use crate::action::encode::nicira;
use crate::bytes::{Reader, Writer};
use weft_flow::action::{Sample, SampleDirection, SampleNumber};
use weft_flow::request::Refusal;
use weft_flow::{Action, PortNo};

/// Reads `sample` in the form that its subtype says: 29, 38 or 41.
pub(in crate::action) fn decode(body: Reader<'_>, subtype: u16) -> Result<Action, Refusal> {
    let form = match subtype {
        29 => 1,
        38 => 2,
        _ => 3,
    };
    let mut body = sized(body, if form == 1 { 14 } else { 22 })?;
    let (probability, collector_set) = (body.u16()?, body.u32()?);
    let (domain, point) = (SampleNumber::Value(body.u32()?), SampleNumber::Value(body.u32()?));
    let mut sampling_port = PortNo::ANY;
    let mut direction = SampleDirection::Default;
    if form > 1 {
        sampling_port = PortNo::from_u16(body.u16()?);
    }
    if form > 2 {
        let number = body.u8()?;
        body.zeros(5, Refusal::MustBeZero)?;
        direction = match number {
            0 => SampleDirection::Default,
            1 => SampleDirection::Ingress,
            2 => SampleDirection::Egress,
            _ => return Err(Refusal::ActionBadArgument),
        };
    }
    if probability == 0 {
        return Err(Refusal::ActionBadArgument);
    }
    Ok(Action::Sample(Box::new(Sample {
        probability,
        collector_set,
        domain,
        point,
        sampling_port,
        direction,
        form,
    })))
}

/// Writes `sample` in the form that it was sent in.
pub(in crate::action) fn encode(out: &mut Vec<u8>, of: &Sample) {
    let subtype = match of.form {
        1 => 29,
        2 => 38,
        _ => 41,
    };
    let number = |number| if let SampleNumber::Value(value) = number { value } else { 0 };
    nicira(out, subtype, |out| {
        out.u16(of.probability);
        out.u32(of.collector_set);
        out.u32(number(of.domain));
        out.u32(number(of.point));
        if of.form > 1 {
            out.u16(of.sampling_port.to_u16().unwrap_or_default());
            out.u8(of.direction as u8);
            out.zeros(5);
        }
    });
}
