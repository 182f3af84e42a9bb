//! What is planned by itself is what would be planned with everything.

use super::tests::{desired, device, interface, mac, path, port_of, tunnel_to};
use super::*;
use crate::config::tunnel_options::TunnelType;
use proptest::prelude::*;

const INTERFACES: u128 = 8;
const BRIDGES: [&str; 2] = ["br0", "br1"];

fn row(id: u128) -> Uuid {
    Uuid::from_u128(20 + id)
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    /// An interface is on this bridge, and of this kind; or nowhere.
    Interface(u128, Option<(usize, Kind, Option<u32>)>),
    /// Packets to this remote end go another way: by a device, with an MTU.
    Way(u8, Option<(u8, u32)>),
    /// A NIC has another MTU.
    Device(u8, u32),
}

fn remote(last: u8) -> IpAddr {
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

fn events() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        6 => tunnels(),
        4 => Just(Kind::Internal),
        1 => Just(Kind::System),
        1 => (0..INTERFACES).prop_map(|peer| Kind::Patch(format!("if{peer}"))),
        1 => Just(Kind::Unusable("no".to_owned())),
    ];
    let mtu_request = prop::option::weighted(0.2, 500u32..1500);
    let place = prop::option::weighted(0.7, (0..BRIDGES.len(), kind, mtu_request));
    let mtu = prop_oneof![3 => Just(1500u32), 1 => 600u32..1500];
    let way = prop::option::weighted(0.8, (0u8..5, mtu.clone()));
    prop_oneof![
        12 => (0..INTERFACES, place).prop_map(|(id, it)| Event::Interface(id, it)),
        4 => (0u8..3, way).prop_map(|(to, way)| Event::Way(to, way)),
        1 => (0u8..3, mtu).prop_map(|(nic, mtu)| Event::Device(nic, mtu)),
    ]
}

/// The host, and what was made of it.
struct World {
    desired: Desired,
    observed: Observed,
    standing: Standing,
    ways: BTreeMap<IpAddr, Path>,
    vteps: BTreeMap<String, (Vec<IpAddr>, Vec<u16>)>,
    ifindex: u32,
    /// Devices of which the kernel has news.
    changed: BTreeSet<String>,
    linked: bool,
}

impl World {
    fn new() -> Self {
        let mut observed = Observed::default();
        for (nic, ifindex) in (0u8..3).zip(3u32..) {
            observed.devices.insert(format!("eth{nic}"), device(ifindex, nic));
            observed.addresses.insert((ifindex, IpAddr::from([10, 9, nic, 1])));
        }
        observed.devices.insert("if1".to_owned(), device(9, 9));
        let bridges = BRIDGES.iter().zip(1u128..).map(|(name, id)| {
            let mut bridge = desired(Vec::new()).bridges.remove("br0").unwrap();
            (bridge.uuid, bridge.name) = (Uuid::from_u128(id), (*name).to_owned());
            bridge
        });
        let mut wanted = Desired::of(bridges);
        for (name, id) in BRIDGES.iter().zip(10u128..) {
            wanted.put_port(name, port_of(interface(id, name, Kind::Internal)));
        }
        Self {
            desired: wanted,
            observed,
            standing: Standing::default(),
            ways: BTreeMap::new(),
            vteps: BTreeMap::new(),
            ifindex: 100,
            changed: BTreeSet::new(),
            linked: false,
        }
    }

    /// Does it; the rows that are concerned.
    fn happen(&mut self, event: &Event) -> BTreeSet<Uuid> {
        match event {
            Event::Interface(id, place) => {
                let name = format!("if{id}");
                let mut peers = BTreeSet::from([row(*id)]);
                for bridge in BRIDGES {
                    let gone = self.desired.take_port(bridge, &PortName::new(&*name));
                    let gone = gone.iter().flat_map(|port| &port.interfaces);
                    peers.extend(gone.filter_map(|it| self.peer(&it.kind)));
                }
                if let Some((bridge, kind, mtu_request)) = place {
                    peers.extend(self.peer(kind));
                    let bridge = BRIDGES.get(*bridge).unwrap();
                    let it = interface(20 + id, &name, kind.clone());
                    let it = Interface { mtu_request: *mtu_request, ..it };
                    self.desired.put_port(bridge, port_of(it));
                }
                peers
            }
            Event::Way(to, None) => self.lead(*to, Path::none("no route")),
            Event::Way(to, Some((nic, mtu))) => {
                let name = if *nic < 3 { format!("eth{nic}") } else { format!("if{nic}") };
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
            Event::Device(nic, mtu) => {
                let name = format!("eth{nic}");
                self.observed.devices.get_mut(&name).unwrap().mtu = *mtu;
                self.changed.insert(name);
                BTreeSet::new()
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

    /// What the engine would look at for this scope.
    fn look(&self, scope: &Scope) -> Observed {
        let mut all = self.observed.clone();
        all.bridge_mtus = self.standing.bridge_mtus.clone();
        for (_, _, it) in self.desired.linked() {
            if let Kind::Tunnel(tunnel) = &it.kind {
                let none = Path::none("no route");
                let way = tunnel.remote.map(|to| self.ways.get(&to).cloned().unwrap_or(none));
                let mut way = way.unwrap_or_else(|| Path::none("flow"));
                way.source = way.source.map(|source| tunnel.local.address().unwrap_or(source));
                all.paths.insert(it.uuid, way);
            }
        }
        if scope.linked {
            return all;
        }
        all.paths.retain(|row, _| scope.rows.contains(row));
        let mut names: BTreeSet<String> = BTreeSet::new();
        for row in &scope.rows {
            let standing = self.standing.ports.get(row);
            names.extend(
                standing.filter(|it| it.carrier == Carrier::Link).map(|it| it.name.clone()),
            );
            names.extend(self.desired.interface(row).map(|(_, _, it)| it.name.clone()));
        }
        let egress = all.paths.values().filter_map(|path| path.egress.as_ref());
        names.extend(egress.map(|egress| egress.name.clone()));
        all.open.retain(|name, _| names.contains(name));
        let open = &all.open;
        all.devices.retain(|name, _| open.contains_key(name));
        let devices = &all.devices;
        all.addresses.retain(|(of, _)| devices.values().any(|device| device.ifindex == *of));
        all
    }

    /// Carries a plan out.
    fn take(&mut self, plan: Plan) {
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
        self.standing.take_over(plan);
    }

    /// The scope of what has happened.
    fn scope(&mut self, mut rows: BTreeSet<Uuid>) -> Scope {
        let common = self.standing.ports.common();
        let mut linked = std::mem::take(&mut self.linked) || !self.standing.is_complete;
        for name in std::mem::take(&mut self.changed) {
            linked |= common.is_open_to_all() || common.uses(&name);
            rows.extend(self.desired.linked_named(&name));
        }
        Scope { linked, rows }
    }
}

/// Whoever has a UDP port now may be named in the stead of another who has it, too.
fn failures(standing: &Standing) -> BTreeMap<Uuid, Option<&str>> {
    let failures = standing.failures.iter();
    failures.map(|(row, text)| (*row, text.split(" are those of ").next())).collect()
}

fn steps(plan: &Plan) -> (BTreeSet<&Step>, BTreeSet<&Step>) {
    let open = plan.open.iter().filter(|step| !matches!(step, Step::SetVteps { .. }));
    (plan.close.iter().collect(), open.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn one_row_is_planned_as_with_all(
        events in prop::collection::vec(prop::collection::vec(events(), 1..3), 1..25)
    ) {
        let mut world = World::new();
        for events in events {
            let rows = events.iter().flat_map(|event| world.happen(event)).collect();
            let scope = world.scope(rows);
            let everything = Scope { linked: true, ..scope.clone() };
            let whole =
                plan(&world.desired, &world.look(&everything), &world.standing, &everything).unwrap();
            let alone = plan(&world.desired, &world.look(&scope), &world.standing, &scope);
            let alone = alone.unwrap_or_else(|| whole.clone());
            prop_assert_eq!(steps(&alone), steps(&whole));
            let mut expected = world.standing.clone();
            let vteps: Vec<_> = whole
                .open
                .iter()
                .filter_map(|step| match step {
                    Step::SetVteps { name, addresses, udp_ports } => {
                        Some((name.clone(), (addresses.clone(), udp_ports.clone())))
                    }
                    _ => None,
                })
                .collect();
            expected.take_over(whole);
            world.take(alone);
            let ports = |of: &Standing| of.ports.iter().cloned().collect::<Vec<_>>();
            prop_assert_eq!(ports(&world.standing), ports(&expected));
            prop_assert_eq!(failures(&world.standing), failures(&expected));
            prop_assert_eq!(&world.standing.complaints, &expected.complaints);
            prop_assert_eq!(&world.standing.bridge_mtus, &expected.bridge_mtus);
            prop_assert_eq!(&world.standing.requested_mtus, &expected.requested_mtus);
            prop_assert_eq!(&world.vteps.clone().into_iter().collect::<Vec<_>>(), &vteps);
            let counted = Common::of(world.standing.ports.iter());
            prop_assert_eq!(world.standing.ports.common(), &counted);
        }
    }
}

/// Of many tunnels and internal ports, one is planned without a look at the others.
#[test]
fn one_of_many_is_planned_alone() {
    let mut world = World::new();
    let kind = |id: u128| match id % 2 {
        0 => Kind::Internal,
        _ => tunnel_to(TunnelType::Gre, &[("remote_ip", "10.0.0.1"), ("key", &id.to_string())]),
    };
    world.happen(&Event::Way(1, Some((0, 1500))));
    for id in 0..40 {
        world.happen(&Event::Interface(id, Some((0, kind(id), None))));
    }
    for _ in 0..3 {
        let scope = Scope { linked: true, ..world.scope(BTreeSet::new()) };
        let next = plan(&world.desired, &world.look(&scope), &world.standing, &scope).unwrap();
        world.take(next);
    }
    let alone = |world: &mut World, event: &Event| {
        let rows = world.happen(event);
        let scope = world.scope(rows);
        assert!(!scope.linked);
        let next = plan(&world.desired, &world.look(&scope), &world.standing, &scope);
        let planned = next.as_ref().map(|next| next.planned.len());
        if let Some(next) = next {
            world.take(next);
        }
        planned
    };
    for id in [40, 41] {
        assert_eq!(alone(&mut world, &Event::Interface(id, Some((0, kind(id), None)))), Some(1));
        // What the kernel says of a new TAP concerns nobody else.
        let news = alone(&mut world, &Event::Interface(99, None)).unwrap();
        assert!(news <= 2, "{news}");
        assert_eq!(alone(&mut world, &Event::Interface(id, None)), Some(1));
    }
    // A narrower tunnel, or one at a UDP port, concerns others.
    for kind in [TunnelType::Gre, TunnelType::Vxlan] {
        let more = [("remote_ip", "10.0.0.1"), ("csum", "true"), ("key", "99")];
        let kind = tunnel_to(kind, &more);
        assert_eq!(alone(&mut world, &Event::Interface(50, Some((0, kind, None)))), None);
        world.happen(&Event::Interface(50, None));
    }
}
