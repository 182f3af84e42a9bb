//! A bridge: the parts that requests change, and what comes of it.
//!
//! Every change is one [`Edit`]: what it did is undone if it fails, and nobody hears of it; else one
//! [`Outcome`] says all that it did.

mod commit;
mod edit;
mod fail_mode;
mod outcome;
mod own;
mod queries;
mod reports;
mod state;

pub use commit::Failure;
pub use fail_mode::{FailMode, Oversight};
pub use outcome::{FlowChange, MonitorEvent, Outcome, RemovedFlow};
pub use own::OwnFlow;
pub use queries::Totals;
pub use reports::{FinSeen, RuleUse};

pub(crate) use edit::Edit;
pub(crate) use outcome::WatchedEvent;

use crate::Time;
use crate::flows::Learning;
use crate::monitor::{ConnectionId, MonitorUpdate, MonitorUpdates, Monitors, Origin};
use crate::tables::{TableConfig, numbers};
use state::State;
use weft_flow::request::{
    FlowMod, GroupMod, MeterMod, MonitorRequest, PacketOut, PortMod, Refusal, TableMod,
};
use weft_flow::{PortNo, RuleId, TableId, TlvMap};

/// One request that changes a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeRequest {
    /// Of flows.
    Flow(FlowMod),
    /// Of groups.
    Group(GroupMod),
    /// Of meters; bundles have none.
    Meter(MeterMod),
    /// Of a port.
    Port(PortMod),
    /// Of a packet.
    PacketOut(PacketOut),
}

/// The mutable side of one bridge.
#[derive(Debug, Default)]
pub struct FlowBridge {
    state: State,
    monitors: Monitors,
    pub(crate) options: TlvMap,
    oversight: Oversight,
}

impl FlowBridge {
    /// A bridge without flows, groups, meters and ports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what a request says.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn request(
        &mut self,
        now: Time,
        request: BridgeRequest,
        origin: Option<Origin>,
    ) -> Result<Outcome, Refusal> {
        self.edit(now, origin, |edit| edit.request(request)).map(|((), outcome)| outcome)
    }

    /// Adds the flow that a packet taught, or refreshes it.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn learn(&mut self, now: Time, request: FlowMod) -> Result<(Learning, Outcome), Refusal> {
        self.edit(now, None, |edit| edit.learn(request))
    }

    /// Does what a request for a table says.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn table_mod(&mut self, request: TableMod) -> Result<(), Refusal> {
        if request.table == TableId::INTERNAL {
            return Err(Refusal::TableModEperm);
        }
        if let Some(evicts) = request.evicts {
            for table in numbers(request.table) {
                self.state.tables.set_evicts_by_request(table, evicts);
            }
        }
        Ok(())
    }

    /// Configures a table; one that evicts loses what it has too many.
    pub fn set_table_config(&mut self, now: Time, table: TableId, config: TableConfig) -> Outcome {
        self.state.tables.set_config(table, config);
        self.carry_out(now, |edit| edit.evict_excess(table))
    }

    /// Takes out flows that have expired, at most so many, and the flows that those learned.
    pub fn expire(&mut self, now: Time, at_most: usize) -> Outcome {
        self.carry_out(now, |edit| edit.expire(at_most))
    }

    /// When [`FlowBridge::expire`] may have something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.state.tables.next_due()
    }

    /// Nobody reports uses of these rules any more: they were removed, and all who decide know it.
    pub fn release(&mut self, rules: impl IntoIterator<Item = RuleId>) {
        self.state.tables.release(rules);
    }

    /// A port is there, or its link changed.  True if that is news.
    pub fn set_port(&mut self, port: PortNo, hw_addr: [u8; 6], link_up: bool) -> bool {
        self.state.ports.set(port, hw_addr, link_up)
    }

    /// A port is gone.  Flows that name it stay.
    pub fn remove_port(&mut self, port: PortNo) {
        self.state.ports.remove(port);
    }

    /// Begins, changes and ends flow monitors of a connection, all or none.
    ///
    /// # Errors
    /// Why one is refused; nothing has changed then.
    pub fn monitor(
        &mut self,
        connection: ConnectionId,
        requests: &[MonitorRequest],
    ) -> Result<Vec<MonitorUpdate>, Refusal> {
        self.monitors.request(connection, requests, &self.state.tables)
    }

    /// A connection has more updates to hear than it can take.
    pub fn pause_monitors(&mut self, connection: ConnectionId) -> Vec<MonitorUpdate> {
        self.monitors.pause(connection, self.state.last_change())
    }

    /// A connection has heard all that it had to.
    pub fn resume_monitors(&mut self, connection: ConnectionId) -> Vec<MonitorUpdate> {
        self.monitors.resume(connection, &self.state.tables)
    }

    /// A connection is gone, and its monitors with it.
    pub fn forget_connection(&mut self, connection: ConnectionId) {
        self.monitors.forget(connection);
    }

    /// Makes a change that may fail.
    fn edit<T>(
        &mut self,
        now: Time,
        origin: Option<Origin>,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T, Refusal>,
    ) -> Result<(T, Outcome), Refusal> {
        let mut edit = Edit::new(&mut self.state, now);
        match change(&mut edit) {
            Ok(answer) => {
                let done = edit.finish();
                Ok((answer, self.outcome(done, origin)))
            }
            Err(refusal) => {
                edit.undo();
                Err(refusal)
            }
        }
    }

    /// Makes a change that cannot fail.
    fn carry_out(&mut self, now: Time, change: impl FnOnce(&mut Edit<'_>)) -> Outcome {
        let mut edit = Edit::new(&mut self.state, now);
        change(&mut edit);
        let done = edit.finish();
        self.outcome(done, None)
    }

    fn outcome(&self, done: edit::Done, origin: Option<Origin>) -> Outcome {
        let updates = if self.monitors.is_empty() {
            MonitorUpdates::default()
        } else {
            self.monitors.feed(&done.events, origin)
        };
        Outcome { changes: done.changes, removed: done.removed, updates }
    }
}

impl Edit<'_> {
    /// Does what a request says.
    pub(crate) fn request(&mut self, request: BridgeRequest) -> Result<(), Refusal> {
        match request {
            BridgeRequest::Flow(request) => self.flow_mod(request),
            BridgeRequest::Group(request) => self.group_mod(request),
            BridgeRequest::Meter(request) => self.meter_mod(request),
            BridgeRequest::Port(request) => self.port_mod(&request),
            BridgeRequest::PacketOut(request) => self.packet_out(request),
        }
    }
}
