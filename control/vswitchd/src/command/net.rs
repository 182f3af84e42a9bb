//! `ovs/route/*` and `tnl/neigh/*`: what the kernel says, in the stock formats.  There are no
//! tables of our own, so nothing differs from what `ip route` and `ip neigh` show and change.

use super::{Command, Family, command};
use crate::config::tunnel;
use crate::engine::parts::Needs;
use crate::netlink::kernel::Kernel;
use crate::netlink::kernel::Route;
use crate::plan::path::Path;
use crate::serve::unixctl::Answer;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use uuid::Uuid;
use weft_wire::mac::MacAddr;

/// The commands of this family.
pub(crate) enum Net {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub kernel: &'a mut Kernel,
    pub paths: &'a BTreeMap<Uuid, Path>,
}

impl Needs for Net {
    type Parts<'a> = Parts<'a>;
}

impl Family for Net {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Net>] = &[
    command::<Net>(
        "ovs/route/add",
        "ip_addr/prefix_len out_br_name [gw] [pkt_mark=mark]",
        2,
        4,
        add,
    ),
    command::<Net>("ovs/route/del", "ip_addr/prefix_len [pkt_mark=mark]", 1, 2, delete),
    command::<Net>("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, lookup),
    command::<Net>("ovs/route/show", "", 0, 0, show),
    command::<Net>("tnl/neigh/show", "", 0, 0, neighbours),
    command::<Net>("tnl/arp/show", "", 0, 0, neighbours),
    command::<Net>("tnl/neigh/set", "BRIDGE IP MAC", 3, 3, set_neighbour),
    command::<Net>("tnl/arp/set", "BRIDGE IP MAC", 3, 3, set_neighbour),
    command::<Net>("tnl/neigh/flush", "", 0, 0, flush),
    command::<Net>("tnl/arp/flush", "", 0, 0, flush),
    command::<Net>("tnl/neigh/aging", "[SECS]", 0, 1, aging),
    command::<Net>("tnl/arp/aging", "[SECS]", 0, 1, aging),
];

fn add(_: &mut Parts<'_>, args: &[String]) -> Answer {
    let [prefix, device, rest @ ..] = args else { return Err("Invalid parameters\n".to_owned()) };
    let via = rest.first().filter(|word| !word.starts_with("pkt_mark="));
    let via = via.map_or_else(String::new, |gateway| format!(" via {gateway}"));
    Err(format!(
        "weftd has no routes of its own, it follows the kernel's: ip route add {prefix}{via} dev {device}\n"
    ))
}

fn delete(_: &mut Parts<'_>, args: &[String]) -> Answer {
    let prefix = args.first().map_or("", String::as_str);
    Err(format!("weftd has no routes of its own, it follows the kernel's: ip route del {prefix}\n"))
}

fn lookup(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let target: IpAddr =
        args.first().and_then(|text| text.parse().ok()).ok_or("Invalid parameters\n")?;
    if let Some(word) = args.get(1) {
        let mark = word.strip_prefix("pkt_mark=").and_then(tunnel::number);
        // No tunnel packet has a mark, so no way is for those that have one.
        if mark.ok_or("Invalid pkt_mark\n")? != 0 {
            return Err("Not found\n".to_owned());
        }
    }
    let route = lent.kernel.route(target, None).ok_or("Not found\n")?;
    let device = lent.kernel.link(route.ifindex).ok_or("Not found\n")?;
    // Stock has one type for both versions, and this is its nothing.
    let or_none = |ip: Option<IpAddr>| ip.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let (source, gateway) = (or_none(route.source), or_none(route.gateway));
    Ok(format!("src {source}\ngateway {gateway}\ndev {}\n", device.name))
}

/// The kernel's tables `local` and `main`, in the order in which stock looks them up.
fn show(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let failed = |error| format!("the kernel does not tell its routes: {error}\n");
    let mut routes = lent.kernel.routes().map_err(failed)?;
    let specificity = |target: &IpAddr, len: u8| if target.is_ipv4() { len + 96 } else { len };
    routes.sort_by_key(|(target, len, route)| {
        (!route.is_local, Reverse(specificity(target, *len)), *target)
    });
    let mut text = String::from("Route Table:\n");
    for (target, len, route) in routes {
        let Route { ifindex, gateway, source, is_local, .. } = route;
        let Some(name) = lent.kernel.link(ifindex).map(|device| device.name.clone()) else {
            continue;
        };
        let hop = gateway.unwrap_or(target);
        let source = source.or_else(|| lent.kernel.route(hop, None)?.source);
        let _ = write!(text, "Cached: {target}/{len} dev {name}");
        if let Some(gateway) = gateway {
            let _ = write!(text, " GW {gateway}");
        }
        if let Some(source) = source {
            let _ = write!(text, " SRC {source}");
        }
        text.push_str(if is_local { " local\n" } else { "\n" });
    }
    Ok(text)
}

/// Tells the kernel a neighbour, as if it had answered: it ages as any other.
fn set_neighbour(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let [device, address, mac] = args else { return Err("bad IP address\n".to_owned()) };
    let address: IpAddr = address.parse().map_err(|_| "bad IP address\n")?;
    let mac: MacAddr = mac.parse().map_err(|_| "bad MAC address\n")?;
    let link = lent.kernel.link_named(device);
    let ifindex = link.map(|link| link.ifindex).ok_or_else(|| format!("no device {device}\n"))?;
    lent.kernel
        .set_neighbour(ifindex, address, mac.octets())
        .map_err(|error| format!("{device}: {error}\n"))?;
    Ok("OK\n".to_owned())
}

/// Has the kernel confirm every next hop of a tunnel.  Its entries are the host's as well, so none is
/// deleted.
fn flush(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let hops: Vec<_> = lent
        .paths
        .values()
        .filter_map(|path| Some((path.egress.as_ref()?.ifindex, path.next_hop?)))
        .collect();
    for (ifindex, next_hop) in hops {
        if let Err(error) = lent.kernel.ask_neighbour(ifindex, next_hop) {
            tracing::debug!("asking for {next_hop}: {error}");
        }
    }
    Ok("OK\n".to_owned())
}

/// Shows how many seconds the kernel keeps a neighbour that nobody uses: by default, or where there
/// is no default, as in a network namespace, on the device that always is.
fn aging(_: &mut Parts<'_>, args: &[String]) -> Answer {
    let kept_secs = |device: &str| {
        let path = format!("/proc/sys/net/ipv4/neigh/{device}/gc_stale_time");
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}\n"))
    };
    match args.first().map(|text| text.parse::<u32>()) {
        None => kept_secs("default").or_else(|_| kept_secs("lo")),
        Some(Err(_)) => Err("bad aging value\n".to_owned()),
        Some(Ok(_)) => Err("neighbours are the kernel's, which ages them: \
             sysctl net.ipv4.neigh.DEVICE.gc_stale_time\n"
            .to_owned()),
    }
}

fn neighbours(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let mut text = format!("{:<45} {:<19} Bridge\n{}\n", "IP", "MAC", "=".repeat(74));
    let mut all: Vec<_> = lent.kernel.neighbours().collect();
    all.sort_by_key(|(_, address, _)| *address);
    for (ifindex, address, mac) in all {
        let Some(device) = lent.kernel.link(ifindex) else { continue };
        let mac = MacAddr(mac);
        if !mac.is_zero() && !mac.is_group() {
            let _ = writeln!(text, "{:<45} {mac}   {}", address.to_string(), device.name);
        }
    }
    Ok(text)
}
