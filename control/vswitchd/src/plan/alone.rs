//! What can be planned by itself: what others share with it stays as it is.

use super::{Carrier, Held, PlannedPort, Planner};
use crate::config::desired::{Bridge, Interface, Kind};
use std::collections::{BTreeMap, BTreeSet};

impl Planner<'_> {
    /// False when something of the scope is of a kind that others depend on: NICs and LOCAL ports
    /// decide on addresses and MTUs, tunnels from anywhere on all NICs.
    pub(super) fn may_be_alone(&self) -> bool {
        let wanted = self.looked.iter().all(|(bridge, _, it)| self.stands_apart(bridge, it));
        wanted && self.standing_ports().all(|port| self.stood_apart(port))
    }

    fn stands_apart(&self, bridge: &Bridge, interface: &Interface) -> bool {
        self.standing.bridge_mtus.contains_key(&bridge.name)
            && match &interface.kind {
                Kind::System => false,
                Kind::Internal => !interface.is_local(bridge) && self.is_own_tap(&interface.name),
                Kind::Tunnel(tunnel) => tunnel.remote.is_some(),
                Kind::Patch(_) | Kind::Unusable(_) => true,
            }
    }

    fn stood_apart(&self, port: &PlannedPort) -> bool {
        match &port.carrier {
            Carrier::Link => port.name != port.bridge && self.is_own_tap(&port.name),
            Carrier::Tunnel(tunnel, _) => tunnel.remote.is_some(),
            Carrier::Patch { .. } => true,
        }
    }

    /// True for the name of a TAP, open or not, that nobody else has to do with.
    fn is_own_tap(&self, name: &str) -> bool {
        let open = self.observed.open.get(name);
        open.is_none_or(|open| open.held == Held::Tap) && !self.standing.ports.common().uses(name)
    }

    /// What the scope has been so far.
    fn standing_ports(&self) -> impl Iterator<Item = &PlannedPort> {
        self.plan.planned.iter().filter_map(|row| self.standing.ports.get(row))
    }

    /// Links that others use stay open.
    pub(super) fn leave_open(&mut self) {
        self.wanted = self.observed.open.clone();
        let standing = self.standing_ports().filter(|port| port.carrier == Carrier::Link);
        let mut own: BTreeSet<_> = standing.map(|port| port.name.clone()).collect();
        // A tunnel may be called as the NIC of another one is.
        let links = self.looked.iter().filter(|(.., interface)| interface.kind == Kind::Internal);
        own.extend(links.map(|(.., interface)| interface.name.clone()));
        self.wanted.retain(|name, _| !own.contains(name));
    }

    /// True when what was planned so far changes nothing that others share, and takes nothing from
    /// them, nor leaves them anything.
    pub(super) fn is_alone(&self) -> bool {
        let come = self.plan.ports.iter();
        let is_free = |port: &PlannedPort| match &port.carrier {
            Carrier::Tunnel(tunnel, _) => {
                let owner = self.standing.ports.tunnel(tunnel);
                owner.is_none_or(|row| self.plan.planned.contains(row))
            }
            Carrier::Link | Carrier::Patch { .. } => true,
        };
        let mut nics = self.wanted.iter().filter(|(_, link)| link.held != Held::Tap);
        self.common.outlasts(self.standing_ports(), come.clone())
            && come.clone().all(is_free)
            && nics.all(|(name, link)| self.observed.open.get(name) == Some(link))
            && (self.standing.failures.is_empty() || !self.leaves_something())
    }

    /// True when some port is not what it was, so that one that failed may now be.
    fn leaves_something(&self) -> bool {
        let new: BTreeMap<_, _> = self.plan.ports.iter().map(|it| (it.interface, it)).collect();
        self.standing_ports().any(|old| match (&old.carrier, new.get(&old.interface)) {
            // What one leaves is a number at most, and there are many.
            (Carrier::Patch { .. }, _) => false,
            (Carrier::Link, Some(new)) => new.carrier != Carrier::Link || old.bridge != new.bridge,
            (Carrier::Tunnel(was, _), Some(new)) => match &new.carrier {
                Carrier::Tunnel(is, _) => {
                    old.bridge != new.bridge || was.identity() != is.identity()
                }
                Carrier::Link | Carrier::Patch { .. } => true,
            },
            (_, None) => true,
        })
    }
}
