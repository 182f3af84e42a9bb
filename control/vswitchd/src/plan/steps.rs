//! The steps of a plan: links to close and to open, and what they are to have.

use super::{Device, Held, MTU_DEFAULT, Planner, Step};
use crate::config::desired::{Bridge, Interface, Kind};
use crate::netlink::kernel::addresses_of;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use weft_wire::mac::MacAddr;

impl Planner<'_> {
    /// Links that are not wanted any more, or not as they are.
    pub(super) fn closing(&mut self) {
        for (name, open) in &self.observed.open {
            if self.wanted.get(name) != Some(open) || self.observed.outgrown.contains(name) {
                let removes_device = open.held == Held::Tap;
                self.plan.close.push(Step::Close { name: name.clone(), removes_device });
            }
        }
    }

    /// Links that are wanted and not open.
    pub(super) fn opening(&mut self) {
        let macs = self.wanted_macs();
        for (name, link) in &self.wanted {
            let is_open = self.observed.open.get(name) == Some(link);
            if is_open && !self.observed.outgrown.contains(name) {
                continue;
            }
            let (name, ifindex) = (name.clone(), link.ifindex);
            self.plan.open.push(match link.held {
                Held::Tap => Step::OpenTap { mac: macs.get(&name).copied(), name },
                Held::Port => Step::OpenPort { name, ifindex },
                Held::Underlay => Step::OpenUnderlay { name, ifindex },
            });
        }
    }

    /// The addresses that internal ports are to have, where something decides that.
    fn wanted_macs(&self) -> BTreeMap<String, MacAddr> {
        let mut macs = BTreeMap::new();
        for (bridge, _, interface) in &self.looked {
            if interface.kind != Kind::Internal {
                continue;
            }
            let mac = if interface.is_local(bridge) {
                bridge.hwaddr.or_else(|| self.facts.nic_mac(&bridge.name))
            } else {
                interface.mac
            };
            macs.extend(mac.map(|mac| (interface.name.clone(), mac)));
        }
        macs
    }

    /// Addresses, MTUs and VTEPs of links that are, or will be, open.
    pub(super) fn adjust(&mut self) {
        let macs = self.wanted_macs();
        let mtus = self.dirty.all.then(|| {
            let bridges = self.desired.bridges.values();
            bridges.map(|bridge| (bridge.name.clone(), self.bridge_mtu(bridge))).collect()
        });
        let mtu_of = |bridge: &Bridge| {
            mtus.as_ref().unwrap_or(&self.installed.bridge_mtus).get(&bridge.name).copied()
        };
        let mut steps = Vec::new();
        let mut requested = BTreeMap::new();
        for (bridge, _, interface) in &self.looked {
            if !matches!(interface.kind, Kind::Tunnel(_)) {
                let mtu = mtu_of(bridge).unwrap_or(MTU_DEFAULT);
                requested.extend(interface.mtu_request.map(|mtu| (interface.uuid, mtu)));
                steps.extend(self.set_mac(interface, macs.get(&interface.name)));
                steps.extend(self.set_mtu(bridge, interface, mtu));
            }
        }
        self.plan.bridge_mtus = mtus;
        self.plan.requested_mtus = requested;
        if self.dirty.all {
            let udp_ports = self.facts.udp_ports();
            let links = self.wanted.iter().filter(|(_, link)| link.held == Held::Underlay);
            steps.extend(links.map(|(name, link)| Step::SetVteps {
                name: name.clone(),
                addresses: self.vteps(name, link.ifindex).into_iter().collect(),
                udp_ports: udp_ports.clone(),
            }));
        }
        self.plan.open.extend(steps);
        self.mark_vteps();
    }

    /// The device of an open TAP that is still in sight.
    pub(super) fn tap_device(&self, name: &str) -> Option<&Device> {
        let open = self.observed.open.get(name).filter(|open| open.held == Held::Tap)?;
        self.observed.devices.get(name).filter(|device| device.ifindex == open.ifindex)
    }

    fn set_mac(&self, interface: &Interface, mac: Option<&MacAddr>) -> Option<Step> {
        let mac = *mac?;
        let device = self.tap_device(&interface.name)?;
        (device.mac != mac).then(|| Step::SetMac { name: interface.name.clone(), mac })
    }

    /// `mtu_request` always wins.  Otherwise an internal port follows its bridge, also when it has
    /// just been taken back; but an MTU that the operator gave the device himself stays, unless it is
    /// too large.
    fn set_mtu(&self, bridge: &Bridge, interface: &Interface, bridge_mtu: u32) -> Option<Step> {
        let name = &interface.name;
        let link = self.wanted.get(name)?;
        let device = match link.held {
            Held::Tap => self.tap_device(name),
            Held::Port => self.observed.devices.get(name),
            Held::Underlay => None,
        };
        // A TAP that is made by this very plan has no device yet and is born with the default.
        let now = device.map_or(MTU_DEFAULT, |device| device.mtu);
        let wanted = match interface.mtu_request {
            Some(mtu) => mtu,
            None if link.held == Held::Tap => {
                let last = self.observed.bridge_mtus.get(&bridge.name).copied();
                let follows = now == last.unwrap_or(MTU_DEFAULT)
                    || self.installed.requested_mtus.get(&interface.uuid) == Some(&now);
                if now > bridge_mtu || follows { bridge_mtu } else { now }
            }
            None => now,
        };
        (wanted != now).then(|| Step::SetMtu { name: name.clone(), mtu: wanted })
    }

    /// Addresses of a device that remote ends may send to.
    pub(super) fn vteps(&self, name: &str, ifindex: u32) -> BTreeSet<IpAddr> {
        self.facts.vteps(name, addresses_of(&self.observed.addresses, ifindex))
    }
}
