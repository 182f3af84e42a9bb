//! Frames and news between workers.
//!
//! A queue belongs to one worker, so a frame whose way out is another worker's is copied into a
//! [`Parcel`] and handed over.  Each pair of workers has two rings, one for full parcels and one
//! for empty ones coming back, so that nothing is allocated once they are made; and one for what
//! was learned.
//!
//! # Sleeping
//!
//! A worker about to sleep sets its `sleeping` flag, looks once more at its rings, then polls.
//! Whoever hands it something pushes first and looks at the flag after.  Both sides use
//! sequentially consistent operations, so at least one of them sees the other: either the sleeper
//! finds the parcel, or the sender finds the flag and writes the eventfd.

use crate::Waker;
use crate::talks::Talks;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weft_switch::{
    Announcement, BATCH_MAX, Charge, Counters, DropReason, Fate, FrameBuf, FrameIo, LinkId, PortId,
    Snapshot, WorkerId,
};

/// Parcels under way from one worker to another, at most.
const PARCELS_MAX: usize = 256;
/// Announcements under way from one worker to another, at most.  One that is lost costs a flood.
const NEWS_MAX: usize = 4096;
/// Bytes of the largest frame that is handed over: a large buffer holds no more.
const FRAME_BYTES_MAX: usize = 16384;
/// Bytes that a parcel has room for from the start; it grows with the first larger frame.
const PARCEL_BYTES: usize = 2048;

/// Frames that wait for queues which are on their way to this worker, at most.
const KEPT_MAX: usize = 1024;

/// A frame on its way to the worker that can send it.
struct Parcel {
    link: LinkId,
    charge: Charge,
    bytes: Vec<u8>,
}

impl Parcel {
    fn empty() -> Self {
        let charge = Charge { port: PortId(0), bytes: 0 };
        Self { link: LinkId(0), charge, bytes: Vec::with_capacity(PARCEL_BYTES) }
    }
}

/// The way to another worker.
pub(crate) struct Outbound {
    full: Producer<Parcel>,
    empty: Consumer<Parcel>,
    news: Producer<Announcement>,
    sleeping: Arc<AtomicBool>,
    waker: Waker,
    has_sent: bool,
}

/// The way from another worker.
pub(crate) struct Inbound {
    full: Consumer<Parcel>,
    empty: Producer<Parcel>,
    news: Consumer<Announcement>,
}

/// Both ways between a worker and another: what a worker that is told of another needs.
pub struct Peer {
    pub(crate) id: WorkerId,
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Inbound,
}

/// The rings from one worker to another, both ends.
pub(crate) fn connect(sleeping: Arc<AtomicBool>, waker: Waker) -> (Outbound, Inbound) {
    let (full, full_out) = RingBuffer::new(PARCELS_MAX);
    let (mut empty, empty_out) = RingBuffer::new(PARCELS_MAX);
    let (news, news_out) = RingBuffer::new(NEWS_MAX);
    while empty.push(Parcel::empty()).is_ok() {}
    let outbound = Outbound { full, empty: empty_out, news, sleeping, waker, has_sent: false };
    (outbound, Inbound { full: full_out, empty, news: news_out })
}

impl Outbound {
    fn send(&mut self, link: LinkId, frame: &[u8], charge: Charge) -> Fate {
        let full = Fate::Refused(DropReason::WorkerRing);
        if frame.len() > FRAME_BYTES_MAX {
            return full;
        }
        let Ok(mut parcel) = self.empty.pop() else { return full };
        parcel.bytes.clear();
        parcel.bytes.extend_from_slice(frame);
        (parcel.link, parcel.charge) = (link, charge);
        self.has_sent = true;
        if self.full.push(parcel).is_ok() { Fate::HandedOver } else { full }
    }

    fn wake_if_sent(&mut self) {
        // Partner: the store in `Peers::sleep`.
        if std::mem::take(&mut self.has_sent) && self.sleeping.load(Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}

/// An I/O back end that hands frames of other workers' links to those workers.
pub(crate) struct Exchange<I> {
    pub(crate) io: I,
    me: WorkerId,
    /// By worker number; `None` for this worker.
    outbound: Vec<Option<Outbound>>,
    /// By worker number; `None` for this worker.
    inbound: Vec<Option<Inbound>>,
    /// Which worker sends on a link, by link number.
    owners: Vec<WorkerId>,
    sleeping: Arc<AtomicBool>,
    /// Links whose queues are on their way to this worker, and frames that wait for them.
    arriving: Vec<LinkId>,
    kept: Vec<Parcel>,
    pub(crate) talks: Talks,
}

impl<I: FrameIo> Exchange<I> {
    pub(crate) fn new(io: I, me: WorkerId, sleeping: Arc<AtomicBool>) -> Self {
        Self {
            io,
            me,
            outbound: Vec::new(),
            inbound: Vec::new(),
            owners: Vec::new(),
            sleeping,
            arriving: Vec::new(),
            kept: Vec::new(),
            talks: Talks::new(),
        }
    }

    /// Talks to another worker by these rings from now on.  What is in the old ones is lost.
    pub(crate) fn meet(&mut self, Peer { id, outbound, inbound }: Peer) {
        let places = self.outbound.len().max(id.index() + 1);
        self.outbound.resize_with(places, || None);
        self.inbound.resize_with(places, || None);
        if let (Some(to), Some(from)) =
            (self.outbound.get_mut(id.index()), self.inbound.get_mut(id.index()))
        {
            (*to, *from) = (Some(outbound), Some(inbound));
        }
    }

    /// Takes over which worker sends on which link.  A queue of another one's link does not come any more, when
    /// the worker that had it was lost: nothing waits for it.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot, counters: &mut Counters) {
        self.owners = (0u16..)
            .take(snapshot.link_slots())
            .map(|link| snapshot.link(LinkId(link)).map_or(self.me, |conf| conf.worker))
            .collect();
        let Self { arriving, kept, owners, me, .. } = self;
        arriving.retain(|link| owners.get(link.index()) == Some(me));
        for parcel in kept.extract_if(.., |parcel| !arriving.contains(&parcel.link)) {
            counters.count_handed_over(parcel.charge, Fate::Refused(DropReason::WorkerRing));
        }
    }

    /// Tells all other workers what this one learned.
    pub(crate) fn announce(&mut self, news: Announcement) {
        for outbound in self.outbound.iter_mut().flatten() {
            // A full ring loses the news; the next frame of that station floods once.
            let _ = outbound.news.push(news);
            outbound.has_sent = true;
        }
    }

    /// Calls `hear` for what other workers announced.
    pub(crate) fn drain_news(&mut self, mut hear: impl FnMut(Announcement)) {
        for inbound in self.inbound.iter_mut().flatten() {
            while let Ok(news) = inbound.news.pop() {
                hear(news);
            }
        }
    }

    /// True when every other worker can take a batch over.
    pub(crate) fn has_room(&self) -> bool {
        self.outbound.iter().flatten().all(|outbound| outbound.empty.slots() >= BATCH_MAX)
    }

    /// Sends the frames that other workers handed over, and counts their fates; says whether there
    /// were any.
    pub(crate) fn drain_parcels(&mut self, counters: &mut Counters) -> bool {
        let mut any = false;
        for inbound in self.inbound.iter_mut().flatten() {
            while let Ok(parcel) = inbound.full.pop() {
                any = true;
                if awaits(&self.arriving, &self.io, parcel.link) {
                    let fate = keep(&mut self.kept, parcel.link, &parcel.bytes, parcel.charge);
                    counters.count_handed_over(parcel.charge, fate);
                    let _ = inbound.empty.push(parcel);
                    continue;
                }
                let fate = match self.io.copy_from(&parcel.bytes) {
                    Some(frame) => self.io.send(parcel.link, frame, parcel.charge),
                    None => Fate::Refused(DropReason::NoBuffer),
                };
                counters.count_handed_over(parcel.charge, fate);
                // There is a place: this ring holds as many as there are parcels.
                let _ = inbound.empty.push(parcel);
            }
        }
        any
    }

    /// A queue of this link is on its way to this worker: frames for it wait.
    pub(crate) fn expect(&mut self, link: LinkId) {
        if !self.arriving.contains(&link) {
            self.arriving.push(link);
        }
    }

    /// Takes a queue into service.  What was handed over before goes first, then what waited for it.
    pub(crate) fn settle_in(&mut self, link: LinkId, queue: I::Queue, counters: &mut Counters) {
        self.drain_parcels(counters);
        self.io.add_queue(link, queue);
        self.arriving.retain(|other| *other != link);
        for parcel in self.kept.extract_if(.., |parcel| parcel.link == link) {
            let fate = match self.io.copy_from(&parcel.bytes) {
                Some(frame) => self.io.send(link, frame, parcel.charge),
                None => Fate::Refused(DropReason::NoBuffer),
            };
            counters.count_handed_over(parcel.charge, fate);
        }
    }

    fn has_mail(&self) -> bool {
        let mut inbound = self.inbound.iter().flatten();
        inbound.any(|inbound| !inbound.full.is_empty() || !inbound.news.is_empty())
    }

    fn hand_over(&mut self, link: LinkId, frame: I::Frame, charge: Charge) -> Fate {
        if awaits(&self.arriving, &self.io, link) {
            let fate = keep(&mut self.kept, link, frame.bytes(), charge);
            self.io.free(frame);
            return fate;
        }
        let owner = self.owners.get(link.index()).map_or(usize::MAX, |owner| owner.index());
        let fate = match self.outbound.get_mut(owner) {
            Some(Some(outbound)) => outbound.send(link, frame.bytes(), charge),
            _ => Fate::Refused(DropReason::TxRing),
        };
        self.io.free(frame);
        fate
    }
}

/// Whether frames for a link are to wait for its queue.
fn awaits(arriving: &[LinkId], io: &impl FrameIo, link: LinkId) -> bool {
    !arriving.is_empty() && arriving.contains(&link) && !io.has_link(link)
}

/// Keeps a frame for a queue that is on its way; whoever sends it counts it.
#[cold]
fn keep(kept: &mut Vec<Parcel>, link: LinkId, bytes: &[u8], charge: Charge) -> Fate {
    if kept.len() >= KEPT_MAX {
        return Fate::Refused(DropReason::WorkerRing);
    }
    kept.push(Parcel { link, charge, bytes: bytes.to_vec() });
    Fate::HandedOver
}

impl<I: FrameIo> FrameIo for Exchange<I> {
    type Frame = I::Frame;
    type Queue = I::Queue;

    fn add_queue(&mut self, link: LinkId, queue: Self::Queue) {
        self.io.add_queue(link, queue);
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<Self::Queue> {
        self.io.remove_queue(link)
    }

    fn take_queue(&mut self, link: LinkId) -> Option<Self::Queue> {
        self.io.take_queue(link)
    }

    fn remove_stand_in(&mut self, link: LinkId) -> Option<Self::Queue> {
        self.io.remove_stand_in(link)
    }

    fn reclaim(&mut self) {
        self.io.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.io.queue_count()
    }

    fn ready(&mut self, list: &mut Vec<usize>) {
        self.io.ready(list);
    }

    fn rx(&mut self, queue: usize, frames: &mut Vec<Self::Frame>) -> LinkId {
        let before = frames.len();
        let link = self.io.rx(queue, frames);
        if !self.inbound.is_empty() {
            self.talks.received(link, frames.len() - before);
        }
        link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.io.has_link(link)
    }

    fn tx(&mut self, link: LinkId, frame: Self::Frame) -> bool {
        self.io.tx(link, frame)
    }

    #[inline]
    fn send(&mut self, link: LinkId, frame: Self::Frame, charge: Charge) -> Fate {
        if self.inbound.is_empty() {
            return self.io.send(link, frame, charge);
        }
        self.talks.sent(link);
        if self.io.has_link(link) {
            self.io.send(link, frame, charge)
        } else {
            self.hand_over(link, frame, charge)
        }
    }

    fn refusal(&self) -> DropReason {
        self.io.refusal()
    }

    fn flush(&mut self) {
        self.io.flush();
        for outbound in self.outbound.iter_mut().flatten() {
            outbound.wake_if_sent();
        }
    }

    fn wait(&mut self, timeout: Duration) {
        // Partner: the load in `Outbound::wake_if_sent`.
        self.sleeping.store(true, Ordering::SeqCst);
        if !self.has_mail() {
            self.io.wait(timeout);
        }
        self.sleeping.store(false, Ordering::SeqCst);
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<Self::Frame> {
        self.io.copy_from(bytes)
    }

    fn free(&mut self, frame: Self::Frame) {
        self.io.free(frame);
    }
}
