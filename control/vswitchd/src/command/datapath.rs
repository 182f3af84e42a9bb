//! `dpif/*`, `dpctl/*`, `ofproto/list`.

use super::{Command, command, errand};
use crate::config::desired::Bridge;
use crate::plan::{Carrier, Held};
use crate::process::engine::Engine;
use crate::process::errand::{Step, by_port};
use crate::process::unixctl::Answer;
use crate::trace::odp::number;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;
use weft_switch::{PortCounters, PortId};

/// One datapath forwards for all bridges; a stock switch has one for each `datapath_type`, and
/// clients ask for these by name.
pub(super) struct Datapath {
    /// `Bridge.datapath_type`.
    type_name: &'static str,
    /// As in `dpctl/dump-dps`.
    pub(super) name: &'static str,
    /// The port of the datapath itself.
    local: &'static str,
    /// What a TAP is called.
    tap: &'static str,
}

const NETDEV: Datapath =
    Datapath { type_name: "netdev", name: "netdev@ovs-netdev", local: "ovs-netdev", tap: "tap" };
const SYSTEM: Datapath = Datapath {
    type_name: "system",
    name: "system@ovs-system",
    local: "ovs-system",
    tap: "internal",
};

impl Datapath {
    /// True when it prints what only stock userspace datapaths have.
    pub(super) fn is_netdev(&self) -> bool {
        self.type_name == NETDEV.type_name
    }

    /// True when it forwards for `bridge`.
    pub(super) fn has(&self, bridge: &Bridge) -> bool {
        (bridge.datapath_type == NETDEV.type_name) == self.is_netdev()
    }

    /// True when `bridge` is the name of one of its bridges.
    fn has_named(&self, engine: &Engine, bridge: &str) -> bool {
        engine.desired.bridges.get(bridge).is_some_and(|bridge| self.has(bridge))
    }
}

/// The datapaths that have bridges.
pub(super) fn datapaths(engine: &Engine) -> Vec<&'static Datapath> {
    let is_used =
        |datapath: &&Datapath| engine.desired.bridges.values().any(|bridge| datapath.has(bridge));
    [&NETDEV, &SYSTEM].into_iter().filter(is_used).collect()
}

/// True for `netdev@ovs-netdev` and `ovs-netdev`, and for those of `system`, if they have bridges.
pub(super) fn is_datapath(engine: &Engine, name: &str) -> bool {
    datapaths(engine).iter().any(|datapath| datapath.name == name || datapath.local == name)
}

/// The datapath of that name, or the only one.
pub(super) fn choose(engine: &Engine, name: Option<&String>) -> Result<&'static Datapath, String> {
    let there = datapaths(engine);
    let found = match (name, there.as_slice()) {
        (Some(name), there) => {
            there.iter().copied().find(|datapath| datapath.name == name).ok_or("datapath not found")
        }
        (None, []) => Err("no datapaths exist"),
        (None, [only]) => Ok(*only),
        (None, _) => Err("multiple datapaths, specify one"),
    };
    found.map_err(|why| format!("ovs-vswitchd: {why} (Invalid argument)\n"))
}

pub(super) const COMMANDS: &[Command] = &[
    errand("dpif/show", "", 0, 0, |engine, _| Ok(dpif_show(engine))),
    command("dpif/dump-dps", "", 0, 0, |engine, _| {
        let all = engine.desired.bridges.iter();
        Ok(lines(all.map(|(name, bridge)| format!("{}@{name}", bridge.datapath_type))))
    }),
    command("dpctl/dump-dps", "", 0, 0, |engine, _| {
        Ok(lines(datapaths(engine).iter().map(|datapath| datapath.name)))
    }),
    command("dpctl/list-commands", "", 0, 0, |_, _| {
        let ours = |command: &&&Command| command.name.starts_with("dpctl/");
        let all = super::all();
        let rows = all.iter().filter(ours).map(|command| (command.name, command.usage));
        Ok(super::listing(rows.collect(), 29))
    }),
    errand("dpctl/show", "[-s] [dp...]", 0, usize::MAX, dpctl_show),
    command("ofproto/list", "", 0, 0, |engine, _| Ok(lines(engine.desired.bridges.keys()))),
];

fn lines(texts: impl Iterator<Item = impl std::fmt::Display>) -> String {
    texts.fold(String::new(), |all, text| format!("{all}{text}\n"))
}

/// What a datapath without a flow cache has for flow look-ups.
struct Lookups {
    /// Frames received, less `missed`.
    hit: u64,
    /// Frames flooded because their destination was not known.
    missed: u64,
    /// Frames that the kernel could not hand over.
    lost: u64,
}

fn lookups(engine: &mut Engine) -> Result<Lookups, String> {
    let reports = engine.workers.figures().map_err(|error| format!("{error}\n"))?;
    let received: u64 = reports.iter().map(|report| report.rx_frames).sum();
    let missed = reports.iter().map(|report| report.unknown_frames).sum();
    let lost = engine.links.iter().flat_map(|(_, link)| link.missed_frames().into_values()).sum();
    Ok(Lookups { hit: received.saturating_sub(missed), missed, lost })
}

fn dpif_show(engine: &mut Engine) -> Step {
    let rows = engine.plan.ports.iter().map(|port| port.interface).collect();
    by_port(engine, rows, BTreeMap::new(), dpif_port, |engine, ports| {
        Step::Done(dpif_text(engine, &ports))
    })
}

/// The lines of ports, by the names of bridge and port.
type PortLines = BTreeMap<(String, String), String>;

/// The line of a port in `dpif/show`.
fn dpif_port(engine: &mut Engine, lines: &mut PortLines, row: &Uuid, _: &PortCounters) {
    let Some(port) = engine.plan.ports.get(row) else { return };
    let Some(bridge) = engine.desired.bridges.get(&port.bridge) else { return };
    let tap = if NETDEV.has(bridge) { NETDEV.tap } else { SYSTEM.tap };
    let number = match &port.carrier {
        Carrier::Patch { .. } => "none".to_owned(),
        _ => engine.ids.port(row).map_or(0, number).to_string(),
    };
    let kind = match &port.carrier {
        Carrier::Link => match engine.links.get(&port.name).map(|link| link.held) {
            Some(Held::Tap) => format!("({tap})"),
            _ => "(system)".to_owned(),
        },
        Carrier::Tunnel(tunnel, _) => format!("({}: {})", tunnel.kind.name(), tunnel.shown()),
        Carrier::Patch { peer, .. } => format!("(patch: peer={peer})"),
    };
    let line = format!("    {} {}/{number}: {kind}\n", port.name, port.ofport);
    lines.insert((port.bridge.clone(), port.name.clone()), line);
}

/// Datapaths, bridges and ports as in `dpif/show`.
fn dpif_text(engine: &mut Engine, ports: &PortLines) -> Answer {
    let Lookups { hit, missed, .. } = lookups(engine)?;
    let mut text = String::new();
    for datapath in datapaths(engine) {
        let _ = writeln!(text, "{}: hit:{hit} missed:{missed}", datapath.name);
        let bridges = engine.desired.bridges.iter().filter(|(_, bridge)| datapath.has(bridge));
        for (bridge, _) in bridges {
            let _ = writeln!(text, "  {bridge}:");
            let first = (bridge.clone(), String::new());
            let of_bridge = ports.range(first..).take_while(|((of, _), _)| of == bridge);
            text.extend(of_bridge.map(|(_, line)| line.as_str()));
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

fn dpctl_show(engine: &mut Engine, args: &[String]) -> Result<Step, String> {
    let with_statistics = args.iter().any(|arg| arg == "-s");
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-') && *arg != "-s") {
        return Err(format!("Unrecognized option {option}\n"));
    }
    let mut there = datapaths(engine);
    if let Some(name) = wanted.iter().find(|name| !there.iter().any(|there| there.name == ***name))
    {
        return Err(format!(
            "ovs-vswitchd: opening datapath {name} failed (No such file or directory)\n"
        ));
    }
    there.retain(|one| wanted.is_empty() || wanted.iter().any(|name| *name == one.name));
    let rows = engine.plan.ports.iter().map(|port| port.interface).collect();
    let shown = Shown { datapaths: there, with_statistics, ports: BTreeMap::new() };
    Ok(by_port(engine, rows, shown, Shown::port, Shown::end))
}

/// `dpctl/show` under way.
struct Shown {
    datapaths: Vec<&'static Datapath>,
    with_statistics: bool,
    /// The text of each port, by place of its datapath and number.
    ports: BTreeMap<(usize, PortId), String>,
}

impl Shown {
    fn port(engine: &mut Engine, shown: &mut Self, row: &Uuid, counted: &PortCounters) {
        let Some(port) = engine.plan.ports.get(row) else { return };
        let of = |datapath: &&Datapath| datapath.has_named(engine, &port.bridge);
        let place = shown.datapaths.iter().position(of);
        let (Some(place), Some(id)) = (place, engine.ids.port(row)) else { return };
        let held = engine.links.get(&port.name).map(|link| link.held);
        let kind = match (&port.carrier, held) {
            (Carrier::Patch { .. }, _) => return,
            (Carrier::Tunnel(tunnel, _), _) => format!(" ({})", tunnel.kind.name()),
            (_, Some(Held::Tap)) => {
                shown.datapaths.get(place).map_or(String::new(), |of| format!(" ({})", of.tap))
            }
            _ => String::new(),
        };
        let mut text = format!("  port {}: {}{kind}\n", number(id), port.name);
        if shown.with_statistics {
            statistics(counted, &mut text);
        }
        shown.ports.insert((place, id), text);
    }

    fn end(engine: &mut Engine, shown: Self) -> Step {
        Step::Done(shown.text(engine))
    }

    fn text(self, engine: &mut Engine) -> Answer {
        let mut text = String::new();
        for (place, datapath) in self.datapaths.iter().enumerate() {
            let Lookups { hit, missed, lost } = lookups(engine)?;
            let flows = super::flows::recent(engine, datapath)?.len();
            let Datapath { name, local, tap, .. } = datapath;
            let _ = write!(
                text,
                "{name}:\n  lookups: hit:{hit} missed:{missed} lost:{lost}\n  flows: {flows}\n  \
                 port 0: {local} ({tap})\n"
            );
            if self.with_statistics {
                statistics(&PortCounters::default(), &mut text);
            }
            let of_datapath = (place, PortId(0))..=(place, PortId(u16::MAX));
            text.extend(self.ports.range(of_datapath).map(|(_, port)| port.as_str()));
        }
        Ok(text)
    }
}

fn statistics(counted: &PortCounters, text: &mut String) {
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
