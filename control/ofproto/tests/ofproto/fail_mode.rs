//! Bridges without controllers.

use crate::make::{Desk, add, command};
use weft_flow::request::{FlowCommand, FlowMod};
use weft_flow::{Action, PortNo, TableId};
use weft_ofproto::{FailMode, FlowChange, Outcome, Oversight, OwnFlow};

const ALONE: Oversight =
    Oversight { fail_mode: FailMode::Standalone, has_controllers: false, is_deserted: false };
const RULED: Oversight = Oversight { has_controllers: true, ..ALONE };
const DESERTED: Oversight = Oversight { is_deserted: true, ..RULED };

fn set(desk: &mut Desk, oversight: Oversight) -> Outcome {
    desk.bridge.set_oversight(desk.now, oversight).unwrap()
}

fn secure(oversight: Oversight) -> Oversight {
    Oversight { fail_mode: FailMode::Secure, ..oversight }
}

fn add_one(desk: &mut Desk) {
    desk.flow(FlowMod { priority: 7, ..add() }).unwrap();
}

// Stock: `priority=0 actions=NORMAL` while no controller is configured; that and all other flows go
// when one is, when the last one is configured no longer, and when the mode changes without one.
#[test]
fn bridges_alone_learn() {
    let mut desk = Desk::default();
    set(&mut desk, ALONE);
    let flow = desk.only();
    assert_eq!((flow.rule.priority, flow.rule.table), (0, TableId(0)));
    assert_eq!(*flow.rule.actions, [Action::Output { port: PortNo::NORMAL, max_len: 0 }]);
    add_one(&mut desk);
    assert!(set(&mut desk, ALONE).is_empty(), "nothing new");
    assert_eq!(set(&mut desk, RULED).changes.len(), 2);
    assert_eq!(desk.places(), []);
    add_one(&mut desk);
    set(&mut desk, ALONE);
    assert_eq!(desk.places(), [(0, 0)]);
    add_one(&mut desk);
    set(&mut desk, secure(ALONE));
    assert_eq!(desk.places(), []);
    add_one(&mut desk);
    set(&mut desk, secure(RULED));
    assert_eq!(desk.places(), []);
    add_one(&mut desk);
    assert!(set(&mut desk, RULED).is_empty());
    assert_eq!(desk.places(), [(0, 7)], "with controllers a change of the mode leaves flows");
}

// Stock: `priority=15790320,actions=NORMAL`, which ovs-ofctl does not show, while no controller is
// reachable; other flows stay.
#[test]
fn deserted_bridges_learn() {
    let mut desk = Desk::default();
    set(&mut desk, RULED);
    add_one(&mut desk);
    let outcome = set(&mut desk, DESERTED);
    let [FlowChange::RuleAdded(rule)] = &outcome.changes[..] else { panic!("{outcome:?}") };
    assert_eq!(rule.priority, 15_790_320);
    desk.flow(FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) }).unwrap();
    add_one(&mut desk);
    let outcome = set(&mut desk, RULED);
    assert_eq!(outcome.changes, [FlowChange::RuleRemoved(rule.clone())]);
    assert_eq!(desk.places(), [(0, 7)]);
    assert!(set(&mut desk, secure(DESERTED)).is_empty());
    set(&mut desk, DESERTED);
    assert_eq!(set(&mut desk, secure(DESERTED)).changes.len(), 1);
}

#[test]
fn the_table_of_the_switch_stays() {
    let mut desk = Desk::default();
    let own = OwnFlow { table: TableId::INTERNAL, ..OwnFlow::normal() };
    desk.bridge.put_own_flow(desk.now, &own).unwrap();
    set(&mut desk, ALONE);
    assert_eq!(set(&mut desk, RULED).changes.len(), 1);
    set(&mut desk, DESERTED);
    let all: Vec<_> =
        desk.bridge.all_flows().map(|flow| (flow.rule.table.0, flow.rule.priority)).collect();
    assert_eq!(all, [(0, 15_790_320), (254, 0)]);
}
