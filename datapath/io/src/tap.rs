//! Internal ports: persistent TAPs, as the control thread sees them.
//!
//! The kernel hands over what its stack sends with an offload header (`IFF_VNET_HDR`): checksums not
//! filled in and TCP super-frames not cut.  [`StackQueue`] finishes both.

use crate::stack::{StackQueue, VNET_HEADER_BYTES};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Pauses between tries when another process has the TAP: it may just be ending.
const BUSY_PAUSES_MS: [u64; 5] = [10, 40, 100, 300, 500];

/// Offloads to ask for, best first: what the kernel's stack may leave undone.
const OFFLOADS: [libc::c_uint; 3] = [
    libc::TUN_F_CSUM
        | libc::TUN_F_TSO4
        | libc::TUN_F_TSO6
        | libc::TUN_F_TSO_ECN
        | libc::TUN_F_USO4
        | libc::TUN_F_USO6,
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6,
    0,
];

/// Why a TAP could not be had, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapError {
    /// The name is no interface name.
    #[error("{name:?} is no interface name: 1 to 15 bytes, no '/', ':' or spaces")]
    Name {
        /// The name.
        name: String,
    },
    /// The name is that of something else.
    #[error("{name} exists already and is no TAP: remove or rename it")]
    Taken {
        /// The name.
        name: String,
    },
    /// Another process has it.
    #[error("{name} is in use by another process (perhaps another weftd)")]
    Busy {
        /// The name.
        name: String,
    },
    /// There is no TUN/TAP driver.
    #[error("there is no /dev/net/tun: load the module `tun`, or pass the device to the container")]
    NoDevice,
    /// A capability is missing.
    #[error("{name}: no permission to make a TAP: run as root or with CAP_NET_ADMIN")]
    NotPermitted {
        /// The name.
        name: String,
    },
    /// Anything else that the kernel said.
    #[error("{name}: cannot {what}: {source}")]
    Kernel {
        /// The name.
        name: String,
        /// What was refused.
        what: &'static str,
        /// With what answer.
        source: io::Error,
    },
}

/// A TAP.  Its frames go through a [`StackQueue`].  It outlives this value and the process, with its
/// addresses, until [`Tap::remove`]; it may move to another network namespace meanwhile.
#[derive(Debug)]
pub struct Tap {
    /// With its queue: a descriptor for each would halve the number of internal ports.
    fd: Arc<OwnedFd>,
    name: String,
    adopted: bool,
    ifindex: u32,
    offloads: libc::c_uint,
}

impl Tap {
    /// Makes a TAP in the network namespace of the calling thread, or adopts the one of that name.
    /// An adopted one keeps its addresses, its state, and its MAC address unless `mac` says another.
    /// Waits for up to a second when another process has it.
    ///
    /// # Errors
    ///
    /// See [`TapError`].
    pub fn open(name: &str, mac: Option<[u8; 6]>) -> Result<Self, TapError> {
        let named = || name.to_owned();
        let bad = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace();
        if name.bytes().any(bad) || matches!(name, "." | "..") || name.contains('%') {
            return Err(TapError::Name { name: named() });
        }
        let mut request = sys::ifreq(name).ok_or_else(|| TapError::Name { name: named() })?;
        let fd =
            sys::open_device(c"/dev/net/tun").map_err(|source| match source.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDevice,
                Some(libc::EPERM | libc::EACCES) => TapError::NotPermitted { name: named() },
                _ => TapError::Kernel { name: named(), what: "open /dev/net/tun", source },
            })?;
        let adopted = sys::ifindex(name).is_some();
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or(0);
        attach(fd.as_fd(), &mut request, name)?;
        let ifindex = sys::ifindex(name).unwrap_or(0);
        let mut tap = Self { fd: Arc::new(fd), name: named(), adopted, ifindex, offloads: 0 };
        tap.set_up(mac).inspect_err(|_| tap.forget_new())?;
        Ok(tap)
    }

    fn set_up(&mut self, mac: Option<[u8; 6]>) -> Result<(), TapError> {
        let fd = self.fd.as_fd();
        let mut header_bytes = libc::c_int::try_from(VNET_HEADER_BYTES).unwrap_or(0);
        sys::ioctl_int(fd, libc::TUNSETVNETHDRSZ, &mut header_bytes)
            .map_err(|error| self.refused("set the size of its offload header", error))?;
        let offload = |flags: &libc::c_uint| {
            sys::ioctl_value(fd, libc::TUNSETOFFLOAD, libc::c_ulong::from(*flags)).is_ok()
        };
        self.offloads = OFFLOADS.into_iter().find(offload).unwrap_or(0);
        if let Some(mac) = mac
            && self.mac().ok() != Some(mac)
        {
            self.set_mac(mac).map_err(|error| self.refused("set its MAC address", error))?;
        }
        sys::ioctl_value(self.fd.as_fd(), libc::TUNSETPERSIST, 1)
            .map_err(|error| self.refused("make it persistent", error))
    }

    /// A new TAP of which the set-up failed is not left behind.
    fn forget_new(&self) {
        if !self.adopted {
            let _ = sys::ioctl_value(self.fd.as_fd(), libc::TUNSETPERSIST, 0);
        }
    }

    fn refused(&self, what: &'static str, source: io::Error) -> TapError {
        TapError::Kernel { name: self.name.clone(), what, source }
    }

    /// The name it was opened by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that it has now, wherever it is.
    ///
    /// # Errors
    ///
    /// What `ioctl` says: the interface is gone.
    pub fn current_name(&self) -> io::Result<String> {
        let mut request = sys::ifreq(&self.name).ok_or(io::ErrorKind::InvalidInput)?;
        sys::ioctl_ifreq(self.fd.as_fd(), libc::TUNGETIFF, &mut request)?;
        Ok(sys::ifreq_name(&request))
    }

    /// Whether it was there before.
    #[must_use]
    pub const fn adopted(&self) -> bool {
        self.adopted
    }

    /// Its index when it was opened, in the namespace where it was opened.
    #[must_use]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The `TUN_F_` flags that the kernel took: what its stack may leave undone.
    #[must_use]
    pub const fn offloads(&self) -> u32 {
        self.offloads
    }

    /// Its MAC address, wherever it is.
    ///
    /// # Errors
    ///
    /// What `ioctl` says.
    pub fn mac(&self) -> io::Result<[u8; 6]> {
        let mut request = sys::ifreq(&self.name).ok_or(io::ErrorKind::InvalidInput)?;
        sys::ioctl_ifreq(self.fd.as_fd(), libc::SIOCGIFHWADDR, &mut request)?;
        Ok(sys::ifreq_mac(&request))
    }

    /// Sets its MAC address, wherever it is.
    ///
    /// # Errors
    ///
    /// What `ioctl` says: no unicast address, for one.
    pub fn set_mac(&self, mac: [u8; 6]) -> io::Result<()> {
        let mut request = sys::ifreq(&self.name).ok_or(io::ErrorKind::InvalidInput)?;
        sys::set_ifreq_mac(&mut request, mac);
        sys::ioctl_ifreq(self.fd.as_fd(), libc::SIOCSIFHWADDR, &mut request)
    }

    /// Sets whether its link is up, as the other end of a cable would.
    ///
    /// # Errors
    ///
    /// What `ioctl` says.
    pub fn set_carrier(&self, up: bool) -> io::Result<()> {
        let mut value = libc::c_int::from(up);
        sys::ioctl_int(self.fd.as_fd(), libc::TUNSETCARRIER, &mut value)
    }

    /// Its one queue, for a worker.  All that are made share the frames: make one, and one again
    /// only when it was taken out of service.
    #[must_use]
    pub fn queue(&self) -> StackQueue {
        StackQueue::of_tap(Arc::clone(&self.fd), &self.name)
    }

    /// Removes the TAP from the system.  It goes when the last of its queues is closed too, so take
    /// that out of service first.
    ///
    /// # Errors
    ///
    /// What `ioctl` says.
    pub fn remove(self) -> io::Result<()> {
        sys::ioctl_value(self.fd.as_fd(), libc::TUNSETPERSIST, 0)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `TUNSETIFF`; a busy TAP is tried again for a second.
fn attach(fd: BorrowedFd<'_>, request: &mut libc::ifreq, name: &str) -> Result<(), TapError> {
    let name = name.to_owned();
    let mut pauses = BUSY_PAUSES_MS.into_iter();
    loop {
        let Err(source) = sys::ioctl_ifreq(fd, libc::TUNSETIFF, request) else { return Ok(()) };
        match source.raw_os_error() {
            Some(libc::EBUSY) => match pauses.next() {
                Some(pause_ms) => std::thread::sleep(Duration::from_millis(pause_ms)),
                None => return Err(TapError::Busy { name }),
            },
            // The kernel's word for an interface that is no TAP, among other things.
            Some(libc::EINVAL | libc::EEXIST) if sys::ifindex(&name).is_some() => {
                return Err(TapError::Taken { name });
            }
            Some(libc::EPERM | libc::EACCES) => return Err(TapError::NotPermitted { name }),
            _ => return Err(TapError::Kernel { name, what: "make the TAP", source }),
        }
    }
}
