//! One `AF_XDP` socket: one queue of one interface, with its four rings.

use super::abi::{Descriptor, XDP_PKT_CONTD};
use super::join::Joiner;
use super::open::{self, Mode, OpenError, XskConfig};
use super::ring::{Consumer, MappedRing, Producer};
use super::superframes::Superframes;
use super::umem::{Chunk, ChunkPool, LARGE_MTU_MAX, Luggage, Received, RegionHandle};
use crate::stats::{Gate, QueueStats, SharedStats};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};
use weft_switch::{BATCH_MAX, DropReason, FrameBuf};

/// The fill ring is topped up when this many chunks are missing, or a quarter of them.
const FILL_BATCH: u32 = 32;

/// System calls in a row that may ask the kernel to send without anything being sent.
const STALLED_KICKS_MAX: u32 = 3;

/// Frames that wait in the TX ring of a link that is down.
const STALLED_FRAMES_MAX: u32 = 64;

/// The shortest frame that a device takes: an Ethernet header.
const FRAME_BYTES_MIN: usize = 14;

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
    socket: Arc<open::Socket>,
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
    pub(super) superframes: Option<Box<Superframes>>,
    /// For TCP segments that may go as super-frames.
    pub(super) joiner: Option<Box<Joiner>>,
    pub(super) stats: QueueStats,
    /// Frames moved when the counters were last published.
    published: u64,
    shared: Arc<SharedStats>,
    gate: Arc<Gate>,
}

/// What is known of a frame that comes in several chunks.
#[derive(Debug, Default)]
enum Gathered {
    /// The next descriptor begins a frame.
    #[default]
    Nothing,
    /// Its chunks so far.
    Start(Chunk),
    /// The rest of it is dropped.
    Skip,
}

impl std::fmt::Debug for XskQueue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "XskQueue({} queue {}, {:?})", self.name, self.queue_id, self.mode)
    }
}

/// How control sees the counters of a queue that a worker has.
#[derive(Clone, Debug)]
pub struct QueueWatch {
    socket: Weak<open::Socket>,
    packet_socket: Weak<OwnedFd>,
    shared: Arc<SharedStats>,
    gate: Arc<Gate>,
}

impl QueueWatch {
    /// For a queue that is no `AF_XDP` socket: of a packet socket, or of a TAP, which has none.
    pub(crate) const fn of_stack(
        packet_socket: Weak<OwnedFd>,
        shared: Arc<SharedStats>,
        gate: Arc<Gate>,
    ) -> Self {
        Self { socket: Weak::new(), packet_socket, shared, gate }
    }

    /// What comes in from now on waits in the kernel until [`QueueWatch::release`]; what is there by now may still be
    /// read.
    pub fn hold(&self) {
        self.gate.hold();
    }

    /// What waits is read.
    pub fn release(&self) {
        self.gate.release();
    }

    /// Calls `use_it` with the `AF_XDP` socket; `None` when it is closed, or there is none.
    pub fn with_socket<T>(&self, use_it: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        self.socket.upgrade().map(|socket| use_it(socket.fd.as_fd()))
    }

    /// The inode of the packet socket, by which `/proc/net/packet` names it; `None` when it is
    /// closed, or there is none.
    #[must_use]
    pub fn packet_socket_inode(&self) -> Option<u64> {
        let fd = self.packet_socket.upgrade()?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        std::fs::metadata(path).ok().map(|file| file.ino())
    }

    /// The counters when the worker last flushed.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.shared.read()
    }

    /// The kernel's own counters; `None` when the queue is closed, or is a TAP's.
    ///
    /// # Errors
    ///
    /// What `getsockopt` says.
    #[must_use]
    pub fn kernel_stats(&self) -> Option<io::Result<libc::xdp_statistics>> {
        self.socket.upgrade().map(|socket| socket.statistics())
    }

    /// Whether frames wait in the socket for the worker, or were taken from it and not handed on yet.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        let socket = self.packet_socket.upgrade();
        let memory = socket.and_then(|fd| sys::socket_memory(fd.as_fd()).ok());
        memory.is_some_and(|(waiting, _)| waiting > 0)
            || self.with_socket(sys::is_readable).unwrap_or(false)
            || self.gate.is_reading()
    }

    /// Frames that the kernel had for the socket and had to drop, by reason: the RX ring (or the
    /// packet socket's buffer) was full, or the fill ring had no chunk for them.
    #[must_use]
    pub fn missed_frames(&self) -> [(&'static str, u64); 2] {
        let stats = self.kernel_stats().and_then(Result::ok);
        let [mut ring, buffer] =
            stats.map_or([0; 2], |stats| [stats.rx_ring_full, stats.rx_dropped]);
        if let Some(fd) = self.packet_socket.upgrade() {
            ring += sys::socket_memory(fd.as_fd()).map_or(0, |(_, drops)| u64::from(drops));
        }
        [("kernel_rx_ring", ring), ("kernel_no_buffer", buffer)]
    }
}

impl XskQueue {
    /// Opens and binds a socket.  May block for about a second when the queue is busy.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]: each says its cause and what to do.
    pub fn open(config: &XskConfig<'_>) -> Result<Self, OpenError> {
        let opened = open::open(config)?;
        Ok(Self {
            rx: Consumer::new(opened.rx),
            tx: Producer::new(opened.tx),
            fill: Producer::new(opened.fill),
            completion: Consumer::new(opened.completion),
            socket: Arc::new(opened.socket),
            region: config.region,
            mode: opened.mode,
            name: config.ifname.into(),
            ifindex: config.ifindex,
            queue_id: config.queue_id,
            tx_budget: opened.tx_budget,
            slot: None,
            luggage: None,
            retired: false,
            fill_target: 0,
            receiving: 0,
            sending: 0,
            stalled: false,
            multi_buffer: config.needs_multi_buffer(),
            gathered: Gathered::Nothing,
            superframes: opened.takes_superframes.then(|| Box::new(Superframes::new(config.mtu))),
            joiner: Joiner::new(config.ifindex, opened.mode),
            stats: QueueStats::default(),
            published: 0,
            shared: Arc::default(),
            gate: Arc::default(),
        })
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

    /// Adapts how many chunks it keeps with the kernel, after the number of sockets changed.
    pub(crate) fn share(&mut self, pool: &ChunkPool) {
        self.fill_target = pool.fair_fill(self.fill_target).min(self.fill.capacity());
    }

    /// Keeps more chunks with the kernel from now on, as far as there are some.
    #[cold]
    fn grow(&mut self, pool: &ChunkPool) {
        self.fill_target = pool.grown_fill(self.fill_target).min(self.fill.capacity());
    }

    /// Tops the fill ring up, in batches.
    pub(crate) fn top_up(&mut self, pool: &mut ChunkPool) {
        let Some(slot) = self.slot else { return };
        let missing = self.fill_target.saturating_sub(self.receiving);
        if missing >= FILL_BATCH.min(self.fill_target / 4) && missing > 0 {
            let lendable = pool.lendable(self.receiving, self.fill_target);
            self.stats.no_chunk += u64::from(lendable == 0 && self.receiving == 0);
            let count = lendable.min(self.fill.room(missing));
            for _ in 0..count {
                let Some(address) = pool.lend(slot) else { break };
                // There is room: `count` is bounded by it.
                let pushed = self.fill.push(address);
                debug_assert!(pushed, "the fill ring has room");
                self.receiving += 1;
            }
            if self.fill.unpublished() > 0 {
                self.fill.publish();
            }
        }
        if self.fill.needs_wakeup() {
            self.stats.rx_kicks += 1;
            // Would-block is the usual answer; any other shows in poll and in the statistics.
            let _ = sys::kick_rx(self.socket.fd.as_raw_fd());
        }
    }

    /// Moves up to [`BATCH_MAX`] received frames to the end of `frames`.
    pub(crate) fn rx(&mut self, pool: &mut ChunkPool, frames: &mut Vec<Chunk>) {
        let Some(slot) = self.slot else { return };
        let before = frames.len();
        if let Some(superframes) = &mut self.superframes {
            superframes.fill(frames);
        }
        // In this order: see `Gate::is_held`.
        let waiting = self.rx.available();
        let waiting = if self.gate.is_held() { 0 } else { waiting };
        let room = BATCH_MAX.saturating_sub(frames.len() - before);
        let count = waiting.min(u32::try_from(room).unwrap_or(32));
        if count > 0 {
            if self.superframes.is_some() {
                self.gate.set_reading(true);
            }
            if waiting >= self.fill_target / 2 && self.fill_target < self.fill.capacity() {
                self.grow(pool);
            }
            for _ in 0..count {
                let Some(descriptor) = self.rx.pop() else { break };
                match pool.receive(slot, descriptor.address, descriptor.len_bytes) {
                    Received::Frame(chunk) => {
                        chunk.prefetch();
                        self.receiving = self.receiving.wrapping_sub(1);
                        let goes_on = descriptor.options & XDP_PKT_CONTD != 0;
                        if let Some(superframes) = &mut self.superframes
                            && (goes_on || !superframes.lets_pass(chunk.bytes().len()))
                        {
                            superframes.take(pool, chunk, goes_on, &mut self.stats);
                        } else if !goes_on && matches!(self.gathered, Gathered::Nothing) {
                            frames.push(chunk);
                        } else {
                            frames.extend(self.gather(pool, chunk, goes_on));
                        }
                    }
                    Received::Nonsense => {
                        self.receiving = self.receiving.wrapping_sub(1);
                        self.stats.rx_bad_descriptors += 1;
                    }
                    Received::Stranger => self.stats.rx_bad_descriptors += 1,
                }
            }
            self.rx.release();
            if let Some(superframes) = &mut self.superframes {
                superframes.fill(frames);
            }
        }
        if let Some(superframes) = &self.superframes {
            self.gate.set_reading(superframes.pending() > 0);
        }
        self.stats.rx_frames += (frames.len() - before) as u64;
        self.top_up(pool);
    }

    /// Adds a chunk to the frame that comes in several, and returns the frame when it was the last.
    #[cold]
    fn gather(&mut self, pool: &mut ChunkPool, chunk: Chunk, goes_on: bool) -> Option<Chunk> {
        let mut frame = match std::mem::take(&mut self.gathered) {
            Gathered::Start(frame) => Some(frame),
            Gathered::Nothing => {
                let frame = pool.take_large();
                self.stats.no_chunk += u64::from(frame.is_none());
                frame
            }
            Gathered::Skip => None,
        };
        if let Some(large) = &mut frame
            && !large.append(chunk.bytes())
        {
            self.stats.rx_bad_descriptors += 1;
            frame.take().into_iter().for_each(|large| pool.free(large));
        }
        pool.free(chunk);
        if !goes_on {
            return frame;
        }
        self.gathered = frame.map_or(Gathered::Skip, Gathered::Start);
        None
    }

    /// Why a frame was refused just now.
    #[cold]
    pub(crate) const fn refusal(&self) -> DropReason {
        if self.stalled { DropReason::LinkDown } else { DropReason::TxRing }
    }

    /// Puts a frame on the TX ring; false when it was freed instead.
    #[inline]
    pub(super) fn tx_ring(&mut self, pool: &mut ChunkPool, chunk: Chunk) -> bool {
        let len = chunk.bytes().len();
        // The kernel never completes a descriptor that it finds invalid: the chunk would be lost.
        if len < FRAME_BYTES_MIN {
            self.stats.tx_invalid += 1;
            pool.free(chunk);
            return false;
        }
        if self.stalled && self.sending >= STALLED_FRAMES_MAX {
            self.stats.tx_link_down += 1;
            pool.free(chunk);
            return false;
        }
        if chunk.is_large() {
            return self.tx_large(pool, chunk);
        }
        if self.tx.room(1) == 0 {
            // A link that is down gets one system call per batch, not one per frame.
            if !self.stalled {
                self.flush_ring(pool);
            }
            if self.tx.room(1) == 0 {
                self.stats.tx_ring_full += 1;
                pool.free(chunk);
                return false;
            }
        }
        let Some(slot) = self.slot else {
            pool.free(chunk);
            return false;
        };
        let Some(address) = pool.send(slot, chunk) else { return false };
        let len_bytes = u32::try_from(len).unwrap_or(0);
        let pushed = self.tx.push(Descriptor { address, len_bytes, options: 0 });
        debug_assert!(pushed, "the TX ring has room");
        self.sending += 1;
        self.stats.tx_frames += 1;
        true
    }

    /// Puts a large frame on the TX ring, in as many chunks as it takes.
    #[cold]
    fn tx_large(&mut self, pool: &mut ChunkPool, frame: Chunk) -> bool {
        let sent = self.try_tx_large(pool, frame.bytes());
        pool.free(frame);
        sent
    }

    fn try_tx_large(&mut self, pool: &mut ChunkPool, bytes: &[u8]) -> bool {
        let piece_bytes = self.region.frame_bytes_max();
        let pieces = u32::try_from(bytes.len().div_ceil(piece_bytes)).unwrap_or(u32::MAX);
        if pieces > 1 && !self.multi_buffer {
            self.stats.tx_invalid += 1;
            return false;
        }
        if self.tx.room(pieces) < pieces && !self.stalled {
            self.flush_ring(pool);
        }
        if self.tx.room(pieces) < pieces {
            self.stats.tx_ring_full += 1;
            return false;
        }
        let Some(slot) = self.slot else { return false };
        if pool.free_chunks() < pieces as usize {
            self.stats.no_chunk += 1;
            return false;
        }
        let mut pieces = bytes.chunks(piece_bytes).peekable();
        while let Some(piece) = pieces.next() {
            let options = if pieces.peek().is_some() { XDP_PKT_CONTD } else { 0 };
            // There are as many free chunks as pieces, and room for as many descriptors.
            let Some(chunk) = pool.copy_from(piece) else { return false };
            let Some(address) = pool.send(slot, chunk) else { return false };
            let len_bytes = u32::try_from(piece.len()).unwrap_or(0);
            let pushed = self.tx.push(Descriptor { address, len_bytes, options });
            debug_assert!(pushed, "the TX ring has room");
            self.sending += 1;
        }
        self.stats.tx_frames += 1;
        true
    }

    /// Sends what is held back and what is in the TX ring, and takes sent frames back.
    pub(crate) fn flush(&mut self, pool: &mut ChunkPool) {
        self.send_held(pool);
        self.flush_ring(pool);
    }

    /// Sends what is in the TX ring; whether nothing is left there.
    pub(super) fn drain(&mut self, pool: &mut ChunkPool) -> bool {
        self.flush_ring(pool);
        self.tx.pending() == 0
    }

    fn flush_ring(&mut self, pool: &mut ChunkPool) {
        if self.tx.unpublished() > 0 {
            self.tx.publish();
            self.stalled = false;
        }
        if self.sending > 0 {
            // Also when nothing is new: a driver that was busy and is not asked again never sends.
            if self.tx.pending() > 0 && self.tx.needs_wakeup() {
                self.kick(pool);
            }
            self.complete(pool);
        }
        let moved = self.stats.rx_frames.wrapping_add(self.stats.tx_frames);
        if moved != self.published {
            self.published = moved;
            self.publish();
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

    /// Asks the kernel to send until the TX ring is empty or nothing moves.
    fn kick(&mut self, pool: &mut ChunkPool) {
        let mut stalled = 0;
        let mut pending = self.tx.pending();
        while pending > 0 && stalled < STALLED_KICKS_MAX {
            self.stats.tx_kicks += 1;
            match sys::kick_tx(self.socket.fd.as_raw_fd()).map_err(|error| error.raw_os_error()) {
                Ok(()) => self.stalled = false,
                Err(Some(
                    libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::ENOMEM | libc::EINTR,
                )) => self.stats.tx_retries += 1,
                // The link is down or gone: what is in the ring waits for it.
                Err(_) => {
                    self.stats.errors += 1;
                    self.stalled = true;
                    return;
                }
            }
            // A full completion ring is one reason why nothing moves.
            self.complete(pool);
            let now = self.tx.pending();
            stalled = if now < pending { 0 } else { stalled + 1 };
            pending = now;
        }
    }

    /// Takes sent frames back.
    fn complete(&mut self, pool: &mut ChunkPool) {
        let Some(slot) = self.slot else { return };
        let count = self.completion.available();
        if count == 0 {
            return;
        }
        for _ in 0..count {
            let Some(address) = self.completion.pop() else { break };
            if pool.complete(slot, address) {
                self.sending = self.sending.wrapping_sub(1);
            } else {
                self.stats.tx_bad_completions += 1;
            }
        }
        self.completion.release();
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
