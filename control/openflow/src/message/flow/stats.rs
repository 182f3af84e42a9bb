//! What replies say of flows.

use super::flags::flags;
use super::oxs::Oxs;
use crate::message::wire::{Done, Layout, Wire};
use std::time::Duration;
use weft_flow::action::Actions;
use weft_flow::request::FlowFlags;
use weft_flow::{Match, TableId, Version};

/// What a reply says of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Where it is.
    pub table: TableId,
    /// 0 to 65535.
    pub priority: u16,
    /// What its controller calls it.
    pub cookie: u64,
    /// How long it is there.
    pub duration: Duration,
    /// Seconds; 0: none.
    pub idle_timeout: u16,
    /// Seconds; 0: none.
    pub hard_timeout: u16,
    /// Seconds without a packet: Nicira's form and 1.5 say it.
    pub idle_age: Option<u32>,
    /// Seconds since it was changed, if it was: Nicira's form says it.
    pub hard_age: Option<u32>,
    /// Flags: 1.3 and later say them.
    pub flags: FlowFlags,
    /// Flows of less importance are evicted first: 1.4 and later say it.
    pub importance: u16,
    /// Packets; all ones if nobody knows.
    pub packets: u64,
    /// Bytes of them; all ones if nobody knows.
    pub bytes: u64,
    /// Which packets it takes.
    pub matching: Match,
    /// What it does with them.
    pub actions: Actions,
}

/// What a reply says of several flows together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// Packets; all ones if nobody knows.
    pub packets: u64,
    /// Bytes of them; all ones if nobody knows.
    pub bytes: u64,
    /// How many flows.
    pub flows: u32,
}

/// A flow in 1.0's own form, which has no ages.
pub(crate) struct StandardFlowStats(pub(crate) FlowStats);
/// A flow in Nicira's form.
pub(crate) struct NiciraFlowStats(pub(crate) FlowStats);

/// Seconds in 16 bits: one more than they are, 0 for none.
fn age(wire: &mut Wire<'_>, age: &mut Option<u32>) -> Done {
    let mut number = age.map_or(0, |age| u16::try_from(age.saturating_add(1)).unwrap_or(u16::MAX));
    wire.u16(&mut number)?;
    *age = number.checked_sub(1).map(u32::from);
    Ok(())
}

impl FlowStats {
    fn layout11(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        wire.length()?;
        wire.u8(&mut self.table.0)?;
        wire.pad(1)?;
        wire.duration(&mut self.duration)?;
        wire.u16(&mut self.priority)?;
        wire.u16(&mut self.idle_timeout)?;
        wire.u16(&mut self.hard_timeout)?;
        if version >= Version::V13 {
            flags(wire, &mut self.flags)?;
        } else {
            wire.pad(2)?;
        }
        if version >= Version::V14 {
            wire.u16(&mut self.importance)?;
        } else {
            wire.pad(2)?;
        }
        wire.pad(2)?;
        wire.u64(&mut self.cookie)?;
        wire.u64(&mut self.packets)?;
        wire.u64(&mut self.bytes)?;
        wire.wide_match(&mut self.matching)?;
        wire.instructions(&mut self.actions)
    }

    fn layout15(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.length()?;
        wire.pad(2)?;
        wire.u8(&mut self.table.0)?;
        wire.pad(1)?;
        wire.u16(&mut self.priority)?;
        wire.u16(&mut self.idle_timeout)?;
        wire.u16(&mut self.hard_timeout)?;
        flags(wire, &mut self.flags)?;
        wire.u16(&mut self.importance)?;
        wire.u64(&mut self.cookie)?;
        wire.matching(&mut self.matching)?;
        let mut oxs = Oxs {
            duration: Some(self.duration),
            idle: self.idle_age.map(|age| Duration::from_secs(age.into())),
            packets: Some(self.packets),
            bytes: Some(self.bytes),
            flows: None,
        };
        oxs.layout(wire)?;
        self.duration = oxs.duration.unwrap_or_default();
        self.idle_age = oxs.idle.map(|idle| u32::try_from(idle.as_secs()).unwrap_or(u32::MAX));
        self.packets = oxs.packets.unwrap_or(u64::MAX);
        self.bytes = oxs.bytes.unwrap_or(u64::MAX);
        wire.instructions(&mut self.actions)
    }
}

impl Layout for FlowStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let is_last = wire.version() == Version::V15;
        wire.block(0, |wire| if is_last { self.layout15(wire) } else { self.layout11(wire) })
    }
}

impl Layout for StandardFlowStats {
    fn blank() -> Self {
        Self(FlowStats::default())
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let flow = &mut self.0;
        wire.block(0, |wire| {
            wire.length()?;
            wire.u8(&mut flow.table.0)?;
            wire.pad(1)?;
            wire.matching(&mut flow.matching)?;
            wire.duration(&mut flow.duration)?;
            wire.u16(&mut flow.priority)?;
            wire.u16(&mut flow.idle_timeout)?;
            wire.u16(&mut flow.hard_timeout)?;
            wire.pad(6)?;
            wire.u64(&mut flow.cookie)?;
            wire.u64(&mut flow.packets)?;
            wire.u64(&mut flow.bytes)?;
            wire.flow_actions(&mut flow.actions)
        })
    }
}

impl Layout for NiciraFlowStats {
    fn blank() -> Self {
        Self(FlowStats::default())
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let flow = &mut self.0;
        wire.block(0, |wire| {
            wire.length()?;
            wire.u8(&mut flow.table.0)?;
            wire.pad(1)?;
            wire.duration(&mut flow.duration)?;
            wire.u16(&mut flow.priority)?;
            wire.u16(&mut flow.idle_timeout)?;
            wire.u16(&mut flow.hard_timeout)?;
            let len = wire.nx_match_len()?;
            age(wire, &mut flow.idle_age)?;
            age(wire, &mut flow.hard_age)?;
            wire.u64(&mut flow.cookie)?;
            wire.u64(&mut flow.packets)?;
            wire.u64(&mut flow.bytes)?;
            wire.nx_match_body(len, &mut flow.matching, None)?;
            wire.flow_actions(&mut flow.actions)
        })
    }
}

impl Layout for Aggregate {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.version() < Version::V15 {
            wire.u64(&mut self.packets)?;
            wire.u64(&mut self.bytes)?;
            wire.u32(&mut self.flows)?;
            return wire.pad(4);
        }
        let mut oxs = Oxs {
            packets: Some(self.packets),
            bytes: Some(self.bytes),
            flows: Some(self.flows),
            ..Oxs::default()
        };
        oxs.layout(wire)?;
        self.packets = oxs.packets.unwrap_or(u64::MAX);
        self.bytes = oxs.bytes.unwrap_or(u64::MAX);
        self.flows = oxs.flows.unwrap_or_default();
        Ok(())
    }
}
