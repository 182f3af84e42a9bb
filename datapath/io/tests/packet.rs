//! Packet sockets, the stand-ins of a NIC that is tapped, each test in a namespace of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod host;

use host::{Raw, assert_conserved, cable, frame, in_netns, run, until, worker};
use std::sync::Arc;
use std::time::Duration;
use weft_ebpf::{AttachConfig, Attached, Object, Role};
use weft_io::{QueueStats, WorkerIo, XskConfig, XskQueue, packet_queue};
use weft_switch::{BATCH_MAX, FrameBuf, FrameIo, LinkId};

const A: LinkId = LinkId(0);
const B: LinkId = LinkId(7);
const SHORTLY: Duration = Duration::from_secs(5);

/// The next frame of a queue.
fn receive(io: &mut WorkerIo, queue: usize) -> weft_io::Chunk {
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

#[test]
fn frames_come_in_and_go_out_unchanged() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(64);
        io.add_queue(A, packet_queue(port, "a0", true).unwrap().into());
        let raw = Raw::open(host);
        for number in 0..200 {
            let len = 60 + number * 7;
            raw.send(&frame(number, len));
            let chunk = receive(&mut io, 0);
            assert_eq!(chunk.bytes(), frame(number, len));
            assert_conserved(&mut io, 1);
            // What it sends itself does not come back to it.
            assert!(io.tx(A, chunk));
            io.flush();
            assert_eq!(raw.receive(SHORTLY).unwrap(), frame(number, len));
            assert_conserved(&mut io, 0);
        }
        assert_eq!((stats(&io).rx_frames, stats(&io).tx_frames), (200, 200));
        // Nor does what others send there: that is on its way out.
        Raw::open(port).send(&frame(9, 60));
        assert_eq!(raw.receive(SHORTLY).unwrap(), frame(9, 60));
        let mut frames = Vec::new();
        io.rx(0, &mut frames);
        assert!(frames.is_empty(), "an outgoing frame came in");
        let long = io.copy_from(&frame(1, 1600)).unwrap();
        assert!(!io.tx(A, long), "longer than the device's MTU");
        run("ip link set a0 down");
        let chunk = io.copy_from(&frame(1, 60)).unwrap();
        assert!(!io.tx(A, chunk), "the link is down");
        assert_eq!((stats(&io).tx_invalid, stats(&io).tx_link_down), (1, 1));
        run("ip link set a0 up");
        until("frames after the link was down", || {
            raw.send(&frame(3, 60));
            io.rx(0, &mut frames);
            !frames.is_empty()
        });
        for chunk in frames {
            io.free(chunk);
        }
        assert_conserved(&mut io, 0);
    });
}

/// The kernel takes the outer tag off before anybody sees the frame; it is put back.
#[test]
fn tags_are_where_the_wire_has_them() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(64);
        io.add_queue(A, packet_queue(port, "a0", true).unwrap().into());
        let raw = Raw::open(host);
        let tags: [&[u8]; 4] = [
            &[0x81, 0, 0x60, 0x64],
            &[0x88, 0xa8, 0x00, 0x64],
            &[0x88, 0xa8, 0x00, 0x64, 0x81, 0, 0, 7],
            &[0x81, 0, 0, 0],
        ];
        for tag in tags {
            for len in [60, 1000, 1514 - tag.len()] {
                let plain = frame(len, len);
                let tagged = [&plain[..12], tag, &plain[12..]].concat();
                raw.send(&tagged);
                let chunk = receive(&mut io, 0);
                assert_eq!(chunk.bytes(), tagged, "{tag:x?}");
                io.free(chunk);
            }
        }
        assert_conserved(&mut io, 0);
    });
}

/// While it is there a stand-in sends in place of the `AF_XDP` queue, seen by the device's taps, and
/// another link's queues are not its business.
#[test]
fn a_stand_in_sends_and_leaves() {
    in_netns(|| {
        let ((port, host), (other, _)) = (cable("a0", "a1"), cable("b0", "b1"));
        let mut io = worker(512);
        let config = AttachConfig {
            object: &Arc::new(Object::load(false).unwrap()),
            queues: 1,
            ifindex: port,
            ifname: "a0",
            role: Role::Port,
            pin: None,
            frags_first: false,
        };
        let mut program = Attached::attach(&config).unwrap();
        let queue = XskQueue::open(&XskConfig::new(port, "a0", 0, 1500, io.region())).unwrap();
        program.set_socket(0, queue.fd()).unwrap();
        let watch = queue.watch();
        io.add_queue(B, packet_queue(other, "b0", true).unwrap().into());
        io.add_queue(A, queue.into());
        let raw = Raw::open(host);
        let sent_by = |io: &mut WorkerIo| {
            let before: Vec<_> = io.queue_stats().map(|(_, stats)| stats.tx_frames).collect();
            let chunk = io.copy_from(&frame(5, 100)).unwrap();
            assert!(io.tx(A, chunk));
            io.flush();
            assert_eq!(raw.receive(SHORTLY).unwrap(), frame(5, 100));
            let after = io.queue_stats().map(|(_, stats)| stats.tx_frames);
            after.zip(before).position(|(after, before)| after > before).unwrap()
        };
        assert_eq!(sent_by(&mut io), 1);
        assert!(io.remove_stand_in(A).is_none());
        io.add_queue(A, packet_queue(port, "a0", true).unwrap().into());
        assert_eq!(sent_by(&mut io), 2);
        // What the program passes is received by the stand-in, what it redirects is not.
        raw.send(&frame(6, 100));
        let chunk = receive(&mut io, 1);
        io.free(chunk);
        program.clear_socket(0).unwrap();
        raw.send(&frame(7, 100));
        let chunk = receive(&mut io, 2);
        assert_eq!(chunk.bytes(), frame(7, 100));
        io.free(chunk);
        let set = watch.with_socket(|socket| program.set_socket(0, socket));
        assert!(matches!(set, Some(Ok(()))), "{set:?}");
        raw.send(&frame(8, 100));
        let chunk = receive(&mut io, 1);
        io.free(chunk);
        assert!(io.remove_stand_in(A).is_some());
        assert!(io.remove_stand_in(A).is_none());
        assert_eq!(sent_by(&mut io), 1);
        assert_conserved(&mut io, 0);
    });
}

/// A queue that only sends hears nothing; one that hears and is not read loses frames, and counts them.
#[test]
fn what_is_missed_is_counted() {
    in_netns(|| {
        let (port, host) = cable("a0", "a1");
        let mut io = worker(4096);
        let silent = packet_queue(port, "a0", false).unwrap();
        let queue = packet_queue(port, "a0", true).unwrap();
        let (watch, silent_watch) = (queue.watch(), silent.watch());
        assert_ne!(watch.packet_socket_inode(), silent_watch.packet_socket_inode());
        io.add_queue(A, queue.into());
        io.add_queue(B, silent.into());
        let raw = Raw::open(host);
        let count: u64 = 60_000;
        for _ in 0..count {
            raw.send(&frame(1, 1500));
        }
        let mut frames = Vec::new();
        io.rx(1, &mut frames);
        assert!(frames.is_empty(), "a queue that only sends received");
        let missed: u64 = watch.missed_frames().iter().map(|(_, frames)| frames).sum();
        assert!(missed > 0, "{count} frames fit the buffer");
        assert!(watch.has_waiting() && !silent_watch.has_waiting());
        let mut received = 0;
        loop {
            io.rx(0, &mut frames);
            if frames.is_empty() {
                break;
            }
            assert!(frames.len() <= BATCH_MAX);
            received += frames.len() as u64;
            for chunk in frames.drain(..) {
                io.free(chunk);
            }
        }
        assert_eq!(received + missed, count);
        assert!(!watch.has_waiting());
        assert_conserved(&mut io, 0);
        drop(io);
        assert_eq!(watch.packet_socket_inode(), None);
    });
}
