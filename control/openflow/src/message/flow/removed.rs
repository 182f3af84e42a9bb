//! What is said when a flow goes.

use super::oxs::Oxs;
use crate::message::wire::{Done, Layout, Width, Wire};
use std::time::Duration;
use weft_flow::request::{Refusal, RemovedReason};
use weft_flow::{Match, TableId, Version};

/// Says that a flow went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowRemoved {
    /// What its controller called it.
    pub cookie: u64,
    /// 0 to 65535.
    pub priority: u16,
    /// Why it went.
    pub reason: RemovedReason,
    /// Where it was; 1.0's own form does not say.
    pub table: TableId,
    /// How long it was there.
    pub duration: Duration,
    /// Seconds; 0: none.
    pub idle_timeout: u16,
    /// Seconds; 0: none.  1.1 and later say it.
    pub hard_timeout: u16,
    /// Packets; all ones if nobody knows.
    pub packets: u64,
    /// Bytes of them; all ones if nobody knows.
    pub bytes: u64,
    /// Which packets it took.
    pub matching: Match,
}

fn reason(wire: &mut Wire<'_>, reason: &mut RemovedReason) -> Done {
    use RemovedReason::{Delete, Eviction, GroupDelete, Hard, Idle, MeterDelete};
    let rows =
        [(0, Idle), (1, Hard), (2, Delete), (3, GroupDelete), (4, MeterDelete), (5, Eviction)];
    if wire.version() < Version::V14 && *reason == MeterDelete {
        *reason = Delete;
    }
    wire.choice(Width::U8, reason, &rows, Refusal::BadReason)
}

/// Nicira's form; its table is one more than the table's number, 0 if nobody knows it.
pub(crate) fn nicira(wire: &mut Wire<'_>, removed: &mut FlowRemoved) -> Done {
    wire.u64(&mut removed.cookie)?;
    wire.u16(&mut removed.priority)?;
    reason(wire, &mut removed.reason)?;
    let mut table = removed.table.0.wrapping_add(1);
    wire.u8(&mut table)?;
    removed.table.0 = table.wrapping_sub(1);
    wire.duration(&mut removed.duration)?;
    wire.u16(&mut removed.idle_timeout)?;
    let len = wire.nx_match_len()?;
    wire.u64(&mut removed.packets)?;
    wire.u64(&mut removed.bytes)?;
    wire.nx_match_body(len, &mut removed.matching, None)
}

impl FlowRemoved {
    fn layout10(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.matching(&mut self.matching)?;
        wire.u64(&mut self.cookie)?;
        wire.u16(&mut self.priority)?;
        reason(wire, &mut self.reason)?;
        wire.pad(1)?;
        wire.duration(&mut self.duration)?;
        wire.u16(&mut self.idle_timeout)?;
        wire.pad(2)?;
        wire.u64(&mut self.packets)?;
        wire.u64(&mut self.bytes)
    }

    fn layout15(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u8(&mut self.table.0)?;
        reason(wire, &mut self.reason)?;
        wire.u16(&mut self.priority)?;
        wire.u16(&mut self.idle_timeout)?;
        wire.u16(&mut self.hard_timeout)?;
        wire.u64(&mut self.cookie)?;
        wire.matching(&mut self.matching)?;
        let mut oxs = Oxs {
            duration: Some(self.duration),
            packets: Some(self.packets),
            bytes: Some(self.bytes),
            ..Oxs::default()
        };
        oxs.layout(wire)?;
        self.duration = oxs.duration.unwrap_or_default();
        self.packets = oxs.packets.unwrap_or(u64::MAX);
        self.bytes = oxs.bytes.unwrap_or(u64::MAX);
        Ok(())
    }
}

impl Layout for FlowRemoved {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        match wire.version() {
            Version::V10 => return self.layout10(wire),
            Version::V15 => return self.layout15(wire),
            _ => {}
        }
        wire.u64(&mut self.cookie)?;
        wire.u16(&mut self.priority)?;
        reason(wire, &mut self.reason)?;
        wire.u8(&mut self.table.0)?;
        wire.duration(&mut self.duration)?;
        wire.u16(&mut self.idle_timeout)?;
        wire.u16(&mut self.hard_timeout)?;
        wire.u64(&mut self.packets)?;
        wire.u64(&mut self.bytes)?;
        wire.matching(&mut self.matching)
    }
}
