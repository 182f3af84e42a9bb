//! `fdb/*`.

use super::{Command, Family, command, errand};
use crate::config::desired::Desired;
use crate::engine::Engine;
use crate::engine::errand::{Counting, Step};
use crate::engine::parts::{Lend, Needs};
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::plan::ofport::LOCAL;
use crate::serve::unixctl::Answer;
use crate::workers::{Workers, fdb_stats};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use weft_switch::{BridgeId, FdbRecord, PortId, WorkerId};
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;
use weft_worker::Event;

/// The commands of this family.
pub(crate) enum Fdb {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
    pub ids: &'a Ids,
    pub workers: &'a mut Workers,
}

impl Needs for Fdb {
    type Parts<'a> = Parts<'a>;
}

impl Family for Fdb {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Fdb>] = &[
    errand::<Fdb>("fdb/show", "bridge", 1, 1, show),
    command::<Fdb>("fdb/flush", "[bridge]", 0, 1, flush),
    command::<Fdb>("fdb/stats-show", "bridge", 1, 1, stats_show),
    command::<Fdb>("fdb/stats-clear", "[bridge]", 0, 1, stats_clear),
    command::<Fdb>("fdb/add", "bridge port vlan mac", 4, 4, add),
    command::<Fdb>("fdb/del", "bridge vlan mac", 3, 3, del),
    command::<Fdb>("weft/fdb-flush", "[bridge=BRIDGE] [port=PORT] [vlan=VLAN]", 0, 3, flush_part),
];

/// The number of a bridge, or the stock error.
pub(super) fn bridge(desired: &Desired, ids: &Ids, name: &str) -> Result<BridgeId, String> {
    let bridge = desired.bridges.get(name);
    bridge.and_then(|bridge| ids.bridge(&bridge.uuid)).ok_or_else(|| "no such bridge\n".to_owned())
}

/// The number that `fdb/show` prints for a port: that of its first interface.
pub(super) fn ofport(plan: &Installed, ids: &Ids, port: PortId) -> Option<u16> {
    plan.ports.by_port(ids.ports.key(port.0)?).map(|port| port.ofport)
}

/// Pieces of FDBs, of all workers.
pub(super) type Pieces = Vec<Vec<FdbRecord>>;

/// An FDB that is read piece by piece, from each worker its own.
pub(super) struct Reading {
    bridge: BridgeId,
    /// Where the next piece of each begins.
    next: BTreeMap<WorkerId, usize>,
    pieces: Pieces,
}

impl Reading {
    /// Of the FDB of a bridge, from its beginning.
    pub(super) fn of(bridge: BridgeId, workers: &Workers) -> Self {
        let next = workers.places().map(|(worker, _)| (worker, 0)).collect();
        Self { bridge, next, pieces: Vec::new() }
    }

    /// Reads a piece in each turn; then `end` goes on with all of them.
    pub(super) fn go_on<N: Needs>(
        mut self,
        workers: &mut Workers,
        end: impl FnOnce(&mut N::Parts<'_>, Pieces) -> Step + 'static,
    ) -> Step
    where
        Engine: Lend<N>,
    {
        let (bridge, from) = (self.bridge, std::mem::take(&mut self.next));
        let asked: Vec<_> = from.keys().copied().collect();
        let question = workers.ask_some(&asked, |worker| weft_worker::Command::DumpFdb {
            bridge,
            from: from.get(&worker).copied().unwrap_or(0),
        });
        Step::ask::<Counting>(question, move |counters, answers| {
            for event in answers {
                let Event::Fdb { worker, records, next } = event else { continue };
                self.pieces.push(records);
                self.next.extend(next.map(|next| (worker, next)));
            }
            if self.next.is_empty() {
                return Step::next::<N>(move |lent| end(lent, self.pieces));
            }
            self.go_on(counters.workers, end)
        })
    }
}

/// One entry for each station, that which was heard last; by VLAN and address.
pub(super) fn merged(pieces: Pieces) -> Vec<FdbRecord> {
    let mut records: Vec<_> = pieces.into_iter().flatten().collect();
    // A static entry has no age, which sorts before every age.
    records.sort_unstable_by_key(|record| (record.vid, record.mac, record.age_secs));
    records.dedup_by_key(|record| (record.vid, record.mac));
    records
}

fn show(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let name = args.first().map_or("", String::as_str).to_owned();
    let bridge = bridge(lent.desired, lent.ids, &name)?;
    let end = move |lent: &mut Parts<'_>, pieces: Pieces| {
        let ports = lent.plan.ports.of_bridge(&name);
        let ports: HashMap<PortId, u16> =
            ports.filter_map(|port| Some((lent.ids.port(&port.port)?, port.ofport))).collect();
        Step::Elsewhere(Box::new(move || Ok(listing(pieces, &ports))))
    };
    Ok(Reading::of(bridge, lent.workers).go_on::<Fdb>(lent.workers, end))
}

/// As Open vSwitch lists them: static ones first, then the one heard longest ago.
fn listing(pieces: Pieces, numbers: &HashMap<PortId, u16>) -> String {
    let mut records = merged(pieces);
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

fn flush(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let bridge = args.first().map(|name| bridge(lent.desired, lent.ids, name)).transpose()?;
    lent.workers.flush_fdb(bridge, None, None);
    Ok("table successfully flushed\n".to_owned())
}

fn stats_show(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    let bridge = bridge(lent.desired, lent.ids, name)?;
    let stats = fdb_stats(&lent.workers.figures(), bridge);
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

fn stats_clear(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let bridges = if let Some(name) = args.first() {
        vec![bridge(lent.desired, lent.ids, name)?]
    } else {
        let all = lent.desired.bridges.values();
        all.filter_map(|bridge| lent.ids.bridge(&bridge.uuid)).collect()
    };
    for bridge in bridges {
        lent.workers.clear_fdb_stats(bridge);
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

fn add(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let [of_bridge, name, vid, mac] = args else { return Err(String::new()) };
    let id = bridge(lent.desired, lent.ids, of_bridge)?;
    let number: Option<u16> = if name == "LOCAL" { Some(LOCAL) } else { name.parse().ok() };
    // The name of an interface, as with Open vSwitch.
    let planned = lent.plan.ports.iter().find(|planned| {
        planned.bridge == *of_bridge && (planned.name == *name || Some(planned.ofport) == number)
    });
    let port = planned
        .and_then(|planned| lent.ids.port(&planned.port))
        .ok_or_else(|| format!("unknown port {name}\n"))?;
    let (vid, mac) = vid_and_mac(vid, mac)?;
    let before = lent.workers.find_fdb(id, vid, mac);
    lent.workers.set_static(id, vid, mac, Some(port));
    Ok(before.and_then(|record| overridden(lent, &record, name)).unwrap_or_default())
}

/// What is said of an entry that `fdb/add` of `interface` takes the place of.  Open vSwitch is silent
/// about one of a *port* of that name.
fn overridden(lent: &Parts<'_>, record: &FdbRecord, interface: &str) -> Option<String> {
    let planned = lent.plan.ports.by_port(lent.ids.ports.key(record.port.0)?)?;
    let kind = if record.age_secs.is_some() { "dynamic" } else { "static" };
    let number = ofport_name(planned.ofport);
    (planned.port.as_str() != interface)
        .then(|| format!("Overriding already existing {kind} entry on {number}\n"))
}

fn del(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let [name, vid, mac] = args else { return Err(String::new()) };
    let id = bridge(lent.desired, lent.ids, name)?;
    let (vid, mac) = vid_and_mac(vid, mac)?;
    let before = lent.workers.find_fdb(id, vid, mac);
    if before.is_none_or(|record| record.age_secs.is_some()) {
        return Err("could not find static mac entry\n".to_owned());
    }
    lent.workers.set_static(id, vid, mac, None);
    Ok(String::new())
}

/// Forgets what was learned on one bridge, port or VLAN, or where several are named, on all of
/// them together; the answer is how many addresses went.
fn flush_part(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let (mut of_bridge, mut port, mut vid) = (None, None, None);
    for arg in args {
        match arg.split_once('=') {
            Some(("bridge", name)) => of_bridge = Some(bridge(lent.desired, lent.ids, name)?),
            Some(("port", name)) => port = Some(port_named(lent, name)?),
            Some(("vlan", number)) => vid = Some(parse_vid(number)?),
            _ => return Err(format!("{arg}: not bridge=, port= or vlan=\n")),
        }
    }
    let entries = lent.workers.flush_fdb(of_bridge, port, vid);
    Ok(format!("{entries}\n"))
}

fn port_named(lent: &Parts<'_>, name: &str) -> Result<PortId, String> {
    let planned = lent.plan.ports.by_port_or_interface(name);
    planned
        .and_then(|planned| lent.ids.port(&planned.port))
        .ok_or_else(|| format!("no such port: {name}\n"))
}
