//! The ingress port: may it receive, and which VLAN is the frame in?

use crate::frame::undecided;
use crate::pass::Pass;
use crate::view::Effects;
use crate::{
    Batch, DropReason, FrameBuf, Meta, PortConf, RawTag, Snapshot, Verdict, VlanConf, VlanMode,
};
use weft_wire::EtherType;
use weft_wire::stp::BRIDGE_GROUP_ADDRESS;
use weft_wire::vid::Vid;

/// Where spanning tree frames go, IEEE 802.1D-2004 7.12.3.
const BPDU_ADDRESS: u64 = BRIDGE_GROUP_ADDRESS.to_u64();

/// Counts the frames of each interface, and puts each into its VLAN or drops it.
pub(crate) fn ingress<E: Effects>(batch: &mut Batch<E::Frame>, pass: &mut Pass<'_, E>) {
    let snapshot = pass.snapshot;
    let mut rest = &*batch.frames;
    // An interface is in one port: to compare it is enough, and costs half.
    for run in batch.metas.chunk_by_mut(|a, b| a.ingress.iface == b.ingress.iface) {
        let Some(ingress) = run.first().map(|meta| meta.ingress) else { continue };
        let Some((frames, others)) = rest.split_at_checked(run.len()) else { return };
        rest = others;
        let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
        let group_frames = run.iter().filter(|meta| meta.target >> 40 & 1 == 1).count();
        pass.effects.received(ingress.iface, run.len(), bytes, group_frames);
        match snapshot.port(ingress.port) {
            Some(port) => {
                if snapshot.reads_inner_tags {
                    read_inner_tags(run, frames, port.vlan.mode);
                }
                classify(run, port, snapshot);
            }
            None => drop_all(run, DropReason::NoPort),
        }
    }
}

/// Drops those that no stage has decided yet.
pub(crate) fn drop_all(run: &mut [Meta], reason: DropReason) {
    for meta in undecided(run) {
        meta.verdict = Verdict::Drop(reason);
    }
}

/// Reads the second tags of frames whose outer tag stays what it is.
fn read_inner_tags<F: FrameBuf>(run: &mut [Meta], frames: &[F], mode: VlanMode) {
    // Access ports take no tags, and what a dot1q-tunnel port takes is inside its own.
    if matches!(mode, VlanMode::Access | VlanMode::Dot1qTunnel) {
        return;
    }
    for (meta, frame) in run.iter_mut().zip(frames).filter(|(meta, _)| meta.tpid != 0) {
        if let Some(&[.., tpid_hi, tpid_lo, tci_hi, tci_lo]) = frame.bytes().first_chunk::<20>() {
            let tpid = EtherType(u16::from_be_bytes([tpid_hi, tpid_lo]));
            let tci = u16::from_be_bytes([tci_hi, tci_lo]);
            if tpid.is_tag() {
                meta.inner = RawTag { tpid: tpid.0, tci };
            }
        }
    }
}

/// Puts frames into the service VLAN of a dot1q-tunnel port; the tags they have are the
/// customer's.
fn tunnel(run: &mut [Meta], vlan: &VlanConf) {
    for meta in undecided(run) {
        let customer = RawTag { tpid: meta.tpid, tci: meta.priority | meta.vid.get() };
        if !vlan.takes_customer(customer.tci) {
            meta.verdict = Verdict::Drop(DropReason::IngressVlan);
        }
        (meta.tpid, meta.priority, meta.vid, meta.inner) = (0, 0, vlan.tag, customer);
        meta.given_tpid = vlan.service_tpid;
    }
}

fn classify(run: &mut [Meta], port: &PortConf, snapshot: &Snapshot) {
    let Some(bridge) = snapshot.bridge(port.bridge) else {
        return drop_all(run, DropReason::NoPort);
    };
    if bridge.takes_bpdus {
        for meta in undecided(run).filter(|meta| meta.target == BPDU_ADDRESS) {
            meta.verdict = Verdict::Punt;
        }
    }
    // A port that learns before it forwards lets frames go as far as `learn`.
    if !(port.forwards || port.learns) {
        return drop_all(run, DropReason::PortBlocked);
    }
    if port.mirrors.is_output {
        return drop_all(run, DropReason::MirrorPort);
    }
    match port.vlan.mode {
        // A plain trunk carries everything: the tag says it all.
        VlanMode::Trunk if port.vlan.trunks.is_none() => {}
        // Its own VLAN's tag is refused as well: an access port is untagged.
        VlanMode::Access => {
            for meta in undecided(run) {
                if meta.vid == Vid::UNTAGGED {
                    (meta.vid, meta.given_tpid) = (port.vlan.tag, EtherType::C_TAG.0);
                } else {
                    meta.verdict = Verdict::Drop(DropReason::IngressVlan);
                }
            }
        }
        VlanMode::Trunk | VlanMode::NativeTagged | VlanMode::NativeUntagged => {
            for meta in undecided(run) {
                if meta.vid == Vid::UNTAGGED && port.vlan.mode != VlanMode::Trunk {
                    (meta.vid, meta.given_tpid) = (port.vlan.tag, EtherType::C_TAG.0);
                } else if !port.vlan.carries(meta.vid) {
                    meta.verdict = Verdict::Drop(DropReason::IngressVlan);
                }
            }
        }
        VlanMode::Dot1qTunnel => tunnel(run, &port.vlan),
    }
    // Last, so that mirrors see each frame in its VLAN even so.
    if !bridge.forwards {
        drop_all(run, DropReason::PortBlocked);
    }
}
