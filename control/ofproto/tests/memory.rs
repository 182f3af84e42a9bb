//! What a flow takes in memory: less than 1 KiB, its share of all indexes with it.
#![expect(clippy::unwrap_used, reason = "tests")]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use weft_flow::action::SetForm;
use weft_flow::request::{FlowCommand, FlowMod};
use weft_flow::{Action, Bits, Field, Match, Slot, TableId};
use weft_ofproto::{BridgeRequest, FlowBridge, Time};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FLOWS: u32 = 20_000;

/// A flow like those of OVN: four fields, three actions.
fn flow(number: u32) -> FlowMod {
    let matching: Match = [Slot::Metadata, Slot::Reg(14), Slot::EthType, Slot::NwDst]
        .into_iter()
        .map(|slot| (slot, Bits::new(number.into(), slot.ones())))
        .collect();
    let action = |register| Action::SetField {
        field: Field::reg(register).unwrap(),
        value: number.into(),
        mask: 0xffff_ffff,
        has_vlan: false,
        form: SetForm::Field,
    };
    FlowMod {
        table: TableId(u8::try_from(number % 56).unwrap()),
        priority: 100,
        matching,
        cookie: number.into(),
        actions: [10, 11, 12].map(action).into(),
        ..FlowMod::new(FlowCommand::Add)
    }
}

#[test]
fn a_flow_takes_less_than_a_kibibyte() {
    let region = Region::new(ALLOCATOR);
    let mut bridge = FlowBridge::new();
    let requests = (0..FLOWS).map(|number| BridgeRequest::Flow(flow(number)));
    let outcome = bridge.commit(Time(0), requests, None).unwrap();
    assert_eq!(outcome.changes.len(), 20_000);
    drop(outcome);
    let change = region.change();
    let bytes = change.bytes_allocated.saturating_sub(change.bytes_deallocated) / 20_000;
    assert!(bytes < 1024, "{bytes} bytes for each flow");
    // Much less would be no flow at all: the counter counts.
    assert!(bytes > 300, "{bytes} bytes for each flow");
}
