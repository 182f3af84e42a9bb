//! All that a worker reads: made by control, never changed afterwards; each shares with the one before
//! what is the same.
//!
//! One [`Snapshot`] is one state of the configuration, so no frame ever meets half a change.

mod build;
mod chunked;
mod ids;

pub use build::SnapshotBuilder;
pub use ids::{BridgeId, IfaceId, LinkId, MirrorId, PortId, Tick, WorkerId};

use crate::bridge::PortMirrors;
use crate::{Ingress, MirrorConf, Reach, TunnelConf, TunnelTable, VidSet, VlanConf};
use chunked::Chunked;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// The configuration that a worker forwards by.  Most of it is shared with the one before.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Goes up with every change.
    pub epoch: u64,
    /// `other_config:vlan-limit` allows a second tag to be read; otherwise it is payload.
    pub reads_inner_tags: bool,
    bridges: Vec<Option<BridgeConf>>,
    /// By bridge number, as `bridges`.
    floods: Vec<Arc<FloodLists>>,
    ports: Chunked<PortConf>,
    /// Those that have tunnels, in order.
    tunnel_ports: Vec<PortId>,
    /// By interface number, the port that it is in; [`Ingress::NO_PORT`] for numbers of nobody.
    homes: Vec<PortId>,
    links: Vec<Option<LinkConf>>,
    has_mirrors: bool,
    /// Which tunnel a received packet belongs to.
    pub tunnels: Arc<TunnelTable>,
    guards_loops: bool,
}

/// One bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Mirrors; those past [`crate::bridge::MIRRORS_MAX`] are left out.
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
    by_vid: HashMap<u16, VlanMembers, foldhash::fast::FixedState>,
    /// In order.
    rest: Vec<PortId>,
}

#[derive(Clone, Debug)]
struct VlanMembers {
    /// In order.
    ports: Arc<Vec<PortId>>,
    /// How many ports name this VLAN.
    names: usize,
}

/// What carries the frames of an interface.
#[derive(Clone, Debug, PartialEq)]
pub enum IfaceKind {
    /// A netdev or TAP.
    Link(LinkId),
    /// A tunnel over some underlay link.
    Tunnel(Box<TunnelConf>),
    /// A patch port: what it sends comes in by this one, of another bridge or the same.  Without
    /// a peer it sends nothing.
    Patch(Option<IfaceId>),
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

/// One interface of a port.
#[derive(Clone, Debug, PartialEq)]
pub struct IfaceConf {
    /// What carries its frames.
    pub kind: IfaceKind,
    /// An internal port on whose addresses tunnels end: their packets are not delivered to it.
    pub vtep: Option<Box<Vtep>>,
}

impl IfaceConf {
    /// An interface on whose addresses no tunnels end.
    #[must_use]
    pub const fn new(kind: IfaceKind) -> Self {
        Self { kind, vtep: None }
    }

    /// The tunnel, of an interface that is one.
    #[must_use]
    pub fn tunnel(&self) -> Option<&TunnelConf> {
        match &self.kind {
            IfaceKind::Tunnel(tunnel) => Some(tunnel),
            IfaceKind::Link(_) | IfaceKind::Patch(_) => None,
        }
    }

    /// The other end of a patch port that has one.
    #[must_use]
    pub const fn peer(&self) -> Option<IfaceId> {
        match self.kind {
            IfaceKind::Patch(peer) => peer,
            IfaceKind::Link(_) | IfaceKind::Tunnel(_) => None,
        }
    }

    /// The link of an interface that has its own.
    #[must_use]
    pub const fn link(&self) -> Option<LinkId> {
        match self.kind {
            IfaceKind::Link(link) => Some(link),
            IfaceKind::Tunnel(_) | IfaceKind::Patch(_) => None,
        }
    }

    /// True when what it sends arrives somewhere, as far as `snapshot` says.
    pub(crate) fn leads_somewhere(&self, snapshot: &Snapshot) -> bool {
        match &self.kind {
            IfaceKind::Link(link) => snapshot.link(*link).is_some(),
            IfaceKind::Tunnel(tunnel) => tunnel.reach != Reach::Unreachable,
            IfaceKind::Patch(peer) => peer.is_some(),
        }
    }

    /// True when frames may go from here to another interface without leaving the switch.
    fn crosses(&self) -> bool {
        matches!(self.kind, IfaceKind::Patch(_))
            || self.vtep.is_some()
            || self.tunnel().is_some_and(|tunnel| tunnel.template.enters.is_some())
    }
}

/// The interfaces of a port, one at least.  The first is here as it is: to leave by the only one costs
/// no look-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Ifaces {
    first: (IfaceId, IfaceConf),
    others: Vec<(IfaceId, IfaceConf)>,
}

impl Ifaces {
    /// The only one of a port.
    #[must_use]
    pub const fn one(id: IfaceId, iface: IfaceConf) -> Self {
        Self { first: (id, iface), others: Vec::new() }
    }

    /// These; nothing of none.
    #[must_use]
    pub fn of(ifaces: impl IntoIterator<Item = (IfaceId, IfaceConf)>) -> Option<Self> {
        let mut ifaces = ifaces.into_iter();
        Some(Self { first: ifaces.next()?, others: ifaces.collect() })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (IfaceId, &IfaceConf)> {
        std::iter::once(&self.first).chain(&self.others).map(|(id, iface)| (*id, iface))
    }

    /// The same, to be changed.
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut IfaceConf> {
        std::iter::once(&mut self.first).chain(&mut self.others).map(|(_, iface)| iface)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: IfaceId) -> Option<&IfaceConf> {
        self.iter().find(|(other, _)| *other == id).map(|(_, iface)| iface)
    }

    /// The one that a frame leaves by: of several the first that leads somewhere.  When none does it is the
    /// first, which counts what is dropped.
    #[inline]
    pub(crate) fn pick(&self, snapshot: &Snapshot) -> (IfaceId, &IfaceConf) {
        let (id, iface) = &self.first;
        if self.others.is_empty() { (*id, iface) } else { self.pick_of_several(snapshot) }
    }

    #[cold]
    fn pick_of_several(&self, snapshot: &Snapshot) -> (IfaceId, &IfaceConf) {
        let (id, iface) = &self.first;
        let leads = self.iter().find(|(_, iface)| iface.leads_somewhere(snapshot));
        leads.unwrap_or((*id, iface))
    }
}

/// One port of a bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct PortConf {
    /// The bridge it belongs to.
    pub bridge: BridgeId,
    /// What its frames come in and leave by.
    pub ifaces: Ifaces,
    /// Its VLANs.
    pub vlan: VlanConf,
    /// `other_config:split-horizon`: ports of one group, other than 0, never send to each other.
    pub split_horizon: u16,
    /// False on a port that spanning tree blocks: no data frame comes in or goes out.
    pub forwards: bool,
    /// False on a port that spanning tree keeps from learning, which it may do before it forwards.
    pub learns: bool,
    /// Worked out by [`SnapshotBuilder::build`].
    pub(crate) mirrors: PortMirrors,
}

impl PortConf {
    /// A trunk port of `bridge` with one interface, which forwards and learns.
    #[must_use]
    pub fn new(bridge: BridgeId, iface: IfaceId, kind: IfaceKind) -> Self {
        Self::with(bridge, Ifaces::one(iface, IfaceConf::new(kind)))
    }

    /// The same with these interfaces.
    #[must_use]
    pub fn with(bridge: BridgeId, ifaces: Ifaces) -> Self {
        Self {
            bridge,
            ifaces,
            vlan: VlanConf::default(),
            split_horizon: 0,
            forwards: true,
            learns: true,
            mirrors: PortMirrors::default(),
        }
    }

    /// False for a port that no flood goes to: it does not forward, is reserved for copies, or is
    /// a patch port without a peer.
    pub(crate) fn is_flooded(&self) -> bool {
        let leads = |iface: &IfaceConf| !matches!(iface.kind, IfaceKind::Patch(None));
        self.forwards
            && !self.mirrors.is_output
            && self.ifaces.iter().any(|(_, iface)| leads(iface))
    }

    /// True when frames may go from here to another port without leaving the switch.
    pub(crate) fn crosses(&self) -> bool {
        self.ifaces.iter().any(|(_, iface)| iface.crosses())
    }

    /// The tunnels among its interfaces.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = (IfaceId, &TunnelConf)> {
        self.ifaces.iter().filter_map(|(id, iface)| Some((id, iface.tunnel()?)))
    }

    /// True when stations behind `other`, which has or had the same number, may be behind this one: some
    /// interface is the same, with the same other end if it is a patch port.
    pub(crate) fn goes_on_from(&self, other: &Self) -> bool {
        let mut shared =
            self.ifaces.iter().filter_map(|(id, is)| Some((is, other.ifaces.get(id)?)));
        shared.any(|(is, was)| is.peer() == was.peer())
    }
}

/// What frames from a link are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRole {
    /// Frames of this interface.
    Iface(IfaceId),
    /// Tunnel packets, chosen by the XDP program of a NIC that the host keeps.
    Underlay,
}

/// One netdev or TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        lists.map_or(&[], |lists| {
            lists.by_vid.get(&vid.get()).map_or(&lists.rest, |members| &members.ports)
        })
    }

    /// True when some bridge has a loop guard.
    #[must_use]
    pub const fn guards_loops(&self) -> bool {
        self.guards_loops
    }

    /// Ports that may be other than in `before`: what they were, and are.
    pub(crate) fn changed_ports<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (PortId, Option<&'a PortConf>, Option<&'a PortConf>)> {
        self.ports.changes(&before.ports).map(|(id, was, is)| (PortId(id), was, is))
    }

    /// A port, if it exists.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<&PortConf> {
        self.ports.get(id.index())
    }

    /// An interface, if it exists, and the port that it is in.
    #[must_use]
    pub fn iface(&self, id: IfaceId) -> Option<(PortId, &PortConf, &IfaceConf)> {
        let home = self.ingress(id).port;
        let port = self.port(home)?;
        Some((home, port, port.ifaces.get(id)?))
    }

    /// What frames that come in by an interface come in by.
    #[must_use]
    #[inline]
    pub fn ingress(&self, iface: IfaceId) -> Ingress {
        let port = self.homes.get(iface.index()).copied().unwrap_or(Ingress::NO_PORT);
        Ingress { iface, port }
    }

    /// The interface that a control frame of a port leaves by.
    #[must_use]
    pub fn exit(&self, port: PortId) -> Option<IfaceId> {
        Some(self.port(port)?.ifaces.pick(self).0)
    }

    /// The tunnel, of an interface that is one.
    #[must_use]
    pub fn tunnel(&self, iface: IfaceId) -> Option<&TunnelConf> {
        self.iface(iface)?.2.tunnel()
    }

    /// Whether frames of this interface may come with partial checksums.
    pub(crate) fn completes_checksums(&self, iface: IfaceId) -> bool {
        let link = self.iface(iface).and_then(|(_, _, iface)| self.link(iface.link()?));
        link.is_some_and(|link| link.completes_checksums)
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
        self.ports.slots()
    }

    /// One more than the largest interface number in use.
    #[must_use]
    pub fn iface_slots(&self) -> usize {
        self.homes.len()
    }

    /// One more than the largest link number in use.
    #[must_use]
    pub fn link_slots(&self) -> usize {
        self.links.len()
    }

    /// All ports, in the order of their numbers.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &PortConf)> {
        self.ports.iter().map(|(id, port)| (PortId(id), port))
    }
}
