//! Both ends of a ring in plain memory, against a FIFO that is obviously right.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A ring in plain memory; clones share it, so that a test holds both ends.
#[derive(Clone)]
struct PlainRing {
    shared: Rc<Shared>,
}

struct Shared {
    producer: AtomicU32,
    consumer: AtomicU32,
    flags: AtomicU32,
    slots: Vec<Cell<u64>>,
}

impl PlainRing {
    fn new(entries: usize, start: u32) -> Self {
        let shared = Shared {
            producer: AtomicU32::new(start),
            consumer: AtomicU32::new(start),
            flags: AtomicU32::new(0),
            slots: vec![Cell::new(u64::MAX); entries],
        };
        Self { shared: Rc::new(shared) }
    }

    fn slot(&self, index: u32) -> &Cell<u64> {
        &self.shared.slots[index as usize & (self.shared.slots.len() - 1)]
    }
}

impl RingMemory for PlainRing {
    type Entry = u64;
    fn entries(&self) -> u32 {
        u32::try_from(self.shared.slots.len()).unwrap()
    }
    fn producer(&self) -> &AtomicU32 {
        &self.shared.producer
    }
    fn consumer(&self) -> &AtomicU32 {
        &self.shared.consumer
    }
    fn flags(&self) -> &AtomicU32 {
        &self.shared.flags
    }
    fn read(&self, index: u32) -> u64 {
        self.slot(index).get()
    }
    fn write(&mut self, index: u32, entry: u64) {
        self.slot(index).set(entry);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Publish,
    Take(u32),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u32..40).prop_map(Step::Push),
        Just(Step::Publish),
        (0u32..40).prop_map(Step::Take),
        Just(Step::Release),
    ]
}

/// What a ring must do, in queues: written, shown, taken but not released.
#[derive(Default)]
struct Oracle {
    written: VecDeque<u64>,
    shown: VecDeque<u64>,
    taken: usize,
}

impl Oracle {
    fn used(&self) -> usize {
        self.written.len() + self.shown.len() + self.taken
    }
}

proptest! {
    #[test]
    fn behaves_like_a_fifo(
        bits in 0u32..7,
        start in prop_oneof![any::<u32>(), (u32::MAX - 100)..=u32::MAX],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let entries = 1usize << bits;
        let ring = PlainRing::new(entries, start);
        let mut producer = Producer::new(ring.clone());
        let mut consumer = Consumer::new(ring);
        let mut oracle = Oracle::default();
        let mut next = 0u64;
        for step in steps {
            match step {
                Step::Push(count) => {
                    let room = producer.room(count);
                    prop_assert!(room as usize <= entries - oracle.used());
                    if room < count {
                        // It looked: then it knows exactly.
                        prop_assert_eq!(room as usize, entries - oracle.used());
                    }
                    for _ in 0..count {
                        let pushed = producer.push(next);
                        prop_assert_eq!(pushed, oracle.used() < entries);
                        if pushed {
                            oracle.written.push_back(next);
                        }
                        next += 1;
                    }
                    prop_assert_eq!(producer.unpublished() as usize, oracle.written.len());
                }
                Step::Publish => {
                    producer.publish();
                    oracle.shown.append(&mut oracle.written);
                    prop_assert_eq!(producer.unpublished(), 0);
                }
                Step::Take(count) => {
                    let seen = consumer.available() as usize;
                    prop_assert!(seen <= oracle.shown.len());
                    prop_assert_eq!(seen == 0, oracle.shown.is_empty());
                    for _ in 0..count.min(u32::try_from(seen).unwrap()) {
                        prop_assert_eq!(consumer.pop(), oracle.shown.pop_front());
                        oracle.taken += 1;
                    }
                }
                Step::Release => {
                    consumer.release();
                    oracle.taken = 0;
                }
            }
            prop_assert_eq!(producer.pending() as usize, oracle.used());
        }
        prop_assert_eq!(producer.bad_indices() + consumer.bad_indices(), 0);
    }

    /// A kernel that writes nonsense must not make us read or write more than a ring's worth.
    #[test]
    fn nonsense_indices_are_counted(start: u32, produced: u32, consumed: u32) {
        let ring = PlainRing::new(8, start);
        let mut producer = Producer::new(ring.clone());
        let mut consumer = Consumer::new(ring.clone());
        ring.shared.consumer.store(consumed, Ordering::Release);
        prop_assert!(producer.room(9) <= 8);
        prop_assert_eq!(producer.bad_indices(), u64::from(consumed != start));
        ring.shared.producer.store(produced, Ordering::Release);
        prop_assert!(consumer.available() <= 8);
        prop_assert_eq!(consumer.bad_indices(), u64::from(produced.wrapping_sub(start) > 8));
    }
}

#[test]
fn wakeup_flag_is_the_lowest_bit() {
    let ring = PlainRing::new(4, 0);
    let producer = Producer::new(ring.clone());
    assert!(!producer.needs_wakeup());
    ring.shared.flags.store(2, Ordering::Relaxed);
    assert!(!producer.needs_wakeup());
    ring.shared.flags.store(3, Ordering::Relaxed);
    assert!(producer.needs_wakeup());
}
