//! An eventfd: how a thread that sleeps in `poll` is told that there is something to do.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Wakes one sleeper.  Clones wake the same one.
#[derive(Clone, Debug)]
pub struct Waker {
    fd: Arc<OwnedFd>,
}

impl Waker {
    /// A new eventfd, non-blocking.
    ///
    /// # Errors
    ///
    /// What `eventfd(2)` says: out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { fd: Arc::new(fd) })
    }

    /// A duplicate of the descriptor, for the sleeper to poll and drain.
    ///
    /// # Errors
    ///
    /// What `dup(2)` says: out of file descriptors.
    pub fn fd(&self) -> io::Result<OwnedFd> {
        self.fd.as_fd().try_clone_to_owned()
    }

    /// The descriptor, for a sleeper that holds the waker itself.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes the descriptor readable.  Waking twice is as good as once.
    pub fn wake(&self) {
        // The only failure is a counter that is full, and then the sleeper is awake already.
        let _ = rustix::io::write(&*self.fd, &1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable again.
    pub fn drain(&self) {
        let _ = rustix::io::read(&*self.fd, &mut [0u8; 8]);
    }
}
