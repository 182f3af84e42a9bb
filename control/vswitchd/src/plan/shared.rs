//! Whether a plan of some ports changes what others act on: then all are dirty.

use super::{Carrier, Held, PlannedPort, Planner};
use crate::config::desired::Kind;
use std::collections::HashMap;
use uuid::Uuid;

impl Planner<'_> {
    /// True when ports that are not dirty would be planned otherwise than they are installed.
    pub(super) fn changes_shared_facts(&self) -> bool {
        let go: Vec<_> = self.installed_ports().collect();
        let come: Vec<_> = self.plan.ports.iter().collect();
        let is_new_bridge = |name: &String| !self.installed.bridge_mtus.contains_key(name);
        let underlays = self.wanted.iter().filter(|(_, link)| link.held == Held::Underlay);
        !self.installed.ports.facts().outlast(&go, &come)
            || self.looked.iter().any(|(bridge, ..)| is_new_bridge(&bridge.name))
            || underlays.into_iter().any(|(name, link)| self.observed.open.get(name) != Some(link))
            || self.installed.ports.len() >= self.numbers_max
            || self.leaves_what_others_wait_for(&go)
    }

    /// True when something that failed may succeed now, since these ports are not what they were.
    fn leaves_what_others_wait_for(&self, go: &[&PlannedPort]) -> bool {
        if self.installed.failures.is_empty() {
            return false;
        }
        let new: HashMap<Uuid, &PlannedPort> =
            self.plan.ports.iter().map(|port| (port.interface, port)).collect();
        go.iter().any(|old| {
            let stays = new.get(&old.interface).filter(|new| new.bridge == old.bridge);
            let leaves_number =
                stays.is_none() && self.installed.ports.numbers(&old.bridge).is_full();
            let stays = stays.copied();
            leaves_number || self.leaves_identity(old, stays) || self.leaves_udp_port(old, stays)
        })
    }

    /// True when a tunnel was all that kept another one from being.
    fn leaves_identity(&self, old: &PlannedPort, new: Option<&PlannedPort>) -> bool {
        let Carrier::Tunnel(tunnel, _) = &old.carrier else { return false };
        let identity = tunnel.identity();
        let keeps = new.is_some_and(
            |new| matches!(&new.carrier, Carrier::Tunnel(tunnel, _) if tunnel.identity() == identity),
        );
        let failed = self.installed.failures.keys();
        !keeps
            && failed.filter_map(|row| self.desired.interface(row)).any(|(.., interface)| {
                matches!(&interface.kind, Kind::Tunnel(tunnel) if tunnel.identity() == identity)
            })
    }

    /// True when a tunnel leaves a UDP port that another kind of tunnel was to have.  Even when a third one
    /// takes it at once: who gets it is for all of them to find out.
    fn leaves_udp_port(&self, old: &PlannedPort, new: Option<&PlannedPort>) -> bool {
        let Carrier::Tunnel(tunnel, _) = &old.carrier else { return false };
        let encap = tunnel.encap;
        let keeps = new.is_some_and(
            |new| matches!(&new.carrier, Carrier::Tunnel(tunnel, _) if tunnel.encap == encap),
        );
        let failed = self.installed.failures.keys();
        encap.udp_port().is_some()
            && !keeps
            && failed.filter_map(|row| self.desired.interface(row)).any(|(.., interface)| {
                matches!(&interface.kind, Kind::Tunnel(tunnel)
                    if tunnel.encap != encap && tunnel.encap.udp_port() == encap.udp_port())
            })
    }
}
