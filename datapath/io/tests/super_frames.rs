//! TCP segments that leave by a device in copy mode as super-frames, each test in a namespace of its
//! own.  With its offload off, the device cuts them again: what comes out are the very segments.
#![expect(clippy::unwrap_used, reason = "tests")]

mod host;

use host::{Raw, assert_conserved, cable, frame, in_netns, run, until, worker};
use std::sync::Arc;
use std::time::Duration;
use weft_ebpf::{AttachConfig, Attached, Object, Role};
use weft_io::{QueueStats, WorkerIo, XskConfig, XskQueue};
use weft_switch::{FrameIo, LinkId};
use weft_wire::frames::Spec;
use weft_wire::tcp::TcpFlags;

const A: LinkId = LinkId(0);
const SHORTLY: Duration = Duration::from_secs(5);
const MSS: usize = 1400;

/// A served veth end, and who listens at the other.
fn served(io: &mut WorkerIo) -> (Attached, Raw) {
    let (port, host) = cable("a0", "a1");
    let config = AttachConfig {
        object: &Arc::new(Object::load(false).unwrap()),
        queues: 1,
        ifindex: port,
        ifname: "a0",
        role: Role::Port,
        pin: None,
        frags_first: false,
    };
    let mut attached = Attached::attach(&config).unwrap();
    let queue = XskQueue::open(&XskConfig::new(port, "a0", 0, 1500, io.region())).unwrap();
    attached.set_socket(0, queue.fd()).unwrap();
    io.add_queue(A, queue.into());
    (attached, Raw::open(host))
}

/// `count` segments of one flow in a row; the last one is shorter, which ends a run.
fn segments(flow: u32, is_v6: bool, count: u16) -> Vec<Vec<u8>> {
    segments_ending_with(flow, is_v6, count, 700)
}

/// As many of one length: more may follow.
fn open_segments(flow: u32, is_v6: bool, count: u16) -> Vec<Vec<u8>> {
    segments_ending_with(flow, is_v6, count, MSS)
}

fn segments_ending_with(flow: u32, is_v6: bool, count: u16, last: usize) -> Vec<Vec<u8>> {
    let segment = |number: u16| {
        let is_last = number + 1 == count;
        let payload = vec![number.to_be_bytes()[1] ^ 0x5a; if is_last { last } else { MSS }];
        let sequence = 1000 + u32::from(number) * u32::try_from(MSS).unwrap();
        let seed = 0x0a00_0001 + flow;
        let id = 7 + number;
        Spec { is_v6, seed, id, sequence, payload, option_words: 3, ..Spec::default() }.build()
    };
    (0..count).map(segment).collect()
}

/// Sends frames between two flushes, and returns as many as came out at the other end.
fn sent(io: &mut WorkerIo, raw: &Raw, frames: &[Vec<u8>], come_out: usize) -> Vec<Vec<u8>> {
    for frame in frames {
        let chunk = io.copy_from(frame).unwrap();
        assert!(io.tx(A, chunk));
    }
    io.flush();
    let got = (0..come_out).map(|_| raw.receive(SHORTLY).unwrap()).collect();
    until("all chunks to come back", || {
        io.reclaim();
        let places = io.conservation();
        places.in_flight == places.pending
    });
    assert_conserved(io, 0);
    got
}

/// As `assert_eq`, which would print a hundred kilobytes.
#[track_caller]
fn assert_equal(got: &[Vec<u8>], expected: &[Vec<u8>], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (number, (got, expected)) in got.iter().zip(expected).enumerate() {
        let different =
            (0..expected.len().max(got.len())).find(|&at| got.get(at) != expected.get(at));
        assert_eq!(different, None, "{what}: first difference in frame {number}");
    }
}

fn stats(io: &WorkerIo) -> QueueStats {
    io.queue_stats().next().unwrap().1
}

fn without_offload() {
    run("ethtool -K a0 tso off gso off tx off");
}

/// In both versions of IP, at every length from one to more than one run holds.
#[test]
fn a_cut_run_is_the_segments_that_went_in() {
    in_netns(|| {
        let mut io = worker(512);
        let (_program, raw) = served(&mut io);
        without_offload();
        let mut joined = 0;
        for is_v6 in [false, true] {
            for count in (1..12).chain([44, 45, 46, 47, 48, 60]) {
                let frames = segments(u32::from(count), is_v6, count);
                let got = sent(&mut io, &raw, &frames, frames.len());
                assert_equal(&got, &frames, &format!("{count} segments, IPv6 {is_v6}"));
                let now = stats(&io);
                // Few are not worth a system call of their own.
                assert_eq!(now.tx_superframes > joined, count >= 4, "{count} segments");
                joined = now.tx_superframes;
            }
        }
        let end = stats(&io);
        assert_eq!((end.tx_invalid, end.tx_ring_full, end.errors), (0, 0, 0));
    });
}

/// With its offload on, the other end gets one frame, in which the TCP checksum is left to it.
#[test]
fn a_device_with_offload_gets_one_frame() {
    in_netns(|| {
        let mut io = worker(512);
        let (_program, raw) = served(&mut io);
        let frames = segments(1, false, 20);
        let got = sent(&mut io, &raw, &frames, 1).remove(0);
        let payload = |frame: &[u8]| frame.get(66..).unwrap().to_vec();
        let all: Vec<_> = frames.iter().flat_map(|frame| payload(frame)).collect();
        assert_eq!(got.len(), 66 + 19 * MSS + 700);
        assert!(payload(&got) == all, "the payload is another");
        assert_eq!(got.get(16..18).unwrap(), u16::try_from(got.len() - 14).unwrap().to_be_bytes());
        assert_eq!((stats(&io).tx_superframes, stats(&io).tx_segments), (1, 20));
        assert_eq!(stats(&io).tx_frames, 20, "a super-frame counts as its segments");
    });
}

/// Nothing of a flow overtakes anything else of it: not what cannot be joined, nor what was in the
/// ring before.
#[test]
fn the_order_of_a_flow_stays() {
    in_netns(|| {
        let mut io = worker(512);
        let (_program, raw) = served(&mut io);
        without_offload();
        // Nothing but what follows ends the first.
        let (one, other) = (open_segments(1, false, 10), segments(2, true, 10));
        let fin = Spec { flags: TcpFlags::ACK.with(TcpFlags::FIN).0, ..Spec::default() }.build();
        // First what is no segment, then two flows in turn, then the end of one of them.
        let mut frames = vec![frame(1, 60)];
        frames.extend(one.iter().zip(&other).flat_map(|(a, b)| [a.clone(), b.clone()]));
        frames.push(fin.clone());
        frames.extend(segments(1, false, 3));
        let got = sent(&mut io, &raw, &frames, frames.len());
        let of = |frames: &[Vec<u8>], is_v6: bool| {
            let kind = if is_v6 { [0x86, 0xdd] } else { [8, 0] };
            let is_meant = |frame: &&Vec<u8>| frame.get(12..14) == Some(&kind[..]);
            frames.iter().filter(is_meant).cloned().collect::<Vec<_>>()
        };
        assert_equal(&got[..1], &frames[..1], "the ring was there before");
        assert_equal(&of(&got, false), &of(&frames, false), "IPv4");
        assert_equal(&of(&got, true), &of(&frames, true), "IPv6");
        assert_eq!(stats(&io).tx_superframes, 2);
    });
}

/// A device that is down takes none, which is counted; what is held when a queue goes, goes too.
#[test]
fn nothing_that_is_held_is_lost() {
    in_netns(|| {
        let mut io = worker(512);
        let (_program, _raw) = served(&mut io);
        run("ip link set a0 down");
        for segment in segments(1, false, 20) {
            let chunk = io.copy_from(&segment).unwrap();
            let _ = io.tx(A, chunk);
        }
        io.flush();
        assert_conserved(&mut io, 0);
        let after = stats(&io);
        assert_eq!((after.tx_superframes, after.tx_link_down), (0, 20), "{after:?}");
        run("ip link set a0 up");
        for segment in open_segments(1, false, 3) {
            let chunk = io.copy_from(&segment).unwrap();
            assert!(io.tx(A, chunk));
        }
        drop(io.remove_queue(A).unwrap());
        io.reclaim();
        assert_conserved(&mut io, 0);
        assert_eq!(io.conservation().free, 512);
    });
}
