//! The unit of work: up to [`BATCH_MAX`] frames that go through the stages together.

use crate::mcast::ListId;
use crate::{DropReason, IfaceId, LinkId, PortId, RawTag};
use weft_wire::vid::Vid;

/// Most frames in one batch.  32 keeps the metadata within L1 (32 x 48 bytes) and amortises ring
/// and config loads over enough frames to stop mattering.
pub const BATCH_MAX: usize = 32;

/// What the switch has decided for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No stage has decided yet.
    Undecided,
    /// Send out of one port.
    Forward(PortId),
    /// Send out of every port of the VLAN but the one it came in on.
    Flood,
    /// Send out of the ports of this list, but the one it came in on.
    Multicast(ListId),
    /// Hand to the control thread: a frame of a control protocol.
    Punt,
    /// Do not send.
    Drop(DropReason),
}

/// Where a frame comes in: an interface, and the port that it belongs to.  Aligned, so that both
/// numbers are written and read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(4))]
pub struct Ingress {
    /// What counts the frame, and flows match.
    pub iface: IfaceId,
    /// What bridges go by.
    pub port: PortId,
}

impl Ingress {
    /// Of an underlay packet that belongs to no tunnel, and of frames that are made here.
    pub const NONE: Self = Self { iface: IfaceId(u16::MAX), port: Self::NO_PORT };

    /// Stands for the port of an interface that is in none.
    pub const NO_PORT: PortId = PortId(u16::MAX);
}

/// What the stages know of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Source address, 48 bits.
    pub source: u64,
    /// Destination address, 48 bits.
    pub target: u64,
    /// Hash of the destination in the FDB, worked out while learning.
    pub target_hash: u64,
    /// Where the frame came in; [`Ingress::NONE`] for an underlay packet of no tunnel.
    pub ingress: Ingress,
    /// The VLAN that the outermost tag names, 0 without one; after `ingress` the VLAN that the
    /// frame belongs to.
    pub vid: Vid,
    /// Priority and drop-eligible bits of the outer tag, in the place they have in a TCI.
    pub priority: u16,
    /// TPID of the outer tag; 0 when there is none in front of the frame, be it that the frame has
    /// none or that a dot1q-tunnel port has yet to put it on.
    pub tpid: u16,
    /// TPID of the tag for the VLAN that the ingress port has put the frame in; 0 when it put it in
    /// none.
    pub given_tpid: u16,
    /// The tag inside the outer one.  Read only where it matters; otherwise it is payload.
    pub inner: RawTag,
    /// Decision so far.
    pub verdict: Verdict,
}

const _: () = assert!(size_of::<Meta>() <= 48, "a batch of them is to stay in L1");

impl Meta {
    /// Stands for the link of frames that come from a patch port, which have none.
    pub(crate) const NO_LINK: LinkId = LinkId(u16::MAX);

    /// A frame of which nothing is known but where it came in.
    #[must_use]
    pub const fn new(ingress: Ingress) -> Self {
        Self {
            source: 0,
            target: 0,
            target_hash: 0,
            ingress,
            vid: Vid::UNTAGGED,
            priority: 0,
            tpid: 0,
            given_tpid: 0,
            inner: RawTag::NONE,
            verdict: Verdict::Undecided,
        }
    }

    /// A frame that is dropped before anything is known of it.
    #[must_use]
    pub const fn dropped(ingress: Ingress, reason: DropReason) -> Self {
        Self { verdict: Verdict::Drop(reason), ..Self::new(ingress) }
    }
}

/// A batch of frames in flight through one worker, with what is known of each.
#[derive(Debug)]
pub struct Batch<F> {
    /// The frames; I/O back ends push to this.
    pub frames: Vec<F>,
    /// One for each frame, from the `parse` stage on.
    pub metas: Vec<Meta>,
}

impl<F> Default for Batch<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F> Batch<F> {
    /// An empty batch.  The only allocation: a worker makes one and reuses it.
    #[must_use]
    pub fn new() -> Self {
        Self { frames: Vec::with_capacity(BATCH_MAX), metas: Vec::with_capacity(BATCH_MAX) }
    }

    /// An empty batch that holds no memory, to stand in for one that is in use elsewhere.
    #[must_use]
    pub(crate) const fn stand_in() -> Self {
        Self { frames: Vec::new(), metas: Vec::new() }
    }

    /// Neighbouring frames with one ingress port, port by port: what depends on the port alone is
    /// looked up once for each.
    pub fn runs(&mut self) -> impl Iterator<Item = (PortId, &mut [Meta])> {
        self.metas
            .chunk_by_mut(|a, b| a.ingress.port == b.ingress.port)
            .filter_map(|run| Some((run.first()?.ingress.port, run)))
    }
}

/// The frames of a run that no stage has decided yet.
pub(crate) fn undecided(run: &mut [Meta]) -> impl Iterator<Item = &mut Meta> {
    run.iter_mut().filter(|meta| meta.verdict == Verdict::Undecided)
}
