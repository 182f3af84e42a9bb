//! `dpctl/dump-flows`, `dpif/dump-flows`, `bridge/dump-flows`, `dpif/show-dp-features`.
//!
//! A learning bridge has no flow table.  What is shown as flows is the traffic of the last seconds,
//! as the workers sampled it, with what the stages would do with such a frame now.

use super::absent::FLOWS;
use super::datapath::{Datapath, choose, datapaths, is_datapath};
use super::{Command, Family, command, errand};
use crate::config::desired::Desired;
use crate::engine::errand::{Counters, Step, by_port};
use crate::engine::parts::Needs;
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::serve::unixctl::Answer;
use crate::trace::explain::Names;
use crate::trace::explain::Source;
use crate::trace::flow::{self, Flow};
use crate::trace::odp::{Style, number};
use crate::trace::walk::{hops, slow_path};
use crate::workers::{NoAnswer, Workers};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;
use uuid::Uuid;
use weft_io::Queue;
use weft_switch::trace::{self, Origin, Probe};
use weft_switch::{IfaceCounters, Sample, WorkerId};
use weft_worker::Event;

/// A stock switch forgets a flow that was not used for so long (`max-idle`).
const AGE_MAX_MS: u64 = 10_000;

/// Frames that one worker traces between two batches.
const PROBES_MAX: usize = 16;

/// The commands of this family.
pub(crate) enum Flows {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub source: Source<'a>,
    pub workers: &'a mut Workers,
    /// When each bridge began to forward.
    pub bridges_since: &'a BTreeMap<Uuid, Instant>,
}

impl Needs for Flows {
    type Parts<'a> = Parts<'a>;
}

impl Family for Flows {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Flows>] = &[
    errand::<Flows>(
        "dpctl/dump-flows",
        "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]",
        0,
        6,
        dpctl_dump_flows,
    ),
    errand::<Flows>(
        "dpif/dump-flows",
        "[-m] [--names | --no-names] bridge",
        1,
        usize::MAX,
        dpif_dump_flows,
    ),
    command::<Flows>("dpctl/del-flows", "[dp] [file]", 0, 2, del_flows),
    errand::<Flows>("dpctl/get-flow", "[dp] ufid:UFID", 1, 2, get_flow),
    errand::<Flows>("bridge/dump-flows", "[--offload-stats] bridge", 1, 2, bridge_dump_flows),
    command::<Flows>("dpif/show-dp-features", "bridge", 1, 1, features),
];

/// A flow, and what is known of it.
pub(super) struct Seen {
    worker: WorkerId,
    sample: Sample,
    idle_ms: u64,
}

/// The recent flows of the bridges of a datapath.
pub(super) fn recent(
    workers: &mut Workers,
    desired: &Desired,
    plan: &Installed,
    ids: &Ids,
    datapath: &Datapath,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (worker, now_ms, samples) in workers.samples(AGE_MAX_MS) {
        for sample in samples {
            let row = ids.row(sample.key.ingress);
            let port = row.and_then(|row| plan.ports.get(row));
            let bridge = port.and_then(|port| desired.bridges.get(&port.bridge));
            if bridge.is_some_and(|bridge| datapath.has(bridge)) {
                let idle_ms = now_ms.saturating_sub(sample.used_at_ms);
                seen.push(Seen { worker, sample, idle_ms });
            }
        }
    }
    seen.sort_by_key(|seen| (seen.worker, seen.sample.key));
    seen
}

/// The same with the parts of this family.
fn recent_of(lent: &mut Parts<'_>, datapath: &Datapath) -> Vec<Seen> {
    let Source { desired, plan, ids, .. } = lent.source;
    recent(lent.workers, desired, plan, ids, datapath)
}

/// What to print, and how.
struct Wanted {
    style: Style,
    datapath: &'static Datapath,
    filter: Option<String>,
    worker: Option<WorkerId>,
    shows_any: bool,
}

fn wanted(lent: &Parts<'_>, args: &[String]) -> Result<Wanted, String> {
    let (mut style, mut dp, mut filter) = (Style::default(), None, None);
    let (mut worker, mut shows_any, mut names) = (None, true, None);
    for arg in args {
        match arg.split_once('=') {
            None if arg == "-m" || arg == "--more" => style.all = true,
            None if arg == "--names" => names = Some(true),
            None if arg == "--no-names" => names = Some(false),
            None if arg.starts_with('-') => return Err(format!("Unrecognized option {arg}\n")),
            Some(("filter", text)) => filter = Some(text.to_owned()),
            Some(("type", text)) => shows_any = is_shown(text)?,
            Some(("pmd", text)) => {
                let bad = || format!("ovs-vswitchd: Invalid pmd argument ({text})\n");
                worker = Some(WorkerId(text.parse().map_err(|_| bad())?));
            }
            _ => dp = Some(arg),
        }
    }
    let datapath = choose(lent.source.desired, dp)?;
    style.names = names.unwrap_or(style.all);
    Ok(Wanted { style, datapath, filter, worker, shows_any })
}

/// Whether a list of types has one that flows here can be.
fn is_shown(types: &str) -> Result<bool, String> {
    const OURS: [&str; 3] = ["ovs", "non-offloaded", "all"];
    const OTHERS: [&str; 4] = ["tc", "dpdk", "offloaded", "partially-offloaded"];
    let mut words = types.split(',');
    if let Some(word) = words.clone().find(|word| !OURS.contains(word) && !OTHERS.contains(word)) {
        return Err(format!("ovs-vswitchd: Failed to parse type ({word}) (Invalid argument)\n"));
    }
    Ok(words.any(|word| OURS.contains(&word)))
}

fn forget(lent: &Parts<'_>) -> Answer {
    lent.workers.forget_samples();
    Ok(String::new())
}

/// All flows of a datapath can be forgotten (there is one datapath), but not those that a file lists.
fn del_flows(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    match args {
        [] => forget(lent),
        [name] if is_datapath(lent.source.desired, name) => forget(lent),
        _ => Err(FLOWS.to_owned()),
    }
}

fn dpctl_dump_flows(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let wanted = wanted(lent, args)?;
    let mut seen = recent_of(lent, wanted.datapath);
    let mut kept = Vec::new();
    for one in seen.drain(..) {
        let is_worker = wanted.worker.is_none_or(|worker| worker == one.worker);
        if wanted.shows_any && is_worker && passes(lent, wanted.filter.as_deref(), &one)? {
            kept.push(one);
        }
    }
    // A filter that makes no sense is an error, also when there is nothing to filter.
    check_filter(lent, wanted.filter.as_deref())?;
    let Wanted { datapath, style, .. } = wanted;
    let places: BTreeMap<_, _> = lent.workers.places().collect();
    let end = move |lines: Lines| {
        let (mut text, mut last) = (String::new(), None);
        for (worker, line) in lines {
            if datapath.is_netdev() && last != Some(worker) {
                last = Some(worker);
                let _ = match places.get(&worker).copied().flatten() {
                    Some(cpu) => writeln!(text, "flow-dump from pmd on cpu core: {cpu}"),
                    None => writeln!(text, "flow-dump from the main thread:"),
                };
            }
            text += &line;
        }
        Ok(text)
    };
    Ok(Dump::new(kept, datapath, style, end).go_on(lent.workers))
}

/// The flow that `dpctl/dump-flows -m` names so.
fn get_flow(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let name = if args.len() > 1 { args.first() } else { None };
    let datapath = choose(lent.source.desired, name)?;
    let wanted = args.last().and_then(|arg| arg.strip_prefix("ufid:")?.parse::<Uuid>().ok());
    let wanted = wanted.ok_or("ovs-vswitchd: parsing flow ufid (Invalid argument)\n")?;
    let seen: Vec<_> =
        recent_of(lent, datapath).into_iter().filter(|seen| ufid(seen) == wanted).collect();
    let end = |lines: Lines| match lines.into_iter().next() {
        Some((_, line)) => Ok(line),
        None => Err("ovs-vswitchd: getting flow (No such file or directory)\n".to_owned()),
    };
    Ok(Dump::new(seen, datapath, Style { all: true, names: false }, end).go_on(lent.workers))
}

/// The number that a filter means by a port: that of the datapath.
fn filter_port(lent: &Parts<'_>, name: &str) -> Option<u16> {
    let port = lent.source.plan.ports.by_interface(name)?;
    let id = lent.source.ids.iface(&port.interface)?;
    u16::try_from(number(id)).ok()
}

fn filter_error(error: &flow::FlowError, filter: &str) -> String {
    format!("ovs-vswitchd: Failed to parse filter ({filter}: {error})\n")
}

fn check_filter(lent: &Parts<'_>, filter: Option<&str>) -> Result<(), String> {
    let Some(filter) = filter else { return Ok(()) };
    flow::matches(filter, &Flow::default(), |name| filter_port(lent, name))
        .map(|_| ())
        .map_err(|error| filter_error(&error, filter))
}

fn passes(lent: &Parts<'_>, filter: Option<&str>, seen: &Seen) -> Result<bool, String> {
    let Some(filter) = filter else { return Ok(true) };
    let port = u16::try_from(number(seen.sample.key.ingress)).ok();
    let flow = Flow::of_frame(port, &seen.sample.frame());
    flow::matches(filter, &flow, |name| filter_port(lent, name))
        .map_err(|error| filter_error(&error, filter))
}

/// One line for each flow, and which worker saw it.
type Lines = Vec<(WorkerId, String)>;

/// A dump of flows under way.
struct Dump {
    left: std::vec::IntoIter<Seen>,
    datapath: &'static Datapath,
    style: Style,
    lines: Lines,
    end: Box<dyn FnOnce(Lines) -> Answer>,
}

impl Dump {
    fn new(
        seen: Vec<Seen>,
        datapath: &'static Datapath,
        style: Style,
        end: impl FnOnce(Lines) -> Answer + 'static,
    ) -> Self {
        let left = seen.into_iter();
        Self { left, datapath, style, lines: Vec::new(), end: Box::new(end) }
    }

    /// Has some more frames traced.
    fn go_on(mut self, workers: &mut Workers) -> Step {
        let some: Vec<Seen> = self.left.by_ref().take(PROBES_MAX).collect();
        if some.is_empty() {
            return Step::Done((self.end)(self.lines));
        }
        let probe = |seen: &Seen| Probe {
            origin: Origin::Iface(seen.sample.key.ingress),
            frame: seen.sample.frame(),
            learns: false,
        };
        let question = workers.ask_trace(some.iter().map(probe).collect());
        let resume = move |lent: &mut Parts<'_>, mut answers: Vec<Event<Queue>>| {
            let Some(Event::Traced(traced)) = answers.pop() else {
                return Step::Done(Err(format!("{}\n", NoAnswer(WorkerId(0)))));
            };
            let names = Names::new(lent.source);
            let lines = some.iter().zip(traced).map(|(seen, events)| {
                (seen.worker, self.line(seen, events.unwrap_or_default(), &names))
            });
            let lines: Lines = lines.collect();
            self.lines.extend(lines);
            self.go_on(lent.workers)
        };
        Step::ask::<Flows>(question, resume)
    }

    fn line(&self, seen: &Seen, events: Vec<trace::Event>, names: &Names<'_>) -> String {
        let (flow, style) = (&seen.sample, self.style);
        let hops = hops(events);
        let actions = match slow_path(&hops) {
            Some(slow) => format!("userspace(pid=0,slow_path({slow}))"),
            None => names.actions(&hops, style),
        };
        let mut text = String::new();
        if style.all {
            let _ = write!(text, "ufid:{}, ", ufid(seen));
        }
        let matched = names.odp_match(flow.key.ingress, &flow.frame(), style);
        text += &self.datapath.dialect(matched);
        // Nothing but the frame that a stock switch would have put the flow into its cache for.
        let used = if flow.frames == 0 {
            "never".to_owned()
        } else {
            format!("{}.{:03}s", seen.idle_ms / 1000, seen.idle_ms % 1000)
        };
        let _ = write!(text, ", packets:{}, bytes:{}, used:{used}", flow.frames, flow.bytes);
        if style.all {
            text += ", dp:ovs";
        }
        text + ", actions:" + &actions + "\n"
    }
}

impl Datapath {
    /// The kernel's datapath prints no type of packet.
    fn dialect(&self, matched: String) -> String {
        if self.is_netdev() { matched } else { matched.replace("packet_type(ns=0,id=0),", "") }
    }
}

/// A name that stays the same while the flow does.
fn ufid(seen: &Seen) -> Uuid {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, seen.worker, seen.sample.key).hash(&mut hasher);
        hasher.finish()
    };
    Uuid::from_u64_pair(half(0), half(1))
}

fn dpif_dump_flows(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let (options, names): (Vec<_>, Vec<_>) =
        args.iter().cloned().partition(|arg| arg.starts_with('-'));
    let [bridge] = names.as_slice() else {
        return Err("\"dpif/dump-flows\" command takes one bridge\n".to_owned());
    };
    let known = lent.source.desired.bridges.get(bridge).ok_or("no such bridge\n")?;
    let datapath = datapaths(lent.source.desired).into_iter().find(|datapath| datapath.has(known));
    let datapath = datapath.ok_or("no such bridge\n")?;
    let mut style = Style::default();
    let mut names = None;
    for option in &options {
        match option.as_str() {
            "-m" => style.all = true,
            "--names" => names = Some(true),
            "--no-names" => names = Some(false),
            other => return Err(format!("Unrecognized option {other}\n")),
        }
    }
    style.names = names.unwrap_or(style.all);
    let mut seen = recent_of(lent, datapath);
    let names = Names::new(lent.source);
    seen.retain(|seen| {
        names.planned(seen.sample.key.ingress).is_some_and(|port| port.bridge == *bridge)
    });
    let end = |lines: Lines| Ok(lines.into_iter().map(|(_, line)| line).collect());
    Ok(Dump::new(seen, datapath, style, end).go_on(lent.workers))
}

/// The flow that a bridge without a controller has, and those that are always there; a bridge that
/// does not forward has no first one.
fn bridge_dump_flows(lent: &mut Parts<'_>, args: &[String]) -> Result<Step, String> {
    let mut offload = "";
    let mut bridge = None;
    for arg in args {
        match arg.as_str() {
            "--offload-stats" => offload = "n_offload_packets=0, n_offload_bytes=0, ",
            name => bridge = Some(name),
        }
    }
    let bridge = bridge.and_then(|name| lent.source.desired.bridges.get(name));
    let bridge = bridge.ok_or("Unknown bridge\n")?.clone();
    let since = lent.bridges_since.get(&bridge.uuid);
    let secs = since.map_or(0, |since| since.elapsed().as_secs());
    let rows = lent.source.plan.ports.of_bridge(&bridge.name).map(|port| port.interface).collect();
    let total = Total { frames: 0, bytes: 0, forwards: bridge.forwards, secs, offload };
    let each = |_: &mut Parts<'_>, total: &mut Total, _: &Uuid, counted: &IfaceCounters| {
        total.frames += counted.rx_frames;
        total.bytes += counted.rx_bytes;
    };
    let counters = Counters { ids: lent.source.ids, workers: lent.workers };
    let end = |_: &mut Parts<'_>, total| Step::Done(Ok(bridge_flows(&total)));
    Ok(by_port::<Flows, _>(counters, rows, total, each, end))
}

/// What all ports of a bridge have received, and what else its flows say.
struct Total {
    frames: u64,
    bytes: u64,
    forwards: bool,
    secs: u64,
    offload: &'static str,
}

fn bridge_flows(total: &Total) -> String {
    let Total { frames, bytes, forwards, secs, offload } = total;
    let mut text = String::new();
    if *forwards {
        let _ = writeln!(
            text,
            "duration={secs}s, n_packets={frames}, n_bytes={bytes}, {offload}priority=0,actions=NORMAL"
        );
    }
    for rest in [
        "priority=2,recirc_id=0,actions=drop",
        "priority=0,reg0=0x1,actions=controller(reason=)",
        "priority=0,reg0=0x2,actions=drop",
        "priority=0,reg0=0x3,actions=drop",
    ] {
        let _ = writeln!(
            text,
            "table_id=254, duration={secs}s, n_packets=0, n_bytes=0, {offload}{rest}"
        );
    }
    text
}

/// What the datapath can do of what a stock one can be asked for.
fn features(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    if !lent.source.desired.bridges.contains_key(name) {
        return Err("no such bridge\n".to_owned());
    }
    let features = [
        ("Masked set action", "No"),
        ("Tunnel push pop", "Yes"),
        ("Ufid", "Yes"),
        ("Truncate action", "No"),
        ("Clone action", "No"),
        ("Sample nesting", "0"),
        ("Conntrack eventmask", "No"),
        ("Conntrack clear", "No"),
        ("Max dp_hash algorithm", "0"),
        ("Check pkt length action", "No"),
        ("Conntrack timeout policy", "No"),
        ("Explicit Drop action", "Yes"),
        ("Optimized Balance TCP mode", "No"),
        ("Conntrack all-zero IP SNAT", "No"),
        ("MPLS Label add", "No"),
        ("Max VLAN headers", "1"),
        ("Max MPLS depth", "0"),
        ("Recirc", "No"),
        ("CT state", "No"),
        ("CT zone", "No"),
        ("CT mark", "No"),
        ("CT label", "No"),
        ("CT state NAT", "No"),
        ("CT orig tuple", "No"),
        ("CT orig tuple for IPv6", "No"),
        ("IPv6 ND Extension", "No"),
    ];
    Ok(features
        .iter()
        .fold(String::new(), |text, (name, value)| format!("{text}{name}: {value}\n")))
}
