//! Packet sockets.

use crate::stack::packet::{PACKET_AUXDATA, SOL_PACKET};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

// Of `linux/if_packet.h`, which `libc` has in part.
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Bytes that may wait for the worker, as the kernel counts them: about 8000 small frames.
const RECEIVE_BYTES: libc::c_int = 16 << 20;

/// Bytes that may wait for the device.
const SEND_BYTES: libc::c_int = 8 << 20;

/// Opens and binds a socket on an interface, for [`crate::StackQueue::of_packet_socket`].  It sends; with `receives` it also
/// gets what comes in, but not what others send there.
///
/// # Errors
///
/// What the kernel says: no permission, no such interface.
pub fn packet_socket(ifindex: u32, receives: bool) -> io::Result<OwnedFd> {
    let fd = sys::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK)?;
    for option in [PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING] {
        sys::set_option(fd.as_fd(), SOL_PACKET, option, &1)?;
    }
    set_room(fd.as_fd(), [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF], RECEIVE_BYTES)?;
    set_room(fd.as_fd(), [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF], SEND_BYTES)?;
    let protocol = if receives { libc::ETH_P_ALL } else { 0 };
    let protocol = u16::try_from(protocol).unwrap_or(0);
    sys::bind_packet(fd.as_fd(), ifindex, protocol)?;
    Ok(fd)
}

/// The first of two options is for those who may exceed the system's limit.
fn set_room(fd: BorrowedFd<'_>, options: [libc::c_int; 2], bytes: libc::c_int) -> io::Result<()> {
    let [beyond, within] = options;
    sys::set_option(fd, libc::SOL_SOCKET, beyond, &bytes)
        .or_else(|_| sys::set_option(fd, libc::SOL_SOCKET, within, &bytes))
}
