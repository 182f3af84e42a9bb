//! What the switch asks of the code that owns the bytes.

use crate::{DropReason, IfaceId, LinkId};

/// Bytes in front of a received frame, at least: the largest outer header takes them.  That is Ethernet with a
/// tag, IPv6, and GRE with all options or Geneve with some.
pub const HEADROOM_BYTES: usize = 192;

/// One Ethernet frame in memory that somebody owns, with room in front of it.
///
/// A frame is a move-only value: whoever holds it may change its bytes, and must in the end hand
/// it to [`FrameIo::tx`] or [`FrameIo::free`].
pub trait FrameBuf {
    /// The frame, from its destination address on, without FCS.
    fn bytes(&self) -> &[u8];

    /// The frame, to change in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Grows the frame by `len_bytes` at its front and returns the new bytes, whose content is
    /// whatever was there.  `None`, and no change, when the headroom is shorter.
    fn prepend(&mut self, len_bytes: usize) -> Option<&mut [u8]>;

    /// Cuts `len_bytes` off the front.  False, and no change, when the frame is shorter.
    #[must_use]
    fn trim_front(&mut self, len_bytes: usize) -> bool;

    /// Cuts the end off so that `len_bytes` remain; no change when it is not longer.
    fn truncate(&mut self, len_bytes: usize);

    /// Grows the frame to `len_bytes` with zeros at its end.  False, and no change, when the
    /// tailroom is shorter; true when it is that long already.
    #[must_use]
    fn pad_to(&mut self, len_bytes: usize) -> bool;
}

/// The interface whose counters a sent frame counts in, and as how many bytes: in a tunnel, those of the
/// inner frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The interface.
    pub iface: IfaceId,
    /// Bytes of the frame.
    pub bytes: u64,
}

/// What became of a frame that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Sent,
    /// Another worker has it.  That one decides, and counts.
    HandedOver,
    /// It was freed.
    Refused(DropReason),
}

/// An open queue of a back end, made by the control thread and moved to a worker.
pub trait FrameQueue: Send {
    /// The frames that come out of it and go in.
    type Frame: FrameBuf + Send;
}

/// Frames in and out, for one worker.
///
/// A *queue* is one source of frames: one RX queue of a netdev, or one TAP.  A link may have
/// several.  Implementations: `weft_io::WorkerIo` (`AF_XDP` and TAP) and `weft_io::HeapIo` (plain
/// memory).
pub trait FrameIo {
    /// A frame of this back end.
    type Frame: FrameBuf + Send;
    /// A queue of this back end.
    type Queue: FrameQueue<Frame = Self::Frame>;

    /// Takes a queue of `link` into service.
    fn add_queue(&mut self, link: LinkId, queue: Self::Queue);

    /// Takes one queue of `link` out of service and gives it back, to be closed by the control
    /// thread (closing may block).  Frames that the kernel still holds come back with
    /// [`FrameIo::reclaim`].  `None` when the link has no more queues here.
    fn remove_queue(&mut self, link: LinkId) -> Option<Self::Queue>;

    /// Takes one queue of `link` out of service, to be given to another worker as it is: frames that wait in it
    /// are not lost, and the kernel keeps what it has.  `None` when the link has no more queues here.
    fn take_queue(&mut self, link: LinkId) -> Option<Self::Queue> {
        self.remove_queue(link)
    }

    /// Takes one queue out of service that stood in for the others of `link`, and gives it back like
    /// [`FrameIo::remove_queue`].  `None` when there is none, as in back ends that have no such
    /// thing.
    fn remove_stand_in(&mut self, _link: LinkId) -> Option<Self::Queue> {
        None
    }

    /// Takes the frames back that the kernel held for queues that [`FrameIo::remove_queue`]
    /// returned.  To be called after *all* of them were dropped.
    fn reclaim(&mut self);

    /// How many queues there are.  They are numbered from 0, and the numbers change only with
    /// `add_queue` and `remove_queue`.
    fn queue_count(&self) -> usize;

    /// Adds the numbers of the queues to `list` that may have frames now: all, where to ask is not
    /// cheaper than to look.
    fn ready(&mut self, list: &mut Vec<usize>) {
        list.extend(0..self.queue_count());
    }

    /// Moves up to [`crate::BATCH_MAX`] received frames to the end of `frames`, and says which
    /// link they came in on.  Tops the fill ring up.
    fn rx(&mut self, queue: usize, frames: &mut Vec<Self::Frame>) -> LinkId;

    /// True when this back end can send on `link` itself.
    fn has_link(&self, link: LinkId) -> bool;

    /// Queues `frame` for sending on `link`; [`FrameIo::flush`] sends it.  A frame that cannot be
    /// queued (ring full, no such link) is freed and counted: false is returned then.
    fn tx(&mut self, link: LinkId, frame: Self::Frame) -> bool;

    /// [`FrameIo::tx`] for a frame that counts in `charge`.
    #[inline]
    fn send(&mut self, link: LinkId, frame: Self::Frame, _charge: Charge) -> Fate {
        if self.tx(link, frame) { Fate::Sent } else { Fate::Refused(self.refusal()) }
    }

    /// Why [`FrameIo::tx`] said false last.
    fn refusal(&self) -> DropReason {
        DropReason::TxRing
    }

    /// Sends what [`FrameIo::tx`] queued, and takes sent frames back.
    fn flush(&mut self);

    /// Blocks until a queue may have frames, somebody wakes this worker, or the time is up.
    fn wait(&mut self, timeout: std::time::Duration);

    /// A fresh frame holding a copy of `bytes`; `None` when all are out or it does not fit.  With no bytes it is an
    /// empty frame, which another worker may get for one of its own.
    fn copy_from(&mut self, bytes: &[u8]) -> Option<Self::Frame>;

    /// The frame goes to another worker, whose back end is to [`FrameIo::adopt`] it.
    #[inline]
    fn part_with(&mut self, _frame: &Self::Frame) {}

    /// The frame comes from another worker.  False when this back end cannot send it: it is to be copied, and to go
    /// back.
    #[inline]
    fn adopt(&mut self, _frame: &Self::Frame) -> bool {
        true
    }

    /// Gives a frame back unsent.
    fn free(&mut self, frame: Self::Frame);
}
