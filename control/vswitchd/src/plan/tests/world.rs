//! A host to which things happen, and what was made of it.

use super::*;
use proptest::prelude::*;

/// Interfaces of any kind, then those called as NICs, then those called as bridges.
pub(super) const INTERFACES: u128 = 8;
pub(super) const NICS: u8 = 3;
pub(super) const BRIDGES: [&str; 2] = ["br0", "br1"];

pub(super) fn row(id: u128) -> Uuid {
    Uuid::from_u128(20 + id)
}

pub(super) fn nic_name(nic: u8) -> String {
    format!("eth{nic}")
}

pub(super) fn nic_id(nic: u8) -> u128 {
    INTERFACES + u128::from(nic)
}

pub(super) fn local_id(bridge: usize) -> u128 {
    INTERFACES + u128::from(NICS) + bridge as u128
}

pub(super) fn name(id: u128) -> String {
    let nics = (0..NICS).find(|nic| nic_id(*nic) == id).map(nic_name);
    let bridge = (0..BRIDGES.len()).find(|bridge| local_id(*bridge) == id);
    let bridge = bridge.and_then(|bridge| BRIDGES.get(bridge));
    nics.or_else(|| bridge.map(ToString::to_string)).unwrap_or_else(|| format!("if{id}"))
}

/// Where an interface is, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) bridge: usize,
    pub(super) kind: Kind,
    pub(super) mtu: Option<u32>,
    pub(super) ofport: Option<u16>,
}

impl Wanted {
    pub(super) fn new(bridge: usize, kind: Kind) -> Self {
        Self { bridge, kind, mtu: None, ofport: None }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// An interface is wanted so, or nowhere.
    Interface(u128, Option<Wanted>),
    /// Packets to this remote end go another way: by a device, with an MTU.
    Way(u8, Option<(u8, u32)>),
    /// A NIC has another MTU and another address; or is gone, to come back with another number.
    Nic(u8, Option<(u32, u8)>),
}

pub(super) fn remote(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn tunnels() -> impl Strategy<Value = Kind> {
    let local = prop_oneof![4 => Just(None), 1 => Just(Some("10.1.0.1")), 1 => Just(Some("flow"))];
    let to = prop_oneof![8 => (0u8..3).prop_map(Some), 1 => Just(None)];
    (to, local, 0u8..3, 0u8..4).prop_map(|(to, local, key, kind)| {
        let to = to.map_or_else(|| "flow".to_owned(), |to| remote(to).to_string());
        let key = key.to_string();
        let mut options = vec![("remote_ip", to.as_str()), ("key", key.as_str())];
        let is_possible = |local: &&str| *local != "flow" || to == "flow";
        options.extend(local.filter(is_possible).map(|local| ("local_ip", local)));
        options.extend((kind == 3).then_some(("dst_port", "4789")));
        let kind = [TunnelType::Gre, TunnelType::Gre, TunnelType::Vxlan, TunnelType::Geneve]
            .into_iter()
            .nth(usize::from(kind))
            .unwrap();
        tunnel_to(kind, &options)
    })
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        6 => tunnels(),
        4 => Just(Kind::Internal),
        1 => Just(Kind::System),
        1 => (0..INTERFACES).prop_map(|peer| Kind::Patch(format!("if{peer}"))),
        1 => Just(Kind::Unusable("no".to_owned())),
    ];
    let mtu_request = prop::option::weighted(0.2, 500u32..1500);
    let ofport = prop::option::weighted(0.1, 1u16..6);
    let place = (0..BRIDGES.len(), kind, mtu_request.clone(), ofport)
        .prop_map(|(bridge, kind, mtu, ofport)| Wanted { bridge, kind, mtu, ofport });
    let place = prop::option::weighted(0.7, place);
    let nic_port = prop::option::weighted(0.6, (0..BRIDGES.len(), mtu_request.clone()));
    let local = prop::option::weighted(0.8, mtu_request);
    let mtu = prop_oneof![3 => Just(1500u32), 1 => 600u32..1500];
    let way = prop::option::weighted(0.8, (0u8..5, mtu.clone()));
    let nic = prop::option::weighted(0.8, (mtu, 0u8..6));
    let port = |bridge, kind, mtu| Wanted { mtu, ..Wanted::new(bridge, kind) };
    prop_oneof![
        12 => (0..INTERFACES, place).prop_map(|(id, it)| Event::Interface(id, it)),
        3 => (0..NICS, nic_port).prop_map(move |(nic, it)| {
            let it = it.map(|(bridge, mtu)| port(bridge, Kind::System, mtu));
            Event::Interface(nic_id(nic), it)
        }),
        1 => (0..BRIDGES.len(), local).prop_map(move |(bridge, it)| {
            let it = it.map(|mtu| port(bridge, Kind::Internal, mtu));
            Event::Interface(local_id(bridge), it)
        }),
        4 => (0u8..3, way).prop_map(|(to, way)| Event::Way(to, way)),
        2 => (0..NICS, nic).prop_map(|(nic, it)| Event::Nic(nic, it)),
    ]
}

/// The host, and what was made of it.
pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    pub(super) installed: Installed,
    ways: BTreeMap<IpAddr, Path>,
    pub(super) vteps: BTreeMap<String, (Vec<IpAddr>, Vec<u16>)>,
    ifindex: u32,
    /// Devices of which the kernel has news.
    changed: BTreeSet<String>,
    pub(super) linked: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let mut observed = Observed::default();
        for (nic, ifindex) in (0..NICS).zip(3u32..) {
            observed.devices.insert(nic_name(nic), device(ifindex, nic));
            observed.addresses.insert((ifindex, IpAddr::from([10, 9, nic, 1])));
        }
        observed.devices.insert("if1".to_owned(), device(9, 9));
        let bridges = BRIDGES.iter().zip(1u128..).map(|(name, id)| {
            let mut bridge = desired(Vec::new()).bridges.remove("br0").unwrap();
            (bridge.uuid, bridge.name) = (Uuid::from_u128(id), (*name).to_owned());
            bridge
        });
        let mut wanted = Desired::of(bridges);
        for (bridge, name) in BRIDGES.iter().enumerate() {
            let local = interface(20 + local_id(bridge), name, Kind::Internal);
            wanted.put_port(name, port_of(local));
        }
        Self {
            desired: wanted,
            observed,
            installed: Installed::default(),
            ways: BTreeMap::new(),
            vteps: BTreeMap::new(),
            ifindex: 100,
            changed: BTreeSet::new(),
            linked: false,
        }
    }

    /// Does it; the rows that are concerned.
    pub(super) fn happen(&mut self, event: &Event) -> BTreeSet<Uuid> {
        match event {
            Event::Interface(id, place) => {
                let name = name(*id);
                let mut peers = BTreeSet::from([row(*id)]);
                for bridge in BRIDGES {
                    let gone = self.desired.take_port(bridge, &PortName::new(&*name));
                    let gone = gone.iter().flat_map(|port| &port.interfaces);
                    peers.extend(gone.filter_map(|it| self.peer(&it.kind)));
                }
                if let Some(Wanted { bridge, kind, mtu, ofport }) = place {
                    peers.extend(self.peer(kind));
                    let bridge = BRIDGES.get(*bridge).unwrap();
                    let it = interface(20 + id, &name, kind.clone());
                    let it = Interface { mtu_request: *mtu, ofport_request: *ofport, ..it };
                    self.desired.put_port(bridge, port_of(it));
                }
                peers
            }
            Event::Way(to, None) => self.lead(*to, Path::none("no route")),
            Event::Way(to, Some((nic, mtu))) => {
                let name = if *nic < NICS { nic_name(*nic) } else { format!("if{nic}") };
                let Some(device) = self.observed.devices.get(&name) else {
                    return self.lead(*to, Path::none("no device"));
                };
                let mut way = path(&name, device.ifindex);
                let address = IpAddr::from([10, 9, *nic, 1]);
                (way.mtu, way.source) = (*mtu, Some(address));
                // The first way is news of an address, too.
                self.linked |= self.observed.addresses.insert((device.ifindex, address));
                self.lead(*to, way)
            }
            Event::Nic(nic, Some((mtu, last))) => {
                let name = nic_name(*nic);
                self.ifindex += 1;
                let new = device(self.ifindex, 0);
                let device = self.observed.devices.entry(name.clone()).or_insert(new);
                (device.mtu, device.mac) = (*mtu, mac(*last));
                self.changed.insert(name);
                BTreeSet::new()
            }
            Event::Nic(nic, None) => {
                let name = nic_name(*nic);
                let Some(device) = self.observed.devices.remove(&name) else {
                    return BTreeSet::new();
                };
                let addresses = self.observed.addresses.len();
                self.observed.addresses.retain(|(ifindex, _)| *ifindex != device.ifindex);
                self.linked |= self.observed.addresses.len() != addresses;
                self.changed.insert(name.clone());
                let leads = |way: &Path| way.egress.as_ref().is_some_and(|it| it.name == name);
                let lost: Vec<u8> =
                    (0u8..3).filter(|to| self.ways.get(&remote(*to)).is_some_and(leads)).collect();
                lost.into_iter().flat_map(|to| self.lead(to, Path::none("gone"))).collect()
            }
        }
    }

    fn peer(&self, kind: &Kind) -> Option<Uuid> {
        let Kind::Patch(peer) = kind else { return None };
        self.desired.patch(peer)
    }

    /// Packets to a remote end go this way; the tunnels to it.
    fn lead(&mut self, to: u8, way: Path) -> BTreeSet<Uuid> {
        self.ways.insert(remote(to), way);
        let tunnels = self.desired.linked().filter(|(_, _, it)| match &it.kind {
            Kind::Tunnel(tunnel) => tunnel.remote == Some(remote(to)),
            _ => false,
        });
        tunnels.map(|(_, _, it)| it.uuid).collect()
    }

    /// What the engine would look at for this dirty.
    pub(super) fn look(&self, dirty: &Dirty) -> Observed {
        let mut all = self.observed.clone();
        all.bridge_mtus = self.installed.bridge_mtus.clone();
        for (_, _, it) in self.desired.linked() {
            if let Kind::Tunnel(tunnel) = &it.kind {
                let none = Path::none("no route");
                let way = tunnel.remote.map(|to| self.ways.get(&to).cloned().unwrap_or(none));
                let mut way = way.unwrap_or_else(|| Path::none("flow"));
                way.source = way.source.map(|source| tunnel.local.address().unwrap_or(source));
                all.paths.insert(it.uuid, way);
            }
        }
        if dirty.all {
            return all;
        }
        all.paths.retain(|row, _| dirty.interfaces.contains(row));
        let mut names: BTreeSet<String> = BTreeSet::new();
        for row in &dirty.interfaces {
            let installed = self.installed.ports.get(row);
            names.extend(
                installed.filter(|it| it.carrier == Carrier::Link).map(|it| it.name.clone()),
            );
            names.extend(self.desired.interface(row).map(|(_, _, it)| it.name.clone()));
        }
        let egress = all.paths.values().filter_map(|path| path.egress.as_ref());
        names.extend(egress.map(|egress| egress.name.clone()));
        all.open.retain(|name, _| names.contains(name));
        let nics = dirty.interfaces.iter().filter_map(|row| self.desired.interface(row));
        let nics = nics.filter(|(.., it)| it.kind == Kind::System);
        let nics: BTreeSet<&String> = nics.map(|(.., it)| &it.name).collect();
        let open = &all.open;
        all.devices.retain(|name, _| open.contains_key(name) || nics.contains(name));
        let devices = &all.devices;
        all.addresses.retain(|(of, _)| devices.values().any(|device| device.ifindex == *of));
        all
    }

    /// Carries a plan out.
    pub(super) fn take(&mut self, plan: Plan) {
        for step in plan.close.iter().chain(&plan.open) {
            match step.clone() {
                Step::Close { name, removes_device } => {
                    self.observed.open.remove(&name);
                    self.vteps.remove(&name);
                    if removes_device {
                        self.observed.devices.remove(&name);
                        self.changed.insert(name);
                    }
                }
                Step::OpenTap { name, mac: wanted } => {
                    self.ifindex += 1;
                    let new = Device { mac: wanted.unwrap_or(mac(50)), ..device(self.ifindex, 0) };
                    let device = self.observed.devices.entry(name.clone()).or_insert(new);
                    let link = OpenLink { held: Held::Tap, ifindex: device.ifindex };
                    self.observed.open.insert(name.clone(), link);
                    self.changed.insert(name);
                }
                Step::OpenPort { name, ifindex } => {
                    self.observed.open.insert(name, OpenLink { held: Held::Port, ifindex });
                }
                Step::OpenUnderlay { name, ifindex } => {
                    self.observed.open.insert(name, OpenLink { held: Held::Underlay, ifindex });
                }
                Step::SetMac { name, mac } => {
                    self.observed.devices.get_mut(&name).unwrap().mac = mac;
                    self.changed.insert(name);
                }
                Step::SetMtu { name, mtu } => {
                    if let Some(device) = self.observed.devices.get_mut(&name) {
                        device.mtu = mtu;
                    }
                    self.changed.insert(name);
                }
                Step::SetVteps { name, addresses, udp_ports } => {
                    self.vteps.insert(name, (addresses, udp_ports));
                }
            }
        }
        self.installed.take_over(plan);
    }

    /// The dirty of what has happened.
    pub(super) fn dirty(&mut self, mut rows: BTreeSet<Uuid>) -> Dirty {
        let facts = self.installed.ports.facts();
        let mut linked = std::mem::take(&mut self.linked) || !self.installed.is_complete;
        for name in std::mem::take(&mut self.changed) {
            linked |= facts.is_open_to_all() || facts.uses(&name);
            rows.extend(self.desired.linked_named(&name));
        }
        Dirty { all: linked, interfaces: rows }
    }
}
