//! Messages as values: [`Request`] is what a switch gets, [`Reply`] is what it says.
//!
//! A layout says once where the parts of a message are, and goes both ways (`wire`); a client that
//! reads replies and a switch that writes them have the same.

mod control;
mod flow;
mod group;
mod kind;
mod meter;
mod multipart;
mod packet;

mod reply;
mod request;
mod switch;
mod wire;

pub use control::{
    AsyncKind, AsyncMask, BundleAdd, BundleControl, BundleKind, CtFlush, CtTuple, RequestForward,
    RoleReply, RoleStatus, RoleStatusReason, TableReason, TableStatus, TlvMod, TlvReply,
};
pub use flow::{Aggregate, FlowEvent, FlowRemoved, FlowStats, FlowUpdate};
pub use group::{BucketStats, GroupFeatures, GroupStats};
pub use kind::Kind;
pub use meter::{BandStats, MeterFeatures, MeterStats};
pub use multipart::{
    Answer, Desc, Form, IpfixStats, PortStats, Query, QueueConfig, QueueDesc, QueueStats,
    TableDesc, TableFeatures, TableProperty, TableStats, Vacancy,
};
pub use packet::{PacketIn, PacketInFormat, PacketInReason};
pub use reply::Reply;
pub use request::{FlowFormat, Request};
pub use switch::{
    Config, Features, Fragments, PortChange, PortDesc, PortState, PortStatus, capabilities,
};

use flow::buffer as flow_buffer;
use kind::begin;
use weft_flow::{TlvMap, Version};

/// What both sides of a connection agreed on, and what messages cannot be read without.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The version.
    pub version: Version,
    /// The map of tunnel options of the bridge.
    pub map: &'a TlvMap,
    /// 1.0: commands of requests for flows have the number of a table in their high byte.
    pub has_table_ids: bool,
}

impl<'a> Session<'a> {
    /// A connection of this version, as it begins.
    #[must_use]
    pub const fn new(version: Version, map: &'a TlvMap) -> Self {
        Self { version, map, has_table_ids: false }
    }
}
