//! Sockets that hear what routers say of packets that were too big, or led nowhere.

use crate::sys;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// `linux/icmp.h`.
const ICMP_FILTER: libc::c_int = 1;
/// `linux/icmpv6.h`.
const ICMPV6_FILTER: libc::c_int = 1;
const UNREACHABLE: u32 = 3;
const PACKET_TOO_BIG: u32 = 2;
const UNREACHABLE_V6: u32 = 1;

/// A raw socket, non-blocking, that receives `ICMPv4` "destination unreachable" as whole IP packets
/// whose checksum is not verified yet.
///
/// # Errors
///
/// When the kernel refuses: it takes `CAP_NET_RAW`.
pub fn icmp_errors_v4() -> io::Result<OwnedFd> {
    let socket = sys::raw_socket(libc::AF_INET, libc::IPPROTO_ICMP)?;
    // A bit for each type that is kept away.
    let filter: u32 = !(1 << UNREACHABLE);
    sys::set_option(socket.as_fd(), libc::SOL_RAW, ICMP_FILTER, &filter)?;
    Ok(socket)
}

/// A raw socket, non-blocking, that receives `ICMPv6` "packet too big" and "destination unreachable",
/// from the ICMP header on, with its checksum verified.
///
/// # Errors
///
/// When the kernel refuses: it takes `CAP_NET_RAW`, and IPv6.
pub fn icmp_errors_v6() -> io::Result<OwnedFd> {
    let socket = sys::raw_socket(libc::AF_INET6, libc::IPPROTO_ICMPV6)?;
    let mut filter = [u32::MAX; 8];
    filter[0] = !(1 << PACKET_TOO_BIG | 1 << UNREACHABLE_V6);
    sys::set_option(socket.as_fd(), libc::SOL_ICMPV6, ICMPV6_FILTER, &filter)?;
    Ok(socket)
}
