//! Which groups can be.

use super::Groups;
use crate::tables::walk;
use std::collections::HashSet;
use weft_flow::request::{Bucket, BucketId, GroupType, Refusal};
use weft_flow::{Action, GroupId, PortNo};

/// Checks a group by itself.
pub(super) fn check(id: GroupId, kind: GroupType, buckets: &[Bucket]) -> Result<(), Refusal> {
    if id > GroupId::MAX {
        return Err(Refusal::InvalidGroup);
    }
    if kind == GroupType::Indirect && buckets.len() != 1 {
        return Err(Refusal::InvalidGroup);
    }
    buckets.iter().try_for_each(|bucket| check_bucket(kind, bucket))?;
    check_ids(buckets)
}

/// Checks that buckets have ids of their own.
pub(super) fn check_ids(buckets: &[Bucket]) -> Result<(), Refusal> {
    let mut ids = HashSet::new();
    let all_differ =
        buckets.iter().all(|bucket| bucket.id <= BucketId::MAX && ids.insert(bucket.id));
    if all_differ { Ok(()) } else { Err(Refusal::BadBucket) }
}

fn check_bucket(kind: GroupType, bucket: &Bucket) -> Result<(), Refusal> {
    let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
    match kind {
        GroupType::Select => Ok(()),
        _ if bucket.weight != 0 => Err(Refusal::InvalidGroup),
        GroupType::All | GroupType::Indirect if watches => Err(Refusal::WatchUnsupported),
        GroupType::FastFailover if !watches => Err(Refusal::InvalidGroup),
        _ => Ok(()),
    }
}

impl Groups {
    /// True when packets that meet these buckets of a group would come back to it.
    ///
    /// Stock takes such groups and stops packets after 64 levels.  No packet gets anywhere by such a
    /// group that it would not get without, so it is refused, as OpenFlow 1.1 and later allow.
    pub(super) fn would_loop(&self, id: GroupId, buckets: &[Bucket]) -> bool {
        let mut seen = HashSet::new();
        let mut next = named(buckets);
        while let Some(group) = next.pop() {
            if group == id {
                return true;
            }
            if seen.insert(group)
                && let Some(entry) = self.get(group)
            {
                next.extend(named(&entry.group.buckets));
            }
        }
        false
    }
}

/// The groups that the actions of buckets name.
fn named(buckets: &[Bucket]) -> Vec<GroupId> {
    let mut all = Vec::new();
    for bucket in buckets {
        walk(&bucket.actions, &mut |action| {
            if let Action::Group(group) = action {
                all.push(*group);
            }
        });
    }
    all
}
