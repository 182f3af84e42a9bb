//! Faults that tests ask a worker for, to see what becomes of the others.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The thread panics.
    Panic,
    /// It waits for so long, as in a system call that does not return.
    Block(Duration),
    /// It computes for so much processor time, as in a loop without end.
    Spin(Duration),
}

impl Fault {
    #[expect(clippy::panic, reason = "it is what was asked for")]
    pub(crate) fn happen(self) {
        match self {
            Self::Panic => panic!("a test asked for it"),
            Self::Block(time) => std::thread::sleep(time),
            Self::Spin(time) => {
                let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime));
                let Ok(began) = now() else { return };
                while now().is_ok_and(|now| now.saturating_sub(began) < time) {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
