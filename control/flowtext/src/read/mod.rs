//! Text into values.

mod action;
mod error;
mod field;
mod matching;
mod value;
mod words;

pub use error::ReadError;

use crate::Names;
use weft_flow::{Action, Match, PortNo};

/// Reads a match: `tcp,in_port=1,nw_dst=10.0.0.0/8`.  `port` finds ports by their names.
///
/// # Errors
/// The first thing that cannot be read, in the words of `ovs-ofctl`.
pub fn match_from(text: &str, names: &dyn Names) -> Result<Match, ReadError> {
    matching::read(text, names)
}

/// Reads a list of actions without `actions=`: `push_vlan:0x8100,output:5`; `drop` for none.
///
/// # Errors
/// The first thing that cannot be read.
pub fn actions_from(text: &str, names: &dyn Names) -> Result<Vec<Action>, ReadError> {
    action::read(text, names)
}

/// Reads a port: `LOCAL` and its like, a number, or a name.
#[must_use]
pub fn port_from(text: &str, names: &dyn Names) -> Option<PortNo> {
    let reserved = match text.to_ascii_uppercase().as_str() {
        "IN_PORT" => PortNo::IN_PORT,
        "TABLE" => PortNo::TABLE,
        "NORMAL" => PortNo::NORMAL,
        "FLOOD" => PortNo::FLOOD,
        "ALL" => PortNo::ALL,
        "CONTROLLER" => PortNo::CONTROLLER,
        "LOCAL" => PortNo::LOCAL,
        "ANY" | "NONE" => PortNo::ANY,
        "UNSET" => PortNo::UNSET,
        _ => return number_or_name(text, names),
    };
    Some(reserved)
}

/// Numbers of 16 bits have the reserved ones at their end; 32 bits have room for all between.
fn number_or_name(text: &str, names: &dyn Names) -> Option<PortNo> {
    let Some(number) = value::number(text) else {
        return names.port_number(text.trim_matches('"'));
    };
    let number = u32::try_from(number).ok()?;
    match u16::try_from(number) {
        Ok(narrow) => Some(PortNo::from_u16(narrow)),
        Err(_) if PortNo(number).to_u16().is_some() => Some(PortNo(number)),
        Err(_) => None,
    }
}
