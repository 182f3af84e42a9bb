//! The hook for `weft capture`: off, it costs one test per batch.

use crate::{DropReason, PortId};

/// Which way a captured frame went, seen from the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It came in on the port.
    Rx,
    /// It was sent out of the port.
    Tx,
}

/// Takes copies of frames.  Must not block: a sink that is full counts what it misses.
pub trait Capture: Send {
    /// True when frames of `port` are wanted.
    fn wants(&self, port: PortId) -> bool;

    /// Notes one frame, as it looks on the wire of `port` (inside its tunnel, for a tunnel port).
    fn record(
        &mut self,
        port: PortId,
        direction: Direction,
        frame: &[u8],
        dropped: Option<DropReason>,
    );
}
