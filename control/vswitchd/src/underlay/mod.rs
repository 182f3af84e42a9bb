//! The underlay: where packets of tunnels go, and what is heard of it.

pub mod dead_ends;
pub mod hop_probe;
pub(crate) mod icmp_errors;
pub mod path_cache;
pub mod path_mtu;
pub mod tunnels;

use crate::config::desired::{Desired, Kind};
use crate::config::tunnel::Tunnel;
use crate::netlink::kernel::Kernel;
use crate::plan::path::{Path, State};
use dead_ends::DeadEnds;
use hop_probe::HopProbe;
use path_cache::PathCache;
use path_mtu::PathMtus;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A neighbour is asked for again after so long, when the kernel has news of it: its entry may be
/// deleted while it is resolved.  Without news, the loop's own interval of a second counts.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A neighbour whose address was not confirmed lately is confirmed this often.
const CONFIRM_AGAIN: Duration = Duration::from_secs(15);

/// A neighbour: the number of its device, and its address.
pub(crate) type Hop = (u32, IpAddr);

/// Where the packets of tunnels go.
#[derive(Default)]
pub struct Underlay {
    /// The way of each tunnel.
    pub paths: BTreeMap<Uuid, Path>,
    /// What those ways were before.
    pub ways: PathCache,
    /// What routers say of path MTUs.
    pub path_mtus: PathMtus,
    /// What they say of tunnels whose packets lead nowhere.
    pub dead_ends: DeadEnds,
    /// Next hops that do not answer.
    pub(crate) hop_probe: HopProbe,
    /// When each next hop was asked for last.
    asked: BTreeMap<Hop, Instant>,
}

impl Underlay {
    /// The way of a tunnel; asks the kernel when its tables may lead elsewhere now.
    pub fn way(&mut self, kernel: &mut Kernel, tunnel: &Tunnel) -> &Path {
        let path_mtus = &self.path_mtus;
        self.ways.get_or(tunnel, Instant::now(), || {
            let mut fresh = tunnels::resolve(kernel, tunnel);
            path_mtus.lower(&mut fresh, tunnel.remote);
            let kernel = &*kernel;
            (fresh, move |old: &Path| tunnels::is_usable(kernel, old))
        })
    }

    /// The way of the tunnel in a row, and a log line when it is in another state than before.
    pub fn path(&mut self, kernel: &mut Kernel, row: &Uuid, name: &str, tunnel: &Tunnel) -> Path {
        let path = self.way(kernel, tunnel).clone();
        if self.paths.get(row).map(|old| &old.state) != Some(&path.state) {
            log_path(name, &path);
        }
        path
    }

    /// Finds the way of every tunnel; returns those whose way is another than before.
    pub fn resolve(&mut self, kernel: &mut Kernel, desired: &Desired) -> BTreeSet<Uuid> {
        let mut before = std::mem::take(&mut self.paths);
        let mut moved = BTreeSet::new();
        self.ways.begin(Instant::now());
        for (_, _, interface) in desired.linked() {
            let Kind::Tunnel(tunnel) = &interface.kind else { continue };
            let path = self.way(kernel, tunnel);
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
    pub fn ask_neighbours(&mut self, kernel: &mut Kernel) {
        let hops = self.ways.paths().filter_map(wanted_hop).collect();
        self.ask(kernel, hops);
        self.asked.retain(|_, at| at.elapsed() < CONFIRM_AGAIN * 2);
    }

    /// Asks for the next hops of these ways, where they are not known.
    pub fn ask_for<'a>(&mut self, kernel: &mut Kernel, paths: impl Iterator<Item = &'a Path>) {
        self.ask(kernel, paths.filter_map(wanted_hop).collect());
    }

    /// Asks for these, unless that was done less than the pause of each ago.
    fn ask(&mut self, kernel: &mut Kernel, hops: BTreeMap<Hop, Duration>) {
        for (hop, pause) in hops {
            if self.asked.get(&hop).is_some_and(|at| at.elapsed() <= pause) {
                continue;
            }
            self.asked.insert(hop, Instant::now());
            ask(kernel, hop);
        }
    }

    /// Frames of this tunnel wait for its next hop.
    pub fn want_next_hop(&self, kernel: &mut Kernel, tunnel: &Uuid) {
        let path = self.paths.get(tunnel);
        let hop = path.and_then(|path| Some((path.egress.as_ref()?.ifindex, path.next_hop?)));
        if let Some(hop) = hop {
            ask(kernel, hop);
        }
    }
}

fn ask(kernel: &mut Kernel, (ifindex, next_hop): Hop) {
    if let Err(error) = kernel.ask_neighbour(ifindex, next_hop) {
        tracing::debug!("asking for {next_hop}: {error}");
    }
}

/// The neighbour that a way has to be asked for, and the pause between two times.
fn wanted_hop(path: &Path) -> Option<(Hop, Duration)> {
    let pause = match &path.state {
        _ if path.is_held => ASK_AGAIN,
        State::Ready(_) if path.is_stale => CONFIRM_AGAIN,
        State::Ready(_) => return None,
        State::Resolving | State::Unreachable(_) => ASK_AGAIN,
    };
    Some((path.asked?, pause))
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
