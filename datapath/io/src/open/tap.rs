//! TAPs: made or adopted, set up, and kept when this process ends.

use crate::stack::VNET_HEADER_BYTES;
use crate::sys;
use crate::tap::{TapError, mac_of, set_mac_of};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// A TAP, as whoever opened it hands it over.
#[derive(Debug)]
pub struct OpenTap {
    /// Its queue.
    pub fd: OwnedFd,
    /// Whether it was there before.
    pub adopted: bool,
    /// Its index where it was opened.
    pub ifindex: u32,
    /// The `TUN_F_` flags that the kernel took.
    pub offloads: libc::c_uint,
}

/// Makes a TAP, or adopts the one of that name, for [`crate::Tap::over`]; see [`crate::Tap::open`].
///
/// # Errors
///
/// See [`TapError`].
pub fn tap(name: &str, mac: Option<[u8; 6]>) -> Result<OpenTap, TapError> {
    let named = || name.to_owned();
    let bad = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace();
    if name.bytes().any(bad) || matches!(name, "." | "..") || name.contains('%') {
        return Err(TapError::Name { name: named() });
    }
    let mut request = sys::ifreq(name).ok_or_else(|| TapError::Name { name: named() })?;
    let fd = sys::open_device(c"/dev/net/tun").map_err(|source| match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDevice,
        Some(libc::EPERM | libc::EACCES) => TapError::NotPermitted { name: named() },
        _ => TapError::Kernel { name: named(), what: "open /dev/net/tun", source },
    })?;
    let adopted = sys::ifindex(name).is_some();
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or(0);
    attach(fd.as_fd(), &mut request, name)?;
    let ifindex = sys::ifindex(name).unwrap_or(0);
    let set_up = set_up(fd.as_fd(), name, mac);
    // A new TAP of which the set-up failed is not left behind.
    if set_up.is_err() && !adopted {
        let _ = sys::ioctl_value(fd.as_fd(), libc::TUNSETPERSIST, 0);
    }
    Ok(OpenTap { offloads: set_up?, fd, adopted, ifindex })
}

/// Sets it up; which offloads the kernel took.
fn set_up(fd: BorrowedFd<'_>, name: &str, mac: Option<[u8; 6]>) -> Result<libc::c_uint, TapError> {
    let refused = |what, source| TapError::Kernel { name: name.to_owned(), what, source };
    let mut header_bytes = libc::c_int::try_from(VNET_HEADER_BYTES).unwrap_or(0);
    sys::ioctl_int(fd, libc::TUNSETVNETHDRSZ, &mut header_bytes)
        .map_err(|error| refused("set the size of its offload header", error))?;
    let offload = |flags: &libc::c_uint| {
        sys::ioctl_value(fd, libc::TUNSETOFFLOAD, libc::c_ulong::from(*flags)).is_ok()
    };
    let offloads = OFFLOADS.into_iter().find(offload).unwrap_or(0);
    if let Some(mac) = mac
        && mac_of(fd, name).ok() != Some(mac)
    {
        set_mac_of(fd, name, mac).map_err(|error| refused("set its MAC address", error))?;
    }
    sys::ioctl_value(fd, libc::TUNSETPERSIST, 1)
        .map_err(|error| refused("make it persistent", error))?;
    Ok(offloads)
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
