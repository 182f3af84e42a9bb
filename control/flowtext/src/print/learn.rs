//! `learn(…)`.

use super::{subfield_text, value};
use crate::Names;
use weft_flow::action::{Learn, LearnDestination, LearnSource, LearnSpec};
use weft_flow::field::ones;
use weft_flow::{Bits, Subfield};

/// The priority of flows that do not say theirs.
const DEFAULT_PRIORITY: u16 = 0x8000;

/// `learn(table=1,idle_timeout=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])`.
pub(super) fn text(of: &Learn, names: &dyn Names) -> String {
    let table = names.table(of.table).map_or_else(|| of.table.0.to_string(), str::to_owned);
    let mut parts = vec![format!("table={table}")];
    for (name, number) in [
        ("idle_timeout", of.idle_timeout),
        ("hard_timeout", of.hard_timeout),
        ("fin_idle_timeout", of.fin_idle_timeout),
        ("fin_hard_timeout", of.fin_hard_timeout),
    ] {
        if number != 0 {
            parts.push(format!("{name}={number}"));
        }
    }
    if of.priority != DEFAULT_PRIORITY {
        parts.push(format!("priority={}", of.priority));
    }
    if of.flags.sends_flow_removed {
        parts.push("send_flow_rem".to_owned());
    }
    if of.flags.deletes_learned {
        parts.push("delete_learned".to_owned());
    }
    if of.cookie != 0 {
        parts.push(format!("cookie={}", value::hex(of.cookie.into())));
    }
    if of.limit != 0 {
        parts.push(format!("limit={}", of.limit));
    }
    if let Some(bits) = of.result {
        parts.push(format!("result_dst={}", subfield_text(bits)));
    }
    parts.extend(of.specs.iter().map(|spec| self::spec(spec, names)));
    format!("learn({})", parts.join(","))
}

fn spec(spec: &LearnSpec, names: &dyn Names) -> String {
    match (&spec.source, spec.destination) {
        (LearnSource::Field(source), LearnDestination::Match(to)) if *source == to => {
            subfield_text(to)
        }
        (LearnSource::Field(source), LearnDestination::Match(to)) => {
            format!("{}={}", subfield_text(to), subfield_text(*source))
        }
        (LearnSource::Value(number), LearnDestination::Match(to)) => matches(to, *number, names),
        (LearnSource::Field(source), LearnDestination::Load(to)) => {
            format!("load:{}->{}", subfield_text(*source), subfield_text(to))
        }
        (LearnSource::Value(number), LearnDestination::Load(to)) => {
            format!("load:{}->{}", value::hex(*number), subfield_text(to))
        }
        (LearnSource::Field(source), LearnDestination::Output) => {
            format!("output:{}", subfield_text(*source))
        }
        (LearnSource::Value(number), LearnDestination::Output) => {
            format!("output:{}", value::hex(*number))
        }
    }
}

/// A whole field by its name and value, some bits of one by number.
fn matches(to: Subfield, number: u128, names: &dyn Names) -> String {
    if to == Subfield::whole(to.field) {
        let bits = Bits { value: number, mask: ones(to.field.bits().min(128)) };
        format!("{}={}", to.field.name(), value::field(to.field, bits, names))
    } else {
        format!("{}={}", subfield_text(to), value::hex(number))
    }
}
