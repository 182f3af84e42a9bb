//! Next hops that frames are sent to and none come from.  The kernel would believe in such a neighbour
//! for most of a minute, since packets past it confirm nothing; so it is asked to look.

use crate::engine::Engine;
use crate::tunnels::State;
use crate::workers::WorkerError;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weft_switch::PortId;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// Silent looks in a row until the neighbour is asked: tunnels may have nothing to say for a moment.
const SILENT_LOOKS_MAX: u8 = 2;

/// A neighbour: the number of its device, and its address.
type Hop = (u32, IpAddr);

/// Frames sent to a neighbour by all tunnels, and received by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    sent: u64,
    received: u64,
}

/// What was counted at the last look.
#[derive(Debug, Default)]
pub struct Silence {
    looked_at: Option<Instant>,
    hops: BTreeMap<Hop, (Traffic, u8)>,
}

impl Silence {
    fn is_due(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK)
    }

    /// Takes over what is counted now; the answer is who is to be asked.
    fn turn(&mut self, now: Instant, counted: BTreeMap<Hop, Traffic>) -> Vec<Hop> {
        self.looked_at = Some(now);
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

impl Engine {
    /// Has the kernel look after next hops that are silent, every now and then.
    ///
    /// # Errors
    /// When a worker is stuck.
    pub fn probe_silent_hops(&mut self, now: Instant) -> Result<(), WorkerError> {
        if !self.silence.is_due(now) {
            return Ok(());
        }
        let ways: Vec<(PortId, Hop)> = self.ready_ways().collect();
        let mut counted = BTreeMap::<Hop, Traffic>::new();
        if !ways.is_empty() {
            let ports: Vec<_> = ways.iter().map(|(port, _)| *port).collect();
            let counters = self.workers.port_counters(&ports.into())?;
            for (port, hop) in &ways {
                let traffic = counted.entry(*hop).or_default();
                let of_port = counters.get(port);
                traffic.sent += of_port.map_or(0, |counters| counters.tx_frames);
                traffic.received += of_port.map_or(0, |counters| counters.rx_frames);
            }
        }
        for (ifindex, next_hop) in self.silence.turn(now, counted) {
            if let Err(error) = self.kernel.probe_neighbour(ifindex, next_hop) {
                tracing::debug!("asking whether {next_hop} is still there: {error}");
            }
        }
        Ok(())
    }

    /// Tunnels that send, and where to.
    fn ready_ways(&self) -> impl Iterator<Item = (PortId, Hop)> + '_ {
        self.paths.iter().filter_map(|(row, path)| {
            let State::Ready(_) = path.state else { return None };
            let hop = (path.egress.as_ref()?.ifindex, path.next_hop?);
            Some((self.ids.port(row)?, hop))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOPS: [Hop; 2] = [
        (1, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        (2, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
    ];

    fn look(silence: &mut Silence, counted: [(u64, u64); 2]) -> Vec<Hop> {
        let counted = counted.map(|(sent, received)| Traffic { sent, received });
        silence.turn(Instant::now(), HOPS.into_iter().zip(counted).collect())
    }

    /// The first hop answers now and then, the second never; whoever has nothing to answer is no
    /// suspect.
    #[test]
    fn who_hears_and_does_not_speak_is_asked() {
        let mut silence = Silence::default();
        let none: Vec<Hop> = Vec::new();
        assert_eq!(look(&mut silence, [(10, 10), (10, 0)]), none, "nothing to compare with");
        assert_eq!(look(&mut silence, [(20, 10), (20, 0)]), none);
        assert_eq!(look(&mut silence, [(30, 11), (30, 0)]), [HOPS[1]]);
        assert_eq!(look(&mut silence, [(40, 11), (40, 0)]), none, "it has time to answer");
        assert_eq!(look(&mut silence, [(40, 11), (40, 0)]), none, "nothing was sent");
        assert_eq!(look(&mut silence, [(40, 11), (50, 0)]), [HOPS[1]]);
        assert_eq!(look(&mut silence, [(3, 2), (4, 1)]), none, "other tunnels");
    }
}
