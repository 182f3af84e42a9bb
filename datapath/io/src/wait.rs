//! Waiting for frames or for a wake-up.

use crate::sys;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The descriptors that a worker sleeps on, kept between calls so that waiting allocates nothing.
pub(crate) struct Waiter {
    waker: OwnedFd,
    fds: Vec<libc::pollfd>,
}

impl Waiter {
    /// `waker` is an eventfd (or a pipe): readable means "wake up".
    pub(crate) const fn new(waker: OwnedFd) -> Self {
        Self { waker, fds: Vec::new() }
    }

    /// Makes room for this many queues.
    pub(crate) fn reserve(&mut self, queues: usize) {
        self.fds.reserve(queues.saturating_add(1));
    }

    /// Blocks until one of `queues` is readable, the waker is (which is drained), or the time is
    /// up.  A queue without a descriptor is not waited for.  Calls `failed` with the position of
    /// each queue whose descriptor is in an error state.
    pub(crate) fn wait(
        &mut self,
        queues: impl Iterator<Item = Option<i32>>,
        timeout: Duration,
        mut failed: impl FnMut(usize),
    ) {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        self.fds.clear();
        self.fds.push(entry(self.waker.as_raw_fd()));
        // poll(2) ignores an entry with a negative descriptor.
        self.fds.extend(queues.map(|fd| entry(fd.unwrap_or(-1))));
        // Rounded up: a timeout of less than a millisecond must not become a busy loop.
        let timeout_ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // An error here (a signal, no memory) is a wake-up like any other.
        if sys::poll(&mut self.fds, timeout_ms).unwrap_or(0) == 0 {
            return;
        }
        let Some((waker, queues)) = self.fds.split_first() else { return };
        if waker.revents != 0 {
            let mut count = [0; 8];
            let _ = sys::read(waker.fd, &mut count);
        }
        let error = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
        for (position, queue) in queues.iter().enumerate() {
            if queue.revents & error != 0 {
                failed(position);
            }
        }
    }
}
