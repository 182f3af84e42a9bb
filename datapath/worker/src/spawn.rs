//! Threads: starting workers, and talking to them.

use crate::exchange::Exchange;
use crate::peer::{Side, connect};
use crate::poll::{ControlMail, Loop};
use crate::pulse::Pulse;
use crate::{Command, Event, NOTICES_MAX, Notice, Waker};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use rustix::thread::{CpuSet, Pid};
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weft_switch::{FrameIo, FrameQueue, Numbers, WorkerId};

/// How long a worker may take to obey the order to stop before its thread is left alone.
const STOP_MAX: Duration = Duration::from_secs(5);

/// One worker to start.
pub struct SpawnConfig<I> {
    /// Its I/O back end, which polls a duplicate of `waker`'s descriptor.
    pub io: I,
    /// Wakes it.
    pub waker: Waker,
    /// The CPU to pin it to, or none.
    pub cpu: Option<usize>,
    /// The numbers of outer packets, the same for all workers of a switch.
    pub numbers: Numbers,
}

/// A command, and the number that its answer carries.
pub(crate) struct Order<Q: FrameQueue> {
    pub(crate) number: u64,
    pub(crate) command: Command<Q>,
}

/// An answer, and the number of the command that it belongs to.
pub(crate) type Answer<Q> = (u64, Event<Q>);

/// The control thread's end of one worker.
pub struct Handle<Q: FrameQueue> {
    /// Its number.
    pub id: WorkerId,
    /// The CPU it is pinned to, if that worked.
    pub cpu: Option<usize>,
    orders: Sender<Order<Q>>,
    answers: Receiver<Answer<Q>>,
    notices: Receiver<Notice>,
    waker: Waker,
    pulse: Arc<Pulse>,
    /// Set while it sleeps; for those who hand it frames.
    sleeping: Arc<AtomicBool>,
    /// When the first of these workers was started.
    started: Instant,
    thread: Option<JoinHandle<()>>,
}

impl<Q: FrameQueue> Handle<Q> {
    /// Gives a command whose answer, if it has one, nobody waits for; see [`Handle::ask`].
    pub fn send(&self, command: Command<Q>) {
        self.ask(0, command);
    }

    /// Gives a command, and wakes the worker for it.  Its answer will carry `number`.  Never waits;
    /// the command is lost when the thread has ended.
    pub fn ask(&self, number: u64, command: Command<Q>) {
        // Whoever waits for the answer hears of the end.
        let _ = self.orders.send(Order { number, command });
        self.waker.wake();
    }

    /// The next answer and its number; the control waker of [`spawn_all`] tells when.
    #[must_use]
    pub fn try_answer(&self) -> Option<(u64, Event<Q>)> {
        self.answers.try_recv().ok()
    }

    /// What the worker says unasked, likewise.
    #[must_use]
    pub fn try_notice(&self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// True while its thread runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Why its thread has ended, when it has and nobody told it to.  Its queues are closed by then.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        self.pulse.end()
    }

    /// Rounds of its loop, commands between them, since it started.  While it sleeps there is one a second.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.pulse.rounds()
    }

    /// The kernel's number of its thread, once it runs.
    #[must_use]
    pub fn thread(&self) -> Option<Pid> {
        self.pulse.thread()
    }

    /// Tells the worker to stop, and waits for its thread; its queues are closed by then, however long
    /// that takes.  A thread that does not obey within [`STOP_MAX`] hangs and is left alone: false then.
    pub fn stop(mut self) -> bool {
        self.send(Command::Stop);
        let until = Instant::now() + STOP_MAX;
        let obeys = |handle: &Self| handle.pulse.is_leaving() || !handle.is_alive();
        while !obeys(&self) && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
        let does_obey = obeys(&self);
        if let Some(thread) = self.thread.take().filter(|_| does_obey) {
            // How it ended is known from `end`.
            let _ = thread.join();
        }
        does_obey
    }
}

impl<Q: FrameQueue> Drop for Handle<Q> {
    /// The thread ends as soon as it looks at its commands; nobody waits for it.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.send(Command::Stop);
        }
    }
}

/// Starts workers that know of each other.  `control` is woken whenever one has something to say.
/// `seed` scatters hash tables.
///
/// # Errors
///
/// What starting a thread says.
pub fn spawn_all<I>(
    configs: Vec<SpawnConfig<I>>,
    control: &Waker,
    seed: u64,
) -> io::Result<Vec<Handle<I::Queue>>>
where
    I: FrameIo + Send + 'static,
    I::Queue: 'static,
{
    let started = Instant::now();
    let announces = configs.len() > 1;
    let mut handles: Vec<Handle<I::Queue>> = Vec::with_capacity(configs.len());
    for (id, config) in (0u16..).map(WorkerId).zip(configs) {
        let place = Place { id, started, seed, announces };
        let handle = spawn(config, place, control, &handles)?;
        handles.push(handle);
    }
    Ok(handles)
}

/// Starts a worker in the place of one of `handles` that has ended or hangs, whose handle is given
/// back; the others talk to the new one from now on.  It knows nothing: no snapshot, no addresses.
///
/// # Errors
///
/// What starting a thread says; everything is as before then.
pub fn spawn_again<I>(
    config: SpawnConfig<I>,
    place: usize,
    handles: &mut [Handle<I::Queue>],
    control: &Waker,
    seed: u64,
) -> io::Result<Option<Handle<I::Queue>>>
where
    I: FrameIo + Send + 'static,
    I::Queue: 'static,
{
    let Some(lost) = handles.get(place) else { return Ok(None) };
    let announces = handles.len() > 1;
    let place_of = Place { id: lost.id, started: lost.started, seed, announces };
    let fresh = spawn(config, place_of, control, handles)?;
    Ok(handles.get_mut(place).map(|lost| std::mem::replace(lost, fresh)))
}

/// Which worker it is.
#[derive(Clone, Copy)]
struct Place {
    id: WorkerId,
    started: Instant,
    seed: u64,
    announces: bool,
}

/// Starts one worker, and has it and `others` meet, but for the one whose number it has.
fn spawn<I>(
    config: SpawnConfig<I>,
    place: Place,
    control: &Waker,
    others: &[Handle<I::Queue>],
) -> io::Result<Handle<I::Queue>>
where
    I: FrameIo + Send + 'static,
    I::Queue: 'static,
{
    let SpawnConfig { io, waker, cpu, numbers } = config;
    let Place { id, started, seed, announces } = place;
    let (orders, from_control) = unbounded();
    let (to_control, answers) = unbounded();
    let (to_control_unasked, notices) = bounded(NOTICES_MAX);
    let (sleeping, pulse) = (Arc::<AtomicBool>::default(), Arc::<Pulse>::default());
    let mail = ControlMail {
        orders: from_control,
        answers: to_control,
        notices: to_control_unasked,
        control: control.clone(),
    };
    let exchange = Exchange::new(io, id, Arc::clone(&sleeping));
    let body = Loop::new(id, exchange, mail, Arc::clone(&pulse), started);
    let mut body = body.with_datapath(seed, announces, numbers);
    let (ours, control) = (Arc::clone(&pulse), control.clone());
    let thread =
        std::thread::Builder::new().name(format!("weft-worker-{}", id.0)).spawn(move || {
            ours.set_thread(rustix::thread::gettid());
            if let Some(cpu) = cpu {
                pin(cpu);
            }
            // The body, and with it all queues, is gone when this has returned, however it does.
            let outcome = catch_unwind(AssertUnwindSafe(move || body.run()));
            if let Err(payload) = outcome {
                ours.set_end(text_of(&*payload));
            }
            control.wake();
        })?;
    let thread = Some(thread);
    let handle =
        Handle { id, cpu, orders, answers, notices, waker, pulse, sleeping, started, thread };
    for other in others.iter().filter(|other| other.id != id) {
        introduce(&handle, other);
    }
    Ok(handle)
}

/// Has two workers talk to each other.
fn introduce<Q: FrameQueue>(a: &Handle<Q>, b: &Handle<Q>) {
    let side = |handle: &Handle<Q>| Side {
        id: handle.id,
        sleeping: Arc::clone(&handle.sleeping),
        waker: handle.waker.clone(),
    };
    let (b_for_a, a_for_b) = connect(side(a), side(b));
    a.send(Command::Meet(Box::new(b_for_a)));
    b.send(Command::Meet(Box::new(a_for_b)));
}

/// What a panic said.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}

/// A worker that cannot be pinned runs unpinned: the CPU is offline, or not in our cpuset.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if cpu < CpuSet::MAX_CPU {
        set.set(cpu);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}
