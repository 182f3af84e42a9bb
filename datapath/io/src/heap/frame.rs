//! One frame in a box.

use weft_switch::{FrameBuf, HEADROOM_BYTES};

/// Bytes of memory of one frame: headroom, frame and tailroom.
const FRAME_MEMORY_BYTES: usize = 2048;

/// Bytes of the longest frame.
pub const FRAME_BYTES_MAX: usize = FRAME_MEMORY_BYTES - HEADROOM_BYTES;

const HEADROOM: u16 = 192;
const _: () = assert!(HEADROOM as usize == HEADROOM_BYTES);

/// One frame in plain memory.  To be handed to `tx` or `free`, as any frame.
#[derive(Debug)]
pub struct HeapFrame {
    room: Box<[u8; FRAME_MEMORY_BYTES]>,
    start: u16,
    len: u16,
    /// Which memory it is of.
    pub(super) memory: u16,
}

impl HeapFrame {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { room: Box::new([0; FRAME_MEMORY_BYTES]), start: HEADROOM, len: 0, memory: 0 }
    }

    /// Makes it this frame; false when that is too long.
    #[inline]
    pub(super) fn fill(&mut self, bytes: &[u8]) -> bool {
        let Some(len) = u16::try_from(bytes.len()).ok() else { return false };
        let start = HEADROOM_BYTES;
        let Some(place) = self.room.get_mut(start..start + bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        (self.start, self.len) = (HEADROOM, len);
        true
    }
}

impl FrameBuf for HeapFrame {
    #[inline]
    fn bytes(&self) -> &[u8] {
        let start = usize::from(self.start);
        self.room.get(start..start + usize::from(self.len)).unwrap_or_default()
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let start = usize::from(self.start);
        self.room.get_mut(start..start + usize::from(self.len)).unwrap_or_default()
    }

    #[inline]
    fn prepend(&mut self, len_bytes: usize) -> Option<&mut [u8]> {
        let grown = u16::try_from(len_bytes).ok()?;
        self.start = self.start.checked_sub(grown)?;
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
        let start = usize::from(self.start);
        let Some(padding) =
            self.room.get_mut(start + old..).and_then(|tail| tail.get_mut(..len_bytes - old))
        else {
            return false;
        };
        padding.fill(0);
        self.len = u16::try_from(len_bytes).unwrap_or(self.len);
        true
    }
}
