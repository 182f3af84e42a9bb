//! `fdb/*`.

use super::{command, errand};
use crate::lower::workers::{WorkerError, fdb_stats};
use crate::plan::ofport::LOCAL;
use crate::process::engine::Engine;
use crate::process::errand::Step;
use crate::process::unixctl::Answer;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use weft_io::Queue;
use weft_switch::{BridgeId, FdbRecord, PortId, WorkerId};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;
use weft_worker::{Command, Event};

pub(super) const COMMANDS: &[super::Command] = &[
    errand("fdb/show", "bridge", 1, 1, show),
    command("fdb/flush", "[bridge]", 0, 1, flush),
    command("fdb/stats-show", "bridge", 1, 1, stats_show),
    command("fdb/stats-clear", "[bridge]", 0, 1, stats_clear),
    command("fdb/add", "bridge port vlan mac", 4, 4, add),
    command("fdb/del", "bridge vlan mac", 3, 3, del),
    command("weft/fdb-flush", "[bridge=BRIDGE] [port=PORT] [vlan=VLAN]", 0, 3, flush_part),
];

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn stuck(error: WorkerError) -> String {
    format!("{error}\n")
}

/// The number of a bridge, or the stock error.
pub(super) fn bridge(engine: &Engine, name: &str) -> Result<BridgeId, String> {
    let bridge = engine.desired.bridges.get(name);
    bridge
        .and_then(|bridge| engine.ids.bridge(&bridge.uuid))
        .ok_or_else(|| "no such bridge\n".to_owned())
}

/// The number that `fdb/show` prints for a port.
pub(super) fn ofport(engine: &Engine, port: PortId) -> Option<u16> {
    let interface = engine.ids.ports.key(port.0)?;
    engine.plan.ports.get(interface).map(|port| port.ofport)
}

/// Parts of FDBs, of all workers.
pub(super) type Parts = Vec<Vec<FdbRecord>>;

/// Takes the parts of an FDB.
type End = Box<dyn FnOnce(&mut Engine, Parts) -> Step>;

/// Reads an FDB part by part, from each worker its own.
struct Reading {
    bridge: BridgeId,
    /// Where the next part of each begins.
    next: BTreeMap<WorkerId, usize>,
    parts: Parts,
    end: End,
}

/// Reads the FDB of a bridge, a part in each turn.
pub(super) fn read(engine: &mut Engine, bridge: BridgeId, end: End) -> Step {
    let next = engine.workers.places().map(|(worker, _)| (worker, 0)).collect();
    Reading { bridge, next, parts: Vec::new(), end }.go_on(engine)
}

impl Reading {
    fn go_on(mut self, engine: &mut Engine) -> Step {
        let workers: Vec<_> = self.next.keys().copied().collect();
        if workers.is_empty() {
            return (self.end)(engine, self.parts);
        }
        let (bridge, from) = (self.bridge, std::mem::take(&mut self.next));
        let question = engine.workers.ask_some(&workers, |worker| Command::DumpFdb {
            bridge,
            from: from.get(&worker).copied().unwrap_or(0),
        });
        let resume = move |engine: &mut Engine, answers: Vec<Event<Queue>>| {
            for event in answers {
                let Event::Fdb { worker, records, next } = event else { continue };
                self.parts.push(records);
                self.next.extend(next.map(|next| (worker, next)));
            }
            self.go_on(engine)
        };
        Step::Ask(question, Box::new(resume))
    }
}

/// One entry for each station, that which was heard last; by VLAN and address.
pub(super) fn merged(parts: Parts) -> Vec<FdbRecord> {
    let mut records: Vec<_> = parts.into_iter().flatten().collect();
    // A static entry has no age, which sorts before every age.
    records.sort_unstable_by_key(|record| (record.vid, record.mac, record.age_secs));
    records.dedup_by_key(|record| (record.vid, record.mac));
    records
}

fn show(engine: &mut Engine, args: &[String]) -> Result<Step, String> {
    let name = args.first().map_or("", String::as_str).to_owned();
    let bridge = bridge(engine, &name)?;
    let end = move |engine: &mut Engine, parts| {
        let ports = engine.plan.ports.of_bridge(&name);
        let ports: HashMap<PortId, u16> = ports
            .filter_map(|port| Some((engine.ids.port(&port.interface)?, port.ofport)))
            .collect();
        Step::Elsewhere(Box::new(move || Ok(listing(parts, &ports))))
    };
    Ok(read(engine, bridge, Box::new(end)))
}

/// As Open vSwitch lists them: static ones first, then the one heard longest ago.
fn listing(parts: Parts, numbers: &HashMap<PortId, u16>) -> String {
    let mut records = merged(parts);
    records.sort_by_key(|record| (record.age_secs.map(Reverse), record.vid, record.mac));
    let mut text = String::from(" port  VLAN  MAC                Age\n");
    for record in records {
        let Some(port) = numbers.get(&record.port) else { continue };
        let port = ofport_name(*port);
        let (vid, mac) = (record.vid.get(), record.mac);
        let _ = if let Some(age) = record.age_secs {
            writeln!(text, "{port:>5}  {vid:>4}  {mac}  {age:>3}")
        } else {
            writeln!(text, "{port:>5}  {vid:>4}  {mac}  static")
        };
    }
    text
}

fn ofport_name(number: u16) -> String {
    if number == LOCAL { "LOCAL".to_owned() } else { number.to_string() }
}

fn flush(engine: &mut Engine, args: &[String]) -> Answer {
    let bridge = args.first().map(|name| bridge(engine, name)).transpose()?;
    engine.workers.flush_fdb(bridge, None, None).map_err(stuck)?;
    Ok("table successfully flushed\n".to_owned())
}

fn stats_show(engine: &mut Engine, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    let bridge = bridge(engine, name)?;
    let stats = fdb_stats(&engine.workers.figures().map_err(stuck)?, bridge);
    Ok(format!(
        "Statistics for bridge \"{name}\":\n  \
         Current/maximum MAC entries in the table: {}/{}\n  \
         Current static MAC entries in the table : {}\n  \
         Total number of learned MAC entries     : {}\n  \
         Total number of expired MAC entries     : {}\n  \
         Total number of evicted MAC entries     : {}\n  \
         Total number of port moved MAC entries  : {}\n",
        stats.entries,
        stats.entries_max,
        stats.static_entries,
        stats.learned,
        stats.expired,
        stats.evicted,
        stats.moved,
    ))
}

fn stats_clear(engine: &mut Engine, args: &[String]) -> Answer {
    let bridges = if let Some(name) = args.first() {
        vec![bridge(engine, name)?]
    } else {
        let all = engine.desired.bridges.values();
        all.filter_map(|bridge| engine.ids.bridge(&bridge.uuid)).collect()
    };
    for bridge in bridges {
        engine.workers.clear_fdb_stats(bridge).map_err(stuck)?;
    }
    Ok("statistics successfully cleared\n".to_owned())
}

fn parse_vid(text: &str) -> Result<Vid, String> {
    let vid = text.parse().ok().and_then(Vid::new);
    vid.ok_or_else(|| format!("{text}: not a VLAN, 0 to 4095\n"))
}

fn vid_and_mac(vid: &str, mac: &str) -> Result<(Vid, MacAddr), String> {
    let vid = parse_vid(vid)?;
    let mac = mac.parse().map_err(|_| "bad MAC address\n")?;
    Ok((vid, mac))
}

fn add(engine: &mut Engine, args: &[String]) -> Answer {
    let [of_bridge, name, vid, mac] = args else { return Err(String::new()) };
    let id = bridge(engine, of_bridge)?;
    let number: Option<u16> = if name == "LOCAL" { Some(LOCAL) } else { name.parse().ok() };
    // The name of an interface, as with Open vSwitch.
    let planned = engine.plan.ports.iter().find(|planned| {
        planned.bridge == *of_bridge && (planned.name == *name || Some(planned.ofport) == number)
    });
    let port = planned
        .and_then(|planned| engine.ids.port(&planned.interface))
        .ok_or_else(|| format!("unknown port {name}\n"))?;
    let (vid, mac) = vid_and_mac(vid, mac)?;
    let before = engine.workers.find_fdb(id, vid, mac).map_err(stuck)?;
    engine.workers.set_static(id, vid, mac, Some(port)).map_err(stuck)?;
    Ok(before.and_then(|record| overridden(engine, &record, name)).unwrap_or_default())
}

/// What is said of an entry that `fdb/add` of `interface` takes the place of.  Open vSwitch is silent
/// about one of a *port* of that name.
fn overridden(engine: &Engine, record: &FdbRecord, interface: &str) -> Option<String> {
    let planned = engine.plan.ports.get(engine.ids.ports.key(record.port.0)?)?;
    let kind = if record.age_secs.is_some() { "dynamic" } else { "static" };
    let number = ofport_name(planned.ofport);
    (planned.port.as_str() != interface)
        .then(|| format!("Overriding already existing {kind} entry on {number}\n"))
}

fn del(engine: &mut Engine, args: &[String]) -> Answer {
    let [name, vid, mac] = args else { return Err(String::new()) };
    let id = bridge(engine, name)?;
    let (vid, mac) = vid_and_mac(vid, mac)?;
    let before = engine.workers.find_fdb(id, vid, mac).map_err(stuck)?;
    if before.is_none_or(|record| record.age_secs.is_some()) {
        return Err("could not find static mac entry\n".to_owned());
    }
    engine.workers.set_static(id, vid, mac, None).map_err(stuck)?;
    Ok(String::new())
}

/// Forgets what was learned on one bridge, port or VLAN, or where several are named, on all of
/// them together; the answer is how many addresses went.
fn flush_part(engine: &mut Engine, args: &[String]) -> Answer {
    let (mut of_bridge, mut port, mut vid) = (None, None, None);
    for arg in args {
        match arg.split_once('=') {
            Some(("bridge", name)) => of_bridge = Some(bridge(engine, name)?),
            Some(("port", name)) => port = Some(port_named(engine, name)?),
            Some(("vlan", number)) => vid = Some(parse_vid(number)?),
            _ => return Err(format!("{arg}: not bridge=, port= or vlan=\n")),
        }
    }
    let entries = engine.workers.flush_fdb(of_bridge, port, vid).map_err(stuck)?;
    Ok(format!("{entries}\n"))
}

fn port_named(engine: &Engine, name: &str) -> Result<PortId, String> {
    let planned = engine.plan.ports.by_port_or_interface(name);
    planned
        .and_then(|planned| engine.ids.port(&planned.interface))
        .ok_or_else(|| format!("no such port: {name}\n"))
}
