//! Frames to groups go where their members are, on a bridge that snoops.

use crate::mcast::{Class, classify};
use crate::{Batch, Datapath, FrameBuf, Meta, Snapshot, Verdict, trace};
use weft_wire::mac::MacAddr;

/// Decides over IP packets to group addresses, and copies IGMP and MLD for the control thread.
/// What is left undecided is flooded by `forward`.
pub(crate) fn snoop<F: FrameBuf>(
    batch: &mut Batch<F>,
    snapshot: &Snapshot,
    datapath: &mut Datapath<F>,
) {
    if !datapath.snooping.is_on() {
        return;
    }
    for (frame, meta) in batch.frames.iter().zip(&mut batch.metas) {
        if meta.target >> 40 & 1 == 1 && meta.verdict == Verdict::Undecided {
            decide(frame.bytes(), meta, snapshot, datapath);
        }
    }
}

fn decide<F: FrameBuf>(
    bytes: &[u8],
    meta: &mut Meta,
    snapshot: &Snapshot,
    datapath: &mut Datapath<F>,
) {
    let target = MacAddr::from_u64(meta.target);
    let Some(port) = snapshot.port(meta.ingress).filter(|port| port.forwards) else { return };
    let Some(groups) = datapath.snooping.groups(port.bridge) else { return };
    if target.is_broadcast() || target.is_reserved() {
        return;
    }
    let (list, is_heard) = match classify(bytes) {
        Class::Flood { is_query } => (None, is_query),
        Class::Membership => (groups.reports(meta.vid), true),
        Class::Data(group) => (groups.data(meta.vid, group), false),
    };
    if let Some(list) = list {
        meta.verdict = Verdict::Multicast(list);
    }
    if is_heard && datapath.journal.is_on() {
        datapath.journal.note(|| trace::Event::Punted(meta.ingress));
    } else if is_heard {
        datapath.snooping.hear(meta.ingress, meta.vid, bytes, datapath.now);
    }
}
