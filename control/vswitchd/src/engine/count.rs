//! Counters on their way into rows: read for some ports at a time, written where they have moved.

use crate::config::desired::Bridge;
use crate::engine::errand::{self, ByPort, Step};
use crate::engine::parts::Needs;
use crate::host::links::Link;
use crate::lower::publish::Ids;
use crate::plan::{Carrier, PlannedPort};
use crate::report::counters::{Rates, Written, traffic};
use crate::report::seen::Seen;
use crate::report::status::{Wanted, count, link_statistics, traffic_statistics, udp6_statistics};
use crate::workers::{Workers, reports};
use std::collections::HashMap;
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_switch::{Counters, IfaceCounters, MirrorId};
use weft_worker::Command;

impl Written {
    /// Reads the counters of all ports, and writes those that have moved.
    pub(crate) fn count_all(&mut self, workers: &mut Workers) -> Step {
        self.is_counting = true;
        let question = workers.ask(|_| Command::ReportFigures);
        Step::ask::<Statistics>(question, |lent, answers| {
            let mut counters = Counters::default();
            for report in reports(answers) {
                counters.add(&report.counters);
            }
            let rows: Vec<_> = lent.seen.plan.ports.iter().map(|port| port.interface).collect();
            let state = Count { counters, ..Count::default() };
            let all = ByPort::<Statistics, _> {
                rows: rows.into_iter(),
                state,
                each: Count::port,
                piece: Count::take_wanted,
                end: Count::end,
            };
            all.begin(lent.counters())
        })
    }

    /// The time of new interfaces has come.
    pub const fn take_due(&mut self) {
        self.fresh_due = None;
    }

    /// Reads the counters of interfaces that forward since a moment ago, and writes them.
    pub(crate) fn count_fresh(&mut self, counters: errand::Counters<'_>) -> Step {
        let rows: Vec<_> = std::mem::take(&mut self.fresh).into_iter().collect();
        let fresh = ByPort::<Statistics, _> {
            rows: rows.into_iter(),
            state: Count::default(),
            each: Count::port,
            piece: Count::take_wanted,
            end: |_, _| Step::Done(Ok(String::new())),
        };
        fresh.begin(counters)
    }

    /// `statistics` of one interface, unless they are as they were written last.
    fn want(
        &mut self,
        seen: Seen<'_>,
        port: &PlannedPort,
        counted: &IfaceCounters,
    ) -> Option<Datum> {
        match &port.carrier {
            Carrier::Tunnel(tunnel, _) if tunnel.takes_udp6() => {
                self.moved(port, &udp6_statistics(counted))
            }
            Carrier::Tunnel(..) | Carrier::Patch { .. } => {
                self.moved(port, &traffic_statistics(counted))
            }
            Carrier::Link => {
                let missed = seen.links.get(&port.name).map(Link::missed_frames);
                let missed = missed.unwrap_or_default().values().sum();
                self.moved(port, &link_statistics(counted, seen.device(&port.name), missed))
            }
        }
    }

    fn moved(&mut self, port: &PlannedPort, figures: &[(&'static str, i64)]) -> Option<Datum> {
        let numbers = figures.iter().map(|(_, number)| *number);
        let before = self.numbers.get(&port.interface);
        if before.is_some_and(|before| before.iter().copied().eq(numbers.clone())) {
            return None;
        }
        self.numbers.insert(port.interface, numbers.collect());
        Some(Datum::map_of_integers(figures.iter().copied()))
    }
}

/// What writing counters takes.
pub(crate) enum Statistics {}

/// Ports, who counts for them, and what was written.
pub(crate) struct Parts<'a> {
    pub written: &'a mut Written,
    pub rates: &'a mut Rates,
    pub seen: Seen<'a>,
    pub ids: &'a Ids,
    pub workers: &'a mut Workers,
}

impl Parts<'_> {
    fn counters(&mut self) -> errand::Counters<'_> {
        errand::Counters { ids: self.ids, workers: self.workers }
    }
}

impl Needs for Statistics {
    type Parts<'a> = Parts<'a>;
}

/// Counters on their way into rows.
#[derive(Default)]
struct Count {
    /// Those of mirrors.
    counters: Counters,
    wanted: Wanted,
    traffic: HashMap<Uuid, [u64; 4]>,
}

impl Count {
    fn take_wanted(&mut self) -> Option<Wanted> {
        (!self.wanted.is_empty()).then(|| std::mem::take(&mut self.wanted))
    }

    fn port(lent: &mut Parts<'_>, count: &mut Self, row: &Uuid, counted: &IfaceCounters) {
        let Some(port) = lent.seen.plan.ports.get(row) else { return };
        count.traffic.insert(*row, traffic(counted));
        if let Some(datum) = lent.written.want(lent.seen, port, counted) {
            count.wanted.set("Interface", *row, "statistics", datum);
        }
    }

    /// All ports are done: what is left.
    fn end(lent: &mut Parts<'_>, count: Self) -> Step {
        let Self { mut wanted, traffic, counters } = count;
        lent.rates.note(traffic);
        for interface in lent.seen.plan.failures.keys() {
            lent.written.forget(interface);
            let none = Datum::map_of_integers::<&str>([]);
            wanted.set("Interface", *interface, "statistics", none);
        }
        for bridge in lent.seen.desired.bridges.values() {
            want_mirror_statistics(bridge, lent.ids, &counters, &mut wanted);
            lent.seen.want_tree_statistics(bridge, &mut wanted);
            if lent.seen.spanning.is_active() {
                lent.seen.want_tree_states(bridge, &mut wanted);
            }
        }
        Step::write::<Statistics>(wanted, |lent| {
            lent.written.is_counting = false;
            Step::Done(Ok(String::new()))
        })
    }
}

/// `Mirror.statistics`.
fn want_mirror_statistics(bridge: &Bridge, ids: &Ids, counters: &Counters, wanted: &mut Wanted) {
    for mirror in &bridge.mirrors {
        let number = ids.mirrors.get(&mirror.uuid).map(MirrorId);
        let Some(counted) = number.and_then(|id| counters.mirror(id)) else { continue };
        let figures = [("tx_bytes", count(counted.bytes)), ("tx_packets", count(counted.frames))];
        wanted.set("Mirror", mirror.uuid, "statistics", Datum::map_of_integers(figures));
    }
}
