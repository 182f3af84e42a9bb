//! How often things happened: `coverage/show` and `coverage/read-counter`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What happened is summed up over this time.
const SLICE: Duration = Duration::from_secs(5);

/// Slices in a minute, and minutes in an hour.
const SLICES: usize = 12;
const MINUTES: usize = 60;

/// One event.
#[derive(Clone, Debug)]
struct Counter {
    total: u64,
    /// What `total` was when the slice that runs now began.
    before: u64,
    /// Of the last minute, the newest at `Coverage::slice`.
    slices: [u64; SLICES],
    /// Of the last hour.
    minutes: [u64; MINUTES],
}

impl Default for Counter {
    fn default() -> Self {
        Self { total: 0, before: 0, slices: [0; SLICES], minutes: [0; MINUTES] }
    }
}

/// Counters by name, and their rates.
#[derive(Debug, Default)]
pub struct Coverage {
    counters: BTreeMap<&'static str, Counter>,
    /// How many slices are over.
    over: usize,
    /// When the slice that runs now began.
    began: Option<Instant>,
}

impl Coverage {
    /// Counts so many events.
    pub fn add(&mut self, name: &'static str, count: u64) {
        self.counters.entry(name).or_default().total += count;
    }

    /// The count of an event that has happened.
    #[must_use]
    pub fn total(&self, name: &str) -> Option<u64> {
        self.counters.get(name).map(|counter| counter.total)
    }

    /// Lets time pass.
    pub fn turn(&mut self, now: Instant) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let passed = now.saturating_duration_since(began).as_secs() / SLICE.as_secs();
        // After a long sleep only the last hour counts.
        let passed = passed.min((SLICES * MINUTES) as u64);
        for _ in 0..passed {
            self.end_slice();
        }
        if passed > 0 {
            self.began = Some(now);
        }
    }

    fn end_slice(&mut self) {
        let slice = self.over % SLICES;
        let minute = self.over / SLICES % MINUTES;
        for counter in self.counters.values_mut() {
            let count = counter.total - counter.before;
            counter.before = counter.total;
            if let Some(slot) = counter.slices.get_mut(slice) {
                *slot = count;
            }
            if let Some(slot) = counter.minutes.get_mut(minute) {
                *slot = if slice == 0 { count } else { *slot + count };
            }
        }
        self.over += 1;
    }

    /// The text of `coverage/show`.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = format!(
            "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash={:08x}:\n",
            self.hash()
        );
        let newest = (self.over + SLICES - 1) % SLICES;
        for (name, counter) in &self.counters {
            let slice = counter.slices.get(newest).copied().unwrap_or_default();
            let rates = [
                rate(slice, SLICE.as_secs()),
                rate(counter.slices.iter().sum(), 60),
                rate(counter.minutes.iter().sum(), 3600),
            ];
            let [seconds, minute, hour] = rates;
            let total = counter.total;
            let _ = writeln!(
                text,
                "{name:<24} {seconds:>5.1}/sec {minute:>9.3}/sec {hour:>13.4}/sec   total: {total}"
            );
        }
        text
    }

    /// A number for the events that have happened, so that runs can be compared (FNV-1a).
    fn hash(&self) -> u32 {
        let bytes = self.counters.keys().flat_map(|name| name.bytes().chain([0]));
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

/// Events for each second.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: u64, secs: u64) -> f64 {
    count as f64 / secs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(began: Instant, secs: u64) -> Instant {
        began + Duration::from_secs(secs)
    }

    #[test]
    fn rates_are_those_of_stock() {
        let began = Instant::now();
        let mut coverage = Coverage::default();
        coverage.turn(began);
        coverage.add("bridge_reconfigure", 17);
        coverage.turn(after(began, 5));
        let line = "bridge_reconfigure         3.4/sec     0.283/sec        0.0047/sec   total: 17";
        assert_eq!(coverage.show().lines().nth(1), Some(line));
        coverage.turn(after(began, 10));
        let line = "bridge_reconfigure         0.0/sec     0.283/sec        0.0047/sec   total: 17";
        assert_eq!(coverage.show().lines().nth(1), Some(line));
        coverage.turn(after(began, 65));
        let line = "bridge_reconfigure         0.0/sec     0.000/sec        0.0047/sec   total: 17";
        assert_eq!(coverage.show().lines().nth(1), Some(line));
        coverage.turn(after(began, 3700));
        let line = "bridge_reconfigure         0.0/sec     0.000/sec        0.0000/sec   total: 17";
        assert_eq!(coverage.show().lines().nth(1), Some(line));
        assert_eq!((coverage.total("bridge_reconfigure"), coverage.total("x")), (Some(17), None));
    }
}
