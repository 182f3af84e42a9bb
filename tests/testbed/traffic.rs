//! Traffic that knows what should arrive.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{Host, within};

/// How long a transfer may stand still.
const STALL: Duration = Duration::from_secs(20);

/// Rows of 256 bytes that every transfer is put together of: tests are not optimised and share few
/// processors, so single bytes would cost more than the switch.
static ROWS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| (0..=255).map(|key| (0..=255).map(|low| low ^ key).collect()).collect());

/// The row that byte `index` is in; these have no period that a switch could hit by chance.
fn row(index: usize) -> &'static [u8] {
    let [_, b, c, ..] = index.to_le_bytes();
    &ROWS[usize::from(b.rotate_left(3) ^ c.wrapping_mul(29))]
}

/// Byte `index` of every transfer.
fn pattern(index: usize) -> u8 {
    row(index)[index % 256]
}

/// The bytes of a transfer in `block`, which starts with a row.
fn pattern_of(block: &Range<usize>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(block.len() + 256);
    block.clone().step_by(256).for_each(|start| bytes.extend_from_slice(row(start)));
    bytes.truncate(block.len());
    bytes
}

/// What a transfer is sent and looked at in: no part of it takes long, however slow the machine is.
const BLOCK_BYTES: usize = 1 << 18;

fn blocks(bytes: usize) -> impl Iterator<Item = Range<usize>> {
    (0..bytes).step_by(BLOCK_BYTES).map(move |start| start..bytes.min(start + BLOCK_BYTES))
}

/// A socket at an address that an earlier one had, which is closed here: a program that another test
/// is just starting may hold a copy of it for a moment.
fn bound<S>(mut bind: impl FnMut() -> io::Result<S>) -> S {
    let mut last = bind();
    let is_bound = || {
        if last.is_err() {
            last = bind();
        }
        last.is_ok()
    };
    assert!(within(Duration::from_secs(10), is_bound), "the address is not to be had");
    last.unwrap()
}

/// Sends `bytes` by TCP from a host to `address` (`IP:PORT`) of another; the answer is how long it took.
///
/// # Panics
/// It does not arrive, or other than it was sent.
#[track_caller]
pub fn tcp_transfer(from: &Host, to: &Host, address: &str, bytes: usize) -> Duration {
    let address: SocketAddr = address.parse().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let receiver = to.thread(move || {
        let listener = bound(|| TcpListener::bind(address));
        ready.send(()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(STALL)).unwrap();
        for block in blocks(bytes) {
            let mut received = vec![0; block.len()];
            let whole = stream.read_exact(&mut received);
            assert!(whole.is_ok(), "{whole:?} in {block:?} of {bytes} bytes");
            if received != pattern_of(&block) {
                let first_wrong = block.zip(received).find(|&(at, byte)| byte != pattern(at));
                panic!("first wrong byte, and what it is: {first_wrong:?}");
            }
        }
        let surplus = stream.read(&mut [0]);
        assert_eq!(surplus.ok(), Some(0), "more than {bytes} bytes, or no end");
    });
    is_ready.recv().unwrap();
    let start = Instant::now();
    let sender = from.thread(move || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
        stream.set_write_timeout(Some(STALL)).unwrap();
        for block in blocks(bytes) {
            stream.write_all(&pattern_of(&block)).unwrap();
        }
    });
    assert!(sender.join().is_ok(), "the sender of TCP to {address} failed, see above");
    assert!(receiver.join().is_ok(), "the receiver of TCP on {address} failed, see above");
    start.elapsed()
}

/// Sends `count` UDP datagrams of `bytes` to `address` of another host, which sends each back; the
/// answer is how many came back unharmed.
///
/// # Panics
/// A datagram came back altered.
#[track_caller]
#[must_use]
pub fn udp_echoes(from: &Host, to: &Host, address: &str, count: usize, bytes: usize) -> usize {
    let address: SocketAddr = address.parse().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, is_ready) = std::sync::mpsc::channel();
    let stopped = Arc::clone(&stop);
    let echo = to.thread(move || {
        let socket = bound(|| UdpSocket::bind(address));
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        ready.send(()).unwrap();
        let mut buffer = vec![0; 65536];
        while !stopped.load(Ordering::Relaxed) {
            if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), peer);
            }
        }
    });
    is_ready.recv().unwrap();
    let client = from.thread(move || {
        let socket =
            UdpSocket::bind(if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" }).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut buffer = vec![0; 65536];
        let mut returned = 0;
        for number in 0..count {
            let sent: Vec<u8> = (number..number + bytes).map(pattern).collect();
            socket.send_to(&sent, address).unwrap();
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            assert_eq!(
                buffer.get(..length),
                Some(sent.as_slice()),
                "datagram {number} was altered"
            );
            returned += 1;
        }
        returned
    });
    let returned = client.join();
    stop.store(true, Ordering::Relaxed);
    echo.join().unwrap();
    returned.expect("the UDP client failed, see above")
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams sent.
    pub sent: usize,
    /// Different datagrams that arrived.
    pub received: usize,
    /// Datagrams that arrived again.
    pub duplicates: usize,
    /// Datagrams that arrived after one that was sent later.
    pub overtaken: usize,
}

/// A steady stream of numbered UDP datagrams, so many per millisecond, until it is finished.
#[derive(Debug)]
pub struct Flow {
    stop: Arc<AtomicBool>,
    has_stopped: Arc<AtomicBool>,
    sender: JoinHandle<u32>,
    receiver: JoinHandle<[usize; 3]>,
}

impl Flow {
    /// Starts sending from a host to `address` (`IP:PORT`) of another, one datagram per millisecond.
    ///
    /// # Panics
    /// The sockets cannot be made.
    #[track_caller]
    #[must_use]
    pub fn start(from: &Host, to: &Host, address: &str) -> Self {
        Self::start_with(from, to, address, 1)
    }

    /// The same with `burst` datagrams in each millisecond.
    ///
    /// # Panics
    /// The sockets cannot be made.
    #[track_caller]
    #[must_use]
    pub fn start_with(from: &Host, to: &Host, address: &str, burst: u32) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let has_stopped = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let ended = Arc::clone(&has_stopped);
        let receiver = to.thread(move || {
            let socket = bound(|| UdpSocket::bind(address));
            // A thread that has to wait for a processor must not look like a switch that drops.
            set_socket_recv_buffer_size_force(&socket, 8 << 20).unwrap();
            // Silence for so long ends the flow, once nobody sends any more.
            socket.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
            ready.send(()).unwrap();
            let mut seen = HashSet::new();
            let (mut duplicates, mut overtaken, mut last) = (0, 0, 0);
            let mut number = [0; 4];
            loop {
                if let Ok(4) = socket.recv(&mut number) {
                    let number = u32::from_be_bytes(number);
                    duplicates += usize::from(!seen.insert(number));
                    overtaken += usize::from(number < last);
                    last = last.max(number);
                } else if ended.load(Ordering::Relaxed) {
                    break [seen.len(), duplicates, overtaken];
                }
            }
        });
        is_ready.recv().unwrap();
        let stopped = Arc::clone(&stop);
        let sender = from.thread(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let mut number = 0_u32;
            while !stopped.load(Ordering::Relaxed) {
                // A full queue of the sender's own host is no loss of the switch: it is sent again.
                for _ in 0..burst {
                    number += u32::from(socket.send_to(&number.to_be_bytes(), address).is_ok());
                }
                thread::sleep(Duration::from_millis(1));
            }
            number
        });
        Self { stop, has_stopped, sender, receiver }
    }

    /// Stops sending and waits for what is under way.
    ///
    /// # Panics
    /// A thread of the flow panicked.
    #[must_use]
    pub fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap() as usize;
        self.has_stopped.store(true, Ordering::Relaxed);
        let [received, duplicates, overtaken] = self.receiver.join().unwrap();
        Tally { sent, received, duplicates, overtaken }
    }
}
