use super::*;
use proptest::prelude::*;

fn link(number: u16) -> LinkId {
    LinkId(number)
}

#[test]
fn what_is_injected_is_received_in_batches_and_in_order() {
    let mut io = HeapIo::new(100).with_links(2);
    for number in 0..50u8 {
        assert!(io.inject(link(1), &[number; 60]));
    }
    let mut frames = Vec::new();
    assert_eq!(io.rx(0, &mut frames), link(0));
    assert!(frames.is_empty());
    assert_eq!(io.rx(1, &mut frames), link(1));
    assert_eq!(frames.len(), BATCH_MAX);
    io.rx(1, &mut frames);
    assert_eq!(frames.len(), 50);
    for (number, frame) in (0..).zip(frames) {
        assert_eq!(frame.bytes(), [number; 60]);
        assert!(io.tx(link(0), frame));
    }
    assert_eq!(io.take_all_sent(link(0)).len(), 50);
    assert_eq!(io.idle_frames(), 100);
}

#[test]
fn full_rings_and_missing_links_free_the_frame() {
    let mut io = HeapIo::new(4).with_links(1);
    io.set_tx_room(link(0), Some(1));
    for expected in [true, false] {
        let frame = io.copy_from(&[1; 60]).unwrap();
        assert_eq!(io.tx(link(0), frame), expected);
    }
    io.set_tx_room(link(0), None);
    let frame = io.copy_from(&[1; 60]).unwrap();
    assert!(!io.tx(link(7), frame));
    assert!(!io.has_link(link(7)));
    assert!(io.has_link(link(0)));
    assert!(io.remove_queue(link(0)).is_some());
    assert!(io.remove_queue(link(0)).is_none());
    assert!(!io.has_link(link(0)));
    assert_eq!((io.freed_frames(), io.idle_frames()), (2, 4));
}

#[test]
fn too_long_and_too_many_are_refused() {
    let mut io = HeapIo::new(1).with_links(1);
    assert!(io.copy_from(&[0; FRAME_BYTES_MAX + 1]).is_none());
    let frame = io.copy_from(&[0; FRAME_BYTES_MAX]).unwrap();
    assert!(io.copy_from(&[0]).is_none());
    io.free(frame);
    assert_eq!(io.idle_frames(), 1);
}

/// A source has no end, and goes on when there is memory again.
#[test]
fn a_source_gives_its_frames_in_turn() {
    let mut io = HeapIo::new(40);
    io.set_bench_mode(true);
    io.add_queue(link(0), HeapQueue::source(vec![vec![1; 60], vec![2; 61], vec![3; 62]]));
    let mut frames = Vec::new();
    for round in 0..10 {
        assert_eq!(io.rx(0, &mut frames), link(0));
        assert_eq!(frames.len(), BATCH_MAX);
        for (number, frame) in frames.drain(..).enumerate() {
            let kind = (round * BATCH_MAX + number) % 3;
            assert_eq!(frame.bytes().len(), 60 + kind);
            assert!(io.tx(link(0), frame));
        }
        assert_eq!(io.idle_frames(), 40);
    }
    assert_eq!(io.sent_frames(link(0)), 10 * BATCH_MAX as u64);
    let held: Vec<_> = std::iter::from_fn(|| io.copy_from(&[0; 60])).collect();
    io.rx(0, &mut frames);
    assert_eq!((held.len(), frames.len()), (40, 0));
    io.wait(Duration::from_mins(1));
}

#[test]
fn frames_of_other_memory_are_not_adopted() {
    let (mut one, mut same, mut other) =
        (HeapIo::new(2), HeapIo::new(0), HeapIo::new(2).with_memory(1));
    let frame = one.copy_from(b"crosses").unwrap();
    one.part_with(&frame);
    assert!(!other.adopt(&frame) && same.adopt(&frame));
    same.free(frame);
    assert_eq!([one.frame_count(), same.frame_count(), other.frame_count()], [1, 1, 2]);
    let frame = other.copy_from(b"stays").unwrap();
    assert!(!one.adopt(&frame));
    other.free(frame);
}

#[test]
fn a_wired_queue_carries_both_ways() {
    let mut io = HeapIo::new(8);
    let (queue, wire) = HeapQueue::wired();
    io.add_queue(link(3), queue);
    wire.send(b"to the switch");
    io.wait(Duration::from_secs(10));
    let mut frames = Vec::new();
    assert_eq!(io.rx(0, &mut frames), link(3));
    for frame in frames {
        assert_eq!(frame.bytes(), b"to the switch");
        assert!(io.tx(link(3), frame));
    }
    assert_eq!(wire.receive(), None, "nothing is sent before the flush");
    io.flush();
    assert_eq!(wire.receive_within(Duration::from_secs(1)).unwrap(), b"to the switch");
    assert_eq!(io.idle_frames(), 8);
}

proptest! {
    /// No frame is lost or doubled, whatever is done.
    #[test]
    fn frames_are_conserved(steps in prop::collection::vec((0u8..7, 0u16..3, 0usize..2000), 0..200)) {
        let mut io = HeapIo::new(64).with_links(2);
        let mut held: Vec<HeapFrame> = Vec::new();
        for (step, number, size) in steps {
            match step {
                0 => {
                    let fits = number < 2 && size <= FRAME_BYTES_MAX && !io.free.is_empty();
                    prop_assert_eq!(io.inject(link(number), &vec![7; size]), fits);
                }
                1 => {
                    io.rx(usize::from(number), &mut held);
                }
                2 => if let Some(frame) = held.pop() {
                    prop_assert_eq!(io.tx(link(number), frame), number < 2);
                },
                3 => if let Some(frame) = held.pop() {
                    io.free(frame);
                },
                4 => {
                    io.take_sent(link(number));
                }
                5 => held.extend(io.copy_from(&vec![9; size])),
                _ => if let Some(frame) = held.last_mut() {
                    let len = frame.bytes().len();
                    prop_assert_eq!(frame.pad_to(size), size <= len || size <= FRAME_BYTES_MAX);
                    let cut = frame.trim_front(len + 1 + size);
                    prop_assert_eq!(cut, frame.bytes().len() < len);
                },
            }
            prop_assert_eq!(io.idle_frames() + held.len(), io.frame_count());
        }
    }
}
