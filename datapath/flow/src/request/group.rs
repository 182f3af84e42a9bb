//! Requests that add, change and delete groups.

use crate::action::Actions;
use crate::{Field, GroupId, PortNo};

/// What a group does with its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GroupType {
    /// Every bucket gets a copy.
    All = 0,
    /// One bucket, chosen by hash and weight.
    Select = 1,
    /// The only bucket.
    Indirect = 2,
    /// The first that is alive.
    FastFailover = 3,
}

/// How a group of type select chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum SelectMethod {
    /// Not said.
    #[default]
    Default,
    /// `hash` of some fields, with their masks.
    Hash {
        /// Goes into the hash.
        parameter: u64,
        /// What is hashed: field and mask.
        fields: Box<[(Field, u128)]>,
    },
    /// `dp_hash`; the high 32 bits of the parameter choose the algorithm, the low ones its basis.
    DpHash {
        /// As it was sent.
        parameter: u64,
    },
}

/// The id of a bucket; the special ones are in commands only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BucketId(pub u32);

impl BucketId {
    /// The largest id that a bucket can have.
    pub const MAX: Self = Self(0xffff_ff00);
    /// Before the first bucket; the first one, in removals.
    pub const FIRST: Self = Self(0xffff_fffd);
    /// Behind the last bucket; the last one, in removals.
    pub const LAST: Self = Self(0xffff_fffe);
    /// All buckets, in removals.
    pub const ALL: Self = Self(0xffff_ffff);
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its id; unique in its group.  Before 1.5, its place.
    pub id: BucketId,
    /// Its share; of type select only.
    pub weight: u16,
    /// Alive while this port is; [`PortNo::ANY`]: none.
    pub watch_port: PortNo,
    /// Alive while this group is; [`GroupId::ANY`]: none.
    pub watch_group: GroupId,
    /// What it does.
    pub actions: Actions,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupCommand {
    /// Adds a group that is not there.
    Add,
    /// Changes a group that is there.
    Modify,
    /// Either.
    AddOrModify,
    /// Deletes a group, or all; one that is not there is no error.
    Delete,
    /// Adds buckets behind the one that is named.
    InsertBucket(BucketId),
    /// Takes buckets away.
    RemoveBucket(BucketId),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupCommand,
    /// Its type.
    pub kind: GroupType,
    /// Which group; [`GroupId::ALL`] in deletions.
    pub id: GroupId,
    /// How one of type select chooses.
    pub method: SelectMethod,
    /// Its buckets.
    pub buckets: Box<[Bucket]>,
}
