//! Numbers in a plan: how many interfaces can be, and their `OpenFlow` port numbers.

use super::{Carrier, Planner};
use crate::config::desired::{Bridge, Desired, Interface};
use crate::plan::ofport::{self, Claim, NumberSet};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Interfaces, and bridges (the first by name), that the datapath has numbers for.
pub const NUMBERS_MAX: usize = u16::MAX as usize;

/// The name of the first bridge that gets no number, when there are more than numbers.
pub(super) fn first_without_number(desired: &Desired, numbers_max: usize) -> Option<&str> {
    let is_over = desired.bridges.len() > numbers_max;
    is_over.then(|| desired.bridges.keys().nth(numbers_max).map(String::as_str)).flatten()
}

impl Planner<'_> {
    /// Why no interface of a bridge can be set up, when that is so.
    pub(super) fn fault(&self, bridge: &Bridge) -> Option<String> {
        let is_over = self.unnumbered.is_some_and(|first| *bridge.name >= *first);
        let (name, max) = (&bridge.name, self.numbers_max);
        let text =
            || format!("{name}: no number is left for it: at most {max} bridges can be set up");
        bridge.fault().or_else(|| is_over.then(text))
    }

    /// Fails the interfaces that the datapath has no number for.  Whoever forwards already stays; of
    /// the others the first by name get one.
    pub(super) fn limit(&mut self) {
        let installed = &self.installed.ports;
        let planned_anew = self.plan.planned.iter().filter(|row| installed.get(row).is_some());
        let room = self.numbers_max.saturating_sub(installed.len() - planned_anew.count());
        if self.plan.ports.len() <= room {
            return;
        }
        self.plan.ports.sort_by_cached_key(|port| {
            (installed.get(&port.interface).is_none(), port.bridge.clone(), port.name.clone())
        });
        for port in self.plan.ports.split_off(room) {
            let text = format!(
                "{}: no number is left for it: at most {} interfaces can be set up",
                port.name, self.numbers_max
            );
            if port.carrier == Carrier::Link {
                self.wanted.remove(&port.name);
            }
            self.plan.complaints.remove(&port.interface);
            self.plan.failures.insert(port.interface, text);
        }
    }

    /// The number that an interface has on this bridge, or that its row holds from an earlier run.
    pub(super) fn number_before(&self, bridge: &Bridge, row: &Uuid) -> Option<u16> {
        let installed = self.installed.ports.get(row).filter(|port| port.bridge == bridge.name);
        installed.map(|port| port.ofport).or_else(|| self.observed.ofports.get(row).copied())
    }

    /// Port numbers, bridge by bridge.
    pub(super) fn number(&mut self) {
        let mut planned: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, port) in self.plan.ports.iter().enumerate() {
            planned.entry(port.bridge.clone()).or_default().push(place);
        }
        for bridge in self.desired.bridges.values() {
            if self.desired.has_requests(&bridge.name) {
                self.plan_all_numbers(bridge);
            } else if let Some(places) = planned.remove(&bridge.name) {
                self.number_ports(bridge, places);
            }
        }
        // A bridge with more interfaces than there are numbers: the last ones get none.
        let full: Vec<_> =
            self.plan.ports.iter().filter(|port| port.ofport == 0).map(|p| p.interface).collect();
        for interface in full {
            let text = "the bridge has no port number left".to_owned();
            self.plan.failures.insert(interface, text);
        }
        self.plan.ports.retain(|port| port.ofport != 0);
    }

    fn claim(&self, bridge: &Bridge, interface: &Interface) -> Claim {
        Claim {
            interface: interface.uuid,
            is_local: interface.is_local(bridge),
            request: interface.ofport_request,
            before: self.number_before(bridge, &interface.uuid),
        }
    }

    /// Numbers for the planned ports of a bridge at these places: all others keep theirs.
    fn number_ports(&mut self, bridge: &Bridge, mut places: Vec<usize>) {
        let ports = &self.plan.ports;
        places.sort_by_key(|place| ports.get(*place).map(|port| &port.name));
        let claims: Vec<_> = places
            .iter()
            .filter_map(|place| self.desired.interface(&ports.get(*place)?.interface))
            .map(|(_, _, interface)| self.claim(bridge, interface))
            .collect();
        let mut others = self.installed.ports.numbers(&bridge.name);
        for row in &self.plan.planned {
            let installed = self.installed.ports.get(row).filter(|port| port.bridge == bridge.name);
            if let Some(port) = installed {
                others.remove(port.ofport);
            }
        }
        let numbers = ofport::assign(&claims, others);
        for place in places {
            if let Some(port) = self.plan.ports.get_mut(place) {
                port.ofport = numbers.get(&port.interface).copied().unwrap_or(0);
            }
        }
    }

    /// Numbers for all ports of a bridge: a request takes its number from whoever has it, and waits
    /// for one that another request has.
    fn plan_all_numbers(&mut self, bridge: &Bridge) {
        let forwarding: BTreeSet<Uuid> =
            self.plan.ports.iter().map(|port| port.interface).collect();
        let stands = |row: &Uuid| {
            !self.plan.planned.contains(row) && self.installed.ports.get(row).is_some()
        };
        let interfaces = bridge.ports.values().flat_map(|port| &port.interfaces);
        let claims: Vec<_> = interfaces
            .filter(|interface| forwarding.contains(&interface.uuid) || stands(&interface.uuid))
            .map(|interface| self.claim(bridge, interface))
            .collect();
        let numbers = ofport::assign(&claims, NumberSet::default());
        for claim in &claims {
            let number = numbers.get(&claim.interface).copied().unwrap_or(0);
            if let Some(installed) = self.installed.ports.get(&claim.interface)
                && installed.ofport != number
                && self.plan.planned.insert(claim.interface)
            {
                self.plan.ports.push(installed.clone());
                if let Some(text) = self.installed.complaints.get(&claim.interface) {
                    self.plan.complaints.insert(claim.interface, text.clone());
                }
                if let Some(mtu) = self.installed.requested_mtus.get(&claim.interface) {
                    self.plan.requested_mtus.insert(claim.interface, *mtu);
                }
            }
        }
        for port in self.plan.ports.iter_mut().filter(|port| port.bridge == bridge.name) {
            port.ofport = numbers.get(&port.interface).copied().unwrap_or(0);
        }
    }
}
