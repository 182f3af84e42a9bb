//! The ways of all tunnels from one look at the kernel to the next, so that traffic moves to
//! another NIC or next hop without a gap.  Pure.
//!
//! Two things take time when a way moves: the neighbour on the new one may have to be asked for,
//! and the other end may go on to use the old one.  So the old next hop serves until the new one
//! answers, and the old NIC is listened to for a while.

use crate::config::tunnel::Tunnel;
use crate::plan::path::{Nic, Path, State};
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
pub struct PathCache {
    found: BTreeMap<Ends, Way>,
    /// Those of the look before, as long as a look is taken.
    before: BTreeMap<Ends, Way>,
}

#[derive(Clone, Debug)]
struct Way {
    path: Path,
    /// The kernel's tables may lead elsewhere by now.
    is_stale: bool,
    /// Since when a next hop serves that is not the newest.
    held_since: Option<Instant>,
    /// The NICs that the kernel's tables name.
    nics: BTreeSet<Nic>,
    /// Those that the way has left, and when.
    left: BTreeMap<Nic, Instant>,
}

impl PathCache {
    /// Begins a look at all tunnels: ways that nobody asks for until its end are forgotten.
    pub fn begin(&mut self, now: Instant) {
        self.before = std::mem::take(&mut self.found);
        for way in self.before.values_mut() {
            way.is_stale |= way.is_due(now);
        }
    }

    /// Ends a look.
    pub fn end(&mut self) {
        self.before.clear();
    }

    /// Has ways looked at anew by the next look: those of `which`, given the remote end.
    pub fn invalidate(&mut self, which: impl Fn(Option<IpAddr>, &Path) -> bool) {
        for ((remote, _), way) in &mut self.found {
            way.is_stale |= which(*remote, &way.path);
        }
    }

    /// True when a look is to be taken, since the kernel's tables may lead elsewhere, or time alone
    /// has changed a way.
    #[must_use]
    pub fn is_behind(&self, now: Instant) -> bool {
        self.found.values().any(|way| way.is_stale || way.is_due(now))
    }

    /// All ways: far fewer than tunnels, when these differ in their keys.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.found.values().map(|way| &way.path)
    }

    /// The way of a tunnel.  When it is not known, or is stale, `look` finds where the kernel's tables
    /// lead to now, and something that tells whether the way of before could still be used.
    pub fn get_or<U: FnOnce(&Path) -> bool>(
        &mut self,
        tunnel: &Tunnel,
        now: Instant,
        look: impl FnOnce() -> (Path, U),
    ) -> &Path {
        let ends = (tunnel.remote, tunnel.local);
        let known = self.before.remove(&ends).or_else(|| self.found.remove(&ends));
        let way = match known {
            Some(way) if !way.is_stale => way,
            known => {
                let (fresh, is_usable) = look();
                match known {
                    Some(old) => old.followed_by(fresh, now, is_usable),
                    None => Way::new(fresh),
                }
            }
        };
        &self.found.entry(ends).or_insert(way).path
    }
}

impl Way {
    fn new(path: Path) -> Self {
        let (nics, left) = (path.nics.clone(), BTreeMap::new());
        Self { nics, path, is_stale: false, held_since: None, left }
    }

    /// True when time alone has changed it.
    fn is_due(&self, now: Instant) -> bool {
        let is_old = |at: Instant, limit| now.saturating_duration_since(at) >= limit;
        self.held_since.is_some_and(|since| is_old(since, HOLD_MAX))
            || self.left.values().any(|at| is_old(*at, LINGER))
    }

    fn followed_by(self, fresh: Path, now: Instant, is_usable: impl FnOnce(&Path) -> bool) -> Self {
        let Self { mut path, held_since, nics, mut left, .. } = self;
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
mod tests;
