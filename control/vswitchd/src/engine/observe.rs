//! What there is, as far as it concerns what is planned; and what follows from what the kernel says.

use crate::config::desired::{Desired, Kind, Rows, port_number};
use crate::host::Host;
use crate::host::links::Link;
use crate::netlink::kernel::Changes;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, Device, Dirty, Held, Observed, OpenLink};
use crate::underlay::Underlay;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Instant;
use uuid::Uuid;
use weft_wire::mac::MacAddr;

/// What there is, and what is wanted of it.
pub(super) struct Observer<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
    pub host: &'a mut Host,
    pub underlay: &'a mut Underlay,
}

impl Observer<'_> {
    /// Takes what depends on changes of the kernel to be dirty.  Returns the interfaces whose devices
    /// may be in another state, which is in their rows and in no plan.
    pub(super) fn follow_kernel(&mut self, dirty: &mut Dirty) -> Vec<Uuid> {
        let changes = self.host.take_changes();
        let facts = self.plan.ports.facts();
        let is_shared = |name: &str| facts.is_open_to_all() || facts.uses(name);
        dirty.all |= changes.is_all
            || changes.devices.iter().any(|(_, name)| is_shared(name))
            || changes.addresses.iter().any(|address| self.may_be_vtep(*address));
        let row = |(_, name): &(u32, String)| self.desired.linked_named(name);
        dirty.interfaces.extend(changes.devices.iter().filter_map(row));
        let states = changes.links().filter_map(row).collect();
        self.invalidate_ways(&changes);
        if self.underlay.ways.is_behind(Instant::now()) {
            dirty.interfaces.extend(self.underlay.resolve(&mut self.host.kernel, self.desired));
            self.underlay.ask_neighbours(&mut self.host.kernel);
        }
        states
    }

    /// True when tunnels may have to do with an address of this host: there are some, and it is not
    /// one of those that each device gets by itself, on one that tunnels do not use.
    fn may_be_vtep(&self, (ifindex, address): (u32, IpAddr)) -> bool {
        let facts = self.plan.ports.facts();
        let name = self.host.kernel.link(ifindex).map(|link| &link.name);
        let is_used = facts.is_open_to_all() || name.is_none_or(|name| facts.uses(name));
        !facts.has_no_tunnels() && (is_used || !is_automatic(address))
    }

    /// Has the ways of tunnels looked at anew that depend on what has changed.
    fn invalidate_ways(&mut self, changes: &Changes) {
        let any_link = changes.links().any(|(ifindex, name)| self.may_lead_away(*ifindex, name));
        let any_address = changes.addresses.iter().any(|address| self.may_be_vtep(*address));
        if changes.is_all || any_link || any_address {
            self.underlay.ways.invalidate(|_, _| true);
            return;
        }
        self.underlay.ways.invalidate(|remote, path| {
            let hop = path.egress.as_ref().map(|egress| egress.ifindex).zip(path.next_hop);
            let hops = path.asked.into_iter().chain(hop);
            let is_routed = |(target, len): &(IpAddr, u8)| {
                remote.is_some_and(|remote| is_within(remote, *target, *len))
            };
            hops.into_iter().any(|hop| changes.neighbours.contains(&hop))
                || changes.routes.iter().any(is_routed)
        });
    }

    /// False for a bridge port without addresses, but those that each device gets by itself, that no
    /// tunnel uses: no route leads there.
    fn may_lead_away(&self, ifindex: u32, name: &str) -> bool {
        let held = self.host.links.get(name).is_some_and(|link| link.held != Held::Underlay);
        !held
            || self.plan.ports.facts().uses(name)
            || !self.host.kernel.addresses_of(ifindex).all(is_automatic)
    }

    /// What there is for what is dirty.
    pub(super) fn observe(&mut self, rows: &impl Rows, dirty: &Dirty) -> Observed {
        let held = |row: &Uuid| match self.plan.ports.get(row) {
            None => Some((*row, port_number(rows, *row, "ofport")?)),
            Some(_) => None,
        };
        let mut ofports: HashMap<_, _> = dirty.interfaces.iter().filter_map(held).collect();
        if dirty.all {
            let linked = self.desired.linked().map(|(_, _, interface)| &interface.uuid);
            ofports.extend(linked.filter_map(held));
        }
        let observed = if dirty.all { self.observe_all() } else { self.observe_dirty(dirty) };
        Observed { ofports, ..observed }
    }

    /// All devices and links, and the way of each tunnel.  Takes the paths with it.
    fn observe_all(&mut self) -> Observed {
        let names: Vec<_> = self.host.links.iter().map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.host.sync_link(name);
        }
        self.underlay.resolve(&mut self.host.kernel, self.desired);
        self.underlay.ask_neighbours(&mut self.host.kernel);
        let outgrown = self.host.links.iter().filter(|(_, link)| is_outgrown(link));
        Observed {
            devices: self.host.kernel.links().map(device).collect(),
            open: self.host.links.iter().map(|(name, link)| (name.clone(), open(link))).collect(),
            outgrown: outgrown.map(|(name, _)| name.clone()).collect(),
            paths: std::mem::take(&mut self.underlay.paths),
            addresses: self.host.kernel.addresses().collect(),
            ofports: HashMap::new(),
            failed: self.host.failures.all().clone(),
            bridge_mtus: self.plan.bridge_mtus.clone(),
        }
    }

    /// The same for some interfaces.
    fn observe_dirty(&mut self, dirty: &Dirty) -> Observed {
        let mut paths = BTreeMap::new();
        let (mut names, mut nics) = (BTreeSet::new(), BTreeSet::new());
        for row in &dirty.interfaces {
            if let Some(port) = self.plan.ports.get(row)
                && port.carrier == Carrier::Link
            {
                names.insert(port.name.clone());
            }
            let Some((_, _, interface)) = self.desired.interface(row) else { continue };
            match &interface.kind {
                Kind::Patch(_) => {}
                Kind::Tunnel(tunnel) => {
                    let kernel = &mut self.host.kernel;
                    let path = self.underlay.path(kernel, row, &interface.name, tunnel);
                    names.extend(path.egress.as_ref().map(|egress| egress.name.clone()));
                    paths.insert(*row, path);
                }
                Kind::System => {
                    nics.insert(interface.name.clone());
                    names.insert(interface.name.clone());
                }
                Kind::Internal | Kind::Unusable(_) => drop(names.insert(interface.name.clone())),
            }
        }
        self.underlay.ask_for(&mut self.host.kernel, paths.values());
        for name in &names {
            self.host.sync_link(name);
        }
        let links: Vec<_> = names
            .iter()
            .filter_map(|name| Some((name, self.host.links.get(name)?)))
            .map(|(name, link)| (name.clone(), open(link)))
            .collect();
        let kernel = &self.host.kernel;
        let by_number = links.iter().filter_map(|(_, link)| kernel.link(link.ifindex));
        let by_name = nics.iter().filter_map(|name| kernel.link_named(name));
        let devices: BTreeMap<String, Device> = by_number.chain(by_name).map(device).collect();
        let ifindexes = devices.values().map(|device| device.ifindex);
        let outgrown =
            names.iter().filter(|name| self.host.links.get(name).is_some_and(is_outgrown));
        Observed {
            addresses: ifindexes
                .flat_map(|it| kernel.addresses_of(it).map(move |address| (it, address)))
                .collect(),
            devices,
            outgrown: outgrown.cloned().collect(),
            open: links.into_iter().collect(),
            paths,
            ofports: HashMap::new(),
            failed: self.host.failures.all().clone(),
            bridge_mtus: self.plan.bridge_mtus.clone(),
        }
    }

    /// Takes the paths back from a look.
    pub(super) fn keep_paths(&mut self, dirty: &Dirty, observed: &mut Observed) {
        let mut found = std::mem::take(&mut observed.paths);
        if dirty.all {
            self.underlay.paths = found;
            return;
        }
        for row in &dirty.interfaces {
            match found.remove(row) {
                Some(path) => drop(self.underlay.paths.insert(*row, path)),
                None => drop(self.underlay.paths.remove(row)),
            }
        }
    }
}

/// The device has a larger MTU by now than the queues of the link take.
fn is_outgrown(link: &Link) -> bool {
    link.held != Held::Tap && link.mtu > link.mtu_max
}

/// True for an address that each device gets by itself.
const fn is_automatic(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn is_within(address: IpAddr, target: IpAddr, len: u8) -> bool {
    let equal_bits = match (address, target) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    equal_bits >= u32::from(len)
}

fn device(link: &crate::netlink::kernel::Link) -> (String, Device) {
    let device = Device {
        ifindex: link.ifindex,
        mac: MacAddr(link.mac),
        mtu: link.mtu,
        is_loopback: link.is_loopback,
    };
    (link.name.clone(), device)
}

const fn open(link: &Link) -> OpenLink {
    OpenLink { held: link.held, ifindex: link.ifindex }
}
