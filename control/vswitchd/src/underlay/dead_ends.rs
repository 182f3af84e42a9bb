//! Tunnels of which the underlay says that their packets lead nowhere.  A hint (RFC 1122 section
//! 3.2.2.1): packets are sent as before, or nobody would notice when it is over.  Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// It is over when nobody has said so for this long.  Routers say it again every few seconds while
/// packets come.
pub const SAID_FOR: Duration = Duration::from_secs(5);

/// What is said, by the row of the tunnel's interface.
#[derive(Debug, Default)]
pub struct DeadEnds {
    said: BTreeMap<Uuid, (&'static str, Instant)>,
    /// Of which something else is said than when they were asked for last.
    changed: BTreeSet<Uuid>,
}

impl DeadEnds {
    /// Takes over what is said of a tunnel.
    pub fn note(&mut self, tunnel: Uuid, why: &'static str, now: Instant) {
        let before = self.said.insert(tunnel, (why, now));
        if before.is_none_or(|(before, _)| before != why) {
            self.changed.insert(tunnel);
        }
    }

    /// What is said of a tunnel, in words for the operator.
    #[must_use]
    pub fn text(&self, tunnel: &Uuid) -> Option<String> {
        self.said.get(tunnel).map(|(why, _)| format!("{why}, says the underlay"))
    }

    /// Forgets what has not been said again.  Returns the tunnels of which something else is said than
    /// the last time, or nothing any more.
    pub fn turn(&mut self, now: Instant) -> BTreeSet<Uuid> {
        let is_over = |at: Instant| now.saturating_duration_since(at) >= SAID_FOR;
        let over = self.said.extract_if(.., |_, (_, at)| is_over(*at));
        self.changed.extend(over.map(|(tunnel, _)| tunnel));
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_counts_until_it_is_said_no_more() {
        let (mut ends, start) = (DeadEnds::default(), Instant::now());
        let [one, other] = [1, 2].map(Uuid::from_u128);
        ends.note(one, "host unreachable", start);
        ends.note(other, "prohibited", start);
        assert_eq!(ends.turn(start), [one, other].into());
        let later = start + SAID_FOR / 2;
        ends.note(one, "host unreachable", later);
        assert!(ends.turn(later).is_empty(), "no news");
        let text = Some("host unreachable, says the underlay".to_owned());
        assert_eq!(ends.text(&one), text);
        assert_eq!(ends.turn(start + SAID_FOR), [other].into());
        assert_eq!((ends.text(&one), ends.text(&other)), (text, None));
        assert_eq!(ends.turn(later + SAID_FOR), [one].into());
        assert!(ends.turn(later + SAID_FOR).is_empty());
    }
}
