//! From a plan to the workers: the next snapshot, and the order in which things come and go.
//!
//! # The only protocol between control and workers
//!
//! *Addition*: open the link, give its queues to workers, then publish a snapshot that names it.
//! Frames that come in before are dropped as `no_port`; none is ever sent to a link that is not
//! there.  *Removal* is the reverse, and takes two snapshots: first one that sends nothing to the
//! port any more; when every worker has installed it, the queues are taken back and closed; the
//! snapshot that follows may give the numbers to others.  A worker returns the snapshot that it
//! stops using, so that control frees it: nothing is freed on the fast path.

use crate::config::desired::{Bridge, Desired};
use crate::config::names::PortName;
use crate::config::tunnel::Tunnel;
use crate::coverage::Coverage;
use crate::host::links::{Link, Links};
use crate::lower::{Lower, mirrors};
use crate::plan::installed::Installed;
use crate::plan::path::{Path, State};
use crate::plan::{Carrier, Held, PlannedPort};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;
use uuid::Uuid;
use weft_protocols::tree::Gate;
use weft_switch::{
    BridgeConf, BridgeId, IfaceConf, IfaceId, IfaceKind, Ifaces, LinkConf, LinkId, LinkRole,
    NextHop, PortConf, PortId, Reach, Snapshot, SnapshotBuilder, TunnelConf, WorkerId,
};

/// Gives names small numbers and keeps them.
#[derive(Clone, Debug)]
pub struct Numbers<K> {
    by_key: HashMap<K, u16>,
    by_number: BTreeMap<u16, K>,
    /// Numbers that were taken back, all below `next`.
    free: BTreeSet<u16>,
    /// The lowest number that nobody ever had.
    next: u16,
}

impl<K: Ord + Clone + Hash> Numbers<K> {
    /// No names; numbers start at `first`.
    #[must_use]
    pub fn new(first: u16) -> Self {
        Self {
            by_key: HashMap::new(),
            by_number: BTreeMap::new(),
            free: BTreeSet::new(),
            next: first,
        }
    }

    /// The number of `key`, if it has one.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<u16> {
        self.by_key.get(key).copied()
    }

    /// All numbers with their names, in order.
    pub fn all(&self) -> impl Iterator<Item = (u16, &K)> {
        self.by_number.iter().map(|(number, key)| (*number, key))
    }

    /// Whose number this is.
    #[must_use]
    pub fn key(&self, number: u16) -> Option<&K> {
        self.by_number.get(&number)
    }

    /// Takes the numbers of all others back; returns them.
    pub fn keep_only(&mut self, stays: impl Fn(&K) -> bool) -> Vec<u16> {
        let mut gone = Vec::new();
        self.by_key.retain(|key, number| {
            let stays = stays(key);
            if !stays {
                gone.push(*number);
            }
            stays
        });
        for number in &gone {
            self.by_number.remove(number);
            self.free.insert(*number);
        }
        gone
    }

    /// Takes the number of `key` back, if it has one.
    pub fn take_back(&mut self, key: &K) -> Option<u16> {
        let number = self.by_key.remove(key)?;
        self.by_number.remove(&number);
        self.free.insert(number);
        Some(number)
    }

    /// The number of `key`, and whether it is new.  The lowest free one is taken; none when all below
    /// [`u16::MAX`], which stands for nobody in the datapath, are in use.
    pub fn give(&mut self, key: &K) -> Option<(u16, bool)> {
        if let Some(number) = self.get(key) {
            return Some((number, false));
        }
        let number = match self.free.pop_first() {
            Some(number) => number,
            None if self.next < u16::MAX => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        self.by_key.insert(key.clone(), number);
        self.by_number.insert(number, key.clone());
        Some((number, true))
    }
}

/// All numbers that snapshots are made of.
#[derive(Clone, Debug)]
pub struct Ids {
    /// Bridges by row.
    pub bridges: Numbers<Uuid>,
    /// Ports by name: what bridges go by.
    pub ports: Numbers<PortName>,
    /// Interfaces by row: what counts frames, and what `dpctl` shows as ports.
    pub ifaces: Numbers<Uuid>,
    /// Mirrors by row.
    pub mirrors: Numbers<Uuid>,
    /// Split-horizon groups by name; 0 is no group.
    pub groups: Numbers<String>,
    /// Numbers of outer packets, which go on from snapshot to snapshot.
    pub outer: weft_switch::Numbers,
    /// UDP ports that tunnels send from, first and last: `tnl/egress_port_range`.
    pub source_ports: (u16, u16),
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            bridges: Numbers::new(0),
            ports: Numbers::new(0),
            ifaces: Numbers::new(0),
            mirrors: Numbers::new(0),
            groups: Numbers::new(1),
            outer: weft_switch::Numbers::default(),
            source_ports: weft_switch::tunnel::SOURCE_PORTS,
        }
    }
}

impl Ids {
    /// The number of a port.
    #[must_use]
    pub fn port(&self, name: &PortName) -> Option<PortId> {
        self.ports.get(name).map(PortId)
    }

    /// The number of an interface.
    #[must_use]
    pub fn iface(&self, row: &Uuid) -> Option<IfaceId> {
        self.ifaces.get(row).map(IfaceId)
    }

    /// The row of an interface.
    #[must_use]
    pub fn row(&self, iface: IfaceId) -> Option<&Uuid> {
        self.ifaces.key(iface.0)
    }

    /// The number of a bridge.
    #[must_use]
    pub fn bridge(&self, row: &Uuid) -> Option<BridgeId> {
        self.bridges.get(row).map(BridgeId)
    }
}

/// What control protocols say of a bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgeGate {
    /// Addresses are forgotten after so many seconds, while a topology change lasts.
    pub fdb_age_secs: Option<u32>,
    /// Frames of a spanning tree are taken from the bridge.
    pub takes_bpdus: bool,
    /// The number in the probes of its loop guard, if it has one.
    pub loop_guard: Option<u64>,
}

/// What control protocols let ports and bridges do: snapshots obey it.
pub trait Gates {
    /// What a port of a bridge may do with data frames.
    fn port(&self, bridge: &str, port: PortId) -> Gate;

    /// What they say of a bridge.
    fn bridge(&self, bridge: &str) -> BridgeGate;
}

/// What snapshots are made of, and the workers that they go to.
pub struct Publisher<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What is planned.
    pub plan: &'a Installed,
    /// What keeps ports from forwarding.
    pub gates: &'a dyn Gates,
    /// Open links.
    pub links: &'a mut Links,
    /// The workers.
    pub lower: &'a mut Lower,
    /// Counts snapshots.
    pub coverage: &'a mut Coverage,
}

impl Publisher<'_> {
    /// Looks at all ports anew, then as [`Publisher::install`].
    pub fn install_all(&mut self) {
        for port in &self.plan.ports {
            self.lower.mark_port(&port.port);
        }
        self.install();
    }

    /// Sends the next snapshot to the workers, unless the one that they have is as good.
    /// [`Lower::is_in_force`] says when they forward by it.
    pub fn install(&mut self) {
        let touched = std::mem::take(&mut self.lower.dirty);
        let changed = self.links.take_changed();
        let Some(snapshot) = self.snapshot(&touched, changed) else { return };
        self.coverage.add("snapshot_installed", 1);
        self.lower.install(snapshot);
        let rows: BTreeSet<_> = self.desired.bridges.values().map(|bridge| bridge.uuid).collect();
        self.lower.bridges_since.retain(|row, _| rows.contains(row));
        for row in rows {
            self.lower.bridges_since.entry(row).or_insert_with(Instant::now);
        }
    }

    /// The next snapshot: bridges as they are now, ports and links as in the one in use but for those in
    /// `touched` and `changed`.  None when it would forward in the same way.
    fn snapshot(
        &self,
        touched: &BTreeSet<PortId>,
        mut changed: BTreeSet<LinkId>,
    ) -> Option<Snapshot> {
        let Self { desired, plan, gates, .. } = self;
        let Lower { ids, snapshot, .. } = &*self.lower;
        let mut builder = SnapshotBuilder::edit(snapshot);
        builder.reads_inner_tags(desired.reads_inner_tags);
        let bridges = desired.bridges.values().filter_map(|bridge| {
            Some((ids.bridge(&bridge.uuid)?, bridge_conf(bridge, ids, *gates)))
        });
        builder.bridges(bridges);
        for id in touched {
            // Whose frames those of a link are has changed with the port.
            let before = snapshot.port(*id).into_iter().flat_map(|port| port.ifaces.iter());
            changed.extend(before.filter_map(|(_, iface)| iface.link()));
            let planned = self.planned(*id).filter(|port| port.carrier == Carrier::Link);
            let links = planned.filter_map(|port| self.links.get(&port.name));
            changed.extend(links.map(|link| link.id));
        }
        for id in changed {
            let conf = self.links.numbered(id);
            match conf.and_then(|(name, link)| link_conf(plan, ids, name, link)) {
                Some(conf) => builder.link(id, conf),
                None => builder.drop_link(id),
            };
        }
        for id in touched {
            match self.port_conf(*id) {
                Some(conf) => builder.port(*id, conf),
                None => builder.drop_port(*id),
            };
        }
        builder.build_if_changed()
    }

    /// The planned interfaces of a port.
    fn planned(&self, id: PortId) -> impl Iterator<Item = &PlannedPort> {
        let name = self.lower.ids.ports.key(id.0);
        name.into_iter().flat_map(|name| self.plan.ports.of_port(name))
    }

    fn port_conf(&self, id: PortId) -> Option<PortConf> {
        let ids = &self.lower.ids;
        let port = self.planned(id).next()?;
        let row = self.desired.bridges.get(&port.bridge)?;
        let iface = |port: &PlannedPort| {
            let mut conf = IfaceConf::new(kind(port, row.clamps_mss(), self.links, ids)?);
            conf.vtep = port.vtep.clone().map(Box::new);
            Some((ids.iface(&port.interface)?, conf))
        };
        let ifaces = Ifaces::of(self.planned(id).filter_map(iface))?;
        let mut conf = PortConf::with(ids.bridge(&row.uuid)?, ifaces);
        conf.vlan = port.vlan.clone();
        let group = port.split_horizon.as_ref().and_then(|group| ids.groups.get(group));
        conf.split_horizon = group.unwrap_or(0);
        let gate = self.gates.port(&port.bridge, id);
        (conf.forwards, conf.learns) = (gate.forwards, gate.learns);
        Some(conf)
    }
}

fn kind(port: &PlannedPort, clamps_mss: bool, links: &Links, ids: &Ids) -> Option<IfaceKind> {
    match &port.carrier {
        Carrier::Link => Some(IfaceKind::Link(links.get(&port.name)?.id)),
        Carrier::Tunnel(conf, path) => {
            let mut conf = tunnel(conf, path, links);
            conf.source_ports = ids.source_ports;
            conf.clamps_mss = clamps_mss;
            Some(IfaceKind::Tunnel(Box::new(conf)))
        }
        Carrier::Patch { other, .. } => {
            Some(IfaceKind::Patch(other.and_then(|other| ids.iface(&other))))
        }
    }
}

fn bridge_conf(bridge: &Bridge, ids: &Ids, gates: &dyn Gates) -> BridgeConf {
    let gate = gates.bridge(&bridge.name);
    BridgeConf {
        fdb_age_secs: gate.fdb_age_secs.unwrap_or(bridge.fdb_age_secs),
        takes_bpdus: gate.takes_bpdus,
        fdb_entries_max: bridge.fdb_entries_max,
        forward_reserved: bridge.forward_reserved,
        loop_guard: gate.loop_guard,
        forwards: bridge.forwards,
        flood_vlans: bridge.flood_vlans.clone().map(Box::new),
        mirrors: mirrors::confs(bridge, ids),
    }
}

fn link_conf(plan: &Installed, ids: &Ids, name: &str, link: &Link) -> Option<LinkConf> {
    let role = match link.held {
        Held::Underlay => LinkRole::Underlay,
        Held::Tap | Held::Port => {
            let port = plan.ports.by_device(name)?;
            LinkRole::Iface(ids.iface(&port.interface)?)
        }
    };
    Some(LinkConf {
        role,
        // The MTU of an internal port is that of what it sends; a TAP takes what comes.  So a guest
        // on the bridge of a tunnel may go on to use the whole MTU with the host.
        mtu: if link.held == Held::Tap { link.mtu.max(link.mtu_max) } else { link.mtu },
        completes_checksums: link.has_partial_checksums,
        worker: link.workers.first().copied().unwrap_or(WorkerId(0)),
    })
}

fn tunnel(tunnel: &Tunnel, path: &Path, links: &Links) -> TunnelConf {
    let mut conf = tunnel.conf();
    conf.reach = reach(path, links);
    conf
}

fn reach(path: &Path, links: &Links) -> Reach {
    let Some(egress) = &path.egress else { return Reach::Unreachable };
    let Some(link) = links.get(&egress.name).filter(|link| link.held != Held::Port) else {
        return Reach::Unreachable;
    };
    match (&path.state, path.source) {
        (State::Ready(target_mac), Some(source)) => Reach::Ready(NextHop {
            link: link.id,
            source,
            source_mac: egress.mac,
            target_mac: *target_mac,
            mtu: path.mtu,
        }),
        (State::Resolving, _) => Reach::Resolving,
        _ => Reach::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_and_reused() {
        let mut numbers = Numbers::new(1);
        assert_eq!(numbers.give(&"a"), Some((1, true)));
        assert_eq!(numbers.give(&"b"), Some((2, true)));
        assert_eq!(numbers.give(&"a"), Some((1, false)));
        assert_eq!(numbers.keep_only(|key| *key == "b"), [1]);
        assert_eq!(numbers.give(&"c"), Some((1, true)));
        assert_eq!(numbers.key(2), Some(&"b"));
    }

    #[test]
    fn no_number_is_shared() {
        let last = u16::MAX - 1;
        let mut numbers = Numbers::new(last);
        assert_eq!(numbers.give(&"a"), Some((last, true)));
        assert_eq!(numbers.give(&"b"), None);
        assert_eq!((numbers.get(&"b"), numbers.key(last)), (None, Some(&"a")));
        assert_eq!(numbers.take_back(&"a"), Some(last));
        assert_eq!(numbers.give(&"b"), Some((last, true)));
        assert_eq!(numbers.give(&"c"), None);
    }
}
