//! System calls about interfaces: `ioctl` with and without a `struct ifreq`, and `ethtool`.

use super::check;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `ioctl(2)` with a `struct ifreq`.
pub(crate) fn ioctl_ifreq(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: &mut libc::ifreq,
) -> io::Result<()> {
    // SAFETY: the requests used with this take a `struct ifreq`, which outlives the call (rule 6).
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(argument)) }).map(|_| ())
}

/// `ioctl(2)` with an integer by value.
pub(crate) fn ioctl_value(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: libc::c_ulong,
) -> io::Result<()> {
    // SAFETY: the requests used with this take an integer, so no pointer is read.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) }).map(|_| ())
}

/// `ioctl(2)` with a pointer to an integer.
pub(crate) fn ioctl_int(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: &mut libc::c_int,
) -> io::Result<()> {
    // SAFETY: the requests used with this take an `int`, which outlives the call (rule 6).
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(argument)) }).map(|_| ())
}

/// `ETHTOOL_GDRVINFO`: a `struct ethtool_drvinfo`.
pub(crate) fn ethtool_driver(fd: BorrowedFd<'_>, name: &str) -> io::Result<[u8; 196]> {
    const ETHTOOL_GDRVINFO: u32 = 3;
    // SAFETY: 196 bytes are what this command writes.
    unsafe { ethtool(fd, name, ETHTOOL_GDRVINFO) }
}

/// `ETHTOOL_GSET`: a `struct ethtool_cmd`.
pub(crate) fn ethtool_settings(fd: BorrowedFd<'_>, name: &str) -> io::Result<[u8; 44]> {
    const ETHTOOL_GSET: u32 = 1;
    // SAFETY: 44 bytes are what this command writes.
    unsafe { ethtool(fd, name, ETHTOOL_GSET) }
}

/// `SIOCETHTOOL` with a structure that starts with its command.
///
/// # Safety
///
/// The kernel reads and writes no more than `SIZE` bytes for `command`, and `SIZE` is at least 4.
unsafe fn ethtool<const SIZE: usize>(
    fd: BorrowedFd<'_>,
    name: &str,
    command: u32,
) -> io::Result<[u8; SIZE]> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    let mut request = ifreq(name).ok_or(io::ErrorKind::InvalidInput)?;
    let mut answer = [0; SIZE];
    for (to, from) in answer.iter_mut().zip(command.to_ne_bytes()) {
        *to = from;
    }
    request.ifr_ifru.ifru_data = answer.as_mut_ptr().cast();
    // SAFETY: `request` and the bytes that it points at outlive the call (rule 6), and are enough by
    // what the caller says.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCETHTOOL, &raw mut request) })?;
    Ok(answer)
}

/// A `struct ifreq` of zeros with this name in it; `None` when the name is too long or empty.
pub(crate) fn ifreq(name: &str) -> Option<libc::ifreq> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.bytes().any(|byte| byte == 0) {
        return None;
    }
    // SAFETY: a structure of integers, a union of such and a pointer, which may be null.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Some(request)
}

/// The hardware address in a `struct ifreq` that the kernel filled.
pub(crate) fn ifreq_mac(request: &libc::ifreq) -> [u8; 6] {
    // SAFETY: the union starts with initialised bytes (`ifreq` zeroes it), any of which make a
    // `sockaddr`.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(address.sa_data) {
        [*to] = from.to_ne_bytes();
    }
    mac
}

/// Puts an Ethernet address into a `struct ifreq`.
pub(crate) fn set_ifreq_mac(request: &mut libc::ifreq, mac: [u8; 6]) {
    let mut address = libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: [0; 14] };
    for (to, from) in address.sa_data.iter_mut().zip(mac) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_hwaddr = address;
}

/// The name in a `struct ifreq` that the kernel filled.
pub(crate) fn ifreq_name(request: &libc::ifreq) -> String {
    let bytes: Vec<u8> = request
        .ifr_name
        .iter()
        .take_while(|&&byte| byte != 0)
        .map(|byte| {
            let [byte] = byte.to_ne_bytes();
            byte
        })
        .collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The index of an interface in this network namespace.
pub(crate) fn ifindex(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a terminated string that outlives the call (rule 6).
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}
