//! The back end of a worker among others: frames for other workers' links are handed over to those.

use crate::peer::{Delivery, Parcel, Peer};
use crate::talks::Talks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;
use weft_switch::{
    Announcement, Charge, Counters, DropReason, Fate, FrameIo, LinkId, Snapshot, WorkerId,
};

/// Frames that wait for queues which are on their way to this worker, at most.
const KEPT_MAX: usize = 1024;

/// An I/O back end that hands frames of other workers' links to those workers.
pub(crate) struct Exchange<I: FrameIo> {
    pub(crate) io: I,
    me: WorkerId,
    /// By worker number; `None` for this worker.
    peers: Vec<Option<Peer<I::Frame>>>,
    /// Which worker sends on a link, by link number.
    owners: Vec<WorkerId>,
    sleeping: Arc<AtomicBool>,
    /// Links whose queues are on their way to this worker, and frames that wait for them.
    arriving: Vec<LinkId>,
    kept: Vec<Parcel<I::Frame>>,
    pub(crate) talks: Talks,
}

impl<I: FrameIo> Exchange<I> {
    pub(crate) fn new(io: I, me: WorkerId, sleeping: Arc<AtomicBool>) -> Self {
        Self {
            io,
            me,
            peers: Vec::new(),
            owners: Vec::new(),
            sleeping,
            arriving: Vec::new(),
            kept: Vec::new(),
            talks: Talks::new(),
        }
    }

    /// Talks to another worker by these lanes from now on.  What is in the lanes to the one that had its number
    /// was sent to a worker that is lost.
    pub(crate) fn meet(&mut self, peer: Peer<I::Frame>, counters: &mut Counters) {
        self.drain_parcels(counters);
        let place = peer.id.index();
        let places = self.peers.len().max(place + 1);
        self.peers.resize_with(places, || None);
        let Some(entry) = self.peers.get_mut(place) else { return };
        if let Some(lost) = entry.replace(peer) {
            lost.leave(&mut self.io, |charge| {
                counters.count_handed_over(charge, Fate::Refused(DropReason::WorkerRing));
            });
        }
    }

    /// Takes over which worker sends on which link.  A queue of another one's link does not come any more, when
    /// the worker that had it was lost: nothing waits for it.
    pub(crate) fn adopt(&mut self, snapshot: &Snapshot, counters: &mut Counters) {
        self.owners = (0u16..)
            .take(snapshot.link_slots())
            .map(|link| snapshot.link(LinkId(link)).map_or(self.me, |conf| conf.worker))
            .collect();
        let Self { io, arriving, kept, owners, me, .. } = self;
        arriving.retain(|link| owners.get(link.index()) == Some(me));
        for parcel in kept.extract_if(.., |parcel| !arriving.contains(&parcel.link)) {
            counters.count_handed_over(parcel.charge(), Fate::Refused(DropReason::WorkerRing));
            io.free(parcel.frame);
        }
    }

    /// Tells all other workers what this one learned.
    pub(crate) fn announce(&mut self, announcement: Announcement) {
        self.peers.iter_mut().flatten().for_each(|peer| peer.announce(announcement));
    }

    /// Calls `hear` for what other workers announced.
    #[inline]
    pub(crate) fn drain_announcements(&mut self, mut hear: impl FnMut(Announcement)) {
        self.peers.iter_mut().flatten().for_each(|peer| peer.hear(&mut hear));
    }

    /// True when every other worker can take a batch over.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.peers.iter().flatten().all(Peer::has_room)
    }

    /// Takes in the frames that come home, sends those that other workers handed over, and counts their fates;
    /// says whether there were any to send.
    pub(crate) fn drain_parcels(&mut self, counters: &mut Counters) -> bool {
        let Self { io, peers, arriving, kept, .. } = self;
        let mut any = false;
        for peer in peers.iter_mut().flatten() {
            peer.bring_home(io);
            any |= peer.receive(io, |io, Delivery { link, charge, frame }| {
                let fate = match frame {
                    Ok(frame) if awaits(arriving, io, link) => keep(kept, io, link, frame, charge),
                    Ok(frame) => io.send(link, frame, charge),
                    Err(reason) => Fate::Refused(reason),
                };
                counters.count_handed_over(charge, fate);
            });
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
            let charge = parcel.charge();
            counters.count_handed_over(charge, self.io.send(link, parcel.frame, charge));
        }
    }

    #[inline]
    fn hand_over(&mut self, link: LinkId, frame: I::Frame, charge: Charge) -> Fate {
        if awaits(&self.arriving, &self.io, link) {
            return keep(&mut self.kept, &mut self.io, link, frame, charge);
        }
        let owner = self.owners.get(link.index()).map_or(usize::MAX, |owner| owner.index());
        if let Some(Some(peer)) = self.peers.get_mut(owner) {
            return peer.send(&mut self.io, link, frame, charge);
        }
        self.io.free(frame);
        Fate::Refused(DropReason::TxRing)
    }
}

/// Whether frames for a link are to wait for its queue.
#[inline]
fn awaits(arriving: &[LinkId], io: &impl FrameIo, link: LinkId) -> bool {
    !arriving.is_empty() && arriving.contains(&link) && !io.has_link(link)
}

/// Keeps a frame for a queue that is on its way; whoever sends it counts it.
#[cold]
fn keep<I: FrameIo>(
    kept: &mut Vec<Parcel<I::Frame>>,
    io: &mut I,
    link: LinkId,
    frame: I::Frame,
    charge: Charge,
) -> Fate {
    if kept.len() >= KEPT_MAX {
        io.free(frame);
        return Fate::Refused(DropReason::WorkerRing);
    }
    kept.push(Parcel::new(link, frame, charge));
    Fate::HandedOver
}

impl<I: FrameIo> Drop for Exchange<I> {
    /// Gives all frames back, so that the memory is whole when the last worker is gone.
    fn drop(&mut self) {
        let Self { io, peers, kept, .. } = self;
        kept.drain(..).for_each(|parcel| io.free(parcel.frame));
        peers.drain(..).flatten().for_each(|peer| peer.leave(io, |_| ()));
    }
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
        if !self.peers.is_empty() {
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
        if self.peers.is_empty() {
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
        // Others need not wait for our system calls.
        self.peers.iter_mut().flatten().for_each(Peer::flush);
        self.io.flush();
    }

    fn wait(&mut self, timeout: Duration) {
        self.sleeping.store(true, Ordering::Relaxed);
        // Partner: the fence in `Peer::flush`, between what it publishes and its look at the flag.
        fence(Ordering::SeqCst);
        if !self.peers.iter().flatten().any(Peer::has_mail) {
            self.io.wait(timeout);
        }
        // Relaxed: who sees this late wakes a worker that is awake.
        self.sleeping.store(false, Ordering::Relaxed);
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<Self::Frame> {
        self.io.copy_from(bytes)
    }

    fn free(&mut self, frame: Self::Frame) {
        self.io.free(frame);
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
