//! Reading from and writing to a TAP or a packet socket.

use super::VNET_HEADER_BYTES;
use super::join::Joins;
use super::packet::stripped_tag;
use super::vnet::{Gso, VnetHeader};
use crate::stats::{Gate, QueueStats, SharedStats};
use crate::sys;
use crate::xsk::umem::{Chunk, ChunkPool};
use crate::xsk::watch::QueueWatch;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};
use weft_switch::{BATCH_MAX, DropReason, FrameBuf};
use weft_wire::coalesce::Piece;
use weft_wire::segment::{tcp_segments, udp_segments};

/// Bytes of the largest super-frame: 64 KiB of IP packet behind Ethernet with tags.
pub(crate) const SUPERFRAME_BYTES_MAX: usize = 65_536 + 64;

/// Segments of one super-frame, at most: 64 KiB at the smallest MSS that Linux uses (48) less some.
pub(crate) const CUT_SEGMENTS_MAX: usize = 1408;

/// What the descriptor of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Tap,
    /// Tags that the kernel took off come beside the frame.
    PacketSocket,
}

/// The frames of a TAP or of a packet socket.  Made by [`crate::Tap::queue`] or [`super::packet_queue`],
/// moved to a worker.
#[derive(Debug)]
pub struct StackQueue {
    fd: Arc<OwnedFd>,
    source: Source,
    name: Arc<str>,
    /// Segments that did not fit the batch.
    pending: VecDeque<Chunk>,
    /// Segments that wait for more of their flow.
    joins: Joins,
    stats: QueueStats,
    published: QueueStats,
    /// The kernel said that the device is down, since the last flush.
    is_down: bool,
    shared: Arc<SharedStats>,
    gate: Arc<Gate>,
}

/// What one read gave.
enum Got {
    Frame(Chunk),
    /// Segments were put into `pending`, or the frame was dropped and counted.
    Other,
    /// Nothing more to read.
    Nothing,
}

impl StackQueue {
    /// The queue of a TAP.
    pub(crate) fn of_tap(fd: Arc<OwnedFd>, name: &str) -> Self {
        Self::new(fd, Source::Tap, name)
    }

    /// The queue of a packet socket, which is bound, has an offload header and does not block.
    #[must_use]
    pub fn of_packet_socket(fd: OwnedFd, name: &str) -> Self {
        Self::new(Arc::new(fd), Source::PacketSocket, name)
    }

    fn new(fd: Arc<OwnedFd>, source: Source, name: &str) -> Self {
        Self {
            fd,
            source,
            name: name.into(),
            pending: VecDeque::new(),
            joins: Joins::default(),
            stats: QueueStats::default(),
            published: QueueStats::default(),
            is_down: false,
            shared: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// Whether it stands in for the `AF_XDP` queues of its link.
    #[must_use]
    pub fn is_stand_in(&self) -> bool {
        self.source == Source::PacketSocket
    }

    /// The name that the TAP was opened by, or the interface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> QueueStats {
        self.stats
    }

    /// A way to read the counters while a worker has the queue.
    #[must_use]
    pub fn watch(&self) -> QueueWatch {
        let packet_socket = match self.source {
            Source::Tap => Weak::new(),
            Source::PacketSocket => Arc::downgrade(&self.fd),
        };
        QueueWatch::of_stack(packet_socket, Arc::clone(&self.shared), Arc::clone(&self.gate))
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Moves up to [`BATCH_MAX`] frames to the end of `frames`; `scratch` has room for a super-frame.
    pub(crate) fn rx(&mut self, pool: &mut ChunkPool, scratch: &mut [u8], frames: &mut Vec<Chunk>) {
        let is_stand_in = self.is_stand_in();
        if is_stand_in {
            if self.gate.is_held() {
                return;
            }
            self.gate.set_reading(true);
        }
        let before = frames.len();
        // Frames that are dropped count too: a call ends whatever comes in.
        for _ in 0..BATCH_MAX {
            if let Some(chunk) = self.pending.pop_front() {
                frames.push(chunk);
                continue;
            }
            match self.read(pool, scratch) {
                Got::Frame(chunk) => frames.push(chunk),
                Got::Other => frames.extend(self.pending.pop_front()),
                Got::Nothing => break,
            }
        }
        self.stats.rx_frames += (frames.len() - before) as u64;
        if is_stand_in && frames.len() == before {
            self.gate.set_reading(false);
        }
    }

    fn read(&mut self, pool: &mut ChunkPool, scratch: &mut [u8]) -> Got {
        let Some(mut chunk) = pool.take() else {
            self.stats.no_chunk += 1;
            return Got::Nothing;
        };
        // A frame that fits the chunk goes straight there; what a super-frame has more goes to the
        // place in `scratch` where it belongs.
        let room = chunk.room_mut().len();
        let mut header = [0; VNET_HEADER_BYTES];
        let (front, back) = scratch.split_at_mut(room.min(scratch.len()));
        let buffers = [&mut header[..], chunk.room_mut(), back];
        let (len, tag) = match self.receive(buffers) {
            Ok((len, tag)) => (len.saturating_sub(VNET_HEADER_BYTES), tag),
            Err(error) => {
                pool.free(chunk);
                return self.no_frame(&error);
            }
        };
        let header = VnetHeader::parse(header);
        chunk.set_len(len.min(room));
        let gso = header.gso();
        if gso == Gso::None && len <= room {
            return self.finish(pool, chunk, header, tag);
        }
        if let Some(start) = front.get_mut(..chunk.bytes().len()) {
            start.copy_from_slice(chunk.bytes());
        }
        pool.free(chunk);
        let superframe = scratch.get(..len).unwrap_or_default();
        if gso == Gso::None {
            let Some(large) = pool.copy_from(superframe) else {
                self.stats.rx_invalid += 1;
                return Got::Other;
            };
            return self.finish(pool, large, header, tag);
        }
        self.segment(pool, superframe, header, gso, tag);
        Got::Other
    }

    /// Notes why a read gave nothing.
    fn no_frame(&mut self, error: &io::Error) -> Got {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => return Got::Nothing,
            // A packet socket throws away a super-frame that its header has no word for.
            Some(libc::EINVAL) if self.source == Source::PacketSocket => {
                self.stats.rx_gso_refused += 1;
                return Got::Other;
            }
            _ => self.stats.errors += 1,
        }
        Got::Nothing
    }

    /// One frame with its offload header, and the VLAN tag that belongs into it.
    fn receive(&self, buffers: [&mut [u8]; 3]) -> io::Result<(usize, Option<[u8; 4]>)> {
        match self.source {
            Source::Tap => Ok((sys::read_into(self.raw_fd(), buffers)?, None)),
            Source::PacketSocket => {
                let mut control = sys::Control::new();
                let len = sys::receive_into(self.raw_fd(), buffers, &mut control)?;
                Ok((len, stripped_tag(control.bytes())))
            }
        }
    }

    /// An ordinary frame: its checksum may be missing.
    fn finish(
        &mut self,
        pool: &mut ChunkPool,
        mut chunk: Chunk,
        header: VnetHeader,
        tag: Option<[u8; 4]>,
    ) -> Got {
        if chunk.bytes().len() < 14 {
            self.stats.rx_invalid += 1;
            pool.free(chunk);
            return Got::Other;
        }
        if let Some(completed) = header.complete_checksum(chunk.bytes_mut())
            && put_back(&mut chunk, tag)
        {
            self.stats.rx_checksums += u64::from(completed);
            return Got::Frame(chunk);
        }
        self.stats.rx_invalid += 1;
        pool.free(chunk);
        Got::Other
    }

    /// A super-frame: cuts it into chunks, which wait in `pending`.
    fn segment(
        &mut self,
        pool: &mut ChunkPool,
        superframe: &[u8],
        header: VnetHeader,
        gso: Gso,
        tag: Option<[u8; 4]>,
    ) {
        let segments = match gso {
            Gso::Tcp => tcp_segments(superframe, header.gso_size),
            Gso::Udp => udp_segments(superframe, header.gso_size),
            Gso::None | Gso::Other => {
                self.stats.rx_gso_refused += 1;
                return;
            }
        };
        let Ok(segments) = segments else {
            self.stats.rx_gso_refused += 1;
            return;
        };
        if segments.len() > CUT_SEGMENTS_MAX - self.pending.len() {
            self.stats.rx_gso_refused += 1;
            return;
        }
        self.stats.rx_superframes += 1;
        // The first super-frame makes room for all that follow: most TAPs never see one.
        self.pending.reserve(CUT_SEGMENTS_MAX - self.pending.len());
        for segment in segments {
            let Some(mut chunk) = pool.take_for(segment.len_bytes()) else {
                self.stats.no_chunk += 1;
                return;
            };
            let Ok(len) = segment.write_into(chunk.room_mut()) else {
                self.stats.rx_invalid += 1;
                pool.free(chunk);
                return;
            };
            chunk.set_len(len);
            if !put_back(&mut chunk, tag) {
                self.stats.rx_invalid += 1;
                pool.free(chunk);
                return;
            }
            self.stats.rx_segments += 1;
            self.pending.push_back(chunk);
        }
    }

    /// Sends a frame; false when the kernel did not take it.  TCP segments that others may follow are
    /// held back until the next flush.  A device that is down is asked once in a batch.
    pub(crate) fn tx(&mut self, pool: &mut ChunkPool, chunk: Chunk) -> bool {
        if self.is_down {
            self.stats.tx_link_down += 1;
            pool.free(chunk);
            return false;
        }
        if let Some(piece) = Piece::of(chunk.bytes()) {
            self.joins.add(piece, chunk);
            return self.send_closed(pool);
        }
        self.send_held(pool);
        // All zeros: checksums are complete, nothing to cut.
        let header = [0; VNET_HEADER_BYTES];
        let buffers = [IoSlice::new(&header), IoSlice::new(chunk.bytes())];
        let written = sys::write_from(self.fd.as_raw_fd(), &buffers);
        pool.free(chunk);
        self.note_sent(1, &written)
    }

    /// Why [`Self::tx`] said false last.
    pub(crate) const fn refusal(&self) -> DropReason {
        if self.is_down { DropReason::LinkDown } else { DropReason::TxRing }
    }

    fn note_sent(&mut self, segments: u64, written: &io::Result<usize>) -> bool {
        let before = self.stats.tx_link_down;
        let taken = self.stats.count_run(segments, written);
        self.is_down |= self.stats.tx_link_down != before;
        taken
    }

    /// Sends the runs that nothing can follow.
    fn send_closed(&mut self, pool: &mut ChunkPool) -> bool {
        let mut taken = true;
        while let Some(mut held) = self.joins.take_closed() {
            let segments = held.len() as u64;
            let written = held.write(self.fd.as_raw_fd(), pool);
            taken &= self.note_sent(segments, &written);
            self.joins.give_back(held);
        }
        taken
    }

    /// Sends all runs.
    fn send_held(&mut self, pool: &mut ChunkPool) {
        self.joins.close_all();
        self.send_closed(pool);
    }

    /// Sends what was held back, and shows the counters to those who have a [`QueueWatch`], when
    /// there is something new.
    pub(crate) fn flush(&mut self, pool: &mut ChunkPool) {
        self.send_held(pool);
        self.is_down = false;
        if self.stats != self.published {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.published = self.stats;
        self.shared.publish(&self.stats);
    }

    /// True when there are frames that poll(2) does not know of.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Segments held back, of either direction.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.joins.segments()
    }

    /// Takes it into service, with what it brings from another worker of the same region.
    pub(crate) fn enter(&mut self, pool: &mut ChunkPool) {
        for chunk in &self.pending {
            pool.adopt(chunk);
        }
    }

    /// Takes it out of service for another worker of the same region, with the segments that wait.
    pub(crate) fn depart(&mut self, pool: &mut ChunkPool) {
        self.send_held(pool);
        for chunk in &self.pending {
            pool.part_with(chunk);
        }
        self.publish();
    }

    /// Takes it out of service.
    pub(crate) fn leave(&mut self, pool: &mut ChunkPool) {
        self.send_held(pool);
        for chunk in self.pending.drain(..) {
            pool.free(chunk);
        }
        self.publish();
    }

    pub(crate) fn note_error(&mut self) {
        self.stats.errors += 1;
    }
}

/// Puts the tag behind the addresses; false when there is no room for it.
fn put_back(chunk: &mut Chunk, tag: Option<[u8; 4]>) -> bool {
    let Some(tag) = tag else { return true };
    if chunk.prepend(tag.len()).is_none() {
        return false;
    }
    let Some(head) = chunk.bytes_mut().first_chunk_mut::<16>() else { return false };
    head.copy_within(4.., 0);
    let (_, place) = head.split_at_mut(12);
    place.copy_from_slice(&tag);
    true
}
