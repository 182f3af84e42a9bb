//! What there is, as far as it concerns what is planned; and what follows from news of the kernel.

use super::Engine;
use crate::config::desired::{Kind, Rows, port_number};
use crate::config::tunnel_options::Tunnel;
use crate::host::kernel::{Changes, Kernel};
use crate::host::links::Link;
use crate::lower::workers::WorkerError;
use crate::plan::{Carrier, Device, Held, Observed, OpenLink, Scope};
use crate::underlay::path_mtu::PathMtus;
use crate::underlay::tunnels::{self, Path, State};
use crate::underlay::ways::Ways;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_wire::mac::MacAddr;

/// A neighbour is asked for again after so long, when the kernel has news of it: its entry may be
/// deleted while it is resolved.  Without news, the loop's own interval of a second counts.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A neighbour whose address was not confirmed lately is confirmed this often.
const CONFIRM_AGAIN: Duration = Duration::from_secs(15);

impl Engine {
    /// Takes in that the kernel's tables are other than they were.
    ///
    /// # Errors
    /// When a worker is stuck.
    pub fn note_changes(&mut self, changes: Changes) -> Result<(), WorkerError> {
        let names: BTreeSet<String> = if changes.is_all {
            self.links.iter().map(|(name, _)| name.clone()).collect()
        } else {
            changes.links().map(|(_, name)| name.clone()).collect()
        };
        self.changes.add(changes);
        self.note_carriers(&names)
    }

    /// True when something has changed in the kernel, or by time alone, that was not looked at yet.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.ways.is_behind(Instant::now())
    }

    /// Takes what depends on changes of the kernel into the scope.
    pub(super) fn follow_kernel(&mut self, scope: &mut Scope) {
        let changes = std::mem::take(&mut self.changes);
        let common = self.plan.ports.common();
        let is_shared = |name: &str| common.is_open_to_all() || common.uses(name);
        scope.linked |= changes.is_all
            || changes.devices.iter().any(|(_, name)| is_shared(name))
            || changes.addresses.iter().any(|address| self.may_be_vtep(*address));
        let row = |(_, name): &(u32, String)| self.desired.linked_named(name);
        scope.rows.extend(changes.devices.iter().filter_map(row));
        // The state of a device is in its row, and in no plan.
        let told: Vec<_> = changes.links().filter_map(row).collect();
        self.untold.extend(told);
        self.invalidate_ways(&changes);
        if self.ways.is_behind(Instant::now()) {
            scope.rows.extend(self.resolve_paths());
            self.ask_neighbours();
        }
    }

    /// True when tunnels may have to do with an address of this host: there are some, and it is not
    /// one of those that each device gets by itself, on one that tunnels do not use.
    fn may_be_vtep(&self, (ifindex, address): (u32, IpAddr)) -> bool {
        let common = self.plan.ports.common();
        let name = self.kernel.link(ifindex).map(|link| &link.name);
        let is_used = common.is_open_to_all() || name.is_none_or(|name| common.uses(name));
        !common.is_empty() && (is_used || !is_automatic(address))
    }

    /// Has the ways of tunnels looked at anew that depend on what has changed.
    fn invalidate_ways(&mut self, changes: &Changes) {
        let any_link = changes.links().any(|(ifindex, name)| self.may_lead_away(*ifindex, name));
        let any_address = changes.addresses.iter().any(|address| self.may_be_vtep(*address));
        if changes.is_all || any_link || any_address {
            self.ways.invalidate(|_, _| true);
            return;
        }
        self.ways.invalidate(|remote, path| {
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
        let held = self.links.get(name).is_some_and(|link| link.held != Held::Underlay);
        !held
            || self.plan.ports.common().uses(name)
            || !self.kernel.addresses_of(ifindex).all(is_automatic)
    }

    /// What there is for the interfaces of a scope.
    pub(super) fn observe(&mut self, rows: &impl Rows, scope: &Scope) -> Observed {
        let held = |row: &Uuid| match self.plan.ports.get(row) {
            None => Some((*row, port_number(rows, *row, "ofport")?)),
            Some(_) => None,
        };
        let mut ofports: HashMap<_, _> = scope.rows.iter().filter_map(held).collect();
        if scope.linked {
            let linked = self.desired.linked().map(|(_, _, interface)| &interface.uuid);
            ofports.extend(linked.filter_map(held));
        }
        let observed = if scope.linked { self.observe_all() } else { self.observe_rows(scope) };
        Observed { ofports, ..observed }
    }

    /// All devices and links, and the way of each tunnel.  Takes the paths with it.
    fn observe_all(&mut self) -> Observed {
        let names: Vec<_> = self.links.iter().map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.sync_link(name);
        }
        self.resolve_paths();
        self.ask_neighbours();
        let is_outgrown = |link: &Link| link.held != Held::Tap && link.mtu > link.mtu_max;
        let outgrown = self.links.iter().filter(|(_, link)| is_outgrown(link));
        Observed {
            devices: self.kernel.links().map(device).collect(),
            open: self.links.iter().map(|(name, link)| (name.clone(), open(link))).collect(),
            outgrown: outgrown.map(|(name, _)| name.clone()).collect(),
            paths: std::mem::take(&mut self.paths),
            addresses: self.kernel.addresses().collect(),
            ofports: HashMap::new(),
            failed: self.failed.clone(),
            bridge_mtus: self.plan.bridge_mtus.clone(),
        }
    }

    /// The same for some interfaces.
    fn observe_rows(&mut self, scope: &Scope) -> Observed {
        let mut paths = BTreeMap::new();
        let mut names = BTreeSet::new();
        for row in &scope.rows {
            if let Some(port) = self.plan.ports.get(row)
                && port.carrier == Carrier::Link
            {
                names.insert(port.name.clone());
            }
            let Some((_, _, interface)) = self.desired.interface(row) else { continue };
            match &interface.kind {
                Kind::Patch(_) => {}
                Kind::Tunnel(tunnel) => {
                    let path = way(&mut self.kernel, &mut self.ways, &self.path_mtus, tunnel);
                    if self.paths.get(row).map(|old| &old.state) != Some(&path.state) {
                        log_path(&interface.name, path);
                    }
                    let path = path.clone();
                    names.extend(path.egress.as_ref().map(|egress| egress.name.clone()));
                    paths.insert(*row, path);
                }
                _ => drop(names.insert(interface.name.clone())),
            }
        }
        self.ask(paths.values().filter_map(wanted_hop).collect());
        for name in &names {
            self.sync_link(name);
        }
        let links: Vec<_> = names
            .iter()
            .filter_map(|name| Some((name, self.links.get(name)?)))
            .map(|(name, link)| (name.clone(), open(link)))
            .collect();
        let ifindexes = links.iter().map(|(_, link)| link.ifindex);
        Observed {
            devices: ifindexes
                .clone()
                .filter_map(|ifindex| self.kernel.link(ifindex))
                .map(device)
                .collect(),
            addresses: ifindexes
                .flat_map(|it| self.kernel.addresses_of(it).map(move |address| (it, address)))
                .collect(),
            open: links.into_iter().collect(),
            paths,
            failed: self.failed.clone(),
            bridge_mtus: self.plan.bridge_mtus.clone(),
            ..Observed::default()
        }
    }

    /// Takes the paths back from a look.
    pub(super) fn keep_paths(&mut self, scope: &Scope, observed: &mut Observed) {
        let mut found = std::mem::take(&mut observed.paths);
        if scope.linked {
            self.paths = found;
            return;
        }
        for row in &scope.rows {
            match found.remove(row) {
                Some(path) => drop(self.paths.insert(*row, path)),
                None => drop(self.paths.remove(row)),
            }
        }
    }

    /// Takes over the MTU that a device has now.
    pub(crate) fn sync_link(&mut self, name: &str) {
        if let Some(mtu) = self.device(name).map(|device| device.mtu) {
            self.links.set_mtu(name, mtu);
        }
    }

    /// Finds the way of every tunnel; returns those whose way is another than before.
    fn resolve_paths(&mut self) -> BTreeSet<Uuid> {
        let mut before = std::mem::take(&mut self.paths);
        let mut moved = BTreeSet::new();
        self.ways.begin(Instant::now());
        for (_, _, interface) in self.desired.linked() {
            let Kind::Tunnel(tunnel) = &interface.kind else { continue };
            let path = way(&mut self.kernel, &mut self.ways, &self.path_mtus, tunnel);
            let old = before.remove(&interface.uuid);
            if old.as_ref().map(|old| &old.state) != Some(&path.state) {
                log_path(&interface.name, path);
            }
            if !old.as_ref().is_some_and(|old| old.leads_as(path)) {
                moved.insert(interface.uuid);
            }
            let kept = old.filter(|old| old == path).unwrap_or_else(|| path.clone());
            self.paths.insert(interface.uuid, kept);
        }
        self.ways.end();
        moved
    }

    /// Asks for next hops that are not known, and confirms those that were not lately.
    pub fn ask_neighbours(&mut self) {
        self.ask(self.ways.paths().filter_map(wanted_hop).collect());
        self.asked.retain(|_, at| at.elapsed() < CONFIRM_AGAIN * 2);
    }

    /// Asks for these, unless that was done less than the pause of each ago.
    fn ask(&mut self, hops: BTreeMap<(u32, IpAddr), Duration>) {
        for (hop, pause) in hops {
            if self.asked.get(&hop).is_some_and(|at| at.elapsed() <= pause) {
                continue;
            }
            self.asked.insert(hop, Instant::now());
            let (ifindex, next_hop) = hop;
            if let Err(error) = self.kernel.ask_neighbour(ifindex, next_hop) {
                tracing::debug!("asking for {next_hop}: {error}");
            }
        }
    }
}

/// The way of a tunnel; asks the kernel when its tables may lead elsewhere now.
fn way<'a>(
    kernel: &mut Kernel,
    ways: &'a mut Ways,
    path_mtus: &PathMtus,
    tunnel: &Tunnel,
) -> &'a Path {
    ways.get_or(tunnel, Instant::now(), || {
        let mut fresh = tunnels::resolve(kernel, tunnel);
        path_mtus.lower(&mut fresh, tunnel.remote);
        let kernel = &*kernel;
        (fresh, move |old: &Path| tunnels::is_usable(kernel, old))
    })
}

/// The neighbour that a way has to be asked for, and the pause between two times.
fn wanted_hop(path: &Path) -> Option<((u32, IpAddr), Duration)> {
    let pause = match &path.state {
        _ if path.is_held => ASK_AGAIN,
        State::Ready(_) if path.is_stale => CONFIRM_AGAIN,
        State::Ready(_) => return None,
        State::Resolving | State::Unreachable(_) => ASK_AGAIN,
    };
    Some((path.asked?, pause))
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

fn device(link: &crate::host::kernel::Link) -> (String, Device) {
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

fn log_path(name: &str, path: &Path) {
    match &path.state {
        State::Ready(mac) => {
            let egress = path.egress.as_ref().map_or("?", |egress| &egress.name);
            let hop = path.next_hop.map(|hop| hop.to_string()).unwrap_or_default();
            tracing::info!("{name}: next hop {hop} on {egress} is {mac}");
        }
        State::Resolving => tracing::info!("{name}: asking for the next hop"),
        State::Unreachable(reason) => tracing::info!("{name}: {reason}"),
    }
}
