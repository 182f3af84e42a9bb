//! Groups: their commands, what they refuse, and the flows that go with them.

use crate::make::{Desk, add, bucket, group, output, tells, to_group};
use weft_flow::request::GroupType::{All, FastFailover, Indirect, Select};
use weft_flow::request::{
    Bucket, BucketId, FlowMod, GroupCommand, GroupMod, GroupType, Refusal, RemovedReason,
    SelectMethod,
};
use weft_flow::{Action, GroupId, PortNo, TableId};
use weft_ofproto::{BucketUse, FlowChange, Time};

fn ids(desk: &Desk, id: u32) -> Vec<u32> {
    let entry = desk.bridge.groups(GroupId(id)).next().unwrap();
    entry.group.buckets.iter().map(|bucket| bucket.id.0).collect()
}

fn all(desk: &Desk) -> Vec<u32> {
    desk.bridge.groups(GroupId::ALL).map(|entry| entry.group.id.0).collect()
}

fn watching(id: u32, port: u32) -> Bucket {
    Bucket { watch_port: PortNo(port), ..bucket(id, output(port)) }
}

// Stock: GROUP_EXISTS, UNKNOWN_GROUP; `--may-create mod-group` does either; a deletion of an unknown
// group is no error.
#[test]
fn groups_are_there_or_not() {
    let mut desk = Desk::default();
    let buckets = [bucket(0, output(1))];
    desk.group(group(GroupCommand::Add, 1, &buckets)).unwrap();
    assert_eq!(desk.group(group(GroupCommand::Add, 1, &buckets)), Err(Refusal::GroupExists));
    assert_eq!(desk.group(group(GroupCommand::Modify, 2, &buckets)), Err(Refusal::UnknownGroup));
    desk.group(group(GroupCommand::AddOrModify, 2, &buckets)).unwrap();
    desk.group(group(GroupCommand::AddOrModify, 2, &[])).unwrap();
    assert_eq!(all(&desk), [1, 2]);
    for id in [77, 0xffff_ff01, GroupId::ANY.0] {
        assert!(desk.group(group(GroupCommand::Delete, id, &[])).unwrap().is_empty());
    }
    let everything = GroupId::ALL.0;
    let modify = group(GroupCommand::Modify, everything, &buckets);
    assert_eq!(desk.group(modify), Err(Refusal::UnknownGroup));
    let add = group(GroupCommand::Add, everything, &buckets);
    assert_eq!(desk.group(add), Err(Refusal::InvalidGroup));
    let outcome = desk.group(group(GroupCommand::Delete, everything, &[])).unwrap();
    assert_eq!(
        outcome.changes,
        [FlowChange::GroupRemoved(GroupId(1)), FlowChange::GroupRemoved(GroupId(2))]
    );
}

// Stock: indirect needs one bucket (INVALID_GROUP), only fast failover may watch
// (WATCH_UNSUPPORTED) and must (INVALID_GROUP), only select has weights (INVALID_GROUP), ids of
// buckets differ (BAD_BUCKET); a group, a meter, a port that a bucket names or watches need not be
// there.
#[test]
fn groups_that_cannot_be() {
    let mut desk = Desk::default();
    let mut refuses = |kind, id, buckets: &[Bucket]| {
        desk.group(GroupMod { kind, ..group(GroupCommand::Add, id, buckets) }).err()
    };
    let plain = [bucket(0, output(1)), bucket(1, output(2))];
    let heavy = [Bucket { weight: 5, ..bucket(0, output(1)) }];
    assert_eq!(refuses(All, 0xffff_ff01, &plain), Some(Refusal::InvalidGroup));
    assert_eq!(refuses(Indirect, 1, &plain), Some(Refusal::InvalidGroup));
    assert_eq!(refuses(Indirect, 1, &[]), Some(Refusal::InvalidGroup));
    assert_eq!(refuses(All, 1, &[watching(0, 1)]), Some(Refusal::WatchUnsupported));
    assert_eq!(refuses(Indirect, 1, &[watching(0, 1)]), Some(Refusal::WatchUnsupported));
    assert_eq!(refuses(FastFailover, 1, &plain), Some(Refusal::InvalidGroup));
    assert_eq!(refuses(All, 1, &heavy), Some(Refusal::InvalidGroup));
    let twice = [bucket(3, output(1)), bucket(3, output(2))];
    assert_eq!(refuses(All, 1, &twice), Some(Refusal::BadBucket));
    assert_eq!(refuses(Select, 2, &heavy), None);
    assert_eq!(refuses(FastFailover, 3, &[watching(0, 99)]), None);
    assert_eq!(refuses(All, 4, &[bucket(0, to_group(99))]), None);
    assert_eq!(refuses(All, 5, &[bucket(0, crate::make::metered(99))]), None);
}

// Stock takes groups that lead back to themselves; here they are refused.
#[test]
fn loops() {
    let mut desk = Desk::default();
    let nested: Box<[Action]> = Box::new([Action::Clone(to_group(1))]);
    let mut put =
        |id, actions| desk.group(group(GroupCommand::AddOrModify, id, &[bucket(0, actions)])).err();
    assert_eq!(put(1, to_group(1)), Some(Refusal::GroupLoop));
    assert_eq!(put(1, to_group(2)), None);
    assert_eq!(put(2, to_group(3)), None);
    assert_eq!(put(3, nested), Some(Refusal::GroupLoop));
    assert_eq!(put(3, output(1)), None);
    let more = group(GroupCommand::InsertBucket(BucketId::LAST), 3, &[bucket(1, to_group(1))]);
    assert_eq!(desk.group(more), Err(Refusal::GroupLoop));
}

// Stock: first, last, behind one; BUCKET_EXISTS, UNKNOWN_BUCKET, UNKNOWN_GROUP.
#[test]
fn buckets_come() {
    let mut desk = Desk::default();
    let two = [bucket(1, output(1)), bucket(2, output(2))];
    desk.group(group(GroupCommand::Add, 20, &two)).unwrap();
    let insert = |group_id, after, id| {
        group(GroupCommand::InsertBucket(after), group_id, &[bucket(id, output(1))])
    };
    desk.group(insert(20, BucketId::FIRST, 9)).unwrap();
    desk.group(insert(20, BucketId::LAST, 8)).unwrap();
    desk.group(insert(20, BucketId(1), 7)).unwrap();
    assert_eq!(ids(&desk, 20), [9, 1, 7, 2, 8]);
    assert_eq!(desk.group(insert(20, BucketId(1), 7)), Err(Refusal::BucketExists));
    assert_eq!(desk.group(insert(20, BucketId(99), 6)), Err(Refusal::UnknownBucket));
    assert_eq!(desk.group(insert(99, BucketId::FIRST, 6)), Err(Refusal::UnknownGroup));
    let twice = [bucket(30, output(1)), bucket(30, output(1))];
    let insert = group(GroupCommand::InsertBucket(BucketId::FIRST), 20, &twice);
    assert_eq!(desk.group(insert), Err(Refusal::BadBucket));
}

// Stock: first, last, one, all; from a group without buckets the first, the last and all go without
// an error.
#[test]
fn buckets_go() {
    let mut desk = Desk::default();
    let five: Vec<_> = [9, 1, 7, 2, 8].map(|id| bucket(id, output(1))).into();
    desk.group(group(GroupCommand::Add, 20, &five)).unwrap();
    let remove = |group_id, which| group(GroupCommand::RemoveBucket(which), group_id, &[]);
    desk.group(remove(20, BucketId::FIRST)).unwrap();
    desk.group(remove(20, BucketId::LAST)).unwrap();
    assert_eq!(ids(&desk, 20), [1, 7, 2]);
    assert_eq!(desk.group(remove(20, BucketId(99))), Err(Refusal::UnknownBucket));
    assert_eq!(desk.group(remove(99, BucketId(99))), Err(Refusal::UnknownGroup));
    desk.group(remove(20, BucketId(7))).unwrap();
    assert_eq!(ids(&desk, 20), [1, 2]);
    for which in [BucketId::ALL, BucketId::ALL, BucketId::FIRST, BucketId::LAST] {
        desk.group(remove(20, which)).unwrap();
        assert_eq!(ids(&desk, 20), []);
    }
}

// Stock: flows that name the group go, also inside clone and write_actions; those that name a
// group whose buckets name it stay.
#[test]
fn flows_go_with_groups() {
    let mut desk = Desk::default();
    desk.group(group(GroupCommand::Add, 1, &[bucket(0, output(2))])).unwrap();
    desk.group(group(GroupCommand::Add, 2, &[bucket(0, to_group(1))])).unwrap();
    let actions = [
        to_group(2),
        Box::new([Action::Clone(to_group(1))]),
        Box::new([Action::WriteActions(to_group(1))]),
        to_group(1),
    ];
    for (table, actions) in (1..).zip(actions) {
        desk.flow(FlowMod { table: TableId(table), actions, flags: tells(), ..add() }).unwrap();
    }
    assert_eq!(desk.bridge.flows_of_group(GroupId(1)), 3);
    let outcome = desk.group(group(GroupCommand::Delete, 1, &[])).unwrap();
    assert_eq!(desk.places(), [(1, 1)]);
    assert!(outcome.removed.iter().all(|removed| removed.reason == RemovedReason::GroupDelete));
    assert_eq!(outcome.removed.len(), 3);
    assert_eq!(all(&desk), [2]);
}

// Stock: a change keeps the age of the group, and its counters begin anew.
#[test]
fn changes_keep_the_age() {
    let mut desk = Desk::default();
    let method = SelectMethod::DpHash { parameter: 1 << 32 };
    let select = GroupMod {
        kind: GroupType::Select,
        method: method.clone(),
        ..group(GroupCommand::Add, 1, &[bucket(4, output(1)), bucket(5, output(2))])
    };
    desk.group(select.clone()).unwrap();
    desk.bridge.add_group_use(GroupId(1), 3, 180);
    let of = |bucket| BucketUse { group: GroupId(1), bucket, packets: 3, bytes: 180 };
    desk.bridge.add_bucket_uses(&[of(BucketId(5)), of(BucketId(6))]);
    let entry = |desk: &Desk| desk.bridge.groups(GroupId(1)).next().unwrap().clone();
    let before = entry(&desk);
    assert_eq!((before.packets, before.bytes), (3, 180));
    assert_eq!(before.buckets, [(0, 0), (3, 180)]);
    desk.wait(1000);
    let insert = group(GroupCommand::InsertBucket(BucketId(4)), 1, &[bucket(6, output(3))]);
    desk.group(insert).unwrap();
    let after = entry(&desk);
    assert_eq!((after.created, after.packets, after.buckets.len()), (Time(0), 0, 3));
    assert_eq!((after.group.kind, &after.group.method), (GroupType::Select, &method));
    desk.group(GroupMod { command: GroupCommand::Modify, ..select }).unwrap();
    assert_eq!(entry(&desk).created, Time(0));
}

#[test]
fn buckets_live_by_ports_and_groups() {
    let mut desk = Desk::default();
    desk.bridge.set_port(PortNo(1), [0; 6], true);
    let failover = GroupMod {
        kind: GroupType::FastFailover,
        ..group(GroupCommand::Add, 1, &[watching(0, 1)])
    };
    desk.group(failover).unwrap();
    let by_group = Bucket { watch_group: GroupId(1), ..bucket(0, output(1)) };
    assert!(desk.bridge.is_live(&watching(0, 1)) && desk.bridge.is_live(&by_group));
    assert!(!desk.bridge.is_live(&watching(0, 2)));
    desk.bridge.set_port(PortNo(1), [0; 6], false);
    assert!(!desk.bridge.is_live(&watching(0, 1)) && !desk.bridge.is_live(&by_group));
}
