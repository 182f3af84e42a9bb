//! The memory that workers share: one mapping, cut into chunks.

use super::super::abi::XDP_PACKET_HEADROOM;
use super::super::large::{LARGE_BYTES, LargeArea};
use super::pool::ChunkPool;
use crate::open;
use crate::sys::Mapping;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use weft_switch::HEADROOM_BYTES;

/// Bytes in front of a frame in the tags and addresses that a link MTU does not count: Ethernet and
/// two VLAN tags.
const LINK_HEADER_BYTES: usize = 14 + 4 + 4;

/// Bytes of the longest frame: a large buffer less the headroom.
pub(super) const LARGE_FRAME_BYTES_MAX: usize = LARGE_BYTES - XDP_PACKET_HEADROOM - HEADROOM_BYTES;

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

impl RegionConfig {
    fn check(self) -> io::Result<()> {
        let sizes_are_right = matches!(self.chunk_bytes, 2048 | 4096)
            && self.chunks.is_power_of_two()
            && (64..=1 << 20).contains(&self.chunks);
        let what = "chunks must be 2048 or 4096 bytes, their number a power of two from 64 to 2^20";
        if sizes_are_right { Ok(()) } else { Err(invalid(what)) }
    }
}

/// One shared mapping in a memfd.  See the rules of the crate: it is never unmapped.
#[derive(Debug)]
pub struct Region {
    mapping: Mapping,
    memfd: OwnedFd,
    pub(super) config: RegionConfig,
    /// Pools that it was made for.
    workers: usize,
    tenancy: Mutex<Tenancy>,
    /// Some socket was in zero-copy mode.
    pub(super) zero_copy: AtomicBool,
    /// log2 of the bytes in a chunk.
    pub(super) shift: u32,
    huge_pages: bool,
    /// For frames that do not fit a chunk, once some link needs it.
    pub(super) large: OnceLock<LargeArea>,
}

/// Who uses a region.  Looked at only when a pool comes or goes.
#[derive(Debug, Default)]
struct Tenancy {
    /// Pools that are not dropped.
    pools: usize,
    /// Chunks that were free in pools that are, and nobody's since.
    left: Vec<u32>,
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
        let pools = (0..workers).map(|worker| numbers(config.chunks * worker, config.chunks));
        Ok(region.let_to(pools))
    }

    /// The memory of a predecessor by its memfd, which stays mapped where it is mapped already.  For each worker
    /// `free` has the chunks that are nobody's; all others are lost to the workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the sizes are out of range or not those of the memfd, or when a number in `free` is too
    /// large or there twice; what `fstat` and `mmap` say.
    pub fn adopt(
        memfd: OwnedFd,
        config: RegionConfig,
        free: &[Vec<u32>],
    ) -> io::Result<(RegionHandle, Vec<ChunkPool>)> {
        let mut numbers: Vec<u32> = free.iter().flatten().copied().collect();
        numbers.sort_unstable();
        let chunks = config.chunks.saturating_mul(free.len());
        let is_twice = numbers.windows(2).any(|pair| matches!(pair, [one, next] if one == next));
        if is_twice || numbers.last().is_some_and(|number| *number as usize >= chunks) {
            return Err(invalid("each chunk has one place, and one owner"));
        }
        let region = Box::leak(Box::new(Self::over(memfd, config, free.len())?));
        Ok(region.let_to(free.iter().map(|free| free.iter().copied())))
    }

    fn map(config: RegionConfig, workers: usize) -> io::Result<Self> {
        config.check()?;
        // Huge pages are reserved by the mapping: when there are too few, it is refused.
        let over = |huge| Self::over(open::region(config, workers, huge)?, config, workers);
        over(true).or_else(|_| over(false))
    }

    /// Over a memfd of the right size.
    fn over(memfd: OwnedFd, config: RegionConfig, workers: usize) -> io::Result<Self> {
        config.check()?;
        let len_bytes = config.chunk_bytes * config.chunks * workers;
        let (size, page_bytes) = open::size_of_memfd(memfd.as_fd())?;
        if size != len_bytes as u64 {
            return Err(invalid("the memory is not that of so many chunks"));
        }
        let mapping = Mapping::new(memfd.as_fd(), 0, len_bytes)?;
        Ok(Self {
            mapping,
            memfd,
            config,
            workers,
            tenancy: Mutex::default(),
            zero_copy: AtomicBool::new(false),
            shift: config.chunk_bytes.trailing_zeros(),
            huge_pages: page_bytes > 65536,
            large: OnceLock::new(),
        })
    }

    /// Gives pools with these chunks to workers.
    fn let_to<Chunks>(
        &'static self,
        pools: impl Iterator<Item = Chunks>,
    ) -> (RegionHandle, Vec<ChunkPool>)
    where
        Chunks: DoubleEndedIterator<Item = u32>,
    {
        self.zero_copy.store(false, Ordering::Relaxed);
        let pools: Vec<_> = pools.map(|chunks| ChunkPool::new(self, chunks)).collect();
        *self.tenancy() = Tenancy { pools: pools.len(), left: Vec::new() };
        (RegionHandle(self), pools)
    }

    fn tenancy(&self) -> MutexGuard<'_, Tenancy> {
        self.tenancy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all workers.
    pub(super) const fn chunks(&self) -> usize {
        self.config.chunks * self.workers
    }

    /// A pool is gone, which had these free chunks.  When it was the last one and no chunk is missing, the region may
    /// be used again (rule 1).
    pub(super) fn leave(&'static self, free: &[u32]) {
        let mut tenancy = self.tenancy();
        tenancy.left.extend(free);
        tenancy.pools -= 1;
        let is_whole = tenancy.pools == 0
            && tenancy.left.len() == self.chunks()
            && self.large.get().is_none_or(|area| area.held() == 0);
        if is_whole {
            tenancy.left.clear();
            // The quarantine is kept by the region as a whole.
            let has_hardware = self.zero_copy.load(Ordering::Acquire);
            let wait = if has_hardware { QUARANTINE } else { Duration::ZERO };
            let entry = (self, Instant::now() + wait);
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }

    /// A pool with what was left, if that is most of what a worker has and no hardware may still write to it.
    fn successor(&'static self) -> Option<ChunkPool> {
        let mut tenancy = self.tenancy();
        let suffices = tenancy.left.len() > self.config.chunks / 2;
        if !suffices || self.zero_copy.load(Ordering::Acquire) {
            return None;
        }
        tenancy.pools += 1;
        let left = std::mem::take(&mut tenancy.left);
        Some(ChunkPool::new(self, left.into_iter()))
    }

    /// Which chunk starts at `start`; `None` for memory that is not of this region.
    #[inline]
    pub(super) fn index_of(&self, start: NonNull<u8>) -> Option<usize> {
        let offset = start.addr().get().wrapping_sub(self.mapping.start().addr().get());
        let index = offset >> self.shift;
        (index < self.chunks()).then_some(index)
    }

    /// Where a chunk starts, given that there is such a chunk.
    #[inline]
    pub(super) fn start_of(&self, index: u32) -> NonNull<u8> {
        debug_assert!((index as usize) < self.chunks(), "there is no such chunk");
        let offset = (index as usize) << self.shift;
        // SAFETY: `index` comes from the free list or was checked by `ChunkPool::receive`, so this
        // is inside the mapping (rule 3), which lasts as long as the process (rule 1).
        unsafe { self.mapping.start().add(offset) }
    }
}

/// So many numbers from one on.
fn numbers(first: usize, count: usize) -> std::ops::Range<u32> {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(0);
    narrow(first)..narrow(first + count)
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
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

    /// The chunks of workers that have ended, for one that takes the place of such a worker.  `None` when the
    /// region has too few of them, and when a socket of it was in zero-copy mode.
    #[must_use]
    pub fn successor(&self) -> Option<ChunkPool> {
        self.0.successor()
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
