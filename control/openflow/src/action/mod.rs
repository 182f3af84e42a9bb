//! Actions on the wire: the standard ones of all versions, and Nicira's.
//!
//! An action is a type, a length that is a multiple of 8, and a body; type 0xffff has an
//! experimenter and a subtype first.  [`decode`] makes one form of all encodings; [`encode`] says
//! each action as Open vSwitch does in a version.

mod bits;
mod check;
mod decode;
mod encode;
mod legacy;
mod nicira;
mod set;
mod standard;
mod verify;

pub use check::{Limits, check};
pub(crate) use decode::{Context, list};
pub(crate) use verify::{Outer, Place, verify, verify_set};

use weft_flow::action::Actions;
use weft_flow::request::Refusal;
use weft_flow::{Action, TlvMap, Version};

/// Reads a list of actions, as buckets and packet-outs have it.
///
/// # Errors
/// Types, lengths, arguments or an order that cannot be.
pub fn decode(bytes: &[u8], version: Version, tlvs: &TlvMap) -> Result<Actions, Refusal> {
    let actions = list(bytes, Context::new(version, tlvs))?;
    verify(&actions, Place::Actions, Outer::None)?;
    Ok(actions)
}

/// Writes a list of actions.  What a version cannot say is left out.
pub fn encode(actions: &[Action], version: Version, tlvs: &TlvMap, out: &mut Vec<u8>) {
    encode::list(actions, Context::new(version, tlvs), out);
}
