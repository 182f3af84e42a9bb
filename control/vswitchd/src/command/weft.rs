//! `weft/*`: what the `weft` command shows, as JSON text.

use super::{Command, command};
use crate::desired::Interface;
use crate::engine::Engine;
use crate::links::Link;
use crate::plan::{Carrier, Held, PlannedPort};
use crate::taps::TapState;
use crate::tunnels::State;
use crate::unixctl::Answer;
use crate::workers::WorkerError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use weft_switch::mcast::Mdb;
use weft_switch::{Counters, DropReason, FdbStats, LinkCounters, PortCounters, VlanMode};
use weft_worker::Report;

pub(super) const COMMANDS: &[Command] = &[
    command("weft/show", "", 0, 0, show),
    command("weft/drops", "", 0, 0, drops),
    command("weft/fdb", "[bridge]", 0, 1, fdb),
    command("weft/doctor", "", 0, 0, |engine, _| text(&crate::doctor::examine(engine))),
];

fn text(value: &Value) -> Answer {
    Ok(format!("{value}\n"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn stuck(error: WorkerError) -> String {
    format!("{error}\n")
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

/// Everything that the counters of one moment say.
struct View<'a> {
    engine: &'a Engine,
    now: &'a Counters,
    secs: f64,
}

fn show(engine: &mut Engine, _args: &[String]) -> Answer {
    let reports = engine.workers.reports().map_err(stuck)?;
    let mut now = Counters::default();
    for report in &reports {
        now.add(&report.counters);
    }
    let mut fdbs = BTreeMap::new();
    for bridge in engine.desired.bridges.values() {
        if let Some(id) = engine.ids.bridge(&bridge.uuid) {
            let (_, stats) = engine.workers.dump_fdb(id).map_err(stuck)?;
            fdbs.insert(bridge.name.clone(), stats);
        }
    }
    let secs = engine.rates.at.map_or(0.0, |at| at.elapsed().as_secs_f64());
    let view = View { engine, now: &now, secs };
    let bridges: Vec<_> = engine
        .desired
        .bridges
        .values()
        .map(|bridge| view.bridge(bridge, fdbs.get(&bridge.name).copied().unwrap_or_default()))
        .collect();
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "epoch": engine.epoch,
        "database_fault": engine.storage.get().map(|fault| fault.to_string()),
        "workers": workers(engine, &reports),
        "bridges": bridges,
        "underlays": view.underlays(),
    });
    // Asked again soon, the rate is over that time and not over a blink.
    if engine.rates.at.is_none_or(|at: Instant| at.elapsed().as_secs_f64() > 1.0) {
        engine.rates.note(now);
    }
    text(&value)
}

fn workers(engine: &Engine, reports: &[Report]) -> Vec<Value> {
    let places: BTreeMap<_, _> = engine.workers.places().collect();
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

impl View<'_> {
    fn bridge(&self, bridge: &crate::desired::Bridge, fdb: FdbStats) -> Value {
        let ports: Vec<_> = bridge
            .ports
            .values()
            .flat_map(|port| port.interfaces.iter().map(move |interface| (port, interface)))
            .map(|(port, interface)| self.port(port, interface))
            .collect();
        json!({
            "name": bridge.name,
            "datapath_id": self.engine.datapath_id(bridge),
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
            "snooping": self.engine.snooping.table(&bridge.name).map(snooping),
            "ports": ports,
        })
    }

    fn port(&self, port: &crate::desired::Port, interface: &Interface) -> Value {
        let engine = self.engine;
        let planned = engine.plan.ports.iter().find(|other| other.interface == interface.uuid);
        let status = planned.map(|planned| engine.interface_status(interface, planned));
        let status = status.unwrap_or_default();
        let link = engine.links.get(&interface.name).filter(|link| link.held != Held::Underlay);
        let up = |up: Option<bool>| up.map(|up| if up { "up" } else { "down" });
        let mut value = json!({
            "name": interface.name,
            "port": port.name.as_str(),
            "ofport": planned.map_or(-1, |planned| i64::from(planned.ofport)),
            "type": if interface.type_name.is_empty() { "system" } else { &interface.type_name },
            "link_state": up(status.is_running),
            "admin_state": up(status.is_admin_up),
            "error": engine.error(interface),
            "blocked": planned.and_then(|planned| {
                engine.spanning.blocked(&planned.bridge, engine.ids.port(&planned.interface)?)
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
            "tunnel": planned.and_then(|planned| tunnel(engine, planned)),
        });
        if let Some(object) = value.as_object_mut() {
            object.extend(self.traffic(planned));
        }
        value
    }

    fn traffic(&self, planned: Option<&PlannedPort>) -> Map<String, Value> {
        let id = planned.and_then(|planned| self.engine.ids.port(&planned.interface));
        let of = |counters: &Counters| -> PortCounters {
            id.and_then(|id| counters.port(id)).cloned().unwrap_or_default()
        };
        let (now, before) = (of(self.now), of(&self.engine.rates.counters));
        let link = planned.and_then(|planned| self.engine.links.get(&planned.name));
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
            "rx_rate_fps": rate(now.rx_frames, before.rx_frames, self.secs),
            "tx_rate_fps": rate(now.tx_frames, before.tx_frames, self.secs),
            "rx_rate_bps": bits(now.rx_bytes, before.rx_bytes),
            "tx_rate_bps": bits(now.tx_bytes, before.tx_bytes),
        });
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    fn underlays(&self) -> Vec<Value> {
        let engine = self.engine;
        let underlays = engine.links.iter().filter(|(_, link)| link.held == Held::Underlay);
        underlays
            .map(|(name, link)| {
                let addresses: Vec<_> = engine
                    .kernel
                    .addresses()
                    .filter(|(ifindex, _)| *ifindex == link.ifindex)
                    .map(|(_, address)| address.to_string())
                    .collect();
                let counted = self.now.link(link.id).cloned().unwrap_or_default();
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

fn tunnel(engine: &Engine, planned: &PlannedPort) -> Option<Value> {
    let Carrier::Tunnel(tunnel, path) = &planned.carrier else { return None };
    let (mac, reason) = match &path.state {
        State::Ready(mac) => (Some(mac.to_string()), engine.dead_ends.text(&planned.interface)),
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

fn drops(engine: &mut Engine, _args: &[String]) -> Answer {
    let counters = engine.counters().map_err(stuck)?;
    let mut all = Vec::new();
    let mut push = |bridge: Option<&str>, port: &str, direction: &str, counts: &[u64]| {
        for (reason, frames) in by_reason(counts) {
            all.push(json!({
                "bridge": bridge, "port": port, "direction": direction, "reason": reason,
                "frames": frames,
            }));
        }
    };
    for port in &engine.plan.ports {
        let id = engine.ids.port(&port.interface);
        if let Some(counted) = id.and_then(|id| counters.port(id)) {
            push(Some(&port.bridge), &port.name, "rx", &counted.rx_drops);
            push(Some(&port.bridge), &port.name, "tx", &counted.tx_drops);
        }
    }
    for (name, link) in engine.links.iter().filter(|(_, link)| link.held == Held::Underlay) {
        let counted = counters.link(link.id).cloned();
        push(None, name, "rx", &counted.unwrap_or_else(LinkCounters::default).rx_drops);
    }
    for (name, link) in engine.links.iter() {
        let bridge = engine.plan.ports.iter().find(|port| port.name == *name);
        for (reason, frames) in link.missed_frames() {
            all.push(json!({
                "bridge": bridge.map(|port| &port.bridge), "port": name, "direction": "rx",
                "reason": reason, "frames": frames,
            }));
        }
    }
    text(&Value::Array(all))
}

fn fdb(engine: &mut Engine, args: &[String]) -> Answer {
    let names: Vec<String> = match args.first() {
        Some(name) if engine.desired.bridges.contains_key(name) => vec![name.clone()],
        Some(_) => return Err("no such bridge\n".to_owned()),
        None => engine.desired.bridges.keys().cloned().collect(),
    };
    let mut all = Vec::new();
    for name in names {
        let bridge = engine.desired.bridges.get(&name);
        let Some(id) = bridge.and_then(|bridge| engine.ids.bridge(&bridge.uuid)) else { continue };
        let (records, _) = engine.workers.dump_fdb(id).map_err(stuck)?;
        for record in records {
            let interface = engine.ids.ports.key(record.port.0);
            let port = engine.plan.ports.iter().find(|port| Some(&port.interface) == interface);
            let Some(port) = port else { continue };
            all.push(json!({
                "bridge": name,
                "port": port.port.as_str(),
                "ofport": port.ofport,
                "vlan": record.vid.get(),
                "mac": record.mac.to_string(),
                "age_secs": record.age_secs,
                "static": record.age_secs.is_none(),
            }));
        }
    }
    text(&Value::Array(all))
}
