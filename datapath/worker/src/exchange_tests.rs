use super::*;
use crate::Waker;
use crate::peer::{Side, connect};
use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_io::{HeapIo, Region, RegionConfig, RegionHandle, WorkerIo};
use weft_switch::{
    BATCH_MAX, BridgeConf, BridgeId, FrameBuf, IfaceId, IfaceKind, LinkConf, LinkRole, PortConf,
    PortId, SnapshotBuilder,
};

const WORKERS: u16 = 3;
/// Link N is worker N % WORKERS's.
const LINKS: u16 = 6;
/// Of each worker.
const FRAMES: usize = 96;

fn snapshot() -> Snapshot {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    for id in 0..LINKS {
        builder
            .port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id))));
        let (role, worker) = (LinkRole::Iface(IfaceId(id)), WorkerId(id % WORKERS));
        builder.link(LinkId(id), LinkConf { role, mtu: 1500, completes_checksums: false, worker });
    }
    builder.build()
}

/// Workers without threads: a schedule is what a test makes of it.
struct World<I: FrameIo> {
    workers: Vec<Exchange<I>>,
    counters: Vec<Counters>,
}

impl<I: FrameIo> World<I> {
    fn new(ios: Vec<I>) -> Self {
        let mut world = Self { workers: Vec::new(), counters: Vec::new() };
        for io in ios {
            let id = WorkerId(u16::try_from(world.workers.len()).unwrap());
            let mut fresh = Self::worker(io, id);
            let mut counters = Counters::default();
            for (other, known) in world.workers.iter_mut().zip(&mut world.counters) {
                introduce(&mut fresh, &mut counters, other, known);
            }
            world.workers.push(fresh);
            world.counters.push(counters);
        }
        world
    }

    fn worker(io: I, id: WorkerId) -> Exchange<I> {
        let mut worker = Exchange::new(io, id, Arc::default());
        worker.adopt(&snapshot(), &mut Counters::default());
        worker
    }

    /// Ends a worker and starts another in its place.
    fn replace(&mut self, place: usize, io: I) {
        let id = self.workers[place].me;
        self.workers[place] = Self::worker(io, id);
        for other in (0..self.workers.len()).filter(|other| *other != place) {
            let [fresh, other] = self.workers.get_disjoint_mut([place, other]).unwrap();
            let mut counters = Counters::default();
            introduce(fresh, &mut Counters::default(), other, &mut counters);
        }
    }

    /// Worker `from` sends a frame on a link; what became of it, or `None` when it had no frame.
    fn send(&mut self, from: usize, link: u16, bytes: &[u8]) -> Option<Fate> {
        let worker = &mut self.workers[from];
        let frame = worker.copy_from(bytes)?;
        let charge = Charge { iface: IfaceId(link), bytes: bytes.len() as u64 };
        Some(worker.send(LinkId(link), frame, charge))
    }

    fn drain(&mut self, worker: usize) {
        self.workers[worker].drain_parcels(&mut self.counters[worker]);
    }

    /// Until nothing is under way.
    fn settle(&mut self) {
        for _ in 0..10 {
            for worker in 0..self.workers.len() {
                self.workers[worker].flush();
                self.drain(worker);
            }
        }
    }

    /// Frames that were handed over, by what became of them: sent, dropped.
    fn fates(&self) -> (u64, u64) {
        let ports =
            self.counters.iter().flat_map(|one| (0..LINKS).map(|id| one.iface(IfaceId(id))));
        ports.flatten().fold((0, 0), |(sent, dropped), port| {
            (sent + port.tx_frames, dropped + port.tx_dropped_frames())
        })
    }
}

fn introduce<I: FrameIo>(
    one: &mut Exchange<I>,
    one_counters: &mut Counters,
    other: &mut Exchange<I>,
    other_counters: &mut Counters,
) {
    let side = |worker: &Exchange<I>| Side {
        id: worker.me,
        sleeping: Arc::clone(&worker.sleeping),
        waker: Waker::new().unwrap(),
    };
    let (of_other, of_one) = connect(side(one), side(other));
    one.meet(of_other, one_counters);
    other.meet(of_one, other_counters);
}

/// A worker's back end with two links, in memory that others have too or not.
fn heap(worker: u16, frames: usize, memory: u16) -> HeapIo {
    let mut io = HeapIo::new(frames).with_memory(memory);
    for link in (0..LINKS).filter(|link| link % WORKERS == worker) {
        io.add_queue(LinkId(link), weft_io::HeapQueue::new());
    }
    io
}

fn heaps(memories: [u16; 3]) -> World<HeapIo> {
    World::new((0..WORKERS).zip(memories).map(|(id, memory)| heap(id, FRAMES, memory)).collect())
}

#[derive(Clone, Debug)]
enum Step {
    Send {
        from: usize,
        link: u16,
        count: usize,
    },
    Flush(usize),
    Drain(usize),
    Collect(usize),
    /// So many more frames may be sent on a link.
    Room(u16, Option<usize>),
    Replace(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0..usize::from(WORKERS);
    prop_oneof![
        4 => (worker(), 0..LINKS, 1..80usize)
            .prop_map(|(from, link, count)| Step::Send { from, link, count }),
        4 => worker().prop_map(Step::Flush),
        4 => worker().prop_map(Step::Drain),
        2 => worker().prop_map(Step::Collect),
        1 => (0..LINKS, prop::option::of(0..50usize)).prop_map(|(link, room)| Step::Room(link, room)),
        1 => worker().prop_map(Step::Replace),
    ]
}

/// What a schedule did.
struct Outcome {
    world: World<HeapIo>,
    /// Frames that found a free one.
    begun: u64,
    /// Of those, the ones that their worker sent or dropped itself.
    sent: u64,
    dropped: u64,
    /// The numbers that left by each link, in order.
    left: BTreeMap<u16, Vec<u32>>,
}

fn run(memories: [u16; 3], steps: Vec<Step>) -> Outcome {
    let mut outcome =
        Outcome { world: heaps(memories), begun: 0, sent: 0, dropped: 0, left: BTreeMap::new() };
    let mut number = 0u32;
    for step in steps {
        match step {
            Step::Send { from, link, count } => {
                for _ in 0..count {
                    number += 1;
                    match outcome.world.send(from, link, &number.to_be_bytes()) {
                        None => continue,
                        Some(Fate::Sent) => outcome.sent += 1,
                        Some(Fate::HandedOver) => {}
                        Some(Fate::Refused(_)) => outcome.dropped += 1,
                    }
                    outcome.begun += 1;
                }
            }
            Step::Flush(worker) => outcome.world.workers[worker].flush(),
            Step::Drain(worker) => outcome.world.drain(worker),
            Step::Collect(worker) => outcome.collect(worker),
            Step::Room(link, room) => {
                let worker = usize::from(link % WORKERS);
                outcome.world.workers[worker].io.set_tx_room(LinkId(link), room);
            }
            Step::Replace(worker) => {
                outcome.collect(worker);
                let id = u16::try_from(worker).unwrap();
                outcome.world.replace(worker, heap(id, FRAMES, 100 + memories[worker]));
            }
        }
    }
    outcome.world.settle();
    (0..usize::from(WORKERS)).for_each(|worker| outcome.collect(worker));
    // What was sent is free again, and pays debts.
    outcome.world.settle();
    outcome
}

impl Outcome {
    fn collect(&mut self, worker: usize) {
        for link in (0..LINKS).filter(|link| usize::from(link % WORKERS) == worker) {
            for bytes in self.world.workers[worker].io.take_all_sent(LinkId(link)) {
                let number = u32::from_be_bytes(bytes[..].try_into().unwrap());
                self.left.entry(link).or_default().push(number);
            }
        }
    }

    fn frame_counts(&self) -> Vec<usize> {
        let ios = self.world.workers.iter().map(|worker| &worker.io);
        ios.inspect(|io| assert_eq!(io.idle_frames(), io.frame_count()))
            .map(HeapIo::frame_count)
            .collect()
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever is sent when: each frame has one fate, and the memory stays where it belongs.
    #[test]
    fn every_frame_has_one_fate(
        memories in prop_oneof![Just([0, 0, 0]), Just([0, 0, 1]), Just([0, 1, 2])],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let steps: Vec<Step> =
            steps.into_iter().filter(|step| !matches!(step, Step::Replace(_))).collect();
        let outcome = run(memories, steps);
        let (sent, dropped) = outcome.world.fates();
        prop_assert_eq!(outcome.begun, outcome.sent + outcome.dropped + sent + dropped);
        let counts = outcome.frame_counts();
        let left: usize = outcome.left.values().map(Vec::len).sum();
        prop_assert_eq!(left as u64, outcome.sent + sent);
        let mut numbers: Vec<u32> = outcome.left.into_values().flatten().collect();
        numbers.sort_unstable();
        prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
        prop_assert_eq!(counts.iter().sum::<usize>(), FRAMES * usize::from(WORKERS));
        for (count, memory) in counts.into_iter().zip(memories) {
            let shares = memories.iter().filter(|other| **other == memory).count();
            // Less than a batch is owed to each.
            prop_assert!(count.abs_diff(FRAMES) < BATCH_MAX * shares, "{} of {}", count, FRAMES);
            prop_assert!(shares > 1 || count == FRAMES);
        }
    }

    /// Workers come and go: nobody else loses a frame, or has one twice.
    #[test]
    fn a_lost_worker_takes_only_its_own(steps in prop::collection::vec(step(), 0..120)) {
        let outcome = run([0, 1, 2], steps);
        prop_assert_eq!(outcome.frame_counts(), vec![FRAMES; 3]);
        let mut numbers: Vec<u32> = outcome.left.into_values().flatten().collect();
        numbers.sort_unstable();
        prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
    }

    /// The same with chunks: when all workers have ended, the region is whole, and is used again.
    #[test]
    fn chunks_are_conserved(steps in prop::collection::vec(step(), 0..60)) {
        let first = run_chunks(steps);
        let (second, _) = region();
        prop_assert!(first.same(second), "a chunk of it is missing");
    }
}

/// A number that no other test has, since idle regions are the process's.
const CHUNKS: usize = 128;

fn region() -> (RegionHandle, Vec<WorkerIo>) {
    let config = RegionConfig { chunks: CHUNKS, ..RegionConfig::default() };
    let (region, pools) = Region::for_workers(config, usize::from(WORKERS)).unwrap();
    let io = |pool| WorkerIo::new(pool, Waker::new().unwrap().fd().unwrap()).unwrap();
    (region, pools.into_iter().map(io).collect())
}

/// The region after a schedule, when all workers have ended.  None had a queue: what arrived was freed.
fn run_chunks(steps: Vec<Step>) -> RegionHandle {
    let (region, ios) = region();
    let mut world = World::new(ios);
    for step in steps {
        match step {
            Step::Send { from, link, count } => {
                for _ in 0..count {
                    world.send(from, link, &[7; 60]);
                }
            }
            Step::Flush(worker) => world.workers[worker].flush(),
            Step::Drain(worker) => world.drain(worker),
            Step::Collect(_) | Step::Room(..) | Step::Replace(_) => {}
        }
        for worker in &mut world.workers {
            let conservation = worker.io.conservation();
            assert_eq!(conservation.sum(), conservation.chunks);
            assert_eq!(worker.io.pool().count(), worker.io.pool().audit());
        }
    }
    // One still sends when the others have ended.
    let mut last = world.workers.remove(0);
    world.workers.clear();
    last.flush();
    region
}

/// One way only, for far more frames than there are: they come home.
#[test]
fn a_worker_that_only_sends_does_not_run_dry() {
    let mut world = heaps([0, 0, 0]);
    for round in 0..1000 {
        for _ in 0..60 {
            assert_eq!(world.send(0, 1, b"one way"), Some(Fate::HandedOver), "round {round}");
        }
        world.workers[0].flush();
        world.drain(1);
        world.workers[1].io.take_all_sent(LinkId(1));
        world.drain(0);
        // What came home in the last round suffices for the next.
        world.drain(1);
    }
    world.settle();
    assert_eq!(world.fates(), (60_000, 0));
}

/// A worker that cannot send what it is handed keeps some frames of the other, not all.
#[test]
fn a_worker_with_nothing_to_pay_with_drops() {
    let mut world = World::new(vec![heap(0, 2000, 0), heap(1, 8, 0)]);
    let mut sent = 0;
    while world.workers[0].io.frame_count() > 100 && sent < 1500 {
        assert_eq!(world.send(0, 1, b"stays"), Some(Fate::HandedOver));
        sent += 1;
        world.workers[0].flush();
        world.drain(1);
        world.drain(0);
    }
    assert_eq!(sent, 1500, "it still has some");
    let (kept, dropped) = world.fates();
    assert_eq!(kept + dropped, 1500);
    assert!((256..=256 + 64).contains(&kept), "{kept}");
    let drops = world.counters[1].iface(IfaceId(1)).unwrap().tx_drops;
    assert_eq!(drops[DropReason::NoBuffer as usize], dropped);
    // As soon as it has sent them, all is well.
    world.workers[1].io.take_all_sent(LinkId(1));
    world.settle();
    assert!(world.workers[0].io.frame_count() > 2000 - BATCH_MAX);
    world.send(0, 1, b"goes");
    world.settle();
    assert_eq!(world.fates(), (kept + 1, dropped));
}

/// A frame crosses as it is, and is copied only where the memory differs.
#[test]
fn what_crosses_is_not_copied() {
    for (memory, copies) in [(0, false), (1, true)] {
        let mut world = World::new(vec![heap(0, 4, 0), heap(1, 4, memory)]);
        let frame = world.workers[0].copy_from(b"the same bytes").unwrap();
        let place = frame.bytes().as_ptr();
        let charge = Charge { iface: IfaceId(1), bytes: 14 };
        // The link is not there yet: the frame is kept, where a test can see it.
        world.workers[1].io.remove_queue(LinkId(1));
        world.workers[1].expect(LinkId(1));
        assert_eq!(world.workers[0].send(LinkId(1), frame, charge), Fate::HandedOver);
        world.workers[0].flush();
        world.drain(1);
        let kept = &world.workers[1].kept[0].frame;
        assert_eq!(kept.bytes(), b"the same bytes");
        assert_eq!(kept.bytes().as_ptr() != place, copies);
    }
}

#[test]
fn what_was_sent_to_a_lost_worker_is_counted() {
    let mut world = heaps([0, 0, 0]);
    for _ in 0..5 {
        world.send(0, 1, b"too late");
    }
    world.workers[0].flush();
    world.send(0, 1, b"not even flushed");
    world.workers[1] = World::worker(heap(1, FRAMES, 1), WorkerId(1));
    let [sender, fresh] = world.workers.get_disjoint_mut([0, 1]).unwrap();
    introduce(fresh, &mut Counters::default(), sender, &mut world.counters[0]);
    let port = world.counters[0].iface(IfaceId(1)).unwrap();
    assert_eq!(port.tx_drops[DropReason::WorkerRing as usize], 6);
    assert_eq!(world.workers[0].io.idle_frames(), FRAMES);
}
