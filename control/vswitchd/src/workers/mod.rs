//! The workers, seen from control: questions with numbers, and answers that carry them.
//!
//! A worker answers at its next batch boundary, which is microseconds away, unless it hangs.  The control loop
//! waits for nobody: answers come when they come ([`Workers::take_answered`]), and whether an order was carried
//! out is a question as well ([`Workers::order`]).  Only some commands of operators, and the end of workers, wait
//! inside a turn ([`Workers::wait`]).  An answer to a question that nobody asks any more is
//! dropped, whatever it says.  A worker that has ended, or that does nothing for [`watch::STUCK_AFTER`] while
//! a question waits for it, is lost (`watch.rs`): nobody waits for it any more, and the engine puts
//! a new one in its place.  What a worker says unasked is kept until the engine asks for it.

mod orders;
pub mod watch;

pub use orders::{fdb_stats, reports, talks};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use watch::{Loss, Watch};
use weft_io::{ChunkPool, Queue, Region, RegionConfig, RegionHandle, WorkerIo};
use weft_switch::mcast::Heard;
use weft_switch::{IfaceId, Move, Numbers, WorkerId};
use weft_worker::{
    Command, Event, Fault, Handle, Notice, SpawnConfig, Waker, spawn_again, spawn_all,
};

/// How often workers that owe an answer are looked at.
pub const LOOK: Duration = Duration::from_millis(100);

/// A worker that could not be replaced is tried again after so long.
const REPLACE_AGAIN: Duration = Duration::from_secs(1);

/// Copies of IGMP and MLD frames that wait for the engine, at most.
const HEARD_MAX: usize = 1024;

/// Threads, memory or descriptors for workers could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot start workers: {0}")]
pub struct StartError(#[from] io::Error);

/// There is no worker of this number.
#[derive(Debug, thiserror::Error)]
#[error("there is no worker {0}")]
pub struct NoWorker(usize);

/// A worker has ended or hangs, and did not answer.
#[derive(Debug, thiserror::Error)]
#[error("worker {} does not answer", .0.0)]
pub struct NoAnswer(pub WorkerId);

/// The number of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question(u64);

/// A question that is not answered by all yet.
#[derive(Default)]
struct Open {
    from: Vec<WorkerId>,
    answers: Vec<Event<Queue>>,
    /// Nobody wants the answers, but to know that all have come.
    is_order: bool,
}

/// What workers have said unasked, until somebody takes it.
#[derive(Default)]
struct Unasked {
    wanted_hops: Vec<IfaceId>,
    punted: Vec<(IfaceId, Vec<u8>)>,
    moves: Vec<Move>,
    heard: Vec<Heard>,
}

impl Unasked {
    fn note(&mut self, notice: Notice) {
        match notice {
            Notice::WantsNextHop(iface) => self.wanted_hops.push(iface),
            Notice::Punted { iface, frame } => self.punted.push((iface, frame)),
            Notice::Moved(moves) => self.moves.extend(moves),
            Notice::Heard(heard) if self.heard.len() < HEARD_MAX => self.heard.push(heard),
            Notice::Heard(_) => {}
        }
    }
}

/// Whether workers are well, and what became of those that are not.
struct Health {
    /// What was seen of each.
    watches: Vec<Watch>,
    /// Whether they are there.
    ping: Option<Question>,
    /// What became of those that are to be replaced.
    lost: BTreeMap<WorkerId, Loss>,
    /// When they were looked at last.
    looked_at: Instant,
    /// When replacing one has failed.
    failed_at: Option<Instant>,
    /// Threads that hang, and may come back.
    hanging: Vec<Handle<Queue>>,
}

impl Health {
    fn of(workers: usize) -> Self {
        Self {
            watches: (0..workers).map(|_| Watch::default()).collect(),
            ping: None,
            lost: BTreeMap::new(),
            looked_at: Instant::now(),
            failed_at: None,
            hanging: Vec::new(),
        }
    }
}

/// All workers.
pub struct Workers {
    handles: Vec<Handle<Queue>>,
    regions: Vec<RegionHandle>,
    control: Waker,
    /// Of outer packets; those who come later draw from them, too.
    numbers: Numbers,
    /// The number of the last question.
    asked: u64,
    open: BTreeMap<Question, Open>,
    health: Health,
    unasked: Unasked,
}

/// What the thread of a worker needs.
fn equip(
    cpu: Option<usize>,
    pool: ChunkPool,
    numbers: &Numbers,
) -> io::Result<SpawnConfig<WorkerIo>> {
    let waker = Waker::new()?;
    let io = WorkerIo::new(pool, waker.fd()?)?;
    Ok(SpawnConfig { io, waker, cpu, numbers: numbers.clone() })
}

impl Workers {
    /// Starts one worker on each of `cpus`, or a single one that is not pinned.  All draw from `numbers`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(cpus: &[usize], numbers: &Numbers) -> Result<Self, StartError> {
        let control = Waker::new()?;
        let (mut regions, mut configs) = (Vec::new(), Vec::new());
        let places: Vec<_> =
            if cpus.is_empty() { vec![None] } else { cpus.iter().copied().map(Some).collect() };
        let config = RegionConfig { chunks: chunks(places.len()), ..RegionConfig::default() };
        let (region, pools) = Region::for_workers(config, places.len())?;
        for (cpu, pool) in places.into_iter().zip(pools) {
            let config = equip(cpu, pool, numbers)?;
            regions.push(region);
            configs.push(config);
        }
        let handles = spawn_all(configs, &control, rand_seed())?;
        Ok(Self {
            health: Health::of(handles.len()),
            handles,
            regions,
            control,
            numbers: numbers.clone(),
            asked: 0,
            open: BTreeMap::new(),
            unasked: Unasked::default(),
        })
    }

    /// Numbers questions on from those of other workers: whoever waits for an answer of those must not
    /// take one of these for it.
    pub fn number_on(&mut self, others: &Self) {
        self.asked = others.asked;
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

    /// Whether a queue of this worker can move to any other.
    #[must_use]
    pub fn shares_memory(&self, worker: WorkerId) -> bool {
        let own = self.region(worker.index());
        own.is_some_and(|own| self.regions.iter().all(|region| region.same(own)))
    }

    /// A descriptor that becomes readable when a worker has something to say.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn notices(&self) -> io::Result<OwnedFd> {
        self.control.fd()
    }

    /// Gives all workers a command that has no answer.
    fn tell(&self, mut command: impl FnMut() -> Command<Queue>) {
        for handle in &self.handles {
            handle.send(command());
        }
    }

    /// Asks all workers; the answers go to [`Workers::wait`] or [`Workers::take_answered`].
    pub fn ask(&mut self, mut command: impl FnMut(WorkerId) -> Command<Queue>) -> Question {
        self.ask_some(&self.all(), &mut command)
    }

    /// Gives all workers an order.  It is carried out when [`Workers::is_answered`] says so of its number.
    pub fn order(&mut self, command: impl FnMut(WorkerId) -> Command<Queue>) -> Question {
        let question = self.ask(command);
        if let Some(open) = self.open.get_mut(&question) {
            open.is_order = true;
        }
        self.leave_lost();
        question
    }

    /// Asks these workers.
    pub fn ask_some(
        &mut self,
        workers: &[WorkerId],
        mut command: impl FnMut(WorkerId) -> Command<Queue>,
    ) -> Question {
        self.asked += 1;
        let question = Question(self.asked);
        let mut open = Open::default();
        for handle in self.handles.iter().filter(|handle| workers.contains(&handle.id)) {
            // A lost worker gets it in vain.
            if !self.health.lost.contains_key(&handle.id) {
                handle.ask(question.0, command(handle.id));
                open.from.push(handle.id);
            }
        }
        self.open.insert(question, open);
        question
    }

    /// Waits for the answers of all workers that are not lost.
    fn wait(&mut self, question: Question) -> Vec<Event<Queue>> {
        loop {
            self.control.drain();
            self.hear();
            if self.open.get(&question).is_none_or(|open| open.from.is_empty()) {
                return self.open.remove(&question).unwrap_or_default().answers;
            }
            let mut fds = [PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN)];
            let limit = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
            if poll(&mut fds, Some(&limit)) == Ok(0) {
                self.watch();
            }
        }
    }

    /// True when all workers have answered a question that are not lost.
    #[must_use]
    pub fn is_answered(&self, question: Question) -> bool {
        self.open.get(&question).is_none_or(|open| open.from.is_empty())
    }

    /// The answers to a question, once [`Workers::is_answered`].
    pub fn take_answered(&mut self, question: Question) -> Option<Vec<Event<Queue>>> {
        self.is_answered(question).then(|| self.open.remove(&question).unwrap_or_default().answers)
    }

    /// Takes in what workers have to say.
    fn hear(&mut self) {
        let mut late = Vec::new();
        for handle in &self.handles {
            while let Some((number, event)) = handle.try_answer() {
                match self.open.get_mut(&Question(number)) {
                    Some(open) => {
                        open.from.retain(|id| *id != handle.id);
                        open.answers.push(event);
                    }
                    None => late.push(event),
                }
            }
            while let Some(notice) = handle.try_notice() {
                self.unasked.note(notice);
            }
            if let Some(text) = handle.end()
                && !self.health.lost.contains_key(&handle.id)
            {
                self.health.lost.insert(handle.id, Loss::Ended(text.to_owned()));
            }
        }
        for event in late {
            self.forget(event);
        }
        self.leave_lost();
    }

    /// An answer that nobody waits for: queues are closed, all else is dropped.
    fn forget(&self, event: Event<Queue>) {
        if let Event::QueuesRemoved { queues, .. } = event
            && !queues.is_empty()
        {
            drop(queues);
            self.tell(|| Command::Reclaim);
        }
    }

    /// Nobody waits for lost workers, and orders that were carried out are done with.
    fn leave_lost(&mut self) {
        if !self.health.lost.is_empty() {
            for open in self.open.values_mut() {
                open.from.retain(|id| !self.health.lost.contains_key(id));
            }
        }
        self.open.retain(|_, open| !open.is_order || !open.from.is_empty());
    }

    /// When to look at the workers, if one owes an answer.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.is_owed().then(|| self.health.looked_at + LOOK)
    }

    /// Looks at the workers that owe an answer: to be called at [`Workers::due`].
    pub fn watch(&mut self) {
        self.health.looked_at = Instant::now();
        for (handle, watch) in self.handles.iter().zip(&mut self.health.watches) {
            let owes = self.open.values().any(|open| open.from.contains(&handle.id));
            if owes && let Some(loss) = watch.look(handle.rounds(), handle.thread()) {
                self.health.lost.entry(handle.id).or_insert(loss);
            }
        }
        self.leave_lost();
    }

    /// True while a worker owes an answer.
    fn is_owed(&self) -> bool {
        self.open.values().any(|open| !open.from.is_empty())
    }

    /// Asks all workers whether they are there, unless one still owes the last such answer.
    pub fn ping(&mut self) {
        if let Some(ping) = self.health.ping.filter(|ping| self.is_answered(*ping)) {
            self.open.remove(&ping);
            self.health.ping = None;
        }
        if self.health.ping.is_none() {
            self.health.ping = Some(self.ask(|_| Command::Ping));
        }
    }

    /// Workers that have ended or hang; a new one is to take the place of each.
    #[must_use]
    pub fn lost(&self) -> Vec<(WorkerId, String)> {
        if self.health.failed_at.is_some_and(|at| at.elapsed() < REPLACE_AGAIN) {
            return Vec::new();
        }
        self.health.lost.iter().map(|(id, loss)| (*id, loss.to_string())).collect()
    }

    /// Starts a worker in the place of a lost one.  It has neither snapshot nor queues.  A thread that
    /// hangs is left alone: it keeps its sockets until it moves on, and stops then.
    ///
    /// # Errors
    /// [`StartError`]; the worker stays lost.
    pub fn replace(&mut self, id: WorkerId) -> Result<(), StartError> {
        self.health.failed_at = Some(Instant::now());
        let place = id.index();
        let cpu = self.handles.get(place).and_then(|handle| handle.cpu);
        // One that has ended left its chunks.  Those of a thread that hangs are its own: there it gets other memory.
        let left = self.region(place).and_then(|region| Some((region, region.successor()?)));
        let (region, pool) = match left {
            Some(left) => left,
            None => Region::new(RegionConfig::default())?,
        };
        let config = equip(cpu, pool, &self.numbers)?;
        let old = spawn_again(config, place, &mut self.handles, &self.control, rand_seed())?;
        if let (Some(old_region), Some(watch)) =
            (self.regions.get_mut(place), self.health.watches.get_mut(place))
        {
            (*old_region, *watch) = (region, Watch::default());
        }
        self.health.lost.remove(&id);
        self.health.failed_at = None;
        if let Some(old) = old
            && old.is_alive()
        {
            old.send(Command::Stop);
            self.health.hanging.push(old);
        }
        Ok(())
    }

    /// How many threads hang that were replaced.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.health.hanging.len()
    }

    /// True when a thread that was replaced has ended meanwhile: its sockets are closed.
    pub fn bury(&mut self) -> bool {
        let before = self.health.hanging.len();
        self.health.hanging.retain(Handle::is_alive);
        self.health.hanging.len() < before
    }

    /// Makes a worker fail, for a test.
    pub fn fail(&self, worker: usize, fault: Fault) {
        if let Some(handle) = self.handles.get(worker) {
            handle.send(Command::Fail(fault));
        }
    }

    fn all(&self) -> Vec<WorkerId> {
        self.handles.iter().map(|handle| handle.id).collect()
    }

    /// Stops all workers; their queues are closed by then, but for those of a thread that hangs.
    pub fn stop(self) {
        for handle in self.handles {
            let id = handle.id;
            if !handle.stop() {
                tracing::error!("worker {} hangs and does not stop", id.0);
            }
        }
    }
}

/// Chunks of each of so many workers.  All sockets know of all chunks, which costs the kernel some memory for each
/// socket: many workers have fewer each.
fn chunks(workers: usize) -> usize {
    /// Of all workers: four times what one has.
    const ALL_MAX: usize = 65536;
    let RegionConfig { chunks, .. } = RegionConfig::default();
    (ALL_MAX / workers.next_power_of_two()).clamp(2048, chunks)
}

/// Something that whoever sends frames cannot know.
fn rand_seed() -> u64 {
    u64::from_ne_bytes(
        uuid::Uuid::new_v4().as_bytes().first_chunk::<8>().copied().unwrap_or_default(),
    )
}
