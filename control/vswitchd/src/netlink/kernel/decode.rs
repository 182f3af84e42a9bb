//! Messages of rtnetlink, read and made.

use super::{Link, LinkStats, Route};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;

/// `linux/rtnetlink.h`.
const RT_TABLE_LOCAL: u8 = 255;

/// The question for the route to `target`, from `source` when that is given.
pub(super) fn way_to(target: IpAddr, source: Option<IpAddr>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(target);
    message.header.destination_prefix_length = prefix_len(target);
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(target)));
    if let Some(source) = source {
        message.header.source_prefix_length = prefix_len(source);
        message.attributes.push(RouteAttribute::Source(RouteAddress::from(source)));
    }
    message
}

/// One answer of a dump of routes, unless it is of another table or for multicast.
pub(super) fn table_entry(answer: &RouteNetlinkMessage) -> Option<(IpAddr, u8, Route)> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let is_shown = [RouteHeader::RT_TABLE_MAIN, RT_TABLE_LOCAL].contains(&message.header.table);
    let found = route(message).filter(|_| is_shown)?;
    let (target, len) = target(message)?;
    Some((target, len, found))
}

/// What a route leads to: an address, and how many of its bits count.
pub(super) fn target(message: &RouteMessage) -> Option<(IpAddr, u8)> {
    let unspecified = match message.header.address_family {
        AddressFamily::Inet => IpAddr::from([0; 4]),
        AddressFamily::Inet6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let target = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    Some((target.unwrap_or(unspecified), message.header.destination_prefix_length))
}

pub(super) const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

pub(super) const fn prefix_len(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

pub(super) fn mac(bytes: &[u8]) -> [u8; 6] {
    bytes.try_into().unwrap_or_default()
}

pub(super) fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        ifindex: message.header.index,
        is_admin_up: flags.contains(LinkFlags::Up),
        is_running: flags.contains(LinkFlags::LowerUp),
        is_loopback: flags.contains(LinkFlags::Loopback),
        is_promiscuous: flags.contains(LinkFlags::Promisc),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::CarrierChanges(count) => link.carrier_changes = *count,
            LinkAttribute::Stats64(stats) => link.stats = LinkStats(*stats),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(kind) = info {
                        link.kind = kind.to_string();
                    }
                }
            }
            _ => {}
        }
    }
    link
}

pub(super) fn route(message: &RouteMessage) -> Option<Route> {
    let kind = message.header.kind;
    if !matches!(kind, RouteType::Unicast | RouteType::Local) {
        return None;
    }
    let mut found = Route {
        ifindex: 0,
        gateway: None,
        source: None,
        mtu: None,
        is_local: kind == RouteType::Local,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.ifindex = *index,
            RouteAttribute::Gateway(address) => found.gateway = ip(address),
            RouteAttribute::PrefSource(address) => found.source = ip(address),
            RouteAttribute::Via(via) => found.gateway = via_address(via),
            RouteAttribute::Metrics(metrics) => {
                found.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    (found.ifindex != 0).then_some(found)
}

pub(super) fn via_address(via: &netlink_packet_route::route::RouteVia) -> Option<IpAddr> {
    use netlink_packet_route::route::RouteVia;
    match via {
        RouteVia::Inet(address) => Some(IpAddr::V4(*address)),
        RouteVia::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

pub(super) const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
