//! Flows whose time is over.

use crate::make::{Desk, add, command, output, tells};
use weft_flow::action::FinTimeout;
use weft_flow::request::{FlowCommand, FlowMod, RemovedReason};
use weft_ofproto::{FinSeen, Outcome, RuleUse, Time};

fn expire(desk: &mut Desk) -> Outcome {
    desk.bridge.expire(desk.now, usize::MAX)
}

fn use_all(desk: &mut Desk) {
    let last = desk.now;
    let uses: Vec<_> = desk
        .flows()
        .iter()
        .map(|flow| RuleUse { rule: flow.id(), packets: 1, bytes: 60, last })
        .collect();
    desk.bridge.add_rule_uses(&uses);
}

#[test]
fn idle_flows_go_a_while_after_their_last_packet() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { idle_timeout: 2, flags: tells(), ..add() }).unwrap();
    desk.wait(1500);
    use_all(&mut desk);
    desk.wait(1999);
    assert!(expire(&mut desk).is_empty());
    assert_eq!(desk.bridge.next_expiry(), Some(Time(3500)));
    desk.wait(1);
    let outcome = expire(&mut desk);
    let [removed] = &outcome.removed[..] else { panic!("{outcome:?}") };
    assert_eq!(
        (removed.reason, removed.at, removed.flow.packets),
        (RemovedReason::Idle, Time(3500), 1)
    );
    assert_eq!(desk.bridge.next_expiry(), None);
}

// Stock: `mod-flows` starts the hard timeout anew, but not the idle one.
#[test]
fn changes_start_the_hard_timeout_anew() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { priority: 1, hard_timeout: 4, flags: tells(), ..add() }).unwrap();
    desk.flow(FlowMod { priority: 2, idle_timeout: 4, flags: tells(), ..add() }).unwrap();
    desk.wait(2500);
    desk.flow(FlowMod { actions: output(2), ..command(FlowCommand::Modify) }).unwrap();
    desk.wait(1500);
    let outcome = expire(&mut desk);
    assert_eq!(outcome.removed.iter().map(|r| r.reason).collect::<Vec<_>>(), [RemovedReason::Idle]);
    desk.wait(2499);
    assert!(expire(&mut desk).is_empty());
    desk.wait(1);
    let outcome = expire(&mut desk);
    assert_eq!(outcome.removed.iter().map(|r| r.reason).collect::<Vec<_>>(), [RemovedReason::Hard]);
}

// Stock measures the idle timeout of a flow that takes the place of another from the last packet
// of that one, so that it may be gone at once; here it runs from the addition.
#[test]
fn additions_start_both_timeouts_anew() {
    let mut desk = Desk::default();
    desk.flow(add()).unwrap();
    desk.wait(5000);
    desk.flow(FlowMod { idle_timeout: 2, hard_timeout: 3, ..add() }).unwrap();
    assert_eq!(desk.bridge.next_expiry(), Some(Time(7000)));
    assert!(expire(&mut desk).is_empty());
}

#[test]
fn both_timeouts_at_once_are_the_hard_one() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { idle_timeout: 2, hard_timeout: 2, flags: tells(), ..add() }).unwrap();
    desk.wait(2000);
    assert_eq!(expire(&mut desk).removed[0].reason, RemovedReason::Hard);
}

#[test]
fn expiry_goes_in_pieces() {
    let mut desk = Desk::default();
    for priority in 0..5 {
        desk.flow(FlowMod { priority, hard_timeout: 1, ..add() }).unwrap();
    }
    desk.wait(1000);
    assert_eq!(desk.bridge.expire(desk.now, 2).changes.len(), 2);
    assert_eq!(desk.bridge.next_expiry(), Some(desk.now));
    assert_eq!(desk.bridge.expire(desk.now, 9).changes.len(), 3);
}

#[test]
fn the_end_of_a_connection_shortens_timeouts() {
    let mut desk = Desk::default();
    desk.flow(FlowMod { idle_timeout: 60, ..add() }).unwrap();
    let rule = desk.only().id();
    desk.bridge.add_fins(&[FinSeen { rule, timeouts: FinTimeout { idle: 90, hard: 0 } }]);
    assert_eq!(desk.bridge.next_expiry(), Some(Time(60_000)), "never longer");
    desk.bridge.add_fins(&[FinSeen { rule, timeouts: FinTimeout { idle: 5, hard: 7 } }]);
    assert_eq!(desk.bridge.next_expiry(), Some(Time(5000)));
    let details = desk.only().details;
    assert_eq!((details.idle_timeout, details.hard_timeout), (5, 7));
}
