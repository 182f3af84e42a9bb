//! Tags as the egress port wants them.

use crate::{FrameBuf, Meta, PriorityTags, RawTag, Snapshot, VlanConf, VlanMode};
use std::cmp::Ordering;
use weft_wire::ethernet;
use weft_wire::vid::Vid;

const ADDRESSES_BYTES: usize = 12;
const TAG_BYTES: usize = 4;

/// Gives the frame the tags that `vlan` wants, and says how long its L2 header is then, tags that
/// nobody has read not counted.  `None` when there is no room for a tag.
pub(super) fn retag<F: FrameBuf>(
    frame: &mut F,
    meta: &Meta,
    vlan: &VlanConf,
    snapshot: &Snapshot,
) -> Option<usize> {
    let has_outer = meta.tpid != 0;
    let present = usize::from(has_outer) + usize::from(meta.inner.is_some());
    let may_add = meta.vid != Vid::UNTAGGED || vlan.priority_tags == PriorityTags::Always;
    if present == 0 && !may_add {
        return Some(ethernet::LEN_BYTES);
    }
    let first_tci = if has_outer { meta.priority } else { meta.inner.tci };
    let (taken, tag) = if vlan.hides(meta.vid) {
        // All known tags of an access port go with the VLAN's.
        let exposed = if vlan.mode == VlanMode::Access { RawTag::NONE } else { meta.inner };
        (present, vlan.outermost(exposed, first_tci))
    } else {
        let outer = outer_tag(meta, snapshot);
        // Without its outer tag, an inner one would be taken for it.
        let kept = meta.inner.is_some().then_some(outer);
        (usize::from(has_outer), vlan.outermost(outer, first_tci).or(kept))
    };
    splice(frame, taken, tag)?;
    let now = present - taken + usize::from(tag.is_some());
    Some(ethernet::LEN_BYTES + TAG_BYTES * now)
}

/// The tag of the VLAN that the frame is in, whether it is in front of the frame yet or not.
fn outer_tag(meta: &Meta, snapshot: &Snapshot) -> RawTag {
    let given = || snapshot.port(meta.ingress).map_or(0, |port| port.vlan.given_tpid());
    let tpid = if meta.tpid != 0 { meta.tpid } else { given() };
    RawTag { tpid, tci: meta.priority | meta.vid.get() }
}

/// Takes `taken` tags, 0 to 2, off the front, and puts `tag` there.
fn splice<F: FrameBuf>(frame: &mut F, taken: usize, tag: Option<RawTag>) -> Option<()> {
    let added = usize::from(tag.is_some());
    match taken.cmp(&added) {
        Ordering::Less => {
            frame.prepend(TAG_BYTES)?;
            // Copied as an array: a call of memmove costs more than the two loads and stores.
            if let Some(head) = frame.bytes_mut().first_chunk_mut::<16>() {
                let [_, _, _, _, addresses @ ..] = *head;
                *head.first_chunk_mut()? = addresses;
            }
        }
        Ordering::Equal => {}
        Ordering::Greater if taken - added == 1 => {
            let head = frame.bytes_mut().first_chunk_mut::<16>()?;
            let [addresses @ .., _, _, _, _] = *head;
            *head.last_chunk_mut()? = addresses;
            frame.trim_front(TAG_BYTES).then_some(())?;
        }
        Ordering::Greater => {
            let surplus_bytes = (taken - added) * TAG_BYTES;
            frame.bytes_mut().copy_within(..ADDRESSES_BYTES, surplus_bytes);
            frame.trim_front(surplus_bytes).then_some(())?;
        }
    }
    if let Some(tag) = tag
        && let Some([.., a, b, c, d]) = frame.bytes_mut().first_chunk_mut::<16>()
    {
        let ([tpid_hi, tpid_lo], [tci_hi, tci_lo]) =
            (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
        [*a, *b, *c, *d] = [tpid_hi, tpid_lo, tci_hi, tci_lo];
    }
    Some(())
}

/// Gives an untagged frame the tags that `meta` says it has; false when there is no room.
pub(super) fn push_tags<F: FrameBuf>(frame: &mut F, meta: &Meta) -> bool {
    let outer = RawTag { tpid: meta.tpid, tci: meta.priority | meta.vid.get() };
    let mut tags = [meta.inner, outer].into_iter().filter(|tag| tag.is_some());
    tags.all(|tag| splice(frame, 0, Some(tag)).is_some())
}
