//! The drivers of control protocols: time and frames in, gates and flushes out.

pub mod guards;
mod settings;
pub mod snooping;
pub mod spanning;
mod tree_view;

pub use tree_view::TreeView;

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
