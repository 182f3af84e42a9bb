//! Groups: buckets of actions that flows name by an id.

mod buckets;
mod check;
mod command;

use crate::Time;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use weft_flow::request::BucketId;
use weft_flow::{Group, GroupId};

/// A group, and what is counted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// What those who decide know of it.
    pub group: Arc<Group>,
    /// When it was added.
    pub created: Time,
    /// Packets that met it since its buckets changed.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets and bytes of its buckets, in their order.
    pub buckets: Vec<(u64, u64)>,
}

/// Packets that a bucket got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketUse {
    /// Of which group.
    pub group: GroupId,
    /// Which bucket.
    pub bucket: BucketId,
    /// How many packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The groups of a bridge.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<GroupId, GroupEntry>,
}

impl Groups {
    /// A group.
    pub(crate) fn get(&self, id: GroupId) -> Option<&GroupEntry> {
        self.groups.get(&id)
    }

    /// All groups, or one, by their ids.
    pub(crate) fn query(&self, id: GroupId) -> impl Iterator<Item = &GroupEntry> {
        let range = match id {
            GroupId::ALL => (Bound::Unbounded, Bound::Unbounded),
            id => (Bound::Included(id), Bound::Included(id)),
        };
        self.groups.range(range).map(|(_, entry)| entry)
    }

    /// Puts a group in its place, or takes it away; returns what was there.
    pub(crate) fn set(&mut self, id: GroupId, new: Option<GroupEntry>) -> Option<GroupEntry> {
        match new {
            Some(entry) => self.groups.insert(id, entry),
            None => self.groups.remove(&id),
        }
    }

    /// Packets met a group.
    pub(crate) fn add_use(&mut self, id: GroupId, packets: u64, bytes: u64) {
        if let Some(entry) = self.groups.get_mut(&id) {
            entry.packets = entry.packets.saturating_add(packets);
            entry.bytes = entry.bytes.saturating_add(bytes);
        }
    }

    /// A bucket got packets.
    pub(crate) fn add_bucket_use(&mut self, of: BucketUse) {
        let Some(entry) = self.groups.get_mut(&of.group) else { return };
        let place = entry.group.buckets.iter().position(|bucket| bucket.id == of.bucket);
        if let Some((packets, bytes)) = place.and_then(|place| entry.buckets.get_mut(place)) {
            *packets = packets.saturating_add(of.packets);
            *bytes = bytes.saturating_add(of.bytes);
        }
    }
}

impl GroupEntry {
    /// A group that nobody has met.
    fn new(group: Group, created: Time) -> Self {
        let buckets = vec![(0, 0); group.buckets.len()];
        Self { group: Arc::new(group), created, packets: 0, bytes: 0, buckets }
    }
}
