//! Groups: requests that change them, and what replies say of them.

mod bucket;
mod desc;
mod features;
mod group_mod;
mod properties;
mod stats;

pub use features::GroupFeatures;
pub use stats::{BucketStats, GroupStats};

pub(super) use desc::Desc;
pub(super) use group_mod::nicira as nicira_group_mod;

use crate::message::wire::{Done, Width, Wire};
use weft_flow::request::{GroupType, Refusal};

fn kind(wire: &mut Wire<'_>, kind: &mut GroupType) -> Done {
    use GroupType::{All, FastFailover, Indirect, Select};
    let rows = [(0, All), (1, Select), (2, Indirect), (3, FastFailover)];
    wire.choice(Width::U8, kind, &rows, Refusal::GroupBadType)
}
