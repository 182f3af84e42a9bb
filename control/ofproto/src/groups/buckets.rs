//! Buckets that come to a group, and go.

use weft_flow::request::{Bucket, BucketId, Refusal};

/// The buckets of a group after `more` were put behind the one with id `after`.
pub(super) fn insert(
    buckets: &[Bucket],
    after: BucketId,
    more: &[Bucket],
) -> Result<Box<[Bucket]>, Refusal> {
    let at = match after {
        BucketId::FIRST => 0,
        BucketId::LAST => buckets.len(),
        id => place(buckets, id)?.saturating_add(1),
    };
    if more.iter().any(|new| place(buckets, new.id).is_ok()) {
        return Err(Refusal::BucketExists);
    }
    let (before, behind) = buckets.split_at_checked(at).unwrap_or((buckets, &[]));
    Ok([before, more, behind].concat().into())
}

/// The buckets of a group without the one with an id, or without all.  There may be none to begin
/// with, unless one is named by its own id.
pub(super) fn remove(buckets: &[Bucket], which: BucketId) -> Result<Box<[Bucket]>, Refusal> {
    let at = match which {
        BucketId::ALL => return Ok(Box::default()),
        BucketId::FIRST => 0,
        BucketId::LAST => buckets.len().saturating_sub(1),
        id => place(buckets, id)?,
    };
    let left = buckets.iter().enumerate().filter(|(place, _)| *place != at);
    Ok(left.map(|(_, bucket)| bucket.clone()).collect())
}

fn place(buckets: &[Bucket], id: BucketId) -> Result<usize, Refusal> {
    buckets.iter().position(|bucket| bucket.id == id).ok_or(Refusal::UnknownBucket)
}
