//! What is wanted, less what is there: the steps that make them equal.  Pure.
//!
//! Steps touch the kernel and the rings: devices, XDP programs, queues.  All else (VLANs, FDB
//! limits, tunnels, next hops) is data, which [`Plan::ports`] lists and `publish.rs` turns
//! into the next snapshot; there is no step for it, so none can be forgotten.

pub mod facts;
pub mod installed;
mod model;
mod numbers;
pub mod ofport;
pub mod path;
mod ports;
mod shared;
mod steps;
#[cfg(test)]
mod tests;
mod tunnels;
mod underlay;

use crate::config::desired::{Bridge, Desired, Interface, Kind, Port};
use crate::config::ignored;
use facts::{NicFacts, SharedFacts};
use installed::Installed;
pub use model::{
    Carrier, Device, Dirty, Held, MTU_DEFAULT, Observed, OpenLink, Plan, PlannedPort, Step,
};
pub use numbers::NUMBERS_MAX;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Works out the plan of what is dirty; all else stays as installed.  None when more is dirty than
/// that, since a fact changes that ports share: then plan with [`Dirty::all`].
#[must_use]
pub fn plan(
    desired: &Desired,
    observed: &Observed,
    installed: &Installed,
    dirty: &Dirty,
) -> Option<Plan> {
    plan_for(numbers::NUMBERS_MAX, desired, observed, installed, dirty)
}

/// The same, for a datapath that has `numbers_max` numbers for interfaces, and as many for bridges.
fn plan_for(
    numbers_max: usize,
    desired: &Desired,
    observed: &Observed,
    installed: &Installed,
    dirty: &Dirty,
) -> Option<Plan> {
    let mut planner = Planner::new(numbers_max, desired, observed, installed, dirty);
    planner.keep_open();
    planner.refuse();
    planner.links();
    planner.tunnels();
    planner.patches();
    planner.limit();
    if !dirty.all && planner.changes_shared_facts() {
        return None;
    }
    if dirty.all {
        planner.facts = Cow::Owned(SharedFacts::of(&planner.plan.ports));
    }
    planner.closing();
    planner.opening();
    planner.adjust();
    planner.number();
    planner.leave_out_what_stays();
    Some(planner.plan)
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    installed: &'a Installed,
    dirty: &'a Dirty,
    /// Numbers that the datapath has for interfaces, and as many for bridges.
    numbers_max: usize,
    /// The first bridge by name that gets no number.
    unnumbered: Option<&'a str>,
    /// All dirty interfaces that are wanted, but patch ports.
    looked: Vec<(&'a Bridge, &'a Port, &'a Interface)>,
    /// What ports share: as installed, or of all ports of this plan.
    facts: Cow<'a, SharedFacts>,
    plan: Plan,
    /// Links that are to be open.
    wanted: BTreeMap<String, OpenLink>,
}

impl<'a> Planner<'a> {
    fn new(
        numbers_max: usize,
        desired: &'a Desired,
        observed: &'a Observed,
        installed: &'a Installed,
        dirty: &'a Dirty,
    ) -> Self {
        let mut planned = dirty.interfaces.clone();
        let looked: Vec<_> = if dirty.all {
            planned.extend(desired.linked().map(|(_, _, interface)| interface.uuid));
            planned.extend(installed.ports.linked());
            planned.extend(installed.failures.keys());
            desired.linked().collect()
        } else {
            let wanted = planned.iter().filter_map(|row| desired.interface(row));
            wanted.filter(|(.., interface)| !matches!(interface.kind, Kind::Patch(_))).collect()
        };
        Self {
            desired,
            observed,
            installed,
            dirty,
            numbers_max,
            unnumbered: numbers::first_without_number(desired, numbers_max),
            looked,
            facts: Cow::Borrowed(installed.ports.facts()),
            plan: Plan { looked_at: planned.len(), planned, ..Plan::default() },
            wanted: BTreeMap::new(),
        }
    }

    fn fail(&mut self, interface: &Interface, text: String) {
        self.plan.failures.insert(interface.uuid, text);
    }

    fn push_port(&mut self, bridge: &Bridge, port: &Port, interface: &Interface, carrier: Carrier) {
        if let Some(text) = ignored::error(bridge, interface) {
            self.plan.complaints.entry(interface.uuid).or_insert(text);
        }
        self.plan.ports.push(PlannedPort {
            interface: interface.uuid,
            bridge: bridge.name.clone(),
            port: port.name.clone(),
            name: interface.name.clone(),
            ofport: 0,
            carrier,
            vlan: port.vlan.clone(),
            split_horizon: port.split_horizon.clone(),
            vtep: None,
            nic: self.nic_facts(interface),
        });
    }

    fn nic_facts(&self, interface: &Interface) -> Option<NicFacts> {
        if interface.kind != Kind::System {
            return None;
        }
        let device = self.observed.devices.get(&interface.name)?;
        let mac = Some(device.mac).filter(|mac| !mac.is_group() && !mac.is_zero());
        Some(NicFacts { mac, mtu: device.mtu })
    }

    /// The links of ports that are not dirty stay open, and all that only tunnels have to do with.
    fn keep_open(&mut self) {
        if self.dirty.all {
            return;
        }
        let of_ports = |link: &OpenLink| link.held != Held::Underlay;
        let installed = self.installed_ports().filter(|port| port.carrier == Carrier::Link);
        let mut own: BTreeSet<&str> = installed.map(|port| port.name.as_str()).collect();
        let has_link = |kind: &Kind| matches!(kind, Kind::Internal | Kind::System);
        let links = self.looked.iter().filter(|(.., interface)| has_link(&interface.kind));
        own.extend(links.map(|(.., interface)| interface.name.as_str()));
        let open = self.observed.open.iter();
        let stay = open.filter(|(name, link)| !(of_ports(link) && own.contains(name.as_str())));
        self.wanted = stay.map(|(name, link)| (name.clone(), *link)).collect();
    }

    /// What the dirty interfaces have been so far.
    fn installed_ports(&self) -> impl Iterator<Item = &'a PlannedPort> + use<'a, '_> {
        let installed = self.installed;
        self.plan.planned.iter().filter_map(|row| installed.ports.get(row))
    }

    /// Fails what is in bridges that cannot be, and looks at it no more.
    fn refuse(&mut self) {
        let looked = std::mem::take(&mut self.looked);
        for (bridge, port, interface) in looked {
            match self.fault(bridge) {
                Some(text) => self.fail(interface, text),
                None => self.looked.push((bridge, port, interface)),
            }
        }
    }

    /// What was looked at only because something else changed, and is as it was, needs nothing.
    fn leave_out_what_stays(&mut self) {
        let steps = self.plan.close.iter().chain(&self.plan.open);
        let moving: BTreeSet<&String> = steps.filter_map(Step::opens_or_closes).collect();
        let moves = |port: &PlannedPort| match &port.carrier {
            Carrier::Link => moving.contains(&port.name),
            Carrier::Tunnel(_, path) => {
                path.egress.as_ref().is_some_and(|egress| moving.contains(&egress.name))
            }
            Carrier::Patch { .. } => false,
        };
        let stays = |port: &PlannedPort| {
            let row = &port.interface;
            !self.dirty.interfaces.contains(row)
                && !moves(port)
                && self.installed.ports.get(row) == Some(port)
                && self.installed.error(row) == self.plan.complaints.get(row)
        };
        let staying: BTreeSet<Uuid> =
            self.plan.ports.iter().filter(|port| stays(port)).map(|port| port.interface).collect();
        self.plan.ports.retain(|port| !staying.contains(&port.interface));
        self.plan.planned.retain(|row| !staying.contains(row));
        self.plan.complaints.retain(|row, _| !staying.contains(row));
    }
}
