//! Links that cannot be opened, and when they are tried again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A link that could not be opened is tried again after so long,
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// and not before so many times as long as trying took have passed: with thousands of ports it may
/// take long, and be in vain.
const RETRY_SHARE: u32 = 100;

/// Links that cannot be opened, by name.
#[derive(Debug)]
pub struct Failures {
    /// The number of the device, and why.
    now: BTreeMap<String, (u32, String)>,
    /// What had failed when it was tried again.
    before: BTreeMap<String, (u32, String)>,
    retried_at: Instant,
    pause: Duration,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            now: BTreeMap::new(),
            before: BTreeMap::new(),
            retried_at: Instant::now(),
            pause: RETRY_AFTER,
        }
    }
}

impl Failures {
    /// Those that failed when they were tried last.
    #[must_use]
    pub const fn all(&self) -> &BTreeMap<String, (u32, String)> {
        &self.now
    }

    /// Records that a link cannot be opened for now.  The same reason is logged once.
    pub fn note(&mut self, name: &str, ifindex: u32, text: String) {
        let failure = (ifindex, text);
        if self.before.remove(name).as_ref() != Some(&failure) {
            tracing::warn!("{name}: {}", failure.1);
        }
        self.now.insert(name.to_owned(), failure);
    }

    /// One is tried again at once: something else is wanted of it.
    pub fn forgive(&mut self, name: &str) {
        self.now.remove(name);
    }

    /// All are tried again in the next reconciliation.
    pub const fn retry_now(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// When they are to be tried again, if there are some.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        (!self.now.is_empty()).then(|| self.retried_at + self.pause)
    }

    /// True when they are to be tried again.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| now > due)
    }

    /// They are tried again from now on.
    pub fn begin(&mut self, now: Instant) {
        (self.before, self.retried_at) = (std::mem::take(&mut self.now), now);
    }

    /// Trying is over: the longer it took, the longer the pause.
    pub fn end(&mut self, now: Instant) {
        let taken = now.saturating_duration_since(self.retried_at);
        self.pause = RETRY_AFTER.max(taken * RETRY_SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_and_later_when_trying_took_long() {
        let mut failures = Failures::default();
        let start = failures.retried_at;
        assert_eq!(failures.due(), None);
        failures.note("a", 1, "busy".to_owned());
        failures.note("b", 2, "busy".to_owned());
        assert!(!failures.is_due(start + RETRY_AFTER));
        let later = start + RETRY_AFTER + Duration::from_millis(1);
        assert!(failures.is_due(later));
        failures.begin(later);
        assert!(failures.all().is_empty() && failures.due().is_none());
        failures.note("a", 1, "busy".to_owned());
        failures.end(later + Duration::from_secs(1));
        assert_eq!(failures.due(), Some(later + Duration::from_secs(100)));
        failures.retry_now();
        assert_eq!(failures.due(), Some(later));
        failures.forgive("a");
        assert_eq!(failures.due(), None);
    }
}
