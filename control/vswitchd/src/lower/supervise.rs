//! Which workers are lost: those whose thread has ended, and those that hang.
//!
//! A worker hangs when its loop does not turn while control waits for its answer, and that is its own
//! doing: for [`STUCK_AFTER`] it slept in the kernel, or it used so much processor time.  A worker that
//! wants a processor and gets none does not count, nor does time in which control itself did not
//! run: the whole process may have been stopped.
//!
//! A thread cannot be ended from outside without leaving what it holds in no state at all.  So one that
//! hangs is left alone: a new one takes its place, TAPs go over to that one at once (both read the same
//! file), and NICs have an error until the old thread moves on, ends and so closes its sockets.

use crate::host::Host;
use crate::host::kernel::Changes;
use crate::lower::Lower;
use crate::lower::workers::{LOOK, Workers};
use crate::plan::Held;
use rustix::thread::Pid;
use std::time::Duration;
use weft_switch::WorkerId;

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

/// What became of workers that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How many have a successor, which knows nothing yet.
    pub workers: u64,
    /// Some were lost, with a successor or without.
    pub has_lost: bool,
    /// Links are to be opened again.
    pub has_closed_links: bool,
}

/// Puts a new worker in the place of each that has ended or hangs.
pub fn replace_lost(lower: &mut Lower, host: &mut Host) -> Replaced {
    let lost = lower.workers.lost();
    let mut replaced = Replaced { has_lost: !lost.is_empty(), ..Replaced::default() };
    for (id, what) in &lost {
        tracing::error!("worker {} {what}: a new one takes its place", id.0);
        let before = lower.workers.hanging();
        if let Err(error) = lower.workers.replace(*id) {
            tracing::error!("worker {}: {error}: trying again", id.0);
            continue;
        }
        replaced.workers += 1;
        lower.workers.install_on(*id, &lower.snapshot);
        let is_hanging = lower.workers.hanging() > before;
        move_links(*id, is_hanging, host, &mut lower.workers);
    }
    let is_free = lower.workers.bury();
    if is_free {
        tracing::info!("a worker that hung has ended: its links are opened again");
        if lower.workers.hanging() == 0 {
            host.forget_stuck();
        }
        host.failures.retry_now();
    }
    replaced.has_closed_links = is_free || replaced.has_lost;
    replaced
}

/// Gives the links of a worker that was replaced to the new one.
fn move_links(id: WorkerId, is_hanging: bool, host: &mut Host, workers: &mut Workers) {
    let theirs = host.links.iter().filter(|(_, link)| link.workers.contains(&id));
    let names: Vec<_> = theirs.map(|(name, link)| (name.clone(), link.ifindex)).collect();
    for (name, ifindex) in names {
        let Some(link) = host.links.get(&name) else { continue };
        if let (Held::Tap, Some(tap)) = (link.held, &link.tap_device) {
            let queue = tap.queue().into();
            if let Err(error) = workers.add_queue(id.index(), link.id, queue) {
                tracing::error!("{name}: {error}");
            }
            continue;
        }
        host.links.close(&name, false, workers);
        if is_hanging {
            host.note_stuck(&name);
        }
        let device = (ifindex, name);
        host.note_devices(Changes { devices: [device].into(), ..Changes::default() });
    }
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
