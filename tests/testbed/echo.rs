//! Echo requests, each of them known.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, ipproto, socket};

/// Between two requests.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long after the last request an answer may come, once there was one: a switch on a busy machine
/// may have to wait for a processor.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same as long as there was none.
const PATIENCE_WITHOUT_ANSWER: Duration = Duration::from_secs(1);

/// Tells those who run side by side in one namespace apart.
static NEXT_ID: AtomicU16 = AtomicU16::new(0);

/// Sends `count` echo requests to `target`; the answer is how many of them were answered.
///
/// Other than ping(8), which listens for no longer than two round trips after its last request: on a busy
/// machine that is sooner than the last answers come.
pub(crate) fn echoes(target: IpAddr, count: u16) -> u32 {
    let [pid, _, _, _] = std::process::id().to_le_bytes();
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed) ^ u16::from(pid) << 8;
    let socket = icmp_socket(target);
    let mut answered = HashSet::new();
    let mut sent = 0;
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if sent < count && now >= next {
            // A route that is not there yet is an answer that does not come.
            let _ = socket.send_to(&request(target, id, sent), SocketAddr::new(target, 0));
            (sent, next) = (sent + 1, now + INTERVAL);
        }
        let patience = if answered.is_empty() { PATIENCE_WITHOUT_ANSWER } else { PATIENCE };
        let end = if sent < count { next } else { next + patience };
        if sent == count && (answered.len() == usize::from(count) || now >= end) {
            break;
        }
        let wait = end.saturating_duration_since(now).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).unwrap();
        let mut bytes = [0; 2048];
        if let Ok((len, from)) = socket.recv_from(&mut bytes)
            && from.ip() == target
        {
            answered.extend(answer(target, bytes.get(..len).unwrap_or_default(), id));
        }
    }
    u32::try_from(answered.len()).unwrap()
}

fn icmp_socket(target: IpAddr) -> UdpSocket {
    let (family, protocol) = match target {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    socket(family, SocketType::RAW, Some(protocol)).expect("a raw socket, as root").into()
}

fn request(target: IpAddr, id: u16, number: u16) -> Vec<u8> {
    let [id_high, id_low] = id.to_be_bytes();
    let [high, low] = number.to_be_bytes();
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0, id_high, id_low, high, low];
    message.resize(64, 0x5a);
    if target.is_ipv4() {
        // The kernel does it for IPv6.
        let words = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum: u32 = words.sum();
        // 64 bytes cannot carry more than once.
        let sum = !u16::try_from((sum + (sum >> 16)) & 0xffff).unwrap();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// The number of the request that this packet answers.
fn answer(target: IpAddr, packet: &[u8], id: u16) -> Option<u16> {
    // IPv4 comes with its header.
    let header_bytes = if target.is_ipv4() { usize::from(packet.first()? & 0xf) * 4 } else { 0 };
    let &[kind, _, _, _, id_high, id_low, high, low] = packet.get(header_bytes..)?.first_chunk()?;
    let is_answer = kind == if target.is_ipv4() { 0 } else { 129 };
    (is_answer && u16::from_be_bytes([id_high, id_low]) == id)
        .then(|| u16::from_be_bytes([high, low]))
}
