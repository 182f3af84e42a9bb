//! TAPs, each test in namespaces of its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod host;

use host::{Namespace, Raw, assert_conserved, frame, ifindex, in_netns, run, worker};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use weft_io::{Chunk, QueueStats, Tap, TapError, WorkerIo, packet_queue};
use weft_switch::{BATCH_MAX, DropReason, FrameBuf, FrameIo, LinkId};
use weft_wire::frames::Spec;

const A: LinkId = LinkId(0);
const B: LinkId = LinkId(1);
const SHORTLY: Duration = Duration::from_secs(5);
const MAC: [u8; 6] = [0x02, 0xaa, 0, 0, 0, 1];

#[test]
fn a_tap_is_kept_and_adopted() {
    in_netns(|| {
        let tap = Tap::open("br0", Some(MAC)).unwrap();
        assert!(!tap.adopted());
        assert_eq!((tap.mac().unwrap(), tap.ifindex()), (MAC, ifindex("br0")));
        assert!(tap.offloads() & libc::TUN_F_TSO4 != 0);
        run("ip addr add 10.1.2.3/24 dev br0");
        run("ip link set br0 up");
        let index = tap.ifindex();
        // The process ends.
        drop(tap);
        let tap = Tap::open("br0", None).unwrap();
        assert!(tap.adopted());
        assert_eq!((tap.mac().unwrap(), tap.ifindex()), (MAC, index));
        assert!(run("ip -o addr show br0").contains("10.1.2.3/24"));
        let other = [0x02, 0xaa, 0, 0, 0, 2];
        tap.set_mac(other).unwrap();
        assert!(run("ip -o link show br0").contains("02:aa:00:00:00:02"));
        drop(tap);
        assert_eq!(Tap::open("br0", Some(MAC)).unwrap().mac().unwrap(), MAC);
        Tap::open("br0", None).unwrap().remove().unwrap();
        assert!(!run("ip -o link").contains("br0"));
    });
}

#[test]
fn every_refusal_says_why() {
    in_netns(|| {
        run("ip link add taken type veth peer name other");
        let text = |name| Tap::open(name, None).unwrap_err().to_string();
        assert_eq!(text("taken"), "taken exists already and is no TAP: remove or rename it");
        run("ip tuntap add tun0 mode tun");
        assert_eq!(text("tun0"), "tun0 exists already and is no TAP: remove or rename it");
        for name in ["", "sixteen-letters-", "a/b", "a b", "tap%d", "..", "a\0b"] {
            assert!(matches!(Tap::open(name, None), Err(TapError::Name { .. })), "{name:?}");
        }
        let tap = Tap::open("br0", None).unwrap();
        let start = Instant::now();
        assert_eq!(text("br0"), "br0 is in use by another process (perhaps another weftd)");
        assert!(start.elapsed() < Duration::from_secs(10));
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(tap);
        });
        assert!(Tap::open("br0", None).is_ok());
        ends.join().unwrap();
        // A group address is no address of an interface, and nothing new is left behind.
        assert!(Tap::open("new", Some([1, 0, 0, 0, 0, 0])).is_err());
        assert!(!run("ip -o link").contains("new"));
    });
}

fn serve(io: &mut WorkerIo, link: LinkId, tap: &Tap) {
    io.add_queue(link, tap.queue().into());
}

fn receive_one(io: &mut WorkerIo) -> Chunk {
    let mut frames = Vec::new();
    host::until("a frame", || {
        io.rx(0, &mut frames);
        !frames.is_empty()
    });
    assert_eq!(frames.len(), 1);
    frames.pop().unwrap()
}

#[test]
fn frames_go_both_ways_and_a_tap_that_is_down_takes_none() {
    in_netns(|| {
        let tap = Tap::open("br0", None).unwrap();
        let mut io = worker(64);
        serve(&mut io, A, &tap);
        for refused in 1..=2 {
            let chunk = io.copy_from(&frame(0, 60)).unwrap();
            assert!(!io.tx(A, chunk));
            assert_eq!(io.refusal(), DropReason::LinkDown);
            let stats = io.queue_stats().next().unwrap().1;
            assert_eq!((stats.tx_link_down, stats.errors), (refused, 0));
        }
        run("ip link set br0 up");
        // It is asked again after a flush, not for each frame.
        io.flush();
        let raw = Raw::open(tap.ifindex());
        for number in 0..200 {
            let len = 60 + number * 7;
            raw.send(&frame(number, len));
            let chunk = receive_one(&mut io);
            assert_eq!(chunk.bytes(), frame(number, len));
            assert_conserved(&mut io, 1);
            assert!(io.tx(A, chunk));
            io.flush();
            assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, len));
            assert_conserved(&mut io, 0);
        }
        // Longer than a chunk: dropped and counted, and the next one comes.
        run("ip link set br0 mtu 9000");
        raw.send(&frame(1, 1601));
        raw.send(&frame(2, 1600));
        let mut frames = Vec::new();
        host::until("the shorter frame", || {
            io.rx(0, &mut frames);
            !frames.is_empty()
        });
        assert_eq!(
            frames.pop().map(|chunk| {
                let ok = chunk.bytes() == frame(2, 1600);
                io.free(chunk);
                ok
            }),
            Some(true)
        );
        let stats = io.queue_stats().next().unwrap().1;
        assert_eq!((stats.rx_frames, stats.tx_frames, stats.rx_invalid), (201, 200, 1));
        assert!(io.remove_queue(A).is_some());
        assert_eq!(io.conservation().free, 64);
    });
}

/// What each queue that may have frames has: the link, and the frame.
fn receive_all(io: &mut WorkerIo) -> Vec<(LinkId, Vec<u8>)> {
    let (mut ready, mut got) = (Vec::new(), Vec::new());
    io.ready(&mut ready);
    for queue in ready {
        let mut frames = Vec::new();
        let link = io.rx(queue, &mut frames);
        for frame in frames {
            got.push((link, frame.bytes().to_vec()));
            io.free(frame);
        }
    }
    io.flush();
    got
}

/// Of many TAPs those are read that have something, and none is forgotten; one whose device is gone
/// keeps nobody awake.
#[test]
fn each_of_many_taps_is_heard() {
    in_netns(|| {
        let mut io = worker(256);
        let mut ports: Vec<_> = (0..20u16)
            .map(|number| {
                let name = format!("t{number}");
                let tap = Tap::open(&name, None).unwrap();
                serve(&mut io, LinkId(number), &tap);
                run(&format!("ip link set {name} up"));
                (LinkId(number), Raw::open(tap.ifindex()), tap)
            })
            .collect();
        let hears_all = |io: &mut WorkerIo, ports: &[(LinkId, Raw, Tap)]| {
            let mut expected: Vec<_> = ports
                .iter()
                .map(|(link, raw, _)| {
                    let bytes = frame(link.index(), 60 + link.index());
                    raw.send(&bytes);
                    (*link, bytes)
                })
                .collect();
            let mut got = Vec::new();
            host::until("all frames", || {
                got.extend(receive_all(io));
                got.len() >= ports.len()
            });
            got.sort();
            expected.sort();
            assert_eq!(got, expected);
            for (link, raw, _) in ports {
                let chunk = io.copy_from(&frame(7, 99)).unwrap();
                assert!(io.tx(*link, chunk));
                io.flush();
                assert_eq!(raw.receive(SHORTLY).unwrap(), frame(7, 99));
            }
        };
        let ready = |io: &mut WorkerIo| {
            let mut list = Vec::new();
            io.ready(&mut list);
            list.len()
        };
        hears_all(&mut io, &ports);
        assert_eq!(ready(&mut io), 0);
        // One that has something ends a sleep, and is the only one to be read.
        ports[11].1.send(&frame(1, 60));
        let start = Instant::now();
        io.wait(SHORTLY);
        assert!(start.elapsed() < SHORTLY);
        assert_eq!(ready(&mut io), 1);
        assert_eq!(receive_all(&mut io), [(LinkId(11), frame(1, 60))]);
        // Its device is gone.
        run("ip link del t5");
        let errors = |io: &WorkerIo| -> u64 { io.queue_stats().map(|(_, it)| it.errors).sum() };
        host::until("the error", || {
            receive_all(&mut io);
            errors(&io) > 0
        });
        let start = Instant::now();
        io.wait(Duration::from_millis(50));
        assert!(start.elapsed() >= Duration::from_millis(50), "it keeps the worker awake");
        for gone in [5, 5, 0] {
            let (link, _, _) = ports.remove(gone);
            assert!(io.remove_queue(link).is_some());
        }
        hears_all(&mut io, &ports);
        // Few are all read.
        for (link, _, _) in ports.drain(4..) {
            assert!(io.remove_queue(link).is_some());
        }
        hears_all(&mut io, &ports);
        assert_eq!(ready(&mut io), 4);
        assert_conserved(&mut io, 0);
    });
}

#[test]
fn it_works_on_after_it_moved_to_another_namespace() {
    in_netns(|| {
        let tap = Tap::open("br0", Some(MAC)).unwrap();
        let mut io = worker(64);
        serve(&mut io, A, &tap);
        let away = Namespace::new();
        run(&format!("ip link set br0 netns {}", away.path()));
        assert!(!run("ip -o link").contains("br0"));
        let raw = away.enter(|| {
            run("ip link set br0 up");
            Raw::open(ifindex("br0"))
        });
        let raw = raw.join().unwrap();
        raw.send(&frame(5, 80));
        let ours = receive_one(&mut io);
        assert_eq!(ours.bytes(), frame(5, 80));
        assert!(io.tx(A, ours));
        assert_eq!(raw.receive(SHORTLY).unwrap(), frame(5, 80));
        assert_eq!(tap.mac().unwrap(), MAC);
        tap.set_mac([0x02, 0xbb, 0, 0, 0, 9]).unwrap();
        assert_eq!(tap.mac().unwrap(), [0x02, 0xbb, 0, 0, 0, 9]);
        away.enter(|| run("ip link set br0 name other")).join().unwrap();
        assert_eq!(tap.current_name().unwrap(), "other");
        assert!(io.remove_queue(A).is_some());
        tap.remove().unwrap();
        assert!(!away.enter(|| run("ip -o link")).join().unwrap().contains("other"));
    });
}

/// The one's complement sum, word by word: independent of the code that fills checksums in.
fn sums_to_all_ones(pieces: &[&[u8]]) -> bool {
    let mut sum = 0u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&byte| u32::from(byte));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// Checks all checksums of a TCP or UDP frame; false for other frames.
fn verify(frame: &[u8], mtu: usize) -> bool {
    assert!(frame.len() <= 14 + mtu, "{} bytes", frame.len());
    let (addresses, protocol, l4) = match frame[12..14] {
        [0x08, 0x00] => {
            let header = usize::from(frame[14] & 15) * 4;
            assert!(sums_to_all_ones(&[&frame[14..14 + header]]), "IPv4 header checksum");
            let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
            (&frame[26..34], frame[23], &frame[14 + header..14 + total])
        }
        [0x86, 0xdd] => {
            let payload = usize::from(u16::from_be_bytes([frame[18], frame[19]]));
            (&frame[22..54], frame[20], &frame[54..54 + payload])
        }
        _ => return false,
    };
    if protocol != 6 && protocol != 17 {
        return false;
    }
    let length = u32::try_from(l4.len()).unwrap().to_be_bytes();
    assert!(sums_to_all_ones(&[addresses, &[0, protocol], &length, l4]), "L4 checksum");
    true
}

/// Moves frames between the two TAPs until told to stop; the counters of both, and how many frames
/// were verified.
fn bridge(io: &mut WorkerIo, mtu: usize, stop: &mpsc::Receiver<()>) -> (QueueStats, usize) {
    let mut frames = Vec::new();
    let mut verified = 0;
    while stop.try_recv().is_err() {
        let mut moved = 0;
        for queue in 0..2 {
            let from = io.rx(queue, &mut frames);
            assert!(frames.len() <= BATCH_MAX);
            moved += frames.len();
            assert_conserved(io, frames.len());
            for chunk in frames.drain(..) {
                verified += usize::from(verify(chunk.bytes(), mtu));
                io.tx(if from == A { B } else { A }, chunk);
            }
        }
        io.flush();
        assert_conserved(io, 0);
        if moved == 0 {
            io.wait(Duration::from_millis(20));
        }
    }
    let mut sum = QueueStats::default();
    io.queue_stats().for_each(|(_, stats)| sum.add(&stats));
    (sum, verified)
}

/// Two hosts, each a namespace with one TAP as its interface.
struct Hosts {
    left: Namespace,
    right: Namespace,
    taps: [Tap; 2],
}

impl Hosts {
    fn new(mtu: usize) -> Self {
        let (left, right) = (Namespace::new(), Namespace::new());
        let taps = [(&left, "left", 1), (&right, "right", 2)].map(|(host, name, number)| {
            let tap = Tap::open(name, None).unwrap();
            run(&format!("ip link set {name} mtu {} netns {}", mtu.max(1280), host.path()));
            let set_up = host.enter(move || {
                run("ip link set lo up");
                run(&format!("ip link set {name} up"));
                run(&format!("ip addr add 10.0.0.{number}/24 dev {name}"));
                let ipv6 = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
                std::fs::write(ipv6, "0").unwrap();
                run(&format!("ip -6 addr add fd00::{number}/64 dev {name} nodad"));
                run(&format!("ip link set {name} mtu {mtu}"));
            });
            set_up.join().unwrap();
            tap
        });
        Self { left, right, taps }
    }

    fn address(ipv6: bool) -> IpAddr {
        if ipv6 { "fd00::2".parse().unwrap() } else { "10.0.0.2".parse().unwrap() }
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// TCP from left to right; what both TAPs counted.
fn transfer(mtu: usize, ipv6: bool) -> QueueStats {
    const LEN: usize = 8 << 20;
    let hosts = Hosts::new(mtu);
    let mut io = worker(1024);
    serve(&mut io, A, &hosts.taps[0]);
    serve(&mut io, B, &hosts.taps[1]);
    let (stop, stopped) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let result = bridge(&mut io, mtu, &stopped);
        while io.remove_queue(A).or_else(|| io.remove_queue(B)).is_some() {}
        assert_eq!(io.conservation().free, 1024);
        result
    });
    let (listening, port) = mpsc::channel();
    let address = Hosts::address(ipv6);
    let server = hosts.right.enter(move || {
        let listener = TcpListener::bind(SocketAddr::new(address, 0)).unwrap();
        listening.send(listener.local_addr().unwrap()).unwrap();
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(received == content(LEN), "{} bytes came", received.len());
        run("cat /proc/net/snmp")
    });
    let port = port.recv().unwrap();
    let client = hosts.left.enter(move || {
        let mut stream = TcpStream::connect_timeout(&port, Duration::from_secs(10)).unwrap();
        // So that a worker that panicked is seen, and not waited for.
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&content(LEN)).unwrap();
    });
    client.join().unwrap();
    let snmp = server.join().unwrap();
    stop.send(()).unwrap();
    let (stats, verified) = worker.join().unwrap();
    let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().unwrap(), tcp.next().unwrap());
    let errors = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "InCsumErrors");
    assert_eq!(errors, Some(("InCsumErrors", "0")));
    assert!(verified > LEN / mtu, "{verified} frames verified");
    assert_eq!(
        (stats.rx_gso_refused, stats.rx_invalid, stats.no_chunk, stats.errors),
        (0, 0, 0, 0),
        "{stats:?}"
    );
    stats
}

#[test]
fn tcp_super_frames_are_cut_and_joined() {
    in_netns(|| {
        for ipv6 in [false, true] {
            let stats = transfer(1500, ipv6);
            // How large they are is the kernel's choice; that it makes some of eight megabytes is not.
            assert!(stats.rx_superframes > 0, "{stats:?}");
            // And joined again for the other host, which found no wrong checksum.
            assert!(stats.tx_superframes > 0, "{stats:?}");
        }
    });
}

/// TCP segments of one flow in a row, as long as the last one.
fn segments(count: u16) -> Vec<Vec<u8>> {
    const MSS: usize = 500;
    let segment = |number: u16| {
        let sequence = 1000 + u32::from(number) * u32::try_from(MSS).unwrap();
        let payload = vec![number.to_be_bytes()[1] ^ 0x5a; MSS];
        Spec { id: 7 + number, sequence, payload, option_words: 3, ..Spec::default() }.build()
    };
    (0..count).map(segment).collect()
}

/// A super-frame that the host's stack gives whole, with more segments than a batch has frames: here that
/// is nobody's choice but the test's.
#[test]
fn segments_beyond_a_batch_wait() {
    in_netns(|| {
        let tap = Tap::open("br0", None).unwrap();
        run("ip link set br0 up");
        let mut io = worker(256);
        serve(&mut io, A, &tap);
        let mut host = worker(256);
        host.add_queue(B, packet_queue(tap.ifindex(), "br0", false).unwrap().into());
        let sent = segments(48);
        for segment in &sent {
            let chunk = host.copy_from(segment).unwrap();
            assert!(host.tx(B, chunk));
        }
        host.flush();
        let mut batches = Vec::new();
        let mut got = Vec::new();
        host::until("all segments", || {
            let mut frames = Vec::new();
            io.rx(0, &mut frames);
            if !frames.is_empty() {
                batches.push(frames.len());
            }
            for chunk in frames {
                got.push(chunk.bytes().to_vec());
                io.free(chunk);
            }
            // While some wait, so does nobody else.
            let start = Instant::now();
            let left = 48 - got.len();
            if left > 0 && left < 48 {
                assert_eq!(io.conservation().pending, left);
                io.wait(Duration::from_secs(50));
                assert!(start.elapsed() < Duration::from_secs(40), "it slept");
            }
            got.len() >= 48
        });
        assert_eq!(batches, [BATCH_MAX, 48 - BATCH_MAX]);
        assert!(got == sent, "other segments than went in");
        let stats = io.queue_stats().next().unwrap().1;
        assert_eq!((stats.rx_superframes, stats.rx_segments), (1, 48), "{stats:?}");
        assert_conserved(&mut io, 0);
    });
}

/// UDP without GSO: the checksum is left to us.
#[test]
fn udp_checksums_are_completed() {
    in_netns(|| {
        let hosts = Hosts::new(1500);
        let mut io = worker(256);
        serve(&mut io, A, &hosts.taps[0]);
        serve(&mut io, B, &hosts.taps[1]);
        let (stop, stopped) = mpsc::channel();
        let worker = std::thread::spawn(move || bridge(&mut io, 1500, &stopped));
        for ipv6 in [false, true] {
            let address = SocketAddr::new(Hosts::address(ipv6), 4444);
            let server = hosts.right.enter(move || {
                let socket = UdpSocket::bind(address).unwrap();
                socket.set_read_timeout(Some(SHORTLY)).unwrap();
                move || {
                    let mut buffer = [0; 2000];
                    for len in [0usize, 1, 2, 17, 1000, 1400] {
                        let (got, from) = socket.recv_from(&mut buffer).unwrap();
                        assert_eq!(&buffer[..got], &content(len)[..]);
                        socket.send_to(&buffer[..got], from).unwrap();
                    }
                }
            });
            let echo = std::thread::spawn(server.join().unwrap());
            let client = hosts.left.enter(move || {
                let any = if ipv6 { "[::]:0" } else { "0.0.0.0:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_read_timeout(Some(SHORTLY)).unwrap();
                let mut buffer = [0; 2000];
                for len in [0usize, 1, 2, 17, 1000, 1400] {
                    socket.send_to(&content(len), address).unwrap();
                    let got = socket.recv(&mut buffer).unwrap();
                    assert_eq!(&buffer[..got], &content(len)[..]);
                }
            });
            client.join().unwrap();
            echo.join().unwrap();
        }
        stop.send(()).unwrap();
        let (stats, verified) = worker.join().unwrap();
        assert!(verified >= 24, "{verified}");
        assert!(stats.rx_checksums >= 24, "{stats:?}");
    });
}

/// UDP with GSO: one write of ten datagrams.
#[test]
fn udp_super_frames_are_cut() {
    in_netns(|| {
        let hosts = Hosts::new(1500);
        if hosts.taps[0].offloads() & libc::TUN_F_USO4 == 0 {
            eprintln!("\n*** SKIPPED: this kernel has no UDP segmentation on TAPs ***\n");
            return;
        }
        let mut io = worker(256);
        serve(&mut io, A, &hosts.taps[0]);
        serve(&mut io, B, &hosts.taps[1]);
        let (stop, stopped) = mpsc::channel();
        let worker = std::thread::spawn(move || bridge(&mut io, 1500, &stopped));
        let address = SocketAddr::new(Hosts::address(false), 4444);
        let server = hosts.right.enter(move || UdpSocket::bind(address).unwrap());
        let server = server.join().unwrap();
        server.set_read_timeout(Some(SHORTLY)).unwrap();
        let client = hosts.left.enter(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let size: libc::c_int = 500;
            let (fd, pointer) =
                (std::os::fd::AsRawFd::as_raw_fd(&socket), (&raw const size).cast());
            // SAFETY: an integer and its length, which outlive the call.
            let set = unsafe { libc::setsockopt(fd, libc::SOL_UDP, libc::UDP_SEGMENT, pointer, 4) };
            assert_eq!(set, 0);
            assert_eq!(socket.send_to(&content(4777), address).unwrap(), 4777);
        });
        client.join().unwrap();
        let mut buffer = [0; 2000];
        for piece in content(4777).chunks(500) {
            let len = server.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], piece);
        }
        stop.send(()).unwrap();
        let (stats, verified) = worker.join().unwrap();
        assert_eq!((stats.rx_superframes, stats.rx_segments, verified), (1, 10, 10), "{stats:?}");
    });
}

/// An interface that is removed from outside must not keep the worker awake.
#[test]
fn a_tap_that_is_gone_is_not_waited_for() {
    in_netns(|| {
        let tap = Tap::open("br0", None).unwrap();
        let mut io = worker(64);
        serve(&mut io, A, &tap);
        run("ip link del br0");
        io.wait(Duration::from_millis(50));
        let start = Instant::now();
        io.wait(Duration::from_millis(200));
        assert!(start.elapsed() >= Duration::from_millis(190));
        let chunk = io.copy_from(&frame(0, 60)).unwrap();
        assert!(!io.tx(A, chunk));
        let mut frames = Vec::new();
        io.rx(0, &mut frames);
        assert!(frames.is_empty());
        assert_eq!(io.conservation().free, 64);
    });
}
