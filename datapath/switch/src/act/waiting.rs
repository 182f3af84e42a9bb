//! Frames that wait for the next hop of their tunnel.

use crate::{IfaceId, Meta};

/// Frames that wait for the next hop of one tunnel, at most.  As the kernel's
/// `net.ipv4.neigh.*.unres_qlen`, it is enough for the first packets of a conversation.
pub const WAITING_PER_TUNNEL_MAX: usize = 16;

/// Frames that wait for next hops, at most, over all tunnels.
pub const WAITING_MAX: usize = 256;

/// Those of one worker.
pub(crate) struct Waiting<F> {
    frames: Vec<(IfaceId, Meta, F)>,
    /// Tunnels of which the next hop is to be found.
    wanted: Vec<IfaceId>,
}

impl<F> Default for Waiting<F> {
    fn default() -> Self {
        Self { frames: Vec::with_capacity(WAITING_MAX), wanted: Vec::with_capacity(WAITING_MAX) }
    }
}

impl<F> Waiting<F> {
    /// Keeps a frame, and asks for the next hop of its tunnel; gives the frame back when too many wait.
    pub(crate) fn keep(&mut self, iface: IfaceId, meta: &Meta, frame: F) -> Result<(), F> {
        if !self.wanted.contains(&iface) && self.wanted.len() < WAITING_MAX {
            self.wanted.push(iface);
        }
        let of_tunnel = self.frames.iter().filter(|(other, ..)| *other == iface).count();
        if of_tunnel < WAITING_PER_TUNNEL_MAX && self.frames.len() < WAITING_MAX {
            self.frames.push((iface, *meta, frame));
            Ok(())
        } else {
            Err(frame)
        }
    }

    /// Takes those out for whose tunnel `is_over` is true, in their order.
    pub(crate) fn take(&mut self, is_over: impl Fn(IfaceId) -> bool) -> Vec<(IfaceId, Meta, F)> {
        self.frames.extract_if(.., |(iface, ..)| is_over(*iface)).collect()
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.frames.len()
    }

    /// The tunnels whose next hops were asked for since the last call.
    pub(crate) fn take_wanted(&mut self) -> impl Iterator<Item = IfaceId> + '_ {
        self.wanted.drain(..)
    }
}
