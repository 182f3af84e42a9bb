//! One `AF_XDP` socket: one queue of one interface, with its four rings.

mod receive;
mod transmit;

use super::abi::Descriptor;
use super::config::{Mode, OpenError, XskConfig};
use super::join::Joiner;
use super::ring::{Consumer, MappedRing, Producer};
use super::rings::{Rings, Socket};
use super::superframes::Superframes;
use super::umem::{Chunk, ChunkPool, ClosedFlag, LARGE_MTU_MAX, Luggage, RegionHandle};
use super::watch::QueueWatch;
use crate::open::{self, BoundXsk};
use crate::stats::{Gate, QueueStats, SharedStats};
use receive::Gathered;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

type Fill = Producer<MappedRing<u64>>;
type Completion = Consumer<MappedRing<u64>>;
type Rx = Consumer<MappedRing<Descriptor>>;
type Tx = Producer<MappedRing<Descriptor>>;

/// An open socket.  Made by the control thread, then moved to the worker; its rings are unmapped
/// and it is closed on drop, which may block.
pub struct XskQueue {
    // Fields are dropped in this order: rings before the socket, since a mapping keeps it alive.
    rx: Rx,
    tx: Tx,
    fill: Fill,
    completion: Completion,
    socket: Arc<Socket>,
    region: RegionHandle,
    mode: Mode,
    name: Arc<str>,
    ifindex: u32,
    queue_id: u32,
    tx_budget: u32,
    /// The number that the pool gave it; none before it is in service.
    slot: Option<u16>,
    /// What the kernel has of it, on its way from one worker to another.
    luggage: Option<Luggage>,
    retired: bool,
    fill_target: u32,
    /// Chunks lent for receiving and not come back.
    receiving: u32,
    /// Frames handed over for sending and not come back.
    sending: u32,
    /// The last try to send was refused for good: the link is down.
    stalled: bool,
    /// Bound for frames in several chunks.
    multi_buffer: bool,
    gathered: Gathered,
    /// Where they may come.
    pub(in crate::xsk) superframes: Option<Box<Superframes>>,
    /// For TCP segments that may go as super-frames.
    pub(in crate::xsk) joiner: Option<Box<Joiner>>,
    pub(in crate::xsk) stats: QueueStats,
    /// Frames moved when the counters were last published.
    published: u64,
    shared: Arc<SharedStats>,
    gate: Arc<Gate>,
}

impl std::fmt::Debug for XskQueue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "XskQueue({} queue {}, {:?})", self.name, self.queue_id, self.mode)
    }
}

impl XskQueue {
    /// Opens and binds a socket.  May block for about a second when the queue is busy.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]: each says its cause and what to do.
    pub fn open(config: &XskConfig<'_>) -> Result<Self, OpenError> {
        let (bound, rings) = open::xsk(config)?;
        Ok(Self::over(config, bound, rings))
    }

    /// A socket that somebody else has opened with this configuration; its rings are mapped anew.
    ///
    /// # Errors
    ///
    /// [`OpenError::Kernel`]: kernels of 6.1 map no ring of a bound socket.
    pub fn adopt(config: &XskConfig<'_>, bound: BoundXsk) -> Result<Self, OpenError> {
        let rings = config.map_rings(bound.fd.as_fd())?;
        Ok(Self::over(config, bound, rings))
    }

    fn over(config: &XskConfig<'_>, bound: BoundXsk, rings: Rings) -> Self {
        let BoundXsk { fd, mode, tx_budget, takes_superframes, packet_socket } = bound;
        Self {
            rx: Consumer::new(rings.rx),
            tx: Producer::new(rings.tx),
            fill: Producer::new(rings.fill),
            completion: Consumer::new(rings.completion),
            socket: Arc::new(Socket { fd, closed: ClosedFlag::default() }),
            region: config.region,
            mode,
            name: config.ifname.into(),
            ifindex: config.ifindex,
            queue_id: config.queue_id,
            tx_budget,
            slot: None,
            luggage: None,
            retired: false,
            fill_target: 0,
            receiving: 0,
            sending: 0,
            stalled: false,
            multi_buffer: config.needs_multi_buffer(),
            gathered: Gathered::Nothing,
            superframes: takes_superframes.then(|| Box::new(Superframes::new(config.mtu))),
            joiner: packet_socket.map(|socket| Box::new(Joiner::new(socket))),
            stats: QueueStats::default(),
            published: 0,
            shared: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// The socket, to be put into the XSKMAP of the interface's program.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd.as_fd()
    }

    /// How it exchanges frames with the driver.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The largest link MTU whose frames it takes.
    #[must_use]
    pub fn mtu_max(&self) -> u32 {
        if self.multi_buffer { LARGE_MTU_MAX } else { self.region.mtu_max() }
    }

    /// Name of the interface when it was opened.
    #[must_use]
    pub fn ifname(&self) -> &str {
        &self.name
    }

    /// Index of the interface.
    #[must_use]
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Number of the interface's queue.
    #[must_use]
    pub const fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// Descriptors that one system call sends in copy mode: 32 on kernels that cannot be told.
    #[must_use]
    pub const fn tx_budget(&self) -> u32 {
        self.tx_budget
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> QueueStats {
        self.stats
    }

    /// The kernel's own counters (`XDP_STATISTICS`).
    ///
    /// # Errors
    ///
    /// What `getsockopt` says.
    pub fn kernel_stats(&self) -> io::Result<libc::xdp_statistics> {
        self.socket.statistics()
    }

    /// A way to read the counters while a worker has the queue.
    #[must_use]
    pub fn watch(&self) -> QueueWatch {
        QueueWatch {
            socket: Arc::downgrade(&self.socket),
            packet_socket: Weak::new(),
            shared: Arc::clone(&self.shared),
            gate: Arc::clone(&self.gate),
        }
    }

    /// Chunks with the kernel: in the fill ring; between there and the RX ring; in the TX ring;
    /// between there and the completion ring.
    pub fn outstanding(&mut self) -> [u32; 4] {
        let (fill, tx) = (self.fill.pending(), self.tx.pending());
        [fill, self.receiving.saturating_sub(fill), tx, self.sending.saturating_sub(tx)]
    }

    /// Whether it may be taken into service with the chunks of `pool`.
    pub(crate) fn enter(&mut self, pool: &mut ChunkPool) -> bool {
        if self.retired || self.slot.is_some() || !self.region.same(pool.region()) {
            return false;
        }
        self.slot = pool.enrol(self.socket.closed.watch(), self.mode == Mode::ZeroCopy);
        if let (Some(slot), Some(luggage)) = (self.slot, &self.luggage) {
            pool.adopt_slot(slot, luggage);
            for chunk in self.waiting() {
                pool.adopt(chunk);
            }
            self.luggage = None;
        }
        self.slot.is_some()
    }

    /// Takes it out of service for another worker of the same region, with all that is on its rings.
    pub(crate) fn depart(&mut self, pool: &mut ChunkPool) {
        self.flush(pool);
        for chunk in self.waiting() {
            pool.part_with(chunk);
        }
        self.luggage = self.slot.take().map(|slot| pool.part_with_slot(slot));
    }

    /// Received frames that wait for a batch, or for the rest of them.
    fn waiting(&self) -> impl Iterator<Item = &Chunk> {
        let start = match &self.gathered {
            Gathered::Start(chunk) => Some(chunk),
            Gathered::Nothing | Gathered::Skip => None,
        };
        let cut = self.superframes.iter().flat_map(|some| some.waiting());
        start.into_iter().chain(cut)
    }

    /// Takes it out of service.
    pub(crate) fn leave(&mut self, pool: &mut ChunkPool) {
        self.retired = true;
        if let Gathered::Start(frame) = std::mem::take(&mut self.gathered) {
            pool.free(frame);
        }
        if let Some(superframes) = &mut self.superframes {
            superframes.free(pool);
        }
        self.free_held(pool);
        if let Some(slot) = self.slot.take() {
            pool.retire(slot);
        }
    }

    /// Shows the counters to those who have a [`QueueWatch`].
    pub(crate) fn publish(&mut self) {
        self.stats.bad_indices = self.rx.bad_indices()
            + self.tx.bad_indices()
            + self.fill.bad_indices()
            + self.completion.bad_indices();
        self.shared.publish(&self.stats);
    }

    /// True when a sleeping worker must look again soon: something is left to send, or the kernel
    /// lacks chunks to receive into.
    pub(crate) fn is_urgent(&mut self, pool: &ChunkPool) -> bool {
        let starved = self.receiving < pool.fill_base() / 2;
        let has_pending = self.superframes.as_ref().is_some_and(|some| some.pending() > 0);
        has_pending || (!self.stalled && self.tx.pending() > 0) || starved
    }

    /// Notes that poll(2) found the socket in an error state.
    pub(crate) fn note_error(&mut self) {
        self.stats.errors += 1;
    }
}
