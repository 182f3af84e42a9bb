//! One worker: receive, decide, send, over and over; sleep when there is nothing to do.

use crate::exchange::Exchange;
use crate::pulse::Pulse;
use crate::spawn::{Answer, Order};
use crate::{Command, Event, NOTICES_MAX, Notice, Report, Waker};
use crossbeam::channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_switch::{
    Batch, BridgeId, Datapath, FdbStats, FrameIo, FrameQueue, IfaceId, LinkId, Numbers, PortId,
    Snapshot, Station, Tick, WorkerId, pipeline,
    trace::{self, Probe},
};
use weft_wire::vid::Vid;

/// Rounds without a frame after which a worker sleeps.  A round over idle rings costs well below
/// a microsecond, a sleep and its wake-up several: this keeps a busy worker awake between the
/// bursts of a sender, and off the CPU when there is none.
const IDLE_ROUNDS_MAX: u32 = 64;

/// A sleeping worker looks at its clock so often, to age its FDB.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Batches taken from a queue in one round before the next one has its turn.  Eight would cost 2 % less for each frame on
/// veth, but floods from forty ports then hold more copies at a time than a pool has (`tests/many_ports.rs`).
const BATCHES_PER_QUEUE_MAX: usize = 4;

/// So long a worker receives nothing while another has no room for what it would hand over: the
/// other may have to wait for its processor.  After that it hangs, and such frames are dropped until
/// there is room.
const BLOCKED_MAX: Duration = Duration::from_secs(1);

/// The state of one worker thread.
pub(crate) struct Loop<I: FrameIo> {
    id: WorkerId,
    io: Exchange<I>,
    datapath: Datapath<I::Frame>,
    snapshot: Arc<Snapshot>,
    batch: Batch<I::Frame>,
    /// The queues of a round, between rounds empty.
    ready: Vec<usize>,
    mail: ControlMail<I::Queue>,
    /// The number of the command that is carried out.
    number: u64,
    pulse: Arc<Pulse>,
    started: Instant,
    /// When this round began.
    clock: Instant,
    /// Since when another worker has had no room.
    blocked_at: Option<Instant>,
    now: Tick,
    now_ms: u64,
    expired_at: Tick,
    asked: Vec<(IfaceId, Tick)>,
    figures: Figures,
}

/// The worker's end of what goes to and from control.
pub(crate) struct ControlMail<Q: FrameQueue> {
    pub(crate) orders: Receiver<Order<Q>>,
    pub(crate) answers: Sender<Answer<Q>>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) control: Waker,
}

#[derive(Default)]
struct Figures {
    busy_rounds: u64,
    idle_rounds: u64,
    sleeps: u64,
    busy_nanos: u64,
    rx_frames: u64,
}

impl<I: FrameIo> Loop<I> {
    pub(crate) fn new(
        id: WorkerId,
        io: Exchange<I>,
        mail: ControlMail<I::Queue>,
        pulse: Arc<Pulse>,
        started: Instant,
    ) -> Self {
        Self {
            id,
            io,
            datapath: Datapath::new(0, false, Numbers::default()),
            snapshot: Arc::default(),
            batch: Batch::new(),
            ready: Vec::new(),
            mail,
            number: 0,
            pulse,
            started,
            clock: started,
            blocked_at: None,
            now: Tick(0),
            now_ms: 0,
            expired_at: Tick(0),
            asked: Vec::new(),
            figures: Figures::default(),
        }
    }

    /// Sets the seed of its tables, and whether other workers listen.
    pub(crate) fn with_datapath(mut self, seed: u64, announces: bool, numbers: Numbers) -> Self {
        self.datapath = Datapath::new(seed, announces, numbers);
        self
    }

    /// Polls until told to stop, or until control is gone.
    pub(crate) fn run(&mut self) {
        let mut idle_rounds = 0;
        let mut round_began = Instant::now();
        while self.obey() {
            self.pulse.beat();
            let moved = self.round();
            let round_ended = Instant::now();
            self.tick(round_ended);
            if moved {
                idle_rounds = 0;
                self.figures.busy_rounds += 1;
                let nanos = round_ended.duration_since(round_began).as_nanos();
                self.figures.busy_nanos += u64::try_from(nanos).unwrap_or(u64::MAX);
            } else {
                idle_rounds += 1;
                self.figures.idle_rounds += 1;
            }
            round_began = round_ended;
            if self.blocked_at.is_some() && !moved {
                // The other may be waiting for this processor.
                std::thread::yield_now();
            }
            if idle_rounds > IDLE_ROUNDS_MAX && self.mail.orders.is_empty() {
                idle_rounds = 0;
                self.figures.sleeps += 1;
                self.io.wait(SLEEP_MAX);
                round_began = Instant::now();
                self.tick(round_began);
            }
        }
        self.pulse.leave();
    }

    /// Moves what every queue has; true when there was anything.
    fn round(&mut self) -> bool {
        let (datapath, snapshot) = (&mut self.datapath, &self.snapshot);
        self.io.drain_announcements(|heard| datapath.hear(heard, snapshot));
        self.announce();
        let mut moved = self.io.drain_parcels(self.datapath.counters_mut());
        let mut ready = std::mem::take(&mut self.ready);
        self.io.ready(&mut ready);
        for queue in ready.drain(..) {
            moved |= self.serve(queue);
        }
        self.ready = ready;
        self.io.flush();
        moved
    }

    fn serve(&mut self, queue: usize) -> bool {
        for batches in 0..BATCHES_PER_QUEUE_MAX {
            if self.is_blocked() {
                return batches > 0;
            }
            let link = self.io.rx(queue, &mut self.batch.frames);
            let frames = self.batch.frames.len();
            if frames == 0 {
                return batches > 0;
            }
            self.figures.rx_frames += frames as u64;
            pipeline::run(
                &mut self.batch,
                link,
                &mut self.datapath,
                &self.snapshot,
                self.now,
                &mut self.io,
            );
            self.spread_news();
        }
        true
    }

    /// True while nothing is to be received because another worker could not take it over.  Frames
    /// wait in the RX rings meanwhile.  A worker that is blocked goes on sending what others hand
    /// over, so two never wait for each other.
    #[inline]
    fn is_blocked(&mut self) -> bool {
        if self.io.has_room() {
            self.blocked_at = None;
            return false;
        }
        let since = *self.blocked_at.get_or_insert(self.clock);
        self.clock.duration_since(since) < BLOCKED_MAX
    }

    fn announce(&mut self) {
        for announcement in self.datapath.take_announcements() {
            self.io.announce(announcement);
        }
    }

    fn spread_news(&mut self) {
        self.announce();
        let (asked, now) = (&mut self.asked, self.now);
        let mut told = false;
        for (iface, frame) in self.datapath.take_punted() {
            told |= self.mail.notices.try_send(Notice::Punted { iface, frame }).is_ok();
        }
        // Whoever floods reports must not keep anything else from control.
        for heard in self.datapath.take_heard() {
            let has_room = self.mail.notices.len() < NOTICES_MAX / 2;
            told |= has_room && self.mail.notices.try_send(Notice::Heard(heard)).is_ok();
        }
        for iface in self.datapath.take_wants_next_hop() {
            if asked.iter().any(|(other, at)| *other == iface && *at == now) {
                continue;
            }
            asked.retain(|(other, at)| *other != iface && *at == now);
            asked.push((iface, now));
            told |= self.mail.notices.try_send(Notice::WantsNextHop(iface)).is_ok();
        }
        if told {
            self.mail.control.wake();
        }
    }

    /// Reads the clock; once a second, forgets what is too old.
    fn tick(&mut self, at: Instant) {
        self.clock = at;
        let up = at.duration_since(self.started);
        let secs = up.as_secs();
        self.now = Tick(u32::try_from(secs).unwrap_or(u32::MAX));
        self.now_ms = secs * 1000 + u64::from(up.subsec_millis());
        self.datapath.set_clock_ms(self.now_ms);
        if self.now != self.expired_at {
            self.expired_at = self.now;
            self.datapath.expire(self.now);
            self.io.talks.age();
            self.tell_moves();
        }
    }

    fn tell_moves(&mut self) {
        let moves = self.datapath.take_moves();
        if !moves.is_empty() && self.mail.notices.try_send(Notice::Moved(moves)).is_ok() {
            self.mail.control.wake();
        }
    }

    /// Carries out the commands that wait; false when it is time to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.mail.orders.try_recv() {
                Ok(Order { command: Command::Stop, .. }) | Err(TryRecvError::Disconnected) => {
                    return false;
                }
                Ok(Order { number, command }) => {
                    self.number = number;
                    self.carry_out(command);
                }
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn carry_out(&mut self, command: Command<I::Queue>) {
        match command {
            Command::Install(snapshot) => self.install(snapshot),
            Command::AddQueue { link, queue } => {
                self.io.settle_in(link, queue, self.datapath.counters_mut());
            }
            Command::ExpectQueue { link } => self.io.expect(link),
            Command::TakeQueues { link } => self.remove_queues(link, Exchange::take_queue),
            Command::ListTalks => self.answer(Event::Talks(self.io.talks.list())),
            Command::RemoveQueues { link } => self.remove_queues(link, Exchange::remove_queue),
            Command::RemoveStandIns { link } => self.remove_queues(link, Exchange::remove_stand_in),
            Command::Reclaim => self.io.reclaim(),
            Command::FlushFdb { bridge, port, vid } => self.flush_fdb(bridge, port, vid),
            Command::SetStatic { bridge, vid, mac, port } => {
                self.set_static(bridge, Station::new(vid, mac.to_u64()), port);
            }
            Command::SetGroups { bridge, groups } => {
                let retired = self.datapath.snooping.set(bridge, groups);
                self.answer(Event::GroupsSet { retired });
            }
            Command::ClearFdbStats { bridge } => {
                if let Some(fdb) = self.datapath.fdb_mut(bridge) {
                    fdb.clear_stats();
                }
            }
            Command::DumpFdb { bridge, from } => self.dump_fdb(bridge, from),
            Command::FindFdb { bridge, station } => {
                let fdb = self.datapath.fdb(bridge);
                self.answer(Event::FdbEntry(fdb.and_then(|fdb| fdb.record(station, self.now))));
            }
            Command::Report(mut report) => {
                report.counters.clone_from(self.datapath.counters());
                self.report(report);
            }
            Command::ReportFigures => {
                let counters = self.datapath.counters().without_ifaces();
                self.report(Box::new(Report { counters, ..Report::default() }));
            }
            Command::ReportIfaces(ifaces) => {
                let counters = self.datapath.counters();
                let of = |iface: &IfaceId| Some((*iface, counters.iface(*iface)?.clone()));
                self.answer(Event::Ifaces(ifaces.iter().filter_map(of).collect()));
            }
            Command::ClearIfaces(ifaces) => {
                let counters = self.datapath.counters_mut();
                ifaces.iter().for_each(|iface| counters.clear_iface(*iface));
            }
            Command::ClearMirror(mirror) => self.datapath.counters_mut().clear_mirror(mirror),
            Command::Transmit { iface, frame } => {
                self.datapath.transmit(iface, &frame, &self.snapshot, &mut self.io);
                // Out of a patch port, it came in somewhere else.
                self.spread_news();
            }
            Command::SetCapture(capture) => {
                if let Some(retired) = self.datapath.set_capture(capture) {
                    self.answer(Event::CaptureRetired(retired));
                }
            }
            Command::Trace(probes) => self.trace(&probes),
            Command::DumpSamples { age_max_ms } => {
                let (worker, now_ms) = (self.id, self.now_ms);
                let samples = self.datapath.samples(age_max_ms);
                self.answer(Event::Samples { worker, samples, now_ms });
            }
            Command::ForgetSamples => self.datapath.forget_samples(),
            Command::Meet(peer) => self.io.meet(*peer, self.datapath.counters_mut()),
            Command::Ping => self.answer(Event::Pong),
            Command::Fail(fault) => fault.happen(),
            // `obey` takes this one.
            Command::Stop => {}
        }
    }

    fn set_static(&mut self, bridge: BridgeId, station: Station, port: Option<PortId>) {
        let now = self.now;
        let Some(fdb) = self.datapath.fdb_mut(bridge) else { return };
        match port {
            Some(port) => fdb.set_static(station, port, now),
            None => drop(fdb.forget(station)),
        }
    }

    /// Every frame of a batch is forwarded by one snapshot: this runs between batches.
    fn install(&mut self, snapshot: Arc<Snapshot>) {
        self.datapath.adopt(&self.snapshot, &snapshot);
        self.io.adopt(&snapshot, self.datapath.counters_mut());
        let epoch = snapshot.epoch;
        let retired = std::mem::replace(&mut self.snapshot, snapshot);
        self.datapath.release_waiting(&self.snapshot, &mut self.io);
        self.spread_news();
        self.io.flush();
        self.answer(Event::Installed { epoch, retired });
    }

    fn remove_queues(
        &mut self,
        link: LinkId,
        remove: fn(&mut Exchange<I>, LinkId) -> Option<I::Queue>,
    ) {
        // What was handed over for it before goes out first.
        self.io.drain_parcels(self.datapath.counters_mut());
        self.io.flush();
        let queues = std::iter::from_fn(|| remove(&mut self.io, link)).collect();
        self.answer(Event::QueuesRemoved { link, queues });
    }

    fn flush_fdb(&mut self, bridge: Option<BridgeId>, port: Option<PortId>, vid: Option<Vid>) {
        let entries = self
            .datapath
            .fdbs_mut()
            .filter(|(id, _)| bridge.is_none_or(|bridge| bridge == *id))
            .map(|(_, fdb)| fdb.flush(port, vid))
            .sum();
        self.answer(Event::FdbFlushed { entries });
    }

    fn dump_fdb(&self, bridge: BridgeId, from: usize) {
        let part = self.datapath.fdb(bridge).map(|fdb| fdb.records_from(from, self.now));
        let (records, next) = part.unwrap_or_default();
        self.answer(Event::Fdb { worker: self.id, records, next });
    }

    fn trace(&mut self, probes: &[Probe]) {
        let traced = probes
            .iter()
            .map(|probe| {
                let (snapshot, now) = (&self.snapshot, self.now);
                trace::run(probe, &mut self.datapath, snapshot, now, &mut self.io)
            })
            .collect();
        self.spread_news();
        self.answer(Event::Traced(traced));
    }

    fn report(&mut self, mut report: Box<Report>) {
        report.worker = self.id;
        report.fdb.clear();
        let slots = self.snapshot.bridge_slots();
        report.fdb.extend((0u16..).take(slots).map(|id| {
            self.datapath.fdb(BridgeId(id)).map_or_else(FdbStats::default, weft_switch::Fdb::stats)
        }));
        report.busy_rounds = self.figures.busy_rounds;
        report.idle_rounds = self.figures.idle_rounds;
        report.sleeps = self.figures.sleeps;
        report.busy_nanos = self.figures.busy_nanos;
        report.rx_frames = self.figures.rx_frames;
        report.unknown_frames = self.datapath.unknown_frames();
        report.now_secs = self.now.0;
        self.answer(Event::Report(report));
    }

    /// Sends an answer to the command that is carried out.
    fn answer(&self, event: Event<I::Queue>) {
        // A channel that is closed means that control is gone: nobody minds then.
        let _ = self.mail.answers.send((self.number, event));
        self.mail.control.wake();
    }
}
