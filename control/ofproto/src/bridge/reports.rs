//! What those who decide report: how often, and when, things were met.

use super::FlowBridge;
use crate::Time;
use crate::groups::BucketUse;
use crate::tables::Lookups;
use weft_flow::action::FinTimeout;
use weft_flow::{GroupId, MeterId, RuleId, TableId};

/// Packets that met a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleUse {
    /// Which.
    pub rule: RuleId,
    /// How many packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one came.
    pub last: Time,
}

/// A packet met a rule that shortens timeouts, and ended its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FinSeen {
    /// Which.
    pub rule: RuleId,
    /// What its timeouts are at most from now on.
    pub timeouts: FinTimeout,
}

impl FlowBridge {
    /// Packets met rules.  Rules that are gone count no more.
    pub fn add_rule_uses(&mut self, uses: &[RuleUse]) {
        for one in uses {
            self.state.tables.add_use(one.rule, one.packets, one.bytes, one.last);
        }
    }

    /// Packets ended connections.
    pub fn add_fins(&mut self, fins: &[FinSeen]) {
        for fin in fins {
            self.state.tables.touch(fin.rule, |flow| {
                shorten(&mut flow.details.idle_timeout, fin.timeouts.idle);
                shorten(&mut flow.details.hard_timeout, fin.timeouts.hard);
            });
        }
    }

    /// Packets met a group.
    pub fn add_group_use(&mut self, group: GroupId, packets: u64, bytes: u64) {
        self.state.groups.add_use(group, packets, bytes);
    }

    /// Buckets got packets.
    pub fn add_bucket_uses(&mut self, uses: &[BucketUse]) {
        for one in uses {
            self.state.groups.add_bucket_use(*one);
        }
    }

    /// Packets met a meter.
    pub fn add_meter_use(&mut self, meter: MeterId, packets: u64, bytes: u64) {
        self.state.meters.add_use(meter, packets, bytes);
    }

    /// Packets were above the rate of a band, counted from 0.
    pub fn add_band_use(&mut self, meter: MeterId, band: usize, packets: u64, bytes: u64) {
        self.state.meters.add_band_use(meter, band, packets, bytes);
    }

    /// Packets were looked up in a table.
    pub fn add_lookups(&mut self, table: TableId, more: Lookups) {
        self.state.tables.add_lookups(table, more);
    }
}

/// Makes a timeout no longer than another; 0 is none.
fn shorten(timeout: &mut u16, other: u16) {
    if other != 0 && (*timeout == 0 || *timeout > other) {
        *timeout = other;
    }
}
