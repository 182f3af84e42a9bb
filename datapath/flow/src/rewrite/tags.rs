//! Puts VLAN tags and MPLS entries on frames and takes them off.

use super::Frame;
use super::layout::{Layout, MPLS_MULTICAST, Network, ethertype_before};
use weft_wire::EtherType;

/// The two addresses.
const ADDRESSES_BYTES: usize = 12;
const TAG_BYTES: usize = 4;
const ENTRY_BYTES: usize = 4;

/// Puts a tag in front of those that are there.  False, and no change, without room for it, or for
/// a frame that is cut off.
#[must_use]
pub fn push_vlan<F: Frame + ?Sized>(frame: &mut F, ethertype: u16, tci: u16) -> bool {
    if frame.bytes().len() < ADDRESSES_BYTES + 2 || !frame.grow_front(TAG_BYTES) {
        return false;
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(TAG_BYTES..TAG_BYTES + ADDRESSES_BYTES, 0);
    let tag = u32::from(ethertype) << 16 | u32::from(tci);
    put(bytes, ADDRESSES_BYTES, &tag.to_be_bytes())
}

/// Takes the outer tag off.  False, and no change, when there is none.
#[must_use]
pub fn pop_vlan<F: Frame + ?Sized>(frame: &mut F) -> bool {
    let bytes = frame.bytes_mut();
    let is_tagged = ethertype_before(bytes, ADDRESSES_BYTES + 2).is_some_and(EtherType::is_tag);
    if !is_tagged || bytes.len() < ADDRESSES_BYTES + TAG_BYTES + 2 {
        return false;
    }
    bytes.copy_within(..ADDRESSES_BYTES, TAG_BYTES);
    frame.trim_front(TAG_BYTES)
}

/// Puts an MPLS entry behind the tags, of which at most `tags_max` are looked behind.  False, and
/// no change, without room for it, or for a frame that is cut off or has a length instead of an
/// `EtherType`.
#[must_use]
pub fn push_mpls<F: Frame + ?Sized>(
    frame: &mut F,
    tags_max: u8,
    ethertype: u16,
    entry: u32,
) -> bool {
    let layout = Layout::of(frame.bytes(), tags_max);
    let start = layout.start;
    let has_type = ethertype_before(frame.bytes(), start).is_some_and(|kind| !kind.is_length());
    if layout.is_snap || !has_type || !frame.grow_front(ENTRY_BYTES) {
        return false;
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(ENTRY_BYTES..ENTRY_BYTES + start, 0);
    put(bytes, start, &entry.to_be_bytes()) && put(bytes, start - 2, &ethertype.to_be_bytes())
}

/// Takes the outer MPLS entry off; `ethertype` is what is behind it.  False, and no change, when
/// there is none.
#[must_use]
pub fn pop_mpls<F: Frame + ?Sized>(frame: &mut F, tags_max: u8, ethertype: u16) -> bool {
    let layout = Layout::of(frame.bytes(), tags_max);
    let start = layout.start;
    let kind = ethertype_before(frame.bytes(), start);
    let is_mpls = kind == Some(EtherType::MPLS) || kind == Some(MPLS_MULTICAST);
    if layout.network != Some(Network::Mpls) || layout.is_snap || !is_mpls {
        return false;
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(..start, ENTRY_BYTES);
    put(bytes, start + ENTRY_BYTES - 2, &ethertype.to_be_bytes()) && frame.trim_front(ENTRY_BYTES)
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) -> bool {
    match bytes.get_mut(at..at + new.len()) {
        Some(place) => {
            place.copy_from_slice(new);
            true
        }
        None => false,
    }
}
