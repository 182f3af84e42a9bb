//! Tells which workers are lost: those whose thread has ended, and those that hang.
//!
//! A worker hangs when its loop does not turn while control waits for its answer, and that is its own
//! doing: for [`STUCK_AFTER`] it slept in the kernel, or it used so much processor time.  A worker that
//! wants a processor and gets none does not count, nor does time in which control itself did not
//! run: the whole process may have been stopped.

use super::LOOK;
use rustix::thread::Pid;
use std::time::Duration;

/// How long a worker may do nothing but sleep, or compute, while control waits for it.
pub const STUCK_AFTER: Duration = Duration::from_secs(1);

/// What became of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its thread has ended, with these last words.
    Ended(String),
    /// It computes without end.
    Computes,
    /// It waits for something without end.
    Waits,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(text) => write!(f, "has ended: {text}"),
            Self::Computes => write!(f, "hangs: its loop does not turn, and computes"),
            Self::Waits => write!(f, "hangs: its loop does not turn, and waits"),
        }
    }
}

/// What was seen of a worker that owes an answer.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    rounds: u64,
    /// Processor time of its thread at the last look.
    used: Duration,
    /// Processor time since its loop turned last.
    computed: Duration,
    /// Looks since then that found it asleep.
    asleep: u32,
}

impl Watch {
    /// One look, [`LOOK`] after the last at least.
    pub(crate) fn look(&mut self, rounds: u64, thread: Option<Pid>) -> Option<Loss> {
        let signs = thread.and_then(signs)?;
        self.note(rounds, &signs)
    }

    fn note(&mut self, rounds: u64, signs: &Signs) -> Option<Loss> {
        let used = signs.used.saturating_sub(self.used);
        self.used = signs.used;
        if rounds != self.rounds {
            (self.rounds, self.computed, self.asleep) = (rounds, Duration::ZERO, 0);
            return None;
        }
        self.computed += used;
        // One that was running for a part of the time is not asleep.
        self.asleep += u32::from(signs.is_asleep && used.is_zero());
        if self.computed >= STUCK_AFTER {
            return Some(Loss::Computes);
        }
        (LOOK * self.asleep >= STUCK_AFTER).then_some(Loss::Waits)
    }
}

/// What the kernel says of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Signs {
    /// Neither running nor waiting for a processor.
    is_asleep: bool,
    used: Duration,
}

fn signs(thread: Pid) -> Option<Signs> {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    parse(&std::fs::read_to_string(path).ok()?, rustix::param::clock_ticks_per_second())
}

/// Reads `/proc/PID/task/TID/stat`: state is field 3, user and system time are fields 14 and 15.
fn parse(text: &str, ticks_per_second: u64) -> Option<Signs> {
    // The name, in parentheses, may have spaces and parentheses.
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    let is_asleep = words.next()? != "R";
    let mut times = words.skip(10);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    let total = ticks()? + ticks()?;
    let used = Duration::from_millis(total * 1000 / ticks_per_second.max(1));
    Some(Signs { is_asleep, used })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs_of(is_asleep: bool, millis: u64) -> Signs {
        Signs { is_asleep, used: Duration::from_millis(millis) }
    }

    #[test]
    fn the_state_of_a_thread_is_read() {
        let text = "12 (weft) worker) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 1 2 3";
        assert_eq!(parse(text, 100), Some(signs_of(true, 2000)));
        let text = "12 (x) R 1 2 3 4 5 6 7 8 9 10 0 1 0 0";
        assert_eq!(parse(text, 100), Some(signs_of(false, 10)));
        assert_eq!(parse("12 (x) R 1", 100), None);
        let own = signs(rustix::thread::gettid()).unwrap();
        assert!(!own.is_asleep, "who reads runs");
    }

    #[test]
    fn who_computes_for_a_second_without_a_round_is_lost() {
        let mut watch = Watch::default();
        assert_eq!(watch.note(7, &signs_of(false, 5000)), None, "the first look");
        for look in 1..10 {
            assert_eq!(watch.note(7, &signs_of(false, 5000 + look * 100)), None);
        }
        assert_eq!(watch.note(7, &signs_of(false, 6000)), Some(Loss::Computes));
    }

    #[test]
    fn who_sleeps_for_a_second_without_a_round_is_lost() {
        let mut watch = Watch::default();
        watch.note(7, &signs_of(true, 50));
        for _ in 1..10 {
            assert_eq!(watch.note(7, &signs_of(true, 50)), None);
        }
        assert_eq!(watch.note(7, &signs_of(true, 50)), Some(Loss::Waits));
    }

    #[test]
    fn who_gets_no_processor_is_not() {
        let mut watch = Watch::default();
        for _ in 0..1000 {
            assert_eq!(watch.note(7, &signs_of(false, 50)), None);
        }
    }

    #[test]
    fn a_round_clears_all() {
        let mut watch = Watch::default();
        for round in 0..100 {
            assert_eq!(watch.note(round / 9, &signs_of(true, round * 10)), None);
        }
    }
}
