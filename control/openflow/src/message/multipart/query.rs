//! What is asked.

use super::kind::{self, Kind, MORE};
use crate::message::flow::nicira_query;
use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::{FlowQuery, MonitorRequest, Refusal};
use weft_flow::{GroupId, MeterId, PortNo, Version};

/// Whose form a question of 1.0 has; so has the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// That of the version.
    #[default]
    Standard,
    /// Nicira's, in 1.0: with extended matches.
    Nicira,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Who made the switch.
    Desc,
    /// Flows, one by one.
    Flow(FlowQuery, Form),
    /// Flows, together.
    Aggregate(FlowQuery, Form),
    /// The use of tables.
    Table,
    /// What tables can do.
    TableFeatures,
    /// How tables are kept.
    TableDesc,
    /// The use of a port; of all: [`PortNo::ANY`].
    Port(PortNo),
    /// A port; all: [`PortNo::ANY`].
    PortDesc(PortNo),
    /// The use of queues: of a port (all: [`PortNo::ANY`], in 1.0 [`PortNo::ALL`]), and which one
    /// (all: `0xffff_ffff`).
    Queue(PortNo, u32),
    /// Queues, the same way.
    QueueDesc(PortNo, u32),
    /// The use of a group; of all: [`GroupId::ALL`].
    Group(GroupId),
    /// A group; all: [`GroupId::ALL`].
    GroupDesc(GroupId),
    /// What the switch can do with groups.
    GroupFeatures,
    /// The use of a meter; of all: [`MeterId::ALL`].
    Meter(MeterId),
    /// A meter; all: [`MeterId::ALL`].
    MeterConfig(MeterId),
    /// What the switch can do with meters.
    MeterFeatures,
    /// What happens to flows, from now on.
    Monitor(Vec<MonitorRequest>),
    /// What the bridge's exporter of IPFIX did.
    IpfixBridge,
    /// What exporters of IPFIX that actions name did.
    IpfixFlow,
}

impl Query {
    const fn kind(&self) -> Kind {
        match self {
            Self::Desc => Kind::Desc,
            Self::Flow(_, Form::Standard) => Kind::Flow,
            Self::Flow(_, Form::Nicira) => Kind::NiciraFlow,
            Self::Aggregate(_, Form::Standard) => Kind::Aggregate,
            Self::Aggregate(_, Form::Nicira) => Kind::NiciraAggregate,
            Self::Table => Kind::Table,
            Self::TableFeatures => Kind::TableFeatures,
            Self::TableDesc => Kind::TableDesc,
            Self::Port(_) => Kind::Port,
            Self::PortDesc(_) => Kind::PortDesc,
            Self::Queue(..) => Kind::Queue,
            Self::QueueDesc(..) => Kind::QueueDesc,
            Self::Group(_) => Kind::Group,
            Self::GroupDesc(_) => Kind::GroupDesc,
            Self::GroupFeatures => Kind::GroupFeatures,
            Self::Meter(_) => Kind::Meter,
            Self::MeterConfig(_) => Kind::MeterConfig,
            Self::MeterFeatures => Kind::MeterFeatures,
            Self::Monitor(_) => Kind::Monitor,
            Self::IpfixBridge => Kind::IpfixBridge,
            Self::IpfixFlow => Kind::IpfixFlow,
        }
    }

    /// A question of a kind, before the rest of it is read.
    const fn blank_of(kind: Kind) -> Self {
        match kind {
            Kind::Desc => Self::Desc,
            Kind::Flow => Self::Flow(FlowQuery::all(), Form::Standard),
            Kind::NiciraFlow => Self::Flow(FlowQuery::all(), Form::Nicira),
            Kind::Aggregate => Self::Aggregate(FlowQuery::all(), Form::Standard),
            Kind::NiciraAggregate => Self::Aggregate(FlowQuery::all(), Form::Nicira),
            Kind::Table => Self::Table,
            Kind::TableFeatures => Self::TableFeatures,
            Kind::TableDesc => Self::TableDesc,
            Kind::Port => Self::Port(PortNo::ANY),
            Kind::PortDesc => Self::PortDesc(PortNo::ANY),
            Kind::Queue => Self::Queue(PortNo::ANY, ALL_QUEUES),
            Kind::QueueDesc => Self::QueueDesc(PortNo::ANY, ALL_QUEUES),
            Kind::Group => Self::Group(GroupId::ALL),
            Kind::GroupDesc => Self::GroupDesc(GroupId::ALL),
            Kind::GroupFeatures => Self::GroupFeatures,
            Kind::Meter => Self::Meter(MeterId::ALL),
            Kind::MeterConfig => Self::MeterConfig(MeterId::ALL),
            Kind::MeterFeatures => Self::MeterFeatures,
            Kind::Monitor => Self::Monitor(Vec::new()),
            Kind::IpfixBridge => Self::IpfixBridge,
            Kind::IpfixFlow => Self::IpfixFlow,
        }
    }

    fn body(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        match self {
            Self::Flow(query, Form::Standard) | Self::Aggregate(query, Form::Standard) => {
                query.layout(wire)
            }
            Self::Flow(query, Form::Nicira) | Self::Aggregate(query, Form::Nicira) => {
                nicira_query(wire, query)
            }
            Self::Port(port) => {
                wire.port(port)?;
                wire.pad(if version == Version::V10 { 6 } else { 4 })
            }
            Self::PortDesc(port) if version == Version::V15 => {
                wire.port(port)?;
                wire.pad(4)
            }
            Self::Queue(port, queue) | Self::QueueDesc(port, queue) => {
                wire.port(port)?;
                if version == Version::V10 {
                    wire.pad(2)?;
                }
                wire.u32(queue)
            }
            Self::GroupDesc(_) if !matches!(version, Version::V10 | Version::V15) => Ok(()),
            Self::Group(id) | Self::GroupDesc(id) => {
                wire.u32(&mut id.0)?;
                wire.pad(4)
            }
            Self::Meter(id) | Self::MeterConfig(id) => {
                wire.u32(&mut id.0)?;
                wire.pad(4)
            }
            Self::Monitor(requests) => wire.list(requests),
            // Nobody may set what tables can do.
            Self::TableFeatures if !wire.left().is_empty() => Err(Refusal::TableFeaturesEperm),
            _ => Ok(()),
        }
    }
}

const ALL_QUEUES: u32 = 0xffff_ffff;

impl Layout for Query {
    fn blank() -> Self {
        Self::Desc
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let (mut kind, mut flags) = (self.kind(), 0);
        kind::header(wire, &mut kind, &mut flags)?;
        if wire.is_reading() {
            *self = Self::blank_of(kind);
        }
        if flags & MORE != 0 {
            return Err(Refusal::MultipartBufferOverflow);
        }
        kind::check_question(wire, kind)?;
        self.body(wire)?;
        if matches!(self, Self::Flow(..) | Self::Aggregate(..)) {
            // The stock switch reads no further than the match.
            wire.skip_rest();
        }
        Ok(())
    }
}
