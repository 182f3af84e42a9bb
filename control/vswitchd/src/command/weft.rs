//! `weft/*`: what the `weft` command shows, as JSON text.

use super::fdb::{Pieces, Reading, merged};
use super::{Command, Family, command};
use crate::config::desired::Interface;
use crate::engine::errand::{self, Step, by_port};
use crate::engine::parts::Needs;
use crate::host::links::Link;
use crate::host::taps::TapState;
use crate::lower::publish::Ids;
use crate::plan::path::Path;
use crate::plan::path::State;
use crate::plan::{Carrier, Held, PlannedPort};
use crate::protocols::snooping::Snooping;
use crate::report::counters::{Rates, traffic};
use crate::report::seen::Seen;
use crate::serve::unixctl::Answer;
use crate::turns::TurnLog;
use crate::workers::Workers;
use crate::workers::{fdb_stats, reports};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Instant;
use uuid::Uuid;
use weft_ovsdb::FaultHandle;
use weft_protocols::mcast::Mdb;
use weft_switch::{Counters, DropReason, FdbStats, IfaceCounters, PortId, VlanMode};
use weft_worker::Report;

/// The commands of this family.
pub(crate) enum Weft {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub seen: Seen<'a>,
    /// The way of each tunnel.
    pub paths: &'a BTreeMap<Uuid, Path>,
    pub ids: &'a Ids,
    pub workers: &'a mut Workers,
    /// The number of the configuration in force.
    pub epoch: u64,
    pub snooping: &'a Snooping,
    pub rates: &'a mut Rates,
    pub turns: &'a TurnLog,
    /// Why the file of the database cannot be written, if so.
    pub storage: &'a FaultHandle,
}

impl Needs for Weft {
    type Parts<'a> = Parts<'a>;
}

impl Family for Weft {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Weft>] = &[
    super::errand::<Weft>("weft/show", "", 0, 0, show),
    super::errand::<Weft>("weft/drops", "", 0, 0, drops),
    super::errand::<Weft>("weft/fdb", "[bridge]", 0, 1, fdb),
    command::<Weft>("weft/turns", "[clear]", 0, 1, turns),
    command::<Weft>("weft/doctor", "", 0, 0, |lent, _| {
        text(&crate::report::doctor::examine(lent.seen, lent.paths, lent.storage))
    }),
];

fn text(value: &Value) -> Answer {
    Ok(format!("{value}\n"))
}

/// Counters by name, without the zeros.
fn by_reason(counts: &[u64]) -> Map<String, Value> {
    DropReason::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect()
}

/// Per second, between two counts.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(now: u64, before: u64, secs: f64) -> f64 {
    if secs > 0.0 { (now.saturating_sub(before) as f64 / secs * 10.0).round() / 10.0 } else { 0.0 }
}

/// A port, and what it has counted.
struct View<'a, 'p> {
    lent: &'a Parts<'p>,
    now: &'a IfaceCounters,
    secs: f64,
}

/// `weft/show` under way.
struct Show {
    reports: Vec<Report>,
    /// The ports of each bridge, as far as they are done.
    ports: BTreeMap<String, Vec<Value>>,
    traffic: HashMap<Uuid, [u64; 4]>,
    /// Since the counters that rates begin with.
    secs: f64,
}

fn show(lent: &mut Parts<'_>, _args: &[String]) -> Result<Step, String> {
    let question = lent.workers.ask(|_| weft_worker::Command::ReportFigures);
    let resume = |lent: &mut Parts<'_>, answers| {
        let rows = lent.seen.desired.interfaces().map(|(_, _, interface)| interface.uuid).collect();
        let secs = lent.rates.at.map_or(0.0, |at| at.elapsed().as_secs_f64());
        let reports = reports(answers);
        let show = Show { reports, ports: BTreeMap::new(), traffic: HashMap::new(), secs };
        let counters = errand::Counters { ids: lent.ids, workers: lent.workers };
        by_port::<Weft, _>(counters, rows, show, Show::port, Show::end)
    };
    Ok(Step::ask::<Weft>(question, resume))
}

impl Show {
    fn port(lent: &mut Parts<'_>, show: &mut Self, row: &Uuid, now: &IfaceCounters) {
        let Some((bridge, port, interface)) = lent.seen.desired.interface(row) else { return };
        show.traffic.insert(*row, traffic(now));
        let value = View { lent, now, secs: show.secs }.port(port, interface);
        show.ports.entry(bridge.name.clone()).or_default().push(value);
    }

    fn end(lent: &mut Parts<'_>, mut show: Self) -> Step {
        let mut counters = Counters::default();
        for report in &show.reports {
            counters.add(&report.counters);
        }
        let bridges: Vec<_> = lent
            .seen
            .desired
            .bridges
            .values()
            .map(|bridge| {
                let id = lent.ids.bridge(&bridge.uuid);
                let fdb = id.map(|id| fdb_stats(&show.reports, id)).unwrap_or_default();
                let ports = show.ports.remove(&bridge.name).unwrap_or_default();
                one_bridge(lent, bridge, fdb, ports)
            })
            .collect();
        let (kind, longest) = lent.turns.longest();
        let mut value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "epoch": lent.epoch,
            "database_fault": lent.storage.get().map(|fault| fault.to_string()),
            "longest_turn": {"kind": kind, "micros": longest.as_micros()},
            "workers": workers(lent, &show.reports),
            "underlays": underlays(lent, &counters),
        });
        if let Some(object) = value.as_object_mut() {
            object.insert("bridges".to_owned(), Value::Array(bridges));
        }
        // Asked again soon, the rate is over that time and not over a blink.
        if lent.rates.at.is_none_or(|at: Instant| at.elapsed().as_secs_f64() > 1.0) {
            lent.rates.note(show.traffic);
        }
        elsewhere(value)
    }
}

/// Makes a text of what may be megabytes.
fn elsewhere(value: Value) -> Step {
    Step::Elsewhere(Box::new(move || text(&value)))
}

fn workers(lent: &Parts<'_>, reports: &[Report]) -> Vec<Value> {
    let places: BTreeMap<_, _> = lent.workers.places().collect();
    let one = |report: &Report| {
        let up = f64::from(report.now_secs.max(1));
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let busy = report.busy_nanos as f64 / 1e7 / up;
        json!({
            "id": report.worker.0,
            "cpu": places.get(&report.worker).copied().flatten(),
            "busy_nanos": report.busy_nanos,
            "busy_percent": (busy.min(100.0) * 10.0).round() / 10.0,
            "rx_frames": report.rx_frames,
            "sleeps": report.sleeps,
        })
    };
    reports.iter().map(one).collect()
}

/// What a bridge that snoops has heard of.
fn snooping(table: &Mdb) -> Value {
    json!({
        "groups": table.group_count(),
        "max": table.settings().groups_max,
        "routers": table.router_count(),
    })
}

fn xdp_mode(link: Option<&Link>) -> Option<String> {
    Some(link?.attached.as_ref()?.mode().to_string())
}

fn one_bridge(
    lent: &Parts<'_>,
    bridge: &crate::config::desired::Bridge,
    fdb: FdbStats,
    ports: Vec<Value>,
) -> Value {
    let mut value = json!({
        "name": bridge.name,
        "datapath_id": lent.seen.datapath_id(bridge),
        "fail_mode": if bridge.fail_mode.is_empty() { "standalone" } else { &bridge.fail_mode },
        "forwards": bridge.forwards,
        "fdb": {
            "entries": fdb.entries,
            "max": bridge.fdb_entries_max,
            "learned": fdb.learned,
            "moved": fdb.moved,
            "expired": fdb.expired,
            "evicted": fdb.evicted,
        },
        "snooping": lent.snooping.table(&bridge.name).map(snooping),

    });
    // Moved, not copied: there may be thousands.
    if let Some(object) = value.as_object_mut() {
        object.insert("ports".to_owned(), Value::Array(ports));
    }
    value
}

impl View<'_, '_> {
    fn port(&self, port: &crate::config::desired::Port, interface: &Interface) -> Value {
        let lent = self.lent;
        let planned = lent.seen.plan.ports.get(&interface.uuid);
        let status = planned.map(|planned| lent.seen.interface_status(interface, planned));
        let status = status.unwrap_or_default();
        let link = lent.seen.links.get(&interface.name).filter(|link| link.held != Held::Underlay);
        let up = |up: Option<bool>| up.map(|up| if up { "up" } else { "down" });
        let mut value = json!({
            "name": interface.name,
            "port": port.name.as_str(),
            "ofport": planned.map_or(-1, |planned| i64::from(planned.ofport)),
            "type": if interface.type_name.is_empty() { "system" } else { &interface.type_name },
            "link_state": up(status.is_running),
            "admin_state": up(status.is_admin_up),
            "error": lent.seen.error(interface),
            "blocked": planned.and_then(|planned| {
                lent.seen.spanning.blocked(&planned.bridge, lent.ids.port(&planned.port)?)
            }),
            "ifindex": status.ifindex,
            "mac": status.mac,
            "mtu": status.mtu,
            "tag": (port.vlan.mode != VlanMode::Trunk).then(|| port.vlan.tag.get()),
            "trunks": port.vlan.trunks.as_ref()
                .map(|set| set.iter().map(weft_wire::vid::Vid::get).collect::<Vec<_>>()),
            "cvlans": port.vlan.cvlans.as_ref()
                .map(|set| set.iter().map(weft_wire::vid::Vid::get).collect::<Vec<_>>()),
            "vlan_mode": vlan_mode(port.vlan.mode),
            "worker": link.map(|link| link.workers.iter().map(|id| id.0).collect::<Vec<_>>())
                .unwrap_or_default(),
            "xdp_mode": xdp_mode(link),
            "xdp_frags": link.and_then(|link| link.attached.as_ref())
                .is_some_and(weft_ebpf::Attached::has_frags),
            "af_xdp_mode": link.and_then(|link| link.af_xdp_mode),
            "packet_socket": link.is_some_and(Link::is_guest),
            "tapped": link.is_some_and(|link| link.tap.state == TapState::Tapped),
            "tunnel": planned.and_then(|planned| tunnel(lent, planned)),
        });
        if let Some(object) = value.as_object_mut() {
            object.extend(self.traffic(planned));
        }
        value
    }

    fn traffic(&self, planned: Option<&PlannedPort>) -> Map<String, Value> {
        let now = self.now;
        let before = planned.and_then(|port| self.lent.rates.traffic.get(&port.interface));
        let [rx_frames, rx_bytes, tx_frames, tx_bytes] = before.copied().unwrap_or_default();
        let link = planned.and_then(|planned| self.lent.seen.links.get(&planned.name));
        let missed: u64 = link.map(Link::missed_frames).unwrap_or_default().values().sum();
        let bits = |now: u64, before: u64| rate(now, before, self.secs) * 8.0;
        let value = json!({
            "rx_frames": now.rx_frames,
            "rx_bytes": now.rx_bytes,
            "tx_frames": now.tx_frames,
            "tx_bytes": now.tx_bytes,
            "rx_drops": now.rx_dropped_frames(),
            "rx_missed": missed,
            "tx_drops": now.tx_dropped_frames(),
            "rx_rate_fps": rate(now.rx_frames, rx_frames, self.secs),
            "tx_rate_fps": rate(now.tx_frames, tx_frames, self.secs),
            "rx_rate_bps": bits(now.rx_bytes, rx_bytes),
            "tx_rate_bps": bits(now.tx_bytes, tx_bytes),
        });
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

fn underlays(lent: &Parts<'_>, counters: &Counters) -> Vec<Value> {
    let underlays = lent.seen.links.iter().filter(|(_, link)| link.held == Held::Underlay);
    underlays
        .map(|(name, link)| {
            let addresses = lent.seen.kernel.addresses_of(link.ifindex);
            let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
            let counted = counters.link(link.id).cloned().unwrap_or_default();
            json!({
                "name": name,
                "xdp_mode": xdp_mode(Some(link)),
                "af_xdp_mode": link.af_xdp_mode,
                "addresses": addresses,
                "xdp_counters": xdp_counters(link),
                "rx_frames": counted.rx_frames,
                "drops": by_reason(&counted.rx_drops),
            })
        })
        .collect()
}

fn xdp_counters(link: &Link) -> Map<String, Value> {
    let counters = link.attached.as_ref().and_then(|attached| attached.counters().ok());
    counters
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect()
}

const fn vlan_mode(mode: VlanMode) -> &'static str {
    match mode {
        VlanMode::Access => "access",
        VlanMode::Trunk => "trunk",
        VlanMode::NativeTagged => "native-tagged",
        VlanMode::NativeUntagged => "native-untagged",
        VlanMode::Dot1qTunnel => "dot1q-tunnel",
    }
}

fn tunnel(lent: &Parts<'_>, planned: &PlannedPort) -> Option<Value> {
    let Carrier::Tunnel(tunnel, path) = &planned.carrier else { return None };
    let (mac, reason) = match &path.state {
        State::Ready(mac) => (Some(mac.to_string()), lent.seen.dead_ends.text(&planned.interface)),
        State::Resolving => (None, None),
        State::Unreachable(reason) => (None, Some(reason.clone())),
    };
    Some(json!({
        "type": tunnel.kind.name(),
        "remote_ip": tunnel.remote.map_or_else(|| "flow".to_owned(), |remote| remote.to_string()),
        "local_ip": tunnel.local.address().or(path.source).map(|local| local.to_string()),
        "key": tunnel.conf().out_key,
        "egress_iface": path.egress.as_ref().map(|egress| &egress.name),
        "next_hop": path.next_hop.map(|hop| hop.to_string()),
        "next_hop_mac": mac,
        "state": path.state.name(),
        "reason": reason,
        "effective_mtu": tunnel.effective_mtu(path.mtu),
    }))
}

/// Drops of one direction, without the zeros.
fn push_drops(
    all: &mut Vec<Value>,
    bridge: Option<&str>,
    port: &str,
    direction: &str,
    counts: &[u64],
) {
    for (reason, frames) in by_reason(counts) {
        all.push(json!({
            "bridge": bridge, "port": port, "direction": direction, "reason": reason,
            "frames": frames,
        }));
    }
}

/// Frames of a link that the kernel dropped.
fn push_missed(all: &mut Vec<Value>, bridge: Option<&str>, name: &str, link: &Link) {
    for (reason, frames) in link.missed_frames() {
        all.push(json!({
            "bridge": bridge, "port": name, "direction": "rx", "reason": reason, "frames": frames,
        }));
    }
}

fn drops(lent: &mut Parts<'_>, _args: &[String]) -> Result<Step, String> {
    let rows = lent.seen.plan.ports.iter().map(|port| port.interface).collect();
    let counters = errand::Counters { ids: lent.ids, workers: lent.workers };
    Ok(by_port::<Weft, _>(counters, rows, Vec::new(), drops_of_port, |lent, all| {
        let question = lent.workers.ask(|_| weft_worker::Command::ReportFigures);
        Step::ask::<Weft>(question, |lent, answers| drops_of_underlays(lent, all, answers))
    }))
}

fn drops_of_port(lent: &mut Parts<'_>, all: &mut Vec<Value>, row: &Uuid, counted: &IfaceCounters) {
    let Some(port) = lent.seen.plan.ports.get(row) else { return };
    let bridge = Some(port.bridge.as_str());
    push_drops(all, bridge, &port.name, "rx", &counted.rx_drops);
    push_drops(all, bridge, &port.name, "tx", &counted.tx_drops);
    if let Some(link) = lent.seen.links.get(&port.name).filter(|link| link.held != Held::Underlay) {
        push_missed(all, bridge, &port.name, link);
    }
}

fn drops_of_underlays(
    lent: &Parts<'_>,
    mut all: Vec<Value>,
    answers: Vec<weft_worker::Event<weft_io::Queue>>,
) -> Step {
    let mut counters = Counters::default();
    for report in reports(answers) {
        counters.add(&report.counters);
    }
    for (name, link) in lent.seen.links.iter().filter(|(_, link)| link.held == Held::Underlay) {
        let counted = counters.link(link.id).cloned().unwrap_or_default();
        push_drops(&mut all, None, name, "rx", &counted.rx_drops);
        push_missed(&mut all, None, name, link);
    }
    elsewhere(Value::Array(all))
}

/// The name and the number of each port.
type PortNames = HashMap<PortId, (String, u16)>;

/// `weft/fdb` under way.
struct Addresses {
    /// Bridges that are to be read.
    left: std::vec::IntoIter<String>,
    read: Vec<(String, Pieces, PortNames)>,
}

fn fdb(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let names: Vec<String> = match args.first() {
        Some(name) if lent.seen.desired.bridges.contains_key(name) => vec![name.clone()],
        Some(_) => return Err("no such bridge\n".to_owned()),
        None => lent.seen.desired.bridges.keys().cloned().collect(),
    };
    Ok(Addresses { left: names.into_iter(), read: Vec::new() }.go_on(lent))
}

impl Addresses {
    fn go_on(mut self, lent: &mut Parts<'_>) -> Step {
        let id = |name: String| {
            Some((super::fdb::bridge(lent.seen.desired, lent.ids, &name).ok()?, name))
        };
        let Some((id, name)) = self.left.by_ref().find_map(id) else {
            return Step::Elsewhere(Box::new(move || self.text()));
        };
        let end = move |lent: &mut Parts<'_>, pieces: Pieces| {
            let number = |port: &PlannedPort| {
                let id = lent.ids.port(&port.port)?;
                Some((id, (port.port.as_str().to_owned(), port.ofport)))
            };
            let ports = lent.seen.plan.ports.of_bridge(&name).filter_map(number).collect();
            self.read.push((name, pieces, ports));
            self.go_on(lent)
        };
        Reading::of(id, lent.workers).go_on::<Weft>(lent.workers, end)
    }

    /// Entry by entry: a million of them as one value would take a gigabyte.
    fn text(self) -> Answer {
        let mut text = String::from("[");
        for (bridge, pieces, ports) in self.read {
            for record in merged(pieces) {
                let Some((port, ofport)) = ports.get(&record.port) else { continue };
                let entry = json!({
                    "bridge": bridge,
                    "port": port,
                    "ofport": ofport,
                    "vlan": record.vid.get(),
                    "mac": record.mac.to_string(),
                    "age_secs": record.age_secs,
                    "static": record.age_secs.is_none(),
                });
                let comma = if text.len() > 1 { "," } else { "" };
                let _ = write!(text, "{comma}{entry}");
            }
        }
        Ok(text + "]\n")
    }
}

fn turns(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    match args.first().map(String::as_str) {
        None => Ok(lent.turns.show()),
        Some("clear") => {
            lent.turns.clear();
            Ok(String::new())
        }
        Some(other) => Err(format!("{other}: not clear\n")),
    }
}
