//! The ways of all tunnels from one look at the kernel to the next, so that traffic moves to
//! another NIC or next hop without a gap.  Pure.
//!
//! Two things take time when a way moves: the neighbour on the new one may have to be asked for,
//! and the other end may go on to use the old one.  So the old next hop serves until the new one
//! answers, and the old NIC is listened to for a while.

use crate::tunnel_options::Tunnel;
use crate::tunnels::{Nic, Path, State};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use weft_switch::Local;

/// So long the old next hop serves while the new one is asked for.  The kernel asks three times, a
/// second apart.
const HOLD_MAX: Duration = Duration::from_secs(3);

/// So long packets are awaited on a NIC after the way has left it.
const LINGER: Duration = Duration::from_mins(1);

/// What tells ways apart: where to, and from where.
type Ends = (Option<IpAddr>, Local);

/// The ways of all tunnels.  Those that differ in nothing but their keys have one together.
#[derive(Debug, Default)]
pub struct Ways {
    found: BTreeMap<Ends, Way>,
    /// Those of the look before, as long as a look is taken.
    before: BTreeMap<Ends, Way>,
    /// What they are true of; nothing, when they have to be looked at anew.
    generation: Option<u64>,
    /// The ways of before are still true.
    is_same: bool,
}

#[derive(Clone, Debug)]
struct Way {
    path: Path,
    /// Since when a next hop serves that is not the newest.
    held_since: Option<Instant>,
    /// The NICs that the kernel's tables name.
    nics: BTreeSet<Nic>,
    /// Those that the way has left, and when.
    left: BTreeMap<Nic, Instant>,
}

impl Ways {
    /// Begins a look at the kernel's tables, which are in their `generation`: ways that nobody asks
    /// for until the next one are forgotten.
    pub fn begin(&mut self, generation: u64, now: Instant) {
        self.is_same = self.generation == Some(generation) && !self.is_due(now);
        self.generation = Some(generation);
        self.before = std::mem::take(&mut self.found);
    }

    /// Has all ways looked at anew the next time.
    pub const fn invalidate(&mut self) {
        self.generation = None;
    }

    /// True when the kernel's tables are not those that were looked at last.
    #[must_use]
    pub fn is_behind(&self, generation: u64) -> bool {
        self.generation != Some(generation)
    }

    /// The way of a tunnel, when this look has found it, or nothing has changed since the last one.
    pub fn get(&mut self, tunnel: &Tunnel) -> Option<&Path> {
        let ends = (tunnel.remote, tunnel.local);
        if self.is_same
            && let Some(way) = self.before.remove(&ends)
        {
            self.found.insert(ends, way);
        }
        self.found.get(&ends).map(|way| &way.path)
    }

    /// Takes in where the kernel's tables lead a tunnel to now; `is_usable` says whether the way of
    /// before could still be used.
    pub fn put(
        &mut self,
        tunnel: &Tunnel,
        fresh: Path,
        now: Instant,
        is_usable: impl FnOnce(&Path) -> bool,
    ) {
        let ends = (tunnel.remote, tunnel.local);
        let way = match self.before.remove(&ends) {
            Some(old) => old.followed_by(fresh, now, is_usable),
            None => Way::new(fresh),
        };
        self.found.insert(ends, way);
    }

    /// True when time alone has changed a way.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        let is_old = |at: Instant, limit| now.saturating_duration_since(at) >= limit;
        self.found.values().any(|way| {
            way.held_since.is_some_and(|since| is_old(since, HOLD_MAX))
                || way.left.values().any(|at| is_old(*at, LINGER))
        })
    }
}

impl Way {
    fn new(path: Path) -> Self {
        Self { nics: path.nics.clone(), path, held_since: None, left: BTreeMap::new() }
    }

    fn followed_by(self, fresh: Path, now: Instant, is_usable: impl FnOnce(&Path) -> bool) -> Self {
        let Self { mut path, held_since, nics, mut left } = self;
        left.extend(nics.into_iter().map(|nic| (nic, now)));
        left.retain(|nic, at| {
            !fresh.nics.contains(nic) && now.saturating_duration_since(*at) < LINGER
        });
        let mut next = Self::new(fresh);
        let since = held_since.unwrap_or(now);
        let is_held = next.path.state == State::Resolving
            && matches!(path.state, State::Ready(_))
            && path.source == next.path.source
            && now.saturating_duration_since(since) < HOLD_MAX
            && is_usable(&path);
        if is_held {
            (path.asked, path.is_held) = (next.path.asked, true);
            (next.path, next.held_since) = (path, Some(since));
        }
        next.path.nics = next.nics.iter().chain(left.keys()).cloned().collect();
        next.left = left;
        next
    }
}

#[cfg(test)]
#[path = "ways_tests.rs"]
mod tests;
