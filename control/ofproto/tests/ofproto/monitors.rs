//! Flow monitors.

use crate::make::{Desk, add, command, output, reg};
use weft_flow::request::{
    FlowCommand, FlowMod, MonitorCommand, MonitorFlags, MonitorRequest, Refusal,
};
use weft_flow::{GroupId, Match, PortNo, TableId};
use weft_ofproto::{BridgeRequest, ConnectionId, MonitorEvent, MonitorUpdate, Origin, OwnFlow};

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);

pub fn watch_all(id: u32) -> MonitorRequest {
    MonitorRequest {
        command: MonitorCommand::Add,
        id,
        flags: MonitorFlags {
            initial: true,
            added: true,
            removed: true,
            modified: true,
            actions: true,
            own_in_full: false,
        },
        table: TableId::ALL,
        matching: Match::any(),
        out_port: PortNo::ANY,
        out_group: GroupId::ANY,
    }
}

// What an update is, and the priority of its flow.
fn short(updates: &[MonitorUpdate]) -> Vec<String> {
    let short = |update: &MonitorUpdate| match update {
        MonitorUpdate::Initial(view) => format!("initial {}", view.rule.priority),
        MonitorUpdate::Event(MonitorEvent::Added, view) => format!("added {}", view.rule.priority),
        MonitorUpdate::Event(MonitorEvent::Modified, view) => {
            format!("modified {}", view.rule.priority)
        }
        MonitorUpdate::Event(MonitorEvent::Removed(reason), view) => {
            format!("{reason:?} {}", view.rule.priority)
        }
        MonitorUpdate::Own(xid) => format!("own {xid}"),
        MonitorUpdate::Paused => "paused".into(),
        MonitorUpdate::Resumed => "resumed".into(),
    };
    updates.iter().map(short).collect()
}

// What a connection hears when another one changes flows.
fn heard(desk: &mut Desk, by: ConnectionId, request: FlowMod) -> Vec<String> {
    let origin = Some(Origin { connection: by, xid: 7 });
    let outcome = desk.bridge.request(desk.now, BridgeRequest::Flow(request), origin).unwrap();
    short(outcome.updates.get(&A).map_or(&[], Vec::as_slice))
}

fn prio(priority: u16) -> FlowMod {
    FlowMod { priority, matching: reg(priority.into(), 0xff), ..add() }
}

// Stock: an addition in the place of a flow is `event=ADDED`, a change `event=MODIFIED`.
#[test]
fn others_hear_of_changes() {
    let mut desk = Desk::default();
    desk.flow(prio(1)).unwrap();
    let initial = desk.bridge.monitor(A, &[watch_all(1)]).unwrap();
    assert_eq!(short(&initial), ["initial 1"]);
    assert_eq!(heard(&mut desk, B, prio(2)), ["added 2"]);
    assert_eq!(heard(&mut desk, B, FlowMod { actions: output(1), ..prio(2) }), ["added 2"]);
    let change = FlowMod { actions: output(3), ..command(FlowCommand::Modify) };
    assert_eq!(heard(&mut desk, B, change), ["modified 1", "modified 2"]);
    assert_eq!(heard(&mut desk, B, command(FlowCommand::Delete)), ["Delete 1", "Delete 2"]);
    desk.flow(FlowMod { hard_timeout: 1, ..prio(3) }).unwrap();
    desk.wait(1000);
    let outcome = desk.bridge.expire(desk.now, 10);
    assert_eq!(short(&outcome.updates[&A]), ["Hard 3"]);
    assert_eq!(outcome.updates[&A].len(), 1);
    let outcome = desk.bridge.put_own_flow(desk.now, &OwnFlow::fail_open()).unwrap();
    assert!(outcome.updates.is_empty(), "hidden");
    desk.bridge.forget_connection(A);
    assert_eq!(heard(&mut desk, B, prio(2)), [""; 0]);
}

#[test]
fn own_changes_are_short() {
    let mut desk = Desk::default();
    desk.bridge.monitor(A, &[watch_all(1)]).unwrap();
    desk.flow(prio(1)).unwrap();
    desk.flow(prio(2)).unwrap();
    assert_eq!(heard(&mut desk, A, command(FlowCommand::Delete)), ["own 7"]);
    let flags = MonitorFlags { own_in_full: true, ..watch_all(1).flags };
    let change = MonitorRequest { command: MonitorCommand::Modify, flags, ..watch_all(1) };
    desk.bridge.monitor(A, &[change]).unwrap();
    assert_eq!(heard(&mut desk, A, prio(3)), ["added 3"]);
}

// Stock: `out_port=2` also hears of a change away from port 2.
#[test]
fn monitors_choose() {
    let mut desk = Desk::default();
    let by_port = MonitorRequest { out_port: PortNo(2), ..watch_all(1) };
    desk.bridge.monitor(A, &[by_port]).unwrap();
    assert_eq!(heard(&mut desk, B, prio(1)), [""; 0]);
    let to = |port| FlowMod { actions: output(port), ..command(FlowCommand::Modify) };
    assert_eq!(heard(&mut desk, B, to(2)), ["modified 1"]);
    assert_eq!(heard(&mut desk, B, to(3)), ["modified 1"]);
    assert_eq!(heard(&mut desk, B, to(4)), [""; 0]);
    let end = MonitorRequest { command: MonitorCommand::Delete, ..watch_all(1) };
    let by_table = MonitorRequest { table: TableId(1), ..watch_all(2) };
    let by_match = MonitorRequest { matching: reg(5, 0xf), ..watch_all(3) };
    let no_actions = MonitorFlags { removed: true, ..MonitorFlags::default() };
    let by_kind = MonitorRequest { flags: no_actions, ..watch_all(4) };
    desk.bridge.monitor(A, &[end, by_table, by_match, by_kind]).unwrap();
    assert_eq!(heard(&mut desk, B, prio(2)), [""; 0]);
    assert_eq!(heard(&mut desk, B, FlowMod { table: TableId(1), ..prio(3) }), ["added 3"]);
    assert_eq!(heard(&mut desk, B, prio(5)), ["added 5"]);
    let outcome = desk.flow(FlowMod { cookie_filter: 0, ..command(FlowCommand::Delete) }).unwrap();
    assert_eq!(short(&outcome.updates[&A]), ["Delete 1", "Delete 2", "Delete 5"]);
    let with_actions = |update: &MonitorUpdate| match update {
        MonitorUpdate::Event(_, view) => view.with_actions,
        _ => panic!("{update:?}"),
    };
    let told: Vec<_> = outcome.updates[&A].iter().map(with_actions).collect();
    assert_eq!(told, [false, false, true], "if one monitor wants them");
}

#[test]
fn requests_are_all_or_none() {
    let mut desk = Desk::default();
    let of = |command, id| MonitorRequest { command, ..watch_all(id) };
    let twice = [watch_all(1), watch_all(1)];
    assert_eq!(desk.bridge.monitor(A, &twice), Err(Refusal::MonitorExists));
    let unknown = [watch_all(1), of(MonitorCommand::Delete, 2)];
    assert_eq!(desk.bridge.monitor(A, &unknown), Err(Refusal::UnknownMonitor));
    let unknown = [of(MonitorCommand::Modify, 1)];
    assert_eq!(desk.bridge.monitor(A, &unknown), Err(Refusal::UnknownMonitor), "none is there");
    let deaf = MonitorRequest { flags: MonitorFlags::default(), ..watch_all(1) };
    assert_eq!(desk.bridge.monitor(A, &[deaf]), Err(Refusal::MonitorBadFlags));
    desk.flow(prio(1)).unwrap();
    let both = desk.bridge.monitor(A, &[watch_all(1), watch_all(2)]).unwrap();
    assert_eq!(short(&both), ["initial 1"], "once");
    desk.bridge.monitor(B, &[watch_all(1)]).unwrap();
}

#[test]
fn connections_that_lag_pause() {
    let mut desk = Desk::default();
    desk.bridge.monitor(A, &[watch_all(1)]).unwrap();
    for priority in 1..=4 {
        desk.flow(prio(priority)).unwrap();
    }
    let strict = |command, priority| FlowMod { command, ..prio(priority) };
    assert_eq!(short(&desk.bridge.pause_monitors(A)), ["paused"]);
    assert_eq!(short(&desk.bridge.pause_monitors(A)), [""; 0]);
    assert_eq!(heard(&mut desk, B, strict(FlowCommand::DeleteStrict, 1)), ["Delete 1"]);
    let change = FlowMod { actions: output(1), ..strict(FlowCommand::ModifyStrict, 2) };
    assert_eq!(heard(&mut desk, B, change), [""; 0]);
    assert_eq!(heard(&mut desk, B, prio(3)), [""; 0], "added again");
    for priority in [5, 6] {
        assert_eq!(heard(&mut desk, B, prio(priority)), [""; 0]);
    }
    assert_eq!(
        heard(&mut desk, B, strict(FlowCommand::DeleteStrict, 6)),
        [""; 0],
        "never heard of"
    );
    assert_eq!(heard(&mut desk, A, strict(FlowCommand::DeleteStrict, 4)), ["Delete 4"], "in full");
    let missed = short(&desk.bridge.resume_monitors(A));
    assert_eq!(missed, ["modified 2", "added 3", "added 5", "resumed"]);
    assert_eq!(short(&desk.bridge.resume_monitors(A)), [""; 0]);
    assert_eq!(heard(&mut desk, B, prio(7)), ["added 7"]);
}
