//! Cost per frame of the whole pipeline, in memory: cycles, nanoseconds, allocations.
//!
//! Criterion prints wall times for people; the table at the end has TSC cycles, as Open vSwitch's
//! `pmd-stats-show` counts them, and goes to `target/bench.json` too.  See README.md.

#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use criterion::{Criterion, Throughput};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;
use weft_benches::{
    Case, FdbFigures, Row, Workers, build_many, cases, fdb_figures, frames_per_sec, print_and_save,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds of each case that are measured for the table in one pass, after as many to warm up.
const ROUNDS: usize = 40;
/// Passes over all cases: rows can be compared even when the machine is not equally busy all along.
const PASSES: usize = 5;

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let mut cases = cases();
    let mut criterion = Criterion::default()
        .configure_from_args()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700));
    for case in &mut cases {
        wall_time(&mut criterion, case);
    }
    criterion.final_summary();
    let (passes, rounds) = if is_test { (1, 2) } else { (PASSES, ROUNDS) };
    let mut samples: Vec<Samples> = cases.iter().map(|_| Samples::default()).collect();
    for _ in 0..passes {
        for (case, samples) in cases.iter_mut().zip(&mut samples) {
            measure(case, rounds, samples);
        }
    }
    let rows: Vec<Row> =
        cases.iter().zip(samples).map(|(case, samples)| samples.row(case)).collect();
    assert!(rows.iter().all(|row| row.allocations == 0), "the fast path allocates: {rows:?}");
    print_and_save(&rows, "bench.json");
    snapshot_of_many_tunnels(if is_test { 1 } else { 20 });
    print_fdb(if is_test { 1 } else { 7 });
    print_workers(if is_test { 1 } else { 9 });
}

/// What a second worker brings, in turns: medians of the ratios within a turn.
fn print_workers(turns: usize) {
    let time = Duration::from_millis(300);
    let kinds = [Workers::One, Workers::TwoApart, Workers::TwoCrossing];
    let mut ratios = [Vec::new(), Vec::new()];
    let mut alone = Vec::new();
    for _ in 0..turns {
        let Ok(rates) =
            kinds.iter().map(|kind| frames_per_sec(*kind, time)).collect::<Result<Vec<_>, _>>()
        else {
            return println!("workers: no threads to be had");
        };
        let [one, apart, crossing] = rates[..] else { return };
        alone.push(one / 1e6);
        ratios[0].push(apart / one);
        ratios[1].push(crossing / one);
    }
    let [apart, crossing] = ratios.map(median);
    println!(
        "workers: one takes {:.1} M frames/s; two {apart:.2} x as many when none goes from one to the other, \
         {crossing:.2} x when half of them do (bar 1.6 x)",
        median(alone)
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a snapshot with many tunnels costs to build, and to keep: adding one tunnel to it builds it
/// anew.
fn snapshot_of_many_tunnels(rounds: usize) {
    let mut took = Vec::new();
    let mut bytes_each = 0;
    for _ in 0..rounds {
        let heap = Region::new(ALLOCATOR);
        let began = std::time::Instant::now();
        let (snapshot, tunnels) = build_many();
        took.push(began.elapsed());
        let change = heap.change();
        bytes_each = (change.bytes_allocated - change.bytes_deallocated) / usize::from(tunnels);
        drop(snapshot);
    }
    took.sort();
    let median = took.get(rounds / 2).copied().unwrap_or_default();
    println!("snapshot of 4000 tunnels: built in {median:?}, {bytes_each} bytes for each tunnel");
}

fn wall_time(criterion: &mut Criterion, case: &mut Case) {
    let mut group = criterion.benchmark_group(case.stage.clone());
    group.throughput(Throughput::Elements(1));
    group.bench_function(case.name.clone(), |bencher| {
        bencher.iter_custom(|frames| {
            let (mut done, mut took) = (0, Duration::ZERO);
            while done < frames {
                case.prepare_round();
                let began = std::time::Instant::now();
                done += case.run_round();
                took += began.elapsed();
            }
            // What was measured is a little more than what was asked for.
            took.mul_f64(frames as f64 / done as f64)
        });
    });
    group.finish();
}

/// What was measured of one case.
#[derive(Default)]
struct Samples {
    cycles: Vec<f64>,
    allocations: usize,
}

impl Samples {
    /// The median over rounds, so that an interrupt in one of them does not count.
    fn row(mut self, case: &Case) -> Row {
        self.cycles.sort_by(f64::total_cmp);
        let cycles = self.cycles.get(self.cycles.len() / 2).copied().unwrap_or(f64::NAN);
        let (bar, allocations) = (case.bar.clone(), self.allocations);
        Row { case: case.label(), cycles, bar, allocations }
    }
}

fn measure(case: &mut Case, rounds: usize, samples: &mut Samples) {
    let clock = quanta::Clock::new();
    for round in 0..2 * rounds {
        case.prepare_round();
        let heap = Region::new(ALLOCATOR);
        let began = clock.raw();
        let frames = case.run_round();
        let took = clock.raw() - began;
        let change = heap.change();
        if round >= rounds {
            samples.cycles.push(took as f64 / frames as f64);
            samples.allocations += change.allocations + change.reallocations;
        }
    }
}

/// The FDB alone, with a million entries configured.
fn print_fdb(rounds: usize) {
    let FdbFigures { learned_per_sec, evicting_per_sec, lookup_nanos, bytes_each } =
        fdb_figures(rounds);
    let [few, many] = lookup_nanos;
    println!(
        "FDB for 1,000,000 entries: {bytes_each:.1} bytes each; learns {:.1} M/s, with an eviction \
         each {:.1} M/s; a lookup takes {few:.1} ns of 1,000, {many:.1} ns of 1,000,000 ({:.2} x)",
        learned_per_sec / 1e6,
        evicting_per_sec / 1e6,
        many / few
    );
}
