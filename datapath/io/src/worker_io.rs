//! The back end of a worker: its queues, `AF_XDP` and TAP, over its pool of chunks.

use crate::readiness::Readiness;
use crate::stack::StackQueue;
use crate::stats::QueueStats;
use crate::wait::Waiter;
use crate::xsk::queue::{QueueWatch, XskQueue};
use crate::xsk::umem::{Chunk, ChunkPool, RegionHandle};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;
use weft_switch::{DropReason, FrameIo, FrameQueue, LinkId};

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

/// An open queue: made by the control thread, moved to a worker.
#[derive(Debug)]
pub enum Queue {
    /// One RX and TX queue of a netdev.
    Xsk(Box<XskQueue>),
    /// The TAP of an internal port, or a packet socket of a NIC that is tapped.
    Stack(Box<StackQueue>),
}

impl From<XskQueue> for Queue {
    fn from(queue: XskQueue) -> Self {
        Self::Xsk(Box::new(queue))
    }
}

impl From<StackQueue> for Queue {
    fn from(queue: StackQueue) -> Self {
        Self::Stack(Box::new(queue))
    }
}

impl Queue {
    /// A way to read the counters while a worker has the queue.
    #[must_use]
    pub fn watch(&self) -> QueueWatch {
        match self {
            Self::Xsk(queue) => queue.watch(),
            Self::Stack(queue) => queue.watch(),
        }
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        match self {
            Self::Xsk(queue) => queue.stats(),
            Self::Stack(queue) => queue.stats(),
        }
    }

    fn is_stand_in(&self) -> bool {
        matches!(self, Self::Stack(queue) if queue.is_stand_in())
    }

    fn raw_fd(&self) -> RawFd {
        match self {
            Self::Xsk(queue) => queue.fd().as_raw_fd(),
            Self::Stack(queue) => queue.raw_fd(),
        }
    }

    /// Whether it may be taken into service with the chunks of `pool`.
    fn enter(&mut self, pool: &mut ChunkPool) -> bool {
        match self {
            Self::Xsk(queue) => queue.enter(pool),
            Self::Stack(queue) => {
                queue.enter(pool);
                true
            }
        }
    }

    fn depart(&mut self, pool: &mut ChunkPool) {
        match self {
            Self::Xsk(queue) => queue.depart(pool),
            Self::Stack(queue) => queue.depart(pool),
        }
    }

    fn leave(&mut self, pool: &mut ChunkPool) {
        match self {
            Self::Xsk(queue) => queue.leave(pool),
            Self::Stack(queue) => queue.leave(pool),
        }
    }
}

/// A queue in service.
struct Serving {
    link: LinkId,
    queue: Queue,
    /// poll(2) found it in an error state, and nothing was received since: not waited for.
    failed: bool,
    /// Frames came in or went out since all were flushed last.
    touched: bool,
}

/// Where all chunks of a worker are.  `free + fill + rx + in_flight + tx + completion + retired ==
/// chunks` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// All of them.
    pub chunks: usize,
    /// In the free list.
    pub free: usize,
    /// In fill rings.
    pub fill: usize,
    /// Between there and the worker: with drivers, and in RX rings.
    pub rx: usize,
    /// Out as frames: with the worker, or segments of a super-frame that wait in a queue.
    pub in_flight: usize,
    /// Of those, the segments that wait.
    pub pending: usize,
    /// In TX rings.
    pub tx: usize,
    /// Between there and the worker: being sent, and in completion rings.
    pub completion: usize,
    /// With the kernel for queues that were taken out of service.
    pub retired: usize,
}

impl Conservation {
    /// The sum of all places, to be compared with `chunks`.
    #[must_use]
    pub const fn sum(&self) -> usize {
        self.free + self.fill + self.rx + self.in_flight + self.tx + self.completion + self.retired
    }
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

/// Notes that a queue of the host's stack is to be flushed.
fn touch(serving: &mut Serving, place: u16, touched: &mut Vec<u16>) {
    if !std::mem::replace(&mut serving.touched, true) {
        touched.push(place);
    }
}

impl FrameQueue for Queue {
    type Frame = Chunk;
}

impl FrameIo for WorkerIo {
    type Frame = Chunk;
    type Queue = Queue;

    fn add_queue(&mut self, link: LinkId, mut queue: Queue) {
        if !queue.enter(&mut self.pool) {
            self.refused += 1;
            return;
        }
        let is_socket = matches!(queue, Queue::Xsk(_));
        if let (Some(readiness), Queue::Stack(queue)) = (&self.readiness, &queue) {
            readiness.add(queue.fd(), link);
        }
        self.queues.push(Serving { link, queue, failed: false, touched: false });
        if is_socket {
            self.rearrange();
        } else {
            self.arrange(self.queues.len() - 1);
            self.follow_many();
        }
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|serving| serving.link == link, Queue::leave)
    }

    fn take_queue(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|serving| serving.link == link, Queue::depart)
    }

    fn remove_stand_in(&mut self, link: LinkId) -> Option<Queue> {
        self.take_out(|it| it.link == link && it.queue.is_stand_in(), Queue::leave)
    }

    fn reclaim(&mut self) {
        self.pool.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.queues.len()
    }

    fn ready(&mut self, list: &mut Vec<usize>) {
        let Some(readiness) = &self.readiness else {
            list.extend(0..self.queues.len());
            return;
        };
        let known = self.sockets.iter().chain(&self.failed).chain(&self.pending);
        list.extend(known.map(|place| usize::from(*place)));
        let mut failed = NO_QUEUE;
        readiness.look(|link, is_failed| {
            let place = self.links.get(link.index()).copied().unwrap_or(NO_QUEUE);
            list.push(usize::from(place));
            if is_failed {
                // If there are more, they are found next time.
                failed = place;
            }
        });
        self.fail(failed);
    }

    #[inline]
    fn rx(&mut self, queue: usize, frames: &mut Vec<Chunk>) -> LinkId {
        let Some(serving) = self.queues.get_mut(queue) else { return LinkId::default() };
        let before = frames.len();
        match &mut serving.queue {
            Queue::Xsk(queue) => queue.rx(&mut self.pool, frames),
            Queue::Stack(stack) => {
                stack.rx(&mut self.pool, &mut self.scratch, frames);
                let place = u16::try_from(queue).unwrap_or(NO_QUEUE);
                match (stack.has_pending(), self.pending.iter().position(|it| *it == place)) {
                    (true, None) => self.pending.push(place),
                    (false, Some(index)) => {
                        self.pending.swap_remove(index);
                    }
                    _ => {}
                }
                touch(serving, place, &mut self.touched);
            }
        }
        let link = serving.link;
        if frames.len() > before && serving.failed {
            self.recover(queue);
        }
        link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.links.get(link.index()).is_some_and(|&position| position != NO_QUEUE)
    }

    #[inline]
    fn tx(&mut self, link: LinkId, frame: Chunk) -> bool {
        let position = self.links.get(link.index()).copied().unwrap_or(NO_QUEUE);
        let Some(serving) = self.queues.get_mut(usize::from(position)) else {
            self.no_link += 1;
            self.refusal = DropReason::TxRing;
            self.pool.free(frame);
            return false;
        };
        let sent = match &mut serving.queue {
            Queue::Xsk(queue) => queue.tx(&mut self.pool, frame),
            Queue::Stack(queue) => {
                let sent = queue.tx(&mut self.pool, frame);
                touch(serving, position, &mut self.touched);
                sent
            }
        };
        if !sent {
            self.refusal = match &serving.queue {
                Queue::Xsk(queue) => queue.refusal(),
                Queue::Stack(queue) => queue.refusal(),
            };
            return false;
        }
        self.unsent += 1;
        true
    }

    fn refusal(&self) -> DropReason {
        self.refusal
    }

    fn flush(&mut self) {
        self.unsent = 0;
        for place in self.sockets.iter().copied().chain(self.touched.drain(..)) {
            let Some(serving) = self.queues.get_mut(usize::from(place)) else { continue };
            serving.touched = false;
            match &mut serving.queue {
                Queue::Xsk(queue) => queue.flush(&mut self.pool),
                Queue::Stack(queue) => queue.flush(&mut self.pool),
            }
        }
        if self.pool.has_retired() {
            self.pool.reclaim();
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let timeout = self.settle(timeout);
        let mut failed = [NO_QUEUE; 8];
        let mut free = failed.iter_mut();
        let fd = |serving: &Serving| (!serving.failed).then(|| serving.queue.raw_fd());
        // More than eight at once: the others are found next time.
        if let Some(readiness) = &self.readiness {
            let sockets = self.sockets.iter().map(|place| self.queues.get(usize::from(*place)));
            let sockets = sockets.map(|serving| serving.and_then(fd));
            let fds = sockets.chain(std::iter::once(Some(readiness.raw_fd())));
            self.waiter.wait(fds, timeout, |index| {
                if let (Some(place), Some(entry)) = (self.sockets.get(index), free.next()) {
                    *entry = *place;
                }
            });
        } else {
            self.waiter.wait(self.queues.iter().map(fd), timeout, |position| {
                if let (Some(entry), Ok(position)) = (free.next(), u16::try_from(position)) {
                    *entry = position;
                }
            });
        }
        for place in failed.into_iter().filter(|place| *place != NO_QUEUE) {
            self.fail(place);
        }
    }

    #[inline]
    fn copy_from(&mut self, bytes: &[u8]) -> Option<Chunk> {
        if self.pool.free_chunks() == 0 && self.unsent >= UNSENT_MIN {
            // A flood to hundreds of ports: what was copied so far is sent, and comes back.
            self.flush();
        }
        self.pool.copy_from(bytes)
    }

    #[inline]
    fn part_with(&mut self, frame: &Chunk) {
        self.pool.part_with(frame);
    }

    #[inline]
    fn adopt(&mut self, frame: &Chunk) -> bool {
        self.pool.adopt(frame)
    }

    #[inline]
    fn free(&mut self, frame: Chunk) {
        self.pool.free(frame);
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
