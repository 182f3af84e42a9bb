//! What requests cost that change flow tables: flow mods a second, and bytes for each flow.
//!
//! `make bench-ofproto`.  Flows are of the shape that OVN's are: an exact datapath and ports in
//! registers, addresses, six actions.  See README.md.

use criterion::{BatchSize, Criterion, Throughput};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use weft_flow::action::{Actions, Resubmit, SetForm};
use weft_flow::request::{FlowCommand, FlowMod};
use weft_flow::{Action, Bits, Field, PortNo, Slot, TableId};
use weft_ofproto::{BridgeRequest, FlowBridge, Time};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Time = Time(0);

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    for flows in [10_000, 100_000] {
        bundles(&mut criterion, flows);
    }
    one_of_many(&mut criterion, 100_000);
    criterion.final_summary();
    print_memory(100_000);
}

/// Bundles, as ovn-controller sends them when it starts.
fn bundles(criterion: &mut Criterion, flows: u32) {
    let mut group = criterion.benchmark_group(format!("bundle/{flows}_flows"));
    group.throughput(Throughput::Elements(flows.into()));
    group.bench_function("add", |bencher| {
        let setup = || (FlowBridge::new(), requests(flows));
        bencher.iter_batched(setup, |(bridge, all)| commit(bridge, all), BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements((2 * flows).into()));
    group.bench_function("delete_all_and_add", |bencher| {
        let setup = || {
            let (bridge, _) = commit(FlowBridge::new(), requests(flows));
            let mut all = vec![BridgeRequest::Flow(FlowMod {
                table: TableId::ALL,
                ..FlowMod::new(FlowCommand::Delete)
            })];
            all.extend(requests(flows));
            (bridge, all)
        };
        bencher.iter_batched(setup, |(bridge, all)| commit(bridge, all), BatchSize::PerIteration);
    });
    group.finish();
}

/// One flow comes and goes among others.
fn one_of_many(criterion: &mut Criterion, flows: u32) {
    let (mut bridge, _) = commit(FlowBridge::new(), requests(flows));
    let mut group = criterion.benchmark_group(format!("among/{flows}_flows"));
    group.throughput(Throughput::Elements(2));
    group.bench_function("add_and_delete_strict", |bencher| {
        bencher.iter(|| {
            for command in [FlowCommand::Add, FlowCommand::DeleteStrict] {
                let request = BridgeRequest::Flow(FlowMod { command, ..flow(flows) });
                let outcome = bridge.request(NOW, request, None).unwrap_or_default();
                bridge.release(outcome.removed_rules());
                black_box(outcome);
            }
        });
    });
    group.finish();
}

fn commit(mut bridge: FlowBridge, all: Vec<BridgeRequest>) -> (FlowBridge, usize) {
    let outcome = bridge.commit(NOW, all, None).unwrap_or_default();
    let changes = outcome.changes.len();
    assert!(changes > 0, "the bundle failed");
    (bridge, changes)
}

fn requests(flows: u32) -> Vec<BridgeRequest> {
    (0..flows).map(|number| BridgeRequest::Flow(flow(number))).collect()
}

/// A flow in one of 56 tables, for one of 500 datapaths.
fn flow(number: u32) -> FlowMod {
    let exact = |slot: Slot, value: u32| (slot, Bits::new(value.into(), slot.ones()));
    let matching = [
        exact(Slot::Metadata, number % 500),
        exact(Slot::Reg(14), number / 500),
        exact(Slot::EthType, 0x0800),
        exact(Slot::EthDst, number),
        (Slot::NwDst, Bits::new(u128::from(number) << 8, 0xffff_ff00)),
    ];
    FlowMod {
        table: TableId(u8::try_from(number % 56).unwrap_or_default()),
        priority: 100,
        cookie: u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        matching: matching.into_iter().collect(),
        actions: actions(number),
        ..FlowMod::new(FlowCommand::Add)
    }
}

fn actions(number: u32) -> Actions {
    let set = |register: u8, value: u32| {
        Field::reg(register).map(|field| Action::SetField {
            field,
            value: value.into(),
            mask: 0xffff_ffff,
            has_vlan: false,
            form: SetForm::Field,
        })
    };
    let resubmit = Resubmit {
        in_port: PortNo::IN_PORT,
        table: TableId(57),
        with_ct: false,
        names_table: true,
    };
    let sets = (10..15).filter_map(|register| set(register, number));
    sets.chain([Action::Resubmit(resubmit)]).collect()
}

/// Bytes that stay for each flow, when its request is gone.
fn print_memory(flows: u32) {
    let region = Region::new(ALLOCATOR);
    let (bridge, changes) = commit(FlowBridge::new(), requests(flows));
    let change = region.change();
    let bytes = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    println!("memory: {} bytes for each of {changes} flows", bytes / changes);
    drop(bridge);
}
