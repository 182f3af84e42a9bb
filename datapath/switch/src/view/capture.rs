//! The hook for `weft capture`: off, it costs one test per batch.

use crate::{DropReason, IfaceId};

/// Which way a captured frame went, seen from the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It came in on the interface.
    Rx,
    /// It was sent out of the interface.
    Tx,
}

/// Takes copies of frames.  Must not block: a sink that is full counts what it misses.
pub trait Capture: Send {
    /// True when frames of `iface` are wanted.
    fn wants(&self, iface: IfaceId) -> bool;

    /// Notes one frame, as it looks on the wire of `iface` (inside its tunnel, for a tunnel).
    fn record(
        &mut self,
        iface: IfaceId,
        direction: Direction,
        frame: &[u8],
        dropped: Option<DropReason>,
    );
}
