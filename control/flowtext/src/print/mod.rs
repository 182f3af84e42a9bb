//! Values into text.

mod action;
mod ct;
mod learn;
mod matching;
mod select;
mod value;

use crate::Names;
use weft_flow::{Action, Field, Match, PortNo, Subfield};

/// A match, as flows are listed: `tcp,reg0=0x1,nw_dst=10.0.0.0/8`; empty for any packet.
#[must_use]
pub fn match_text(matching: &Match, names: &dyn Names) -> String {
    matching::text(matching, names)
}

/// A list of actions without `actions=`: `drop` for none.
#[must_use]
pub fn actions_text(actions: &[Action], names: &dyn Names) -> String {
    let mut out = String::new();
    action::list(&mut out, actions, names);
    if out.is_empty() {
        out.push_str("drop");
    }
    out
}

/// A port: its name, `LOCAL` and its like, or its number.
#[must_use]
pub fn port_text(port: PortNo, names: &dyn Names) -> String {
    let reserved = match port {
        PortNo::IN_PORT => "IN_PORT",
        PortNo::TABLE => "TABLE",
        PortNo::NORMAL => "NORMAL",
        PortNo::FLOOD => "FLOOD",
        PortNo::ALL => "ALL",
        PortNo::CONTROLLER => "CONTROLLER",
        PortNo::LOCAL => "LOCAL",
        PortNo::ANY => "ANY",
        PortNo::UNSET => "UNSET",
        _ => {
            return match names.port(port) {
                Some(name) => quoted(name),
                None => port.0.to_string(),
            };
        }
    };
    reserved.to_owned()
}

/// Some bits of a field: `NXM_NX_REG5[8..15]`.
#[must_use]
pub fn subfield_text(bits: Subfield) -> String {
    let name = header_name(bits.field);
    let last = u32::from(bits.offset) + u32::from(bits.bits) - 1;
    if bits.offset == 0 && u32::from(bits.bits) == bits.field.bits() {
        format!("{name}[]")
    } else if bits.bits == 1 {
        format!("{name}[{}]", bits.offset)
    } else {
        format!("{name}[{}..{last}]", bits.offset)
    }
}

/// A field by the name of its header, that of NXM where there is one.
fn header_name(field: Field) -> String {
    let header = field.nxm().or_else(|| field.oxm().map(|(header, _)| header));
    header.map_or_else(
        || field.name().to_owned(),
        |header| format!("{}{}", header.class.prefix(), header.name),
    )
}

/// A name as it is, or in quotes where it could be read otherwise.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.chars().all(is_plain) { name.to_owned() } else { format!("{name:?}") }
}
