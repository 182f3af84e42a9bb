//! The TAP of a guest, served by a packet socket: what a guest leaves to its host, byte for byte as if it had
//! done it itself.  Each test in a namespace of its own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod host;

use host::{assert_conserved, in_netns, run, until, worker};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use weft_io::{QueueStats, Tap, WorkerIo, packet_queue};
use weft_switch::{FrameBuf, FrameIo, LinkId};
use weft_wire::checksum;
use weft_wire::frames::Spec;

const PORT: LinkId = LinkId(3);
const NEEDS_CSUM: u8 = 1;
const TCP_V4: u8 = 1;
const UDP_FRAGMENTS: u8 = 3;
const TCP_V6: u8 = 4;
const UDP_DATAGRAMS: u8 = 5;

/// A guest's end of its TAP, and a worker that serves the other.
fn guest(io: &mut WorkerIo) -> (Tap, File) {
    let tap = Tap::open("vnet0", None).unwrap();
    run("ip link set vnet0 up");
    // The guest's end is the descriptor of the one who made the TAP.
    let nic = File::from(tap.as_fd().try_clone_to_owned().unwrap());
    io.add_queue(PORT, packet_queue(tap.ifindex(), "vnet0", true).unwrap().into());
    (tap, nic)
}

/// A frame with its checksum and its cutting left to the host; `size` is of the payload of a segment.
fn left_undone(spec: &Spec, tag: &[u8], kind: u8, size: usize) -> Vec<u8> {
    let mut frame = spec.build();
    let start = 14 + if spec.is_v6 { 40 } else { 20 };
    let offset = if spec.is_tcp { 16 } else { 6 };
    // What remains of the checksum without what it covers: the pseudo-header's sum.
    let field = start + offset..start + offset + 2;
    let value = u16::from_be_bytes([frame[field.start], frame[field.start + 1]]);
    frame[field.clone()].fill(0);
    let covered = checksum::fold(checksum::sum(&frame[start..]));
    let pseudo = checksum::fold(u64::from(!value) + u64::from(!covered));
    frame[field].copy_from_slice(&pseudo.to_be_bytes());
    frame.splice(12..12, tag.iter().copied());
    let start = start + tag.len();
    let headers = start + if spec.is_tcp { 20 + usize::from(spec.option_words) * 4 } else { 8 };
    let mut bytes = vec![NEEDS_CSUM, kind];
    for number in [headers, size, start, offset] {
        bytes.extend(u16::try_from(number).unwrap().to_ne_bytes());
    }
    bytes.extend(frame);
    bytes
}

/// The frames that the guest would have sent without offloads.
fn done_by_itself(spec: &Spec, tag: &[u8], size: usize) -> Vec<Vec<u8>> {
    let frames = spec.payload.chunks(size).enumerate().map(|(number, payload)| {
        let id = spec.id + u16::try_from(number).unwrap();
        let sequence = spec.sequence + u32::try_from(number * size).unwrap();
        let mut frame = Spec { id, sequence, payload: payload.to_vec(), ..spec.clone() }.build();
        frame.splice(12..12, tag.iter().copied());
        frame
    });
    frames.collect()
}

fn receive(io: &mut WorkerIo, count: usize) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    until("all frames of the guest", || {
        let mut frames = Vec::new();
        io.rx(0, &mut frames);
        for frame in frames {
            got.push(frame.bytes().to_vec());
            io.free(frame);
        }
        got.len() >= count
    });
    got
}

fn stats(io: &WorkerIo) -> QueueStats {
    io.queue_stats().next().unwrap().1
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

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// TCP and UDP, both versions of IP, with a VLAN tag of the guest's own and without.
#[test]
fn what_a_guest_leaves_undone_is_done() {
    in_netns(|| {
        let mut io = worker(512);
        let (tap, mut nic) = guest(&mut io);
        let has_datagrams = tap.offloads() & libc::TUN_F_USO4 != 0;
        if !has_datagrams {
            eprintln!("\n*** SKIPPED: this kernel has no UDP segmentation on TAPs ***\n");
        }
        let mut expected = QueueStats::default();
        for tag in [&[][..], &[0x81, 0, 0x60, 0x64]] {
            for (is_v6, is_tcp) in [(false, true), (true, true), (false, false), (true, false)] {
                let what = format!("tag {tag:x?}, IPv6 {is_v6}, TCP {is_tcp}");
                let option_words = if is_tcp { 3 } else { 0 };
                let spec = Spec { is_v6, is_tcp, option_words, ..Spec::default() };
                let small = Spec { payload: content(1001), ..spec.clone() };
                nic.write_all(&left_undone(&small, tag, 0, 0)).unwrap();
                let alone = done_by_itself(&small, tag, 2000);
                assert_equal(&receive(&mut io, 1), &alone, &what);
                expected.rx_checksums += 1;
                expected.rx_frames += 1;
                if !is_tcp && !has_datagrams {
                    continue;
                }
                let kind = match (is_tcp, is_v6) {
                    (true, false) => TCP_V4,
                    (true, true) => TCP_V6,
                    (false, _) => UDP_DATAGRAMS,
                };
                let large = Spec { payload: content(64_000), ..spec };
                nic.write_all(&left_undone(&large, tag, kind, 1400)).unwrap();
                let cut = done_by_itself(&large, tag, 1400);
                assert_equal(&receive(&mut io, cut.len()), &cut, &what);
                expected.rx_superframes += 1;
                expected.rx_segments += 46;
                expected.rx_frames += 46;
                assert_conserved(&mut io, 0);
            }
        }
        // One IP packet that its sender wants in fragments, which no Linux guest has sent since 4.14.
        let spec = Spec { is_tcp: false, payload: content(9000), ..Spec::default() };
        nic.write_all(&left_undone(&spec, &[], UDP_FRAGMENTS, 1480)).unwrap();
        until("the refusal", || {
            let mut frames = Vec::new();
            io.rx(0, &mut frames);
            assert!(frames.is_empty());
            stats(&io).rx_gso_refused > 0
        });
        expected.rx_gso_refused = 1;
        assert_eq!(stats(&io), expected);
    });
}

/// Segments for a guest go to it as one frame, and say how they were cut.
#[test]
fn a_guest_gets_super_frames() {
    in_netns(|| {
        let mut io = worker(512);
        let (_tap, mut nic) = guest(&mut io);
        for (is_v6, kind) in [(false, TCP_V4), (true, TCP_V6)] {
            let spec = Spec { is_v6, option_words: 3, payload: content(28_000), ..Spec::default() };
            for segment in done_by_itself(&spec, &[], 1400) {
                let chunk = io.copy_from(&segment).unwrap();
                assert!(io.tx(PORT, chunk));
            }
            io.flush();
            let mut buffer = vec![0; 70_000];
            let mut len = 0;
            until("the super-frame", || {
                len = nic.read(&mut buffer).unwrap_or(0);
                len > 0
            });
            assert_equal(&[buffer[..len].to_vec()], &[left_undone(&spec, &[], kind, 1400)], "sent");
        }
        let end = stats(&io);
        assert_eq!((end.tx_superframes, end.tx_segments, end.tx_frames), (2, 40, 40), "{end:?}");
        assert_conserved(&mut io, 0);
    });
}
