//! Additions, changes and deletions of flows.

use crate::make::{Desk, add, command, learns, output, reg, tells, to_group};
use weft_flow::action::Controller;
use weft_flow::request::{
    FlowCommand, FlowFlags, FlowMod, FlowQuery, GroupCommand, Learned, Refusal, RemovedReason,
};
use weft_flow::{Action, GroupId, Match, PortNo, TableId};
use weft_ofproto::{Flow, FlowChange, Learning, OwnFlow, Position, RuleUse, Time, Totals};

// Stock: `table=255` adds to table 0; in table 254 any command but one that hits nothing is EPERM.
#[test]
fn tables_of_messages() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { table: TableId::ALL, ..add() }).unwrap();
    assert_eq!(desk.places(), [(0, 1)]);
    let internal = |of| FlowMod { table: TableId::INTERNAL, ..command(of) };
    assert_eq!(desk.flow(internal(FlowCommand::Add)), Err(Refusal::Eperm));
    desk.flow(internal(FlowCommand::Delete)).unwrap();
    let own = OwnFlow { table: TableId::INTERNAL, priority: 0, ..OwnFlow::normal() };
    desk.bridge.put_own_flow(desk.now, &own).unwrap();
    assert_eq!(desk.flow(internal(FlowCommand::Delete)), Err(Refusal::Eperm));
    assert_eq!(desk.flow(internal(FlowCommand::Modify)), Err(Refusal::Eperm));
    assert!(desk.flow(internal(FlowCommand::DeleteStrict)).unwrap().is_empty(), "hits none");
    desk.flow(FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) }).unwrap();
    assert_eq!(desk.places(), []);
    let asked = FlowQuery { table: TableId::INTERNAL, ..FlowQuery::all() };
    assert_eq!(desk.query(&asked).len(), 1, "a dump of table 254 shows its flows");
}

// Stock: an addition in the place of a flow keeps n_packets, n_bytes and idle_age, its duration
// begins anew; with `reset_counts` the counters are 0.
#[test]
fn additions_in_the_place_of_flows() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { idle_timeout: 100, cookie: 1, flags: tells(), ..add() }).unwrap();
    let first = desk.only();
    let used = |desk: &mut Desk| {
        let rule = desk.only().id();
        let last = desk.now;
        desk.bridge.add_rule_uses(&[RuleUse { rule, packets: 1, bytes: 16, last }]);
    };
    used(&mut desk);
    desk.wait(1200);
    let outcome = desk.flow(FlowMod { cookie: 2, ..add() }).unwrap();
    let second = desk.only();
    assert_eq!((second.packets, second.bytes, second.created), (1, 16, desk.now));
    assert_eq!((second.used, second.rule.cookie, second.id()), (Time(0), 2, first.id()));
    assert_eq!((second.details.idle_timeout, second.details.flags), (0, FlowFlags::default()));
    assert!(outcome.removed.is_empty(), "nobody hears that it went");
    let replaced = FlowChange::RuleReplaced { old: first.rule, new: second.rule.clone() };
    assert_eq!(outcome.changes, [replaced]);
    let flags = FlowFlags { resets_counts: true, ..FlowFlags::default() };
    desk.flow(FlowMod { flags, ..add() }).unwrap();
    let third = desk.only();
    assert_eq!((third.packets, third.bytes, third.used), (0, 0, Time(0)));
    assert_ne!(third.id(), second.id(), "what comes late of the old one counts for none");
    assert_eq!(third.details.flags, flags, "flags are shown");
}

// Stock: a loose and a strict change keep cookie, timeouts and counters, and start the hard timeout
// anew; over 1.0 the cookie is that of the change.
#[test]
fn changes_keep_all_but_actions() {
    let mut desk = Desk::default();
    let (cookie, hard_timeout) = (3, 10);
    desk.flow(FlowMod { cookie, hard_timeout, importance: 7, flags: tells(), ..add() }).unwrap();
    let before = desk.only();
    desk.wait(500);
    let change = FlowMod { cookie: 9, actions: output(1), ..command(FlowCommand::Modify) };
    desk.flow(change.clone()).unwrap();
    let after = desk.only();
    assert_eq!((after.created, after.modified), (Time(0), desk.now));
    assert_eq!((after.rule.cookie, after.details), (3, before.details));
    assert_eq!((after.rule.actions.clone(), after.id()), (output(1), before.id()));
    desk.flow(FlowMod { modifies_cookie: true, ..change }).unwrap();
    assert_eq!(desk.only().rule.cookie, 9);
    let strict = FlowMod { priority: 2, actions: output(2), ..command(FlowCommand::ModifyStrict) };
    assert!(desk.flow(strict.clone()).unwrap().is_empty());
    desk.flow(FlowMod { priority: 1, ..strict }).unwrap();
    assert_eq!(desk.only().rule.actions, output(2));
}

// Stock: a change that hits none adds over 1.0 and 1.1, but not when it names a cookie.
#[test]
fn changes_without_a_hit() {
    let mut desk = Desk::default();
    let change = FlowMod { modify_adds: true, ..command(FlowCommand::Modify) };
    let named = FlowMod { cookie_filter: 16, cookie_mask: 16, ..change.clone() };
    assert!(desk.flow(named).unwrap().is_empty());
    assert!(desk.flow(FlowMod { modify_adds: false, ..change.clone() }).unwrap().is_empty());
    desk.flow(change).unwrap();
    assert_eq!(desk.places(), [(0, 1)]);
}

#[test]
fn deletions_by_match_cookie_and_table() {
    let mut desk = Desk::default();
    for (table, cookie) in [(0, 1), (0, 2), (1, 1), (1, 3)] {
        let matching = reg(cookie.into(), 0xf);
        desk.flow(FlowMod { table: TableId(table), cookie, matching, ..add() }).unwrap();
    }
    let cookies = |desk: &Desk| -> Vec<_> {
        desk.flows().iter().map(|flow| (flow.rule.table.0, flow.rule.cookie)).collect()
    };
    let delete = |table, matching| FlowMod {
        table: TableId(table),
        matching,
        ..command(FlowCommand::Delete)
    };
    let by_cookie = |cookie_filter, cookie_mask| FlowMod {
        cookie_filter,
        cookie_mask,
        ..delete(255, Match::any())
    };
    assert!(desk.flow(by_cookie(4, 4)).unwrap().is_empty());
    desk.flow(delete(1, reg(1, 1))).unwrap();
    assert_eq!(cookies(&desk), [(0, 1), (0, 2)], "both matches of table 1 are within");
    desk.flow(by_cookie(2, u64::MAX)).unwrap();
    assert_eq!(cookies(&desk), [(0, 1)]);
    let strict = FlowMod { matching: reg(1, 1), ..command(FlowCommand::DeleteStrict) };
    assert!(desk.flow(strict).unwrap().is_empty(), "another mask");
    let strict = FlowMod { matching: reg(1, 0xf), ..command(FlowCommand::DeleteStrict) };
    desk.flow(strict).unwrap();
    assert_eq!(cookies(&desk), []);
}

// Stock: `del-flows out_port=2` takes flows with output, enqueue, clone(output) and
// write_actions(output); it leaves groups whose buckets send there, bundle, resubmit(2,…), learn
// and output(port=2,max_len=…).  `out_port=controller` takes both forms of controller.
#[test]
fn deletions_by_output() {
    let mut desk = Desk::default();
    desk.group(crate::make::group(GroupCommand::Add, 1, &[crate::make::bucket(0, output(2))]))
        .unwrap();
    let actions = [
        output(2),
        Box::new([Action::Clone(output(2))]),
        Box::new([Action::WriteActions(output(2))]),
        Box::new([Action::Enqueue { port: PortNo(2), queue: 1 }]),
        Box::new([Action::OutputTruncated { port: PortNo(2), max_len: 100 }]),
        to_group(1),
        Box::new([Action::Clone(to_group(1))]),
        Box::new([Action::Controller(Box::<Controller>::default())]),
    ];
    for (table, actions) in (0..).zip(actions) {
        desk.flow(FlowMod { table: TableId(table), actions, ..add() }).unwrap();
    }
    let tables = |desk: &Desk, query: FlowQuery| -> Vec<_> {
        desk.query(&query).iter().map(|flow| flow.rule.table.0).collect()
    };
    let to_port = |port| FlowQuery { out_port: port, ..FlowQuery::all() };
    assert_eq!(tables(&desk, to_port(PortNo(2))), [0, 1, 2, 3]);
    assert_eq!(tables(&desk, to_port(PortNo::CONTROLLER)), [7]);
    let of_group = FlowQuery { out_group: GroupId(1), ..FlowQuery::all() };
    assert_eq!(tables(&desk, of_group), [5, 6]);
    let delete = FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) };
    desk.flow(FlowMod { out_port: PortNo(2), ..delete.clone() }).unwrap();
    desk.flow(FlowMod { out_group: GroupId(1), ..delete }).unwrap();
    assert_eq!(tables(&desk, FlowQuery::all()), [4, 7]);
}

// Stock: no error when the very flow is there; an error for a change that would add (1.1).
#[test]
fn overlaps() {
    let mut desk = Desk::default();
    let checks = FlowFlags { checks_overlap: true, ..FlowFlags::default() };
    desk.flow(FlowMod { matching: reg(1, 1), ..add() }).unwrap();
    let near = FlowMod { matching: reg(2, 2), flags: checks, ..add() };
    assert_eq!(desk.flow(near.clone()), Err(Refusal::Overlap));
    let changes = FlowMod { command: FlowCommand::Modify, modify_adds: true, ..near.clone() };
    assert_eq!(desk.flow(changes), Err(Refusal::Overlap));
    desk.flow(FlowMod { matching: reg(1, 1), flags: checks, ..add() }).unwrap();
    desk.flow(FlowMod { matching: reg(0, 1), flags: checks, ..add() }).unwrap();
    desk.flow(FlowMod { priority: 2, ..near }).unwrap();
}

// Stock: a flow with a buffer is refused.
#[test]
fn flows_for_emergencies_and_buffers() {
    let mut desk = Desk::default();
    assert_eq!(desk.flow(FlowMod { buffer: Some(5), ..add() }), Err(Refusal::BufferUnknown));
    desk.flow(FlowMod { buffer: Some(5), ..command(FlowCommand::Delete) }).unwrap();
    let flags = FlowFlags { is_emergency: true, ..FlowFlags::default() };
    assert_eq!(desk.flow(FlowMod { flags, ..add() }), Err(Refusal::TableFull));
}

// Stock: the error comes for additions and changes, also inside clone.
#[test]
fn flows_name_groups_and_meters_that_are_there() {
    let mut desk = Desk::default();
    let nested: Box<[Action]> = Box::new([Action::Clone(to_group(9))]);
    for actions in [to_group(9), nested] {
        let change = FlowMod { actions: actions.clone(), ..command(FlowCommand::Modify) };
        assert_eq!(desk.flow(FlowMod { actions, ..add() }), Err(Refusal::BadOutGroup));
        assert_eq!(desk.flow(change), Err(Refusal::BadOutGroup));
    }
    let actions = crate::make::metered(9);
    assert_eq!(desk.flow(FlowMod { actions, ..add() }), Err(Refusal::InvalidMeter));
}

// Stock: learned flows go when the last flow is gone, or changed, that learns into their table
// with their cookie; their reason is `delete`.
#[test]
fn learned_flows_go_with_who_learned_them() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { priority: 12, actions: learns(9, 3), ..add() }).unwrap();
    desk.flow(FlowMod { priority: 13, actions: learns(9, 3), ..add() }).unwrap();
    let learned = FlowMod {
        table: TableId(9),
        cookie: 3,
        flags: tells(),
        learned: Some(Learned { limit: 0 }),
        ..add()
    };
    for value in 0..2 {
        let (learning, outcome) = desk
            .bridge
            .learn(desk.now, FlowMod { matching: reg(value, 1), ..learned.clone() })
            .unwrap();
        assert_eq!((learning, outcome.changes.len()), (Learning::Added, 1));
    }
    let strict = |priority| FlowMod { priority, ..command(FlowCommand::DeleteStrict) };
    desk.flow(strict(12)).unwrap();
    assert_eq!(desk.places(), [(0, 13), (9, 1), (9, 1)]);
    let change = FlowMod { priority: 13, ..command(FlowCommand::ModifyStrict) };
    let outcome = desk.flow(change).unwrap();
    assert_eq!(desk.places(), [(0, 13)]);
    let reasons: Vec<_> = outcome.removed.iter().map(|removed| removed.reason).collect();
    assert_eq!(reasons, [RemovedReason::Delete, RemovedReason::Delete]);
}

#[test]
fn learning_refreshes_and_has_limits() {
    let mut desk = Desk::default();
    let learned = |value, limit| FlowMod {
        matching: reg(value, 3),
        hard_timeout: 2,
        idle_timeout: 1,
        learned: Some(Learned { limit }),
        ..add()
    };
    let learn = |desk: &mut Desk, request| desk.bridge.learn(desk.now, request).unwrap();
    learn(&mut desk, learned(0, 2));
    desk.wait(900);
    let (learning, outcome) = learn(&mut desk, learned(0, 2));
    assert_eq!((learning, outcome.is_empty()), (Learning::Refreshed, true));
    assert_eq!(desk.bridge.next_expiry(), Some(Time(1900)), "both timeouts begin anew");
    learn(&mut desk, learned(1, 2));
    assert_eq!(learn(&mut desk, learned(2, 2)).0, Learning::LimitReached);
    assert_eq!(learn(&mut desk, learned(1, 2)).0, Learning::Refreshed);
    let moved = FlowMod { actions: output(2), ..learned(1, 2) };
    assert_eq!(learn(&mut desk, moved).0, Learning::Added, "in the place of one");
    assert_eq!(learn(&mut desk, learned(2, 0)).0, Learning::Added);
    assert_eq!(desk.flows().len(), 3);
}

#[test]
fn own_flows_are_hidden_above_the_priorities_of_messages() {
    let mut desk = Desk::default();
    let outcome = desk.bridge.put_own_flow(desk.now, &OwnFlow::fail_open()).unwrap();
    assert_eq!(outcome.changes.len(), 1, "those who decide know it");
    desk.bridge.put_own_flow(desk.now, &OwnFlow::normal()).unwrap();
    assert_eq!(desk.places(), [(0, 0)]);
    assert_eq!(desk.bridge.flow_count(TableId(0)), 1);
    desk.flow(FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) }).unwrap();
    assert_eq!(desk.places(), []);
    let gone = desk.bridge.remove_own_flow(desk.now, &OwnFlow::fail_open());
    assert!(matches!(*gone.changes, [FlowChange::RuleRemoved(_)]));
    assert!(desk.bridge.remove_own_flow(desk.now, &OwnFlow::fail_open()).is_empty());
}

#[test]
fn numbers_of_rules_are_free_when_released() {
    let mut desk = Desk::default();
    let delete = command(FlowCommand::Delete);
    desk.flow(add()).unwrap();
    let first = desk.only().id();
    desk.flow(delete.clone()).unwrap();
    desk.flow(add()).unwrap();
    let second = desk.only().id();
    assert_ne!(first, second, "somebody may still report for the first");
    desk.bridge.release([first, first, second]);
    desk.flow(FlowMod { priority: 2, ..add() }).unwrap();
    desk.flow(FlowMod { priority: 3, ..add() }).unwrap();
    let mut ids: Vec<_> = desk.flows().iter().map(Flow::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&first) && ids.contains(&second));
}

#[test]
fn deletions_go_by_age() {
    let mut desk = Desk::default();
    let of = |priority| FlowMod { priority, cookie: 5, flags: tells(), ..add() };
    desk.flow(of(1)).unwrap();
    desk.flow(of(2)).unwrap();
    let outcome = desk.flow(FlowMod { priority: 1, ..command(FlowCommand::DeleteStrict) }).unwrap();
    desk.bridge.release(outcome.removed_rules());
    desk.flow(of(3)).unwrap();
    let [old, new] = &desk.flows()[..] else { panic!("not two flows") };
    assert!(old.id() > new.id(), "the number is used again");
    let by_cookie =
        FlowMod { cookie_filter: 5, cookie_mask: u64::MAX, ..command(FlowCommand::Delete) };
    let gone = desk.flow(by_cookie).unwrap().removed;
    let gone: Vec<_> = gone.iter().map(|gone| gone.flow.rule.priority).collect();
    assert_eq!(gone, [2, 3]);
}

#[test]
fn dumps_go_in_pieces_and_totals_add_up() {
    let mut desk = Desk::default();
    for number in 0..10 {
        let table = TableId(if number % 2 == 0 { 3 } else { 1 });
        desk.flow(FlowMod { table, priority: number, ..add() }).unwrap();
    }
    for flow in desk.flows() {
        let last = desk.now;
        desk.bridge.add_rule_uses(&[RuleUse { rule: flow.id(), packets: 2, bytes: 128, last }]);
    }
    let all = desk.places();
    assert_eq!(
        all.iter().map(|(_, priority)| *priority).collect::<Vec<_>>(),
        [1, 3, 5, 7, 9, 0, 2, 4, 6, 8]
    );
    let query = FlowQuery::all();
    let mut pieces = Vec::new();
    let mut from = Position::default();
    loop {
        let piece: Vec<_> = desk.bridge.flows(&query, from).take(3).collect();
        let Some(last) = piece.last() else { break };
        from = last.position().next();
        pieces.extend(piece.iter().map(|flow| (flow.rule.table.0, flow.rule.priority)));
    }
    assert_eq!(pieces, all);
    assert_eq!(desk.bridge.totals(&query), Totals { flows: 10, packets: 20, bytes: 1280 });
}
