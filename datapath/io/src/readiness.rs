//! Which of many TAPs have something to read.
//!
//! An `AF_XDP` ring is looked at for the price of a load; a TAP that has nothing costs a system call.
//! With thousands of internal ports a worker would do nothing else.

use rustix::event::{Timespec, epoll};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use weft_switch::LinkId;

/// Descriptors that one look finds, at most; the next look goes on with the others.
const FOUND_MAX: usize = 64;

/// An epoll instance.
pub(crate) struct Readiness(OwnedFd);

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Looks at this descriptor as well, under the number of its link.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, link: LinkId) {
        let number = epoll::EventData::new_u64(u64::from(link.0));
        // It can fail for want of memory, or when it is there already, which is as good.
        let _ = epoll::add(&self.0, fd, number, epoll::EventFlags::IN);
    }

    /// Does so no longer.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        // It may not have been there.
        let _ = epoll::delete(&self.0, fd);
    }

    /// Readable when some descriptor is.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Calls `found` with each link that has something to read; true for one in an error state.
    pub(crate) fn look(&self, mut found: impl FnMut(LinkId, bool)) {
        let mut events = [const { MaybeUninit::uninit() }; FOUND_MAX];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Interrupted: the next look finds them.
        let Ok((events, _)) = epoll::wait(&self.0, &mut events, Some(&now)) else { return };
        for event in events {
            let (data, flags) = (event.data, event.flags);
            let is_failed = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            found(LinkId(u16::try_from(data.u64()).unwrap_or(u16::MAX)), is_failed);
        }
    }
}
