//! Copies for mirrors (SPAN and RSPAN), made before the frame itself goes its way.
//!
//! As Open vSwitch does it: a frame is seen in the VLAN that it has in the bridge; a copy wears the
//! tag that its egress port wants; of all mirrors with one output, one copies a frame; and a copy
//! that leaves is seen by mirrors that watch where it leaves.

use crate::act::{deliver, listed, recipients, retag};
use crate::pass::Pass;
use crate::trace::Event;
use crate::view::Effects;
use crate::{
    Batch, BridgeConf, DropReason, FrameBuf, IfaceConf, IfaceId, Ingress, Meta, MirrorConf,
    MirrorOutput, PortConf, PortId, Verdict, VlanConf,
};
use weft_wire::mac::MacAddr;

/// Sends the copies that mirrors want of a batch whose frames all have their verdict.
pub(crate) fn mirror<E: Effects>(batch: &Batch<E::Frame>, pass: &mut Pass<'_, E>) {
    let (snapshot, groups) = (pass.snapshot, pass.groups);
    if !snapshot.has_mirrors() {
        return;
    }
    for (frame, meta) in batch.frames.iter().zip(&batch.metas) {
        let Some(ingress) = snapshot.port(meta.ingress.port) else { continue };
        let Some(bridge) = snapshot.bridge(ingress.bridge) else { continue };
        if !bridge.mirrors.is_empty() && is_seen(meta, ingress) {
            let mut copying = Copying { bytes: frame.bytes(), meta, bridge, served: 0 };
            copying.watched_by(ingress.mirrors.arriving, pass);
            match meta.verdict {
                Verdict::Forward(port) => copying.leaves(port, pass),
                Verdict::Flood => {
                    let members = snapshot.flood_list(ingress.bridge, meta.vid).iter().copied();
                    for (port, _) in recipients(meta, ingress, members, snapshot) {
                        copying.leaves(port, pass);
                    }
                }
                Verdict::Multicast(list) => {
                    let Some(groups) = groups.groups(ingress.bridge) else { continue };
                    let members = listed(groups.list(list), meta, ingress, snapshot);
                    for (port, _) in recipients(meta, ingress, members, snapshot) {
                        copying.leaves(port, pass);
                    }
                }
                Verdict::Punt | Verdict::Drop(_) | Verdict::Undecided => {}
            }
            pass.effects.note(|| Event::Copying(None));
        }
    }
}

/// True for a frame that has entered the bridge, whatever became of it there.
const fn is_seen(meta: &Meta, ingress: &PortConf) -> bool {
    let has_entered = match meta.verdict {
        Verdict::Drop(reason) => !matches!(
            reason,
            DropReason::Truncated
                | DropReason::IngressVlan
                | DropReason::NoPort
                | DropReason::PatchHops
        ),
        Verdict::Punt => false,
        _ => true,
    };
    has_entered && ingress.forwards && !ingress.mirrors.is_output
}

/// A frame that mirrors may copy.
struct Copying<'a> {
    bytes: &'a [u8],
    meta: &'a Meta,
    bridge: &'a BridgeConf,
    /// Mirrors whose output has had its copy, by their place in the bridge's list.
    served: u32,
}

impl Copying<'_> {
    /// The frame, or a copy of it, leaves by `port`.
    fn leaves<E: Effects>(&mut self, port: PortId, pass: &mut Pass<'_, E>) {
        let mirrors = pass.snapshot.port(port).map_or(0, |port| port.mirrors.departing);
        self.watched_by(mirrors, pass);
    }

    /// Makes the copies of those of `mirrors` that select the frame's VLAN, once for each output.
    fn watched_by<E: Effects>(&mut self, mirrors: u32, pass: &mut Pass<'_, E>) {
        let bridge = self.bridge;
        for (place, mirror) in bridge.mirrors.iter().enumerate() {
            let is_due = (mirrors & !self.served) >> place & 1 == 1;
            if is_due && mirror.selects(self.meta.vid) {
                let twins = bridge.mirrors.iter().map(|other| other.output == mirror.output);
                self.served |= twins.rev().fold(0, |all, is_twin| all << 1 | u32::from(is_twin));
                pass.effects.mirrored(mirror.id, self.bytes.len());
                self.copy(mirror, pass);
            }
        }
    }

    /// Sends the copies of one mirror.
    fn copy<E: Effects>(&mut self, mirror: &MirrorConf, pass: &mut Pass<'_, E>) {
        let (vid, members) = match &mirror.output {
            MirrorOutput::Port(port) => (self.meta.vid, std::slice::from_ref(port)),
            // Switches further on would take a link-local frame for one of their neighbour's.
            MirrorOutput::Vlan(vid)
                if *vid == self.meta.vid || MacAddr::from_u64(self.meta.target).is_reserved() =>
            {
                return;
            }
            MirrorOutput::Vlan(vid) => {
                let bridge = pass.snapshot.port(self.meta.ingress.port).map(|port| port.bridge);
                (*vid, bridge.map_or(&[][..], |bridge| pass.snapshot.flood_list(bridge, *vid)))
            }
        };
        // No answer goes back to a copy's sender: it came in nowhere.
        let meta = Meta { vid, given_tpid: 0, ingress: Ingress::NONE, ..*self.meta };
        for port_id in members {
            if let Some(port) = pass.snapshot.port(*port_id).filter(|port| port.forwards) {
                let by = port.ifaces.pick(pass.snapshot);
                pass.effects.note(|| Event::Copying(Some(mirror.id)));
                send_copy(self.bytes, &meta, &port.vlan, by, mirror.snaplen, pass);
                self.leaves(*port_id, pass);
            }
        }
    }
}

/// Sends a copy, no longer than `snaplen` once it has its tag.
fn send_copy<E: Effects>(
    bytes: &[u8],
    meta: &Meta,
    vlan: &VlanConf,
    (iface_id, iface): (IfaceId, &IfaceConf),
    snaplen: Option<u16>,
    pass: &mut Pass<'_, E>,
) {
    let snaplen = snaplen.map(usize::from);
    // Two tags may go; the rest of what is cut off need not be copied.
    let start = snaplen.and_then(|snaplen| bytes.get(..snaplen + 8)).unwrap_or(bytes);
    let Some(mut copy) = pass.effects.copy_from(start) else {
        return pass.effects.tx_drop(iface_id, DropReason::NoBuffer);
    };
    let Some(l2_bytes) = retag(&mut copy, meta, vlan) else {
        pass.effects.tx_drop(iface_id, DropReason::NoHeadroom);
        return pass.effects.free(copy);
    };
    if let Some(snaplen) = snaplen {
        copy.truncate(snaplen);
    }
    let l2_bytes = l2_bytes.min(copy.bytes().len());
    deliver(copy, l2_bytes, meta, (iface_id, iface), pass);
}
