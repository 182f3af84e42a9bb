//! What is installed: the ports that forward, as planned last, by all that they are looked up by.

use crate::config::names::PortName;
use crate::plan::facts::SharedFacts;
use crate::plan::ofport::NumberSet;
use crate::plan::{Carrier, Plan, PlannedPort};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// What was planned, change upon change.
#[derive(Clone, Debug, Default)]
pub struct Installed {
    /// False until everything has been planned.
    pub is_complete: bool,
    /// All interfaces that forward.
    pub ports: Ports,
    /// Interfaces that cannot: the text for `Interface.error`.
    pub failures: BTreeMap<Uuid, String>,
    /// Interfaces that can, but lead nowhere or lack what they ask for: the text for
    /// `Interface.error`.
    pub complaints: BTreeMap<Uuid, String>,
    /// The MTU that each bridge's internal ports get unless they ask for another.
    pub bridge_mtus: BTreeMap<String, u32>,
    /// `mtu_request` of the interfaces that have one.
    pub requested_mtus: BTreeMap<Uuid, u32>,
}

impl Installed {
    /// The text for `Interface.error`, if there is one.
    #[must_use]
    pub fn error(&self, interface: &Uuid) -> Option<&String> {
        self.failures.get(interface).or_else(|| self.complaints.get(interface))
    }

    /// Takes over what was planned anew.
    pub fn take_over(&mut self, plan: Plan) {
        for row in &plan.planned {
            self.ports.remove(row);
            self.failures.remove(row);
            self.complaints.remove(row);
            self.requested_mtus.remove(row);
        }
        for port in plan.ports {
            self.ports.insert(port);
        }
        self.is_complete = true;
        self.failures.extend(plan.failures);
        self.complaints.extend(plan.complaints);
        if let Some(mtus) = plan.bridge_mtus {
            self.bridge_mtus = mtus;
            self.requested_mtus.clear();
        }
        self.requested_mtus.extend(plan.requested_mtus);
    }
}

/// Interfaces that forward.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    rows: HashMap<Uuid, Arc<PlannedPort>>,
    /// By bridge and name of the interface.
    ordered: BTreeMap<(String, String), Arc<PlannedPort>>,
    by_interface: HashMap<String, Uuid>,
    /// Mostly one for each port.
    by_port: HashMap<PortName, Vec<Uuid>>,
    /// All but patch ports.
    linked: BTreeSet<Uuid>,
    /// By bridge.
    numbers: BTreeMap<String, NumberSet>,
    /// Split-horizon groups, and how many ports are in each.
    groups: BTreeMap<String, usize>,
    facts: SharedFacts,
}

impl Ports {
    /// Adds or replaces a port.
    pub fn insert(&mut self, port: PlannedPort) {
        self.remove(&port.interface);
        let row = port.interface;
        self.by_interface.insert(port.name.clone(), row);
        self.by_port.entry(port.port.clone()).or_default().push(row);
        if !matches!(port.carrier, Carrier::Patch { .. }) {
            self.linked.insert(row);
        }
        self.numbers.entry(port.bridge.clone()).or_default().insert(port.ofport);
        if let Some(group) = &port.split_horizon {
            *self.groups.entry(group.clone()).or_default() += 1;
        }
        self.facts.add(&port);
        let port = Arc::new(port);
        self.ordered.insert((port.bridge.clone(), port.name.clone()), Arc::clone(&port));
        self.rows.insert(row, port);
    }

    /// Takes a port out.
    pub fn remove(&mut self, row: &Uuid) -> Option<Arc<PlannedPort>> {
        let port = self.rows.remove(row)?;
        self.ordered.remove(&(port.bridge.clone(), port.name.clone()));
        if self.by_interface.get(&port.name) == Some(row) {
            self.by_interface.remove(&port.name);
        }
        if let Some(rows) = self.by_port.get_mut(&port.port) {
            rows.retain(|other| other != row);
            if rows.is_empty() {
                self.by_port.remove(&port.port);
            }
        }
        self.linked.remove(row);
        self.facts.take(&port);
        if let Some(numbers) = self.numbers.get_mut(&port.bridge) {
            numbers.remove(port.ofport);
        }
        if let Some(group) = &port.split_horizon
            && let Some(count) = self.groups.get_mut(group)
        {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
        Some(port)
    }

    /// The port of an interface.
    #[must_use]
    pub fn get(&self, row: &Uuid) -> Option<&PlannedPort> {
        self.rows.get(row).map(|port| &**port)
    }

    /// The interface of this name.
    #[must_use]
    pub fn by_interface(&self, name: &str) -> Option<&PlannedPort> {
        self.get(self.by_interface.get(name)?)
    }

    /// The interfaces of the port of this name.
    pub fn of_port(&self, name: &PortName) -> impl Iterator<Item = &PlannedPort> {
        let rows = self.by_port.get(name).into_iter().flatten();
        rows.filter_map(|row| self.get(row))
    }

    /// The first interface of the port of this name.
    #[must_use]
    pub fn by_port(&self, name: &PortName) -> Option<&PlannedPort> {
        self.of_port(name).next()
    }

    /// What somebody means who typed a name: a port, else an interface.
    #[must_use]
    pub fn by_port_or_interface(&self, name: &str) -> Option<&PlannedPort> {
        self.by_port(&PortName::new(name)).or_else(|| self.by_interface(name))
    }

    /// The interface whose device has this name.
    #[must_use]
    pub fn by_device(&self, name: &str) -> Option<&PlannedPort> {
        self.by_interface(name).filter(|port| port.carrier == Carrier::Link)
    }

    /// Rows of all but patch ports.
    #[must_use]
    pub fn linked(&self) -> &BTreeSet<Uuid> {
        &self.linked
    }

    /// What they share.
    #[must_use]
    pub const fn facts(&self) -> &SharedFacts {
        &self.facts
    }

    /// The interfaces of a bridge, by name.
    pub fn of_bridge<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = &'a PlannedPort> {
        let all = self.ordered.range((bridge.to_owned(), String::new())..);
        all.take_while(move |((of, _), _)| of == bridge).map(|(_, port)| &**port)
    }

    /// The numbers in use on a bridge.
    #[must_use]
    pub fn numbers(&self, bridge: &str) -> NumberSet {
        self.numbers.get(bridge).cloned().unwrap_or_default()
    }

    /// True when some port is in this split-horizon group.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// All, by bridge and name of the interface.
    pub fn iter(&self) -> impl Iterator<Item = &PlannedPort> {
        self.ordered.values().map(|port| &**port)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<'a> IntoIterator for &'a Ports {
    type Item = &'a PlannedPort;
    type IntoIter = std::iter::Map<
        std::collections::btree_map::Values<'a, (String, String), Arc<PlannedPort>>,
        fn(&'a Arc<PlannedPort>) -> &'a PlannedPort,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.ordered.values().map(|port| &**port)
    }
}
