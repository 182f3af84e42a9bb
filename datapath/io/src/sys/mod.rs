//! System calls, each behind a safe function: the one place where a pointer meets the kernel.

mod interface;

pub(crate) use interface::{
    ethtool_driver, ethtool_settings, ifindex, ifreq, ifreq_mac, ifreq_name, ioctl_ifreq,
    ioctl_int, ioctl_value, set_ifreq_mac,
};

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

/// Plain old data that the kernel may fill with any bytes.
///
/// # Safety
///
/// Every bit pattern is a value, and there is no padding that matters to the kernel.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: integers, and structures of nothing but integers (rule 6).
unsafe impl Plain for libc::c_int {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for [u32; 8] {}
// SAFETY: as above.
unsafe impl Plain for [u32; 9] {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_umem_reg {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_statistics {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_options {}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_len(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// `socket(2)`, close-on-exec.
pub(crate) fn socket(family: libc::c_int, kind: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) })
}

/// `socket(2)` for packets of one protocol, non-blocking, close-on-exec.
pub(crate) fn raw_socket(family: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    owned(unsafe { libc::socket(family, kind, protocol) })
}

/// `open(2)` of a device, read and write, non-blocking, close-on-exec.
pub(crate) fn open_device(path: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `path` is a terminated string that outlives the call (rule 6).
    owned(unsafe { libc::open(path.as_ptr(), flags) })
}

/// `setsockopt(2)`.
pub(crate) fn set_option<T: Plain>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: `value` is a `T` of the length passed, and outlives the call (rule 6).
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, length_of::<T>()) })
        .map(|_| ())
}

/// `getsockopt(2)` of a structure that the kernel may know in a shorter form: the rest is zero.
pub(crate) fn get_option<T: Plain>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<(T, usize)> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut length = length_of::<T>();
    let pointer = value.as_mut_ptr().cast();
    // SAFETY: `value` has room for the length passed, and outlives the call (rule 6).
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut length) })?;
    // SAFETY: zeroed, then partly overwritten; any bytes are a `T` (`Plain`).
    let value = unsafe { value.assume_init() };
    Ok((value, usize::try_from(length).unwrap_or(0)))
}

/// `bind(2)` of an `AF_XDP` socket.
pub(crate) fn bind_xdp(fd: BorrowedFd<'_>, address: &libc::sockaddr_xdp) -> io::Result<()> {
    let pointer = std::ptr::from_ref(address).cast();
    let length = length_of::<libc::sockaddr_xdp>();
    // SAFETY: `address` is a structure of the length passed, and outlives the call (rule 6).
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, length) }).map(|_| ())
}

/// `bind(2)` of a packet socket to an interface; `protocol` is an Ethernet type, 0 to receive nothing.
pub(crate) fn bind_packet(fd: BorrowedFd<'_>, ifindex: u32, protocol: u16) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(0),
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(ifindex).unwrap_or(0),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let pointer = std::ptr::from_ref(&address).cast();
    let length = length_of::<libc::sockaddr_ll>();
    // SAFETY: `address` is a structure of the length passed, and outlives the call (rule 6).
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, length) }).map(|_| ())
}

/// Bytes that wait in a socket to be received, and frames that it had no room for since it was
/// opened.
pub(crate) fn socket_memory(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let (words, _) = get_option::<[u32; 9]>(fd, libc::SOL_SOCKET, libc::SO_MEMINFO)?;
    let [waiting, .., drops] = words;
    Ok((waiting, drops))
}

/// Asks the kernel to send what is in the TX ring: `sendto(2)` without data.
pub(crate) fn kick_tx(fd: RawFd) -> io::Result<()> {
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: no data and no address, so no pointer is read.
    check_len(unsafe { libc::sendto(fd, std::ptr::null(), 0, flags, std::ptr::null(), 0) })
        .map(|_| ())
}

/// Asks the driver to look at the fill ring: `recvfrom(2)` without data.
pub(crate) fn kick_rx(fd: RawFd) -> io::Result<()> {
    let (flags, null) = (libc::MSG_DONTWAIT, std::ptr::null_mut());
    // SAFETY: no data and no address, so no pointer is written.
    check_len(unsafe { libc::recvfrom(fd, null, 0, flags, null.cast(), std::ptr::null_mut()) })
        .map(|_| ())
}

/// `poll(2)`; how many descriptors are ready.
pub(crate) fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<usize> {
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: `fds` has `count` elements and outlives the call (rule 6).
    let ready = check(unsafe { libc::poll(fds.as_mut_ptr(), count, timeout_ms) })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

/// Whether something waits to be read, by `poll(2)`.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
    poll(&mut fds, 0).is_ok() && fds.iter().any(|fd| fd.revents & libc::POLLIN != 0)
}

/// `read(2)`.
pub(crate) fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let pointer = buffer.as_mut_ptr().cast();
    // SAFETY: `buffer` has room for the length passed, and outlives the call (rule 6).
    check_len(unsafe { libc::read(fd, pointer, buffer.len()) })
}

/// `readv(2)` into three buffers.
pub(crate) fn read_into(fd: RawFd, buffers: [&mut [u8]; 3]) -> io::Result<usize> {
    let vectors = buffers
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
    // SAFETY: three vectors, each of a borrowed buffer and its length (rule 6).
    check_len(unsafe { libc::readv(fd, vectors.as_ptr(), 3) })
}

/// Room for what comes beside a frame: one control message.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct Control {
    bytes: [u8; 64],
    len: usize,
}

impl Control {
    /// Empty.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 64], len: 0 }
    }

    /// What came.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// `recvmsg(2)` into three buffers, and what comes beside the data into `control`.
pub(crate) fn receive_into(
    fd: RawFd,
    buffers: [&mut [u8]; 3],
    control: &mut Control,
) -> io::Result<usize> {
    let mut vectors = buffers
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
    // SAFETY: a structure of integers and pointers, which may be null.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    message.msg_control = control.bytes.as_mut_ptr().cast();
    message.msg_controllen = control.bytes.len();
    // SAFETY: three vectors, each of a borrowed buffer and its length, and a borrowed buffer for
    // control messages with its length (rule 6).
    let len = check_len(unsafe { libc::recvmsg(fd, &raw mut message, 0) })?;
    control.len = message.msg_controllen;
    Ok(len)
}

/// `writev(2)`.
pub(crate) fn write_from(fd: RawFd, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
    let count = libc::c_int::try_from(buffers.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: an `IoSlice` has the layout of an iovec, and each is of a borrowed buffer and its
    // length, which the kernel only reads (rule 6).
    check_len(unsafe { libc::writev(fd, buffers.as_ptr().cast(), count) })
}

/// A memfd of this size.
pub(crate) fn memfd(
    name: &std::ffi::CStr,
    flags: libc::c_uint,
    len_bytes: usize,
) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a terminated string that outlives the call (rule 6).
    let fd = owned(unsafe { libc::memfd_create(name.as_ptr(), flags | libc::MFD_CLOEXEC) })?;
    let length = libc::off_t::try_from(len_bytes).map_err(io::Error::other)?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), length) })?;
    Ok(fd)
}

/// A shared, readable and writable mapping that unmaps itself.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: an address and a length; who may touch the bytes is the business of those who hold it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `mmap(2)`, with all pages present.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        offset: libc::off_t,
        len_bytes: usize,
    ) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let (null, fd) = (std::ptr::null_mut(), fd.as_raw_fd());
        // SAFETY: the kernel chooses a free place, so nothing that is there is replaced.
        let start = unsafe { libc::mmap(null, len_bytes, access, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len_bytes })
    }

    /// Where it starts.
    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How long it is.
    pub(crate) const fn len_bytes(&self) -> usize {
        self.len_bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `mmap` with this length; whoever keeps pointers into it keeps it too
        // (rules 1 and 4).
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len_bytes) };
    }
}
