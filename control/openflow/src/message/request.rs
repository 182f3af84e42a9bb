//! What a switch gets.

use super::control::{
    AsyncMask, BundleAdd, BundleControl, CtFlush, TlvMod, are_words, masks, nicira_role_request,
    words,
};
use super::flow::nicira_flow_mod;
use super::group::nicira_group_mod;
use super::kind::{self, Kind};
use super::multipart::Query;
use super::packet::{PacketIn, PacketIn2, PacketInFormat};
use super::switch::Config;
use super::wire::{Done, Layout, Width, Wire};
use super::{Session, reply};
use crate::error::{self, ErrorMessage};
use crate::hello::{self, Versions};
use weft_flow::PortNo;
use weft_flow::request::{
    FlowMod, GroupMod, MeterMod, PacketOut, PortMod, Refusal, RoleRequest, TableMod,
};

/// Which form of flows a switch may use in 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowFormat {
    /// 1.0's own.
    #[default]
    Standard,
    /// Nicira's, with extended matches.
    Nicira,
}

/// What a switch gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Which versions the controller speaks.
    Hello(Versions),
    /// The controller refuses something.
    Error(ErrorMessage),
    /// Is anybody there?  The bytes come back.
    Echo(Box<[u8]>),
    /// The controller is there.
    EchoReply(Box<[u8]>),
    /// What is the switch?
    Features,
    /// How is the connection set?
    GetConfig,
    /// Sets the connection.
    SetConfig(Config),
    /// Sends a packet.
    PacketOut(PacketOut),
    /// Changes flows.
    FlowMod(FlowMod),
    /// Changes flows: Nicira's form, for 1.0.
    NiciraFlowMod(FlowMod),
    /// Changes groups.
    GroupMod(GroupMod),
    /// Changes a port.
    PortMod(PortMod),
    /// Changes a table.
    TableMod(TableMod),
    /// Changes meters.
    MeterMod(MeterMod),
    /// Asks for statistics.
    Multipart(Query),
    /// Is all done?
    Barrier,
    /// Asks for the queues of a port: 1.0 to 1.3.
    QueueConfig(PortNo),
    /// Asks for a role.
    Role(RoleRequest),
    /// Asks for a role: Nicira's form, for 1.0 and 1.1.
    NiciraRole(RoleRequest),
    /// Which asynchronous messages does the connection get?
    GetAsync,
    /// Sets those of the kinds that are listed.
    SetAsync(Vec<AsyncMask>),
    /// Opens, closes, commits, discards a bundle.
    BundleControl(BundleControl),
    /// Carries a message into a bundle.
    BundleAdd(BundleAdd),
    /// Sets which form of flows the switch may use: 1.0.
    FlowFormat(FlowFormat),
    /// Sets whether 1.0's commands have the number of a table: [`Session::has_table_ids`].
    FlowModTableId(bool),
    /// Sets the form of packets for the controller.
    PacketInFormat(PacketInFormat),
    /// Sets the id of the controller.
    ControllerId(u16),
    /// Asks for ages of flows: done with Nicira's form of statistics.
    FlowAge,
    /// Ends the flow monitor with this number: before 1.4.
    MonitorCancel(u32),
    /// Changes the map of tunnel options.
    TlvMod(TlvMod),
    /// Asks for it.
    Tlv,
    /// Gives a packet back that waits.
    Resume(PacketIn),
    /// Forgets the connections of a zone.
    CtFlushZone(u16),
    /// Forgets connections.
    CtFlush(CtFlush),
}

/// Sets the form of packets.  The stock switch says EPERM to a form that it does not have.
pub(super) fn packet_in_format(wire: &mut Wire<'_>, format: &mut PacketInFormat) -> Done {
    use PacketInFormat::{Nicira, Nicira2, Standard};
    let rows = [(0, Standard), (1, Nicira), (2, Nicira2)];
    wire.choice(Width::U32, format, &rows, Refusal::Eperm)
}

fn flow_format(wire: &mut Wire<'_>, format: &mut FlowFormat) -> Done {
    let rows = [(0, FlowFormat::Standard), (2, FlowFormat::Nicira)];
    wire.choice(Width::U32, format, &rows, Refusal::Eperm)
}

fn table_id(wire: &mut Wire<'_>, is_on: &mut bool) -> Done {
    let mut number = u8::from(*is_on);
    wire.u8(&mut number)?;
    *is_on = number != 0;
    wire.pad(7)
}

/// A number of 16 bits behind 6 bytes of nothing.
fn short(wire: &mut Wire<'_>, number: &mut u16) -> Done {
    wire.zeros(6)?;
    wire.u16(number)
}

fn queue_port(wire: &mut Wire<'_>, port: &mut PortNo) -> Done {
    wire.port(port)?;
    wire.pad(if wire.version() == weft_flow::Version::V10 { 2 } else { 4 })
}

/// Reads a value that a function lays out.
pub(super) fn read<'w, T>(
    wire: &mut Wire<'w>,
    mut blank: T,
    layout: impl FnOnce(&mut Wire<'w>, &mut T) -> Done,
) -> Result<T, Refusal> {
    layout(wire, &mut blank)?;
    Ok(blank)
}

impl Request {
    /// The type of a message, without reading its body.
    ///
    /// # Errors
    /// As [`Request::decode`]'s.
    pub fn kind(message: &[u8], session: Session<'_>) -> Result<Kind, Refusal> {
        kind::open(message, session).map(|(_, kind, _)| kind)
    }

    /// Reads a message that a controller sent: its transaction id and what it asks.
    ///
    /// # Errors
    /// Why the controller has to be refused.
    pub fn decode(message: &[u8], session: Session<'_>) -> Result<(u32, Self), Refusal> {
        let (header, kind, body) = kind::open(message, session)?;
        let mut wire = Wire::reading(session, body);
        let request = match kind {
            Kind::Hello => Self::Hello(hello::decode(message)?),
            Kind::Error => Self::Error(error::decode(message)?),
            _ => {
                let request = Self::read(&mut wire, kind, header.xid)?;
                wire.end()?;
                request
            }
        };
        Ok((header.xid, request))
    }

    fn read(wire: &mut Wire<'_>, kind: Kind, xid: u32) -> Result<Self, Refusal> {
        Ok(match kind {
            Kind::EchoRequest => Self::Echo(read(wire, Box::default(), Wire::rest)?),
            Kind::EchoReply => Self::EchoReply(read(wire, Box::default(), Wire::rest)?),
            Kind::FeaturesRequest => Self::Features,
            Kind::GetConfigRequest => Self::GetConfig,
            Kind::SetConfig => Self::SetConfig(wire.value()?),
            Kind::PacketOut => Self::PacketOut(wire.value()?),
            Kind::FlowMod => Self::FlowMod(wire.value()?),
            Kind::NiciraFlowMod => {
                Self::NiciraFlowMod(read(wire, FlowMod::blank(), nicira_flow_mod)?)
            }
            Kind::GroupMod => Self::GroupMod(wire.value()?),
            Kind::NiciraGroupMod => {
                Self::GroupMod(read(wire, GroupMod::blank(), nicira_group_mod)?)
            }
            Kind::PortMod => Self::PortMod(wire.value()?),
            Kind::TableMod => Self::TableMod(wire.value()?),
            Kind::MeterMod => Self::MeterMod(wire.value()?),
            Kind::MultipartRequest => Self::Multipart(wire.value()?),
            Kind::BarrierRequest => Self::Barrier,
            Kind::QueueConfigRequest => Self::QueueConfig(read(wire, PortNo::ANY, queue_port)?),
            Kind::RoleRequest => Self::Role(wire.value()?),
            Kind::NiciraRoleRequest => {
                Self::NiciraRole(read(wire, RoleRequest::blank(), nicira_role_request)?)
            }
            Kind::GetAsyncRequest => Self::GetAsync,
            Kind::SetAsync => Self::SetAsync(read(wire, Vec::new(), set_async)?),
            Kind::NiciraSetAsync => Self::SetAsync(read(wire, Vec::new(), words)?),
            Kind::NiciraSetAsync2 => {
                Self::SetAsync(read(wire, Vec::new(), |wire, all| masks(wire, all, true))?)
            }
            Kind::BundleControl => Self::BundleControl(wire.value()?),
            Kind::BundleAdd => {
                let blank = BundleAdd::new(0, 0, Self::Barrier);
                Self::BundleAdd(read(wire, blank, |wire, add| add.layout(wire, xid))?)
            }
            _ => return Self::read_nicira(wire, kind),
        })
    }

    fn read_nicira(wire: &mut Wire<'_>, kind: Kind) -> Result<Self, Refusal> {
        Ok(match kind {
            Kind::SetFlowFormat => {
                Self::FlowFormat(read(wire, FlowFormat::default(), flow_format)?)
            }
            Kind::FlowModTableId => Self::FlowModTableId(read(wire, false, table_id)?),
            Kind::SetPacketInFormat => {
                let blank = PacketInFormat::default();
                Self::PacketInFormat(read(wire, blank, packet_in_format)?)
            }
            Kind::SetControllerId => Self::ControllerId(read(wire, 0, short)?),
            Kind::FlowAge => Self::FlowAge,
            Kind::FlowMonitorCancel => Self::MonitorCancel(read(wire, 0, Wire::u32)?),
            Kind::TlvMod => Self::TlvMod(wire.value()?),
            Kind::TlvRequest => Self::Tlv,
            Kind::Resume => Self::Resume(wire.value::<PacketIn2>()?.0),
            Kind::CtFlushZone => Self::CtFlushZone(read(wire, 0, short)?),
            Kind::CtFlush => Self::CtFlush(wire.value()?),
            // What only a switch says.
            _ => return Err(Refusal::BadType),
        })
    }

    /// Writes it as a client does.
    ///
    /// # Errors
    /// The version cannot say it; then nothing is written.
    pub fn encode(self, session: Session<'_>, xid: u32, out: &mut Vec<u8>) -> Done {
        match self {
            Self::Hello(versions) => {
                hello::encode(versions, xid, out);
                Ok(())
            }
            Self::Error(error) => reply::error(&error, session, xid, out),
            request => {
                let kind = request.message_kind(session);
                reply::whole(session, kind, xid, out, |wire| request.write(wire, kind, xid))
            }
        }
    }

    fn message_kind(&self, session: Session<'_>) -> Kind {
        use weft_flow::Version::{V10, V13};
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Error(_) => Kind::Error,
            Self::Echo(_) => Kind::EchoRequest,
            Self::EchoReply(_) => Kind::EchoReply,
            Self::Features => Kind::FeaturesRequest,
            Self::GetConfig => Kind::GetConfigRequest,
            Self::SetConfig(_) => Kind::SetConfig,
            Self::PacketOut(_) => Kind::PacketOut,
            Self::FlowMod(_) => Kind::FlowMod,
            Self::NiciraFlowMod(_) => Kind::NiciraFlowMod,
            Self::GroupMod(_) if session.version == V10 => Kind::NiciraGroupMod,
            Self::GroupMod(_) => Kind::GroupMod,
            Self::PortMod(_) => Kind::PortMod,
            Self::TableMod(_) => Kind::TableMod,
            Self::MeterMod(_) => Kind::MeterMod,
            Self::Multipart(_) => Kind::MultipartRequest,
            Self::Barrier => Kind::BarrierRequest,
            Self::QueueConfig(_) => Kind::QueueConfigRequest,
            Self::Role(_) => Kind::RoleRequest,
            Self::NiciraRole(_) => Kind::NiciraRoleRequest,
            Self::GetAsync => Kind::GetAsyncRequest,
            Self::SetAsync(_) if session.version > V13 => Kind::SetAsync,
            Self::SetAsync(all) if !are_words(all) => Kind::NiciraSetAsync2,
            Self::SetAsync(_) if session.version < V13 => Kind::NiciraSetAsync,
            Self::SetAsync(_) => Kind::SetAsync,
            Self::BundleControl(_) => Kind::BundleControl,
            Self::BundleAdd(_) => Kind::BundleAdd,
            Self::FlowFormat(_) => Kind::SetFlowFormat,
            Self::FlowModTableId(_) => Kind::FlowModTableId,
            Self::PacketInFormat(_) => Kind::SetPacketInFormat,
            Self::ControllerId(_) => Kind::SetControllerId,
            Self::FlowAge => Kind::FlowAge,
            Self::MonitorCancel(_) => Kind::FlowMonitorCancel,
            Self::TlvMod(_) => Kind::TlvMod,
            Self::Tlv => Kind::TlvRequest,
            Self::Resume(_) => Kind::Resume,
            Self::CtFlushZone(_) => Kind::CtFlushZone,
            Self::CtFlush(_) => Kind::CtFlush,
        }
    }

    fn write(self, wire: &mut Wire<'_>, kind: Kind, xid: u32) -> Done {
        match self {
            Self::Echo(mut bytes) | Self::EchoReply(mut bytes) => wire.rest(&mut bytes),
            Self::SetConfig(mut config) => config.layout(wire),
            Self::PacketOut(mut request) => request.layout(wire),
            Self::FlowMod(mut request) => request.layout(wire),
            Self::NiciraFlowMod(mut request) => nicira_flow_mod(wire, &mut request),
            Self::GroupMod(mut request) => request.layout(wire),
            Self::PortMod(mut request) => request.layout(wire),
            Self::TableMod(mut request) => request.layout(wire),
            Self::MeterMod(mut request) => request.layout(wire),
            Self::Multipart(mut query) => query.layout(wire),
            Self::QueueConfig(mut port) => queue_port(wire, &mut port),
            Self::Role(mut request) => request.layout(wire),
            Self::NiciraRole(mut request) => nicira_role_request(wire, &mut request),
            Self::SetAsync(mut all) if kind == Kind::SetAsync => set_async(wire, &mut all),
            Self::SetAsync(mut all) if kind == Kind::NiciraSetAsync => words(wire, &mut all),
            Self::SetAsync(mut all) => masks(wire, &mut all, true),
            Self::BundleControl(mut control) => control.layout(wire),
            Self::BundleAdd(mut add) => add.layout(wire, xid),
            Self::FlowFormat(mut format) => flow_format(wire, &mut format),
            Self::FlowModTableId(mut is_on) => table_id(wire, &mut is_on),
            Self::PacketInFormat(mut format) => packet_in_format(wire, &mut format),
            Self::ControllerId(mut id) => short(wire, &mut id),
            Self::MonitorCancel(mut id) => wire.u32(&mut id),
            Self::TlvMod(mut change) => change.layout(wire),
            Self::Resume(packet) => PacketIn2(packet).layout(wire),
            Self::CtFlushZone(mut zone) => short(wire, &mut zone),
            Self::CtFlush(mut flush) => flush.layout(wire),
            Self::Hello(_)
            | Self::Error(_)
            | Self::Features
            | Self::GetConfig
            | Self::Barrier
            | Self::GetAsync
            | Self::FlowAge
            | Self::Tlv => Ok(()),
        }
    }
}

/// The form of the version: words in 1.3, properties later.
fn set_async(wire: &mut Wire<'_>, all: &mut Vec<AsyncMask>) -> Done {
    if wire.version() == weft_flow::Version::V13 {
        words(wire, all)
    } else {
        masks(wire, all, true)
    }
}
