//! Plans, by example and by property; and what these tests are made of.

use super::*;
use crate::config::names::PortName;
use crate::config::tunnel::{self, TunnelType};
use crate::plan::path::{Egress, Path, State};
use std::net::IpAddr;
use std::sync::Arc;
use weft_switch::{VlanConf, Vtep};
use weft_wire::mac::MacAddr;

mod change;
mod numbers;
mod ports;
mod properties;
mod tunnels;
mod world;

const BRIDGE: u128 = 1;

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn interface(id: u128, name: &str, kind: Kind) -> Interface {
    Interface {
        uuid: Uuid::from_u128(id),
        name: name.to_owned(),
        type_name: String::new(),
        kind,
        ofport_request: None,
        missed: Vec::new(),
        mtu_request: None,
        mac: None,
    }
}

fn tunnel_to(kind: TunnelType, options: &[(&str, &str)]) -> Kind {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Kind::Tunnel(tunnel::read(kind, "t", &options.collect()).unwrap().0)
}

fn gre_to(remote: &str) -> Kind {
    tunnel_to(TunnelType::Gre, &[("remote_ip", remote)])
}

/// A port of its own for an interface.
fn port_of(interface: Interface) -> Arc<Port> {
    Arc::new(Port {
        uuid: Uuid::from_u128(interface.uuid.as_u128() + 1000),
        name: PortName::new(interface.name.as_str()),
        vlan: VlanConf::default(),
        split_horizon: None,
        other_config: BTreeMap::new(),
        interfaces: vec![interface],
    })
}

/// Bridge `br0` with these interfaces, each on a port of its own.
fn desired(interfaces: Vec<Interface>) -> Desired {
    let ports = interfaces.into_iter().map(|interface| {
        let port = port_of(interface);
        (port.name.clone(), port)
    });
    let bridge = Bridge {
        uuid: Uuid::from_u128(BRIDGE),
        name: "br0".to_owned(),
        forwards: true,
        fail_mode: String::new(),
        datapath_type: "netdev".to_owned(),
        hwaddr: None,
        datapath_id: None,
        fdb_age_secs: 300,
        fdb_entries_max: 8192,
        forward_reserved: false,
        spanning: None,
        snooping: None,
        other_config: BTreeMap::new(),
        flood_vlans: None,
        missed: Vec::new(),
        mirrors: Vec::new(),
        ports: ports.collect(),
    };
    Desired::of([bridge])
}

fn local() -> Interface {
    interface(10, "br0", Kind::Internal)
}

fn device(ifindex: u32, last: u8) -> Device {
    Device { ifindex, mac: mac(last), mtu: 1500, is_loopback: false }
}

fn path(name: &str, ifindex: u32) -> Path {
    Path {
        state: State::Ready(mac(99)),
        egress: Some(Egress { name: name.to_owned(), ifindex, mac: mac(98), is_running: true }),
        next_hop: Some("10.0.0.254".parse().unwrap()),
        source: Some("10.0.0.1".parse().unwrap()),
        mtu: 1500,
        asked: None,
        is_stale: false,
        is_held: false,
        nics: BTreeSet::from([(name.to_owned(), ifindex)]),
    }
}

fn with_device(observed: &mut Observed, name: &str, ifindex: u32) {
    let last = u8::try_from(ifindex).unwrap();
    observed.devices.insert(name.to_owned(), device(ifindex, last));
}

/// What there is after `plan` was carried out without a failure.
fn carried_out(mut observed: Observed, plan: &Plan) -> Observed {
    for step in plan.close.iter().chain(&plan.open) {
        match step.clone() {
            Step::Close { name, removes_device } => {
                observed.open.remove(&name);
                if removes_device {
                    observed.devices.remove(&name);
                }
            }
            Step::OpenTap { name, mac: wanted } => {
                let ifindex = 100 + u32::try_from(observed.open.len()).unwrap();
                let new = Device { mac: wanted.unwrap_or(mac(50)), ..device(ifindex, 0) };
                let ifindex = observed.devices.entry(name.clone()).or_insert(new).ifindex;
                observed.open.insert(name, OpenLink { held: Held::Tap, ifindex });
            }
            Step::OpenPort { name, ifindex } => {
                observed.open.insert(name, OpenLink { held: Held::Port, ifindex });
            }
            Step::OpenUnderlay { name, ifindex } => {
                observed.open.insert(name, OpenLink { held: Held::Underlay, ifindex });
            }
            Step::SetMac { name, mac } => observed.devices.get_mut(&name).unwrap().mac = mac,
            Step::SetMtu { name, mtu } => observed.devices.get_mut(&name).unwrap().mtu = mtu,
            Step::SetVteps { .. } => {}
        }
    }
    observed.ofports = plan.ports.iter().map(|port| (port.interface, port.ofport)).collect();
    observed.bridge_mtus = plan.bridge_mtus.clone().unwrap_or_default();
    observed
}

/// Steps that touch something that is not yet so.
fn changes(plan: &Plan) -> Vec<&Step> {
    let all = plan.close.iter().chain(&plan.open);
    all.filter(|step| !matches!(step, Step::SetVteps { .. })).collect()
}

/// The plan of everything.
fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut desired = desired.clone();
    desired.index_again();
    let nothing = Installed::default();
    super::plan(&desired, observed, &nothing, &Dirty::everything(&desired, &nothing)).unwrap()
}

/// Those of the bridges, by name.
fn mtus(plan: &Plan) -> Vec<u32> {
    plan.bridge_mtus.iter().flat_map(BTreeMap::values).copied().collect()
}

fn close(name: &str, removes_device: bool) -> Step {
    Step::Close { name: name.to_owned(), removes_device }
}
