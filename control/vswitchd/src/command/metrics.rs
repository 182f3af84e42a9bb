//! `weft/metrics`: the state of the switch in Prometheus' text format, version 0.0.4.
//!
//! Names and labels are listed in `README.md` and stay as they are.

use super::{Command, Family};
use crate::config::desired::Desired;
use crate::engine::errand::{self, Step, by_port};
use crate::engine::parts::Needs;
use crate::host::links::Links;
use crate::lower::publish::Ids;
use crate::netlink::kernel::Kernel;
use crate::plan::installed::Installed;
use crate::plan::path::State;
use crate::plan::{Carrier, Held};
use crate::turns::TurnLog;
use crate::workers::Workers;
use crate::workers::reports;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;
use weft_switch::{Counters, DropReason, FdbStats, IfaceCounters};
use weft_worker::Report;

/// The commands of this family.
pub(crate) enum Metrics {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
    pub kernel: &'a Kernel,
    pub links: &'a Links,
    pub ids: &'a Ids,
    pub workers: &'a mut Workers,
    /// The number of the configuration in force.
    pub epoch: u64,
    pub turns: &'a TurnLog,
}

impl Needs for Metrics {
    type Parts<'a> = Parts<'a>;
}

impl Family for Metrics {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Metrics>] =
    &[super::errand::<Metrics>("weft/metrics", "", 0, 0, metrics)];

/// A metric: its name, its type, and what it is.
type Metric = (&'static str, &'static str, &'static str);

const INFO: Metric = ("weft_info", "gauge", "1, with the version as label");
const EPOCH: Metric = ("weft_config_epoch", "gauge", "Number of the configuration in force");
const TURN: Metric = (
    "weft_loop_longest_turn_seconds",
    "gauge",
    "Processor time of the longest turn of the control loop of each kind",
);
const BUSY: Metric =
    ("weft_worker_busy_seconds_total", "counter", "Time in rounds that moved frames");
const WORKER_RX: Metric = ("weft_worker_rx_frames_total", "counter", "Frames received by a worker");
const SLEEPS: Metric = ("weft_worker_sleeps_total", "counter", "Times a worker went to sleep");
const PORT_UP: Metric = ("weft_port_up", "gauge", "1 while the link of the port is up");
const RX_FRAMES: Metric = ("weft_port_rx_frames_total", "counter", "Frames received by a port");
const RX_BYTES: Metric = ("weft_port_rx_bytes_total", "counter", "Bytes received by a port");
const TX_FRAMES: Metric = ("weft_port_tx_frames_total", "counter", "Frames sent by a port");
const TX_BYTES: Metric = ("weft_port_tx_bytes_total", "counter", "Bytes sent by a port");
const DROPS: Metric = (
    "weft_port_dropped_frames_total",
    "counter",
    "Frames not forwarded, by direction and reason (datapath/README.md)",
);
const MISSED: Metric =
    ("weft_port_missed_frames_total", "counter", "Frames that the kernel had no room for");
const TUNNEL: Metric = ("weft_tunnel_ready", "gauge", "1 while the tunnel has a next hop");
const UDP6_ZERO: Metric = (
    "weft_tunnel_udp6_zero_frames_total",
    "counter",
    "Packets of UDP over IPv6 that a tunnel took without a checksum",
);
const FDB: [Metric; 6] = [
    ("weft_fdb_entries", "gauge", "Addresses in a worker's table"),
    ("weft_fdb_entries_max", "gauge", "Room in a worker's table"),
    ("weft_fdb_learned_total", "counter", "Addresses learned"),
    ("weft_fdb_expired_total", "counter", "Addresses forgotten for age"),
    ("weft_fdb_evicted_total", "counter", "Addresses forgotten to make room"),
    ("weft_fdb_moved_total", "counter", "Addresses that appeared on another port"),
];

/// The page, metric by metric.
#[derive(Default)]
struct Page {
    metrics: BTreeMap<&'static str, (Metric, String)>,
}

impl Page {
    /// Adds a sample.
    fn put(&mut self, metric: Metric, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let (_, samples) = self.metrics.entry(metric.0).or_insert((metric, String::new()));
        let labels: Vec<_> =
            labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a String never fails.
        let _ = writeln!(samples, "{}{labels} {value}", metric.0);
    }

    fn text(self) -> String {
        let mut text = String::new();
        for ((name, kind, help), samples) in self.metrics.into_values() {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
        text
    }
}

/// A label's text: backslash, quote and newline are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn metrics(lent: &mut Parts<'_>, _args: &[String]) -> Result<Step, String> {
    let question = lent.workers.ask(|_| weft_worker::Command::ReportFigures);
    let resume = |lent: &mut Parts<'_>, answers| {
        let reports = reports(answers);
        let mut counters = Counters::default();
        let mut page = Page::default();
        page.put(INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.put(EPOCH, &[], lent.epoch);
        for (kind, turns) in lent.turns.all() {
            page.put(TURN, &[("kind", kind)], turns.longest.as_secs_f64());
        }
        for report in &reports {
            counters.add(&report.counters);
            worker(&mut page, lent, report);
        }
        underlays(&mut page, lent, &counters);
        let rows = lent.plan.ports.iter().map(|port| port.interface).collect();
        let counters = errand::Counters { ids: lent.ids, workers: lent.workers };
        by_port::<Metrics, _>(counters, rows, page, port, |_, page| {
            Step::Elsewhere(Box::new(move || Ok(page.text())))
        })
    };
    Ok(Step::ask::<Metrics>(question, resume))
}

fn worker(page: &mut Page, lent: &Parts<'_>, report: &Report) {
    let id = report.worker.0.to_string();
    let labels = [("worker", id.as_str())];
    #[expect(clippy::cast_precision_loss, reason = "a figure for graphs")]
    page.put(BUSY, &labels, report.busy_nanos as f64 / 1e9);
    page.put(WORKER_RX, &labels, report.rx_frames);
    page.put(SLEEPS, &labels, report.sleeps);
    for bridge in lent.desired.bridges.values() {
        let number = lent.ids.bridge(&bridge.uuid);
        let Some(stats) = number.and_then(|number| report.fdb.get(number.index())) else {
            continue;
        };
        let FdbStats { entries, entries_max, static_entries: _, learned, expired, evicted, moved } =
            *stats;
        let values = [entries, entries_max, learned, expired, evicted, moved];
        for (metric, value) in FDB.into_iter().zip(values) {
            page.put(metric, &[("bridge", &bridge.name), ("worker", &id)], value);
        }
    }
}

fn port(lent: &mut Parts<'_>, page: &mut Page, row: &Uuid, counted: &IfaceCounters) {
    let Some(port) = lent.plan.ports.get(row) else { return };
    let labels = [("bridge", port.bridge.as_str()), ("port", port.name.as_str())];
    page.put(RX_FRAMES, &labels, counted.rx_frames);
    page.put(RX_BYTES, &labels, counted.rx_bytes);
    page.put(TX_FRAMES, &labels, counted.tx_frames);
    page.put(TX_BYTES, &labels, counted.tx_bytes);
    drops(page, &labels, "rx", &counted.rx_drops);
    drops(page, &labels, "tx", &counted.tx_drops);
    match &port.carrier {
        Carrier::Tunnel(tunnel, path) => {
            page.put(TUNNEL, &labels, u8::from(matches!(path.state, State::Ready(_))));
            if tunnel.takes_udp6() {
                page.put(UDP6_ZERO, &labels, counted.rx_udp6_zero_frames);
            }
        }
        _ => {
            if let Some(device) = lent.links.device(&port.name, lent.kernel) {
                page.put(PORT_UP, &labels, u8::from(device.is_running));
            }
        }
    }
    if let Some(link) = lent.links.get(&port.name) {
        for (reason, frames) in link.missed_frames() {
            page.put(MISSED, &[labels[0], labels[1], ("reason", reason)], frames);
        }
    }
}

fn drops(page: &mut Page, labels: &[(&str, &str); 2], direction: &str, counts: &[u64]) {
    for (reason, frames) in DropReason::ALL.iter().zip(counts).filter(|(_, frames)| **frames > 0) {
        let [bridge, port] = *labels;
        let labels = [bridge, port, ("direction", direction), ("reason", reason.name())];
        page.put(DROPS, &labels, frames);
    }
}

/// A NIC that the host keeps is a port of no bridge: the label is empty.
fn underlays(page: &mut Page, lent: &Parts<'_>, counters: &Counters) {
    for (name, link) in lent.links.iter().filter(|(_, link)| link.held == Held::Underlay) {
        let labels = [("bridge", ""), ("port", name.as_str())];
        if let Some(counted) = counters.link(link.id) {
            page.put(RX_FRAMES, &labels, counted.rx_frames);
            drops(page, &labels, "rx", &counted.rx_drops);
        }
        for (reason, frames) in link.missed_frames() {
            page.put(MISSED, &[labels[0], labels[1], ("reason", reason)], frames);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_stand_together_and_labels_are_escaped() {
        let mut page = Page::default();
        page.put(RX_FRAMES, &[("port", "a\"b\\c")], 1);
        page.put(EPOCH, &[], 7);
        page.put(RX_FRAMES, &[("port", "d")], 2);
        assert_eq!(
            page.text(),
            "# HELP weft_config_epoch Number of the configuration in force\n\
             # TYPE weft_config_epoch gauge\n\
             weft_config_epoch 7\n\
             # HELP weft_port_rx_frames_total Frames received by a port\n\
             # TYPE weft_port_rx_frames_total counter\n\
             weft_port_rx_frames_total{port=\"a\\\"b\\\\c\"} 1\n\
             weft_port_rx_frames_total{port=\"d\"} 2\n"
        );
    }
}
