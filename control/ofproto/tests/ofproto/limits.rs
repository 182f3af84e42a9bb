//! Tables that have room for so many flows.

use crate::make::{Desk, add, command, output, reg, tells};
use weft_flow::request::{FlowCommand, FlowMod, Refusal, RemovedReason, TableMod};
use weft_flow::{Field, Subfield, TableId};
use weft_ofproto::{Outcome, RuleUse, TableConfig};

const TABLE: TableId = TableId(5);

fn limited(limit: u32, evicts: bool) -> Desk {
    let mut desk = Desk::default();
    configure(&mut desk, limit, evicts);
    desk
}

fn configure(desk: &mut Desk, limit: u32, evicts: bool) -> Outcome {
    let config = TableConfig { limit: Some(limit), evicts, groups: Box::default() };
    desk.bridge.set_table_config(desk.now, TABLE, config)
}

fn priorities(desk: &Desk) -> Vec<u32> {
    desk.flows().iter().map(|flow| flow.rule.priority).collect()
}

fn flow(priority: u16, hard_timeout: u16) -> FlowMod {
    FlowMod { table: TABLE, priority, hard_timeout, flags: tells(), ..add() }
}

fn evicted(outcome: &Outcome) -> Vec<u32> {
    assert!(outcome.removed.iter().all(|removed| removed.reason == RemovedReason::Eviction));
    outcome.removed.iter().map(|removed| removed.flow.rule.priority).collect()
}

// Stock: TABLE_FULL for one more, none for one in the place of another; a lower limit takes none
// out, and no more come in.
#[test]
fn full_tables_refuse() {
    let mut desk = limited(3, false);
    for priority in 1..=3 {
        desk.flow(flow(priority, 0)).unwrap();
    }
    assert_eq!(desk.flow(flow(4, 0)), Err(Refusal::TableFull));
    desk.flow(FlowMod { actions: output(2), ..flow(3, 0) }).unwrap();
    assert!(configure(&mut desk, 2, false).is_empty());
    assert_eq!(priorities(&desk), [1, 2, 3]);
    assert_eq!(desk.flow(flow(9, 0)), Err(Refusal::TableFull));
    desk.flow(FlowMod { priority: 9, ..add() }).unwrap();
}

// Stock: the flow that expires soonest goes; flows without a timeout never do, and when there are
// no others the table is full.
#[test]
fn full_tables_evict_what_expires_soonest() {
    let mut desk = limited(3, true);
    desk.flow(flow(1, 100)).unwrap();
    desk.flow(FlowMod { idle_timeout: 50, ..flow(2, 0) }).unwrap();
    desk.flow(flow(3, 0)).unwrap();
    assert_eq!(evicted(&desk.flow(flow(4, 70)).unwrap()), [2]);
    assert_eq!(evicted(&desk.flow(flow(5, 70)).unwrap()), [4]);
    assert_eq!(evicted(&desk.flow(flow(6, 0)).unwrap()), [5]);
    assert_eq!(evicted(&desk.flow(flow(7, 0)).unwrap()), [1]);
    assert_eq!(desk.flow(flow(8, 0)), Err(Refusal::TableFull));
    assert_eq!(priorities(&desk), [3, 6, 7]);
}

#[test]
fn use_makes_flows_expire_later() {
    let mut desk = limited(2, true);
    desk.flow(FlowMod { idle_timeout: 50, ..flow(1, 0) }).unwrap();
    desk.flow(flow(2, 60)).unwrap();
    desk.wait(20_000);
    let rule = desk.flows()[0].id();
    desk.bridge.add_rule_uses(&[RuleUse { rule, packets: 1, bytes: 60, last: desk.now }]);
    assert_eq!(evicted(&desk.flow(flow(3, 0)).unwrap()), [2]);
}

// Stock: importance counts before time.
#[test]
fn full_tables_evict_the_least_important() {
    let mut desk = limited(3, true);
    for (priority, importance, hard) in [(1, 5, 100), (2, 2, 200), (3, 9, 50)] {
        desk.flow(FlowMod { importance, ..flow(priority, hard) }).unwrap();
    }
    let outcome = desk.flow(FlowMod { importance: 1, ..flow(4, 70) }).unwrap();
    assert_eq!(evicted(&outcome), [2]);
    let outcome = desk.flow(FlowMod { importance: 1, ..flow(5, 70) }).unwrap();
    assert_eq!(evicted(&outcome), [4]);
}

// Stock: one of the largest group goes; a lower limit takes out what is too much.
#[test]
fn full_tables_evict_from_the_largest_group() {
    let mut desk = Desk::default();
    let reg0 = Subfield::whole(Field::reg(0).unwrap());
    let config = |limit| TableConfig { limit: Some(limit), evicts: true, groups: [reg0].into() };
    desk.bridge.set_table_config(desk.now, TABLE, config(5));
    let of = |group, priority, importance, hard| FlowMod {
        matching: reg(group, 0xffff_ffff),
        importance,
        ..flow(priority, hard)
    };
    for (group, priority, importance, hard) in
        [(1, 1, 5, 101), (1, 2, 5, 102), (1, 3, 5, 103), (2, 4, 1, 201), (2, 5, 1, 202)]
    {
        assert!(desk.flow(of(group, priority, importance, hard)).unwrap().removed.is_empty());
    }
    assert_eq!(evicted(&desk.flow(of(2, 6, 0, 300)).unwrap()), [1]);
    assert_eq!(evicted(&desk.flow(of(2, 7, 0, 300)).unwrap()), [6]);
    assert_eq!(evicted(&desk.flow(of(3, 8, 0, 300)).unwrap()), [7]);
    let outcome = desk.bridge.set_table_config(desk.now, TABLE, config(3));
    let mut gone = evicted(&outcome);
    gone.sort_unstable();
    assert_eq!(gone, [2, 4], "one of each group of two");
}

// Stock: `mod-table evict` works with and without a row of `Flow_Table`; table 254 is EPERM.
#[test]
fn controllers_configure_tables() {
    let mut desk = limited(1, false);
    desk.flow(flow(1, 9)).unwrap();
    let evict = |table, evicts| TableMod { table, evicts: Some(evicts) };
    desk.bridge.table_mod(evict(TableId::ALL, true)).unwrap();
    assert!(desk.bridge.evicts(TABLE) && desk.bridge.evicts(TableId(0)));
    assert_eq!(evicted(&desk.flow(flow(2, 9)).unwrap()), [1]);
    desk.bridge.table_mod(TableMod { table: TABLE, evicts: None }).unwrap();
    assert!(desk.bridge.evicts(TABLE));
    desk.bridge.table_mod(evict(TABLE, false)).unwrap();
    assert!(!desk.bridge.evicts(TABLE));
    assert_eq!(desk.flow(flow(3, 9)), Err(Refusal::TableFull));
    let internal = evict(TableId::INTERNAL, true);
    assert_eq!(desk.bridge.table_mod(internal), Err(Refusal::TableModEperm));
    desk.flow(FlowMod { table: TABLE, ..command(FlowCommand::Delete) }).unwrap();
    configure(&mut desk, 1, true);
    assert!(desk.bridge.evicts(TABLE), "the operator wants it");
}
