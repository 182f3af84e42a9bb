//! Live frames of `BPF_PROG_TEST_RUN`: the kernel makes frames and does with them what an XDP program of two
//! instructions says, here "send them out of the interface". See the
//! kernel's `Documentation/bpf/bpf_prog_run.rst`.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;

/// `r0 = XDP_TX; exit`: two `struct bpf_insn` as 64-bit words.
const PROGRAM: [u64; 2] = [0x0000_0003_0000_00b7, 0x95];

/// `union bpf_attr` for `BPF_PROG_LOAD`, as far as needed.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// `union bpf_attr` for `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Default)]
struct RunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// `struct xdp_md`.
#[repr(C)]
#[derive(Default)]
struct XdpMd {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// The loaded program.
#[derive(Debug)]
pub struct Source {
    program: OwnedFd,
}

impl Source {
    /// Loads the program.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn new() -> io::Result<Self> {
        let mut attr = LoadAttr {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: 2,
            insns: PROGRAM.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            ..LoadAttr::default()
        };
        // SAFETY: the attribute is as the kernel defines it for this command, and what it points to is static.
        let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attr) }?;
        // SAFETY: the kernel just made this descriptor for us.
        Ok(Self { program: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Sends the frame so many times. What the receiving ring has no room for is dropped silently.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn send(&self, frame: &[u8], ifindex: u32, times: u32) -> io::Result<()> {
        let size = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let context = XdpMd { data_end: size, ingress_ifindex: ifindex, ..XdpMd::default() };
        let mut attr = RunAttr {
            prog_fd: u32::try_from(self.program.as_raw_fd()).map_err(io::Error::other)?,
            data_size_in: size,
            data_in: frame.as_ptr() as u64,
            repeat: times,
            ctx_size_in: u32::try_from(size_of::<XdpMd>()).map_err(io::Error::other)?,
            ctx_in: (&raw const context) as u64,
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            ..RunAttr::default()
        };
        // SAFETY: the attribute is as the kernel defines it for this command; frame and context are only
        // read, with the lengths given, and outlive the call.
        unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }.map(drop)
    }
}

/// The system call.
///
/// # Safety
/// `attr` must be laid out as the kernel expects for the command, and what it points to must be valid.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the caller's promise; the size is that of the attribute.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}
