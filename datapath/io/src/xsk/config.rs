//! What an `AF_XDP` socket is opened with, how it turns out, and every way that opening fails.

use super::rings::Rings;
use super::umem::RegionHandle;
use std::io;
use std::os::fd::BorrowedFd;

/// Whether to use the driver's own zero-copy support.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// Where the driver has it, else copy.
    #[default]
    Auto,
    /// Do not try it.
    Never,
    /// Fail without it.
    Require,
}

/// How a socket exchanges frames with the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The device reads and writes the chunks itself.
    ZeroCopy,
    /// The kernel copies between packets and chunks.
    Copy,
}

impl Mode {
    /// The word for it in status columns: `zero-copy` or `copy`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroCopy => "zero-copy",
            Self::Copy => "copy",
        }
    }
}

/// Entries of the four rings, each a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Chunks waiting to be filled.
    pub fill: u32,
    /// Received frames.
    pub rx: u32,
    /// Frames to send.
    pub tx: u32,
    /// Sent frames.
    pub completion: u32,
}

impl Default for RingSizes {
    fn default() -> Self {
        // Received frames wait while the worker has lost its processor, and several TCP streams have thousands
        // under way then.
        Self { fill: 4096, rx: 4096, tx: 2048, completion: 2048 }
    }
}

/// What to open.
#[derive(Clone, Copy, Debug)]
pub struct XskConfig<'a> {
    /// Index of the interface, in the network namespace of the calling thread.
    pub ifindex: u32,
    /// Its name, for messages.
    pub ifname: &'a str,
    /// Number of its queue, from 0.
    pub queue_id: u32,
    /// Its MTU, to be compared with what fits a chunk.
    pub mtu: u32,
    /// The memory of the worker that will have the queue.
    pub region: RegionHandle,
    /// Sizes of the rings.
    pub rings: RingSizes,
    /// Whether to try zero-copy.
    pub zero_copy: ZeroCopy,
    /// Whether super-frames may come, as they do through generic XDP.
    pub has_superframes: bool,
}

impl<'a> XskConfig<'a> {
    /// One queue of an interface, with the usual rings and zero-copy where the driver has it.
    #[must_use]
    pub fn new(
        ifindex: u32,
        ifname: &'a str,
        queue_id: u32,
        mtu: u32,
        region: RegionHandle,
    ) -> Self {
        let (rings, zero_copy) = (RingSizes::default(), ZeroCopy::Auto);
        Self { ifindex, ifname, queue_id, mtu, region, rings, zero_copy, has_superframes: false }
    }

    /// Whether frames of this MTU do not fit one chunk.
    #[must_use]
    pub fn needs_multi_buffer(&self) -> bool {
        self.mtu > self.region.mtu_max()
    }

    /// Maps the rings of its socket.
    pub(crate) fn map_rings(&self, fd: BorrowedFd<'_>) -> Result<Rings, OpenError> {
        Rings::map(fd, self.rings).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => {
                let what = "need-wakeup (it came with kernel 5.4)";
                OpenError::NotSupported { ifname: self.ifname.to_owned(), what }
            }
            _ => self.explain("map a ring", error),
        })
    }

    /// What a refusal means that has no cause of its own.
    pub(crate) fn explain(&self, what: &'static str, source: io::Error) -> OpenError {
        let (ifname, queue_id) = (self.ifname.to_owned(), self.queue_id);
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => OpenError::NotPermitted { ifname, what },
            Some(libc::ENOBUFS | libc::ENOMEM) => OpenError::Memlock { ifname },
            _ => OpenError::Kernel { ifname, queue_id, what, source },
        }
    }
}

/// Why a queue could not be opened, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The kernel was built without `AF_XDP`.
    #[error("the kernel has no AF_XDP sockets (it needs CONFIG_XDP_SOCKETS)")]
    NoAfXdp,
    /// A capability is missing.
    #[error("{ifname}: no permission to {what}: run as root or with CAP_NET_RAW and CAP_NET_ADMIN")]
    NotPermitted {
        /// The interface.
        ifname: String,
        /// What was refused.
        what: &'static str,
    },
    /// Too much memory is locked.
    #[error(
        "{ifname}: the kernel would not lock the packet memory: raise RLIMIT_MEMLOCK \
         (LimitMEMLOCK=infinity in the unit) or give CAP_IPC_LOCK"
    )]
    Memlock {
        /// The interface.
        ifname: String,
    },
    /// Somebody else has the queue.
    #[error(
        "{ifname} queue {queue_id} is busy: another AF_XDP socket (perhaps another weftd) is \
         bound to it"
    )]
    Busy {
        /// The interface.
        ifname: String,
        /// Its queue.
        queue_id: u32,
    },
    /// Its frames do not fit a chunk.
    #[error("{ifname}: MTU {mtu} is too large for packet buffers: at most {mtu_max} works{hint}")]
    MtuTooLarge {
        /// The interface.
        ifname: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that works.
        mtu_max: u32,
        /// What else to do, or nothing.
        hint: &'static str,
    },
    /// There is no such queue.
    #[error("{ifname} has no queue {queue_id}: see `ethtool -l {ifname}` for how many it has")]
    NoSuchQueue {
        /// The interface.
        ifname: String,
        /// The queue asked for.
        queue_id: u32,
    },
    /// The interface is gone.
    #[error("{ifname}: no such interface (index {ifindex})")]
    NoSuchInterface {
        /// The interface.
        ifname: String,
        /// Its index.
        ifindex: u32,
    },
    /// The driver cannot do what was asked for.
    #[error("{ifname}: its driver does not support {what} for AF_XDP")]
    NotSupported {
        /// The interface.
        ifname: String,
        /// What is not supported.
        what: &'static str,
    },
    /// The sizes make no sense.
    #[error("ring sizes must be powers of two from 64 to 32768")]
    RingSizes,
    /// Anything else that the kernel said.
    #[error("{ifname} queue {queue_id}: cannot {what}: {source}")]
    Kernel {
        /// The interface.
        ifname: String,
        /// Its queue.
        queue_id: u32,
        /// What was refused.
        what: &'static str,
        /// With what answer.
        source: io::Error,
    },
}
