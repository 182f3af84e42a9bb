//! Next hops that frames are sent to and none come from.  The kernel would believe in such a neighbour
//! for most of a minute, since packets past it confirm nothing; so it is asked to look.

use crate::plan::path::{Path, State};
use crate::underlay::Hop;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// Silent looks in a row until the neighbour is asked: tunnels may have nothing to say for a moment.
const SILENT_LOOKS_MAX: u8 = 2;

/// Frames sent to a neighbour by all tunnels, and received by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// What was counted at the last look.
#[derive(Debug, Default)]
pub struct HopProbe {
    pub(crate) looked_at: Option<Instant>,
    hops: BTreeMap<Hop, (Traffic, u8)>,
}

impl HopProbe {
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK)
    }

    /// Takes over what is counted now; the answer is who is to be asked.
    pub(crate) fn turn(&mut self, counted: BTreeMap<Hop, Traffic>) -> Vec<Hop> {
        let before = std::mem::take(&mut self.hops);
        let mut suspects = Vec::new();
        for (hop, traffic) in counted {
            let (last, silent) = before.get(&hop).copied().unwrap_or((traffic, 0));
            // Fewer than before: other tunnels lead there now.
            let silent = match (traffic.sent > last.sent, traffic.received != last.received) {
                (_, true) => 0,
                (true, false) => silent + 1,
                (false, false) => silent,
            };
            let is_suspect = silent >= SILENT_LOOKS_MAX;
            suspects.extend(is_suspect.then_some(hop));
            self.hops.insert(hop, (traffic, if is_suspect { 0 } else { silent }));
        }
        suspects
    }
}

/// Tunnels that send, and where to.
pub(crate) fn ready(paths: &BTreeMap<Uuid, Path>) -> impl Iterator<Item = (Uuid, Hop)> + '_ {
    paths.iter().filter_map(|(row, path)| {
        let State::Ready(_) = path.state else { return None };
        let hop = (path.egress.as_ref()?.ifindex, path.next_hop?);
        Some((*row, hop))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const HOPS: [Hop; 2] = [
        (1, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        (2, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
    ];

    fn look(probe: &mut HopProbe, counted: [(u64, u64); 2]) -> Vec<Hop> {
        let counted = counted.map(|(sent, received)| Traffic { sent, received });
        probe.turn(HOPS.into_iter().zip(counted).collect())
    }

    /// The first hop answers now and then, the second never; whoever has nothing to answer is no
    /// suspect.
    #[test]
    fn who_hears_and_does_not_speak_is_asked() {
        let mut probe = HopProbe::default();
        let none: Vec<Hop> = Vec::new();
        assert_eq!(look(&mut probe, [(10, 10), (10, 0)]), none, "nothing to compare with");
        assert_eq!(look(&mut probe, [(20, 10), (20, 0)]), none);
        assert_eq!(look(&mut probe, [(30, 11), (30, 0)]), [HOPS[1]]);
        assert_eq!(look(&mut probe, [(40, 11), (40, 0)]), none, "it has time to answer");
        assert_eq!(look(&mut probe, [(40, 11), (40, 0)]), none, "nothing was sent");
        assert_eq!(look(&mut probe, [(40, 11), (50, 0)]), [HOPS[1]]);
        assert_eq!(look(&mut probe, [(3, 2), (4, 1)]), none, "other tunnels");
    }
}
