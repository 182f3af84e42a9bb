//! Threads: starting workers, and talking to them.

use crate::exchange::{Exchange, Inbound, Outbound, connect};
use crate::poll::Loop;
use crate::{COMMANDS_MAX, Command, EVENTS_MAX, Event, Waker};
use crossbeam::channel::{Receiver, Sender, bounded};
use rustix::thread::CpuSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;
use weft_switch::{FrameIo, WorkerId};

/// One worker to start.
pub struct SpawnConfig<I> {
    /// Its I/O back end, which polls a duplicate of `waker`'s descriptor.
    pub io: I,
    /// Wakes it.
    pub waker: Waker,
    /// The CPU to pin it to, or none.
    pub cpu: Option<usize>,
}

/// How long a worker may take to make room for one more command.
const ROOM_MAX: Duration = Duration::from_secs(5);

/// The control thread's end of one worker.
pub struct Handle<Q> {
    /// Its number.
    pub id: WorkerId,
    /// The CPU it is pinned to, if that worked.
    pub cpu: Option<usize>,
    commands: Sender<Command<Q>>,
    events: Receiver<Event<Q>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// A worker does not take commands: it has stopped, or hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerStuck(pub WorkerId);

impl std::fmt::Display for WorkerStuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {} does not take commands", self.0.0)
    }
}

impl std::error::Error for WorkerStuck {}

impl<Q> Handle<Q> {
    /// Gives a command, and wakes the worker for it.  Waits for room in its channel: many ports may
    /// come faster than a busy worker takes them.
    ///
    /// # Errors
    ///
    /// [`WorkerStuck`] when there is no room for [`ROOM_MAX`], or its thread has ended; the command is
    /// lost.
    pub fn send(&self, command: Command<Q>) -> Result<(), WorkerStuck> {
        let sent = self.commands.send_timeout(command, ROOM_MAX);
        self.waker.wake();
        sent.map_err(|_| WorkerStuck(self.id))
    }

    /// What the worker has to say; the control waker of [`spawn_all`] tells when.
    #[must_use]
    pub fn try_event(&self) -> Option<Event<Q>> {
        self.events.try_recv().ok()
    }

    /// True while its thread runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the worker and waits for its thread; its queues are closed by then.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // A full channel is drained by the worker, which is awake: try until it takes the word.
        while self.is_alive() && self.send(Command::Stop).is_err() {
            std::thread::yield_now();
        }
        if let Some(thread) = self.thread.take() {
            // A worker that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

impl<Q> Drop for Handle<Q> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts workers that know of each other.  `control` is woken whenever one has an event.
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
    I::Frame: Send,
    I::Queue: 'static,
{
    let started = std::time::Instant::now();
    let mut mail = mesh(&configs);
    let announces = configs.len() > 1;
    let mut handles = Vec::with_capacity(configs.len());
    for (id, SpawnConfig { io, waker, cpu }) in (0u16..).map(WorkerId).zip(configs) {
        let Some(Mail { outbound, inbound, sleeping }) = mail.next() else { break };
        let (commands, from_control) = bounded(COMMANDS_MAX);
        let (to_control, events) = bounded(EVENTS_MAX);
        let exchange = Exchange::new(io, id, outbound, inbound, sleeping);
        let body = Loop::new(id, exchange, from_control, to_control, control.clone(), started);
        let mut body = body.with_datapath(seed, announces);
        let thread =
            std::thread::Builder::new().name(format!("weft-worker-{}", id.0)).spawn(move || {
                if let Some(cpu) = cpu {
                    pin(cpu);
                }
                body.run();
            })?;
        handles.push(Handle { id, cpu, commands, events, waker, thread: Some(thread) });
    }
    Ok(handles)
}

/// A worker that cannot be pinned runs unpinned: the CPU is offline, or not in our cpuset.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    if cpu < CpuSet::MAX_CPU {
        set.set(cpu);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

struct Mail {
    outbound: Vec<Option<Outbound>>,
    inbound: Vec<Inbound>,
    sleeping: Arc<AtomicBool>,
}

/// Rings from every worker to every other.
fn mesh<I>(configs: &[SpawnConfig<I>]) -> impl Iterator<Item = Mail> + use<I> {
    let flags: Vec<_> = configs.iter().map(|_| Arc::new(AtomicBool::new(false))).collect();
    let mut inbound: Vec<Vec<Inbound>> = configs.iter().map(|_| Vec::new()).collect();
    let mut outbound: Vec<Vec<Option<Outbound>>> = Vec::with_capacity(configs.len());
    for from in 0..configs.len() {
        let mut row = Vec::with_capacity(configs.len());
        for (to, ((config, flag), inbound)) in
            configs.iter().zip(&flags).zip(&mut inbound).enumerate()
        {
            row.push((from != to).then(|| {
                let (outbound, end) = connect(Arc::clone(flag), config.waker.clone());
                inbound.push(end);
                outbound
            }));
        }
        outbound.push(row);
    }
    outbound.into_iter().zip(inbound).zip(flags).map(|((outbound, inbound), sleeping)| Mail {
        outbound,
        inbound,
        sleeping,
    })
}
