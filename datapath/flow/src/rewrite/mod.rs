//! Edits the bytes of frames: what actions do with headers.
//!
//! A [`Layout`] says where the headers of a frame are; [`Layout::set`] changes one slot of the
//! frame's key and mends the checksums that cover it.  What the frame lacks, or what is cut off, is
//! left alone.  Tags and MPLS entries change the length: see [`push_vlan`] and its kin.
//!
//! A frame that was edited reads as its key says after the same edit: headers are found here where
//! [`crate::Key::parse`] finds them.

pub(crate) mod crc32c;
mod layout;
mod place;
mod sums;
mod tags;

pub use layout::Layout;
pub use tags::{pop_mpls, pop_vlan, push_mpls, push_vlan};

/// A frame that can grow and shrink at its front.
pub trait Frame {
    /// The frame, from its destination address on.
    fn bytes(&self) -> &[u8];

    /// The frame, to change in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Grows the frame by `len_bytes` at its front; the new bytes have any content.  False, and no
    /// change, when there is no room.
    #[must_use]
    fn grow_front(&mut self, len_bytes: usize) -> bool;

    /// Cuts `len_bytes` off the front.  False, and no change, when the frame is shorter.
    #[must_use]
    fn trim_front(&mut self, len_bytes: usize) -> bool;
}

/// Plain memory always has room.
impl Frame for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn grow_front(&mut self, len_bytes: usize) -> bool {
        self.splice(0..0, std::iter::repeat_n(0, len_bytes));
        true
    }

    fn trim_front(&mut self, len_bytes: usize) -> bool {
        let is_long_enough = len_bytes <= self.len();
        if is_long_enough {
            self.drain(..len_bytes);
        }
        is_long_enough
    }
}

#[cfg(test)]
mod tests;
