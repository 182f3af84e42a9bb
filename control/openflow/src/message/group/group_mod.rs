//! Requests that change groups, as messages.

use super::bucket::{NewBucket, OldBucket};
use super::{kind, properties};
use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::{
    Bucket, BucketId, GroupCommand, GroupMod, GroupType, Refusal, SelectMethod,
};
use weft_flow::{GroupId, PortNo, Version};

/// Commands; those with the id of a bucket have [`BucketId::ALL`] until it is read.
const COMMANDS: [(u32, GroupCommand); 6] = [
    (0, GroupCommand::Add),
    (1, GroupCommand::Modify),
    (2, GroupCommand::Delete),
    (3, GroupCommand::InsertBucket(BucketId::ALL)),
    (5, GroupCommand::RemoveBucket(BucketId::ALL)),
    (0x8000, GroupCommand::AddOrModify),
];

/// The bucket that a command names.
const fn command_bucket(command: GroupCommand) -> BucketId {
    match command {
        GroupCommand::InsertBucket(id) | GroupCommand::RemoveBucket(id) => id,
        _ => BucketId::ALL,
    }
}

const fn with_bucket(command: GroupCommand, id: BucketId) -> GroupCommand {
    match command {
        GroupCommand::InsertBucket(_) => GroupCommand::InsertBucket(id),
        GroupCommand::RemoveBucket(_) => GroupCommand::RemoveBucket(id),
        other => other,
    }
}

fn command(wire: &mut Wire<'_>, request: &mut GroupMod) -> Done {
    let id = command_bucket(request.command);
    let mut plain = with_bucket(request.command, BucketId::ALL);
    wire.choice(Width::U16, &mut plain, &COMMANDS, Refusal::GroupBadCommand)?;
    request.command = with_bucket(plain, id);
    kind(wire, &mut request.kind)?;
    wire.pad(1)?;
    wire.u32(&mut request.id.0)
}

/// The form of 1.5, which is Nicira's form in 1.0 too.
pub(crate) fn nicira(wire: &mut Wire<'_>, request: &mut GroupMod) -> Done {
    command(wire, request)?;
    let len = wire.actions_len()?;
    wire.pad(2)?;
    let mut id = command_bucket(request.command);
    wire.u32(&mut id.0)?;
    request.command = with_bucket(request.command, id);
    let names_one =
        matches!(request.command, GroupCommand::InsertBucket(_) | GroupCommand::RemoveBucket(_));
    let fits = names_one && (id <= BucketId::MAX || id >= BucketId::FIRST);
    if !fits && id != BucketId::ALL {
        return Err(Refusal::BadBucket);
    }
    let weights = request.kind == GroupType::Select;
    let buckets = std::mem::take(&mut request.buckets);
    let mut buckets: Vec<_> = Vec::from(buckets)
        .into_iter()
        .map(|bucket| NewBucket { has_weight: weights || bucket.weight != 0, bucket })
        .collect();
    wire.part_of_len(len, |wire| wire.list(&mut buckets))?;
    request.buckets = buckets.into_iter().map(|new| new.bucket).collect();
    properties::method(wire, &mut request.method)?;
    check(wire, request)
}

/// The form of 1.1 to 1.4.
fn standard(wire: &mut Wire<'_>, request: &mut GroupMod) -> Done {
    command(wire, request)?;
    let buckets = std::mem::take(&mut request.buckets);
    let mut buckets: Vec<_> = Vec::from(buckets).into_iter().map(OldBucket).collect();
    wire.list(&mut buckets)?;
    request.buckets = buckets.into_iter().map(|old| old.0).collect();
    if wire.is_reading() {
        // A bucket's id is its place.
        for (id, bucket) in (0..).zip(&mut request.buckets) {
            bucket.id = BucketId(id);
        }
    }
    check(wire, request)
}

/// What must be true of buckets of a group of this type.
fn check_bucket(kind: GroupType, bucket: &Bucket) -> Done {
    let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
    if bucket.weight != 0 && kind != GroupType::Select {
        return Err(Refusal::InvalidGroup);
    }
    match kind {
        GroupType::All | GroupType::Indirect if watches => Err(Refusal::WatchUnsupported),
        GroupType::FastFailover if !watches => Err(Refusal::InvalidGroup),
        _ => Ok(()),
    }
}

/// What must be true of a request whatever groups there are.  Buckets that are inserted belong to
/// a group of another type than the request says.
fn check(wire: &Wire<'_>, request: &GroupMod) -> Done {
    if !wire.is_reading() {
        return Ok(());
    }
    let is_deletion = request.command == GroupCommand::Delete;
    if request.id > GroupId::MAX && !(is_deletion && request.id == GroupId::ALL) {
        return Err(Refusal::InvalidGroup);
    }
    let mut ids: Vec<_> = request.buckets.iter().map(|bucket| bucket.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(Refusal::BucketExists);
    }
    match request.command {
        GroupCommand::RemoveBucket(_) if !request.buckets.is_empty() => Err(Refusal::BadBucket),
        GroupCommand::InsertBucket(_) | GroupCommand::RemoveBucket(_) | GroupCommand::Delete => {
            Ok(())
        }
        _ if request.kind == GroupType::Indirect && request.buckets.len() != 1 => {
            Err(Refusal::InvalidGroup)
        }
        _ => request.buckets.iter().try_for_each(|bucket| check_bucket(request.kind, bucket)),
    }
}

impl Layout for GroupMod {
    fn blank() -> Self {
        Self {
            command: GroupCommand::Add,
            kind: GroupType::All,
            id: GroupId(0),
            method: SelectMethod::Default,
            buckets: Box::default(),
        }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        match wire.version() {
            Version::V10 | Version::V15 => nicira(wire, self),
            _ => standard(wire, self),
        }
    }
}
