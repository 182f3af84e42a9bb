//! `AF_XDP` sockets: the order of system calls, and what each refusal means.

use super::packet_socket;
use crate::sys;
use crate::xsk::abi::{XDP_MAX_TX_SKB_BUDGET, XDP_USE_SG};
use crate::xsk::config::{Mode, OpenError, RingSizes, XskConfig, ZeroCopy};
use crate::xsk::rings::Rings;
use crate::xsk::umem::LARGE_MTU_MAX;
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

/// A bound socket, as whoever opened it hands it over.
#[derive(Debug)]
pub struct BoundXsk {
    /// The socket.
    pub fd: OwnedFd,
    /// How it exchanges frames with the driver.
    pub mode: Mode,
    /// Descriptors that one system call sends in copy mode.
    pub tx_budget: u32,
    /// Super-frames may come, and this kernel can hand them over.
    pub takes_superframes: bool,
    /// Sends TCP super-frames past the TX ring; in copy mode, where there is one to be had.
    pub packet_socket: Option<OwnedFd>,
}

/// The steps of opening, for one configuration.
struct Opener<'a>(&'a XskConfig<'a>);

/// Opens and binds a socket, for [`crate::XskQueue::adopt`].  May wait for about a second while the queue is busy.
///
/// # Errors
///
/// See [`OpenError`].
pub fn bind_xsk(config: &XskConfig<'_>) -> Result<BoundXsk, OpenError> {
    xsk(config).map(|(bound, _)| bound)
}

/// Opens and binds a socket, and maps its rings: before the bind, since kernels of 6.1 refuse it after.
pub(crate) fn xsk(config: &XskConfig<'_>) -> Result<(BoundXsk, Rings), OpenError> {
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
            .map_err(|error| config.explain("make a ring", error))?;
    }
    let rings = config.map_rings(fd.as_fd())?;
    let budget_was_set = sys::set_option(fd.as_fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &tx).is_ok();
    let tx_budget = if budget_was_set { tx } else { TX_BUDGET_DEFAULT };
    let (mode, takes_superframes) = opener.bind(fd.as_fd())?;
    let by_packet = (mode == Mode::Copy).then(|| packet_socket(config.ifindex, false));
    let packet_socket = by_packet.and_then(Result::ok);
    Ok((BoundXsk { fd, mode, tx_budget, takes_superframes, packet_socket }, rings))
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
        self.0.explain(what, source)
    }
}

const _: () = assert!(size_of::<c_int>() == size_of::<u32>());
