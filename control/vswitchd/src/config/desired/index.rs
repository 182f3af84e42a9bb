//! Where each interface is, so that nobody has to look through all of them.

use super::{Bridge, Desired, Interface, Kind, Port};
use crate::config::names::PortName;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Kept by [`Desired::put_port`] and [`Desired::take_port`].
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The names of the bridge and port that an interface is in, by row.
    places: HashMap<Uuid, (String, PortName)>,
    /// Patch ports by the names of their interfaces.
    patches: HashMap<String, Uuid>,
    /// All other interfaces by name.
    names: HashMap<String, Uuid>,
    /// Ports that are more than patch ports, by bridge.
    linked: BTreeMap<String, BTreeMap<PortName, Arc<Port>>>,
    /// Interfaces with an `ofport_request`, by bridge.
    requests: BTreeMap<String, usize>,
}

/// True for what needs more than numbers: a device, a route, or an answer that it cannot be had.
fn is_linked(interface: &Interface) -> bool {
    !matches!(interface.kind, Kind::Patch(_))
}

fn requests(port: &Port) -> usize {
    port.interfaces.iter().filter(|interface| interface.ofport_request.is_some()).count()
}

impl Index {
    fn by_name(&mut self, interface: &Interface) -> &mut HashMap<String, Uuid> {
        if is_linked(interface) { &mut self.names } else { &mut self.patches }
    }
}

impl Desired {
    /// The configuration of these bridges.
    #[must_use]
    pub fn of(bridges: impl IntoIterator<Item = Bridge>) -> Self {
        let mut desired = Self::default();
        for mut bridge in bridges {
            let (name, ports) = (bridge.name.clone(), std::mem::take(&mut bridge.ports));
            desired.bridges.insert(name.clone(), bridge);
            for port in ports.into_values() {
                desired.put_port(&name, port);
            }
        }
        desired
    }

    /// Finds everything anew after ports were changed by other means.
    pub fn index_again(&mut self) {
        let anew = Self::of(std::mem::take(&mut self.bridges).into_values());
        (self.bridges, self.index) = (anew.bridges, anew.index);
    }

    /// Adds or replaces a port of a bridge that is there.
    pub fn put_port(&mut self, bridge: &str, port: Arc<Port>) {
        self.take_port(bridge, &port.name);
        let Some(home) = self.bridges.get_mut(bridge) else { return };
        for interface in &port.interfaces {
            let place = (bridge.to_owned(), port.name.clone());
            self.index.places.insert(interface.uuid, place);
            self.index.by_name(interface).insert(interface.name.clone(), interface.uuid);
        }
        if port.interfaces.iter().any(is_linked) {
            let linked = self.index.linked.entry(bridge.to_owned()).or_default();
            linked.insert(port.name.clone(), Arc::clone(&port));
        }
        *self.index.requests.entry(bridge.to_owned()).or_default() += requests(&port);
        home.ports.insert(port.name.clone(), port);
    }

    /// Takes a port out of a bridge.
    pub fn take_port(&mut self, bridge: &str, name: &PortName) -> Option<Arc<Port>> {
        let port = self.bridges.get_mut(bridge)?.ports.remove(name)?;
        for interface in &port.interfaces {
            let is_here = |place: &(String, PortName)| (&*place.0, &place.1) == (bridge, name);
            if !self.index.places.get(&interface.uuid).is_some_and(is_here) {
                // It has moved on already.
                continue;
            }
            self.index.places.remove(&interface.uuid);
            let by_name = self.index.by_name(interface);
            if by_name.get(&interface.name) == Some(&interface.uuid) {
                by_name.remove(&interface.name);
            }
        }
        if let Some(linked) = self.index.linked.get_mut(bridge) {
            linked.remove(name);
        }
        if let Some(count) = self.index.requests.get_mut(bridge) {
            *count -= requests(&port);
        }
        Some(port)
    }

    /// Takes a bridge out, with all its ports.
    pub(super) fn take_bridge(&mut self, name: &str) -> Vec<Arc<Port>> {
        let Some(bridge) = self.bridges.get(name) else { return Vec::new() };
        let ports: Vec<_> = bridge.ports.keys().cloned().collect();
        let ports = ports.iter().filter_map(|port| self.take_port(name, port)).collect();
        self.bridges.remove(name);
        self.index.linked.remove(name);
        self.index.requests.remove(name);
        ports
    }

    /// All interfaces, with where they are.
    pub fn interfaces(&self) -> impl Iterator<Item = (&Bridge, &Port, &Interface)> {
        self.bridges.values().flat_map(|bridge| {
            bridge.ports.values().flat_map(move |port| {
                port.interfaces.iter().map(move |interface| (bridge, &**port, interface))
            })
        })
    }

    /// One interface, with where it is.
    #[must_use]
    pub fn interface(&self, row: &Uuid) -> Option<(&Bridge, &Port, &Interface)> {
        let (bridge, port) = self.index.places.get(row)?;
        let bridge = self.bridges.get(bridge)?;
        let port = &**bridge.ports.get(port)?;
        let interface = port.interfaces.iter().find(|interface| interface.uuid == *row)?;
        Some((bridge, port, interface))
    }

    /// The patch port whose interface has this name.
    #[must_use]
    pub fn patch(&self, name: &str) -> Option<Uuid> {
        self.index.patches.get(name).copied()
    }

    /// All interfaces but patch ports.
    pub fn linked(&self) -> impl Iterator<Item = (&Bridge, &Port, &Interface)> {
        self.bridges.values().flat_map(|bridge| self.linked_of(bridge))
    }

    /// All interfaces of a bridge but patch ports.
    pub fn linked_of<'a>(
        &'a self,
        bridge: &'a Bridge,
    ) -> impl Iterator<Item = (&'a Bridge, &'a Port, &'a Interface)> {
        let ports = self.index.linked.get(&bridge.name).into_iter().flatten();
        ports.flat_map(move |(_, port)| {
            let linked = port.interfaces.iter().filter(|interface| is_linked(interface));
            linked.map(move |interface| (bridge, &**port, interface))
        })
    }

    /// The interface of this name, unless it is a patch port.
    #[must_use]
    pub fn linked_named(&self, name: &str) -> Option<Uuid> {
        self.index.names.get(name).copied()
    }

    /// True when some interface of the bridge has an `ofport_request`.
    #[must_use]
    pub fn has_requests(&self, bridge: &str) -> bool {
        self.index.requests.get(bridge).is_some_and(|count| *count > 0)
    }
}
