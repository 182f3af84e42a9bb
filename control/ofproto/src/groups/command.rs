//! Requests that change groups.

use super::check::{check, check_ids};
use super::{GroupEntry, buckets};
use crate::bridge::Edit;
use std::sync::Arc;
use weft_flow::request::{Bucket, BucketId, GroupCommand, GroupMod, Refusal};
use weft_flow::{Group, GroupId};

impl Edit<'_> {
    /// Does what a request says.
    pub(crate) fn group_mod(&mut self, request: GroupMod) -> Result<(), Refusal> {
        let is_there = self.state.groups.get(request.id).is_some();
        match request.command {
            GroupCommand::Add if is_there => Err(Refusal::GroupExists),
            GroupCommand::Modify if !is_there => Err(Refusal::UnknownGroup),
            GroupCommand::Add | GroupCommand::Modify | GroupCommand::AddOrModify => {
                self.put_group(request)
            }
            GroupCommand::Delete => {
                self.delete_groups(request.id);
                Ok(())
            }
            GroupCommand::InsertBucket(after) => {
                self.insert_buckets(request.id, after, &request.buckets)
            }
            GroupCommand::RemoveBucket(which) => self.remove_buckets(request.id, which),
        }
    }

    /// Puts a group in its place.  One that was there keeps its age; counters begin anew.
    fn put_group(&mut self, request: GroupMod) -> Result<(), Refusal> {
        let GroupMod { id, kind, method, buckets, .. } = request;
        check(id, kind, &buckets)?;
        if self.state.groups.would_loop(id, &buckets) {
            return Err(Refusal::GroupLoop);
        }
        let created = self.state.groups.get(id).map_or(self.now, |entry| entry.created);
        let entry = GroupEntry::new(Group { id, kind, method, buckets }, created);
        self.set_group(id, Some(entry));
        Ok(())
    }

    /// Takes groups away, and the flows that name them.
    fn delete_groups(&mut self, id: GroupId) {
        let all: Vec<_> = self.state.groups.query(id).map(|entry| entry.group.id).collect();
        for id in all {
            self.set_group(id, None);
            self.delete_flows_of_group(id);
        }
    }

    /// Adds buckets.  As in stock, a group of type indirect may get a second one.
    fn insert_buckets(
        &mut self,
        id: GroupId,
        after: BucketId,
        more: &[Bucket],
    ) -> Result<(), Refusal> {
        check_ids(more)?;
        let group = self.group(id)?;
        let buckets = buckets::insert(&group.buckets, after, more)?;
        if self.state.groups.would_loop(id, &buckets) {
            return Err(Refusal::GroupLoop);
        }
        self.put_buckets(&group, buckets);
        Ok(())
    }

    fn remove_buckets(&mut self, id: GroupId, which: BucketId) -> Result<(), Refusal> {
        let group = self.group(id)?;
        let buckets = buckets::remove(&group.buckets, which)?;
        self.put_buckets(&group, buckets);
        Ok(())
    }

    fn group(&self, id: GroupId) -> Result<Arc<Group>, Refusal> {
        let entry = self.state.groups.get(id).ok_or(Refusal::UnknownGroup)?;
        Ok(Arc::clone(&entry.group))
    }

    fn put_buckets(&mut self, group: &Group, buckets: Box<[Bucket]>) {
        let Group { id, kind, ref method, .. } = *group;
        let created = self.state.groups.get(id).map_or(self.now, |entry| entry.created);
        let group = Group { id, kind, method: method.clone(), buckets };
        self.set_group(id, Some(GroupEntry::new(group, created)));
    }
}
