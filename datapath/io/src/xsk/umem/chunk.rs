//! A chunk as a value: the bytes of a frame, and room around them.

use super::super::large::LARGE_BYTES;
use std::ptr::NonNull;
use weft_switch::FrameBuf;

/// One frame's worth of memory, owned: the bytes of a frame, and room around them.
///
/// To be handed to `tx` or `free`.  Dropped instead, the chunk is lost until the process ends; the
/// conservation tests exist to catch that.
#[derive(Debug)]
#[must_use = "a chunk that is dropped is lost"]
pub struct Chunk {
    /// The first byte of the chunk.
    pub(super) base: NonNull<u8>,
    /// Where the frame starts in it.
    pub(super) start: u16,
    /// Bytes of the frame.  `start + len <= size` always.
    pub(super) len: u16,
    /// Bytes of the chunk.
    pub(super) size: u16,
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
