//! The destination address says where the frame goes.

use super::ingress::drop_all;
use crate::frame::undecided;
use crate::pass::Pass;
use crate::view::Effects;
use crate::{
    Batch, BridgeConf, DropReason, Fdb, Meta, PortConf, PortId, RawTag, Snapshot, Station, Tick,
    Verdict,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// Gives every frame its verdict.
pub(crate) fn forward<E: Effects>(batch: &mut Batch<E::Frame>, pass: &Pass<'_, E>) {
    let Pass { snapshot, now, .. } = *pass;
    for (port_id, run) in batch.runs() {
        let context = snapshot.port(port_id).and_then(|port| {
            let fdb = pass.fdbs.get(port.bridge.index())?.as_ref()?;
            let bridge = snapshot.bridge(port.bridge)?;
            Some(Context { port_id, port, bridge, fdb, snapshot, last: None })
        });
        match context {
            Some(mut context) if context.port.forwards => {
                undecided(run).for_each(|meta| meta.verdict = context.decide(meta, now));
            }
            Some(_) => drop_all(run, DropReason::PortBlocked),
            None => drop_all(run, DropReason::NoPort),
        }
    }
}

/// What is the same for all frames of one ingress port.
struct Context<'a> {
    port_id: PortId,
    port: &'a PortConf,
    bridge: &'a BridgeConf,
    fdb: &'a Fdb,
    snapshot: &'a Snapshot,
    /// What was asked last, and the answer.
    last: Option<((PortId, Vid, RawTag), Verdict)>,
}

impl Context<'_> {
    fn decide(&mut self, meta: &Meta, now: Tick) -> Verdict {
        if meta.target >> 40 & 1 == 1 {
            return self.group(meta);
        }
        let station = Station::new(meta.vid, meta.target);
        match self.fdb.lookup(station, meta.target_hash, now) {
            None => Verdict::Flood,
            Some(_) if self.bridge.floods(meta.vid) => Verdict::Flood,
            Some(target) => self.unicast(meta, target),
        }
    }

    /// For a frame to a group address.
    #[inline(never)]
    fn group(&self, meta: &Meta) -> Verdict {
        let is_reserved = MacAddr::from_u64(meta.target).is_reserved();
        if is_reserved && !self.bridge.forward_reserved {
            Verdict::Drop(DropReason::Reserved)
        } else {
            Verdict::Flood
        }
    }

    /// For a frame to a station behind `target_id`.  Frames that follow each other mostly ask the
    /// same.
    fn unicast(&mut self, meta: &Meta, target_id: PortId) -> Verdict {
        let asked = (target_id, meta.vid, meta.inner);
        if let Some((before, verdict)) = self.last
            && before == asked
        {
            return verdict;
        }
        let verdict = self.admit(meta, target_id);
        self.last = Some((asked, verdict));
        verdict
    }

    fn admit(&self, meta: &Meta, target_id: PortId) -> Verdict {
        if target_id == self.port_id {
            return Verdict::Drop(DropReason::Reflection);
        }
        match self.snapshot.port(target_id) {
            // The port went away between two snapshots: as if nothing had been learned.
            None => Verdict::Flood,
            Some(target) if target.bridge != self.port.bridge => Verdict::Flood,
            Some(target) if !target.forwards => Verdict::Drop(DropReason::PortBlocked),
            Some(target) if target.mirrors.is_output => Verdict::Drop(DropReason::MirrorPort),
            Some(target)
                if !target.vlan.carries(meta.vid) || !target.vlan.takes_inner(meta.inner) =>
            {
                Verdict::Drop(DropReason::EgressVlan)
            }
            Some(target) if same_group(self.port, target) => {
                Verdict::Drop(DropReason::SplitHorizon)
            }
            Some(_) => Verdict::Forward(target_id),
        }
    }
}

/// True when split horizon keeps frames of `a` from `b`.
pub(crate) const fn same_group(a: &PortConf, b: &PortConf) -> bool {
    a.split_horizon != 0 && a.split_horizon == b.split_horizon
}
