//! Internal ports: persistent TAPs, as the control thread sees them.
//!
//! The kernel hands over what its stack sends with an offload header (`IFF_VNET_HDR`): checksums not
//! filled in and TCP super-frames not cut.  [`StackQueue`] finishes both.

use crate::open::{self, OpenTap};
use crate::stack::StackQueue;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

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
        Ok(Self::over(name, open::tap(name, mac)?))
    }

    /// A TAP that somebody has opened, by its name there.
    #[must_use]
    pub fn over(name: &str, OpenTap { fd, adopted, ifindex, offloads }: OpenTap) -> Self {
        Self { fd: Arc::new(fd), name: name.to_owned(), adopted, ifindex, offloads }
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
        mac_of(self.fd.as_fd(), &self.name)
    }

    /// Sets its MAC address, wherever it is.
    ///
    /// # Errors
    ///
    /// What `ioctl` says: no unicast address, for one.
    pub fn set_mac(&self, mac: [u8; 6]) -> io::Result<()> {
        set_mac_of(self.fd.as_fd(), &self.name, mac)
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

/// The MAC address of a TAP by its descriptor.
pub(crate) fn mac_of(fd: BorrowedFd<'_>, name: &str) -> io::Result<[u8; 6]> {
    let mut request = sys::ifreq(name).ok_or(io::ErrorKind::InvalidInput)?;
    sys::ioctl_ifreq(fd, libc::SIOCGIFHWADDR, &mut request)?;
    Ok(sys::ifreq_mac(&request))
}

/// Sets it.
pub(crate) fn set_mac_of(fd: BorrowedFd<'_>, name: &str, mac: [u8; 6]) -> io::Result<()> {
    let mut request = sys::ifreq(name).ok_or(io::ErrorKind::InvalidInput)?;
    sys::set_ifreq_mac(&mut request, mac);
    sys::ioctl_ifreq(fd, libc::SIOCSIFHWADDR, &mut request)
}
