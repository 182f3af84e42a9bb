//! A snapshot made from the one before is the one that would be made from nothing.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use weft_switch::{
    BridgeConf, BridgeId, Encap, IfaceConf, IfaceId, IfaceKind, Ifaces, InKey, LinkConf, LinkId,
    LinkRole, MirrorConf, MirrorId, MirrorOutput, MirroredPorts, NextHop, PortConf, PortId, Reach,
    Snapshot, SnapshotBuilder, TunnelConf, TunnelKey, VidSet, VlanConf, VlanMode, WorkerId,
};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

const PORTS: u16 = 80;
const VIDS: u16 = 6;
const UNDERLAY: LinkId = LinkId(500);

/// What somebody changes.
#[derive(Clone, Debug)]
enum Edit {
    Port(u16, Option<Want>),
    Mirrors(u16, Option<(u16, u16)>),
    /// What the link that tunnels leave by is.
    Underlay(Option<u16>),
    /// An interface goes to this port, which may have others.
    Spare(u16, u16),
}

#[derive(Clone, Debug)]
struct Want {
    bridge: u16,
    kind: u8,
    mode: u8,
    tag: u16,
    trunks: Option<u16>,
    forwards: bool,
}

fn edit() -> impl Strategy<Value = Edit> {
    let want =
        (0u16..3, 0u8..3, 0u8..5, 0..VIDS, prop::option::of(0..VIDS), prop::bool::weighted(0.9))
            .prop_map(|(bridge, kind, mode, tag, trunks, forwards)| Want {
                bridge,
                kind,
                mode,
                tag,
                trunks,
                forwards,
            });
    prop_oneof![
        12 => (0..PORTS, prop::option::weighted(0.7, want)).prop_map(|(id, want)| Edit::Port(id, want)),
        1 => (0u16..3, prop::option::of((0..PORTS, 0..PORTS)))
            .prop_map(|(bridge, ports)| Edit::Mirrors(bridge, ports)),
        1 => prop::option::of(0..PORTS).prop_map(Edit::Underlay),
        3 => (0u16..4, 0..PORTS).prop_map(|(spare, port)| Edit::Spare(spare, port)),
    ]
}

fn vid(number: u16) -> Vid {
    Vid::new(number).unwrap_or(Vid::UNTAGGED)
}

#[derive(Default)]
struct World {
    ports: BTreeMap<u16, Want>,
    mirrors: BTreeMap<u16, (u16, u16)>,
    underlay: Option<u16>,
    /// In which port each is.
    spares: BTreeMap<u16, u16>,
}

/// The interface that a port has anyway.
const fn iface(port: u16) -> IfaceId {
    IfaceId(port + 100)
}

/// One that moves from port to port.
const fn spare(number: u16) -> (IfaceId, IfaceConf) {
    (IfaceId(number + 200), IfaceConf::new(IfaceKind::Link(LinkId(number + 600))))
}

impl World {
    /// Ports 2n and 2n + 1 are the ends of a patch, when both are patch ports.
    fn conf(&self, id: u16) -> Option<PortConf> {
        let want = self.ports.get(&id)?;
        let kind = match want.kind {
            0 => IfaceKind::Link(LinkId(id)),
            1 => {
                let other = self.ports.get(&(id ^ 1)).filter(|other| other.kind == 1);
                IfaceKind::Patch(other.map(|_| iface(id ^ 1)))
            }
            _ => {
                let mut tunnel = TunnelConf::new(Encap::Gre, Some(IpAddr::from([10, 0, 0, 1])));
                tunnel.in_key = InKey::Exact(u32::from(id));
                tunnel.reach = Reach::Ready(NextHop {
                    link: UNDERLAY,
                    source: IpAddr::from([10, 0, 0, 2]),
                    source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
                    target_mac: MacAddr([2, 0, 0, 0, 0, 2]),
                    mtu: 1500,
                });
                IfaceKind::Tunnel(Box::new(tunnel))
            }
        };
        let spares = self.spares.iter().filter(|(_, port)| **port == id).map(|(spare, _)| *spare);
        let spares = spares.map(spare);
        let own = (iface(id), IfaceConf::new(kind));
        let only = Ifaces::one(own.0, own.1.clone());
        let ifaces = Ifaces::of(std::iter::once(own).chain(spares)).unwrap_or(only);
        let mut conf = PortConf::with(BridgeId(want.bridge), ifaces);
        let trunks = want
            .trunks
            .map(|first| Box::new((first..VIDS).filter_map(Vid::new).collect::<VidSet>()));
        let mode = match want.mode {
            0 => VlanMode::Access,
            1 => VlanMode::NativeTagged,
            2 => VlanMode::NativeUntagged,
            3 => VlanMode::Dot1qTunnel,
            _ => VlanMode::Trunk,
        };
        let tag = if mode == VlanMode::Trunk { Vid::UNTAGGED } else { vid(want.tag) };
        conf.vlan = VlanConf { mode, tag, trunks, ..VlanConf::default() };
        conf.forwards = want.forwards;
        Some(conf)
    }

    /// The port of each interface.
    fn homes(&self) -> BTreeMap<IfaceId, PortId> {
        let own = self.ports.keys().map(|id| (iface(*id), PortId(*id)));
        let spares = self.spares.iter().filter(|(_, port)| self.ports.contains_key(port));
        own.chain(spares.map(|(number, port)| (spare(*number).0, PortId(*port)))).collect()
    }

    fn bridges(&self) -> impl Iterator<Item = (BridgeId, BridgeConf)> + '_ {
        (0u16..3).map(|bridge| {
            let mirror = self.mirrors.get(&bridge).map(|(source, output)| MirrorConf {
                id: MirrorId(bridge),
                sources: MirroredPorts::Only(vec![PortId(*source)]),
                targets: MirroredPorts::All,
                vlans: None,
                output: MirrorOutput::Port(PortId(*output)),
                snaplen: None,
            });
            let mirrors = mirror.into_iter().collect();
            (BridgeId(bridge), BridgeConf { mirrors, ..BridgeConf::default() })
        })
    }

    fn links(&self) -> impl Iterator<Item = (LinkId, LinkConf)> + '_ {
        let conf =
            |role| LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) };
        let ports = self.ports.iter().filter(|(_, want)| want.kind == 0);
        let ports = ports.map(move |(id, _)| (LinkId(*id), conf(LinkRole::Iface(iface(*id)))));
        let role = self.underlay.map_or(LinkRole::Underlay, |id| LinkRole::Iface(iface(id)));
        ports.chain([(UNDERLAY, conf(role))])
    }

    fn built_anew(&self) -> Snapshot {
        let mut builder = SnapshotBuilder::new(0);
        builder.bridges(self.bridges());
        for (id, conf) in self.links() {
            builder.link(id, conf);
        }
        for id in self.ports.keys() {
            if let Some(conf) = self.conf(*id) {
                builder.port(PortId(*id), conf);
            }
        }
        builder.build()
    }

    /// Does it, and makes the next snapshot.
    fn edit(&mut self, edits: &[Edit], before: &Snapshot) -> Option<Snapshot> {
        let mut touched = Vec::new();
        for edit in edits {
            match edit {
                Edit::Port(id, want) => {
                    match want.clone() {
                        Some(want) => self.ports.insert(*id, want),
                        None => self.ports.remove(id),
                    };
                    touched.extend([*id, *id ^ 1]);
                }
                Edit::Mirrors(bridge, Some(ports)) => drop(self.mirrors.insert(*bridge, *ports)),
                Edit::Mirrors(bridge, None) => drop(self.mirrors.remove(bridge)),
                Edit::Underlay(entrance) => self.underlay = *entrance,
                Edit::Spare(spare, port) => {
                    touched.extend(self.spares.insert(*spare, *port));
                    touched.push(*port);
                }
            }
        }
        let mut builder = SnapshotBuilder::edit(before);
        builder.bridges(self.bridges());
        let links: BTreeMap<_, _> = self.links().collect();
        for id in touched.iter().copied().map(LinkId).chain([UNDERLAY]) {
            match links.get(&id) {
                Some(conf) => builder.link(id, conf.clone()),
                None => builder.drop_link(id),
            };
        }
        for id in touched {
            match self.conf(id) {
                Some(conf) => builder.port(PortId(id), conf),
                None => builder.drop_port(PortId(id)),
            };
        }
        builder.build_if_changed()
    }
}

fn floods(of: &Snapshot) -> Vec<&[PortId]> {
    let lists = (0u16..3).flat_map(|bridge| (0..=VIDS).map(move |number| (bridge, number)));
    lists.map(|(bridge, number)| of.flood_list(BridgeId(bridge), vid(number))).collect()
}

fn homes(of: &Snapshot) -> BTreeMap<IfaceId, PortId> {
    let all = (0..300).map(IfaceId);
    all.filter_map(|id| Some((id, of.iface(id)?.0))).collect()
}

fn takers(of: &Snapshot) -> Vec<Option<IfaceId>> {
    let key = |id: u16| TunnelKey {
        encap: Encap::Gre,
        local: IpAddr::from([10, 0, 0, 2]),
        remote: IpAddr::from([10, 0, 0, 1]),
        key: Some(u32::from(id)),
    };
    (0..PORTS).map(|id| of.tunnels.find(key(id)).ok()).collect()
}

proptest! {
    #[test]
    fn edits_make_what_a_build_built_anew_makes(
        edits in prop::collection::vec(prop::collection::vec(edit(), 0..5), 1..25)
    ) {
        let mut world = World::default();
        let mut snapshot = Snapshot::default();
        for edits in edits {
            let before = format!("{:?}", snapshot.ports().collect::<Vec<_>>());
            let next = world.edit(&edits, &snapshot);
            let whole = world.built_anew();
            if let Some(next) = next {
                prop_assert_eq!(next.epoch, snapshot.epoch + 1);
                // Whoever holds the one before sees nothing of it.
                prop_assert_eq!(before, format!("{:?}", snapshot.ports().collect::<Vec<_>>()));
                snapshot = next;
            }
            let ports = |of: &Snapshot| {
                of.ports().map(|(id, port)| (id, port.clone())).collect::<Vec<_>>()
            };
            prop_assert_eq!(ports(&snapshot), ports(&whole));
            prop_assert_eq!(floods(&snapshot), floods(&whole));
            prop_assert_eq!(takers(&snapshot), takers(&whole));
            prop_assert_eq!(homes(&snapshot), homes(&whole));
            prop_assert_eq!(homes(&snapshot), world.homes());
            prop_assert_eq!(snapshot.has_mirrors(), whole.has_mirrors());
            prop_assert_eq!(snapshot.mirror_slots(), whole.mirror_slots());
            let slots = |of: &Snapshot| {
                [of.bridge_slots(), of.port_slots(), of.iface_slots(), of.link_slots()]
            };
            prop_assert_eq!(slots(&snapshot), slots(&whole));
        }
    }
}
