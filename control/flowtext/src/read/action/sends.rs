//! Actions that send packets somewhere.

use super::super::words::{Word, word, words};
use super::super::{ReadError, port_from};
use super::{bytes, number, table, unknown};
use crate::Names;
use crate::read::field::subfield;
use weft_flow::action::{Controller, Resubmit, Sample, SampleDirection, SampleNumber};
use weft_flow::{Action, GroupId, MeterId, PortNo, TableId};

/// The action with a name, or an output to the port that is called so.
pub(super) fn read(name: &str, word: Word<'_>, names: &dyn Names) -> Result<Action, ReadError> {
    match name {
        "output" => output(word.argument, names),
        "controller" => controller(word.argument),
        "enqueue" => enqueue(word.argument, names),
        "group" => Ok(Action::Group(GroupId(number(word.argument, "group")?))),
        "resubmit" => resubmit(word.argument, names),
        _ => match port_from(word.name, names) {
            Some(port) if word.argument.is_empty() => Ok(Action::Output { port, max_len: 0 }),
            _ => Err(ReadError::UnknownAction(word.name.to_owned())),
        },
    }
}

fn port(text: &str, names: &dyn Names) -> Result<PortNo, ReadError> {
    port_from(text, names).ok_or_else(|| ReadError::UnknownOutput(text.to_owned()))
}

fn output(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    if text.contains("port=") {
        let (mut to, mut max_len) = (PortNo::ANY, 0);
        for part in words(text).map(word) {
            match part.name {
                "port" => to = port(part.argument, names)?,
                "max_len" => max_len = number(part.argument, "max_len")?,
                _ => return Err(unknown("output", part.name)),
            }
        }
        return Ok(Action::OutputTruncated { port: to, max_len });
    }
    match port_from(text, names) {
        Some(PortNo::CONTROLLER) => {
            Ok(Action::Output { port: PortNo::CONTROLLER, max_len: u16::MAX })
        }
        Some(port) => Ok(Action::Output { port, max_len: 0 }),
        None => match subfield(text) {
            Ok(source) => Ok(Action::OutputReg { source, max_len: u16::MAX }),
            Err(_) => Err(ReadError::UnknownOutput(text.to_owned())),
        },
    }
}

fn controller(text: &str) -> Result<Action, ReadError> {
    let plain = |max_len| Action::Output { port: PortNo::CONTROLLER, max_len };
    if text.is_empty() {
        return Ok(plain(u16::MAX));
    }
    if let Ok(max_len) = number(text, "max_len") {
        return Ok(plain(max_len));
    }
    let mut of = Controller { max_len: u16::MAX, reason: 1, ..Controller::default() };
    for part in words(text).map(word) {
        match part.name {
            "reason" => of.reason = reason(part.argument)?,
            "max_len" => of.max_len = number(part.argument, "max_len")?,
            "id" => of.controller_id = number(part.argument, "id")?,
            "userdata" => of.userdata = bytes(part.argument)?,
            "pause" => of.pauses = true,
            "meter_id" => of.meter = Some(MeterId(number(part.argument, "meter_id")?)),
            _ => return Err(unknown("controller", part.name)),
        }
    }
    let is_plain = of.reason == 1 && of.controller_id == 0;
    if is_plain && of.userdata.is_empty() && !of.pauses && of.meter.is_none() {
        return Ok(plain(of.max_len));
    }
    of.has_properties = !of.userdata.is_empty() || of.pauses || of.meter.is_some();
    Ok(Action::Controller(Box::new(of)))
}

fn reason(text: &str) -> Result<u8, ReadError> {
    let number = match text {
        "no_match" => 0,
        "action" => 1,
        "invalid_ttl" => 2,
        "action_set" => 3,
        "group" => 4,
        "packet_out" => 5,
        _ => {
            return Err(ReadError::Invalid { value: text.to_owned(), expected: "reason" });
        }
    };
    Ok(number)
}

/// `1:2`, `1,2`.
fn enqueue(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "enqueue" };
    let (to, queue) = text.split_once([':', ',']).ok_or_else(invalid)?;
    let queue = queue.strip_prefix("q").unwrap_or(queue);
    Ok(Action::Enqueue { port: port(to, names)?, queue: number(queue, "queue")? })
}

/// `1`, `1,5`, `,5`, `,5,ct`.
fn resubmit(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    let mut parts = text.split(',').map(str::trim);
    let in_port = match parts.next().unwrap_or_default() {
        "" => PortNo::IN_PORT,
        name => port_from(name, names).ok_or_else(|| ReadError::Invalid {
            value: name.to_owned(),
            expected: "resubmit port",
        })?,
    };
    let table = match parts.next() {
        None | Some("") => TableId::ALL,
        Some(name) => table(name, names)?,
    };
    let with_ct = match parts.next() {
        None => false,
        Some("ct") => true,
        Some(other) => return Err(unknown("resubmit", other)),
    };
    if in_port == PortNo::IN_PORT && table == TableId::ALL {
        return Err(ReadError::EmptyResubmit);
    }
    let names_table = table != TableId::ALL || with_ct;
    Ok(Action::Resubmit(Resubmit { in_port, table, with_ct, names_table }))
}

/// `probability=…,collector_set_id=…,…`.
pub(super) fn sample(text: &str, names: &dyn Names) -> Result<Action, ReadError> {
    let mut of = Sample {
        probability: 0,
        collector_set: 0,
        domain: SampleNumber::Value(0),
        point: SampleNumber::Value(0),
        sampling_port: PortNo::ANY,
        direction: SampleDirection::Default,
        form: 1,
    };
    let either = |text: &str| match number(text, "numeric format") {
        Ok(number) => Ok(SampleNumber::Value(number)),
        Err(_) => subfield(text).map(SampleNumber::Field),
    };
    for part in words(text).map(word) {
        match part.name {
            "probability" => of.probability = number(part.argument, "probability")?,
            "collector_set_id" => of.collector_set = number(part.argument, "collector_set_id")?,
            "obs_domain_id" => of.domain = either(part.argument)?,
            "obs_point_id" => of.point = either(part.argument)?,
            "sampling_port" => of.sampling_port = port(part.argument, names)?,
            "ingress" => of.direction = SampleDirection::Ingress,
            "egress" => of.direction = SampleDirection::Egress,
            _ => return Err(unknown("sample", part.name)),
        }
    }
    let has_fields = [of.domain, of.point].iter().any(|it| matches!(it, SampleNumber::Field(_)));
    of.form = match () {
        () if of.direction != SampleDirection::Default || has_fields => 3,
        () if of.sampling_port != PortNo::ANY => 2,
        () => 1,
    };
    if of.probability == 0 {
        return Err(ReadError::Invalid { value: "0".to_owned(), expected: "probability" });
    }
    Ok(Action::Sample(Box::new(of)))
}
