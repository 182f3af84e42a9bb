//! How long the turns of the control loop take: nothing else is served meanwhile.
//!
//! What counts is one poll of the loop, from where it wakes to where it waits for the next event: the processor time
//! that it takes, and the time that it sleeps in between since something inside it waits, as for a lock of the
//! kernel's or the answer of a worker.
//! Time in which the machine did something else is not the loop's, and what other tasks of
//! the thread do while it waits is not either.

use rustix::time::{ClockId, clock_gettime};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A shorter time in which the thread did not run is not looked into.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// The turns of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// How many there were.
    pub count: u64,
    /// The longest processor time of one.
    pub longest: Duration,
    /// The longest time that one slept; 0 where the kernel does not tell for how long threads want a processor.
    pub asleep: Duration,
}

/// The turns of all kinds, since the start or since they were cleared.
#[derive(Clone, Debug, Default)]
pub struct TurnLog {
    kind: Rc<Cell<&'static str>>,
    turns: Rc<RefCell<BTreeMap<&'static str, Turns>>>,
    delay: Rc<Delay>,
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
            let began = (Instant::now(), thread_time(), self.delay.read());
            let outcome = work.as_mut().poll(context);
            let taken = thread_time().saturating_sub(began.1);
            let elsewhere = began.0.elapsed().saturating_sub(taken);
            let asleep = if elsewhere < SLEEP_MIN {
                Duration::ZERO
            } else {
                self.asleep(elsewhere, began.2)
            };
            self.note(taken, asleep);
            outcome
        })
        .await
    }

    /// How much of this time, in which it did not run, it wanted no processor either.
    fn asleep(&self, elsewhere: Duration, before: Option<Duration>) -> Duration {
        let delayed = self.delay.read().zip(before).map(|(now, before)| now.saturating_sub(before));
        delayed.map_or(Duration::ZERO, |delayed| elsewhere.saturating_sub(delayed))
    }

    fn note(&self, taken: Duration, asleep: Duration) {
        let mut all = self.turns.borrow_mut();
        let turns = all.entry(self.kind.get()).or_default();
        turns.count += 1;
        turns.longest = turns.longest.max(taken);
        turns.asleep = turns.asleep.max(asleep);
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

    /// The kind of the turn that took the most processor time, and how much.
    #[must_use]
    pub fn longest(&self) -> (&'static str, Duration) {
        let turns = self.turns.borrow();
        let longest = turns.iter().max_by_key(|(_, turns)| turns.longest);
        longest.map_or(("none", Duration::ZERO), |(kind, turns)| (*kind, turns.longest))
    }

    /// The text of `weft/turns`.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::from("kind                 turns  longest       asleep\n");
        for (kind, Turns { count, longest, asleep }) in self.all() {
            let [longest, asleep] = [longest, asleep].map(|time| time.as_micros());
            let _ = writeln!(
                text,
                "{kind:<18} {count:>7} {:>4}.{:03} ms {:>4}.{:03} ms",
                longest / 1000,
                longest % 1000,
                asleep / 1000,
                asleep % 1000,
            );
        }
        text
    }
}

/// For how long this thread wanted a processor and had none: `/proc/thread-self/schedstat`.
#[derive(Debug, Default)]
struct Delay(OnceCell<Option<File>>);

impl Delay {
    fn read(&self) -> Option<Duration> {
        let file =
            self.0.get_or_init(|| File::open("/proc/thread-self/schedstat").ok()).as_ref()?;
        let mut bytes = [0; 96];
        let length = file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
        // Nanoseconds: on a processor, waiting for one; then how often it had one.
        text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
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
            log.begin("asleep");
            std::thread::sleep(Duration::from_millis(40));
            tokio::task::yield_now().await;
            log.begin("end");
        }));
        let all = log.all();
        assert!(all["quick"].longest < Duration::from_millis(20), "{all:?}");
        assert!(all["long"].longest >= Duration::from_millis(20), "{all:?}");
        assert_eq!(all["end"].count, 1);
        assert!(all["asleep"].asleep >= Duration::from_millis(20), "{all:?}");
        assert!(all["quick"].asleep < Duration::from_millis(20), "{all:?}");
        assert!(log.longest().1 >= all["long"].longest);
        assert!(log.show().contains("\nlong  "), "{}", log.show());
        log.clear();
        assert_eq!(log.longest(), ("none", Duration::ZERO));
    }
}
