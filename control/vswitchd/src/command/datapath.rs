//! `dpif/*`, `dpctl/*`, `ofproto/list`.

use super::{Command, Family, command, errand};
use crate::config::desired::Bridge;
use crate::config::desired::Desired;
use crate::engine::errand::{Counters, Step, by_port};
use crate::engine::parts::Needs;
use crate::host::links::Links;
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, Held};
use crate::trace::odp::number;
use crate::workers::Workers;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;
use weft_switch::{IfaceCounters, IfaceId};

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
    fn has_named(&self, desired: &Desired, bridge: &str) -> bool {
        desired.bridges.get(bridge).is_some_and(|bridge| self.has(bridge))
    }
}

/// The datapaths that have bridges.
pub(super) fn datapaths(desired: &Desired) -> Vec<&'static Datapath> {
    let is_used =
        |datapath: &&Datapath| desired.bridges.values().any(|bridge| datapath.has(bridge));
    [&NETDEV, &SYSTEM].into_iter().filter(is_used).collect()
}

/// True for `netdev@ovs-netdev` and `ovs-netdev`, and for those of `system`, if they have bridges.
pub(super) fn is_datapath(desired: &Desired, name: &str) -> bool {
    datapaths(desired).iter().any(|datapath| datapath.name == name || datapath.local == name)
}

/// The datapath of that name, or the only one.
pub(super) fn choose(
    desired: &Desired,
    name: Option<&String>,
) -> Result<&'static Datapath, String> {
    let there = datapaths(desired);
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

/// The commands of this family.
pub(crate) enum Datapaths {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
    pub links: &'a Links,
    pub ids: &'a Ids,
    pub workers: &'a mut Workers,
}

impl Needs for Datapaths {
    type Parts<'a> = Parts<'a>;
}

impl Family for Datapaths {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Datapaths>] = &[
    errand::<Datapaths>("dpif/show", "", 0, 0, |lent, _| Ok(dpif_show(lent))),
    command::<Datapaths>("dpif/dump-dps", "", 0, 0, |lent, _| {
        let all = lent.desired.bridges.iter();
        Ok(lines(all.map(|(name, bridge)| format!("{}@{name}", bridge.datapath_type))))
    }),
    command::<Datapaths>("dpctl/dump-dps", "", 0, 0, |lent, _| {
        Ok(lines(datapaths(lent.desired).iter().map(|datapath| datapath.name)))
    }),
    command::<Datapaths>("dpctl/list-commands", "", 0, 0, |_, _| {
        let mut rows = super::all();
        rows.retain(|(name, _)| name.starts_with("dpctl/"));
        Ok(super::listing(rows, 29))
    }),
    errand::<Datapaths>("dpctl/show", "[-s] [dp...]", 0, usize::MAX, dpctl_show),
    command::<Datapaths>("ofproto/list", "", 0, 0, |lent, _| {
        Ok(lines(lent.desired.bridges.keys()))
    }),
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

fn lookups(lent: &mut Parts<'_>) -> Lookups {
    let reports = lent.workers.figures();
    let received: u64 = reports.iter().map(|report| report.rx_frames).sum();
    let missed = reports.iter().map(|report| report.unknown_frames).sum();
    let lost = lent.links.iter().flat_map(|(_, link)| link.missed_frames().into_values()).sum();
    Lookups { hit: received.saturating_sub(missed), missed, lost }
}

fn dpif_show(lent: &mut Parts<'_>) -> Step {
    let rows = lent.plan.ports.iter().map(|port| port.interface).collect();
    let counters = Counters { ids: lent.ids, workers: lent.workers };
    by_port::<Datapaths, _>(counters, rows, BTreeMap::new(), dpif_port, |lent, ports| {
        Step::Done(Ok(dpif_text(lent, &ports)))
    })
}

/// The lines of ports, by the names of bridge and port.
type PortLines = BTreeMap<(String, String), String>;

/// The line of a port in `dpif/show`.
fn dpif_port(lent: &mut Parts<'_>, lines: &mut PortLines, row: &Uuid, _: &IfaceCounters) {
    let Some(port) = lent.plan.ports.get(row) else { return };
    let Some(bridge) = lent.desired.bridges.get(&port.bridge) else { return };
    let tap = if NETDEV.has(bridge) { NETDEV.tap } else { SYSTEM.tap };
    let number = match &port.carrier {
        Carrier::Patch { .. } => "none".to_owned(),
        _ => lent.ids.iface(row).map_or(0, number).to_string(),
    };
    let kind = match &port.carrier {
        Carrier::Link => match lent.links.get(&port.name).map(|link| link.held) {
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
fn dpif_text(lent: &mut Parts<'_>, ports: &PortLines) -> String {
    let Lookups { hit, missed, .. } = lookups(lent);
    let mut text = String::new();
    for datapath in datapaths(lent.desired) {
        let _ = writeln!(text, "{}: hit:{hit} missed:{missed}", datapath.name);
        let bridges = lent.desired.bridges.iter().filter(|(_, bridge)| datapath.has(bridge));
        for (bridge, _) in bridges {
            let _ = writeln!(text, "  {bridge}:");
            let first = (bridge.clone(), String::new());
            let of_bridge = ports.range(first..).take_while(|((of, _), _)| of == bridge);
            text.extend(of_bridge.map(|(_, line)| line.as_str()));
        }
    }
    text
}

fn human(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    let Some((unit, shift)) = unit else { return bytes.to_string() };
    // Tenths are all that is printed.
    let tenths = u128::from(bytes) * 10 / (1u128 << shift);
    format!("{bytes} ({}.{} {unit})", tenths / 10, tenths % 10)
}

fn dpctl_show(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let with_statistics = args.iter().any(|arg| arg == "-s");
    let wanted: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-') && *arg != "-s") {
        return Err(format!("Unrecognized option {option}\n"));
    }
    let mut there = datapaths(lent.desired);
    if let Some(name) = wanted.iter().find(|name| !there.iter().any(|there| there.name == ***name))
    {
        return Err(format!(
            "ovs-vswitchd: opening datapath {name} failed (No such file or directory)\n"
        ));
    }
    there.retain(|one| wanted.is_empty() || wanted.iter().any(|name| *name == one.name));
    let rows = lent.plan.ports.iter().map(|port| port.interface).collect();
    let shown = Shown { datapaths: there, with_statistics, ports: BTreeMap::new() };
    let counters = Counters { ids: lent.ids, workers: lent.workers };
    Ok(by_port::<Datapaths, _>(counters, rows, shown, Shown::port, Shown::end))
}

/// `dpctl/show` under way.
struct Shown {
    datapaths: Vec<&'static Datapath>,
    with_statistics: bool,
    /// The text of each port, by place of its datapath and number.
    ports: BTreeMap<(usize, IfaceId), String>,
}

impl Shown {
    fn port(lent: &mut Parts<'_>, shown: &mut Self, row: &Uuid, counted: &IfaceCounters) {
        let Some(port) = lent.plan.ports.get(row) else { return };
        let of = |datapath: &&Datapath| datapath.has_named(lent.desired, &port.bridge);
        let place = shown.datapaths.iter().position(of);
        let (Some(place), Some(id)) = (place, lent.ids.iface(row)) else { return };
        let held = lent.links.get(&port.name).map(|link| link.held);
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

    fn end(lent: &mut Parts<'_>, shown: Self) -> Step {
        Step::Done(Ok(shown.text(lent)))
    }

    fn text(self, lent: &mut Parts<'_>) -> String {
        let mut text = String::new();
        for (place, datapath) in self.datapaths.iter().enumerate() {
            let Lookups { hit, missed, lost } = lookups(lent);
            let flows = recent_of(lent, datapath);
            let Datapath { name, local, tap, .. } = datapath;
            let _ = write!(
                text,
                "{name}:\n  lookups: hit:{hit} missed:{missed} lost:{lost}\n  flows: {flows}\n  \
                 port 0: {local} ({tap})\n"
            );
            if self.with_statistics {
                statistics(&IfaceCounters::default(), &mut text);
            }
            let of_datapath = (place, IfaceId(0))..=(place, IfaceId(u16::MAX));
            text.extend(self.ports.range(of_datapath).map(|(_, port)| port.as_str()));
        }
        text
    }
}

/// How many flows of a datapath are recent.
fn recent_of(lent: &mut Parts<'_>, datapath: &Datapath) -> usize {
    super::flows::recent(lent.workers, lent.desired, lent.plan, lent.ids, datapath).len()
}

fn statistics(counted: &IfaceCounters, text: &mut String) {
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
