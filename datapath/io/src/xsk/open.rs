//! Opening a socket: the order of system calls, and what each refusal means.

use crate::sys;
use crate::xsk::abi::{
    Descriptor, PGOFF_COMPLETION_RING, PGOFF_FILL_RING, PGOFF_RX_RING, PGOFF_TX_RING,
    XDP_MAX_TX_SKB_BUDGET, XDP_USE_SG,
};
use crate::xsk::ring::MappedRing;
use crate::xsk::umem::{ClosedFlag, LARGE_MTU_MAX, RegionHandle};
use libc::{SOL_XDP, c_int};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

/// Descriptors that one `sendto` sends when the kernel cannot be told otherwise.
const TX_BUDGET_DEFAULT: u32 = 32;

/// Pauses between tries to bind to a busy queue: about a second together, since the kernel releases
/// the queue of a process that ended a little later.
const BUSY_PAUSES_MS: [u64; 7] = [10, 20, 40, 80, 150, 300, 400];

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

/// A socket and the flag that says it is closed.
#[derive(Debug)]
pub(crate) struct Socket {
    // Dropped in this order (rule 5).
    pub(crate) fd: OwnedFd,
    pub(crate) closed: ClosedFlag,
}

impl Socket {
    /// `XDP_STATISTICS`.
    pub(crate) fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        sys::get_option(self.fd.as_fd(), SOL_XDP, libc::XDP_STATISTICS).map(|(stats, _)| stats)
    }
}

/// All parts of an open queue.
pub(crate) struct Opened {
    pub(crate) rx: MappedRing<Descriptor>,
    pub(crate) tx: MappedRing<Descriptor>,
    pub(crate) fill: MappedRing<u64>,
    pub(crate) completion: MappedRing<u64>,
    pub(crate) socket: Socket,
    pub(crate) mode: Mode,
    /// Super-frames may come, and this kernel can hand them over.
    pub(crate) takes_superframes: bool,
    pub(crate) tx_budget: u32,
}

/// The steps of opening, for one configuration.
struct Opener<'a>(&'a XskConfig<'a>);

pub(crate) fn open(config: &XskConfig<'_>) -> Result<Opened, OpenError> {
    let opener = Opener(config);
    opener.check()?;
    let fd = opener.socket()?;
    opener.register(fd.as_fd())?;
    let RingSizes { fill, rx, tx, completion } = config.rings;
    let sizes = [
        (libc::XDP_UMEM_FILL_RING, fill),
        (libc::XDP_UMEM_COMPLETION_RING, completion),
        (libc::XDP_RX_RING, rx),
        (libc::XDP_TX_RING, tx),
    ];
    for (name, size) in sizes {
        sys::set_option(fd.as_fd(), SOL_XDP, name, &size)
            .map_err(|error| opener.explain("make a ring", error))?;
    }
    let (offsets, length) =
        sys::get_option::<libc::xdp_mmap_offsets>(fd.as_fd(), SOL_XDP, libc::XDP_MMAP_OFFSETS)
            .map_err(|error| opener.explain("get ring offsets", error))?;
    if length < size_of::<libc::xdp_mmap_offsets>() {
        // Kernels before 5.4 have no flags in their rings.
        return Err(opener.not_supported("need-wakeup (it came with kernel 5.4)"));
    }
    let rx = opener.map(fd.as_fd(), PGOFF_RX_RING, &offsets.rx, rx)?;
    let tx_ring = opener.map(fd.as_fd(), PGOFF_TX_RING, &offsets.tx, tx)?;
    let fill = opener.map(fd.as_fd(), PGOFF_FILL_RING, &offsets.fr, fill)?;
    let completion = opener.map(fd.as_fd(), PGOFF_COMPLETION_RING, &offsets.cr, completion)?;
    let budget_was_set = sys::set_option(fd.as_fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &tx).is_ok();
    let tx_budget = if budget_was_set { tx } else { TX_BUDGET_DEFAULT };
    let (mode, takes_superframes) = opener.bind(fd.as_fd())?;
    let socket = Socket { fd, closed: ClosedFlag::default() };
    Ok(Opened { rx, tx: tx_ring, fill, completion, socket, mode, takes_superframes, tx_budget })
}

impl Opener<'_> {
    fn ifname(&self) -> String {
        self.0.ifname.to_owned()
    }

    fn check(&self) -> Result<(), OpenError> {
        let RingSizes { fill, rx, tx, completion } = self.0.rings;
        let good = |size: u32| size.is_power_of_two() && (64..=32768).contains(&size);
        if ![fill, rx, tx, completion].into_iter().all(good) {
            return Err(OpenError::RingSizes);
        }
        if self.0.mtu > LARGE_MTU_MAX {
            return Err(self.mtu_too_large(LARGE_MTU_MAX, ""));
        }
        if self.0.needs_multi_buffer() {
            self.0.region.allow_large().map_err(|error| self.explain("get memory", error))?;
        }
        Ok(())
    }

    fn mtu_too_large(&self, mtu_max: u32, hint: &'static str) -> OpenError {
        OpenError::MtuTooLarge { ifname: self.ifname(), mtu: self.0.mtu, mtu_max, hint }
    }

    fn socket(&self) -> Result<OwnedFd, OpenError> {
        sys::socket(libc::AF_XDP, libc::SOCK_RAW).map_err(|error| match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => OpenError::NoAfXdp,
            _ => self.explain("make an AF_XDP socket", error),
        })
    }

    fn register(&self, fd: BorrowedFd<'_>) -> Result<(), OpenError> {
        let registration = self.0.region.registration();
        sys::set_option(fd, SOL_XDP, libc::XDP_UMEM_REG, &registration).map_err(|error| match error
            .raw_os_error()
        {
            Some(libc::ENOBUFS | libc::ENOMEM) => OpenError::Memlock { ifname: self.ifname() },
            _ => self.explain("register the packet memory", error),
        })
    }

    fn map<T: Copy>(
        &self,
        fd: BorrowedFd<'_>,
        place: libc::off_t,
        offsets: &libc::xdp_ring_offset,
        entries: u32,
    ) -> Result<MappedRing<T>, OpenError> {
        let len_bytes =
            usize::try_from(offsets.desc).unwrap_or(0) + entries as usize * size_of::<T>();
        sys::Mapping::new(fd, place, len_bytes)
            .and_then(|mapping| {
                MappedRing::new(mapping, offsets, entries)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
            })
            .map_err(|error| self.explain("map a ring", error))
    }

    /// Binds as well as the device and the kernel allow: how frames are exchanged, and whether super-frames
    /// come in.
    fn bind(&self, fd: BorrowedFd<'_>) -> Result<(Mode, bool), OpenError> {
        // Generic XDP copies.  Without frames in several chunks (before Linux 6.6) it is as without this.
        if self.0.has_superframes && self.bind_as(fd, libc::XDP_COPY | XDP_USE_SG).is_ok() {
            return Ok((self.mode(fd)?, true));
        }
        self.bind_plain(fd).map(|mode| (mode, false))
    }

    fn bind_plain(&self, fd: BorrowedFd<'_>) -> Result<Mode, OpenError> {
        if self.0.zero_copy != ZeroCopy::Never {
            match self.bind_as(fd, libc::XDP_ZEROCOPY) {
                Ok(()) => return self.mode(fd),
                Err(error) if self.0.zero_copy == ZeroCopy::Require => {
                    return Err(self.explain_bind(error, "zero-copy"));
                }
                // It was tried for long enough.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    return Err(self.explain_bind(error, "zero-copy"));
                }
                // What else is wrong will be so without zero-copy too, or is about zero-copy.
                Err(_) => {}
            }
        }
        match self.bind_as(fd, libc::XDP_COPY) {
            Ok(()) => self.mode(fd),
            Err(error) => Err(self.explain_bind(error, "copy mode")),
        }
    }

    /// Binds; a busy queue is tried again for about a second.
    fn bind_as(&self, fd: BorrowedFd<'_>, how: u16) -> io::Result<()> {
        let several = if self.0.needs_multi_buffer() { XDP_USE_SG } else { 0 };
        let address = libc::sockaddr_xdp {
            sxdp_family: u16::try_from(libc::AF_XDP).unwrap_or(0),
            sxdp_flags: how | libc::XDP_USE_NEED_WAKEUP | several,
            sxdp_ifindex: self.0.ifindex,
            sxdp_queue_id: self.0.queue_id,
            sxdp_shared_umem_fd: 0,
        };
        let mut pauses = BUSY_PAUSES_MS.into_iter();
        loop {
            match sys::bind_xdp(fd, &address) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    let Some(pause_ms) = pauses.next() else { return Err(error) };
                    sleep(Duration::from_millis(pause_ms));
                }
                done => return done,
            }
        }
    }

    /// What the kernel made of it.
    fn mode(&self, fd: BorrowedFd<'_>) -> Result<Mode, OpenError> {
        let (options, _) = sys::get_option::<libc::xdp_options>(fd, SOL_XDP, libc::XDP_OPTIONS)
            .map_err(|error| self.explain("ask for the mode", error))?;
        let zero_copy = options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
        Ok(if zero_copy { Mode::ZeroCopy } else { Mode::Copy })
    }

    fn not_supported(&self, what: &'static str) -> OpenError {
        OpenError::NotSupported { ifname: self.ifname(), what }
    }

    fn explain_bind(&self, error: io::Error, what: &'static str) -> OpenError {
        let (ifname, queue_id) = (self.ifname(), self.0.queue_id);
        match error.raw_os_error() {
            Some(libc::EBUSY) => OpenError::Busy { ifname, queue_id },
            Some(libc::EINVAL | libc::EOPNOTSUPP) if self.0.needs_multi_buffer() => self
                .mtu_too_large(
                    self.0.region.mtu_max(),
                    ": frames in several buffers need Linux 6.6 (XDP_USE_SG)",
                ),
            Some(libc::EINVAL) => OpenError::NoSuchQueue { ifname, queue_id },
            Some(libc::ENODEV) => OpenError::NoSuchInterface { ifname, ifindex: self.0.ifindex },
            Some(libc::EOPNOTSUPP) => self.not_supported(what),
            _ => self.explain("bind", error),
        }
    }

    fn explain(&self, what: &'static str, source: io::Error) -> OpenError {
        let (ifname, queue_id) = (self.ifname(), self.0.queue_id);
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => OpenError::NotPermitted { ifname, what },
            Some(libc::ENOBUFS | libc::ENOMEM) => OpenError::Memlock { ifname },
            _ => OpenError::Kernel { ifname, queue_id, what, source },
        }
    }
}

const _: () = assert!(size_of::<c_int>() == size_of::<u32>());
