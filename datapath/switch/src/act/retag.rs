//! Tags as the egress port wants them.

use crate::{FrameBuf, Meta, PriorityTags, RawTag, VlanConf, VlanMode};
use weft_wire::{EtherType, ethernet};

const TAG_BYTES: usize = 4;
/// The drop-eligible bit of a TCI.
const DEI_BIT: u16 = 0x1000;

/// Gives the frame the tags that `vlan` wants, and says how long its L2 header is then, tags that
/// nobody has read not counted.  `None` when there is no room for a tag.
#[inline]
pub(crate) fn retag<F: FrameBuf>(frame: &mut F, meta: &Meta, vlan: &VlanConf) -> Option<usize> {
    if meta.inner.is_some() || vlan.priority_tags != PriorityTags::Never {
        return retag_stack(frame, meta, vlan);
    }
    let tci = meta.priority | meta.vid.get();
    // As in `VlanConf::outermost`: a tag that would say nothing is left out.
    let is_shown = tci & !DEI_BIT != 0 && !vlan.hides(meta.vid);
    match (meta.tpid != 0, is_shown) {
        (false, false) => Some(ethernet::LEN_BYTES),
        (true, true) => {
            // A native port gives priority-tagged frames a VLAN, and a mirror may give any another.
            let [.., hi, lo] = frame.bytes_mut().first_chunk_mut::<16>()?;
            [*hi, *lo] = tci.to_be_bytes();
            Some(ethernet::LEN_BYTES + TAG_BYTES)
        }
        (false, true) => {
            let given = meta.given_tpid;
            let tpid = if given == 0 { EtherType::C_TAG.0 } else { given };
            push_tag(frame, RawTag { tpid, tci })?;
            Some(ethernet::LEN_BYTES + TAG_BYTES)
        }
        (true, false) => {
            pop_tag(frame)?;
            Some(ethernet::LEN_BYTES)
        }
    }
}

/// The same for any number of tags, and with `priority-tags`.
#[cold]
fn retag_stack<F: FrameBuf>(frame: &mut F, meta: &Meta, vlan: &VlanConf) -> Option<usize> {
    let has_outer = meta.tpid != 0;
    let present = usize::from(has_outer) + usize::from(meta.inner.is_some());
    let first_tci = if has_outer { meta.priority } else { meta.inner.tci };
    let (taken, tag) = if vlan.hides(meta.vid) {
        // All known tags of an access port go with the VLAN's.
        let exposed = if vlan.mode == VlanMode::Access { RawTag::NONE } else { meta.inner };
        (present, vlan.outermost(exposed, first_tci))
    } else {
        let outer = outer_tag(meta);
        // Without its outer tag, an inner one would be taken for it.
        let kept = meta.inner.is_some().then_some(outer);
        (usize::from(has_outer), vlan.outermost(outer, first_tci).or(kept))
    };
    splice(frame, taken, tag)?;
    let now = present - taken + usize::from(tag.is_some());
    Some(ethernet::LEN_BYTES + TAG_BYTES * now)
}

/// The tag of the VLAN that the frame is in, whether it is in front of the frame yet or not.
fn outer_tag(meta: &Meta) -> RawTag {
    let tpid = if meta.tpid != 0 { meta.tpid } else { meta.given_tpid };
    RawTag { tpid, tci: meta.priority | meta.vid.get() }
}

/// Puts a tag in front.
#[inline]
fn push_tag<F: FrameBuf>(frame: &mut F, tag: RawTag) -> Option<()> {
    frame.prepend(TAG_BYTES)?;
    // Copied as an array: a call of memmove costs more than the two loads and stores.
    let head = frame.bytes_mut().first_chunk_mut::<16>()?;
    let [_, _, _, _, addresses @ ..] = *head;
    let ([tpid_hi, tpid_lo], [tci_hi, tci_lo]) = (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
    let tag = [tpid_hi, tpid_lo, tci_hi, tci_lo];
    *head.first_chunk_mut()? = addresses;
    *head.last_chunk_mut()? = tag;
    Some(())
}

/// Takes a tag off the front.
#[inline]
fn pop_tag<F: FrameBuf>(frame: &mut F) -> Option<()> {
    let head = frame.bytes_mut().first_chunk_mut::<16>()?;
    let [addresses @ .., _, _, _, _] = *head;
    *head.last_chunk_mut()? = addresses;
    frame.trim_front(TAG_BYTES).then_some(())
}

/// Takes `taken` tags, 0 to 2, off the front, and puts `tag` there.
fn splice<F: FrameBuf>(frame: &mut F, taken: usize, tag: Option<RawTag>) -> Option<()> {
    for _ in 0..taken {
        pop_tag(frame)?;
    }
    tag.map_or(Some(()), |tag| push_tag(frame, tag))
}

/// Gives an untagged frame the tags that `meta` says it has; false when there is no room.
pub(crate) fn push_tags<F: FrameBuf>(frame: &mut F, meta: &Meta) -> bool {
    let outer = RawTag { tpid: meta.tpid, tci: meta.priority | meta.vid.get() };
    let mut tags = [meta.inner, outer].into_iter().filter(|tag| tag.is_some());
    tags.all(|tag| splice(frame, 0, Some(tag)).is_some())
}
