//! What `ofproto/trace` says of a frame to a group address, on a bridge that snoops.

use super::trace::Parts;
use crate::protocols::key_of;
use crate::trace::flow::{Flow, Net};
use crate::trace::walk::Hop;
use std::net::IpAddr;
use std::time::Instant;
use weft_protocols::PortKey;
use weft_protocols::mcast::{EntryKind, Mdb};
use weft_switch::Verdict;
use weft_wire::Group;
use weft_wire::mac::MacAddr;

/// IGMP, and types of `ICMPv6` that are MLD (RFC 2710, RFC 3810).
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const MLD: [u16; 4] = [130, 131, 132, 143];

/// What is to be said; `None` where snooping has no say.
pub(super) fn lines(lent: &Parts<'_>, hop: &Hop) -> Option<Vec<String>> {
    let target = MacAddr::from_u64(hop.meta.target);
    if !target.is_group() || target.is_broadcast() {
        return None;
    }
    let row = lent.source.ids.row(hop.meta.ingress.iface)?;
    let planned = lent.source.plan.ports.get(row)?;
    let table = lent.snooping.table(&planned.bridge)?;
    let Net::Ip(ip) = Flow::of_frame(None, &hop.frame).net else { return None };
    let is_message = ip.protocol == IGMP || ip.protocol == ICMPV6 && MLD.contains(&ip.from);
    let group = match ip.target {
        IpAddr::V4(v4) => Group::from(v4),
        IpAddr::V6(v6) => Group::from(v6),
    };
    match hop.meta.verdict {
        Verdict::Flood if is_message => Some(vec!["-> multicast traffic, flooding".to_owned()]),
        Verdict::Flood if group.is_local() => {
            Some(vec!["-> RFC4541: section 2.1.2, item 2, flooding".to_owned()])
        }
        Verdict::Flood => Some(vec!["-> unregistered multicast, flooding".to_owned()]),
        Verdict::Multicast(_) if is_message => Some(report(lent, table, hop)),
        Verdict::Multicast(_) => Some(data(lent, table, hop, group)),
        _ => None,
    }
}

/// A line for each port: stock has the group's first, then those that want all data, then routers;
/// for a group that nobody has joined, routers come first.
fn data(lent: &Parts<'_>, table: &Mdb, hop: &Hop, group: Group) -> Vec<String> {
    let line = |kind: &str, port: PortKey| {
        if port == key_of(hop.meta.ingress.port) {
            format!("-> mcast {kind} port is input port, dropping")
        } else {
            format!("-> forwarding to mcast {kind} port")
        }
    };
    let of_vlan = table
        .entries(lent.snooping.clock_secs(Instant::now()))
        .filter(|entry| entry.vid == hop.meta.vid);
    let (mut members, mut routers) = (Vec::new(), Vec::new());
    for entry in of_vlan {
        match entry.kind {
            EntryKind::Member(other) if other == group => members.push(line("group", entry.port)),
            EntryKind::Member(_) => {}
            EntryKind::Router => routers.push(line("router", entry.port)),
        }
    }
    let flooded = table.ports().filter(|(_, port)| port.floods);
    let flooded: Vec<_> = flooded.map(|(port, _)| line("flood", port)).collect();
    if members.is_empty() {
        [routers, flooded].concat()
    } else {
        [members, flooded, routers].concat()
    }
}

/// A line for each router of the VLAN, and for each port that wants reports.
fn report(lent: &Parts<'_>, table: &Mdb, hop: &Hop) -> Vec<String> {
    let line = |port: PortKey, here, there| {
        if port == key_of(hop.meta.ingress.port) { here } else { there }
    };
    let entries = table.entries(lent.snooping.clock_secs(Instant::now()));
    let routers = entries
        .filter(|entry| entry.kind == EntryKind::Router && entry.vid == hop.meta.vid)
        .map(|entry| {
            let here = "-> mcast router port is input port, dropping";
            line(entry.port, here, "-> forwarding to mcast router port")
        });
    let flagged = table.ports().filter(|(_, port)| port.floods_reports).map(|(port, _)| {
        let here = "-> mcast port is input port, dropping the Report";
        line(port, here, "-> forwarding report to mcast flagged port")
    });
    routers.chain(flagged).map(str::to_owned).collect()
}
