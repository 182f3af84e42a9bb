//! Requests that change tables, groups and meters, and the reasons why they are refused.

mod flow;
mod group;
mod meter;
mod refusal;

pub use flow::{FlowCommand, FlowFlags, FlowMod, Learned};
pub use group::{Bucket, BucketId, GroupCommand, GroupMod, GroupType, SelectMethod};
pub use meter::{Band, MeterCommand, MeterFlags, MeterMod};
pub use refusal::Refusal;
