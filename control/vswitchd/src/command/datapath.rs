//! `dpif/*`, `dpctl/*`, `ofproto/list`, `tnl/ports/show`.

use super::{Command, command};
use crate::engine::Engine;
use crate::plan::{Carrier, Held};
use crate::unixctl::Answer;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The name of the one datapath, as stock userspace switches have it.
const NAME: &str = "netdev@ovs-netdev";

pub(super) const COMMANDS: &[Command] = &[
    command("dpif/show", "", 0, 0, dpif_show),
    command("dpif/dump-dps", "", 0, 0, |_, _| Ok(format!("{NAME}\n"))),
    command("dpctl/dump-dps", "", 0, 0, |_, _| Ok(format!("{NAME}\n"))),
    command("dpctl/show", "[-s] [dp...]", 0, usize::MAX, dpctl_show),
    command("ofproto/list", "", 0, 0, |engine, _| {
        Ok(engine.desired.bridges.keys().fold(String::new(), |text, name| text + name + "\n"))
    }),
    command("tnl/ports/show", "-v", 0, 1, tnl_ports_show),
];

/// Frames that came in, and all that ended in a flood: the nearest thing to hits and misses that
/// a datapath without a flow cache has.
fn lookups(engine: &mut Engine) -> Result<(u64, u64), String> {
    let reports = engine.workers.reports().map_err(|error| format!("{error}\n"))?;
    Ok((reports.iter().map(|report| report.rx_frames).sum(), 0))
}

fn dpif_show(engine: &mut Engine, _args: &[String]) -> Answer {
    let (hit, missed) = lookups(engine)?;
    let mut text = format!("{NAME}: hit:{hit} missed:{missed}\n");
    for bridge in engine.desired.bridges.keys() {
        let _ = writeln!(text, "  {bridge}:");
        let mut ports: Vec<_> =
            engine.plan.ports.iter().filter(|port| port.bridge == *bridge).collect();
        ports.sort_by_key(|port| &port.name);
        for port in ports {
            let number = match &port.carrier {
                Carrier::Patch { .. } => "none".to_owned(),
                _ => engine.ids.port(&port.interface).map_or(0, |id| id.0 + 1).to_string(),
            };
            let kind = match &port.carrier {
                Carrier::Link => match engine.links.get(&port.name).map(|link| link.held) {
                    Some(Held::Tap) => "(tap)".to_owned(),
                    _ => "(system)".to_owned(),
                },
                Carrier::Tunnel(tunnel, _) => {
                    format!("({}: {})", tunnel.kind.name(), tunnel.shown())
                }
                Carrier::Patch { peer, .. } => format!("(patch: peer={peer})"),
            };
            let _ = writeln!(text, "    {} {}/{number}: {kind}", port.name, port.ofport);
        }
    }
    Ok(text)
}

fn human(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    let Some((unit, shift)) = unit else { return bytes.to_string() };
    // Tenths are all that is printed.
    let tenths = u128::from(bytes) * 10 / (1u128 << shift);
    format!("{bytes} ({}.{} {unit})", tenths / 10, tenths % 10)
}

fn dpctl_show(engine: &mut Engine, args: &[String]) -> Answer {
    let with_statistics = args.iter().any(|arg| arg == "-s");
    let (hit, missed) = lookups(engine)?;
    let counters = engine.counters().map_err(|error| format!("{error}\n"))?;
    let mut text = format!(
        "{NAME}:\n  lookups: hit:{hit} missed:{missed} lost:0\n  flows: 0\n  port 0: ovs-netdev (tap)\n"
    );
    let mut ports: Vec<_> = engine
        .plan
        .ports
        .iter()
        .filter(|port| !matches!(port.carrier, Carrier::Patch { .. }))
        .filter_map(|port| Some((engine.ids.port(&port.interface)?, port)))
        .collect();
    ports.sort_by_key(|(id, _)| *id);
    for (id, port) in ports {
        let kind = match (&port.carrier, engine.links.get(&port.name).map(|link| link.held)) {
            (Carrier::Tunnel(tunnel, _), _) => format!(" ({})", tunnel.kind.name()),
            (_, Some(Held::Tap)) => " (tap)".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(text, "  port {}: {}{kind}", id.0 + 1, port.name);
        if with_statistics {
            let counted = counters.port(id).cloned().unwrap_or_default();
            let _ = writeln!(
                text,
                "    RX packets:{} errors:0 dropped:{} overruns:0 frame:0\n    \
                 TX packets:{} errors:0 dropped:{} aborted:0 carrier:0\n    collisions:0\n    \
                 RX bytes:{}  TX bytes:{}",
                counted.rx_frames,
                counted.rx_dropped_frames(),
                counted.tx_frames,
                counted.tx_dropped_frames(),
                human(counted.rx_bytes),
                human(counted.tx_bytes),
            );
        }
    }
    Ok(text)
}

/// GRE has one listener for all its tunnels.
fn tnl_ports_show(engine: &mut Engine, _args: &[String]) -> Answer {
    let mut text = String::from("Listening ports:\n");
    let tunnels: BTreeSet<_> = engine
        .plan
        .ports
        .iter()
        .filter(|port| matches!(port.carrier, Carrier::Tunnel(..)))
        .filter_map(|port| engine.ids.port(&port.interface))
        .collect();
    if let Some(first) = tunnels.first() {
        let _ = writeln!(text, "gre_sys ({}) ref_cnt={}", first.0 + 1, tunnels.len());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_as_stock_prints_them() {
        assert_eq!(human(656), "656");
        assert_eq!(human(2556), "2556 (2.4 KiB)");
        assert_eq!(human(7706), "7706 (7.5 KiB)");
        assert_eq!(human(3 << 20), "3145728 (3.0 MiB)");
    }
}
