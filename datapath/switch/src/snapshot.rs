//! All that a worker reads: built whole by control, never changed afterwards.
//!
//! One [`Snapshot`] is one state of the configuration, so no frame ever meets half a change.

use crate::mirror::{MIRRORS_MAX, PortMirrors};
use crate::stage::Template;
use crate::{
    BridgeId, LinkId, MirrorConf, PortId, Reach, TunnelConf, TunnelTable, VidSet, VlanConf,
    WorkerId,
};
use std::collections::HashMap;
use std::net::IpAddr;
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// The configuration that a worker forwards by.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Goes up with every change.
    pub epoch: u64,
    /// `other_config:vlan-limit` allows a second tag to be read; otherwise it is payload.
    pub reads_inner_tags: bool,
    bridges: Vec<Option<BridgeConf>>,
    /// By bridge number, as `bridges`.
    floods: Vec<FloodLists>,
    ports: Vec<Option<PortConf>>,
    links: Vec<Option<LinkConf>>,
    has_mirrors: bool,
    /// Which tunnel port a received packet belongs to.
    pub tunnels: TunnelTable,
    guards_loops: bool,
}

/// One bridge.
#[derive(Clone, Debug)]
pub struct BridgeConf {
    /// `other_config:mac-aging-time`, seconds, 15 to 3600.
    pub fdb_age_secs: u32,
    /// `other_config:mac-table-size`, entries, 10 to `1_000_000`.
    pub fdb_entries_max: u32,
    /// `other_config:forward-bpdu`: link-local group addresses are flooded like any other.
    pub forward_reserved: bool,
    /// Spanning tree runs: its frames go to control, from blocked ports too.
    pub takes_bpdus: bool,
    /// `flood_vlans`: no address is learned in these VLANs, all is flooded.
    pub flood_vlans: Option<Box<VidSet>>,
    /// Mirrors; those past [`crate::mirror::MIRRORS_MAX`] are left out.
    pub mirrors: Vec<MirrorConf>,
    /// False when `fail_mode` is `secure` and nothing tells the bridge what to do: it drops all.
    pub forwards: bool,
    /// `other_config:loop-guard`: the nonce of this bridge's probes, which go to control; moves of
    /// stations are counted.
    pub loop_guard: Option<u64>,
}

impl Default for BridgeConf {
    fn default() -> Self {
        Self {
            fdb_age_secs: 300,
            fdb_entries_max: 8192,
            forward_reserved: false,
            takes_bpdus: false,
            flood_vlans: None,
            mirrors: Vec::new(),
            forwards: true,
            loop_guard: None,
        }
    }
}

impl BridgeConf {
    /// True when nothing is learned in VLAN `vid`.
    #[must_use]
    pub fn floods(&self, vid: Vid) -> bool {
        self.flood_vlans.as_ref().is_some_and(|vlans| vlans.contains(vid))
    }
}

/// Members by VLAN.  VLANs that no port names share one list.
#[derive(Clone, Debug, Default)]
struct FloodLists {
    by_vid: HashMap<u16, Vec<PortId>, foldhash::fast::FixedState>,
    rest: Vec<PortId>,
}

/// What carries the frames of a port.
#[derive(Clone, Debug)]
pub enum PortKind {
    /// A netdev or TAP.
    Link(LinkId),
    /// A tunnel over some underlay link.
    Tunnel(Box<TunnelConf>),
    /// A patch port: what it sends comes in on this port, of another bridge or the same.  Without
    /// a peer it sends nothing.
    Patch(Option<PortId>),
}

/// Where tunnels end on an internal port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vtep {
    /// The MAC address of the internal port.
    pub mac: MacAddr,
    /// Its IP addresses that tunnel packets are sent to; mostly one.
    pub addresses: Vec<IpAddr>,
}

impl Vtep {
    /// True when tunnels end at this address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// One port of a bridge.
#[derive(Clone, Debug)]
pub struct PortConf {
    /// The bridge it belongs to.
    pub bridge: BridgeId,
    /// What carries its frames.
    pub kind: PortKind,
    /// Its VLANs.
    pub vlan: VlanConf,
    /// `other_config:split-horizon`: ports of one group, other than 0, never send to each other.
    pub split_horizon: u16,
    /// False on a port that spanning tree blocks: no data frame comes in or goes out.
    pub forwards: bool,
    /// False on a port that spanning tree keeps from learning, which it may do before it forwards.
    pub learns: bool,
    /// An internal port on whose addresses tunnels end: their packets are not delivered to it.
    pub vtep: Option<Box<Vtep>>,
    /// Worked out by [`SnapshotBuilder::build`].
    pub(crate) mirrors: PortMirrors,
}

impl PortConf {
    /// A trunk port of `bridge` that forwards and learns.
    #[must_use]
    pub fn new(bridge: BridgeId, kind: PortKind) -> Self {
        Self {
            bridge,
            kind,
            vlan: VlanConf::default(),
            split_horizon: 0,
            forwards: true,
            learns: true,
            vtep: None,
            mirrors: PortMirrors::default(),
        }
    }

    /// False for a port that no flood goes to: it does not forward, is reserved for copies, or is
    /// a patch port without a peer.
    pub(crate) const fn is_flooded(&self) -> bool {
        self.forwards && !self.mirrors.is_output && !matches!(self.kind, PortKind::Patch(None))
    }

    /// The other end of a patch port that has one.
    #[must_use]
    pub const fn peer(&self) -> Option<PortId> {
        match self.kind {
            PortKind::Patch(peer) => peer,
            _ => None,
        }
    }

    /// The tunnel of a tunnel port.
    #[must_use]
    pub fn tunnel(&self) -> Option<&TunnelConf> {
        match &self.kind {
            PortKind::Tunnel(tunnel) => Some(tunnel),
            PortKind::Link(_) | PortKind::Patch(_) => None,
        }
    }
}

/// What frames from a link are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRole {
    /// Frames of this bridge port.
    Port(PortId),
    /// Tunnel packets, chosen by the XDP program of a NIC that the host keeps.
    Underlay,
}

/// One netdev or TAP.
#[derive(Clone, Debug)]
pub struct LinkConf {
    /// What its frames are.
    pub role: LinkRole,
    /// Its MTU: the largest L3 payload it sends, in bytes.
    pub mtu: u32,
    /// The peer may hand over partial checksums (a veth): recognise and complete them
    /// (standards.md E10).
    pub completes_checksums: bool,
    /// The worker that owns its transmit queue.
    pub worker: WorkerId,
}

impl Snapshot {
    /// A bridge, if it exists.
    #[must_use]
    pub fn bridge(&self, id: BridgeId) -> Option<&BridgeConf> {
        self.bridges.get(id.index())?.as_ref()
    }

    /// The members of VLAN `vid` of a bridge that forward, the ingress port included.
    #[must_use]
    pub fn flood_list(&self, bridge: BridgeId, vid: Vid) -> &[PortId] {
        let lists = self.floods.get(bridge.index());
        lists.map_or(&[], |lists| lists.by_vid.get(&vid.get()).unwrap_or(&lists.rest))
    }

    /// True when some bridge has a loop guard.
    #[must_use]
    pub const fn guards_loops(&self) -> bool {
        self.guards_loops
    }

    /// True when frames may go from one port of this switch to another without leaving it.
    #[must_use]
    pub(crate) fn has_crossings(&self) -> bool {
        self.ports().any(|(_, port)| {
            matches!(port.kind, PortKind::Patch(_))
                || port.vtep.is_some()
                || port.tunnel().is_some_and(|tunnel| tunnel.template.enters.is_some())
        })
    }

    /// A port, if it exists.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<&PortConf> {
        self.ports.get(id.index())?.as_ref()
    }

    /// A link, if it exists.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<&LinkConf> {
        self.links.get(id.index())?.as_ref()
    }

    /// True when some bridge with ports has a mirror.
    #[must_use]
    pub const fn has_mirrors(&self) -> bool {
        self.has_mirrors
    }

    /// One more than the largest mirror number in use.
    #[must_use]
    pub fn mirror_slots(&self) -> usize {
        let mirrors = self.bridges.iter().flatten().flat_map(|bridge| &bridge.mirrors);
        mirrors.map(|mirror| mirror.id.index() + 1).max().unwrap_or(0)
    }

    /// One more than the largest bridge number in use.
    #[must_use]
    pub fn bridge_slots(&self) -> usize {
        self.bridges.len()
    }

    /// One more than the largest port number in use.
    #[must_use]
    pub fn port_slots(&self) -> usize {
        self.ports.len()
    }

    /// One more than the largest link number in use.
    #[must_use]
    pub fn link_slots(&self) -> usize {
        self.links.len()
    }

    /// All ports, in the order of their numbers.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &PortConf)> {
        (0u16..).zip(&self.ports).filter_map(|(id, port)| Some((PortId(id), port.as_ref()?)))
    }
}

/// Collects the parts of a [`Snapshot`], then works out flood lists and the tunnel table.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    snapshot: Snapshot,
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
        Self { snapshot: Snapshot { epoch, ..Snapshot::default() } }
    }

    /// Lets the second tag of a frame be read, `other_config:vlan-limit` other than 1.
    pub fn reads_inner_tags(&mut self, reads: bool) -> &mut Self {
        self.snapshot.reads_inner_tags = reads;
        self
    }

    /// Adds or replaces a bridge.
    pub fn bridge(&mut self, id: BridgeId, mut conf: BridgeConf) -> &mut Self {
        conf.mirrors.truncate(MIRRORS_MAX);
        put(&mut self.snapshot.bridges, id.index(), conf);
        self
    }

    /// Adds or replaces a port.
    pub fn port(&mut self, id: PortId, mut conf: PortConf) -> &mut Self {
        if let PortKind::Tunnel(tunnel) = &mut conf.kind {
            tunnel.template = Template::new(tunnel);
        }
        put(&mut self.snapshot.ports, id.index(), conf);
        self
    }

    /// Adds or replaces a link.
    pub fn link(&mut self, id: LinkId, conf: LinkConf) -> &mut Self {
        put(&mut self.snapshot.links, id.index(), conf);
        self
    }

    /// The finished snapshot.
    #[must_use]
    pub fn build(mut self) -> Snapshot {
        self.part_from_absent_peers();
        self.mark_mirrors();
        self.enter_bridges();
        self.snapshot.tunnels = TunnelTable::new(
            self.snapshot.ports().filter_map(|(id, port)| Some((id, port.tunnel()?))),
        );
        self.snapshot.guards_loops =
            self.snapshot.bridges.iter().flatten().any(|bridge| bridge.loop_guard.is_some());
        self.snapshot.floods =
            (0..self.snapshot.bridges.len()).map(|index| self.flood_lists(index)).collect();
        self.snapshot
    }

    /// Tells each port which mirrors watch it.
    fn mark_mirrors(&mut self) {
        let Snapshot { bridges, ports, has_mirrors, .. } = &mut self.snapshot;
        for (id, port) in (0u16..).zip(ports) {
            let Some(port) = port else { continue };
            let bridge = bridges.get(port.bridge.index()).and_then(Option::as_ref);
            let Some(bridge) = bridge.filter(|bridge| !bridge.mirrors.is_empty()) else { continue };
            *has_mirrors = true;
            port.mirrors = PortMirrors::of(PortId(id), &bridge.mirrors);
        }
    }

    /// Packets of a tunnel whose next hop is behind an internal port enter the bridge of that port.
    fn enter_bridges(&mut self) {
        let Snapshot { ports, links, .. } = &mut self.snapshot;
        for port in ports.iter_mut().flatten() {
            let PortKind::Tunnel(tunnel) = &mut port.kind else { continue };
            let Reach::Ready(next_hop) = tunnel.reach else { continue };
            let link = links.get(next_hop.link.index()).and_then(Option::as_ref);
            tunnel.template.enters = match link.map(|link| link.role) {
                Some(LinkRole::Port(entrance)) => Some(entrance),
                Some(LinkRole::Underlay) | None => None,
            };
        }
    }

    /// A patch port whose peer is not in the snapshot has none.
    fn part_from_absent_peers(&mut self) {
        let there: Vec<bool> = self.snapshot.ports.iter().map(Option::is_some).collect();
        for port in self.snapshot.ports.iter_mut().flatten() {
            if let PortKind::Patch(peer) = &mut port.kind {
                *peer = peer.filter(|peer| there.get(peer.index()) == Some(&true));
            }
        }
    }

    /// The members of each VLAN of one bridge: ports that name their VLANs go into those lists,
    /// ports that carry all go into every list.
    fn flood_lists(&self, bridge: usize) -> FloodLists {
        let members: Vec<_> = self
            .snapshot
            .ports()
            .filter(|(_, port)| port.bridge.index() == bridge && port.is_flooded())
            .collect();
        let mut lists = FloodLists::default();
        for (id, port) in &members {
            for vid in port.vlan.named() {
                let list = lists.by_vid.entry(vid.get()).or_default();
                list.extend(port.vlan.carries(vid).then_some(*id));
            }
        }
        for (id, port) in members.iter().filter(|(_, port)| port.vlan.carries_rest()) {
            lists.rest.push(*id);
            let carries = |vid: &u16| Vid::new(*vid).is_some_and(|vid| port.vlan.carries(vid));
            let members_of = lists.by_vid.iter_mut().filter(|(vid, _)| carries(vid));
            members_of.for_each(|(_, list)| list.push(*id));
        }
        for list in lists.by_vid.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        lists
    }
}
