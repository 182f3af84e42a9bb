//! What a bridge tells of itself.

use super::FlowBridge;
use crate::groups::GroupEntry;
use crate::meters::MeterEntry;
use crate::ports::PortEntry;
use crate::tables::{Flow, Lookups, Position, TableConfig};
use weft_flow::request::{Bucket, FlowQuery, Refusal};
use weft_flow::{GroupId, MeterId, PortNo, RuleId, TableId};

/// What flows have counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// How many flows.
    pub flows: u32,
    /// Packets that met them.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl FlowBridge {
    /// A flow, by its number.
    #[must_use]
    pub fn flow(&self, id: RuleId) -> Option<&Flow> {
        self.state.tables.get(id)
    }

    /// The flows that a query asks for, by table and age.  A long answer goes in pieces: the next
    /// piece begins `from` the position after that of the last flow ([`Position::next`]).
    pub fn flows<'b>(
        &'b self,
        query: &'b FlowQuery,
        from: Position,
    ) -> impl Iterator<Item = &'b Flow> {
        self.state.tables.query(query, from)
    }

    /// All flows, also those that no message sees, by table and age: what `bridge/dump-flows` shows.
    pub fn all_flows(&self) -> impl Iterator<Item = &Flow> {
        let tables = &self.state.tables;
        tables.all_flows().chain(tables.of_table(TableId::INTERNAL))
    }

    /// What the flows that a query asks for have counted together.
    #[must_use]
    pub fn totals(&self, query: &FlowQuery) -> Totals {
        self.flows(query, Position::default()).fold(Totals::default(), |all, flow| Totals {
            flows: all.flows.saturating_add(1),
            packets: all.packets.saturating_add(flow.packets),
            bytes: all.bytes.saturating_add(flow.bytes),
        })
    }

    /// How many flows a table has, without hidden ones.
    #[must_use]
    pub fn flow_count(&self, table: TableId) -> usize {
        self.state.tables.count(table)
    }

    /// How often packets were looked up in a table.
    #[must_use]
    pub fn lookups(&self, table: TableId) -> Lookups {
        self.state.tables.lookups(table)
    }

    /// How the operator wants a table to be.
    #[must_use]
    pub fn table_config(&self, table: TableId) -> Option<&TableConfig> {
        self.state.tables.config(table)
    }

    /// Whether a full table evicts flows, as the operator or a controller wants it.
    #[must_use]
    pub fn evicts(&self, table: TableId) -> bool {
        self.state.tables.evicts(table)
    }

    /// A group, or all ([`GroupId::ALL`]), by id.  One that is not there is no error.
    pub fn groups(&self, id: GroupId) -> impl Iterator<Item = &GroupEntry> {
        self.state.groups.query(id)
    }

    /// How many flows name a group.
    #[must_use]
    pub fn flows_of_group(&self, id: GroupId) -> usize {
        self.state.tables.of_group(id).count()
    }

    /// True when packets may be sent by a bucket, as ports and groups are now.
    #[must_use]
    pub fn is_live(&self, bucket: &Bucket) -> bool {
        let port = |port| self.state.ports.get(port).is_some_and(PortEntry::is_live);
        bucket.is_live(&port, &|id| self.state.groups.get(id).map(|entry| &*entry.group))
    }

    /// A meter, or all ([`MeterId::ALL`]), by id.
    ///
    /// # Errors
    /// [`Refusal::UnknownMeter`] when the one is not there.
    pub fn meters(&self, id: MeterId) -> Result<impl Iterator<Item = &MeterEntry>, Refusal> {
        if id != MeterId::ALL && self.state.meters.get(id).is_none() {
            return Err(Refusal::UnknownMeter);
        }
        Ok(self.state.meters.query(id))
    }

    /// How many flows name a meter.
    #[must_use]
    pub fn flows_of_meter(&self, id: MeterId) -> usize {
        self.state.tables.of_meter(id).count()
    }

    /// What is to be said of a port.
    #[must_use]
    pub fn port(&self, port: PortNo) -> Option<&PortEntry> {
        self.state.ports.get(port)
    }

    /// True when a flow names an option of tunnels: it cannot be taken out of the map then.
    pub(crate) fn uses_option(&self, option: u8) -> bool {
        self.state.tables.uses_option(option)
    }
}
