//! `ovs/route/*` and `tnl/neigh/*`: what the kernel says, in the stock formats; and
//! `tnl/egress_port_range`.

use super::{Command, command};
use crate::engine::Engine;
use crate::unixctl::Answer;
use std::fmt::Write as _;
use std::net::IpAddr;

pub(super) const COMMANDS: &[Command] = &[
    command("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, lookup),
    command("ovs/route/show", "", 0, 0, show),
    command("tnl/neigh/show", "", 0, 0, neighbours),
    command("tnl/arp/show", "", 0, 0, neighbours),
    command("tnl/egress_port_range", "min max", 0, 2, egress_port_range),
];

fn lookup(engine: &mut Engine, args: &[String]) -> Answer {
    let target: IpAddr =
        args.first().and_then(|text| text.parse().ok()).ok_or("Invalid 'ip_addr' parameter\n")?;
    let route = engine.kernel.route(target, None).ok_or("Not found\n")?;
    let device = engine.kernel.link(route.ifindex).ok_or("Not found\n")?;
    let unspecified = if target.is_ipv4() { "0.0.0.0" } else { "::" };
    let or_none =
        |ip: Option<IpAddr>| ip.map_or_else(|| unspecified.to_owned(), |ip| ip.to_string());
    let (source, gateway) = (or_none(route.source), or_none(route.gateway));
    Ok(format!("src {source}\ngateway {gateway}\ndev {}\n", device.name))
}

/// The routes that matter here: those of the tunnels, and the local addresses.
fn show(engine: &mut Engine, _args: &[String]) -> Answer {
    let mut text = String::from("Route Table:\n");
    let mut addresses: Vec<_> = engine.kernel.addresses().collect();
    addresses.sort_by_key(|(_, address)| *address);
    for (ifindex, address) in addresses {
        let Some(device) = engine.kernel.link(ifindex) else { continue };
        let len = if address.is_ipv4() { 32 } else { 128 };
        let _ = writeln!(text, "Cached: {address}/{len} dev {} SRC {address} local", device.name);
    }
    for path in engine.paths.values() {
        let (Some(egress), Some(hop), Some(source)) = (&path.egress, path.next_hop, path.source)
        else {
            continue;
        };
        let len = if hop.is_ipv4() { 32 } else { 128 };
        let _ = writeln!(text, "Cached: {hop}/{len} dev {} SRC {source}", egress.name);
    }
    Ok(text)
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
    engine.install().map_err(|error| format!("{error}\n"))?;
    Ok("OK\n".to_owned())
}

fn neighbours(engine: &mut Engine, _args: &[String]) -> Answer {
    let mut text = format!("{:<45} {:<19} Bridge\n{}\n", "IP", "MAC", "=".repeat(74));
    let mut all: Vec<_> = engine.kernel.neighbours().collect();
    all.sort_by_key(|(_, address, _)| *address);
    for (ifindex, address, mac) in all {
        let Some(device) = engine.kernel.link(ifindex) else { continue };
        let mac = weft_wire::mac::MacAddr(mac);
        if !mac.is_zero() && !mac.is_group() {
            let _ = writeln!(text, "{:<45} {mac}   {}", address.to_string(), device.name);
        }
    }
    Ok(text)
}
