//! Requests that change tables, groups and meters, and the reasons why they are refused.

mod flow;
mod group;
mod meter;
mod packet;
mod port;
mod query;
mod refusal;
mod role;
mod table;

pub use flow::{FlowCommand, FlowFlags, FlowMod, Learned, RemovedReason};
pub use group::{Bucket, BucketId, GroupCommand, GroupMod, GroupType, SelectMethod};
pub use meter::{Band, MeterCommand, MeterFlags, MeterMod};
pub use packet::PacketOut;
pub use port::{PortConfig, PortMod};
pub use query::{FlowQuery, MonitorCommand, MonitorFlags, MonitorRequest};
pub use refusal::Refusal;
pub use role::{Role, RoleRequest};
pub use table::TableMod;
