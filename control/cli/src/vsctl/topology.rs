//! Bridges, ports and interfaces by name, with the fake bridges that VLANs of a bridge may be.

use super::{Failure, model::Model};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A bridge, or a VLAN of one that goes as a bridge of its own.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// The row of the real bridge.
    pub row: Uuid,
    /// For a fake bridge: its parent, its VLAN, and the port that stands for it.
    pub fake: Option<Fake>,
}

/// What makes a bridge fake.
#[derive(Clone, Debug)]
pub struct Fake {
    /// The real bridge's name.
    pub parent: String,
    /// The VLAN, 0 to 4095.
    pub vlan: i64,
    /// Its port on the real bridge.
    pub port: Uuid,
}

/// A port, and the real or fake bridge it belongs to.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its row.
    pub row: Uuid,
    /// Its bridge's name.
    pub bridge: String,
    /// Its interfaces' names, in the order of the set.
    pub interfaces: Vec<String>,
}

/// An interface, and its port.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its row.
    pub row: Uuid,
    /// Its port's name.
    pub port: String,
}

/// All of them by name.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// Real and fake bridges.
    pub bridges: BTreeMap<String, Bridge>,
    /// Ports.
    pub ports: BTreeMap<String, Port>,
    /// Interfaces.
    pub interfaces: BTreeMap<String, Interface>,
}

impl Topology {
    /// Reads the model; to be done again after a change.
    ///
    /// # Errors
    /// The database was never initialised.
    pub fn read(model: &Model) -> Result<Self, Failure> {
        let mut all = Self::default();
        let bridges: Vec<_> = model.get("Open_vSwitch", model.root()?, "bridges").uuids().collect();
        for &row in &bridges {
            all.read_bridges(model, row);
        }
        for &row in &bridges {
            all.read_ports(model, row);
        }
        Ok(all)
    }

    /// A real bridge and its fake children.
    fn read_bridges(&mut self, model: &Model, row: Uuid) {
        let parent = model.text("Bridge", row, "name").to_owned();
        for port in model.get("Bridge", row, "ports").uuids() {
            let vlan = model.get("Port", port, "tag").as_int();
            let is_fake = model.get("Port", port, "fake_bridge").as_bool() == Some(true);
            if let (true, Some(vlan)) = (is_fake, vlan) {
                let name = model.text("Port", port, "name").to_owned();
                let fake = Some(Fake { parent: parent.clone(), vlan, port });
                self.bridges.insert(name.clone(), Bridge { name, row, fake });
            }
        }
        self.bridges.insert(parent.clone(), Bridge { name: parent, row, fake: None });
    }

    fn read_ports(&mut self, model: &Model, bridge: Uuid) {
        let parent = model.text("Bridge", bridge, "name").to_owned();
        for row in model.get("Bridge", bridge, "ports").uuids() {
            let name = model.text("Port", row, "name").to_owned();
            let tag = model.get("Port", row, "tag").as_int();
            let child = tag.and_then(|tag| self.child(&parent, tag));
            let bridge = child.map_or_else(|| parent.clone(), |child| child.name.clone());
            let mut interfaces = Vec::new();
            for row in model.get("Port", row, "interfaces").uuids() {
                let interface = model.text("Interface", row, "name").to_owned();
                let port = name.clone();
                self.interfaces.insert(interface.clone(), Interface { row, port });
                interfaces.push(interface);
            }
            self.ports.insert(name, Port { row, bridge, interfaces });
        }
    }

    /// The fake bridge of a VLAN.
    #[must_use]
    pub fn child(&self, parent: &str, vlan: i64) -> Option<&Bridge> {
        self.bridges.values().find(|bridge| {
            bridge.fake.as_ref().is_some_and(|fake| fake.parent == parent && fake.vlan == vlan)
        })
    }

    /// A real or fake bridge.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn bridge(&self, name: &str) -> Result<&Bridge, Failure> {
        self.bridges.get(name).ok_or_else(|| Failure(format!("no bridge named {name}")))
    }

    /// A real bridge.
    ///
    /// # Errors
    /// There is none of that name, or it is a fake one.
    pub fn real_bridge(&self, name: &str) -> Result<&Bridge, Failure> {
        let bridge = self.bridge(name)?;
        if bridge.fake.is_some() {
            return Err(Failure(format!("{name} is a fake bridge")));
        }
        Ok(bridge)
    }

    /// A port other than the local port of a bridge.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn port(&self, name: &str) -> Result<&Port, Failure> {
        self.ports
            .get(name)
            .filter(|_| !self.bridges.contains_key(name))
            .ok_or_else(|| Failure(format!("no port named {name}")))
    }

    /// An interface other than the local one of a bridge.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn interface(&self, name: &str) -> Result<&Interface, Failure> {
        self.interfaces
            .get(name)
            .filter(|_| !self.bridges.contains_key(name))
            .ok_or_else(|| Failure(format!("no interface named {name}")))
    }

    /// The ports of a real or fake bridge, sorted, without its local port.
    pub fn ports_of<'a>(&'a self, bridge: &'a str) -> impl Iterator<Item = (&'a String, &'a Port)> {
        self.ports.iter().filter(move |(name, port)| port.bridge == bridge && *name != bridge)
    }

    /// Refuses a name that is empty or that something has already; `what` would have it.
    ///
    /// # Errors
    /// The name is of no use.
    pub fn refuse_taken(&self, name: &str, what: &str) -> Result<(), Failure> {
        if name.is_empty() {
            return Err(Failure(format!("{what} name must not be empty string")));
        }
        let article = if what.starts_with('i') { "an" } else { "a" };
        let taken = |by: String| {
            Err(Failure(format!("cannot create {article} {what} named {name} because {by}")))
        };
        if self.bridges.contains_key(name) {
            return taken(format!("a bridge named {name} already exists"));
        }
        if let Some(port) = self.ports.get(name) {
            let bridge = &port.bridge;
            return taken(format!("a port named {name} already exists on bridge {bridge}"));
        }
        if let Some(interface) = self.interfaces.get(name) {
            let bridge = self.ports.get(&interface.port).map_or("", |port| &port.bridge);
            return taken(format!("an interface named {name} already exists on bridge {bridge}"));
        }
        Ok(())
    }
}
