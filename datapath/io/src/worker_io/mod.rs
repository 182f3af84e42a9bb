//! The back end of a worker: its queues, `AF_XDP` and TAP, over its pool of chunks.

mod conservation;
mod frames;
mod queue;

pub use conservation::Conservation;
pub use queue::Queue;

use crate::readiness::Readiness;
use crate::stats::QueueStats;
use crate::wait::Waiter;
use crate::xsk::umem::{ChunkPool, RegionHandle};
use frames::touch;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use weft_switch::{DropReason, FrameIo, LinkId};

/// Bytes of the buffer for super-frames.
const SCRATCH_BYTES: usize = crate::stack::SUPERFRAME_BYTES_MAX;

/// How soon a worker looks again that has frames to send which the kernel did not take.
const URGENT: Duration = Duration::from_millis(1);

/// So many frames must be on rings before they are sent earlier than the batch's end for want of
/// chunks: a system call per ring, not per frame.
const UNSENT_MIN: usize = 1024;

/// Stands for "no queue" in the table of links.
const NO_QUEUE: u16 = u16::MAX;

/// Up to so many TAPs and packet sockets are read in each round.  Of more, the kernel is asked first
/// which have something: one system call instead of one for each.
const STACKS_READ_MAX: usize = 8;

/// A queue in service.
struct Serving {
    link: LinkId,
    queue: Queue,
    /// poll(2) found it in an error state, and nothing was received since: not waited for.
    failed: bool,
    /// Frames came in or went out since all were flushed last.
    touched: bool,
}

/// Frames in and out for one worker, over `AF_XDP` sockets, TAPs and packet sockets.
pub struct WorkerIo {
    // Fields are dropped in this order: queues before the chunks they use.
    queues: Vec<Serving>,
    /// For each link the position of the queue to send on.
    links: Vec<u16>,
    /// The positions of `AF_XDP` sockets.
    sockets: Vec<u16>,
    /// The positions of all others that frames came in by or went out by since the last flush.
    touched: Vec<u16>,
    /// Those of them that hold frames of which poll(2) does not know.
    pending: Vec<u16>,
    /// Those that are in an error state.
    failed: Vec<u16>,
    /// Which TAPs and packet sockets have something, when there are many of them.
    readiness: Option<Readiness>,
    pool: ChunkPool,
    scratch: Box<[u8]>,
    waiter: Waiter,
    /// Queues that could not be taken into service: opened for another worker's memory.
    refused: u64,
    /// Frames for a link without a queue.
    no_link: u64,
    /// Frames put on rings since all were flushed last.
    unsent: usize,
    /// Why `tx` refused a frame last.
    refusal: DropReason,
}

impl WorkerIo {
    /// A back end without queues.  `waker` is readable when the worker is to wake up (an eventfd).
    ///
    /// # Errors
    ///
    /// None today; making it may one day take more descriptors.
    pub fn new(pool: ChunkPool, waker: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            queues: Vec::new(),
            links: Vec::new(),
            sockets: Vec::new(),
            touched: Vec::new(),
            pending: Vec::new(),
            failed: Vec::new(),
            readiness: None,
            pool,
            scratch: vec![0; SCRATCH_BYTES].into(),
            waiter: Waiter::new(waker),
            refused: 0,
            no_link: 0,
            unsent: 0,
            refusal: DropReason::TxRing,
        })
    }

    /// The memory that queues for this worker are opened with.
    #[must_use]
    pub const fn region(&self) -> RegionHandle {
        self.pool.region()
    }

    /// The counters of each queue in service, by position.
    pub fn queue_stats(&self) -> impl Iterator<Item = (LinkId, QueueStats)> + '_ {
        self.queues.iter().map(|serving| (serving.link, serving.queue.stats()))
    }

    /// Queues that were refused because they were opened with another worker's memory, or were in
    /// service before.
    #[must_use]
    pub const fn refused_queues(&self) -> u64 {
        self.refused
    }

    /// Frames that were freed because their link has no queue here.
    #[must_use]
    pub const fn no_link_frames(&self) -> u64 {
        self.no_link
    }

    /// Where the chunks are.  Loads the kernel's ring indices: for tests and `weft doctor`.
    pub fn conservation(&mut self) -> Conservation {
        let count = self.pool.count();
        let mut sum = Conservation {
            chunks: count.chunks,
            free: count.free,
            in_flight: count.held,
            ..Conservation::default()
        };
        for serving in &mut self.queues {
            match &mut serving.queue {
                Queue::Xsk(queue) => {
                    let [fill, rx, tx, completion] =
                        queue.outstanding().map(|count| count as usize);
                    sum.pending += queue.held();
                    sum.fill += fill;
                    sum.rx += rx;
                    sum.tx += tx;
                    sum.completion += completion;
                }
                Queue::Stack(queue) => sum.pending += queue.pending(),
            }
        }
        // What the pool has lent, less what the queues in service say they have.
        let served = sum.fill + sum.rx + sum.tx + sum.completion;
        sum.retired = (count.receiving + count.sending).saturating_sub(served);
        sum
    }

    /// The chunks, for tests.
    #[must_use]
    pub const fn pool(&self) -> &ChunkPool {
        &self.pool
    }

    /// Takes the first such queue out of service: it is to `end` that.
    fn take_out(
        &mut self,
        is_meant: impl Fn(&Serving) -> bool,
        end: fn(&mut Queue, &mut ChunkPool),
    ) -> Option<Queue> {
        let position = self.queues.iter().position(is_meant)?;
        let mut queue = self.queues.remove(position).queue;
        if let (Some(readiness), Queue::Stack(stack)) = (&self.readiness, &queue) {
            readiness.remove(stack.fd());
        }
        end(&mut queue, &mut self.pool);
        self.rearrange();
        Some(queue)
    }

    /// After queues came or went: who sends for which link, and each socket's share of the chunks.
    fn rearrange(&mut self) {
        self.links.fill(NO_QUEUE);
        for list in [&mut self.sockets, &mut self.touched, &mut self.pending, &mut self.failed] {
            list.clear();
        }
        for position in 0..self.queues.len() {
            self.arrange(position);
        }
        self.pool.share_among(self.sockets.len());
        for serving in &mut self.queues {
            if let Queue::Xsk(queue) = &mut serving.queue {
                queue.share(&self.pool);
                queue.top_up(&mut self.pool);
            }
        }
        self.follow_many();
    }

    /// Puts the queue at a position, which is the last one so far, into the lists.
    fn arrange(&mut self, position: usize) {
        let Some(serving) = self.queues.get_mut(position) else { return };
        let Ok(place) = u16::try_from(position) else { return };
        let index = serving.link.index();
        if self.links.len() <= index {
            self.links.resize(index + 1, NO_QUEUE);
        }
        // A stand-in sends for its link, else the first queue does.
        if let Some(entry) = self.links.get_mut(index)
            && (*entry == NO_QUEUE || serving.queue.is_stand_in())
        {
            *entry = place;
        }
        if serving.failed {
            self.failed.push(place);
        }
        serving.touched = false;
        match &serving.queue {
            Queue::Xsk(_) => self.sockets.push(place),
            Queue::Stack(queue) => {
                serving.touched = true;
                self.touched.push(place);
                if queue.has_pending() {
                    self.pending.push(place);
                }
            }
        }
        // Nothing allocates while frames are moved.
        let queues = self.queues.len();
        for list in [&mut self.touched, &mut self.pending, &mut self.failed] {
            list.reserve(queues.saturating_sub(list.len()));
        }
        self.waiter.reserve(queues);
    }

    /// Has the kernel tell which of many TAPs have something to read, as long as they are many.
    fn follow_many(&mut self) {
        let is_many = self.queues.len() - self.sockets.len() > STACKS_READ_MAX;
        if is_many == self.readiness.is_some() {
            return;
        }
        // Without it, each is read in each round.
        self.readiness = is_many.then(Readiness::new).and_then(Result::ok);
        let stacks = self.queues.iter().filter(|serving| !serving.failed);
        for serving in stacks {
            if let (Some(readiness), Queue::Stack(queue)) = (&self.readiness, &serving.queue) {
                readiness.add(queue.fd(), serving.link);
            }
        }
    }

    /// The queue at a position is in an error state: it is not waited for.
    fn fail(&mut self, place: u16) {
        let Some(serving) = self.queues.get_mut(usize::from(place)) else { return };
        if serving.failed {
            return;
        }
        serving.failed = true;
        self.failed.push(place);
        match &mut serving.queue {
            Queue::Xsk(queue) => queue.note_error(),
            Queue::Stack(queue) => {
                queue.note_error();
                if let Some(readiness) = &self.readiness {
                    readiness.remove(queue.fd());
                }
                touch(serving, place, &mut self.touched);
            }
        }
    }

    /// The queue at a position is waited for again.
    fn recover(&mut self, position: usize) {
        self.failed.retain(|place| usize::from(*place) != position);
        let Some(serving) = self.queues.get_mut(position) else { return };
        serving.failed = false;
        if let (Some(readiness), Queue::Stack(queue)) = (&self.readiness, &serving.queue) {
            readiness.add(queue.fd(), serving.link);
        }
    }

    /// Before sleeping: sends and takes back what can be, and says how long to sleep at most.
    fn settle(&mut self, timeout: Duration) -> Duration {
        self.flush();
        let mut timeout = if self.pending.is_empty() { timeout } else { Duration::ZERO };
        for place in &self.sockets {
            let serving = self.queues.get_mut(usize::from(*place));
            if let Some(Serving { queue: Queue::Xsk(queue), .. }) = serving {
                queue.top_up(&mut self.pool);
                queue.publish();
                if queue.is_urgent(&self.pool) {
                    timeout = timeout.min(URGENT);
                }
            }
        }
        timeout
    }
}

impl Drop for WorkerIo {
    /// Takes all queues out of service, so that the region can be used again.
    fn drop(&mut self) {
        for serving in &mut self.queues {
            serving.queue.leave(&mut self.pool);
        }
    }
}
