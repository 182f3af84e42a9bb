//! Frames to groups go where their members are, on a bridge that snoops.

use crate::mcast::{Class, classify};
use crate::pass::Pass;
use crate::view::Effects;
use crate::{Batch, FrameBuf, Meta, Verdict};
use weft_wire::mac::MacAddr;

/// Decides over IP packets to group addresses, and copies IGMP and MLD for the control thread.
/// What is left undecided is flooded by `forward`.
pub(crate) fn snoop<E: Effects>(batch: &mut Batch<E::Frame>, pass: &mut Pass<'_, E>) {
    if !pass.groups.is_on() {
        return;
    }
    for (frame, meta) in batch.frames.iter().zip(&mut batch.metas) {
        if meta.target >> 40 & 1 == 1 && meta.verdict == Verdict::Undecided {
            decide(frame.bytes(), meta, pass);
        }
    }
}

fn decide<E: Effects>(bytes: &[u8], meta: &mut Meta, pass: &mut Pass<'_, E>) {
    let (snapshot, groups) = (pass.snapshot, pass.groups);
    let target = MacAddr::from_u64(meta.target);
    let Some(port) = snapshot.port(meta.ingress.port).filter(|port| port.forwards) else { return };
    let Some(groups) = groups.groups(port.bridge) else { return };
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
    if is_heard {
        pass.effects.hear(meta.ingress.port, meta.vid, bytes, pass.now);
    }
}
