//! The memory of the workers: a region cut into chunks that have one owner each.
//!
//! The same region is registered as UMEM with every socket, so a frame goes from any port to any port
//! without a copy, be they of different workers, and each socket keeps its own rings and flags.  Each
//! worker has a pool of its own, and chunks go from pool to pool as values.

use super::abi::XDP_PACKET_HEADROOM;
use super::fill::FillBudget;
use super::large::{LARGE_BYTES, LargeArea};
use crate::sys::{self, Mapping};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use weft_switch::{FrameBuf, HEADROOM_BYTES};

/// Bytes in front of a frame in the tags and addresses that a link MTU does not count: Ethernet and
/// two VLAN tags.
pub const LINK_HEADER_BYTES: usize = 14 + 4 + 4;

/// Bytes of the longest frame: a large buffer less the headroom.
const LARGE_FRAME_BYTES_MAX: usize = LARGE_BYTES - XDP_PACKET_HEADROOM - HEADROOM_BYTES;

/// The largest link MTU that works, with frames in several chunks and two VLAN tags.
#[expect(clippy::cast_possible_truncation, reason = "a few thousand")]
pub const LARGE_MTU_MAX: u32 = (LARGE_FRAME_BYTES_MAX - LINK_HEADER_BYTES) as u32;

/// How long the hardware of a closed zero-copy socket may still write: the kernel takes the memory
/// out of the driver in a work item after the close.
pub const QUARANTINE: Duration = Duration::from_secs(1);

/// How large the memory of a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// Bytes in one chunk, 2048 or 4096.  2048 holds the frames of a link with an MTU of up to
    /// 1578, 4096 up to 3626.
    pub chunk_bytes: usize,
    /// Chunks of each worker, a power of two from 64 to 2^20.
    pub chunks: usize,
}

impl Default for RegionConfig {
    /// 16384 chunks of 2048 bytes: 32 MiB.
    fn default() -> Self {
        Self { chunk_bytes: 2048, chunks: 16384 }
    }
}

/// One shared mapping in a memfd.  See the rules of the crate: it is never unmapped.
#[derive(Debug)]
pub struct Region {
    mapping: Mapping,
    memfd: OwnedFd,
    config: RegionConfig,
    /// Pools that it was made for.
    workers: usize,
    /// Of those, the ones that are not dropped.
    pools: AtomicUsize,
    /// Chunks that were free in pools that are dropped.
    returned: AtomicUsize,
    /// Some socket was in zero-copy mode.
    zero_copy: AtomicBool,
    /// log2 of the bytes in a chunk.
    shift: u32,
    huge_pages: bool,
    /// For frames that do not fit a chunk, once some link needs it.
    large: OnceLock<LargeArea>,
}

// SAFETY: `&Region` gives out numbers and a descriptor; the bytes are reached only through chunks,
// each of which has one owner (rule 2).
unsafe impl Sync for Region {}

/// Regions of pools that are gone, and from when on each may be used again (rules 1 and 5).
static IDLE: Mutex<Vec<(&'static Region, Instant)>> = Mutex::new(Vec::new());

/// What opening a queue needs of a worker's memory.  Freely copied, and good for any thread: it
/// gives no access to the bytes.
#[derive(Clone, Copy, Debug)]
pub struct RegionHandle(pub(crate) &'static Region);

impl Region {
    /// The memory of a new worker: a handle for those who open queues, and the chunks for the
    /// worker.  A region of the same size that a former worker left is used again.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the sizes are out of range; what `memfd_create` and `mmap` say.
    #[expect(clippy::new_ret_no_self, reason = "a region is reached through its two ends only")]
    pub fn new(config: RegionConfig) -> io::Result<(RegionHandle, ChunkPool)> {
        let (region, mut pools) = Self::for_workers(config, 1)?;
        let pool = pools.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((region, pool))
    }

    /// The same for some workers, which can hand chunks over to each other.
    ///
    /// # Errors
    ///
    /// As for [`Region::new`].
    pub fn for_workers(
        config: RegionConfig,
        workers: usize,
    ) -> io::Result<(RegionHandle, Vec<ChunkPool>)> {
        let region = match idle(config, workers) {
            Some(region) => region,
            None => Box::leak(Box::new(Self::map(config, workers)?)),
        };
        region.pools.store(workers, Ordering::Relaxed);
        region.returned.store(0, Ordering::Relaxed);
        region.zero_copy.store(false, Ordering::Relaxed);
        let pools = (0..workers).map(|worker| ChunkPool::new(region, worker)).collect();
        Ok((RegionHandle(region), pools))
    }

    fn map(config: RegionConfig, workers: usize) -> io::Result<Self> {
        let RegionConfig { chunk_bytes, chunks } = config;
        let sizes_are_right = matches!(chunk_bytes, 2048 | 4096)
            && chunks.is_power_of_two()
            && (64..=1 << 20).contains(&chunks);
        if !sizes_are_right {
            let what =
                "chunks must be 2048 or 4096 bytes, their number a power of two from 64 to 2^20";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let len_bytes = chunk_bytes * chunks * workers;
        let map = |flags| {
            let memfd = sys::memfd(c"weft-umem", flags, len_bytes)?;
            Mapping::new(memfd.as_fd(), 0, len_bytes).map(|mapping| (mapping, memfd))
        };
        // Huge pages are reserved by the mapping: when there are too few, it is refused.
        let huge = map(libc::MFD_HUGETLB);
        let huge_pages = huge.is_ok();
        let (mapping, memfd) = huge.or_else(|_| map(0))?;
        let shift = chunk_bytes.trailing_zeros();
        Ok(Self {
            mapping,
            memfd,
            config,
            workers,
            pools: AtomicUsize::new(0),
            returned: AtomicUsize::new(0),
            zero_copy: AtomicBool::new(false),
            shift,
            huge_pages,
            large: OnceLock::new(),
        })
    }

    /// Of all workers.
    const fn chunks(&self) -> usize {
        self.config.chunks * self.workers
    }

    /// A pool is gone, which had this many free chunks.  When it was the last one and no chunk is missing, the
    /// region may be used again (rule 1).
    fn leave(&'static self, free: usize) {
        // AcqRel: whoever is last sees what the others have stored.
        self.returned.fetch_add(free, Ordering::AcqRel);
        if self.pools.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let is_whole = self.returned.load(Ordering::Acquire) == self.chunks()
            && self.large.get().is_none_or(|area| area.held() == 0);
        if is_whole {
            // The quarantine is kept by the region as a whole.
            let has_hardware = self.zero_copy.load(Ordering::Acquire);
            let wait = if has_hardware { QUARANTINE } else { Duration::ZERO };
            let entry = (self, Instant::now() + wait);
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }

    /// Which chunk starts at `start`; `None` for memory that is not of this region.
    #[inline]
    fn index_of(&self, start: NonNull<u8>) -> Option<usize> {
        let offset = start.addr().get().wrapping_sub(self.mapping.start().addr().get());
        let index = offset >> self.shift;
        (index < self.chunks()).then_some(index)
    }

    /// Where a chunk starts, given that there is such a chunk.
    #[inline]
    fn start_of(&self, index: u32) -> NonNull<u8> {
        debug_assert!((index as usize) < self.chunks(), "there is no such chunk");
        let offset = (index as usize) << self.shift;
        // SAFETY: `index` comes from the free list or was checked by `ChunkPool::receive`, so this
        // is inside the mapping (rule 3), which lasts as long as the process (rule 1).
        unsafe { self.mapping.start().add(offset) }
    }
}

fn idle(config: RegionConfig, workers: usize) -> Option<&'static Region> {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let fits = |(region, from): &(&'static Region, Instant)| {
        (region.config, region.workers) == (config, workers) && *from <= now
    };
    let position = idle.iter().position(fits)?;
    Some(idle.swap_remove(position).0)
}

impl RegionHandle {
    /// The sizes it was made with.
    #[must_use]
    pub fn config(&self) -> RegionConfig {
        self.0.config
    }

    /// Whether it is in huge pages.
    #[must_use]
    pub fn huge_pages(&self) -> bool {
        self.0.huge_pages
    }

    /// The memfd behind it, which a successor process could map.
    #[must_use]
    pub fn memfd(&self) -> BorrowedFd<'_> {
        self.0.memfd.as_fd()
    }

    /// Bytes that a received frame may have: the chunk less the kernel's headroom and ours.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        self.0.config.chunk_bytes - XDP_PACKET_HEADROOM - HEADROOM_BYTES
    }

    /// The largest link MTU whose frames fit one chunk, with two VLAN tags.
    #[must_use]
    pub fn mtu_max(&self) -> u32 {
        u32::try_from(self.frame_bytes_max() - LINK_HEADER_BYTES).unwrap_or(0)
    }

    /// Lets workers have larger frames, of links with an MTU of up to [`LARGE_MTU_MAX`]: 8 MiB more for each,
    /// from then on.  A second time is no error.
    ///
    /// # Errors
    ///
    /// What `memfd_create` and `mmap` say.
    pub fn allow_large(&self) -> io::Result<()> {
        if self.0.large.get().is_none() {
            // Only the control thread comes here; were there two, the other's would be as good.
            let _ = self.0.large.set(LargeArea::map(self.0.workers)?);
        }
        Ok(())
    }

    /// Whether it is the same memory.
    #[must_use]
    pub fn same(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// The arguments of `XDP_UMEM_REG`.
    pub(crate) fn registration(self) -> libc::xdp_umem_reg {
        libc::xdp_umem_reg {
            addr: self.0.mapping.start().addr().get() as u64,
            len: self.0.mapping.len_bytes() as u64,
            chunk_size: u32::try_from(self.0.config.chunk_bytes).unwrap_or(0),
            headroom: u32::try_from(HEADROOM_BYTES).unwrap_or(0),
            flags: 0,
            tx_metadata_len: 0,
        }
    }
}

/// One frame's worth of memory, owned: the bytes of a frame, and room around them.
///
/// To be handed to `tx` or `free`.  Dropped instead, the chunk is lost until the process ends; the
/// conservation tests exist to catch that.
#[derive(Debug)]
#[must_use = "a chunk that is dropped is lost"]
pub struct Chunk {
    /// The first byte of the chunk.
    base: NonNull<u8>,
    /// Where the frame starts in it.
    start: u16,
    /// Bytes of the frame.  `start + len <= size` always.
    len: u16,
    /// Bytes of the chunk.
    size: u16,
}

const _: () = assert!(size_of::<Chunk>() == 16);

// SAFETY: a chunk is the only owner of its bytes (rule 2), which last as long as the process (rule
// 1), so it may go to another thread.
unsafe impl Send for Chunk {}
// SAFETY: `&Chunk` gives `&[u8]` only.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Bytes in front of the frame.
    #[must_use]
    pub const fn headroom_bytes(&self) -> usize {
        self.start as usize
    }

    /// Bytes behind the frame.
    #[must_use]
    pub const fn tailroom_bytes(&self) -> usize {
        self.size as usize - self.start as usize - self.len as usize
    }

    /// Makes the frame `len` bytes long, whatever they hold; shorter when there is no room.
    pub(crate) fn set_len(&mut self, len: usize) {
        let room = usize::from(self.size - self.start);
        self.len = u16::try_from(len.min(room)).unwrap_or(0);
    }

    /// Adds bytes at the frame's end; false, and no change, when there is no room.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> bool {
        let old = usize::from(self.len);
        if bytes.len() > self.tailroom_bytes() {
            return false;
        }
        self.set_len(old + bytes.len());
        if let Some(end) = self.bytes_mut().get_mut(old..) {
            end.copy_from_slice(bytes);
        }
        true
    }

    /// Whether it is no chunk of the UMEM but a large buffer, which `AF_XDP` cannot send as it is.
    #[inline]
    pub(crate) const fn is_large(&self) -> bool {
        self.size as usize == LARGE_BYTES
    }

    /// All bytes from the frame's start to the chunk's end.
    pub(crate) fn room_mut(&mut self) -> &mut [u8] {
        self.set_len(usize::from(self.size));
        self.bytes_mut()
    }

    /// Asks the processor for the frame's first bytes, which another core or the device wrote, and
    /// for the room in front of them where the outer headers of a tunnel go.
    #[inline]
    pub(crate) fn prefetch(&self) {
        /// Bytes of a cache line; most outer headers are shorter.
        const LINE_BYTES: usize = 64;
        prefetch(self.data());
        if let Some(front) = self.headroom_bytes().checked_sub(LINE_BYTES) {
            // SAFETY: `front` is inside the chunk, which is mapped for good (rule 1).
            prefetch_to_write(unsafe { self.base.add(front) });
        }
    }

    #[inline]
    fn data(&self) -> NonNull<u8> {
        // SAFETY: `start` is inside the chunk, which is mapped for good (rule 1).
        unsafe { self.base.add(self.start as usize) }
    }
}

impl FrameBuf for Chunk {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: `start + len <= size`, the chunk is mapped for good and never was uninitialised
        // (rule 1), and nobody writes to it but through `&mut self` (rule 2).
        unsafe { std::slice::from_raw_parts(self.data().as_ptr(), self.len as usize) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `&mut self` is exclusive because no other value names the
        // chunk (rule 2).
        unsafe { std::slice::from_raw_parts_mut(self.data().as_ptr(), self.len as usize) }
    }

    #[inline]
    fn prepend(&mut self, len_bytes: usize) -> Option<&mut [u8]> {
        let grown = u16::try_from(len_bytes).ok()?;
        self.start = self.start.checked_sub(grown)?;
        // Cannot overflow: `start + len` is what it was.
        self.len += grown;
        self.bytes_mut().get_mut(..len_bytes)
    }

    #[inline]
    fn trim_front(&mut self, len_bytes: usize) -> bool {
        let Ok(cut) = u16::try_from(len_bytes) else { return false };
        let Some(rest) = self.len.checked_sub(cut) else { return false };
        self.len = rest;
        self.start += cut;
        true
    }

    #[inline]
    fn truncate(&mut self, len_bytes: usize) {
        if let Ok(len) = u16::try_from(len_bytes) {
            self.len = self.len.min(len);
        }
    }

    #[inline]
    fn pad_to(&mut self, len_bytes: usize) -> bool {
        let old = usize::from(self.len);
        if len_bytes <= old {
            return true;
        }
        if len_bytes > usize::from(self.size - self.start) {
            return false;
        }
        self.set_len(len_bytes);
        if let Some(padding) = self.bytes_mut().get_mut(old..) {
            padding.fill(0);
        }
        true
    }
}

/// Asks the processor for a line of memory, without waiting for it.
#[inline]
fn prefetch(place: NonNull<u8>) {
    #[cfg(target_arch = "x86_64")]
    // JUSTIFICATION: safe Rust has no prefetch.  A worker's own time for a frame that goes from a veth
    // into a GRE tunnel was 155 ns without, 128 ns with that of the frame, 90 ns with both.
    // SAFETY: a hint; it changes nothing, and faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same for a line that is going to be written: no other core has it any more then.
#[inline]
fn prefetch_to_write(place: NonNull<u8>) {
    #[cfg(target_arch = "x86_64")]
    // JUSTIFICATION: the intrinsic makes it an ordinary prefetch where the compiler is not told that the
    // processor has this instruction; those without ignore it.  The core that received the frame has the line
    // too, being next to the frame's.  Together with `Template` not reading back what it wrote, this makes a
    // frame from a veth into a Geneve or VXLAN tunnel 1.2 % cheaper, 13 ns; alone neither does.
    // SAFETY: a hint; it changes nothing, and faults at no address.
    unsafe {
        let place = place.as_ptr();
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Who has a chunk (rule 2), in 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner(u16);

impl Owner {
    const FREE: Self = Self(0);
    const HELD: Self = Self(1);
    /// Another pool has it.
    const ELSEWHERE: Self = Self(u16::MAX);
    const fn receiving(slot: u16) -> Self {
        Self(2 + 2 * slot)
    }
    const fn sending(slot: u16) -> Self {
        Self(3 + 2 * slot)
    }
    const fn is_slot(self, slot: u16) -> bool {
        self.0 >= 2 && (self.0 - 2) / 2 == slot
    }
}

/// Sockets that can be in service or in retirement at once.
const SLOTS_MAX: u16 = 16_000;

/// The chunks that the kernel has of a socket which goes from one worker to another.
#[derive(Debug, Default)]
pub(crate) struct Luggage {
    receiving: Vec<u32>,
    sending: Vec<u32>,
}

impl Luggage {
    /// How many.
    pub(crate) const fn chunks(&self) -> usize {
        self.receiving.len() + self.sending.len()
    }
}

/// What tells the pool that a socket is closed (rule 5).
#[derive(Debug, Default)]
pub(crate) struct ClosedFlag(Arc<AtomicBool>);

impl ClosedFlag {
    /// The pool's end.
    pub(crate) fn watch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for ClosedFlag {
    fn drop(&mut self) {
        // Release: partner is the acquire in `ChunkPool::reclaim`; unmapping and closing come
        // before.
        self.0.store(true, Ordering::Release);
    }
}

#[derive(Debug)]
enum Slot {
    Vacant,
    Serving(Service),
    /// Out of service; since when its `closed` flag is known to be set.
    Retired(Service, Option<Instant>),
}

#[derive(Debug)]
struct Service {
    closed: Arc<AtomicBool>,
    zero_copy: bool,
}

/// What became of a descriptor from an RX ring.
#[derive(Debug)]
pub(crate) enum Received {
    /// A frame.
    Frame(Chunk),
    /// It names a chunk of the socket, but not bytes inside it.  The chunk is free again.
    Nonsense,
    /// It names no chunk that the socket has.
    Stranger,
}

/// Where the chunks of a pool are, counted without looking at the owner table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCount {
    /// All of them.
    pub chunks: usize,
    /// In the free list.
    pub free: usize,
    /// Out as [`Chunk`] values.
    pub held: usize,
    /// With the kernel, to be filled by some socket.
    pub receiving: usize,
    /// With the kernel, to be sent by some socket.
    pub sending: usize,
}

/// The chunks of one worker: the free list, and the table of who has the others.  The table has a place
/// for every chunk of the region, since they go from pool to pool.
#[derive(Debug)]
pub struct ChunkPool {
    region: &'static Region,
    free: Vec<u32>,
    owners: Box<[Owner]>,
    slots: Vec<Slot>,
    retired: usize,
    count: PoolCount,
    /// Chunks of another region that were given to this pool; they are lost.
    strangers: u64,
    fill: FillBudget,
}

impl ChunkPool {
    fn new(region: &'static Region, worker: usize) -> Self {
        let RegionConfig { chunks, .. } = region.config;
        let own = worker * chunks..(worker + 1) * chunks;
        let mut owners = vec![Owner::ELSEWHERE; region.chunks()];
        owners.iter_mut().skip(own.start).take(chunks).for_each(|owner| *owner = Owner::FREE);
        // Nothing is allocated when chunks of other pools come.
        let mut free = Vec::with_capacity(region.chunks());
        // The first chunk is taken first.
        free.extend(own.rev().filter_map(|index| u32::try_from(index).ok()));
        Self {
            region,
            free,
            owners: owners.into(),
            slots: Vec::new(),
            retired: 0,
            count: PoolCount { chunks, ..PoolCount::default() },
            strangers: 0,
            fill: FillBudget::new(chunks, 1),
        }
    }

    /// Shares the chunks among this many sockets.
    pub(crate) fn share_among(&mut self, sockets: usize) {
        self.fill = FillBudget::new(self.region.config.chunks, sockets);
    }

    /// What a socket is to have for receiving at least.
    pub(crate) const fn fill_base(&self) -> u32 {
        self.fill.base()
    }

    /// What a socket with this target is to have after the number of sockets changed.
    pub(crate) fn fair_fill(&self, target: u32) -> u32 {
        self.fill.fair(target)
    }

    /// What a busy socket with this target is to have instead.
    pub(crate) fn grown_fill(&self, target: u32) -> u32 {
        self.fill.grown(target, self.count.receiving)
    }

    /// How many chunks a socket may get that has `receiving` of `target`.
    pub(crate) fn lendable(&self, receiving: u32, target: u32) -> u32 {
        self.fill.lendable(receiving, target, self.count.receiving, self.free.len())
    }

    /// The region, for opening queues.
    #[must_use]
    pub const fn region(&self) -> RegionHandle {
        RegionHandle(self.region)
    }

    /// Chunks in the free list.
    #[must_use]
    pub const fn free_chunks(&self) -> usize {
        self.free.len()
    }

    /// Where the chunks are.
    #[must_use]
    pub fn count(&self) -> PoolCount {
        PoolCount { free: self.free.len(), ..self.count }
    }

    /// The same, read from the owner table: slow, and equal unless there is a bug.
    #[must_use]
    pub fn audit(&self) -> PoolCount {
        let mut count = PoolCount::default();
        for owner in self.owners.iter().filter(|owner| **owner != Owner::ELSEWHERE) {
            count.chunks += 1;
            match *owner {
                Owner::FREE => count.free += 1,
                Owner::HELD => count.held += 1,
                Owner(other) if other % 2 == 0 => count.receiving += 1,
                Owner(_) => count.sending += 1,
            }
        }
        count
    }

    /// Takes a free chunk: an empty frame with as much room in front as received ones have.
    #[inline]
    pub fn take(&mut self) -> Option<Chunk> {
        let index = self.free.pop()?;
        self.count.held += 1;
        Some(self.hold(index, XDP_PACKET_HEADROOM + HEADROOM_BYTES, 0))
    }

    /// Makes the value for a chunk that was nobody's: the caller vouches that it left the free list
    /// or the kernel, and that `start + len` is inside the chunk.
    #[inline]
    fn hold(&mut self, index: u32, start: usize, len: usize) -> Chunk {
        if let Some(owner) = self.owners.get_mut(index as usize) {
            *owner = Owner::HELD;
        }
        let size = self.region.config.chunk_bytes;
        debug_assert!(start + len <= size, "the frame is inside its chunk");
        let narrow = |bytes: usize| u16::try_from(bytes).unwrap_or(0);
        let base = self.region.start_of(index);
        Chunk { base, start: narrow(start), len: narrow(len), size: narrow(size) }
    }

    /// Takes an empty frame in a large buffer; `None` when all are out, or there are none.
    pub(crate) fn take_large(&mut self) -> Option<Chunk> {
        let base = self.region.large.get()?.take()?;
        let narrow = |bytes: usize| u16::try_from(bytes).unwrap_or(0);
        let start = narrow(XDP_PACKET_HEADROOM + HEADROOM_BYTES);
        Some(Chunk { base, start, len: 0, size: narrow(LARGE_BYTES) })
    }

    /// Takes an empty frame with room for this many bytes.
    pub(crate) fn take_for(&mut self, len_bytes: usize) -> Option<Chunk> {
        if len_bytes <= self.region().frame_bytes_max() {
            self.take()
        } else if len_bytes <= LARGE_FRAME_BYTES_MAX {
            self.take_large()
        } else {
            None
        }
    }

    /// Large buffers that are out as frames, of all pools of the region.
    #[must_use]
    pub fn large_held(&self) -> usize {
        self.region.large.get().map_or(0, LargeArea::held)
    }

    /// The chunk goes to another pool of the region, which is to [`Self::adopt`] it.
    #[inline]
    pub(crate) fn part_with(&mut self, chunk: &Chunk) {
        if let Some(owner) = self.entry(chunk) {
            *owner = Owner::ELSEWHERE;
            self.count.held = self.count.held.wrapping_sub(1);
            self.count.chunks = self.count.chunks.wrapping_sub(1);
        }
    }

    /// The chunk comes from another pool of the region, which parted with it.  False for a chunk of another region:
    /// no socket here can send it.
    #[inline]
    pub(crate) fn adopt(&mut self, chunk: &Chunk) -> bool {
        if chunk.is_large() {
            return self.region.large.get().is_some_and(|area| area.has(chunk.base));
        }
        let Some(owner) = self.entry(chunk) else { return false };
        *owner = Owner::HELD;
        self.count.held += 1;
        self.count.chunks += 1;
        true
    }

    /// Where the table says who has a chunk; `None` for a large buffer, and for other regions.
    #[inline]
    fn entry(&mut self, chunk: &Chunk) -> Option<&mut Owner> {
        if chunk.is_large() {
            return None;
        }
        self.owners.get_mut(self.region.index_of(chunk.base)?)
    }

    /// A fresh frame with a copy of `bytes`.
    #[inline]
    pub fn copy_from(&mut self, bytes: &[u8]) -> Option<Chunk> {
        let mut chunk = self.take_for(bytes.len())?;
        chunk.set_len(bytes.len());
        chunk.bytes_mut().copy_from_slice(bytes);
        Some(chunk)
    }

    /// Ends the value; its number, or `None` for a chunk of another region.
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "whoever had the value has it no longer")]
    fn surrender(&mut self, chunk: Chunk) -> Option<usize> {
        let Chunk { base, .. } = chunk;
        let index = self.region.index_of(base);
        if index.is_none() {
            self.strangers += 1;
        }
        index
    }

    /// Gives a chunk back.
    #[inline]
    pub fn free(&mut self, chunk: Chunk) {
        if chunk.is_large() {
            self.free_large(chunk);
            return;
        }
        let Some(index) = self.surrender(chunk) else { return };
        self.count.held = self.count.held.wrapping_sub(1);
        self.release(index);
    }

    #[cold]
    #[expect(clippy::needless_pass_by_value, reason = "whoever had the value has it no longer")]
    fn free_large(&mut self, chunk: Chunk) {
        let area = self.region.large.get();
        if !area.is_some_and(|area| area.free(chunk.base)) {
            self.strangers += 1;
        }
    }

    #[inline]
    fn release(&mut self, index: usize) {
        if let Some(owner) = self.owners.get_mut(index) {
            *owner = Owner::FREE;
            // Room for every chunk was reserved at the start.
            self.free.push(u32::try_from(index).unwrap_or(0));
        }
    }

    /// A number for a socket that takes chunks from now on; `None` when there are too many.
    pub(crate) fn enrol(&mut self, closed: Arc<AtomicBool>, zero_copy: bool) -> Option<u16> {
        if zero_copy {
            self.region.zero_copy.store(true, Ordering::Release);
        }
        let entry = Slot::Serving(Service { closed, zero_copy });
        let vacant = self.slots.iter().position(|slot| matches!(slot, Slot::Vacant));
        let position = vacant.unwrap_or(self.slots.len());
        let number = u16::try_from(position).ok().filter(|&number| number < SLOTS_MAX)?;
        match self.slots.get_mut(position) {
            Some(slot) => *slot = entry,
            None => self.slots.push(entry),
        }
        Some(number)
    }

    /// A socket takes no chunks any more; those it has come back when it is closed.
    pub(crate) fn retire(&mut self, slot: u16) {
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return };
        match std::mem::replace(entry, Slot::Vacant) {
            Slot::Serving(service) => {
                *entry = Slot::Retired(service, None);
                self.retired += 1;
            }
            other => *entry = other,
        }
    }

    /// Takes the next free chunk for the fill ring of `slot`: its byte offset in the region.
    #[inline]
    pub(crate) fn lend(&mut self, slot: u16) -> Option<u64> {
        let index = self.free.pop()?;
        if let Some(owner) = self.owners.get_mut(index as usize) {
            *owner = Owner::receiving(slot);
        }
        self.count.receiving += 1;
        Some(u64::from(index) << self.region.shift)
    }

    /// Takes a received frame from the kernel, if `slot` may have received it (rule 3).
    #[inline]
    pub(crate) fn receive(&mut self, slot: u16, address: u64, len_bytes: u32) -> Received {
        let Ok(index) = u32::try_from(address >> self.region.shift) else {
            return Received::Stranger;
        };
        if self.owners.get(index as usize) != Some(&Owner::receiving(slot)) {
            return Received::Stranger;
        }
        self.count.receiving = self.count.receiving.wrapping_sub(1);
        let size = self.region.config.chunk_bytes;
        let start = usize::try_from(address).unwrap_or(0) & (size - 1);
        if start + len_bytes as usize > size {
            self.release(index as usize);
            return Received::Nonsense;
        }
        self.count.held += 1;
        Received::Frame(self.hold(index, start, len_bytes as usize))
    }

    /// Hands a frame to the TX ring of `slot`: its byte offset in the region.
    #[inline]
    pub(crate) fn send(&mut self, slot: u16, chunk: Chunk) -> Option<u64> {
        let start = chunk.headroom_bytes();
        let index = self.surrender(chunk)?;
        if let Some(owner) = self.owners.get_mut(index) {
            *owner = Owner::sending(slot);
        }
        self.count.held = self.count.held.wrapping_sub(1);
        self.count.sending += 1;
        Some(((index << self.region.shift) | start) as u64)
    }

    /// Takes a sent frame back from the completion ring of `slot`; false when it did not send it.
    #[inline]
    pub(crate) fn complete(&mut self, slot: u16, address: u64) -> bool {
        let Ok(index) = usize::try_from(address >> self.region.shift) else { return false };
        if self.owners.get(index) != Some(&Owner::sending(slot)) {
            return false;
        }
        self.count.sending = self.count.sending.wrapping_sub(1);
        self.release(index);
        true
    }

    /// True when [`Self::reclaim`] has something to wait for.
    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        self.retired > 0
    }

    /// Takes the chunks of retired sockets back, as far as those are closed (rule 5).
    pub fn reclaim(&mut self) {
        self.reclaim_after(QUARANTINE);
    }

    fn reclaim_after(&mut self, quarantine: Duration) {
        for slot in 0..self.slots.len() {
            let Some(entry) = self.slots.get_mut(slot) else { return };
            let Slot::Retired(service, since) = entry else { continue };
            // Acquire: partner is the release in `ClosedFlag::drop`.
            if !service.closed.load(Ordering::Acquire) {
                continue;
            }
            if service.zero_copy && since.get_or_insert_with(Instant::now).elapsed() < quarantine {
                continue;
            }
            *entry = Slot::Vacant;
            self.retired -= 1;
            self.take_back(u16::try_from(slot).unwrap_or(u16::MAX));
        }
    }

    /// Takes a socket out of service that another worker is to have: what it has with the kernel goes with it.
    pub(crate) fn part_with_slot(&mut self, slot: u16) -> Luggage {
        let mut luggage = Luggage::default();
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return luggage };
        *entry = Slot::Vacant;
        for (index, owner) in (0u32..).zip(&mut self.owners) {
            if !owner.is_slot(slot) {
                continue;
            }
            let list = if *owner == Owner::receiving(slot) {
                self.count.receiving = self.count.receiving.wrapping_sub(1);
                &mut luggage.receiving
            } else {
                self.count.sending = self.count.sending.wrapping_sub(1);
                &mut luggage.sending
            };
            list.push(index);
            *owner = Owner::ELSEWHERE;
        }
        self.count.chunks = self.count.chunks.wrapping_sub(luggage.chunks());
        luggage
    }

    /// Takes over what a socket brings from another worker, which is `slot` here.
    pub(crate) fn adopt_slot(&mut self, slot: u16, luggage: &Luggage) {
        for (list, owner) in
            [(&luggage.receiving, Owner::receiving(slot)), (&luggage.sending, Owner::sending(slot))]
        {
            for index in list {
                if let Some(entry) = self.owners.get_mut(*index as usize) {
                    *entry = owner;
                }
            }
        }
        self.count.receiving += luggage.receiving.len();
        self.count.sending += luggage.sending.len();
        self.count.chunks += luggage.chunks();
    }

    fn take_back(&mut self, slot: u16) {
        for index in 0..self.owners.len() {
            let Some(&owner) = self.owners.get(index) else { return };
            if !owner.is_slot(slot) {
                continue;
            }
            if owner == Owner::receiving(slot) {
                self.count.receiving = self.count.receiving.wrapping_sub(1);
            } else {
                self.count.sending = self.count.sending.wrapping_sub(1);
            }
            self.release(index);
        }
    }
}

impl Drop for ChunkPool {
    /// Leaves the region for the next pool when every chunk is free (rule 1).
    fn drop(&mut self) {
        for slot in 0..self.slots.len() {
            self.retire(u16::try_from(slot).unwrap_or(u16::MAX));
        }
        // The quarantine is kept by the region as a whole.
        self.reclaim_after(Duration::ZERO);
        self.region.leave(self.free.len());
    }
}

#[cfg(test)]
#[path = "umem_tests.rs"]
mod tests;
