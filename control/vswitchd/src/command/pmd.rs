//! `dpif-netdev/pmd-*`, `upcall/*`, `revalidator/*`: workers, in the words of stock's threads.
//!
//! There is neither a flow cache nor a revalidator.  As in `dpctl/show`, a frame "missed" that was
//! flooded for an unknown address; what workers note of recent traffic stands for flows.

use super::datapath::datapaths;
use super::flows::recent;
use super::{Command, Family, command, errand};
use crate::engine::errand::Step;
use crate::engine::moving;
use crate::engine::parts::Needs;
use crate::lower::publish::Publisher;
use crate::serve::unixctl::Answer;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use weft_switch::WorkerId;
use weft_switch::view::sample::SAMPLES_MAX;
use weft_worker::Report;

const MEGAFLOWS: &str = "there are no megaflows: each frame is looked up\n";
const UFIDS: &str = "flows always have a ufid: see dpctl/dump-flows -m\n";
const LIMIT: &str = "the number of flows that a worker notes cannot be changed\n";

/// The commands of this family.
pub(crate) enum Threads {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub publisher: Publisher<'a>,
    /// What workers had counted when `dpif-netdev/pmd-stats-clear` was given.
    pub cleared: &'a mut BTreeMap<WorkerId, Report>,
}

impl Needs for Threads {
    type Parts<'a> = Parts<'a>;
}

impl Family for Threads {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Threads>] = &[
    command::<Threads>("dpif-netdev/bond-show", "[dp]", 0, 1, |_, _| Ok(String::new())),
    command::<Threads>("dpif-netdev/pmd-perf-show", "[-pmd core] [dp]", 0, 3, perf),
    errand::<Threads>("dpif-netdev/pmd-rxq-rebalance", "[dp]", 0, 1, rebalance),
    command::<Threads>("dpif-netdev/pmd-rxq-show", "[-pmd core] [dp]", 0, 3, queues),
    command::<Threads>("dpif-netdev/pmd-stats-clear", "[dp]", 0, 1, clear),
    command::<Threads>("dpif-netdev/pmd-stats-show", "[-pmd core] [dp]", 0, 3, statistics),
    command::<Threads>("revalidator/purge", "", 0, 0, forget_flows),
    // What a command before this one has changed is in force when that was answered.
    command::<Threads>("revalidator/wait", "", 0, 0, |_, _| Ok(String::new())),
    command::<Threads>("upcall/disable-megaflows", "", 0, 0, |_, _| Err(MEGAFLOWS.to_owned())),
    command::<Threads>("upcall/disable-ufid", "", 0, 0, |_, _| Err(UFIDS.to_owned())),
    command::<Threads>("upcall/enable-megaflows", "", 0, 0, |_, _| Err(MEGAFLOWS.to_owned())),
    // Flows have one anyhow.
    command::<Threads>("upcall/enable-ufid", "", 0, 0, |_, _| {
        Ok("Datapath dumping tersely using UFID enabled for supported datapaths\n".to_owned())
    }),
    command::<Threads>("upcall/set-flow-limit", "flow-limit-number", 1, 1, |_, _| {
        Err(LIMIT.to_owned())
    }),
    command::<Threads>("upcall/show", "", 0, 0, upcalls),
];

/// What one worker did since its counters were cleared, and the CPU that it is bound to.
struct Thread {
    cpu: Option<usize>,
    report: Report,
    secs: u32,
}

impl Thread {
    /// As stock calls it.
    fn name(&self) -> String {
        match self.cpu {
            Some(cpu) => format!("pmd thread numa_id {} core_id {cpu}:\n", numa_node(cpu)),
            None => "main thread:\n".to_owned(),
        }
    }

    fn passes(&self) -> &'static str {
        if self.report.rx_frames > 0 { "1.00" } else { "0.00" }
    }
}

/// The node of a CPU; 0 where the kernel knows of none.
fn numa_node(cpu: usize) -> usize {
    let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.find_map(|name| name.strip_prefix("node")?.parse().ok()).unwrap_or(0)
}

/// The CPU of `-pmd`.
fn wanted_cpu(args: &[String]) -> Result<Option<usize>, String> {
    let Some(at) = args.iter().position(|arg| arg == "-pmd") else { return Ok(None) };
    let core = args.get(at + 1).ok_or("-pmd needs the number of a core\n")?;
    core.parse().map(Some).map_err(|_| format!("{core}: not the number of a core\n"))
}

fn threads(lent: &mut Parts<'_>, args: &[String]) -> Result<Vec<Thread>, String> {
    let wanted = wanted_cpu(args)?;
    let reports = lent.publisher.lower.workers.figures();
    let places: BTreeMap<_, _> = lent.publisher.lower.workers.places().collect();
    let thread = |report: Report| {
        let cpu = places.get(&report.worker).copied().flatten();
        let secs = report.now_secs;
        match lent.cleared.get(&report.worker) {
            // Unless it was started anew since.
            Some(base) if base.now_secs <= secs => {
                Thread { cpu, report: since(report, base), secs: secs - base.now_secs }
            }
            _ => Thread { cpu, report, secs },
        }
    };
    let mut threads: Vec<_> = reports.into_iter().map(thread).collect();
    threads.retain(|thread| wanted.is_none() || thread.cpu == wanted);
    threads.sort_by_key(|thread| (thread.cpu.is_none(), thread.cpu));
    Ok(threads)
}

/// What `report` has more than `base`.
fn since(mut report: Report, base: &Report) -> Report {
    for (count, before) in [
        (&mut report.busy_rounds, base.busy_rounds),
        (&mut report.idle_rounds, base.idle_rounds),
        (&mut report.sleeps, base.sleeps),
        (&mut report.busy_nanos, base.busy_nanos),
        (&mut report.rx_frames, base.rx_frames),
        (&mut report.unknown_frames, base.unknown_frames),
    ] {
        *count = count.saturating_sub(before);
    }
    report
}

fn clear(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let reports = lent.publisher.lower.workers.figures();
    *lent.cleared = reports.into_iter().map(|report| (report.worker, report)).collect();
    Ok(String::new())
}

/// Without cycles, which nobody counts: `pmd-perf-show` has the time.
fn statistics(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let mut text = String::new();
    for thread in threads(lent, args)? {
        let Report { rx_frames, unknown_frames, .. } = thread.report;
        let _ = write!(
            text,
            "{}  packets received: {rx_frames}\n  packet recirculations: 0\n  \
             avg. datapath passes per packet: {}\n  emc hits: 0\n  smc hits: 0\n  \
             megaflow hits: {}\n  miss with success upcall: {unknown_frames}\n  \
             miss with failed upcall: 0\n",
            thread.name(),
            thread.passes(),
            rx_frames.saturating_sub(unknown_frames),
        );
    }
    Ok(text)
}

/// A part in percent.
#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn perf(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let mut text = String::new();
    for thread in threads(lent, args)? {
        let Report { busy_rounds, idle_rounds, sleeps, busy_nanos, rx_frames, .. } = thread.report;
        let rounds = busy_rounds + idle_rounds;
        let nanos = u64::from(thread.secs) * 1_000_000_000;
        let _ = write!(
            text,
            "\nMeasurement duration: {}.000 s\n\n{}\n  Iterations:       {rounds:>14}\n  \
             - idle iterations:{idle_rounds:>14}  ({:>5.1} % of iterations)\n  \
             - busy iterations:{busy_rounds:>14}  ({:>5.1} % of time)\n  \
             - sleep iterations:{sleeps:>13}  ({:>5.1} % of iterations)\n  \
             Rx packets:       {rx_frames:>14}  ({} Kpps)\n  \
             Datapath passes:  {rx_frames:>14}  ({} passes/pkt)\n",
            thread.secs,
            thread.name(),
            percent(idle_rounds, rounds),
            percent(busy_nanos, nanos).min(100.0),
            percent(sleeps, rounds),
            rx_frames / 1000 / u64::from(thread.secs.max(1)),
            thread.passes(),
        );
    }
    Ok(text)
}

/// As a stock switch deletes flows: they are noted anew with the next frames.
fn forget_flows(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    lent.publisher.lower.workers.forget_samples();
    Ok(String::new())
}

/// Puts ports that talk to each other on one worker, now.
fn rebalance(lent: &mut Parts<'_>, _args: &[String]) -> Result<Step, String> {
    Ok(moving::begin(&mut lent.publisher, true))
}

/// The queues of each worker that has a CPU of its own; the time that one queue takes is not known.
fn queues(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let wanted = wanted_cpu(args)?;
    let mut text = String::from("Displaying last 60 seconds pmd usage %\n");
    let mut places: Vec<_> = lent
        .publisher
        .lower
        .workers
        .places()
        .filter_map(|(worker, cpu)| Some((cpu?, worker)))
        .collect();
    places.sort_unstable();
    for (cpu, worker) in places {
        if wanted.is_some_and(|wanted| wanted != cpu) {
            continue;
        }
        let _ = writeln!(
            text,
            "pmd thread numa_id {} core_id {cpu}:\n  isolated : false",
            numa_node(cpu)
        );
        for (name, link) in lent.publisher.links.iter() {
            let queues = link.workers.iter().enumerate();
            for (queue, _) in queues.filter(|(_, owner)| **owner == worker) {
                let _ = writeln!(
                    text,
                    "  port: {name:<16}  queue-id: {queue:>2} (enabled)   pmd usage: NOT AVAIL"
                );
            }
        }
    }
    Ok(text)
}

fn upcalls(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let workers = lent.publisher.lower.workers.count();
    let mut text = String::new();
    for datapath in datapaths(lent.publisher.desired) {
        let Publisher { desired, plan, lower, .. } = &mut lent.publisher;
        let flows = recent(&mut lower.workers, desired, plan, &lower.ids, datapath).len();
        let _ = writeln!(
            text,
            "{}:\n  flows         : (current {flows}) (limit {})\n  ufid enabled : true\n",
            datapath.name,
            SAMPLES_MAX * workers,
        );
    }
    Ok(text)
}
