//! `AF_XDP` sockets over veth pairs, each test in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod host;

use host::{
    Raw, assert_conserved, cable, frame, in_netns, run, two_workers, until, wake, waker, worker,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_ebpf::{AttachConfig, Attached, Object, Role};
use weft_io::{Mode, OpenError, Queue, WorkerIo, XskConfig, XskQueue, ZeroCopy};
use weft_switch::{DropReason, FrameBuf, FrameIo, LinkId};

const A: LinkId = LinkId(0);
const B: LinkId = LinkId(3);
const SHORTLY: Duration = Duration::from_secs(5);

fn attach(ifname: &str, ifindex: u32) -> Attached {
    let config = AttachConfig {
        object: &Arc::new(Object::load(false).unwrap()),
        queues: 1,
        ifindex,
        ifname,
        role: Role::Port,
        pin: None,
        frags_first: false,
    };
    Attached::attach(&config).unwrap()
}

fn open(io: &WorkerIo, ifname: &str, ifindex: u32) -> XskQueue {
    XskQueue::open(&XskConfig::new(ifindex, ifname, 0, 1500, io.region())).unwrap()
}

/// Attaches the program, opens queue 0 and takes it into service.
fn serve(io: &mut WorkerIo, link: LinkId, ifname: &str, ifindex: u32) -> Attached {
    let mut attached = attach(ifname, ifindex);
    let queue = open(io, ifname, ifindex);
    attached.set_socket(0, queue.fd()).unwrap();
    io.add_queue(link, queue.into());
    attached
}

/// Receives until `count` frames are there.
fn receive(io: &mut WorkerIo, queue: usize, count: usize) -> Vec<weft_io::Chunk> {
    let mut frames = Vec::new();
    until("frames to arrive", || {
        io.rx(queue, &mut frames);
        frames.len() >= count
    });
    frames
}

/// Takes this link out of service and gets everything back.
fn retire(io: &mut WorkerIo, link: LinkId) {
    while let Some(queue) = io.remove_queue(link) {
        drop(queue);
    }
    io.reclaim();
}

#[test]
fn frames_come_in_and_go_out_unchanged() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(512);
        let _program = serve(&mut io, A, "a0", port);
        assert_conserved(&mut io, 0);
        let raw = Raw::open(host);
        let lengths = [18, 60, 61, 64, 128, 1000, 1513, 1514];
        for (number, len) in lengths.into_iter().cycle().take(400).enumerate() {
            raw.send(&frame(number, len));
            let mut frames = receive(&mut io, 0, 1);
            assert_conserved(&mut io, 1);
            let echo = frames.pop().unwrap();
            assert_eq!(echo.bytes(), frame(number, len));
            assert!(echo.headroom_bytes() >= weft_switch::HEADROOM_BYTES);
            assert!(io.tx(A, echo));
            io.flush();
            assert_conserved(&mut io, 0);
            assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, len));
        }
        let (link, stats) = io.queue_stats().next().unwrap();
        assert_eq!((link, stats.rx_frames, stats.tx_frames), (A, 400, 400));
        let silent = |name: &str| !matches!(name, "rx_frames" | "tx_frames" | "tx_kicks");
        assert!(stats.named().all(|(name, value)| value == 0 || !silent(name)), "{stats:?}");
        retire(&mut io, A);
        assert_conserved(&mut io, 0);
        assert_eq!(io.conservation().free, 512);
    });
}

/// The same chunk goes from one socket to the other, longer or shorter than it came.
#[test]
fn a_frame_moves_between_links_and_its_header_in_place() {
    in_netns(|| {
        let (left, left_host) = cable("a0", "a1");
        let (right, right_host) = cable("b0", "b1");
        let mut io = worker(1024);
        let _left = serve(&mut io, A, "a0", left);
        let _right = serve(&mut io, B, "b0", right);
        assert!(io.has_link(A) && io.has_link(B) && !io.has_link(LinkId(1)));
        let (sender, receiver) = (Raw::open(left_host), Raw::open(right_host));
        let outer: Vec<u8> = (0..58).map(|byte| byte ^ 0x5a).collect();
        for number in 0..3000 {
            sender.send(&frame(number, 60 + number % 1390));
            let mut frames = receive(&mut io, 0, 1);
            let mut moved = frames.pop().unwrap();
            let before = moved.bytes().as_ptr();
            moved.prepend(outer.len()).unwrap().copy_from_slice(&outer);
            assert_eq!(moved.bytes().as_ptr().wrapping_add(outer.len()), before);
            assert!(io.tx(B, moved));
            io.flush();
            let mut expected = outer.clone();
            expected.extend(frame(number, 60 + number % 1390));
            assert_eq!(receiver.receive(SHORTLY).unwrap(), expected);
            // And back, without it.
            receiver.send(&expected);
            let mut back = receive(&mut io, 1, 1).pop().unwrap();
            assert!(back.trim_front(outer.len()));
            assert!(io.tx(A, back));
            io.flush();
            assert_eq!(sender.receive(SHORTLY).unwrap(), frame(number, 60 + number % 1390));
            assert_conserved(&mut io, 0);
        }
    });
}

/// Nothing is lost, doubled or put out of order, and no chunk is in two places.
#[test]
fn a_socket_moves_between_workers_with_all_that_is_on_its_rings() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let [mut from, mut to] = two_workers(512);
        let _program = serve(&mut from, A, "a0", port);
        let raw = Raw::open(host);
        for round in 0..50 {
            let frames = || (0..20).map(|number| frame(20 * round + number, 60 + 70 * number));
            frames().for_each(|frame| raw.send(&frame));
            let queue = from.take_queue(A).unwrap();
            assert_eq!((from.queue_count(), from.has_link(A)), (0, false));
            to.add_queue(A, queue);
            assert_eq!((to.queue_count(), to.refused_queues()), (1, 0));
            let received = receive(&mut to, 0, 20);
            assert_conserved(&mut to, 20);
            assert!(received.iter().map(FrameBuf::bytes).eq(frames()), "round {round}");
            // The last ones are on its TX ring when it moves on.
            for frame in received {
                assert!(to.tx(A, frame));
            }
            std::mem::swap(&mut from, &mut to);
            let queue = from.take_queue(A).unwrap();
            to.add_queue(A, queue);
            std::mem::swap(&mut from, &mut to);
            for frame in frames() {
                assert_eq!(raw.receive(SHORTLY).unwrap(), frame, "round {round}");
                from.flush();
            }
            let [one, other] = [&mut from, &mut to].map(|io| {
                assert_conserved(io, 0);
                io.conservation().chunks
            });
            assert_eq!(one + other, 1024);
        }
        retire(&mut from, A);
        let free = [from, to].map(|mut io| io.conservation().free);
        assert_eq!(free.iter().sum::<usize>(), 1024);
    });
}

/// OVS once leaked UMEM frames whenever a port was removed.
#[test]
fn chunks_come_back_over_many_attachments() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let (other, other_host) = cable("b0", "b1");
        let mut io = worker(512);
        let _other = serve(&mut io, B, "b0", other);
        let mut program = attach("a0", port);
        let (raw, other_raw) = (Raw::open(host), Raw::open(other_host));
        for round in 0..300 {
            let queue = open(&io, "a0", port);
            program.set_socket(0, queue.fd()).unwrap();
            io.add_queue(A, queue.into());
            assert_eq!(io.queue_count(), 2);
            // Some frames in its rings, taken and not, sent and not.
            for number in 0..4 {
                raw.send(&frame(number, 100));
            }
            let mut frames = receive(&mut io, 1, 1);
            let held = frames.split_off(1);
            for chunk in frames {
                assert!(io.tx(A, chunk));
            }
            let copy = io.copy_from(&frame(round, 200)).unwrap();
            assert!(io.tx(A, copy));
            if round % 2 == 0 {
                io.flush();
            }
            assert_conserved(&mut io, held.len());
            let removed = io.remove_queue(A).unwrap();
            assert!(io.remove_queue(A).is_none());
            io.reclaim();
            assert!(io.conservation().retired > 0, "it is open still");
            drop(removed);
            io.reclaim();
            assert_eq!(io.conservation().retired, 0);
            for chunk in held {
                io.free(chunk);
            }
            assert_conserved(&mut io, 0);
            // The other port never noticed.
            other_raw.send(&frame(round, 64));
            for chunk in receive(&mut io, 0, 1) {
                assert_eq!(chunk.bytes(), frame(round, 64));
                io.free(chunk);
            }
        }
        retire(&mut io, B);
        assert_eq!(io.conservation().free, 512);
    });
}

#[test]
fn a_link_that_is_down_refuses_frames_and_goes_on() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(8192);
        let _program = serve(&mut io, A, "a0", port);
        let raw = Raw::open(host);
        // While the link is down nothing leaves the ring, so few frames may wait there.
        let few = 64;
        run("ip link set a0 down");
        let mut taken = 0;
        for number in 0..3000 {
            let chunk = io.copy_from(&frame(number, 60)).unwrap();
            taken += usize::from(io.tx(A, chunk));
            if number % 32 == 0 {
                io.flush();
            }
        }
        assert_eq!(taken, few, "not so many that other links lack chunks");
        assert_eq!(io.refusal(), DropReason::LinkDown);
        let stats = io.queue_stats().next().unwrap().1;
        assert_eq!((stats.tx_link_down, stats.tx_ring_full), (3000 - 64, 0));
        assert!(stats.tx_kicks < 200, "a link that is down costs a call per batch: {stats:?}");
        assert_conserved(&mut io, 0);
        run("ip link set a0 up");
        let mut seen = 0;
        until("the ring to drain", || {
            io.flush();
            while let Some(got) = raw.receive(Duration::ZERO) {
                seen += usize::from(got.get(12..14) == Some(&[0x88, 0xb5]));
            }
            seen == few
        });
        // And it works as before.
        for number in 0..5000 {
            let chunk = io.copy_from(&frame(number, 60)).unwrap();
            assert!(io.tx(A, chunk), "{number}");
            if number % 32 == 31 {
                io.flush();
                for number in number - 31..=number {
                    assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, 60));
                }
            }
        }
        assert_conserved(&mut io, 0);
    });
}

/// More frames than one system call sends, without a flush in between.
#[test]
fn a_whole_ring_is_sent_by_one_flush() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(8192);
        let _program = serve(&mut io, A, "a0", port);
        let raw = Raw::open(host);
        for round in 0..5 {
            for number in 0..700 {
                let chunk = io.copy_from(&frame(number, 90)).unwrap();
                assert!(io.tx(A, chunk));
            }
            io.flush();
            for number in 0..700 {
                assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, 90), "round {round}");
            }
            until("completions", || {
                io.flush();
                let places = io.conservation();
                places.tx + places.completion == 0
            });
        }
    });
}

/// A burst that fills the RX ring is lost in part, never the queue itself.
#[test]
fn an_overrun_is_survived() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(512);
        let _program = serve(&mut io, A, "a0", port);
        let raw = Raw::open(host);
        for _ in 0..3 {
            for number in 0..3000 {
                raw.send(&frame(number, 60));
            }
            let mut frames = Vec::new();
            let mut got = 0;
            let quiet = Instant::now();
            while quiet.elapsed() < Duration::from_millis(300) {
                io.rx(0, &mut frames);
                got += frames.len();
                assert!(frames.len() <= weft_switch::BATCH_MAX);
                for chunk in frames.drain(..) {
                    io.free(chunk);
                }
            }
            assert!(got >= 64, "{got}");
            assert_conserved(&mut io, 0);
        }
        raw.send(&frame(77, 60));
        let chunk = receive(&mut io, 0, 1).pop().unwrap();
        assert_eq!(chunk.bytes(), frame(77, 60));
        io.free(chunk);
    });
}

/// A socket that was busy holds what several TCP streams have under way while its worker does not look.
#[test]
fn a_busy_socket_holds_thousands_of_frames() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(16_384);
        let mut program = attach("a0", port);
        let queue = open(&io, "a0", port);
        program.set_socket(0, queue.fd()).unwrap();
        let watch = queue.watch();
        io.add_queue(A, queue.into());
        let raw = Raw::open(host);
        let missed = || watch.missed_frames().iter().map(|(_, frames)| frames).sum::<u64>();
        for burst in [600, 1200, 2400, 4000, 4000] {
            let before = missed();
            for number in 0..burst {
                raw.send(&frame(number, 60));
            }
            let lost = missed() - before;
            let mut frames = Vec::new();
            until("the frames that were not lost", || {
                io.rx(0, &mut frames);
                u64::try_from(burst).unwrap() <= lost + u64::try_from(frames.len()).unwrap()
            });
            for chunk in frames {
                io.free(chunk);
            }
            if burst > 2400 {
                assert_eq!(lost, 0, "of {burst} frames");
            }
        }
        assert_conserved(&mut io, 0);
    });
}

#[test]
fn every_refusal_says_why() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let io = worker(512);
        let good = XskConfig::new(port, "a0", 0, 1500, io.region());
        let text = |config: &XskConfig<'_>| XskQueue::open(config).unwrap_err().to_string();

        assert_eq!(
            text(&XskConfig { mtu: 15915, ..good }),
            "a0: MTU 15915 is too large for packet buffers: at most 15914 works"
        );
        assert!(XskQueue::open(&XskConfig { mtu: 1578, ..good }).is_ok());
        assert_eq!(
            text(&XskConfig { queue_id: 7, ..good }),
            "a0 has no queue 7: see `ethtool -l a0` for how many it has"
        );
        assert_eq!(
            text(&XskConfig { ifindex: 4321, ifname: "gone", ..good }),
            "gone: no such interface (index 4321)"
        );
        assert_eq!(
            text(&XskConfig { zero_copy: ZeroCopy::Require, ..good }),
            "a0: its driver does not support zero-copy for AF_XDP"
        );
        let rings = weft_io::RingSizes { tx: 100, ..good.rings };
        assert!(matches!(XskQueue::open(&XskConfig { rings, ..good }), Err(OpenError::RingSizes)));

        let queue = XskQueue::open(&good).unwrap();
        assert_eq!((queue.mode(), queue.mode().name()), (Mode::Copy, "copy"));
        let start = Instant::now();
        assert_eq!(
            text(&good),
            "a0 queue 0 is busy: another AF_XDP socket (perhaps another weftd) is bound to it"
        );
        let waited = start.elapsed();
        assert!(waited > Duration::from_millis(900) && waited < Duration::from_secs(10));
        drop(queue);
        // At once: closing is complete when the drop is.
        let start = Instant::now();
        drop(XskQueue::open(&good).unwrap());
        assert!(start.elapsed() < Duration::from_millis(900));
    });
}

#[test]
fn a_busy_queue_is_waited_for() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let io = worker(512);
        let config = XskConfig::new(port, "a0", 0, 1500, io.region());
        let queue = XskQueue::open(&config).unwrap();
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(queue);
        });
        assert!(XskQueue::open(&config).is_ok());
        ends.join().unwrap();
    });
}

#[test]
fn without_capabilities_it_says_so() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let io = worker(512);
        // Header: version 3, this thread; data: effective, permitted, inheritable, twice.
        let header = [0x2008_0522u32, 0];
        let none = [0u32; 6];
        // SAFETY: two arrays of the layout that capset(2) asks for, which outlive the call.
        let done = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
        assert_eq!(done, 0);
        let error = XskQueue::open(&XskConfig::new(port, "a0", 0, 1500, io.region())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a0: no permission to make an AF_XDP socket: run as root or with CAP_NET_RAW and \
             CAP_NET_ADMIN"
        );
    });
}

#[test]
fn a_queue_of_another_workers_memory_is_refused() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let (mut io, other) = (worker(512), worker(512));
        io.add_queue(A, open(&other, "a0", port).into());
        assert_eq!((io.queue_count(), io.refused_queues()), (0, 1));
        // Nor is one that was in service.
        io.add_queue(A, open(&io, "a0", port).into());
        let queue = io.remove_queue(A).unwrap();
        io.add_queue(A, queue);
        assert_eq!((io.queue_count(), io.refused_queues()), (0, 2));
        io.reclaim();
        assert_eq!(io.conservation().free, 512);
        let chunk = io.copy_from(&frame(0, 60)).unwrap();
        assert!(!io.tx(A, chunk));
        assert_eq!((io.no_link_frames(), io.conservation().free), (1, 512));
    });
}

#[test]
fn waiting_ends_with_a_frame_a_wake_up_or_the_time() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let (waker, fd) = waker();
        let mut io = WorkerIo::new(host::chunks(512), fd).unwrap();
        let _program = serve(&mut io, A, "a0", port);
        let raw = Raw::open(host);
        let mut wait = |timeout_ms| {
            let start = Instant::now();
            io.wait(Duration::from_millis(timeout_ms));
            start.elapsed()
        };
        let idle = wait(300);
        assert!(idle >= Duration::from_millis(300) && idle < Duration::from_secs(10), "{idle:?}");
        wake(&waker);
        assert!(wait(5000) < Duration::from_millis(4500));
        // It was drained.
        assert!(wait(200) >= Duration::from_millis(200));
        raw.send(&frame(1, 60));
        assert!(wait(5000) < Duration::from_millis(4500));
        assert!(wait(5000) < Duration::from_millis(4500), "it is there still");
        for chunk in receive(&mut io, 0, 1) {
            io.free(chunk);
        }
        let mut wait = |timeout_ms| {
            let start = Instant::now();
            io.wait(Duration::from_millis(timeout_ms));
            start.elapsed()
        };
        assert!(wait(200) >= Duration::from_millis(200));
        // An interface that goes away must not keep the worker awake.
        run("ip link del a0");
        let _ = wait(100);
        let _ = wait(100);
        let gone = wait(300);
        assert!(gone >= Duration::from_millis(290), "{gone:?}");
        let chunk = io.copy_from(&frame(0, 60)).unwrap();
        io.tx(A, chunk);
        io.flush();
        assert_conserved(&mut io, 0);
        retire(&mut io, A);
        assert_eq!(io.conservation().free, 512);
    });
}

/// Counters are seen from another thread, the kernel's too, and a watch keeps no socket alive.
#[test]
fn counters_can_be_watched() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(512);
        let mut program = attach("a0", port);
        let queue: Queue = open(&io, "a0", port).into();
        let Queue::Xsk(socket) = &queue else { unreachable!() };
        assert!(socket.tx_budget() >= 32);
        program.set_socket(0, socket.fd()).unwrap();
        let watch = queue.watch();
        io.add_queue(A, queue);
        let raw = Raw::open(host);
        raw.send(&frame(1, 60));
        for chunk in receive(&mut io, 0, 1) {
            assert!(io.tx(A, chunk));
        }
        io.flush();
        let seen = watch.clone();
        let stats = std::thread::spawn(move || seen.stats()).join().unwrap();
        assert_eq!((stats.rx_frames, stats.tx_frames), (1, 1));
        let kernel = watch.kernel_stats().unwrap().unwrap();
        assert_eq!((kernel.rx_dropped, kernel.tx_invalid_descs), (0, 0));
        retire(&mut io, A);
        assert!(watch.kernel_stats().is_none());
        assert_eq!(io.conservation().free, 512);
    });
}

/// Frames that no device takes are not put on the ring, where they would stay for ever.
#[test]
fn frames_too_short_to_send_are_freed() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let mut io = worker(512);
        let _program = serve(&mut io, A, "a0", port);
        let free = io.conservation().free;
        for len in 0..14 {
            let mut chunk = io.copy_from(&frame(0, 60)).unwrap();
            chunk.truncate(len);
            assert!(!io.tx(A, chunk));
        }
        io.flush();
        assert_eq!(io.conservation().free, free);
        assert_eq!(io.queue_stats().next().unwrap().1.tx_invalid, 14);
    });
}

/// A socket that another part of the program has opened is as good as one of one's own.
#[test]
fn a_bound_socket_is_adopted() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let raw = Raw::open(host);
        let mut program = attach("a0", port);
        let mut io = worker(2048);
        let config = XskConfig::new(port, "a0", 0, 1500, io.region());
        let bound = weft_io::open::bind_xsk(&config).unwrap();
        let queue = match XskQueue::adopt(&config, bound) {
            Ok(queue) => queue,
            // As kernels of 6.1 do.
            Err(OpenError::Kernel { source, .. }) if source.raw_os_error() == Some(libc::EBUSY) => {
                return println!("this kernel maps no ring of a bound socket");
            }
            Err(error) => panic!("{error}"),
        };
        program.set_socket(0, queue.fd()).unwrap();
        io.add_queue(A, queue.into());
        raw.send(&frame(5, 60));
        for chunk in receive(&mut io, 0, 1) {
            assert_eq!(chunk.bytes(), frame(5, 60));
            assert!(io.tx(A, chunk));
        }
        io.flush();
        assert_eq!(raw.receive(SHORTLY), Some(frame(5, 60)));
        retire(&mut io, A);
        assert_conserved(&mut io, 0);
    });
}

/// The region of a worker that ended is used by the next; the process does not grow.
#[test]
fn the_next_worker_gets_the_memory() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let raw = Raw::open(host);
        let mut program = attach("a0", port);
        let mut regions = Vec::new();
        for _ in 0..20 {
            // A size that no other test uses.
            let mut io = worker(2048);
            let queue = open(&io, "a0", port);
            program.set_socket(0, queue.fd()).unwrap();
            io.add_queue(A, queue.into());
            raw.send(&frame(5, 60));
            for chunk in receive(&mut io, 0, 1) {
                assert!(io.tx(A, chunk));
            }
            let fd = std::os::fd::AsRawFd::as_raw_fd(&io.region().memfd());
            regions.push(fd);
        }
        regions.dedup();
        assert_eq!(regions.len(), 1);
    });
}
