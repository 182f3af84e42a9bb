//! Second half of a change: what comes gets its numbers, and the workers a snapshot with it.

use super::Piece;
use crate::config::names::PortName;
use crate::engine::Engine;
use crate::lower::mirrors;
use crate::plan::{Carrier, NUMBERS_MAX, Plan, PlannedPort};
use crate::protocols::members::Members;
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_switch::{BridgeId, IfaceId, PortId};

impl Engine {
    /// Gives what is planned its numbers, and the workers the next snapshot.
    pub(super) fn publish(&mut self, piece: &mut Piece) {
        let next = std::mem::take(&mut piece.next);
        self.number_bridges();
        self.number_ports(&next);
        mirrors::number(&self.config.desired, &mut self.lower.ids, &self.lower.workers);
        piece.moved = self.moved_vlans(&next);
        self.views.coverage.add("port_planned", next.looked_at as u64);
        piece.left = self.left_ports(&next);
        for port in next.ports.iter().map(|port| &port.port).chain(&piece.left) {
            self.lower.mark_port(port);
        }
        // The other ends of patch ports may be in an earlier piece, which did not have the numbers of these.
        let others = next.ports.iter().filter_map(other_end);
        for port in others.filter_map(|row| self.plan.ports.get(row)) {
            self.lower.mark_port(&port.port);
        }
        self.reported.mark(next.planned.iter().copied());
        let groups: BTreeSet<String> =
            next.ports.iter().filter_map(|port| port.split_horizon.clone()).collect();
        self.plan.take_over(next);
        self.lower.ids.groups.keep_only(|group| self.plan.ports.has_group(group));
        for group in groups {
            // There are as many numbers as interfaces, and each group has one at least.
            let _ = self.lower.ids.groups.give(&group);
        }
        let members = Members { plan: &self.plan, host: &self.host };
        self.protocols.configure(&self.config.desired, &mut self.lower, &members);
        for port in &piece.moved {
            self.protocols.snooping.forget_port(*port);
        }
        self.protocols.publish_groups(&mut self.lower);
        self.turn_trees();
    }

    /// What was learned on ports that had other VLANs, or have no interface any more, is not true any more.
    pub(super) fn settle(&mut self, piece: &mut Piece) {
        for port in piece.moved.drain(..) {
            self.lower.workers.forget_fdb(None, Some(port));
        }
        self.retire(piece);
        piece.round = 0;
    }

    fn number_bridges(&mut self) {
        let bridges = self.config.desired.bridges.values().take(NUMBERS_MAX);
        let bridges: BTreeSet<Uuid> = bridges.map(|bridge| bridge.uuid).collect();
        for number in self.lower.ids.bridges.keep_only(|row| bridges.contains(row)) {
            self.lower.workers.forget_fdb(Some(BridgeId(number)), None);
        }
        for bridge in bridges {
            // There are no more of them than numbers.
            let _ = self.lower.ids.bridges.give(&bridge);
        }
    }

    /// New interfaces begin with counters of zero.
    fn number_ports(&mut self, next: &Plan) {
        let mut fresh = Vec::new();
        for port in &next.ports {
            // The plan has no more of them than there are numbers, and each port has one at least.
            let _ = self.lower.ids.ports.give(&port.port);
            if let Some((number, true)) = self.lower.ids.ifaces.give(&port.interface) {
                self.lower.ids.outer.restart(IfaceId(number));
                fresh.push((IfaceId(number), port.interface));
            }
        }
        if !fresh.is_empty() {
            self.lower.workers.clear_ifaces(&fresh.iter().map(|(id, _)| *id).collect());
        }
        self.reported.counters.begin(fresh.into_iter().map(|(_, row)| row));
    }

    /// Ports that have other VLANs in `next`: what was learned on them is not true any more.
    fn moved_vlans(&self, next: &Plan) -> Vec<PortId> {
        let moved = next.ports.iter().filter(|port| {
            self.plan.ports.get(&port.interface).is_some_and(|old| old.vlan != port.vlan)
        });
        moved.filter_map(|port| self.lower.ids.port(&port.port)).collect()
    }

    /// Ports whose interface is in another one in `next`.
    fn left_ports(&self, next: &Plan) -> BTreeSet<PortName> {
        let left = next.ports.iter().filter_map(|port| {
            let old = &self.plan.ports.get(&port.interface)?.port;
            (*old != port.port).then(|| old.clone())
        });
        left.collect()
    }
}

/// The interface at the other end of a patch port.
const fn other_end(port: &PlannedPort) -> Option<&Uuid> {
    match &port.carrier {
        Carrier::Patch { other, .. } => other.as_ref(),
        Carrier::Link | Carrier::Tunnel(..) => None,
    }
}
