//! What control sees of a queue that a worker has.

use super::rings::Socket;
use crate::stats::{Gate, QueueStats, SharedStats};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};

/// How control sees the counters of a queue that a worker has.
#[derive(Clone, Debug)]
pub struct QueueWatch {
    pub(super) socket: Weak<Socket>,
    pub(super) packet_socket: Weak<OwnedFd>,
    pub(super) shared: Arc<SharedStats>,
    pub(super) gate: Arc<Gate>,
}

impl QueueWatch {
    /// For a queue that is no `AF_XDP` socket: of a packet socket, or of a TAP, which has none.
    pub(crate) const fn of_stack(
        packet_socket: Weak<OwnedFd>,
        shared: Arc<SharedStats>,
        gate: Arc<Gate>,
    ) -> Self {
        Self { socket: Weak::new(), packet_socket, shared, gate }
    }

    /// What comes in from now on waits in the kernel until [`QueueWatch::release`]; what is there by now may still be
    /// read.
    pub fn hold(&self) {
        self.gate.hold();
    }

    /// What waits is read.
    pub fn release(&self) {
        self.gate.release();
    }

    /// Calls `use_it` with the `AF_XDP` socket; `None` when it is closed, or there is none.
    pub fn with_socket<T>(&self, use_it: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        self.socket.upgrade().map(|socket| use_it(socket.fd.as_fd()))
    }

    /// The inode of the packet socket, by which `/proc/net/packet` names it; `None` when it is
    /// closed, or there is none.
    #[must_use]
    pub fn packet_socket_inode(&self) -> Option<u64> {
        let fd = self.packet_socket.upgrade()?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        std::fs::metadata(path).ok().map(|file| file.ino())
    }

    /// The counters when the worker last flushed.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.shared.read()
    }

    /// The kernel's own counters; `None` when the queue is closed, or is a TAP's.
    ///
    /// # Errors
    ///
    /// What `getsockopt` says.
    #[must_use]
    pub fn kernel_stats(&self) -> Option<io::Result<libc::xdp_statistics>> {
        self.socket.upgrade().map(|socket| socket.statistics())
    }

    /// Whether frames wait in the socket for the worker, or were taken from it and not handed on yet.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let socket = self.packet_socket.upgrade();
        let memory = socket.and_then(|fd| sys::socket_memory(fd.as_fd()).ok());
        memory.is_some_and(|(waiting, _)| waiting > 0)
            || self.with_socket(sys::is_readable).unwrap_or(false)
            || self.gate.is_reading()
    }

    /// Frames that the kernel had for the socket and had to drop, by reason: the RX ring (or the
    /// packet socket's buffer) was full, or the fill ring had no chunk for them.
    #[must_use]
    pub fn missed_frames(&self) -> [(&'static str, u64); 2] {
        let stats = self.kernel_stats().and_then(Result::ok);
        let [mut ring, buffer] =
            stats.map_or([0; 2], |stats| [stats.rx_ring_full, stats.rx_dropped]);
        if let Some(fd) = self.packet_socket.upgrade() {
            ring += sys::socket_memory(fd.as_fd()).map_or(0, |(_, drops)| u64::from(drops));
        }
        [("kernel_rx_ring", ring), ("kernel_no_buffer", buffer)]
    }
}
