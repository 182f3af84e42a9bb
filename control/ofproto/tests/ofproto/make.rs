//! Short words for requests.

use weft_flow::action::{Actions, Learn, LearnFlags};
use weft_flow::request::{
    Band, Bucket, BucketId, FlowCommand, FlowFlags, FlowMod, FlowQuery, GroupCommand, GroupMod,
    GroupType, MeterCommand, MeterFlags, MeterMod, Refusal, SelectMethod,
};
use weft_flow::{Action, Bits, GroupId, Match, MeterId, PortNo, Slot, TableId};
use weft_ofproto::{BridgeRequest, Flow, FlowBridge, Outcome, Position, Time};

/// An addition to table 0 of a flow that takes all and drops it.
pub fn add() -> FlowMod {
    FlowMod { priority: 1, ..FlowMod::new(FlowCommand::Add) }
}

/// Another command with no conditions.
pub fn command(command: FlowCommand) -> FlowMod {
    FlowMod { command, ..add() }
}

/// Flags of flows that say when they go.
pub fn tells() -> FlowFlags {
    FlowFlags { sends_flow_removed: true, ..FlowFlags::default() }
}

/// Register 0 has these bits.
pub fn reg(value: u128, mask: u128) -> Match {
    [(Slot::Reg(0), Bits::new(value, mask))].into_iter().collect()
}

/// Sends packets to a port.
pub fn output(port: u32) -> Actions {
    Box::new([Action::Output { port: PortNo(port), max_len: 0 }])
}

/// Lets a group decide.
pub fn to_group(group: u32) -> Actions {
    Box::new([Action::Group(GroupId(group))])
}

/// Meters packets.
pub fn metered(meter: u32) -> Actions {
    Box::new([Action::Meter(MeterId(meter))])
}

/// Learns flows that go with it.
pub fn learns(table: u8, cookie: u64) -> Actions {
    let flags = LearnFlags { deletes_learned: true, ..LearnFlags::default() };
    Box::new([Action::Learn(Box::new(Learn {
        idle_timeout: 0,
        hard_timeout: 0,
        priority: 1,
        cookie,
        flags,
        table: TableId(table),
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        limit: 0,
        result: None,
        has_limit_form: false,
        specs: Box::default(),
    }))])
}

pub fn bucket(id: u32, actions: Actions) -> Bucket {
    Bucket {
        id: BucketId(id),
        weight: 0,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions,
    }
}

pub fn group(command: GroupCommand, id: u32, buckets: &[Bucket]) -> GroupMod {
    GroupMod {
        command,
        kind: GroupType::All,
        id: GroupId(id),
        method: SelectMethod::Default,
        buckets: buckets.into(),
    }
}

pub fn meter(command: MeterCommand, id: u32) -> MeterMod {
    MeterMod {
        command,
        id: MeterId(id),
        flags: MeterFlags { kbps: true, ..MeterFlags::default() },
        bands: Box::new([Band::Drop { rate: 1000, burst: 0 }]),
    }
}

/// A bridge, and the time that it has.
#[derive(Default)]
pub struct Desk {
    pub bridge: FlowBridge,
    pub now: Time,
}

impl Desk {
    pub fn flow(&mut self, request: FlowMod) -> Result<Outcome, Refusal> {
        self.bridge.request(self.now, BridgeRequest::Flow(request), None)
    }

    pub fn group(&mut self, request: GroupMod) -> Result<Outcome, Refusal> {
        self.bridge.request(self.now, BridgeRequest::Group(request), None)
    }

    pub fn meter(&mut self, request: MeterMod) -> Result<Outcome, Refusal> {
        self.bridge.request(self.now, BridgeRequest::Meter(request), None)
    }

    pub fn wait(&mut self, millis: u64) {
        self.now = self.now.after_millis(millis);
    }

    /// All flows, as a dump has them.
    pub fn flows(&self) -> Vec<Flow> {
        self.query(&FlowQuery::all())
    }

    pub fn query(&self, query: &FlowQuery) -> Vec<Flow> {
        self.bridge.flows(query, Position::default()).cloned().collect()
    }

    /// Table and priority of all flows.
    pub fn places(&self) -> Vec<(u8, u32)> {
        self.flows().iter().map(|flow| (flow.rule.table.0, flow.rule.priority)).collect()
    }

    /// The only flow.
    pub fn only(&self) -> Flow {
        let [flow] = <[Flow; 1]>::try_from(self.flows()).unwrap();
        flow
    }
}
