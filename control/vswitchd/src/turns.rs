//! How long the turns of the control loop take: nothing else is served meanwhile.
//!
//! What counts is the processor time of one poll of the loop, from where it wakes to where it waits again.
//! Time in which the machine did something else is not the loop's, and what other tasks of
//! the thread do while it waits is not either.

use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::time::Duration;

/// The turns of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// How many there were.
    pub count: u64,
    /// The processor time of the longest.
    pub longest: Duration,
}

/// The turns of all kinds, since the start or since they were cleared.
#[derive(Clone, Debug, Default)]
pub struct TurnLog {
    kind: Rc<Cell<&'static str>>,
    turns: Rc<RefCell<BTreeMap<&'static str, Turns>>>,
}

impl TurnLog {
    /// What the loop does from now on.
    pub fn begin(&self, kind: &'static str) {
        self.kind.set(kind);
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind.get()
    }

    /// Runs `work`, and notes how long each of its polls takes.
    pub async fn measure<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        poll_fn(move |context| {
            let began = thread_time();
            let outcome = work.as_mut().poll(context);
            self.note(thread_time().saturating_sub(began));
            outcome
        })
        .await
    }

    fn note(&self, taken: Duration) {
        let mut all = self.turns.borrow_mut();
        let turns = all.entry(self.kind.get()).or_default();
        turns.count += 1;
        turns.longest = turns.longest.max(taken);
    }

    /// By kind.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Turns> {
        self.turns.borrow().clone()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.turns.borrow_mut().clear();
    }

    /// The kind of the longest turn, and how long it took.
    #[must_use]
    pub fn longest(&self) -> (&'static str, Duration) {
        let turns = self.turns.borrow();
        let longest = turns.iter().max_by_key(|(_, turns)| turns.longest);
        longest.map_or(("none", Duration::ZERO), |(kind, turns)| (*kind, turns.longest))
    }

    /// The text of `weft/turns`.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::from("kind                 turns  longest\n");
        for (kind, Turns { count, longest }) in self.all() {
            let micros = longest.as_micros();
            let _ = writeln!(
                text,
                "{kind:<18} {count:>7} {:>4}.{:03} ms",
                micros / 1000,
                micros % 1000
            );
        }
        text
    }
}

/// The processor time that this thread has used.
fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_of_each_kind_is_kept_and_waiting_is_none() {
        let log = TurnLog::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let spin = || {
            let began = thread_time();
            while thread_time().saturating_sub(began) < Duration::from_millis(20) {}
        };
        runtime.block_on(log.measure(async {
            log.begin("quick");
            tokio::time::sleep(Duration::from_millis(40)).await;
            log.begin("long");
            spin();
            tokio::task::yield_now().await;
            spin();
            log.begin("end");
        }));
        let all = log.all();
        assert!(all["quick"].longest < Duration::from_millis(20), "{all:?}");
        assert!(all["long"].longest >= Duration::from_millis(20), "{all:?}");
        assert_eq!(all["end"].count, 1);
        assert!(log.longest().1 >= all["long"].longest);
        assert!(log.show().contains("\nlong  "), "{}", log.show());
        log.clear();
        assert_eq!(log.longest(), ("none", Duration::ZERO));
    }
}
