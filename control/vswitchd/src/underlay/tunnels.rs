//! Where the packets of a tunnel go: the kernel's route and neighbour tables, asked and followed.

use crate::config::tunnel::Tunnel;
use crate::netlink::kernel::{Kernel, Link, Neighbour, Route};
use crate::plan::path::{Egress, Path, State};
use std::collections::BTreeSet;
use std::net::IpAddr;
use weft_wire::mac::MacAddr;

/// True when packets could still be sent along a way of before.
#[must_use]
pub fn is_usable(kernel: &Kernel, path: &Path) -> bool {
    let Some(egress) = &path.egress else { return false };
    let is_up = |link: &Link| link.name == egress.name && link.is_admin_up && link.is_running;
    kernel.link(egress.ifindex).is_some_and(is_up)
}

/// Asks the kernel for the way of one tunnel.
pub fn resolve(kernel: &mut Kernel, tunnel: &Tunnel) -> Path {
    let Some(remote) = tunnel.remote else {
        return Path::none("remote_ip=flow: there are no flows to choose where to send to");
    };
    let local = tunnel.local.address();
    match (kernel.route(remote, local), local) {
        (Some(route), _) => {
            let mut path = along(kernel, (remote, local), &route);
            if path.egress.is_some() {
                let equals = kernel.equal_routes(remote, local);
                let names = equals
                    .into_iter()
                    .filter_map(|ifindex| Some((kernel.link(ifindex)?.name.clone(), ifindex)));
                path.nics.extend(names);
            }
            path
        }
        (None, Some(local)) => Path::none(format!("no route to {remote} from {local}")),
        (None, None) => Path::none(format!("no route to {remote}")),
    }
}

fn along(kernel: &Kernel, (remote, local): (IpAddr, Option<IpAddr>), route: &Route) -> Path {
    if route.is_local {
        return Path::none(format!("{remote} is an address of this host"));
    }
    let Some(link) = kernel.link(route.ifindex) else {
        return Path::none(format!("the route to {remote} names a device that is gone"));
    };
    let name = &link.name;
    if link.is_loopback || link.mac == [0; 6] {
        return Path::none(format!(
            "the route to {remote} leaves by {name}, which is no Ethernet device: not supported"
        ));
    }
    let egress = Egress {
        name: name.clone(),
        ifindex: link.ifindex,
        mac: MacAddr(link.mac),
        is_running: link.is_running,
    };
    let next_hop = route.gateway.unwrap_or(remote);
    let mut path = Path {
        state: State::Resolving,
        egress: Some(egress),
        next_hop: Some(next_hop),
        source: local.or(route.source),
        mtu: route.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu)),
        asked: Some((link.ifindex, next_hop)),
        is_stale: false,
        is_held: false,
        nics: BTreeSet::from([(name.clone(), link.ifindex)]),
    };
    if !link.is_admin_up {
        path.state = State::Unreachable(format!("{name} is down"));
    } else if !link.is_running {
        path.state = State::Unreachable(format!("{name} has no carrier"));
    } else if path.source.is_none() {
        path.state = State::Unreachable(format!("the route to {remote} has no source address"));
    } else {
        match kernel.neighbour(route.ifindex, next_hop) {
            Some(Neighbour::Known { mac, is_stale }) => {
                path.state = State::Ready(MacAddr(mac));
                path.is_stale = is_stale;
            }
            Some(Neighbour::Asked) | None => {}
            Some(Neighbour::Silent) => {
                path.state = State::Unreachable(format!("{next_hop} does not answer on {name}"));
            }
        }
    }
    path
}
