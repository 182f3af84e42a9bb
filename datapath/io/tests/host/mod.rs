//! A network namespace for one test, and a raw socket to speak for the host at the other end of a
//! cable.
//!
//! The namespace belongs to the thread of the test and ends with it, however that happens, so
//! nothing is left behind.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, reason = "no test binary uses all of it")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};
use weft_io::{ChunkPool, Region, RegionConfig, WorkerIo};

/// Runs `test` in a fresh network namespace.  Says loudly when it cannot; that is a failure when
/// `WEFT_REQUIRE_NETNS=1`.
pub fn in_netns(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: takes no pointers; changes the namespace of this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            let error = io::Error::last_os_error();
            let required = std::env::var_os("WEFT_REQUIRE_NETNS").is_some_and(|value| value == "1");
            assert!(!required, "cannot make a network namespace: {error}");
            eprintln!("\n*** SKIPPED: this test needs root (no network namespace: {error}) ***\n");
            return;
        }
        silence_ipv6();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// In this thread's namespace: frames that nobody asked for would be counted.
fn silence_ipv6() {
    for which in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1").unwrap();
    }
}

/// Another namespace, which ends with this value.
pub struct Namespace(std::fs::File);

impl Namespace {
    pub fn new() -> Self {
        let thread = std::thread::spawn(|| {
            // SAFETY: takes no pointers; changes the namespace of this thread alone.
            let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            silence_ipv6();
            std::fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self(thread.join().unwrap())
    }

    /// A path that other processes can open while this value lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs something in it, in a thread of its own.
    pub fn enter<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let file = self.0.try_clone().unwrap();
        std::thread::spawn(move || {
            // SAFETY: takes no pointers; changes the namespace of this thread alone.
            let done = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            work()
        })
    }
}

/// Runs a command in the namespace of this thread; its output.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A veth pair, both ends up; the indices of the ends.
pub fn cable(left: &str, right: &str) -> (u32, u32) {
    run(&format!("ip link add {left} type veth peer name {right}"));
    for end in [left, right] {
        run(&format!("ip link set {end} up"));
    }
    // Until the kernel has noticed the carrier, which takes a moment on a busy machine, it throws away
    // what packet sockets send and says that it went well.
    until("queues at both ends", || {
        [left, right]
            .iter()
            .all(|end| !run(&format!("ip -o link show {end}")).contains("qdisc noop "))
    });
    (ifindex(left), ifindex(right))
}

pub fn ifindex(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: a terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "no interface {name:?}");
    index
}

/// A packet socket on one interface.
pub struct Raw(OwnedFd);

impl Raw {
    pub fn open(ifindex: u32) -> Self {
        let protocol = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol)) };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        // SAFETY: just made, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A burst must fit.
        let bytes: libc::c_int = 64 << 20;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
        let pointer = (&raw const bytes).cast();
        // SAFETY: an integer and its length, which outlive the call.
        let set = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, 4) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).unwrap(),
            sll_protocol: protocol,
            sll_ifindex: i32::try_from(ifindex).unwrap(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
        let pointer = (&raw const address).cast();
        // SAFETY: an address of this length that outlives the call.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), pointer, length) };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        Self(fd)
    }

    pub fn send(&self, frame: &[u8]) {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            // SAFETY: a buffer and its length, which outlive the call.
            let sent =
                unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
            if usize::try_from(sent).is_ok() {
                return;
            }
            let error = io::Error::last_os_error();
            assert!(
                error.raw_os_error() == Some(libc::ENOBUFS) && Instant::now() < end,
                "send: {error}"
            );
        }
    }

    /// The next frame that came in (not those that went out here) within `timeout`.
    pub fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + timeout;
        loop {
            let mut buffer = vec![0u8; 70_000];
            // SAFETY: all zeros is an address.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            let mut length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
            let (fd, pointer) = (self.0.as_raw_fd(), buffer.as_mut_ptr().cast());
            let flags = libc::MSG_DONTWAIT;
            let address = (&raw mut from).cast();
            // SAFETY: a buffer and an address with their lengths, which outlive the call.
            let got = unsafe {
                libc::recvfrom(fd, pointer, buffer.len(), flags, address, &raw mut length)
            };
            if let Ok(len) = usize::try_from(got) {
                if from.sll_pkttype == libc::PACKET_OUTGOING {
                    continue;
                }
                buffer.truncate(len);
                return Some(buffer);
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// An eventfd: the end that wakes, and the one for the worker.
pub fn waker() -> (OwnedFd, OwnedFd) {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(fd >= 0);
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    (fd.try_clone().unwrap(), fd)
}

pub fn wake(fd: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: a buffer and its length, which outlive the call.
    let written = unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    assert_eq!(written, 8);
}

/// Memory of this many chunks.
pub fn chunks(chunks: usize) -> ChunkPool {
    Region::new(RegionConfig { chunks, ..RegionConfig::default() }).unwrap().1
}

/// The back ends of two workers with this many chunks each.
pub fn two_workers(chunks: usize) -> [WorkerIo; 2] {
    let config = RegionConfig { chunks, ..RegionConfig::default() };
    let pools = Region::for_workers(config, 2).unwrap().1;
    let io = |pool| WorkerIo::new(pool, waker().1).unwrap();
    pools.into_iter().map(io).collect::<Vec<_>>().try_into().ok().unwrap()
}

/// A back end of this many chunks, which nobody wakes.
pub fn worker(count: usize) -> WorkerIo {
    WorkerIo::new(chunks(count), waker().1).unwrap()
}

/// Every chunk is where it should be, `held` of them with the test.
pub fn assert_conserved(io: &mut WorkerIo, held: usize) {
    let places = io.conservation();
    assert_eq!(places.sum(), places.chunks, "{places:?}");
    assert_eq!(places.in_flight - places.pending, held, "{places:?}");
    assert_eq!(io.pool().audit(), io.pool().count());
}

/// An Ethernet frame of this length that says its number.
pub fn frame(number: usize, len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.extend(u32::try_from(number).unwrap().to_be_bytes());
    let filler = u8::try_from(number % 251).unwrap();
    frame.resize(len.max(18), filler);
    frame
}

/// Waits until `done`, for ten seconds at most.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}
