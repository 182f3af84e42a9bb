//! The forwarding databases of several workers, which tell each other what they learn.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop at once")]
#![expect(clippy::indexing_slicing, reason = "the model is small and its indices its own")]

mod common;

use common::{Switch, TestFrame};
use proptest::prelude::*;
use std::collections::VecDeque;
use weft_switch::{
    Announcement, BridgeConf, BridgeId, Datapath, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole,
    Numbers, PortConf, PortId, Sighting, Snapshot, SnapshotBuilder, Station, Tick, VlanConf,
    VlanMode, WorkerId,
};
use weft_wire::vid::Vid;

const PORTS: u16 = 6;
const STATIONS: u8 = 3;
const AGE_SECS: u32 = 300;

fn bridge(epoch: u64, change: impl Fn(PortId, &mut PortConf)) -> Snapshot {
    let mut builder = SnapshotBuilder::new(epoch);
    let conf = BridgeConf { fdb_age_secs: AGE_SECS, fdb_entries_max: 64, ..BridgeConf::default() };
    builder.bridge(BridgeId(0), conf);
    for id in 0..PORTS {
        let mut port = PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id)));
        change(PortId(id), &mut port);
        builder.port(PortId(id), port);
        let role = LinkRole::Iface(IfaceId(id));
        let worker = WorkerId(0);
        builder.link(LinkId(id), LinkConf { role, mtu: 1500, completes_checksums: false, worker });
    }
    builder.build()
}

fn broadcast(station: u8) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend([2, 0, 0, 0, 0, station, 0x88, 0xb5]);
    bytes.resize(60, 0);
    bytes
}

fn station(number: u8) -> Station {
    Station::new(Vid::UNTAGGED, 0x0200_0000_0000 | u64::from(number))
}

/// Workers with their mail: a queue from each to each other, in which nothing overtakes.
struct Workers {
    switches: Vec<Switch>,
    mail: Vec<Vec<VecDeque<Announcement>>>,
}

impl Workers {
    fn new(count: usize) -> Self {
        let switch = |_| {
            let mut switch = Switch::new(bridge(1, |_, _| {}));
            switch.datapath = Datapath::<TestFrame>::new(7, true, Numbers::default());
            switch.datapath.adopt(&Snapshot::default(), &switch.snapshot);
            switch
        };
        let mail = vec![vec![VecDeque::new(); count]; count];
        Self { switches: (0..count).map(switch).collect(), mail }
    }

    fn receive(&mut self, worker: usize, port: u16, number: u8, now: u32) {
        self.switches[worker].receive(LinkId(port), &[broadcast(number)], Tick(now));
        self.post(worker);
    }

    fn post(&mut self, worker: usize) {
        for news in self.switches[worker].datapath.take_announcements() {
            let others = (0..self.mail.len()).filter(|to| *to != worker);
            others.for_each(|to| self.mail[worker][to].push_back(news));
        }
    }

    /// Delivers the oldest announcement of one worker to another; false when there is none.
    fn deliver(&mut self, from: usize, to: usize) -> bool {
        let Some(news) = self.mail[from][to].pop_front() else { return false };
        let Switch { datapath, snapshot, .. } = &mut self.switches[to];
        datapath.hear(news, snapshot);
        self.post(to);
        true
    }

    /// Delivers everything, and what is answered; each worker's mail by the numbers in `order`.
    fn deliver_all(&mut self, order: &[usize]) {
        let count = self.mail.len();
        let pairs: Vec<_> = (0..count * count).map(|n| (n / count, n % count)).collect();
        let mut steps = 0;
        for pick in order.iter().cycle() {
            let full: Vec<_> =
                pairs.iter().filter(|(from, to)| !self.mail[*from][*to].is_empty()).collect();
            let Some(&&(from, to)) = full.get(pick % full.len().max(1)) else { return };
            self.deliver(from, to);
            steps += 1;
            assert!(steps < 100_000, "workers answer each other without end");
        }
    }

    /// Where each worker thinks a station is.
    fn opinions(&self, number: u8) -> Vec<Option<PortId>> {
        let opinion = |switch: &Switch| {
            let fdb = switch.datapath.fdb(BridgeId(0)).unwrap();
            fdb.sighting(station(number), fdb.hash(station(number))).map(|seen| seen.port)
        };
        self.switches.iter().map(opinion).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Worker, port, station: any worker may serve a queue of any port.
    Frame(usize, u16, u8),
    Deliver(usize, usize),
    Pause(u32),
}

fn step(workers: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..workers, 0..PORTS, 0..STATIONS).prop_map(|(w, p, s)| Step::Frame(w, p, s)),
        8 => (0..workers, 0..workers).prop_map(|(from, to)| Step::Deliver(from, to)),
        2 => (1u32..3).prop_map(Step::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Announcements come late and in any order: once all are there, all workers agree on one of
    /// the ports on which the station was heard in the last second in which it was heard at all.
    #[test]
    fn all_agree_on_the_newest_sighting(
        steps in prop::collection::vec(step(4), 1..80),
        order in prop::collection::vec(0usize..1000, 1..20),
    ) {
        let mut workers = Workers::new(4);
        let mut now = 10;
        let mut newest = vec![(0, vec![]); usize::from(STATIONS)];
        for step in steps {
            match step {
                Step::Pause(secs) => now += secs,
                Step::Deliver(from, to) => drop(workers.deliver(from, to)),
                Step::Frame(worker, port, number) => {
                    workers.receive(worker, port, number, now);
                    let of = &mut newest[usize::from(number)];
                    if of.0 != now {
                        *of = (now, vec![]);
                    }
                    of.1.push(Some(PortId(port)));
                }
            }
        }
        workers.deliver_all(&order);
        for (number, (_, ports)) in (0..STATIONS).zip(newest) {
            let opinions = workers.opinions(number);
            prop_assert!(opinions.iter().all(|one| *one == opinions[0]), "{:?}", opinions);
            prop_assert!(ports.is_empty() || ports.contains(&opinions[0]), "{:?}", opinions);
        }
    }

    /// When nothing is under way any more, one frame is enough for all to know: the port where a
    /// station was heard last is the one that all have, however often it moved in that second.
    #[test]
    fn one_frame_tells_all(
        frames in prop::collection::vec((0usize..3, 0..PORTS, 0..STATIONS, 0u32..2), 1..150),
    ) {
        let mut workers = Workers::new(3);
        let mut now = 10;
        for (worker, port, number, pause) in frames {
            now += pause;
            workers.receive(worker, port, number, now);
            workers.deliver_all(&[0]);
            prop_assert_eq!(workers.opinions(number), vec![Some(PortId(port)); 3]);
        }
    }

    /// The order of sightings in which the tie of two workers is decided.
    #[test]
    fn of_two_at_once_the_higher_port_wins(a in 0..PORTS, b in 0..PORTS, first in 0usize..2) {
        let mut workers = Workers::new(3);
        workers.receive(0, a, 1, 10);
        workers.receive(1, b, 1, 10);
        workers.deliver(first, 2);
        workers.deliver_all(&[0]);
        prop_assert_eq!(workers.opinions(1), vec![Some(PortId(a.max(b))); 3]);
    }
}

/// A station that still talks where it was does not undo a move that one frame told of.
#[test]
fn a_move_wins_over_frames_of_the_same_second() {
    let mut workers = Workers::new(2);
    workers.receive(0, 5, 1, 10);
    workers.deliver_all(&[0]);
    workers.receive(0, 5, 1, 11);
    workers.receive(1, 2, 1, 11);
    workers.deliver_all(&[0]);
    assert_eq!(workers.opinions(1), [Some(PortId(2)); 2]);
}

/// A station that moves more often than is counted is announced again in the next second.
#[test]
fn moves_beyond_count_are_settled_in_the_next_second() {
    let mut workers = Workers::new(2);
    for _ in 0..50 {
        workers.receive(0, 4, 1, 10);
        workers.receive(0, 2, 1, 10);
    }
    workers.deliver_all(&[0]);
    assert_eq!(workers.opinions(1)[0], Some(PortId(2)));
    workers.receive(0, 2, 1, 11);
    workers.deliver_all(&[0]);
    assert_eq!(workers.opinions(1), [Some(PortId(2)); 2]);
}

/// News from before a change cannot bring back what the change made impossible; news from after a
/// change that this worker has not seen yet is taken.
#[test]
fn news_from_before_a_change_is_checked() {
    let mut switch = Switch::new(bridge(1, |_, _| {}));
    let in_vlan = |id: PortId, port: &mut PortConf| {
        let tag = Vid::try_from(5).unwrap();
        if id == PortId(1) {
            port.vlan = VlanConf { mode: VlanMode::Access, tag, ..VlanConf::default() };
        }
    };
    switch.install(bridge(2, in_vlan));
    let sighting = Sighting { heard_at: Tick(9), turn: 1, port: PortId(1) };
    let mut news = Announcement { bridge: BridgeId(0), station: station(1), sighting, epoch: 1 };
    let Switch { datapath, snapshot, .. } = &mut switch;
    datapath.hear(news, snapshot);
    assert_eq!(datapath.fdb(BridgeId(0)).unwrap().stats().entries, 0);
    news.epoch = 3;
    datapath.hear(news, snapshot);
    assert_eq!(datapath.fdb(BridgeId(0)).unwrap().stats().entries, 1);
}
