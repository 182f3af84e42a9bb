//! When rules changed: epochs of buckets, each of which stands for some of them.
//!
//! A walk through tables notes the buckets that it visited.  While the sum of their epochs is the
//! same, its outcome is.

use crate::TableId;
use crate::key::mix;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many buckets there are: things that share one are taken for changed together.
const BUCKETS: usize = 4096;
const CHUNK: usize = 64;

/// The last epoch that was given out, by anyone: copies of tables that are changed apart and thrown
/// away must not meet.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A bucket of things that change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The rules of a table of a bridge that match all of `metadata`, with this value, or that do
    /// not.
    #[must_use]
    pub fn of_rules(bridge: u32, table: TableId, metadata: Option<u64>) -> Self {
        let kind = u64::from(bridge) << 9 | 256 | u64::from(table.0);
        Self::of(kind << 1 | u64::from(metadata.is_some()), metadata.unwrap_or_default())
    }

    /// Something else that a walk may read: `kind` says what (a group, a port), and `number` which,
    /// bridge and all.
    #[must_use]
    pub fn of_other(kind: u8, number: u64) -> Self {
        Self::of(u64::from(kind) << 1, number)
    }

    fn of(kind: u64, number: u64) -> Self {
        let bucket = mix(mix(kind, number), 0) % BUCKETS as u64;
        Self(u16::try_from(bucket).unwrap_or_default())
    }
}

/// The epochs of all buckets.  Clones share what is the same.
#[derive(Clone, Debug)]
pub struct Epochs {
    chunks: Box<[Arc<[u64; CHUNK]>]>,
    now: u64,
}

impl Default for Epochs {
    fn default() -> Self {
        let chunk = Arc::new([0; CHUNK]);
        Self { chunks: vec![chunk; BUCKETS / CHUNK].into(), now: 0 }
    }
}

impl Epochs {
    /// Notes that something of a bucket changed.
    pub fn change(&mut self, bucket: Bucket) {
        self.now = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let at = usize::from(bucket.0);
        if let Some(chunk) = self.chunks.get_mut(at / CHUNK)
            && let Some(epoch) = Arc::make_mut(chunk).get_mut(at % CHUNK)
        {
            *epoch = self.now;
        }
    }

    /// The epoch of the last change of all.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The sum of the epochs of some buckets: it stays while none of them changes.
    #[must_use]
    pub fn sum(&self, buckets: &[Bucket]) -> u64 {
        buckets.iter().fold(0, |sum, bucket| sum.wrapping_add(mix(self.epoch(*bucket), 0)))
    }

    fn epoch(&self, bucket: Bucket) -> u64 {
        let at = usize::from(bucket.0);
        let chunk = self.chunks.get(at / CHUNK);
        chunk.and_then(|chunk| chunk.get(at % CHUNK)).copied().unwrap_or_default()
    }
}

/// The buckets that a walk visited.
#[derive(Clone, Debug, Default)]
pub struct Visited(Vec<Bucket>);

impl Visited {
    /// Notes a bucket.
    pub fn note(&mut self, bucket: Bucket) {
        if self.0.last() != Some(&bucket) {
            self.0.push(bucket);
        }
    }

    /// Forgets all, for the next walk.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Each of them once.
    #[must_use]
    pub fn buckets(&self) -> Box<[Bucket]> {
        let mut buckets = self.0.clone();
        buckets.sort_unstable();
        buckets.dedup();
        buckets.into()
    }
}
