//! Requests that send packets.

use crate::Match;
use crate::action::Actions;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// A buffered packet; there never is one.
    pub buffer: Option<u32>,
    /// What the packet has beside its bytes: the ingress port, metadata, registers, the tunnel.
    pub metadata: Match,
    /// What is done with it.
    pub actions: Actions,
    /// Its bytes.
    pub packet: Box<[u8]>,
}
