//! Numbers that packets of tunnels carry.  All workers draw from them, for a receiver sees one sender.

use crate::IfaceId;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Interfaces in one part of the table.
const PART: usize = 256;

/// Interfaces there can be.
const IFACES_MAX: usize = 1 << 16;

type Part = Box<[AtomicU32; PART]>;

/// The numbers of one switch.  They outlive snapshots, and workers: a receiver that looks at sequence
/// numbers discards what goes backwards.
///
/// Every access is relaxed and has no partner: nothing but the number itself is communicated.
#[derive(Clone, Default)]
pub struct Numbers(Arc<Shared>);

struct Shared {
    /// The next identification of an outer IPv4 packet that routers may fragment: of those at most one
    /// at a time may be on its way (RFC 6864 section 4.3).
    identification: AtomicU16,
    /// The next sequence number of each GRE tunnel (RFC 2890 section 2.2), by its interface.
    sequences: [OnceLock<Part>; IFACES_MAX / PART],
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            identification: AtomicU16::new(0),
            sequences: [const { OnceLock::new() }; IFACES_MAX / PART],
        }
    }
}

impl Numbers {
    /// Lets the numbers of a tunnel begin with 0, for a new tunnel that takes over its number.
    pub fn restart(&self, tunnel: IfaceId) {
        if let Some(part) = self.part(tunnel).and_then(OnceLock::get)
            && let Some(next) = part.get(tunnel.index() % PART)
        {
            next.store(0, Ordering::Relaxed);
        }
    }

    /// Draws the next sequence number of a tunnel.
    pub(crate) fn sequence(&self, tunnel: IfaceId) -> u32 {
        self.next(tunnel).map_or(0, |next| next.fetch_add(1, Ordering::Relaxed))
    }

    /// What [`Numbers::sequence`] would say, without drawing it.
    pub(crate) fn upcoming_sequence(&self, tunnel: IfaceId) -> u32 {
        self.next(tunnel).map_or(0, |next| next.load(Ordering::Relaxed))
    }

    /// Draws the next identification.
    pub(crate) fn identification(&self) -> u16 {
        self.0.identification.fetch_add(1, Ordering::Relaxed)
    }

    /// What [`Numbers::identification`] would say, without drawing it.
    pub(crate) fn upcoming_identification(&self) -> u16 {
        self.0.identification.load(Ordering::Relaxed)
    }

    fn part(&self, tunnel: IfaceId) -> Option<&OnceLock<Part>> {
        self.0.sequences.get(tunnel.index() / PART)
    }

    fn next(&self, tunnel: IfaceId) -> Option<&AtomicU32> {
        // Allocates once for each part that has such a tunnel.
        let zeros = || Box::new([const { AtomicU32::new(0) }; PART]);
        self.part(tunnel)?.get_or_init(zeros).get(tunnel.index() % PART)
    }
}

/// Says only that there are some: how far they have come is no configuration.
impl std::fmt::Debug for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_draw_from_one_counter_and_a_new_tunnel_begins_anew() {
        let (one, tunnel) = (Numbers::default(), IfaceId(300));
        let other = one.clone();
        assert_eq!([one.sequence(tunnel), other.sequence(tunnel), one.sequence(tunnel)], [0, 1, 2]);
        assert_eq!(other.upcoming_sequence(tunnel), 3, "only looked at");
        assert_eq!(other.sequence(IfaceId(u16::MAX)), 0, "each tunnel has its own");
        one.restart(tunnel);
        one.restart(IfaceId(7));
        assert_eq!([other.sequence(tunnel), other.sequence(IfaceId(7))], [0, 0]);
        assert_eq!([one.identification(), other.identification()], [0, 1]);
        assert_eq!(one.upcoming_identification(), 2);
    }
}
