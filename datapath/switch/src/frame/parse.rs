//! Ethernet and the outermost VLAN tag.

use crate::{Batch, DropReason, FrameBuf, Ingress, Meta};
use weft_wire::EtherType;
use weft_wire::checksum::partial;
use weft_wire::vid::Tci;

/// Reads the L2 header of every frame of an interface.
///
/// With `completes_checksums` its peer may leave TCP and UDP checksums half done; they are
/// recognised and finished here, before any copy is made (standards.md E10).
pub(crate) fn parse<F: FrameBuf>(
    batch: &mut Batch<F>,
    ingress: Ingress,
    completes_checksums: bool,
) {
    if completes_checksums {
        for frame in &mut batch.frames {
            // Whether there was one to complete makes no difference.
            let _ = partial::complete(frame.bytes_mut());
        }
    }
    batch.metas.extend(batch.frames.iter().map(|frame| l2(frame.bytes(), ingress)));
}

/// Drops all frames of a link that is not, or no longer, configured.
pub(crate) fn refuse<F>(batch: &mut Batch<F>) {
    let meta = Meta::dropped(Ingress::NONE, DropReason::NoPort);
    batch.metas.resize(batch.frames.len(), meta);
}

/// What the first bytes of a frame say.
pub(crate) fn l2(bytes: &[u8], ingress: Ingress) -> Meta {
    let Some(head @ &[.., type_hi, type_lo]) = bytes.first_chunk::<14>() else {
        return Meta::dropped(ingress, DropReason::Truncated);
    };
    // Each address is read with two bytes of its neighbour: one load instead of two.
    let [_, _, _, _, from_fifth @ ..] = head;
    let eight = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut meta = Meta::new(ingress);
    meta.target = eight(head) >> 16;
    meta.source = eight(from_fifth) & 0xffff_ffff_ffff;
    let ethertype = EtherType(u16::from_be_bytes([type_hi, type_lo]));
    if ethertype.is_tag() {
        tag(&mut meta, bytes, ethertype.0);
    }
    meta
}

fn tag(meta: &mut Meta, bytes: &[u8], tpid: u16) {
    let Some(&[.., tci_hi, tci_lo, _, _]) = bytes.first_chunk::<18>() else {
        *meta = Meta::dropped(meta.ingress, DropReason::Truncated);
        return;
    };
    let tci = Tci::from_wire(u16::from_be_bytes([tci_hi, tci_lo]));
    meta.tpid = tpid;
    meta.priority = tci.to_wire() & 0xf000;
    meta.vid = tci.vid();
}
