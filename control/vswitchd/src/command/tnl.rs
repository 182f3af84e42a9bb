//! `tnl/ports/show` and `tnl/egress_port_range`.

use super::{Command, command};
use crate::engine::Engine;
use crate::odp::number;
use crate::plan::Carrier;
use crate::unixctl::Answer;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use weft_switch::{Encap, PortId};
use weft_wire::mac::MacAddr;

pub(super) const COMMANDS: &[Command] = &[
    command("tnl/ports/show", "-v", 0, 1, show),
    command("tnl/egress_port_range", "min max", 0, 2, egress_port_range),
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
fn show(engine: &mut Engine, args: &[String]) -> Answer {
    let mut listeners: BTreeMap<Encap, (PortId, usize)> = BTreeMap::new();
    for port in &engine.plan.ports {
        let Carrier::Tunnel(tunnel, _) = &port.carrier else { continue };
        let Some(id) = engine.ids.port(&port.interface) else { continue };
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
        for (address, mac) in local_ends(engine) {
            let _ = writeln!(text, "{name} ({number}) : {}", taken(encap, address, mac));
        }
    }
    Ok(text)
}

/// Addresses of the host that packets may be sent to, and the MAC address of their device.
fn local_ends(engine: &Engine) -> Vec<(IpAddr, MacAddr)> {
    let mut ends: Vec<_> = engine
        .kernel
        .addresses()
        .filter_map(|(ifindex, address)| {
            let device = engine.kernel.link(ifindex).filter(|device| !device.is_loopback)?;
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
fn egress_port_range(engine: &mut Engine, args: &[String]) -> Answer {
    let (min, max) = engine.ids.source_ports;
    let [wanted_min, wanted_max] = args else {
        return Ok(format!("Tunnel UDP source port range: {min}-{max}\n"));
    };
    let port = |text: &String| text.parse::<u16>().ok().filter(|port| *port != 0);
    // As stock has it, what is wrong is an answer and no failure.
    let Some(min) = port(wanted_min) else { return Ok("Invalid min.\n".to_owned()) };
    let Some(max) = port(wanted_max) else { return Ok("Invalid max.\n".to_owned()) };
    engine.ids.source_ports = (min.min(max), min.max(max));
    engine.install_all().map_err(|error| format!("{error}\n"))?;
    Ok("OK\n".to_owned())
}
