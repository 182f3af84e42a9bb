//! Making snapshots: from nothing, or from the one before, at the price of what is other.

use super::chunked::Chunked;
use super::{
    BridgeConf, FloodLists, IfaceKind, LinkConf, LinkRole, PortConf, Snapshot, VlanMembers,
};
use crate::bridge::{MIRRORS_MAX, PortMirrors};
use crate::tunnel::{Entry, Template};
use crate::{BridgeId, IfaceId, Ingress, LinkId, PortId, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_wire::vid::Vid;

/// Collects the parts of a [`Snapshot`], then works out flood lists and the tunnel table.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    snapshot: Snapshot,
    /// What ports are to be; none for those that go.
    touched: BTreeMap<PortId, Option<PortConf>>,
    has_changed: bool,
    links_changed: BTreeSet<LinkId>,
    /// Tunnels that are not what they were, and what they are.
    tunnels_gone: Vec<Entry>,
    tunnels_come: Vec<Entry>,
}

fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    if let Some(slot) = table.get_mut(index) {
        *slot = Some(value);
    }
}

impl SnapshotBuilder {
    /// An empty configuration.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { snapshot: Snapshot { epoch, ..Snapshot::default() }, ..Self::default() }
    }

    /// The configuration of `before`, as the next epoch.
    #[must_use]
    pub fn edit(before: &Snapshot) -> Self {
        let snapshot = Snapshot { epoch: before.epoch + 1, ..before.clone() };
        Self { snapshot, ..Self::default() }
    }

    /// Lets the second tag of a frame be read, `other_config:vlan-limit` other than 1.
    pub fn reads_inner_tags(&mut self, reads: bool) -> &mut Self {
        self.has_changed |= self.snapshot.reads_inner_tags != reads;
        self.snapshot.reads_inner_tags = reads;
        self
    }

    /// Adds or replaces a bridge.
    pub fn bridge(&mut self, id: BridgeId, conf: BridgeConf) -> &mut Self {
        let mut all = self.snapshot.bridges.clone();
        put(&mut all, id.index(), conf);
        self.replace_bridges(all)
    }

    /// All bridges that there are.
    pub fn bridges(&mut self, bridges: impl Iterator<Item = (BridgeId, BridgeConf)>) -> &mut Self {
        let mut all = Vec::new();
        bridges.for_each(|(id, conf)| put(&mut all, id.index(), conf));
        self.replace_bridges(all)
    }

    fn replace_bridges(&mut self, mut all: Vec<Option<BridgeConf>>) -> &mut Self {
        for bridge in all.iter_mut().flatten() {
            bridge.mirrors.truncate(MIRRORS_MAX);
        }
        if all == self.snapshot.bridges {
            return self;
        }
        self.has_changed = true;
        let before = std::mem::replace(&mut self.snapshot.bridges, all);
        let mirrors = |of: &[Option<BridgeConf>], index: usize| {
            of.get(index).and_then(Option::as_ref).map(|bridge| bridge.mirrors.clone())
        };
        for index in 0..before.len().max(self.snapshot.bridges.len()) {
            let (was, is) = (mirrors(&before, index), mirrors(&self.snapshot.bridges, index));
            if was.unwrap_or_default() != is.unwrap_or_default() {
                self.touch_ports(|port| port.bridge.index() == index);
            }
        }
        self
    }

    /// Looks anew at ports that are there.
    fn touch_ports(&mut self, which: impl Fn(&PortConf) -> bool) {
        for (id, port) in self.snapshot.ports.iter().filter(|(_, port)| which(port)) {
            self.touched.entry(PortId(id)).or_insert_with(|| Some(port.clone()));
        }
    }

    /// Adds or replaces a port with all its interfaces.  An interface is in one port: what moves to
    /// another is to be given together with the port that it leaves, as are two patch ports that are
    /// each other's peers.
    pub fn port(&mut self, id: PortId, mut conf: PortConf) -> &mut Self {
        for iface in conf.ifaces.iter_mut() {
            if let IfaceKind::Tunnel(tunnel) = &mut iface.kind {
                tunnel.template = Template::new(tunnel);
            }
        }
        self.touched.insert(id, Some(conf));
        self
    }

    /// Takes a port out.
    pub fn drop_port(&mut self, id: PortId) -> &mut Self {
        self.touched.insert(id, None);
        self
    }

    /// Adds or replaces a link.
    pub fn link(&mut self, id: LinkId, conf: LinkConf) -> &mut Self {
        self.edit_link(id, Some(conf))
    }

    /// Takes a link out.
    pub fn drop_link(&mut self, id: LinkId) -> &mut Self {
        self.edit_link(id, None)
    }

    fn edit_link(&mut self, id: LinkId, conf: Option<LinkConf>) -> &mut Self {
        let links = &mut self.snapshot.links;
        if links.get(id.index()).and_then(Option::as_ref) == conf.as_ref() {
            return self;
        }
        if links.len() <= id.index() {
            links.resize_with(id.index() + 1, || None);
        }
        if let Some(slot) = links.get_mut(id.index()) {
            *slot = conf;
        }
        while links.last().is_some_and(Option::is_none) {
            links.pop();
        }
        self.has_changed = true;
        self.links_changed.insert(id);
        self
    }

    /// The finished snapshot.
    #[must_use]
    pub fn build(mut self) -> Snapshot {
        self.finish();
        self.snapshot
    }

    /// The finished snapshot; none when nothing is other than in the one before.
    #[must_use]
    pub fn build_if_changed(mut self) -> Option<Snapshot> {
        self.finish();
        self.has_changed.then_some(self.snapshot)
    }

    fn finish(&mut self) {
        self.part_from_absent_peers();
        self.touch_tunnels_by_changed_links();
        for (id, mut conf) in std::mem::take(&mut self.touched) {
            if let Some(conf) = &mut conf {
                self.mark_mirrors(id, conf);
                self.enter_bridge(conf);
            }
            if self.snapshot.ports.get(id.index()) != conf.as_ref() {
                self.has_changed = true;
                self.replace(id, conf);
            }
        }
        if !self.tunnels_gone.is_empty() || !self.tunnels_come.is_empty() {
            let table = Arc::make_mut(&mut self.snapshot.tunnels);
            table.edit(self.tunnels_gone.drain(..), self.tunnels_come.drain(..));
        }
        let bridges = &self.snapshot.bridges;
        let slots = bridges.len().max(self.snapshot.floods.len());
        let has = |of: fn(&BridgeConf) -> bool| bridges.iter().flatten().any(of);
        let guards_loops = has(|bridge| bridge.loop_guard.is_some());
        let has_mirrors = has(|bridge| !bridge.mirrors.is_empty());
        (self.snapshot.guards_loops, self.snapshot.has_mirrors) = (guards_loops, has_mirrors);
        self.snapshot.floods.resize_with(slots, Arc::default);
    }

    /// What the packets of a tunnel enter depends on the link that they leave by.
    fn touch_tunnels_by_changed_links(&mut self) {
        if self.links_changed.is_empty() {
            return;
        }
        for id in &self.snapshot.tunnel_ports {
            let Some(port) = self.snapshot.ports.get(id.index()) else { continue };
            let leaves_by_changed = port.tunnels().any(|(_, tunnel)| {
                matches!(tunnel.reach, Reach::Ready(hop) if self.links_changed.contains(&hop.link))
            });
            if leaves_by_changed {
                self.touched.entry(*id).or_insert_with(|| Some(port.clone()));
            }
        }
    }

    /// A patch port whose peer is not in the snapshot has none.
    fn part_from_absent_peers(&mut self) {
        let before = self.touched.keys().filter_map(|id| self.snapshot.ports.get(id.index()));
        let peers = before.flat_map(|port| port.ifaces.iter()).filter_map(|(_, was)| was.peer());
        let left: Vec<IfaceId> = peers.collect();
        for peer in left {
            let home = self.snapshot.ingress(peer).port;
            if let Some(port) = self.snapshot.ports.get(home.index()) {
                self.touched.entry(home).or_insert_with(|| Some(port.clone()));
            }
        }
        let given = self.touched.values().flatten().flat_map(|port| port.ifaces.iter());
        let given: BTreeSet<IfaceId> = given.map(|(id, _)| id).collect();
        let Self { touched, snapshot, .. } = self;
        let stays = |peer: &IfaceId, touched: &BTreeSet<PortId>| {
            let home = snapshot.ingress(*peer).port;
            home != Ingress::NO_PORT && !touched.contains(&home)
        };
        let places: BTreeSet<PortId> = touched.keys().copied().collect();
        let ifaces = touched.values_mut().flatten().flat_map(|port| port.ifaces.iter_mut());
        for iface in ifaces {
            if let IfaceKind::Patch(peer) = &mut iface.kind {
                *peer = peer.filter(|peer| given.contains(peer) || stays(peer, &places));
            }
        }
    }

    /// Tells a port which mirrors watch it.
    fn mark_mirrors(&self, id: PortId, conf: &mut PortConf) {
        let bridge = self.snapshot.bridges.get(conf.bridge.index()).and_then(Option::as_ref);
        let mirrors = bridge.map(|bridge| &bridge.mirrors).filter(|mirrors| !mirrors.is_empty());
        conf.mirrors =
            mirrors.map_or_else(PortMirrors::default, |mirrors| PortMirrors::of(id, mirrors));
    }

    /// Packets of a tunnel whose next hop is behind an internal interface enter the bridge of that one.
    fn enter_bridge(&self, conf: &mut PortConf) {
        for iface in conf.ifaces.iter_mut() {
            let IfaceKind::Tunnel(tunnel) = &mut iface.kind else { continue };
            let Reach::Ready(next_hop) = tunnel.reach else { continue };
            let link = self.snapshot.links.get(next_hop.link.index()).and_then(Option::as_ref);
            tunnel.template.enters = match link.map(|link| link.role) {
                Some(LinkRole::Iface(entrance)) => Some(entrance),
                Some(LinkRole::Underlay) | None => None,
            };
        }
    }

    /// Puts a port in the place of what had its number.
    fn replace(&mut self, id: PortId, conf: Option<PortConf>) {
        let old = self.snapshot.ports.get(id.index()).cloned();
        if let Some(old) = old.as_ref().filter(|old| old.is_flooded()) {
            self.edit_floods(old.bridge, |lists, _| lists.leave(id, old));
        }
        let entries = |port: Option<&PortConf>| -> Vec<Entry> {
            let tunnels = port.into_iter().flat_map(PortConf::tunnels);
            tunnels.map(|(iface, tunnel)| Entry::of(iface, tunnel)).collect()
        };
        let (was, is) = (entries(old.as_ref()), entries(conf.as_ref()));
        let tunnel_ports = &mut self.snapshot.tunnel_ports;
        match (tunnel_ports.binary_search(&id), !is.is_empty()) {
            (Ok(place), false) => drop(tunnel_ports.remove(place)),
            (Err(place), true) => tunnel_ports.insert(place, id),
            _ => {}
        }
        self.move_ifaces(id, old.as_ref(), conf.as_ref());
        self.snapshot.ports.set(id.index(), conf.clone());
        if let Some(new) = conf.filter(PortConf::is_flooded) {
            self.edit_floods(new.bridge, |lists, ports| lists.join(id, &new, ports));
        }
        if was != is {
            self.tunnels_gone.extend(was);
            self.tunnels_come.extend(is);
        }
    }

    /// Says of the interfaces of a port that they are in it, and of those that it had no more.
    fn move_ifaces(&mut self, id: PortId, old: Option<&PortConf>, new: Option<&PortConf>) {
        let homes = &mut self.snapshot.homes;
        for (iface, _) in old.into_iter().flat_map(|port| port.ifaces.iter()) {
            // Another port may have it by now.
            if let Some(home) = homes.get_mut(iface.index()).filter(|home| **home == id) {
                *home = Ingress::NO_PORT;
            }
        }
        for (iface, _) in new.into_iter().flat_map(|port| port.ifaces.iter()) {
            if homes.len() <= iface.index() {
                homes.resize(iface.index() + 1, Ingress::NO_PORT);
            }
            if let Some(home) = homes.get_mut(iface.index()) {
                *home = id;
            }
        }
        while homes.last() == Some(&Ingress::NO_PORT) {
            homes.pop();
        }
    }

    fn edit_floods(
        &mut self,
        bridge: BridgeId,
        edit: impl FnOnce(&mut FloodLists, &Chunked<PortConf>),
    ) {
        let Snapshot { floods, ports, .. } = &mut self.snapshot;
        floods.resize_with(floods.len().max(bridge.index() + 1), Arc::default);
        if let Some(lists) = floods.get_mut(bridge.index()) {
            edit(Arc::make_mut(lists), ports);
        }
    }
}

impl FloodLists {
    /// Takes a member out of all lists.
    fn leave(&mut self, id: PortId, port: &PortConf) {
        for vid in port.vlan.named() {
            if let Some(members) = self.by_vid.get_mut(&vid.get()) {
                members.names -= 1;
                remove(Arc::make_mut(&mut members.ports), id);
            }
        }
        if port.vlan.carries_rest() {
            remove(&mut self.rest, id);
            for members in self.by_vid.values_mut().filter(|members| members.ports.contains(&id)) {
                remove(Arc::make_mut(&mut members.ports), id);
            }
        }
        self.by_vid.retain(|_, members| members.names > 0);
    }

    /// Adds a member: a port that names its VLANs goes into those lists, one that carries all into
    /// every list.
    fn join(&mut self, id: PortId, port: &PortConf, ports: &Chunked<PortConf>) {
        for vid in port.vlan.named() {
            let carries =
                |id: &PortId| ports.get(id.index()).is_some_and(|port| port.vlan.carries(vid));
            let members = self.by_vid.entry(vid.get()).or_insert_with(|| {
                let ports = self.rest.iter().copied().filter(carries).collect();
                VlanMembers { ports: Arc::new(ports), names: 0 }
            });
            members.names += 1;
            if port.vlan.carries(vid) {
                insert(Arc::make_mut(&mut members.ports), id);
            }
        }
        if port.vlan.carries_rest() {
            insert(&mut self.rest, id);
            for (vid, members) in &mut self.by_vid {
                if Vid::new(*vid).is_some_and(|vid| port.vlan.carries(vid)) {
                    insert(Arc::make_mut(&mut members.ports), id);
                }
            }
        }
    }
}

fn insert(list: &mut Vec<PortId>, id: PortId) {
    if let Err(place) = list.binary_search(&id) {
        list.insert(place, id);
    }
}

fn remove(list: &mut Vec<PortId>, id: PortId) {
    if let Ok(place) = list.binary_search(&id) {
        list.remove(place);
    }
}
