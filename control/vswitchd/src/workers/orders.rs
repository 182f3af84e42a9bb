//! What workers are told and asked, an order or a question each.

use super::{NoAnswer, NoWorker, Question, Workers};
use std::sync::Arc;
use weft_io::Queue;
use weft_switch::mcast::{Groups, Heard};
use weft_switch::trace::{self, Probe};
use weft_switch::{
    BridgeId, Capture, FdbRecord, FdbStats, IfaceId, LinkId, MirrorId, Move, PortId, Sample,
    Snapshot, Station, WorkerId,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;
use weft_worker::{Command, Event, Report, Talk};

impl Workers {
    /// The control frames that came in, and by which interfaces.  To be called after [`Workers::wanted_hops`], which reads
    /// what the workers have to say.
    pub fn take_punted(&mut self) -> Vec<(IfaceId, Vec<u8>)> {
        std::mem::take(&mut self.unasked.punted)
    }

    /// Moves of stations in bridges with a loop guard, as [`Workers::take_punted`].
    pub fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.unasked.moves)
    }

    /// The IGMP and MLD frames that were heard, likewise.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.unasked.heard)
    }

    /// Makes all workers use these lists for frames to groups.
    pub fn set_groups(&mut self, bridge: BridgeId, groups: Option<&Arc<Groups>>) {
        // The lists used before come with the answers, and are freed here: a worker frees nothing.
        self.order(|_| Command::SetGroups { bridge, groups: groups.cloned() });
    }

    /// Sends a control frame by an interface.  Any worker can: it hands over what is another's.
    pub fn transmit(&self, iface: IfaceId, frame: Vec<u8>) {
        let mut working =
            self.handles.iter().filter(|handle| !self.health.lost.contains_key(&handle.id));
        if let Some(handle) = working.next() {
            handle.send(Command::Transmit { iface, frame });
        }
    }

    /// Makes all workers forward by `snapshot`: they do when [`Workers::is_answered`] says so.
    pub fn install(&mut self, snapshot: &Arc<Snapshot>) -> Question {
        self.order(|_| Command::Install(Arc::clone(snapshot)))
    }

    /// Waits until an order is carried out.
    pub fn await_order(&mut self, question: Question) {
        drop(self.wait(question));
    }

    /// Makes a worker that was just started forward by `snapshot`; what it is told later finds it so.
    pub fn install_on(&self, worker: WorkerId, snapshot: &Arc<Snapshot>) {
        if let Some(handle) = self.handles.get(worker.index()) {
            handle.send(Command::Install(Arc::clone(snapshot)));
        }
    }

    /// Gives an open queue to a worker.
    ///
    /// # Errors
    /// [`NoWorker`].
    pub fn add_queue(&self, worker: usize, link: LinkId, queue: Queue) -> Result<(), NoWorker> {
        let handle = self.handles.get(worker).ok_or(NoWorker(worker))?;
        handle.send(Command::AddQueue { link, queue });
        Ok(())
    }

    /// Asks which links sent to which lately: [`talks`].
    pub fn ask_talks(&mut self) -> Question {
        self.ask(|_| Command::ListTalks)
    }

    /// A queue of a link will come to a worker, by [`Workers::move_queues`]: it keeps frames for it.
    pub fn expect_queue(&self, worker: WorkerId, link: LinkId) {
        if let Some(handle) = self.handles.get(worker.index()) {
            handle.send(Command::ExpectQueue { link });
        }
    }

    /// Moves the queues of a link from one worker to another, as they are.  All workers have heard whose it is.
    /// False when the one that had them is lost.
    ///
    /// # Errors
    /// [`NoWorker`].
    pub fn move_queues(
        &mut self,
        link: LinkId,
        from: WorkerId,
        to: WorkerId,
    ) -> Result<bool, NoWorker> {
        let question = self.ask_some(&[from], |_| Command::TakeQueues { link });
        let mut has_moved = false;
        for event in self.wait(question) {
            let Event::QueuesRemoved { queues, .. } = event else { continue };
            for queue in queues {
                self.add_queue(to.index(), link, queue)?;
                has_moved = true;
            }
        }
        Ok(has_moved)
    }

    /// Asks for the queues of a link, which go out of service: [`Workers::take_queues`] has them.
    pub fn ask_for_queues(&mut self, link: LinkId) -> Question {
        self.ask(|_| Command::RemoveQueues { link })
    }

    /// Asks for the queues that stood in for others of a link, likewise.
    pub fn ask_for_stand_ins(&mut self, link: LinkId) -> Question {
        self.ask(|_| Command::RemoveStandIns { link })
    }

    /// The queues that were asked for; waits for them.  Whoever gets them closes them, which may take tens of
    /// milliseconds, then calls [`Workers::reclaim`].
    pub fn take_queues(&mut self, question: Question) -> Vec<Queue> {
        let answers = self.wait(question).into_iter();
        let queues = answers.filter_map(|event| match event {
            Event::QueuesRemoved { queues, .. } => Some(queues),
            _ => None,
        });
        queues.flatten().collect()
    }

    /// Queues that were taken out of service are closed: workers take the frames back that the kernel held.
    pub fn reclaim(&self) {
        self.tell(|| Command::Reclaim);
    }

    /// Forgets learned addresses, of one bridge or port where these are given.
    pub fn forget_fdb(&mut self, bridge: Option<BridgeId>, port: Option<PortId>) {
        self.order(|_| Command::FlushFdb { bridge, port, vid: None });
    }

    /// The same, of a VLAN, too; waits until they are forgotten, and returns how many entries went.
    pub fn flush_fdb(
        &mut self,
        bridge: Option<BridgeId>,
        port: Option<PortId>,
        vid: Option<Vid>,
    ) -> usize {
        let question = self.ask(|_| Command::FlushFdb { bridge, port, vid });
        let flushed = self.wait(question).into_iter().map(|event| match event {
            Event::FdbFlushed { entries } => entries,
            _ => 0,
        });
        flushed.max().unwrap_or(0)
    }

    /// Adds, replaces or removes a static address.
    pub fn set_static(&self, bridge: BridgeId, vid: Vid, mac: MacAddr, port: Option<PortId>) {
        self.tell(|| Command::SetStatic { bridge, vid, mac, port });
    }

    /// Zeroes the statistics of an FDB.
    pub fn clear_fdb_stats(&self, bridge: BridgeId) {
        self.tell(|| Command::ClearFdbStats { bridge });
    }

    /// Zeroes the counters of interface numbers that have new owners: all in one command, for a worker
    /// takes only so many at a time.
    pub fn clear_ifaces(&self, ifaces: &Arc<[IfaceId]>) {
        self.tell(|| Command::ClearIfaces(Arc::clone(ifaces)));
    }

    /// Zeroes the counters of a mirror number that has a new owner.
    pub fn clear_mirror(&self, mirror: MirrorId) {
        self.tell(|| Command::ClearMirror(mirror));
    }

    /// The entry of one station in an FDB: the youngest of all replicas.
    pub fn find_fdb(&mut self, bridge: BridgeId, vid: Vid, mac: MacAddr) -> Option<FdbRecord> {
        let station = Station::new(vid, mac.to_u64());
        let question = self.ask(|_| Command::FindFdb { bridge, station });
        let found = self.wait(question).into_iter().filter_map(|event| match event {
            Event::FdbEntry(record) => record,
            _ => None,
        });
        // A static entry has no age, which sorts before every age.
        found.min_by_key(|record| record.age_secs)
    }

    /// Takes frames through the stages of one worker without side effects; all have the same
    /// addresses.  `None` for a frame that found no room.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn trace(
        &mut self,
        probes: Vec<Probe>,
    ) -> Result<Vec<Option<Vec<trace::Event>>>, NoAnswer> {
        let question = self.ask_trace(probes);
        match self.wait(question).pop() {
            Some(Event::Traced(events)) => Ok(events),
            _ => Err(NoAnswer(WorkerId(0))),
        }
    }

    /// The same as a question.
    pub fn ask_trace(&mut self, probes: Vec<Probe>) -> Question {
        let mut probes = Some(probes);
        self.ask_some(&[WorkerId(0)], |_| Command::Trace(probes.take().unwrap_or_default()))
    }

    /// What came in lately: of each worker its samples, and the clock of their times.
    pub fn samples(&mut self, age_max_ms: u64) -> Vec<(WorkerId, u64, Vec<Sample>)> {
        let question = self.ask(|_| Command::DumpSamples { age_max_ms });
        let samples = self.wait(question).into_iter().filter_map(|event| match event {
            Event::Samples { worker, samples, now_ms } => Some((worker, now_ms, samples)),
            _ => None,
        });
        samples.collect()
    }

    /// Forgets what came in lately.
    pub fn forget_samples(&self) {
        self.tell(|| Command::ForgetSamples);
    }

    /// Figures of every worker, and the counters of links and mirrors.
    pub fn figures(&mut self) -> Vec<Report> {
        let question = self.ask(|_| Command::ReportFigures);
        reports(self.wait(question))
    }

    /// Gives every worker a sink for copies of frames, or takes them away.
    pub fn set_capture(&self, mut sink: impl FnMut() -> Option<Box<dyn Capture>>) {
        self.tell(|| Command::SetCapture(sink()));
    }

    /// Takes in what workers say unasked, and returns the tunnels that want a next hop.
    pub fn wanted_hops(&mut self) -> Vec<IfaceId> {
        self.control.drain();
        self.hear();
        std::mem::take(&mut self.unasked.wanted_hops)
    }
}

/// Which links sent to which lately, at all workers.
#[must_use]
pub fn talks(answers: Vec<Event<Queue>>) -> Vec<Talk> {
    let talks = answers.into_iter().filter_map(|event| match event {
        Event::Talks(talks) => Some(talks),
        _ => None,
    });
    talks.flatten().collect()
}

/// The reports among answers, in the order of the workers.
#[must_use]
pub fn reports(answers: Vec<Event<Queue>>) -> Vec<Report> {
    let reports = answers.into_iter().filter_map(|event| match event {
        Event::Report(report) => Some(*report),
        _ => None,
    });
    let mut reports: Vec<_> = reports.collect();
    reports.sort_by_key(|report| report.worker);
    reports
}

/// The statistics of an FDB: of the replica that has seen most.
#[must_use]
pub fn fdb_stats(reports: &[Report], bridge: BridgeId) -> FdbStats {
    let of_bridge = reports.iter().filter_map(|report| report.fdb.get(bridge.index()).copied());
    of_bridge.fold(FdbStats::default(), merge_stats)
}

fn merge_stats(a: FdbStats, b: FdbStats) -> FdbStats {
    FdbStats {
        entries: a.entries.max(b.entries),
        entries_max: a.entries_max.max(b.entries_max),
        static_entries: a.static_entries.max(b.static_entries),
        learned: a.learned.max(b.learned),
        expired: a.expired.max(b.expired),
        evicted: a.evicted.max(b.evicted),
        moved: a.moved.max(b.moved),
    }
}
