//! Frames that need several chunks, each test in namespaces of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod host;

use host::{Raw, assert_conserved, cable, frame, in_netns, run, until, worker};
use std::sync::Arc;
use std::time::Duration;
use weft_ebpf::{AttachConfig, Attached, Object, Role};
use weft_io::{
    Chunk, FaultConf, FaultIo, LARGE_MTU_MAX, OpenError, QueueStats, Tap, WorkerIo, XskConfig,
    XskQueue,
};
use weft_switch::{FrameBuf, FrameIo, LinkId};

const A: LinkId = LinkId(0);
const B: LinkId = LinkId(3);
const SHORTLY: Duration = Duration::from_secs(5);

/// A veth pair of this MTU.
fn large_cable(left: &str, right: &str, mtu: u32) -> (u32, u32) {
    let ends = cable(left, right);
    for end in [left, right] {
        run(&format!("ip link set {end} mtu {mtu}"));
    }
    ends
}

fn serve(io: &mut WorkerIo, link: LinkId, ifname: &str, ifindex: u32, mtu: u32) -> Attached {
    let config = AttachConfig {
        object: &Arc::new(Object::load(false).unwrap()),
        queues: 1,
        ifindex,
        ifname,
        role: Role::Port,
        pin: None,
        frags_first: true,
    };
    let mut attached = Attached::attach(&config).unwrap();
    let queue = XskQueue::open(&XskConfig::new(ifindex, ifname, 0, mtu, io.region())).unwrap();
    assert_eq!(queue.mtu_max(), LARGE_MTU_MAX);
    attached.set_socket(0, queue.fd()).unwrap();
    io.add_queue(link, queue.into());
    attached
}

fn receive(io: &mut impl FrameIo<Frame = Chunk>, queue: usize) -> Chunk {
    let mut frames = Vec::new();
    until("a frame", || {
        io.rx(queue, &mut frames);
        !frames.is_empty()
    });
    assert_eq!(frames.len(), 1);
    frames.pop().unwrap()
}

fn stats(io: &WorkerIo) -> QueueStats {
    io.queue_stats().next().unwrap().1
}

/// All lengths around the borders of chunks, in and out, and small frames in between.
#[test]
fn frames_come_in_and_go_out_unchanged() {
    in_netns(|| {
        let (port, host) = large_cable("a0", "a1", 9000);
        let mut io = worker(512);
        let _program = serve(&mut io, A, "a0", port, 9000);
        let raw = Raw::open(host);
        let lengths = [60, 1599, 1600, 1601, 2048, 3199, 3200, 3201, 4096, 8000, 9013, 9014, 64];
        for (number, len) in lengths.into_iter().cycle().take(200).enumerate() {
            raw.send(&frame(number, len));
            let chunk = receive(&mut io, 0);
            assert_eq!(chunk.bytes(), frame(number, len), "{len} bytes in");
            assert_eq!(io.pool().large_held(), usize::from(len > 1600), "{len}");
            assert!(io.tx(A, chunk));
            io.flush();
            assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, len), "{len} bytes out");
            assert_conserved(&mut io, 0);
            assert_eq!(io.pool().large_held(), 0);
        }
        assert_eq!((stats(&io).rx_frames, stats(&io).tx_frames), (200, 200));
        assert_eq!((stats(&io).rx_bad_descriptors, stats(&io).no_chunk), (0, 0));
    });
}

/// Headers come in front of a large frame as they do for a small one.
#[test]
fn a_large_frame_grows_and_shrinks_at_its_front() {
    in_netns(|| {
        let (port, host) = large_cable("a0", "a1", 9000);
        let mut io = worker(512);
        let _program = serve(&mut io, A, "a0", port, 9000);
        let raw = Raw::open(host);
        raw.send(&frame(1, 8900));
        let mut chunk = receive(&mut io, 0);
        chunk.prepend(50).unwrap().fill(7);
        assert!(io.tx(A, chunk));
        io.flush();
        let sent = raw.receive(SHORTLY).unwrap();
        assert_eq!(sent, [vec![7; 50], frame(1, 8900)].concat());
        raw.send(&sent);
        let mut chunk = receive(&mut io, 0);
        assert!(chunk.trim_front(50));
        chunk.truncate(100);
        assert!(io.tx(A, chunk));
        io.flush();
        assert_eq!(raw.receive(SHORTLY).unwrap(), frame(1, 8900).get(..100).unwrap());
        assert_conserved(&mut io, 0);
    });
}

/// Lost, doubled, cut and swapped: every chunk and every large buffer has a place all the time.
#[test]
fn nothing_is_lost_or_made_by_faults() {
    in_netns(|| {
        let (port, host) = large_cable("a0", "a1", 9000);
        let mut io = worker(256);
        let program = serve(&mut io, A, "a0", port, 9000);
        let raw = Raw::open(host);
        let conf = FaultConf {
            seed: 7,
            drop_per_mille: 200,
            corrupt_per_mille: 200,
            truncate_per_mille: 200,
            duplicate_per_mille: 200,
            reorder_per_mille: 200,
        };
        let mut io = FaultIo::new(io, conf);
        let mut frames = Vec::new();
        for number in 0..2000 {
            // Now and then more than the worker reads in time: the fill ring runs dry.
            raw.send(&frame(number, 60 + number * 37 % 8950));
            if number % 100 < 60 {
                continue;
            }
            io.rx(0, &mut frames);
            for chunk in frames.drain(..) {
                let copy = io.copy_from(chunk.bytes());
                if let Some(copy) = copy {
                    io.free(copy);
                }
                io.tx(A, chunk);
            }
            io.flush();
            while raw.receive(Duration::ZERO).is_some() {}
        }
        until("the rest", || {
            io.rx(0, &mut frames);
            let is_done = frames.is_empty();
            for chunk in frames.drain(..) {
                io.free(chunk);
            }
            is_done
        });
        drop(program);
        let io = io.inner_mut();
        while let Some(queue) = io.remove_queue(A) {
            drop(queue);
        }
        io.reclaim();
        let places = io.conservation();
        assert_eq!((places.sum(), places.chunks), (256, 256), "{places:?}");
        assert!(places.in_flight <= 1 && io.pool().large_held() <= 1, "one may wait to be swapped");
    });
}

/// A socket for small frames refuses large ones, and a TAP takes them from the host and gives them back.
#[test]
fn small_links_refuse_and_taps_carry_them() {
    in_netns(|| {
        let ((port, host), (other, _)) = (large_cable("a0", "a1", 9000), cable("b0", "b1"));
        let mut io = worker(1024);
        let _program = serve(&mut io, A, "a0", port, 9000);
        let small = XskQueue::open(&XskConfig::new(other, "b0", 0, 1500, io.region())).unwrap();
        io.add_queue(B, small.into());
        let raw = Raw::open(host);
        raw.send(&frame(1, 5000));
        let chunk = receive(&mut io, 0);
        assert!(!io.tx(B, chunk), "a socket without XDP_USE_SG took several chunks");
        assert_eq!(io.queue_stats().nth(1).unwrap().1.tx_invalid, 1);
        let tap = Tap::open("br0", None).unwrap();
        run("ip link set br0 up mtu 9000");
        io.add_queue(LinkId(5), tap.queue().into());
        let inside = Raw::open(tap.ifindex());
        raw.send(&frame(2, 9014));
        let chunk = receive(&mut io, 0);
        assert!(io.tx(LinkId(5), chunk));
        assert_eq!(inside.receive(SHORTLY).unwrap(), frame(2, 9014));
        inside.send(&frame(3, 9014));
        let chunk = receive(&mut io, 2);
        assert_eq!(chunk.bytes(), frame(3, 9014));
        assert!(io.tx(A, chunk));
        io.flush();
        assert_eq!(raw.receive(SHORTLY).unwrap(), frame(3, 9014));
        assert_conserved(&mut io, 0);
        assert_eq!(io.pool().large_held(), 0);
    });
}

#[test]
fn an_mtu_beyond_all_buffers_is_refused() {
    in_netns(|| {
        let (port, _) = cable("a0", "a1");
        let io = worker(64);
        let mtu = LARGE_MTU_MAX + 1;
        let refused = XskQueue::open(&XskConfig::new(port, "a0", 0, mtu, io.region())).unwrap_err();
        assert!(matches!(refused, OpenError::MtuTooLarge { mtu_max: LARGE_MTU_MAX, .. }));
        let text = "a0: MTU 15915 is too large for packet buffers: at most 15914 works";
        assert_eq!(refused.to_string(), text);
    });
}
