//! What replies say of how groups are made.

use super::bucket::{NewBucket, OldBucket};
use super::{kind, properties};
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::{BucketId, GroupType, SelectMethod};
use weft_flow::{Group, GroupId, Version};

/// A group as a reply describes it.
pub(crate) struct Desc(pub(crate) Group);

impl Layout for Desc {
    fn blank() -> Self {
        Self(Group {
            id: GroupId(0),
            kind: GroupType::All,
            method: SelectMethod::Default,
            buckets: Box::default(),
        })
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let group = &mut self.0;
        let buckets = std::mem::take(&mut group.buckets).into_vec();
        wire.block(0, |wire| {
            wire.length()?;
            kind(wire, &mut group.kind)?;
            wire.pad(1)?;
            wire.u32(&mut group.id.0)?;
            if !matches!(wire.version(), Version::V10 | Version::V15) {
                let mut buckets: Vec<_> = buckets.into_iter().map(OldBucket).collect();
                wire.list(&mut buckets)?;
                group.buckets = buckets.into_iter().map(|old| old.0).collect();
                for (id, bucket) in (0..).zip(&mut group.buckets) {
                    bucket.id = BucketId(id);
                }
                return Ok(());
            }
            let len = wire.actions_len()?;
            wire.pad(6)?;
            let has_weight = group.kind == GroupType::Select;
            let new = |bucket| NewBucket { bucket, has_weight };
            let mut buckets: Vec<_> = buckets.into_iter().map(new).collect();
            wire.part_of_len(len, |wire| wire.list(&mut buckets))?;
            group.buckets = buckets.into_iter().map(|new| new.bucket).collect();
            properties::method(wire, &mut group.method)
        })
    }
}
