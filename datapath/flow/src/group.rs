//! Groups and meters: as tables hand them to those who decide.

use crate::request::{Band, Bucket, GroupType, MeterFlags, SelectMethod};
use crate::{GroupId, MeterId, PortNo};

/// A group.  It never changes: other buckets make another group with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What it does with its buckets.
    pub kind: GroupType,
    /// How one of type select chooses.
    pub method: SelectMethod,
    /// Its buckets.
    pub buckets: Box<[Bucket]>,
}

/// A meter.  It never changes: other bands make another meter with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its id.
    pub id: MeterId,
    /// Flags.
    pub flags: MeterFlags,
    /// What happens above which rate.
    pub bands: Box<[Band]>,
}

/// How many buckets are looked at to find a live one; whoever comes after them is dead.  Groups
/// that watch each other would never end otherwise.
const VISITS_MAX: u32 = 1024;

impl Bucket {
    /// True when packets may be sent by this bucket: the port that it watches is live, or the group
    /// that it watches has a live bucket, or it watches nothing.
    #[must_use]
    pub fn is_live<'g>(
        &self,
        port_is_live: &impl Fn(PortNo) -> bool,
        group: &impl Fn(GroupId) -> Option<&'g Group>,
    ) -> bool {
        self.is_live_within(&mut { VISITS_MAX }, port_is_live, group)
    }

    fn is_live_within<'g>(
        &self,
        visits: &mut u32,
        port_is_live: &impl Fn(PortNo) -> bool,
        group: &impl Fn(GroupId) -> Option<&'g Group>,
    ) -> bool {
        if self.watch_port == PortNo::ANY && self.watch_group == GroupId::ANY {
            return true;
        }
        if self.watch_port != PortNo::ANY && port_is_live(self.watch_port) {
            return true;
        }
        let (Some(left), Some(watched)) = (visits.checked_sub(1), group(self.watch_group)) else {
            return false;
        };
        *visits = left;
        watched.buckets.iter().any(|bucket| bucket.is_live_within(visits, port_is_live, group))
    }
}

#[cfg(test)]
mod tests {
    use super::Group;
    use crate::request::{Bucket, BucketId, GroupType, SelectMethod};
    use crate::{GroupId, PortNo};

    fn bucket(watch_port: PortNo, watch_group: GroupId) -> Bucket {
        Bucket { id: BucketId(0), weight: 0, watch_port, watch_group, actions: Box::default() }
    }

    fn group(id: u32, buckets: &[Bucket]) -> Group {
        Group {
            id: GroupId(id),
            kind: GroupType::FastFailover,
            method: SelectMethod::Default,
            buckets: buckets.into(),
        }
    }

    #[test]
    fn buckets_live_by_what_they_watch() {
        let groups = [
            group(1, &[bucket(PortNo(1), GroupId::ANY)]),
            group(2, &[bucket(PortNo(2), GroupId::ANY)]),
            // Two that watch each other, twice.
            group(3, &[bucket(PortNo::ANY, GroupId(4)), bucket(PortNo::ANY, GroupId(4))]),
            group(4, &[bucket(PortNo::ANY, GroupId(3)), bucket(PortNo::ANY, GroupId(3))]),
        ];
        let live = |bucket: &Bucket| {
            bucket.is_live(&|port| port == PortNo(1), &|id| groups.iter().find(|g| g.id == id))
        };
        assert!(live(&bucket(PortNo::ANY, GroupId::ANY)));
        assert!(live(&bucket(PortNo(1), GroupId::ANY)));
        assert!(!live(&bucket(PortNo(2), GroupId::ANY)));
        assert!(live(&bucket(PortNo(2), GroupId(1))));
        assert!(!live(&bucket(PortNo(2), GroupId(2))));
        assert!(!live(&bucket(PortNo::ANY, GroupId(9))));
        assert!(!live(&bucket(PortNo::ANY, GroupId(3))));
    }
}
