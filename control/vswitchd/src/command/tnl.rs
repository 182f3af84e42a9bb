//! `tnl/ports/show`, `tnl/egress_port_range`, `ofproto/list-tunnels`.

use super::{Command, Family, command};
use crate::config::tunnel::{OutKey, Tunnel};
use crate::engine::parts::Needs;
use crate::lower::publish::Publisher;
use crate::netlink::kernel::Kernel;
use crate::plan::{Carrier, PlannedPort};
use crate::serve::unixctl::Answer;
use crate::trace::odp::number;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use weft_switch::{Csum, Encap, IfaceId, InKey, Local, OrInherit};
use weft_wire::mac::MacAddr;

/// The commands of this family.
pub(crate) enum Tunnels {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub kernel: &'a Kernel,
    pub publisher: Publisher<'a>,
}

impl Needs for Tunnels {
    type Parts<'a> = Parts<'a>;
}

impl Family for Tunnels {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Tunnels>] = &[
    command::<Tunnels>("tnl/ports/show", "-v", 0, 1, show),
    command::<Tunnels>("ofproto/list-tunnels", "", 0, 0, |lent, _| Ok(tunnels(lent))),
    command::<Tunnels>("tnl/egress_port_range", "min max", 0, 2, egress_port_range),
];

/// As stock names the device of its kernel datapath that would listen.
fn listener(encap: Encap) -> String {
    match encap {
        Encap::Gre => "gre_sys".to_owned(),
        Encap::Geneve { udp_port } => format!("genev_sys_{udp_port}"),
        Encap::Vxlan { udp_port } => format!("vxlan_sys_{udp_port}"),
    }
}

/// What tunnels listen for: one listener for GRE and one for each UDP port, with the first of the
/// datapath ports that share it, and their number.  With `-v` the packets that are taken.
fn show(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let mut listeners: BTreeMap<Encap, (IfaceId, usize)> = BTreeMap::new();
    for port in &lent.publisher.plan.ports {
        let Carrier::Tunnel(tunnel, _) = &port.carrier else { continue };
        let Some(id) = lent.publisher.lower.ids.iface(&port.interface) else { continue };
        let (first, count) = listeners.entry(tunnel.encap).or_insert((id, 0));
        (*first, *count) = ((*first).min(id), *count + 1);
    }
    let mut text = String::from("Listening ports:\n");
    for (encap, (first, count)) in listeners {
        let (name, number) = (listener(encap), number(first));
        if args.first().is_none_or(|word| word != "-v") {
            let _ = writeln!(text, "{name} ({number}) ref_cnt={count}");
            continue;
        }
        for (address, mac) in local_ends(lent) {
            let _ = writeln!(text, "{name} ({number}) : {}", taken(encap, address, mac));
        }
    }
    Ok(text)
}

/// All tunnels, by name.
fn tunnels(lent: &Parts<'_>) -> String {
    let of_port = |port: &PlannedPort| match &port.carrier {
        Carrier::Tunnel(tunnel, _) => {
            let number = number(lent.publisher.lower.ids.iface(&port.interface)?);
            Some((
                port.name.clone(),
                format!("port {number}: {}", listed(&port.name, tunnel, number)),
            ))
        }
        _ => None,
    };
    let all: BTreeMap<_, _> = lent.publisher.plan.ports.iter().filter_map(of_port).collect();
    all.into_values().collect()
}

/// A tunnel as in `ofproto/list-tunnels`.
fn listed(name: &str, tunnel: &Tunnel, number: u32) -> String {
    let local = match tunnel.local {
        // Stock has one type for both versions, and this is its nothing.
        Local::Any => "::".to_owned(),
        Local::Address(address) => address.to_string(),
        Local::Flow => "flow".to_owned(),
    };
    let remote = tunnel.remote.map_or_else(|| "flow".to_owned(), |remote| remote.to_string());
    let key = |key: u32| if key == 0 { "0".to_owned() } else { format!("{key:#x}") };
    let in_key = match tunnel.in_key {
        InKey::Any => "flow".to_owned(),
        InKey::Exact(number) => key(number),
    };
    let out_key = match tunnel.out_key {
        OutKey::Absent => "0".to_owned(),
        OutKey::Number(number) => key(number),
        OutKey::Flow => "flow".to_owned(),
    };
    let mut parts = vec![format!("{}: {local}->{remote}", tunnel.kind.name())];
    parts.extend([format!("key={in_key}"), "legacy_l2".to_owned(), format!("dp port={number}")]);
    if out_key != in_key {
        parts.push(format!("out_key={out_key}"));
    }
    parts.push(match tunnel.ttl {
        OrInherit::Inherit => "ttl=inherit".to_owned(),
        OrInherit::Value(ttl) => format!("ttl={ttl}"),
    });
    match tunnel.tos {
        OrInherit::Inherit => parts.push("tos=inherit".to_owned()),
        OrInherit::Value(0) => {}
        OrInherit::Value(tos) => parts.push(format!("tos={tos:#x}")),
    }
    if !tunnel.df {
        parts.push("df=false".to_owned());
    }
    if tunnel.csum == Csum::On {
        parts.push("csum=true".to_owned());
    }
    format!("{name} ({})\n", parts.join(", "))
}

/// Addresses of the host that packets may be sent to, and the MAC address of their device.
fn local_ends(lent: &Parts<'_>) -> Vec<(IpAddr, MacAddr)> {
    let mut ends: Vec<_> = lent
        .kernel
        .addresses()
        .filter_map(|(ifindex, address)| {
            let device = lent.kernel.link(ifindex).filter(|device| !device.is_loopback)?;
            Some((address, MacAddr(device.mac)))
        })
        .collect();
    ends.sort_unstable();
    ends
}

/// The flow that stock would have for packets to `address`.
fn taken(encap: Encap, address: IpAddr, mac: MacAddr) -> String {
    let (eth_type, ip) = if address.is_ipv4() { ("0x0800", "ipv4") } else { ("0x86dd", "ipv6") };
    let protocol = if encap == Encap::Gre { 47 } else { 17 };
    let udp = encap.udp_port().map_or_else(String::new, |port| format!(",udp(dst={port})"));
    format!("eth(dst={mac}),eth_type({eth_type}),{ip}(dst={address},proto={protocol},frag=no){udp}")
}

/// Shows, or with two numbers changes, the UDP ports that tunnels send from.
fn egress_port_range(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let (min, max) = lent.publisher.lower.ids.source_ports;
    let [wanted_min, wanted_max] = args else {
        return Ok(format!("Tunnel UDP source port range: {min}-{max}\n"));
    };
    let port = |text: &String| text.parse::<u16>().ok().filter(|port| *port != 0);
    // As stock has it, what is wrong is an answer and no failure.
    let Some(min) = port(wanted_min) else { return Ok("Invalid min.\n".to_owned()) };
    let Some(max) = port(wanted_max) else { return Ok("Invalid max.\n".to_owned()) };
    lent.publisher.lower.ids.source_ports = (min.min(max), min.max(max));
    lent.publisher.install_all();
    Ok("OK\n".to_owned())
}
