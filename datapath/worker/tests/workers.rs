//! Workers as control sees them, over a back end in plain memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "as above")]

use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_io::{HeapIo, HeapQueue, HeapWire};
use weft_switch::{
    BridgeConf, BridgeId, DropReason, IfaceCounters, IfaceId, IfaceKind, LinkConf, LinkId,
    LinkRole, Numbers, PortConf, PortId, Snapshot, SnapshotBuilder, WorkerId,
};
use weft_wire::MacAddr;
use weft_worker::{
    Command, Event, Fault, Handle, NOTICES_MAX, Notice, Report, SpawnConfig, Waker, spawn_again,
    spawn_all,
};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A bridge whose port N is link N, served by worker N of `workers`.
fn bridge(epoch: u64, ports: u16, workers: u16) -> Arc<Snapshot> {
    bridge_with(epoch, ports, |id| id % workers)
}

/// The same, with a worker for each link.
fn bridge_with(epoch: u64, ports: u16, worker: impl Fn(u16) -> u16) -> Arc<Snapshot> {
    let mut builder = SnapshotBuilder::new(epoch);
    builder.bridge(BridgeId(0), BridgeConf::default());
    for id in 0..ports {
        let kind = IfaceKind::Link(LinkId(id));
        builder.port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), kind));
        let role = LinkRole::Iface(IfaceId(id));
        let worker = WorkerId(worker(id));
        builder.link(LinkId(id), LinkConf { role, mtu: 1500, completes_checksums: false, worker });
    }
    Arc::new(builder.build())
}

struct Rig {
    handles: Vec<Handle<HeapQueue>>,
    wires: Vec<HeapWire>,
    control: Waker,
}

impl Rig {
    fn new(workers: u16, ports: u16) -> Self {
        Self::with_frames(&vec![(1024, 0); usize::from(workers)], ports)
    }

    /// One worker for each of `frames`, with so many of the memory with that number.
    fn with_frames(frames: &[(usize, u16)], ports: u16) -> Self {
        let control = Waker::new().unwrap();
        let workers = u16::try_from(frames.len()).unwrap();
        let configs = frames
            .iter()
            .map(|(frames, memory)| {
                let waker = Waker::new().unwrap();
                let io = HeapIo::with_waker(*frames, waker.fd().unwrap()).with_memory(*memory);
                SpawnConfig { io, waker, cpu: None, numbers: Numbers::default() }
            })
            .collect();
        let handles = spawn_all(configs, &control, 42).unwrap();
        let mut rig = Self { handles, wires: Vec::new(), control };
        for id in 0..ports {
            let (queue, wire) = HeapQueue::wired();
            let command = Command::AddQueue { link: LinkId(id), queue };
            rig.handles[usize::from(id % workers)].send(command);
            rig.wires.push(wire);
        }
        rig.install(&bridge(1, ports, workers));
        rig
    }

    /// A new worker in the place of `worker`, whose handle is returned, with memory of its own and new queues of
    /// `ports`.
    fn replace(&mut self, worker: u16, ports: &[u16]) -> Handle<HeapQueue> {
        let waker = Waker::new().unwrap();
        let io = HeapIo::with_waker(1024, waker.fd().unwrap()).with_memory(1);
        let config = SpawnConfig { io, waker, cpu: None, numbers: Numbers::default() };
        let place = usize::from(worker);
        let old = spawn_again(config, place, &mut self.handles, &self.control, 43).unwrap();
        for port in ports {
            let (queue, wire) = HeapQueue::wired();
            self.handles[place].send(Command::AddQueue { link: LinkId(*port), queue });
            self.wires[usize::from(*port)] = wire;
        }
        old.unwrap()
    }

    fn install(&self, snapshot: &Arc<Snapshot>) {
        for handle in &self.handles {
            handle.send(Command::Install(Arc::clone(snapshot)));
        }
        for worker in 0..self.handles.len() {
            self.event(worker, |event| matches!(event, Event::Installed { .. }));
        }
    }

    /// The next event of a worker that `wanted` takes; others are dropped.
    fn event(&self, worker: usize, wanted: impl Fn(&Event<HeapQueue>) -> bool) -> Event<HeapQueue> {
        let began = Instant::now();
        loop {
            match self.handles[worker].try_answer() {
                Some((_, event)) if wanted(&event) => return event,
                Some(_) => {}
                None => std::thread::yield_now(),
            }
            assert!(began.elapsed() < PATIENCE, "no such event");
        }
    }

    fn stations(&self, worker: usize) -> Vec<(MacAddr, PortId)> {
        let (mut found, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            self.handles[worker].send(Command::DumpFdb { bridge: BridgeId(0), from });
            match self.event(worker, |event| matches!(event, Event::Fdb { .. })) {
                Event::Fdb { records, next: rest, .. } => {
                    found.extend(records.iter().map(|one| (one.mac, one.port)));
                    next = rest;
                }
                _ => unreachable!("the event was asked for by kind"),
            }
        }
        found.sort_unstable();
        found
    }

    /// What a port counted, at all workers together.
    fn counters(&self, port: u16) -> IfaceCounters {
        let mut sum = IfaceCounters::default();
        for (worker, handle) in self.handles.iter().enumerate() {
            handle.send(Command::Report(Box::default()));
            match self.event(worker, |event| matches!(event, Event::Report(_))) {
                Event::Report(report) => sum.add(report.counters.iface(IfaceId(port)).unwrap()),
                _ => unreachable!("the event was asked for by kind"),
            }
        }
        sum
    }

    /// Waits until a port has counted this many frames, sent or dropped on the way out; returns what
    /// was sent, and the drops by reason.
    fn fates(&self, port: u16, frames: u64) -> (u64, Vec<(&'static str, u64)>) {
        let began = Instant::now();
        loop {
            let counters = self.counters(port);
            if counters.tx_frames + counters.tx_dropped_frames() >= frames {
                let drops = DropReason::ALL.iter().zip(counters.tx_drops);
                let drops = drops.filter(|(_, count)| *count > 0);
                let drops = drops.map(|(reason, count)| (reason.name(), count)).collect();
                return (counters.tx_frames, drops);
            }
            assert!(began.elapsed() < PATIENCE, "{counters:?}");
        }
    }

    fn receive(&self, port: usize) -> Vec<u8> {
        self.wires[port].receive_within(PATIENCE).expect("a frame")
    }
}

fn mac(host: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host])
}

fn frame(source: u8, target: MacAddr) -> Vec<u8> {
    let mut bytes = [target.0, mac(source).0].concat();
    bytes.extend([0x88, 0xb5]);
    bytes.resize(60, source);
    bytes
}

#[test]
fn a_frame_crosses_and_its_sender_is_learned() {
    let rig = Rig::new(1, 3);
    rig.wires[0].send(&frame(1, mac(2)));
    assert_eq!(rig.receive(1), frame(1, mac(2)));
    assert_eq!(rig.receive(2), frame(1, mac(2)), "unknown: flooded");
    rig.wires[1].send(&frame(2, mac(1)));
    assert_eq!(rig.receive(0), frame(2, mac(1)));
    assert_eq!(rig.wires[2].receive_within(Duration::from_millis(50)), None, "known: not flooded");
    assert_eq!(rig.stations(0), [(mac(1), PortId(0)), (mac(2), PortId(1))]);
}

#[test]
fn workers_hand_over_frames_and_news() {
    let rig = Rig::new(3, 6);
    rig.wires[0].send(&frame(1, MacAddr::BROADCAST));
    for port in 1..6 {
        assert_eq!(rig.receive(port), frame(1, MacAddr::BROADCAST), "port {port}");
    }
    rig.wires[5].send(&frame(9, mac(1)));
    assert_eq!(rig.receive(0), frame(9, mac(1)));
    for port in 1..5 {
        assert_eq!(rig.wires[port].receive(), None, "worker 2 knows what worker 0 heard");
    }
    let expected = [(mac(1), PortId(0)), (mac(9), PortId(5))];
    for worker in 0..3 {
        let began = Instant::now();
        while rig.stations(worker) != expected {
            assert!(began.elapsed() < PATIENCE, "worker {worker}: {:?}", rig.stations(worker));
        }
    }
}

#[test]
fn a_frame_that_the_other_worker_cannot_send_is_counted_once() {
    // The other worker has the link and other memory, and not a frame to copy into.
    let rig = Rig::with_frames(&[(1024, 0), (0, 1)], 2);
    rig.wires[0].send(&frame(1, mac(2)));
    assert_eq!(rig.fates(1, 1), (0, vec![("no_buffer", 1)]));

    // The other worker has frames, and the link is gone.
    let rig = Rig::new(2, 2);
    rig.handles[1].send(Command::RemoveQueues { link: LinkId(1) });
    rig.event(1, |event| matches!(event, Event::QueuesRemoved { .. }));
    rig.wires[0].send(&frame(1, mac(2)));
    assert_eq!(rig.fates(1, 1), (0, vec![("tx_ring", 1)]));
}

#[test]
fn a_burst_waits_for_the_other_worker() {
    let rig = Rig::new(2, 2);
    // Far more than are under way between two workers at most, both ways at once.
    let bursts = 5000;
    for _ in 0..bursts {
        rig.wires[0].send(&frame(1, mac(2)));
        rig.wires[1].send(&frame(2, mac(1)));
    }
    for port in [0, 1] {
        assert_eq!(rig.fates(port, bursts), (bursts, Vec::new()), "port {port}");
    }
}

/// What a link receives and sends stays in order while its queue goes from worker to worker, under load.
#[test]
fn a_queue_that_moves_loses_nothing_and_keeps_the_order() {
    let rig = Rig::new(2, 4);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[14..18].try_into().unwrap());
    let numbered = |source, target, number: u32| {
        let mut bytes = frame(source, mac(target));
        bytes[14..18].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    for station in [1, 2, 3] {
        rig.wires[usize::from(station)].send(&frame(station, MacAddr::BROADCAST));
    }
    (0..4).for_each(|_| drop(rig.wires[0].receive_within(Duration::from_millis(100))));
    for port in 0..4 {
        while rig.wires[port].receive().is_some() {}
    }
    let (mut sent, mut owner) = (0u32, 1u16);
    for round in 0..40 {
        // Link 1 moves while it receives from 0 and 2, and sends to 3, all on one worker or the other.
        for _ in 0..200 {
            rig.wires[2].send(&numbered(2, 1, sent));
            rig.wires[1].send(&numbered(1, 3, sent));
            sent += 1;
        }
        let (from, to) = (usize::from(owner), usize::from(1 - owner));
        let link = LinkId(1);
        rig.handles[to].send(Command::ExpectQueue { link });
        owner = 1 - owner;
        rig.install(&bridge_with(10 + round, 4, |id| if id == 1 { owner } else { id % 2 }));
        rig.handles[from].send(Command::TakeQueues { link });
        match rig.event(from, |event| matches!(event, Event::QueuesRemoved { .. })) {
            Event::QueuesRemoved { queues, .. } => {
                for queue in queues {
                    rig.handles[to].send(Command::AddQueue { link, queue });
                }
            }
            _ => unreachable!("asked for by kind"),
        }
    }
    for port in [1, 3] {
        for expected in 0..sent {
            assert_eq!(number(&rig.receive(port)), expected, "port {port}");
        }
        assert_eq!(rig.wires[port].receive(), None, "port {port}");
    }
}

#[test]
fn nothing_waits_for_a_queue_whose_worker_was_lost() {
    let rig = Rig::new(2, 4);
    rig.handles[0].send(Command::ExpectQueue { link: LinkId(1) });
    rig.install(&bridge(2, 4, 2));
    rig.wires[0].send(&frame(1, MacAddr::BROADCAST));
    assert_eq!(rig.receive(1), frame(1, MacAddr::BROADCAST));
}

#[test]
fn workers_tell_which_links_talk() {
    let rig = Rig::new(2, 4);
    for _ in 0..100 {
        rig.wires[0].send(&frame(1, mac(2)));
        rig.wires[1].send(&frame(2, mac(1)));
        rig.receive(0);
        rig.receive(1);
    }
    let talks = |worker: usize| {
        rig.handles[worker].send(Command::ListTalks);
        match rig.event(worker, |event| matches!(event, Event::Talks(_))) {
            Event::Talks(talks) => talks,
            _ => unreachable!("asked for by kind"),
        }
    };
    let pairs = |worker| talks(worker).iter().map(|it| (it.from.0, it.to.0)).collect::<Vec<_>>();
    assert!(pairs(0).contains(&(0, 1)), "{:?}", pairs(0));
    assert!(pairs(1).contains(&(1, 0)), "{:?}", pairs(1));
}

#[test]
fn a_station_that_moves_between_workers_is_found() {
    let rig = Rig::new(2, 4);
    for round in 0..50u8 {
        // Heard on a port of one worker, then on a port of the other.
        let port = usize::from(round) % 4;
        rig.wires[port].send(&frame(7, MacAddr::BROADCAST));
        for other in (0..4).filter(|other| *other != port) {
            assert_eq!(rig.receive(other), frame(7, MacAddr::BROADCAST));
        }
        let expected = [(mac(7), PortId(u16::try_from(port).unwrap()))];
        for worker in 0..2 {
            let began = Instant::now();
            while rig.stations(worker) != expected {
                assert!(began.elapsed() < PATIENCE, "round {round}, worker {worker}");
            }
        }
    }
}

#[test]
fn a_snapshot_is_freed_by_control() {
    let rig = Rig::new(1, 2);
    let second = bridge(2, 2, 1);
    rig.install(&second);
    rig.handles[0].send(Command::Install(bridge(3, 2, 1)));
    let event = rig.event(0, |event| matches!(event, Event::Installed { epoch: 3, .. }));
    let Event::Installed { retired, .. } = event else { unreachable!("asked for by kind") };
    assert!(Arc::ptr_eq(&retired, &second));
    drop(retired);
    assert_eq!(Arc::strong_count(&second), 1, "the worker holds none");
}

#[test]
fn a_removed_port_gets_nothing_and_gives_its_queue_back() {
    let rig = Rig::new(1, 3);
    rig.wires[0].send(&frame(1, MacAddr::BROADCAST));
    assert_eq!(rig.receive(1), rig.receive(2));
    rig.install(&bridge(2, 2, 1));
    rig.handles[0].send(Command::RemoveQueues { link: LinkId(2) });
    match rig.event(0, |event| matches!(event, Event::QueuesRemoved { .. })) {
        Event::QueuesRemoved { link, queues } => assert_eq!((link, queues.len()), (LinkId(2), 1)),
        _ => unreachable!("asked for by kind"),
    }
    rig.handles[0].send(Command::Reclaim);
    rig.wires[0].send(&frame(1, MacAddr::BROADCAST));
    assert_eq!(rig.receive(1), frame(1, MacAddr::BROADCAST));
    assert_eq!(rig.wires[2].receive(), None);
}

#[test]
fn idle_workers_sleep_and_wake_for_frames_and_commands() {
    let rig = Rig::new(1, 2);
    let report = |rig: &Rig| {
        rig.handles[0].send(Command::Report(Box::default()));
        match rig.event(0, |event| matches!(event, Event::Report(_))) {
            Event::Report(report) => report,
            _ => unreachable!("asked for by kind"),
        }
    };
    let before: Box<Report> = report(&rig);
    std::thread::sleep(Duration::from_millis(300));
    let after = report(&rig);
    assert!(after.sleeps > before.sleeps, "it slept");
    // Wired queues are looked at now and then while asleep, so some rounds are idle; a worker
    // that polls without rest makes millions.
    assert!(after.idle_rounds - before.idle_rounds < 100_000, "it did not poll all the time");
    rig.wires[0].send(&frame(1, mac(2)));
    assert_eq!(rig.receive(1), frame(1, mac(2)));
    assert_eq!(report(&rig).counters.iface(IfaceId(0)).unwrap().rx_frames, 1);
}

#[test]
fn static_entries_and_flushes_reach_the_table() {
    let rig = Rig::new(1, 2);
    let vid = weft_wire::vid::Vid::UNTAGGED;
    let set = |port| Command::SetStatic { bridge: BridgeId(0), vid, mac: mac(5), port };
    rig.handles[0].send(set(Some(PortId(1))));
    rig.wires[0].send(&frame(1, mac(5)));
    assert_eq!(rig.receive(1), frame(1, mac(5)));
    rig.handles[0].send(Command::FlushFdb { bridge: None, port: None, vid: None });
    match rig.event(0, |event| matches!(event, Event::FdbFlushed { .. })) {
        Event::FdbFlushed { entries } => assert_eq!(entries, 1, "the learned one"),
        _ => unreachable!("asked for by kind"),
    }
    assert_eq!(rig.stations(0), [(mac(5), PortId(1))]);
    rig.handles[0].send(set(None));
    assert_eq!(rig.stations(0), []);
}

/// Until `done` says so.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn answers_carry_the_number_of_their_question() {
    let rig = Rig::new(1, 1);
    rig.handles[0].ask(7, Command::Ping);
    rig.handles[0].ask(8, Command::FlushFdb { bridge: None, port: None, vid: None });
    let mut answers = Vec::new();
    wait_until("two answers", || {
        answers.extend(rig.handles[0].try_answer());
        answers.len() == 2
    });
    assert!(matches!(answers[0], (7, Event::Pong)));
    assert!(matches!(answers[1], (8, Event::FdbFlushed { .. })));
}

#[test]
fn an_answer_is_not_lost_when_notices_fill_their_channel() {
    let rig = Rig::new(1, 1);
    let mut builder = SnapshotBuilder::new(2);
    let conf = BridgeConf { takes_bpdus: true, ..BridgeConf::default() };
    builder.bridge(BridgeId(0), conf);
    builder.port(PortId(0), PortConf::new(BridgeId(0), IfaceId(0), IfaceKind::Link(LinkId(0))));
    let role = LinkRole::Iface(IfaceId(0));
    let link = LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
    builder.link(LinkId(0), link);
    rig.install(&Arc::new(builder.build()));
    let bpdu = frame(1, MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]));
    let frames = NOTICES_MAX as u64 + 10;
    for sent in 0..frames {
        rig.wires[0].send(&bpdu);
        let rx = || {
            rig.handles[0].send(Command::Report(Box::default()));
            match rig.event(0, |event| matches!(event, Event::Report(_))) {
                Event::Report(report) => report.rx_frames,
                _ => unreachable!("asked for by kind"),
            }
        };
        // Nobody takes the notices, and each question is answered.
        wait_until("a frame is taken in", || rx() == sent + 1);
    }
    let notices = std::iter::from_fn(|| rig.handles[0].try_notice());
    let punted = notices.filter(|notice| matches!(notice, Notice::Punted { .. })).count();
    assert_eq!(punted, NOTICES_MAX, "what found no room is lost");
}

#[test]
fn a_worker_that_panics_says_why_and_is_replaced_alone() {
    let mut rig = Rig::new(2, 4);
    rig.control.drain();
    rig.handles[1].send(Command::Fail(Fault::Panic));
    wait_until("the end", || rig.handles[1].end().is_some());
    assert_eq!(rig.handles[1].end(), Some("a test asked for it"));
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(
        rig.control.as_fd(),
        rustix::event::PollFlags::IN,
    )];
    assert_eq!(rustix::event::poll(&mut fds, None), Ok(1), "control is told");
    wait_until("the thread ends", || !rig.handles[1].is_alive());
    // The other one goes on.
    rig.wires[0].send(&frame(1, MacAddr::BROADCAST));
    assert_eq!(rig.receive(2), frame(1, MacAddr::BROADCAST));

    drop(rig.replace(1, &[1, 3]));
    rig.install(&bridge(2, 4, 2));
    // Frames and what was learned cross in both directions.
    rig.wires[1].send(&frame(5, MacAddr::BROADCAST));
    for port in [0, 2, 3] {
        assert_eq!(rig.receive(port), frame(5, MacAddr::BROADCAST), "port {port}");
    }
    wait_until("worker 0 hears of it", || rig.stations(0).contains(&(mac(5), PortId(1))));
    rig.wires[2].send(&frame(6, mac(5)));
    assert_eq!(rig.receive(1), frame(6, mac(5)));
    wait_until("worker 1 hears of it", || rig.stations(1).contains(&(mac(6), PortId(2))));
}

#[test]
fn a_worker_that_hangs_is_replaced_and_ends_when_it_moves_on() {
    let mut rig = Rig::new(2, 4);
    let before = rig.handles[1].rounds();
    wait_until("the loop turns", || {
        rig.handles[1].send(Command::Ping);
        rig.handles[1].rounds() > before
    });
    rig.handles[1].send(Command::Fail(Fault::Block(Duration::from_millis(500))));
    let hanging = rig.replace(1, &[1, 3]);
    rig.install(&bridge(2, 4, 2));
    rig.wires[3].send(&frame(3, MacAddr::BROADCAST));
    for port in [0, 1, 2] {
        assert_eq!(rig.receive(port), frame(3, MacAddr::BROADCAST), "port {port}");
    }
    assert!(hanging.stop(), "it ends when it moves on");
}

#[test]
fn control_is_woken_for_every_answer() {
    let rig = Rig::new(1, 1);
    rig.control.drain();
    rig.handles[0].send(Command::DumpFdb { bridge: BridgeId(0), from: 0 });
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(
        rig.control.as_fd(),
        rustix::event::PollFlags::IN,
    )];
    let timeout = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1));
}
