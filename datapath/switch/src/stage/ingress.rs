//! The ingress port: may it receive, and which VLAN is the frame in?

use crate::batch::undecided;
use crate::{Batch, Counters, DropReason, FrameBuf, Meta, PortConf, Snapshot, Verdict, VlanMode};
use weft_wire::stp::BRIDGE_GROUP_ADDRESS;
use weft_wire::vid::Vid;

/// Where spanning tree frames go, IEEE 802.1D-2004 7.12.3.
const BPDU_ADDRESS: u64 = BRIDGE_GROUP_ADDRESS.to_u64();

/// Counts the frames of each port, and puts each into its VLAN or drops it.
pub(crate) fn ingress<F: FrameBuf>(
    batch: &mut Batch<F>,
    snapshot: &Snapshot,
    counters: &mut Counters,
) {
    let mut frames = batch.frames.iter();
    for run in batch.metas.chunk_by_mut(|a, b| a.ingress == b.ingress) {
        let Some(port_id) = run.first().map(|meta| meta.ingress) else { continue };
        let bytes: usize = frames.by_ref().take(run.len()).map(|frame| frame.bytes().len()).sum();
        if let Some(port) = counters.port_mut(port_id) {
            port.rx_frames += run.len() as u64;
            port.rx_bytes += bytes as u64;
            port.rx_group_frames +=
                run.iter().filter(|meta| meta.target >> 40 & 1 == 1).count() as u64;
        }
        match snapshot.port(port_id) {
            Some(port) => classify(run, port, snapshot),
            None => drop_all(run, DropReason::NoPort),
        }
    }
}

fn drop_all(run: &mut [Meta], reason: DropReason) {
    for meta in undecided(run) {
        meta.verdict = Verdict::Drop(reason);
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
                    meta.vid = port.vlan.tag;
                } else {
                    meta.verdict = Verdict::Drop(DropReason::IngressVlan);
                }
            }
        }
        VlanMode::Trunk | VlanMode::NativeTagged | VlanMode::NativeUntagged => {
            for meta in undecided(run) {
                if meta.vid == Vid::UNTAGGED && port.vlan.mode != VlanMode::Trunk {
                    meta.vid = port.vlan.tag;
                }
                if !port.vlan.carries(meta.vid) {
                    meta.verdict = Verdict::Drop(DropReason::IngressVlan);
                }
            }
        }
    }
    // Last, so that mirrors see each frame in its VLAN even so.
    if !bridge.forwards {
        drop_all(run, DropReason::PortBlocked);
    }
}
