//! What one worker has with another: frames that cross, frames that go home, and what was learned.
//!
//! # Frames
//!
//! A frame whose way out is another worker's goes there as it is: it leaves one back end ([`FrameIo::part_with`]) and
//! enters the other ([`FrameIo::adopt`]).  Nothing is copied and nobody waits.  So that no worker runs out of
//! frames, each keeps an account: who has more of the other's frames than the other of its own pays the difference
//! back, in batches, with empty frames.  Where both send as much as they get, none go home.
//!
//! A worker that was replaced may have other memory, and cannot adopt.  It copies the frame, and sends it home.
//!
//! # Sleeping
//!
//! A worker about to sleep sets its `sleeping` flag, looks once more at its lanes, then polls.  Whoever sends it
//! something publishes first and looks at the flag after.  Both have a sequentially consistent fence between the
//! two, so at least one of them sees the other: either the sleeper finds the frame, or the sender finds the flag
//! and writes the eventfd.
//!
//! # Leaving
//!
//! A worker that ends, or that hears of a new one in a peer's place, leaves the old lanes.  Who leaves first puts
//! the ends where frames come out into a place that both know; who leaves second takes in what is in all lanes.  So no frame is
//! lost with a lane, whoever ends when.

use crate::Waker;
use crate::lane::{Entry, Exit, lane};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use weft_switch::{
    Announcement, BATCH_MAX, Charge, DropReason, Fate, FrameBuf, FrameIo, IfaceId, LinkId, WorkerId,
};

/// Frames under way from one worker to another, at most.
const PARCELS_MAX: usize = 512;

/// Frames on their way home, at most.  All parcels of a worker that sleeps can be sent back to it.
const HOMING_MAX: usize = PARCELS_MAX;

/// So many frames may be owed by a worker that has none to pay with.  Beyond that it drops what it is handed.
const OWED_MAX: isize = 256;

/// Debts are paid from this many frames on.
const PAID_MIN: isize = BATCH_MAX.cast_signed();

/// Announcements under way from one worker to another, at most.  One that is lost costs a flood.
const ANNOUNCEMENTS_MAX: usize = 4096;

/// A frame on its way to the worker that can send it.
pub(crate) struct Parcel<F> {
    pub(crate) frame: F,
    /// Of the charge.
    bytes: u32,
    iface: IfaceId,
    pub(crate) link: LinkId,
}

impl<F> Parcel<F> {
    pub(crate) fn new(link: LinkId, frame: F, Charge { iface, bytes }: Charge) -> Self {
        // No frame is that long.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { frame, bytes, iface, link }
    }

    pub(crate) fn charge(&self) -> Charge {
        Charge { iface: self.iface, bytes: u64::from(self.bytes) }
    }
}

/// The ends of lanes that a worker has left.
struct Exits<F> {
    parcels: Exit<Parcel<F>>,
    home: Exit<F>,
}

/// The lanes to and from another worker: what a worker that is told of another needs.
pub struct Peer<F> {
    pub(crate) id: WorkerId,
    outbound: Entry<Parcel<F>>,
    inbound: Exit<Parcel<F>>,
    /// Our frames come home here.
    home: Exit<F>,
    account: Account<F>,
    announced: Producer<Announcement>,
    heard: Consumer<Announcement>,
    /// Something was announced since it was last looked whether it sleeps.
    has_announced: bool,
    /// Set while it sleeps.
    sleeping: Arc<AtomicBool>,
    waker: Waker,
    /// Of the one who left first.
    left: Arc<Mutex<Option<Exits<F>>>>,
}

/// One of two workers that meet.
pub(crate) struct Side {
    pub(crate) id: WorkerId,
    /// Set while it sleeps.
    pub(crate) sleeping: Arc<AtomicBool>,
    pub(crate) waker: Waker,
}

/// The lanes between two workers: what the first is to know of the second, and the other way round.
pub(crate) fn connect<F>(first: Side, second: Side) -> (Peer<F>, Peer<F>) {
    let (to_second, from_first) = lane(PARCELS_MAX);
    let (to_first, from_second) = lane(PARCELS_MAX);
    let (home_to_second, home_from_first) = lane(HOMING_MAX);
    let (home_to_first, home_from_second) = lane(HOMING_MAX);
    let (tell_second, hear_first) = RingBuffer::new(ANNOUNCEMENTS_MAX);
    let (tell_first, hear_second) = RingBuffer::new(ANNOUNCEMENTS_MAX);
    let left = Arc::default();
    let peer = |side: Side, outbound, inbound, home, homing, announced, heard| Peer {
        id: side.id,
        outbound,
        inbound,
        home,
        account: Account { homing, owed: 0, is_poor: false, copies: false },
        announced,
        heard,
        has_announced: false,
        sleeping: side.sleeping,
        waker: side.waker,
        left: Arc::clone(&left),
    };
    (
        peer(
            second,
            to_second,
            from_second,
            home_from_second,
            home_to_second,
            tell_second,
            hear_second,
        ),
        peer(first, to_first, from_first, home_from_first, home_to_first, tell_first, hear_first),
    )
}

impl<F: FrameBuf> Peer<F> {
    /// Whether it can take a batch over.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.outbound.has_room(BATCH_MAX)
    }

    /// Hands a frame over, or frees it.
    #[inline]
    pub(crate) fn send<I>(&mut self, io: &mut I, link: LinkId, frame: F, charge: Charge) -> Fate
    where
        I: FrameIo<Frame = F>,
    {
        if !self.outbound.has_room(1) {
            io.free(frame);
            return Fate::Refused(DropReason::WorkerRing);
        }
        io.part_with(&frame);
        self.account.owed -= 1;
        // There is a place.
        let _ = self.outbound.put(Parcel::new(link, frame, charge));
        Fate::HandedOver
    }

    /// Takes in the frames that come home.
    #[inline]
    pub(crate) fn bring_home<I: FrameIo<Frame = F>>(&mut self, io: &mut I) {
        let count = self.home.slots();
        if count == 0 {
            return;
        }
        let Ok(frames) = self.home.read_chunk(count) else { return };
        for frame in frames {
            self.account.owed += 1;
            take_back(io, frame);
        }
    }

    /// Calls `deliver` for each frame that was handed over by now, or why it was freed; says whether there were
    /// any.
    pub(crate) fn receive<I>(
        &mut self,
        io: &mut I,
        mut deliver: impl FnMut(&mut I, Delivery<F>),
    ) -> bool
    where
        I: FrameIo<Frame = F>,
    {
        let Self { inbound, account, .. } = self;
        // Those that come meanwhile wait: a round ends however fast the other is.
        let mut waiting = inbound.slots();
        let any = waiting > 0;
        while waiting > 0 {
            account.pay(io);
            let count = waiting.min(BATCH_MAX);
            if account.copies && !account.homing.has_room(count) {
                break;
            }
            waiting -= count;
            let Ok(parcels) = inbound.read_chunk(count) else { break };
            for parcel in parcels {
                let (link, charge) = (parcel.link, parcel.charge());
                let frame = account.accept(io, parcel.frame);
                deliver(io, Delivery { link, charge, frame });
            }
        }
        account.pay(io);
        account.homing.publish();
        any
    }

    /// Tells it what was learned.
    pub(crate) fn announce(&mut self, announcement: Announcement) {
        // A full ring loses it; the next frame of that station floods once.
        let _ = self.announced.push(announcement);
        self.has_announced = true;
    }

    /// Calls `hear` for what it announced.
    #[inline]
    pub(crate) fn hear(&mut self, mut hear: impl FnMut(Announcement)) {
        while let Ok(announcement) = self.heard.pop() {
            hear(announcement);
        }
    }

    /// Whether anything came from it.
    pub(crate) fn has_mail(&self) -> bool {
        !self.inbound.is_empty() || !self.heard.is_empty()
    }

    /// Lets it see what was sent, and wakes it when it sleeps.
    #[inline]
    pub(crate) fn flush(&mut self) {
        let has_sent = self.outbound.publish();
        if !has_sent && !std::mem::take(&mut self.has_announced) {
            return;
        }
        // Partner: the fence in `Exchange::wait`, between its store and its look at the lanes.
        fence(Ordering::SeqCst);
        // One call wakes it, whoever makes it.  Relaxed: the fences order this.
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// Leaves the lanes.  Who leaves second takes in what is in them, and calls `lost` for each frame that was to
    /// be sent.
    pub(crate) fn leave<I>(self, io: &mut I, mut lost: impl FnMut(Charge))
    where
        I: FrameIo<Frame = F>,
    {
        for parcel in self.outbound.into_staged() {
            lost(parcel.charge());
            take_back(io, parcel.frame);
        }
        self.account.homing.into_staged().into_iter().for_each(|frame| take_back(io, frame));
        let ours = Exits { parcels: self.inbound, home: self.home };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(theirs) = left.take() else {
            *left = Some(ours);
            return;
        };
        for Exits { mut parcels, mut home } in [ours, theirs] {
            while let Ok(parcel) = parcels.pop() {
                lost(parcel.charge());
                take_back(io, parcel.frame);
            }
            while let Ok(frame) = home.pop() {
                take_back(io, frame);
            }
        }
    }
}

/// A frame from another worker.
pub(crate) struct Delivery<F> {
    pub(crate) link: LinkId,
    pub(crate) charge: Charge,
    /// One of this worker's, or why there is none.
    pub(crate) frame: Result<F, DropReason>,
}

/// What a worker has of another's frames.
struct Account<F> {
    /// The way home for them.
    homing: Entry<F>,
    /// Frames of the other that are here, less those of ours that are there.
    owed: isize,
    /// Too many are owed, and there is nothing to pay with.
    is_poor: bool,
    /// The other has memory that this worker does not share.
    copies: bool,
}

impl<F: FrameBuf> Account<F> {
    /// Makes a frame this worker's.
    #[inline]
    fn accept<I: FrameIo<Frame = F>>(&mut self, io: &mut I, frame: F) -> Result<F, DropReason> {
        if !io.adopt(&frame) {
            return self.copy(io, frame);
        }
        self.owed += 1;
        if self.is_poor {
            io.free(frame);
            return Err(DropReason::NoBuffer);
        }
        Ok(frame)
    }

    /// The same with a frame of other memory.
    #[cold]
    fn copy<I: FrameIo<Frame = F>>(&mut self, io: &mut I, frame: F) -> Result<F, DropReason> {
        self.copies = true;
        let copy = io.copy_from(frame.bytes());
        // There is a place: `receive` saw to it, and at the first one the lane is empty.
        let _ = self.homing.put(frame);
        copy.ok_or(DropReason::NoBuffer)
    }

    /// Pays debts back, as far as there are frames to pay with and the other takes them.
    #[inline]
    fn pay<I: FrameIo<Frame = F>>(&mut self, io: &mut I) {
        if self.owed < PAID_MIN {
            self.is_poor = false;
            return;
        }
        while self.owed > 0 && self.homing.has_room(1) {
            let Some(frame) = io.copy_from(&[]) else { break };
            io.part_with(&frame);
            self.owed -= 1;
            let _ = self.homing.put(frame);
        }
        self.is_poor = self.owed > OWED_MAX;
    }
}

/// A frame of ours comes back.  One of other memory is lost with its worker.
#[inline]
fn take_back<I: FrameIo>(io: &mut I, frame: I::Frame) {
    if io.adopt(&frame) {
        io.free(frame);
    }
}
