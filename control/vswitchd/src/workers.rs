//! The workers, seen from control: questions in, answers out, in step.
//!
//! A worker answers at its next batch boundary, which is microseconds away, so control simply
//! waits for it.  What a worker says unasked (a tunnel wants its next hop) is kept until the
//! engine asks for it.  A worker that does not answer in [`ANSWER_MAX`] is stuck, which is an
//! error of its own.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_io::{Queue, Region, RegionConfig, RegionHandle, WorkerIo};
use weft_switch::loop_guard::Move;
use weft_switch::mcast::{Groups, Heard};
use weft_switch::trace::{self, Probe};
use weft_switch::{
    BridgeId, Capture, FdbRecord, FdbStats, Flow, LinkId, MirrorId, PortCounters, PortId, Snapshot,
    Station, WorkerId,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;
use weft_worker::{Command, Event, Handle, Report, SpawnConfig, Waker, WorkerStuck, spawn_all};

/// How long a worker may take to answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Copies of IGMP and MLD frames that wait for the engine, at most.
const HEARD_MAX: usize = 1024;

/// What can go wrong with workers.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A worker takes no commands, or does not answer.
    #[error("worker {0} does not answer")]
    Stuck(u16),
    /// Threads, memory or descriptors could not be had.
    #[error("cannot start workers: {0}")]
    Start(#[from] io::Error),
}

impl From<WorkerStuck> for WorkerError {
    fn from(stuck: WorkerStuck) -> Self {
        Self::Stuck(stuck.0.0)
    }
}

/// All workers.
pub struct Workers {
    handles: Vec<Handle<Queue>>,
    regions: Vec<RegionHandle>,
    control: Waker,
    wanted_hops: Vec<PortId>,
    punted: Vec<(PortId, Vec<u8>)>,
    moves: Vec<Move>,
    heard: Vec<Heard>,
}

impl Workers {
    /// Starts one worker on each of `cpus`, or a single one that is not pinned.
    ///
    /// # Errors
    /// [`WorkerError::Start`].
    pub fn start(cpus: &[usize]) -> Result<Self, WorkerError> {
        let control = Waker::new()?;
        let mut regions = Vec::new();
        let mut configs = Vec::new();
        let places: Vec<_> =
            if cpus.is_empty() { vec![None] } else { cpus.iter().copied().map(Some).collect() };
        for cpu in places {
            let (region, pool) = Region::new(RegionConfig::default())?;
            let waker = Waker::new()?;
            let io = WorkerIo::new(pool, waker.fd()?)?;
            regions.push(region);
            configs.push(SpawnConfig { io, waker, cpu });
        }
        let seed = rand_seed();
        let handles = spawn_all(configs, &control, seed)?;
        Ok(Self {
            handles,
            regions,
            control,
            wanted_hops: Vec::new(),
            punted: Vec::new(),
            moves: Vec::new(),
            heard: Vec::new(),
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Number and CPU of each.
    pub fn places(&self) -> impl Iterator<Item = (WorkerId, Option<usize>)> + '_ {
        self.handles.iter().map(|handle| (handle.id, handle.cpu))
    }

    /// The memory of a worker, for queues that it is to have.
    #[must_use]
    pub fn region(&self, worker: usize) -> Option<RegionHandle> {
        self.regions.get(worker).copied()
    }

    /// A descriptor that becomes readable when a worker has something to say.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn notices(&self) -> io::Result<OwnedFd> {
        self.control.fd()
    }

    fn tell(&self, mut command: impl FnMut() -> Command<Queue>) -> Result<(), WorkerError> {
        for handle in &self.handles {
            handle.send(command())?;
        }
        Ok(())
    }

    /// Waits until `take` has accepted one event of each worker in `from`.
    fn gather(
        &mut self,
        mut from: Vec<WorkerId>,
        mut take: impl FnMut(Event<Queue>) -> Option<Event<Queue>>,
    ) -> Result<(), WorkerError> {
        let until = Instant::now() + ANSWER_MAX;
        loop {
            self.control.drain();
            for handle in &self.handles {
                while let Some(event) = handle.try_event() {
                    match event {
                        Event::WantsNextHop(port) => self.wanted_hops.push(port),
                        Event::Punted { port, frame } => self.punted.push((port, frame)),
                        Event::Moved(moves) => self.moves.extend(moves),
                        Event::Heard(heard) if self.heard.len() < HEARD_MAX => {
                            self.heard.push(heard);
                        }
                        Event::Heard(_) => {}
                        event => {
                            if take(event).is_none() {
                                from.retain(|id| *id != handle.id);
                            }
                        }
                    }
                }
            }
            let Some(first) = from.first() else { return Ok(()) };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WorkerError::Stuck(first.0));
            }
            let mut fds = [PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN)];
            let limit = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            // Interrupted or timed out: the loop looks again.
            let _ = poll(&mut fds, Some(&limit));
        }
    }

    fn all(&self) -> Vec<WorkerId> {
        self.handles.iter().map(|handle| handle.id).collect()
    }

    /// The control frames that came in.  To be called after [`Workers::wanted_hops`], which reads
    /// what the workers have to say.
    pub fn take_punted(&mut self) -> Vec<(PortId, Vec<u8>)> {
        std::mem::take(&mut self.punted)
    }

    /// Moves of stations in bridges with a loop guard, as [`Workers::take_punted`].
    pub fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// The IGMP and MLD frames that were heard, likewise.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Makes all workers use these lists for frames to groups, and waits until they do.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn set_groups(
        &mut self,
        bridge: BridgeId,
        groups: Option<&Arc<Groups>>,
    ) -> Result<(), WorkerError> {
        self.tell(|| Command::SetGroups { bridge, groups: groups.cloned() })?;
        self.gather(self.all(), |event| match event {
            Event::GroupsSet { .. } => None,
            event => Some(event),
        })
    }

    /// Sends a control frame out of a port.  Any worker can: it hands over what is another's.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn transmit(&self, port: PortId, frame: Vec<u8>) -> Result<(), WorkerError> {
        match self.handles.first() {
            Some(handle) => Ok(handle.send(Command::Transmit { port, frame })?),
            None => Ok(()),
        }
    }

    /// Makes all workers forward by `snapshot`, and waits until they do.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn install(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), WorkerError> {
        let wanted = snapshot.epoch;
        self.tell(|| Command::Install(Arc::clone(snapshot)))?;
        self.gather(self.all(), |event| match event {
            Event::Installed { epoch, .. } if epoch == wanted => None,
            event => Some(event),
        })
    }

    /// Gives an open queue to a worker.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn add_queue(&self, worker: usize, link: LinkId, queue: Queue) -> Result<(), WorkerError> {
        let handle = self.handles.get(worker);
        let handle = handle.ok_or(WorkerError::Stuck(u16::try_from(worker).unwrap_or(u16::MAX)))?;
        Ok(handle.send(Command::AddQueue { link, queue })?)
    }

    /// Takes the queues of a link out of service and closes them.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn remove_queues(&mut self, link: LinkId) -> Result<(), WorkerError> {
        self.tell(|| Command::RemoveQueues { link })?;
        self.close_queues(link)
    }

    /// Takes the queues out of service that stood in for others of a link, and closes them.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn remove_stand_ins(&mut self, link: LinkId) -> Result<(), WorkerError> {
        self.tell(|| Command::RemoveStandIns { link })?;
        self.close_queues(link)
    }

    fn close_queues(&mut self, link: LinkId) -> Result<(), WorkerError> {
        let mut closed = Vec::new();
        self.gather(self.all(), |event| match event {
            Event::QueuesRemoved { link: of, queues } if of == link => {
                closed.extend(queues);
                None
            }
            event => Some(event),
        })?;
        drop(closed);
        self.tell(|| Command::Reclaim)
    }

    /// Forgets learned addresses, of one bridge, port or VLAN where these are given; returns how
    /// many entries went.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn flush_fdb(
        &mut self,
        bridge: Option<BridgeId>,
        port: Option<PortId>,
        vid: Option<Vid>,
    ) -> Result<usize, WorkerError> {
        self.tell(|| Command::FlushFdb { bridge, port, vid })?;
        let mut most = 0;
        self.gather(self.all(), |event| match event {
            Event::FdbFlushed { entries } => {
                most = most.max(entries);
                None
            }
            event => Some(event),
        })?;
        Ok(most)
    }

    /// Adds, replaces or removes a static address.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn set_static(
        &self,
        bridge: BridgeId,
        vid: Vid,
        mac: MacAddr,
        port: Option<PortId>,
    ) -> Result<(), WorkerError> {
        self.tell(|| Command::SetStatic { bridge, vid, mac, port })
    }

    /// Zeroes the statistics of an FDB.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn clear_fdb_stats(&self, bridge: BridgeId) -> Result<(), WorkerError> {
        self.tell(|| Command::ClearFdbStats { bridge })
    }

    /// Zeroes the counters of port numbers that have new owners: all in one command, for a worker
    /// takes only so many at a time.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn clear_ports(&self, ports: &Arc<[PortId]>) -> Result<(), WorkerError> {
        self.tell(|| Command::ClearPorts(Arc::clone(ports)))
    }

    /// Zeroes the counters of a mirror number that has a new owner.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn clear_mirror(&self, mirror: MirrorId) -> Result<(), WorkerError> {
        self.tell(|| Command::ClearMirror(mirror))
    }

    /// The content of an FDB, all replicas merged: of a station the youngest entry; and its
    /// statistics, of the replica that has seen most.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn dump_fdb(
        &mut self,
        bridge: BridgeId,
    ) -> Result<(Vec<FdbRecord>, FdbStats), WorkerError> {
        let (records, mut stats) = self.ask_fdb(bridge, None)?;
        stats.entries = records.len() as u64;
        Ok((records, stats))
    }

    /// The entry of one station in an FDB, as [`Workers::dump_fdb`] would list it.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn find_fdb(
        &mut self,
        bridge: BridgeId,
        vid: Vid,
        mac: MacAddr,
    ) -> Result<Option<FdbRecord>, WorkerError> {
        let station = Station::new(vid, mac.to_u64());
        Ok(self.ask_fdb(bridge, Some(station))?.0.pop())
    }

    fn ask_fdb(
        &mut self,
        bridge: BridgeId,
        station: Option<Station>,
    ) -> Result<(Vec<FdbRecord>, FdbStats), WorkerError> {
        self.tell(|| Command::DumpFdb { bridge, station })?;
        let mut youngest: BTreeMap<(Vid, MacAddr), FdbRecord> = BTreeMap::new();
        let mut merged = FdbStats::default();
        self.gather(self.all(), |event| match event {
            Event::Fdb { bridge: of, records, stats } if of == bridge => {
                for record in records {
                    let slot = youngest.entry((record.vid, record.mac)).or_insert(record);
                    // A static entry has no age, which sorts before every age.
                    if record.age_secs < slot.age_secs {
                        *slot = record;
                    }
                }
                merged = merge_stats(merged, stats);
                None
            }
            event => Some(event),
        })?;
        Ok((youngest.into_values().collect(), merged))
    }

    /// Takes frames through the stages of one worker without side effects; all have the same
    /// addresses.  `None` for a frame that found no room.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn trace(
        &mut self,
        probes: Vec<Probe>,
    ) -> Result<Vec<Option<Vec<trace::Event>>>, WorkerError> {
        let Some(first) = self.handles.first() else { return Ok(Vec::new()) };
        let id = first.id;
        first.send(Command::Trace(probes))?;
        let mut answer = Vec::new();
        self.gather(vec![id], |event| match event {
            Event::Traced(events) => {
                answer = events;
                None
            }
            event => Some(event),
        })?;
        Ok(answer)
    }

    /// What came in lately: of each worker its flows, and the clock of their times.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn flows(
        &mut self,
        age_max_ms: u64,
    ) -> Result<Vec<(WorkerId, u64, Vec<Flow>)>, WorkerError> {
        self.tell(|| Command::DumpFlows { age_max_ms })?;
        let mut all = Vec::new();
        self.gather(self.all(), |event| match event {
            Event::Flows { worker, flows, now_ms } => {
                all.push((worker, now_ms, flows));
                None
            }
            event => Some(event),
        })?;
        Ok(all)
    }

    /// Forgets what came in lately.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn forget_flows(&self) -> Result<(), WorkerError> {
        self.tell(|| Command::ForgetFlows)
    }

    /// The counters of every worker.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn reports(&mut self) -> Result<Vec<Report>, WorkerError> {
        self.tell(|| Command::Report(Box::default()))?;
        let mut reports = Vec::new();
        self.gather(self.all(), |event| match event {
            Event::Report(report) => {
                reports.push(*report);
                None
            }
            event => Some(event),
        })?;
        reports.sort_by_key(|report| report.worker);
        Ok(reports)
    }

    /// The counters of some ports, of all workers together.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn port_counters(
        &mut self,
        ports: &Arc<[PortId]>,
    ) -> Result<BTreeMap<PortId, PortCounters>, WorkerError> {
        let mut all: BTreeMap<PortId, PortCounters> = BTreeMap::new();
        self.tell(|| Command::ReportPorts(Arc::clone(ports)))?;
        self.gather(self.all(), |event| match event {
            Event::Ports(counters) => {
                for (port, counters) in counters {
                    all.entry(port).or_default().add(&counters);
                }
                None
            }
            event => Some(event),
        })?;
        Ok(all)
    }

    /// Gives every worker a sink for copies of frames, or takes them away.
    ///
    /// # Errors
    /// [`WorkerError::Stuck`].
    pub fn set_capture(
        &self,
        mut sink: impl FnMut() -> Option<Box<dyn Capture>>,
    ) -> Result<(), WorkerError> {
        self.tell(|| Command::SetCapture(sink()))
    }

    /// Takes in what workers say unasked, and returns the tunnel ports that want a next hop.
    pub fn wanted_hops(&mut self) -> Vec<PortId> {
        // Answers that nobody waits for any more (a retired capture sink) are dropped here.
        let _ = self.gather(Vec::new(), |_| None);
        std::mem::take(&mut self.wanted_hops)
    }

    /// Stops all workers; their queues are closed by then.
    pub fn stop(self) {
        for handle in self.handles {
            handle.stop();
        }
    }
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

/// Something that whoever sends frames cannot know.
fn rand_seed() -> u64 {
    u64::from_ne_bytes(
        uuid::Uuid::new_v4().as_bytes().first_chunk::<8>().copied().unwrap_or_default(),
    )
}
