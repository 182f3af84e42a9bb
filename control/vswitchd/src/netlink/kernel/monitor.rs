//! Notifications of the kernel's tables.

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::io;
use tokio::io::unix::AsyncFd;

/// Multicast groups of rtnetlink: links, neighbours, IPv4 and IPv6 addresses, routes and rules.
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];

/// Bytes of notifications that may wait for us before the kernel throws some away.
const NOTICES_BYTES: usize = 4 << 20;

/// `ENOBUFS`: notifications were lost.
const NO_BUFFERS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

/// The notifications.
pub struct Monitor(AsyncFd<Socket>);

impl Monitor {
    /// Joins the groups.  Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        // Best effort: too small a buffer means a dump more often.
        let _ = socket.set_rx_buf_sz(NOTICES_BYTES);
        socket.set_non_blocking(true)?;
        Ok(Self(watched(socket)?))
    }

    /// One datagram of notifications, if one is there already; otherwise as [`Monitor::next`].
    ///
    /// # Errors
    /// As [`Monitor::next`].
    pub fn take(&self) -> io::Result<Option<Vec<u8>>> {
        match self.0.get_ref().recv_from_full() {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Vec::new())),
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for notifications and returns one datagram of them; `None` when some were lost and
    /// the tables have to be read anew.  Loses nothing when it is dropped while it waits.
    ///
    /// # Errors
    /// When the socket fails in another way.
    pub async fn next(&self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| socket.get_ref().recv_from_full()) {
                Ok(Ok((bytes, _))) => return Ok(Some(bytes)),
                Ok(Err(error)) if error.raw_os_error() == Some(NO_BUFFERS) => return Ok(None),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

/// A descriptor that tokio watches.
///
/// # Errors
/// When it cannot be watched.
#[expect(deprecated, reason = "its successor is unsafe; these descriptors are owned and stay")]
pub fn watched<T: std::os::fd::AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}
