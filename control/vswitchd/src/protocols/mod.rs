//! The drivers of control protocols: time and frames in, gates and flushes out.

pub mod guards;
pub mod snooping;
pub mod spanning;

use weft_protocols::PortKey;
use weft_switch::PortId;

/// What the state machines call a port.
pub(crate) const fn key_of(port: PortId) -> PortKey {
    PortKey(port.0)
}

/// The port that the state machines call so.
pub(crate) const fn port_of(key: PortKey) -> PortId {
    PortId(key.0)
}
