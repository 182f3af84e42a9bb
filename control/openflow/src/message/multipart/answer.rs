//! What is answered.

use super::kind::{self, Kind, MORE};
use super::parts::Parts;
use super::{
    Desc, Form, IpfixStats, PortStats, QueueDesc, QueueStats, TableDesc, TableFeatures, TableStats,
};
use crate::message::flow::{
    Aggregate, FlowStats, FlowUpdate, NiciraFlowStats, StandardFlowStats, Update,
};
use crate::message::group::{self, GroupFeatures, GroupStats};
use crate::message::meter::{self, MeterFeatures, MeterStats};
use crate::message::switch::PortDesc;
use crate::message::wire::{Done, Layout, Wire};
use crate::message::{Kind as MessageKind, Session};
use weft_flow::request::Refusal;
use weft_flow::{Group, Meter, Version};

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Who made the switch.
    Desc(Desc),
    /// Flows, one by one.
    Flow(Vec<FlowStats>, Form),
    /// Flows, together.
    Aggregate(Aggregate, Form),
    /// The use of tables.
    Table(Vec<TableStats>),
    /// What tables can do.
    TableFeatures(Vec<TableFeatures>),
    /// How tables are kept.
    TableDesc(Vec<TableDesc>),
    /// The use of ports.
    Port(Vec<PortStats>),
    /// Ports.
    PortDesc(Vec<PortDesc>),
    /// The use of queues.
    Queue(Vec<QueueStats>),
    /// Queues.
    QueueDesc(Vec<QueueDesc>),
    /// The use of groups.
    Group(Vec<GroupStats>),
    /// Groups.
    GroupDesc(Vec<Group>),
    /// What the switch can do with groups.
    GroupFeatures(GroupFeatures),
    /// The use of meters.
    Meter(Vec<MeterStats>),
    /// Meters.
    MeterConfig(Vec<Meter>),
    /// What the switch can do with meters.
    MeterFeatures(MeterFeatures),
    /// What happened to flows.
    Monitor(Vec<FlowUpdate>),
    /// What the bridge's exporter of IPFIX did.
    IpfixBridge(IpfixStats),
    /// What exporters of IPFIX that actions name did.
    IpfixFlow(Vec<IpfixStats>),
}

/// Writes entries, each as `wrap` says.
fn all<T, L: Layout>(
    parts: &mut Parts<'_>,
    session: Session<'_>,
    items: Vec<T>,
    wrap: impl Fn(T) -> L,
) -> Done {
    items.into_iter().try_for_each(|item| parts.entry(session, &mut wrap(item)))
}

/// Reads entries to the end.
fn list<L: Layout, T>(wire: &mut Wire<'_>, unwrap: impl Fn(L) -> T) -> Result<Vec<T>, Refusal> {
    let mut items = Vec::new();
    wire.list(&mut items)?;
    Ok(items.into_iter().map(unwrap).collect())
}

impl Answer {
    const fn kind(&self) -> Kind {
        match self {
            Self::Desc(_) => Kind::Desc,
            Self::Flow(_, Form::Standard) => Kind::Flow,
            Self::Flow(_, Form::Nicira) => Kind::NiciraFlow,
            Self::Aggregate(_, Form::Standard) => Kind::Aggregate,
            Self::Aggregate(_, Form::Nicira) => Kind::NiciraAggregate,
            Self::Table(_) => Kind::Table,
            Self::TableFeatures(_) => Kind::TableFeatures,
            Self::TableDesc(_) => Kind::TableDesc,
            Self::Port(_) => Kind::Port,
            Self::PortDesc(_) => Kind::PortDesc,
            Self::Queue(_) => Kind::Queue,
            Self::QueueDesc(_) => Kind::QueueDesc,
            Self::Group(_) => Kind::Group,
            Self::GroupDesc(_) => Kind::GroupDesc,
            Self::GroupFeatures(_) => Kind::GroupFeatures,
            Self::Meter(_) => Kind::Meter,
            Self::MeterConfig(_) => Kind::MeterConfig,
            Self::MeterFeatures(_) => Kind::MeterFeatures,
            Self::Monitor(_) => Kind::Monitor,
            Self::IpfixBridge(_) => Kind::IpfixBridge,
            Self::IpfixFlow(_) => Kind::IpfixFlow,
        }
    }

    /// Writes it in as many messages as it needs.
    pub(crate) fn encode(self, session: Session<'_>, xid: u32, out: &mut Vec<u8>) -> Done {
        let start = out.len();
        crate::message::begin(session.version, MessageKind::MultipartReply, xid, out)?;
        let (mut kind, mut flags) = (self.kind(), 0);
        kind::header(&mut Wire::writing(session, out), &mut kind, &mut flags)?;
        let mut parts = Parts::new(out, start);
        self.entries(&mut parts, session)?;
        parts.finish();
        Ok(())
    }

    fn entries(self, parts: &mut Parts<'_>, session: Session<'_>) -> Done {
        let is_first = session.version == Version::V10;
        match self {
            Self::Desc(mut desc) => parts.entry(session, &mut desc),
            Self::Flow(flows, Form::Nicira) => all(parts, session, flows, NiciraFlowStats),
            Self::Flow(flows, _) if is_first => all(parts, session, flows, StandardFlowStats),
            Self::Flow(flows, _) => all(parts, session, flows, |flow| flow),
            Self::Aggregate(mut aggregate, _) => parts.entry(session, &mut aggregate),
            Self::Table(tables) => all(parts, session, tables, |table| table),
            Self::TableFeatures(tables) => all(parts, session, tables, |table| table),
            Self::TableDesc(tables) => all(parts, session, tables, |table| table),
            Self::Port(stats) => all(parts, session, stats, |port| port),
            Self::PortDesc(descs) => all(parts, session, descs, |port| port),
            Self::Queue(queues) => all(parts, session, queues, |queue| queue),
            Self::QueueDesc(queues) => all(parts, session, queues, |queue| queue),
            Self::Group(groups) => all(parts, session, groups, |group| group),
            Self::GroupDesc(groups) => all(parts, session, groups, group::Desc),
            Self::GroupFeatures(mut features) => parts.entry(session, &mut features),
            Self::Meter(meters) => all(parts, session, meters, |meter| meter),
            Self::MeterConfig(meters) => all(parts, session, meters, meter::Config),
            Self::MeterFeatures(mut features) => parts.entry(session, &mut features),
            Self::Monitor(updates) => all(parts, session, updates, Update),
            Self::IpfixBridge(mut stats) => parts.entry(session, &mut stats),
            Self::IpfixFlow(stats) => all(parts, session, stats, |stats| stats),
        }
    }

    /// Reads one part; true when more follow.
    pub(crate) fn decode(wire: &mut Wire<'_>) -> Result<(Self, bool), Refusal> {
        let (mut kind, mut flags) = (Kind::Desc, 0);
        kind::header(wire, &mut kind, &mut flags)?;
        let answer = Self::read(wire, kind)?;
        wire.end()?;
        Ok((answer, flags & MORE != 0))
    }

    fn read(wire: &mut Wire<'_>, kind: Kind) -> Result<Self, Refusal> {
        let is_first = wire.version() == Version::V10;
        Ok(match kind {
            Kind::Desc => Self::Desc(wire.value()?),
            Kind::NiciraFlow => {
                Self::Flow(list(wire, |flow: NiciraFlowStats| flow.0)?, Form::Nicira)
            }
            Kind::Flow if is_first => {
                Self::Flow(list(wire, |flow: StandardFlowStats| flow.0)?, Form::Standard)
            }
            Kind::Flow => Self::Flow(list(wire, |flow: FlowStats| flow)?, Form::Standard),
            Kind::Aggregate => Self::Aggregate(wire.value()?, Form::Standard),
            Kind::NiciraAggregate => Self::Aggregate(wire.value()?, Form::Nicira),
            Kind::Table => Self::Table(list(wire, |table: TableStats| table)?),
            Kind::TableFeatures => Self::TableFeatures(list(wire, |table: TableFeatures| table)?),
            Kind::TableDesc => Self::TableDesc(list(wire, |table: TableDesc| table)?),
            Kind::Port => Self::Port(list(wire, |port: PortStats| port)?),
            Kind::PortDesc => Self::PortDesc(list(wire, |port: PortDesc| port)?),
            Kind::Queue => Self::Queue(list(wire, |queue: QueueStats| queue)?),
            Kind::QueueDesc => Self::QueueDesc(list(wire, |queue: QueueDesc| queue)?),
            Kind::Group => Self::Group(list(wire, |group: GroupStats| group)?),
            Kind::GroupDesc => Self::GroupDesc(list(wire, |group: group::Desc| group.0)?),
            Kind::GroupFeatures => Self::GroupFeatures(wire.value()?),
            Kind::Meter => Self::Meter(list(wire, |meter: MeterStats| meter)?),
            Kind::MeterConfig => Self::MeterConfig(list(wire, |meter: meter::Config| meter.0)?),
            Kind::MeterFeatures => Self::MeterFeatures(wire.value()?),
            Kind::Monitor => Self::Monitor(list(wire, |update: Update| update.0)?),
            Kind::IpfixBridge => Self::IpfixBridge(wire.value()?),
            Kind::IpfixFlow => Self::IpfixFlow(list(wire, |stats: IpfixStats| stats)?),
        })
    }
}
