//! Tunnels, and the NICs that they use.

use super::{Carrier, Held, OpenLink, Planner};
use crate::config::desired::Kind;
use crate::config::tunnel::{Identity, Tunnel};
use crate::netlink::kernel::addresses_of;
use crate::plan::path::{Nic, Path};
use std::collections::{BTreeMap, BTreeSet};
use weft_switch::{Encap, Local};

/// What tunnels have claimed so far: the datapath must be able to tell whose a packet is.
#[derive(Default)]
struct Taken<'a> {
    identities: BTreeSet<Identity>,
    udp_ports: BTreeMap<u16, (Encap, &'a str)>,
}

impl<'a> Taken<'a> {
    /// Claims what a tunnel needs for itself; an error says who has it.
    fn take(&mut self, name: &'a str, tunnel: &Tunnel) -> Result<(), String> {
        if let Some(port) = tunnel.encap.udp_port() {
            let (encap, other) = self.udp_ports.entry(port).or_insert((tunnel.encap, name));
            if *encap != tunnel.encap {
                return Err(format!(
                    "{name}: packets to UDP port {port} are those of {other}, which is no {} \
                     tunnel: give one of them another dst_port",
                    tunnel.kind.name()
                ));
            }
        }
        if self.identities.insert(tunnel.identity()) {
            Ok(())
        } else {
            Err(format!("could not add network device {name} to ofproto (File exists)"))
        }
    }
}

impl Planner<'_> {
    /// Tunnels, and the NICs that they use.
    pub(super) fn tunnels(&mut self) {
        let looked = self.looked.iter();
        let mut all: Vec<_> = looked
            .filter_map(|(bridge, port, interface)| match &interface.kind {
                Kind::Tunnel(tunnel) => Some((*bridge, *port, *interface, tunnel)),
                _ => None,
            })
            .collect();
        // Whoever runs already stays; of two new ones the first by name wins.
        all.sort_by_key(|(bridge, _, interface, _)| {
            (self.number_before(bridge, &interface.uuid).is_none(), &interface.name)
        });
        let mut taken = Taken::default();
        let mut lost = false;
        for (bridge, port, interface, tunnel) in all {
            if let Err(text) = taken.take(&interface.name, tunnel) {
                self.fail(interface, text);
                continue;
            }
            let path = self.observed.paths.get(&interface.uuid).cloned();
            let mut path = path.unwrap_or_else(|| Path::none("the route is not known yet"));
            if tunnel.remote.is_none() {
                self.listen(tunnel.local);
            } else {
                match self.underlay(&path) {
                    Ok(Some((name, link))) => {
                        self.wanted.entry(name).or_insert(link);
                        self.listen_on(&path.nics);
                    }
                    Ok(None) => lost = true,
                    Err(reason) => path = Path { egress: path.egress, ..Path::none(reason) },
                }
            }
            self.push_port(bridge, port, interface, Carrier::Tunnel(tunnel.clone(), path));
        }
        // A route that flaps must not tear down the sockets of the NIC it used.
        if lost {
            for (name, open) in &self.observed.open {
                let device = self.observed.devices.get(name).map(|device| device.ifindex);
                if open.held == Held::Underlay && device == Some(open.ifindex) {
                    self.wanted.entry(name.clone()).or_insert(*open);
                }
            }
        }
    }

    /// Packets of a tunnel that takes them from anywhere come in by any NIC that has its address.
    fn listen(&mut self, local: Local) {
        if !self.dirty.all {
            // It is one of several, or a new fact.
            return;
        }
        let is_meant = |address| local.address().is_none_or(|local| local == address);
        for (name, device) in &self.observed.devices {
            if addresses_of(&self.observed.addresses, device.ifindex).any(is_meant) {
                self.steer(name, device.ifindex);
            }
        }
    }

    /// Packets of a tunnel may come in by any of these NICs.
    fn listen_on(&mut self, nics: &BTreeSet<Nic>) {
        for (name, ifindex) in nics {
            self.steer(name, *ifindex);
        }
    }

    /// Wants tunnel packets of a NIC, unless it is none, or is wanted for something else.
    fn steer(&mut self, name: &str, ifindex: u32) {
        let Some(device) = self.foreign_device(name).filter(|it| it.ifindex == ifindex) else {
            return;
        };
        let has_failed = self.observed.failed.get(name).is_some_and(|(at, _)| *at == ifindex);
        if !device.is_loopback && !device.mac.is_zero() && !has_failed {
            let link = OpenLink { held: Held::Underlay, ifindex };
            self.wanted.entry(name.to_owned()).or_insert(link);
        }
    }

    /// The NIC that a tunnel needs; an error when it cannot be had.
    fn underlay(&self, path: &Path) -> Result<Option<(String, OpenLink)>, String> {
        let Some(egress) = &path.egress else { return Ok(None) };
        let name = &egress.name;
        if let Some(link) = self.wanted.get(name)
            && link.held != Held::Underlay
        {
            if link.held == Held::Tap {
                return Ok(Some((name.clone(), *link)));
            }
            return Err(format!(
                "the route leaves by {name}, which is a port of a bridge: give its addresses to an \
                 internal port of that bridge"
            ));
        }
        if let Some((ifindex, text)) = self.observed.failed.get(name)
            && *ifindex == egress.ifindex
        {
            return Err(text.clone());
        }
        Ok(Some((name.clone(), OpenLink { held: Held::Underlay, ifindex: egress.ifindex })))
    }
}
