//! The types of messages in each version.

use super::Session;
use crate::bytes::{Reader, Writer};
use crate::frame::{HEADER_BYTES, Header};
use weft_flow::Version::{self, V10, V11, V12, V13, V14, V15};
use weft_flow::request::Refusal;

/// A type of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Which versions the sender speaks.
    Hello,
    /// A request was refused.
    Error,
    /// Is anybody there?
    EchoRequest,
    /// Yes.
    EchoReply,
    /// What is the switch?
    FeaturesRequest,
    /// What it is.
    FeaturesReply,
    /// How is the connection set?
    GetConfigRequest,
    /// How it is set.
    GetConfigReply,
    /// Sets the connection.
    SetConfig,
    /// A packet for a controller.
    PacketIn,
    /// The same in Nicira's first form.
    NiciraPacketIn,
    /// The same in Nicira's second form.
    NiciraPacketIn2,
    /// A flow went.
    FlowRemoved,
    /// The same in Nicira's form.
    NiciraFlowRemoved,
    /// Something happened to a port.
    PortStatus,
    /// Sends a packet.
    PacketOut,
    /// Changes flows.
    FlowMod,
    /// The same in Nicira's form.
    NiciraFlowMod,
    /// Changes groups.
    GroupMod,
    /// The same in Nicira's form.
    NiciraGroupMod,
    /// Changes a port.
    PortMod,
    /// Changes a table.
    TableMod,
    /// Changes meters.
    MeterMod,
    /// Asks for statistics.
    MultipartRequest,
    /// Statistics.
    MultipartReply,
    /// Is all done?
    BarrierRequest,
    /// Yes.
    BarrierReply,
    /// Asks for queues.
    QueueConfigRequest,
    /// Queues.
    QueueConfigReply,
    /// Asks for a role.
    RoleRequest,
    /// The role.
    RoleReply,
    /// The same in Nicira's form.
    NiciraRoleRequest,
    /// The same in Nicira's form.
    NiciraRoleReply,
    /// Which asynchronous messages does the connection get?
    GetAsyncRequest,
    /// Those that it gets.
    GetAsyncReply,
    /// Sets those that it gets.
    SetAsync,
    /// The same in Nicira's form, of words.
    NiciraSetAsync,
    /// The same in Nicira's form, of properties.
    NiciraSetAsync2,
    /// A role changed.
    RoleStatus,
    /// Something happened to a table.
    TableStatus,
    /// Another connection changed groups or meters.
    RequestForward,
    /// Opens, closes, commits, discards a bundle.
    BundleControl,
    /// Carries a message into a bundle.
    BundleAdd,
    /// Sets which form of flows the switch may use.
    SetFlowFormat,
    /// Sets whether 1.0's commands have the number of a table.
    FlowModTableId,
    /// Sets the form of packets for the controller.
    SetPacketInFormat,
    /// Sets the id of the controller.
    SetControllerId,
    /// Asks for ages of flows.
    FlowAge,
    /// Ends a flow monitor.
    FlowMonitorCancel,
    /// A flow monitor tells nothing for a while.
    FlowMonitorPaused,
    /// It tells everything again.
    FlowMonitorResumed,
    /// Changes the map of tunnel options.
    TlvMod,
    /// Asks for it.
    TlvRequest,
    /// The map.
    TlvReply,
    /// Gives a packet back that waits.
    Resume,
    /// Forgets the connections of a zone.
    CtFlushZone,
    /// Forgets connections.
    CtFlush,
}

impl Kind {
    /// True for messages that a bundle can hold.
    #[must_use]
    pub const fn may_be_in_bundle(self) -> bool {
        matches!(
            self,
            Self::PortMod
                | Self::FlowMod
                | Self::NiciraFlowMod
                | Self::GroupMod
                | Self::NiciraGroupMod
                | Self::PacketOut
        )
    }
}

/// Who numbered it, and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeNumber {
    Of(u8),
    Nx(u32),
    Onf(u32),
}
use TypeNumber::{Nx, Of, Onf};

/// The type, the first and the last version with this number, the number, and the shape.
type Row = (Kind, Version, Version, TypeNumber, Shape);

/// Bytes of the body at least, and of what may follow: nothing (0), or a multiple of so many.  The
/// stock switch looks at these before anything else.
pub(crate) type Shape = (usize, usize);

/// Refuses a body that has not this shape.
pub(crate) fn check_shape(len: usize, (least, unit): Shape) -> Result<(), Refusal> {
    let more = len.checked_sub(least).ok_or(Refusal::BadLen)?;
    let fits = if unit == 0 { more == 0 } else { more.is_multiple_of(unit) };
    if fits { Ok(()) } else { Err(Refusal::BadLen) }
}

const ROWS: &[Row] = &[
    (Kind::Hello, V10, V15, Of(0), (0, 1)),
    (Kind::Error, V10, V15, Of(1), (4, 1)),
    (Kind::EchoRequest, V10, V15, Of(2), (0, 1)),
    (Kind::EchoReply, V10, V15, Of(3), (0, 1)),
    (Kind::FeaturesRequest, V10, V15, Of(5), (0, 0)),
    (Kind::FeaturesReply, V10, V15, Of(6), (24, 1)),
    (Kind::GetConfigRequest, V10, V15, Of(7), (0, 0)),
    (Kind::GetConfigReply, V10, V15, Of(8), (4, 0)),
    (Kind::SetConfig, V10, V15, Of(9), (4, 0)),
    (Kind::PacketIn, V10, V15, Of(10), (0, 1)),
    (Kind::NiciraPacketIn, V10, V15, Nx(17), (0, 1)),
    (Kind::NiciraPacketIn2, V10, V15, Nx(30), (0, 8)),
    (Kind::FlowRemoved, V10, V15, Of(11), (0, 8)),
    (Kind::NiciraFlowRemoved, V10, V15, Nx(14), (0, 8)),
    (Kind::PortStatus, V10, V15, Of(12), (0, 8)),
    (Kind::PacketOut, V10, V10, Of(13), (8, 1)),
    (Kind::PacketOut, V11, V14, Of(13), (16, 1)),
    (Kind::PacketOut, V15, V15, Of(13), (8, 1)),
    (Kind::FlowMod, V10, V10, Of(14), (64, 8)),
    (Kind::FlowMod, V11, V15, Of(14), (40, 8)),
    (Kind::NiciraFlowMod, V10, V15, Nx(13), (32, 8)),
    (Kind::GroupMod, V11, V14, Of(15), (8, 8)),
    (Kind::GroupMod, V15, V15, Of(15), (16, 8)),
    (Kind::NiciraGroupMod, V10, V15, Nx(31), (16, 8)),
    (Kind::PortMod, V10, V10, Of(15), (24, 0)),
    (Kind::PortMod, V11, V13, Of(16), (32, 0)),
    (Kind::PortMod, V14, V15, Of(16), (24, 8)),
    (Kind::TableMod, V11, V13, Of(17), (8, 0)),
    (Kind::TableMod, V14, V15, Of(17), (8, 8)),
    (Kind::MultipartRequest, V10, V10, Of(16), (4, 1)),
    (Kind::MultipartRequest, V11, V15, Of(18), (4, 1)),
    (Kind::MultipartReply, V10, V10, Of(17), (4, 1)),
    (Kind::MultipartReply, V11, V15, Of(19), (4, 1)),
    (Kind::BarrierRequest, V10, V10, Of(18), (0, 0)),
    (Kind::BarrierRequest, V11, V15, Of(20), (0, 0)),
    (Kind::BarrierReply, V10, V10, Of(19), (0, 0)),
    (Kind::BarrierReply, V11, V15, Of(21), (0, 0)),
    (Kind::QueueConfigRequest, V10, V10, Of(20), (4, 0)),
    (Kind::QueueConfigRequest, V11, V13, Of(22), (8, 0)),
    (Kind::QueueConfigReply, V10, V10, Of(21), (8, 8)),
    (Kind::QueueConfigReply, V11, V13, Of(23), (8, 8)),
    (Kind::RoleRequest, V12, V15, Of(24), (16, 0)),
    (Kind::RoleReply, V12, V15, Of(25), (16, 0)),
    (Kind::NiciraRoleRequest, V10, V15, Nx(10), (4, 0)),
    (Kind::NiciraRoleReply, V10, V15, Nx(11), (4, 0)),
    (Kind::GetAsyncRequest, V13, V15, Of(26), (0, 0)),
    (Kind::GetAsyncReply, V13, V15, Of(27), (0, 8)),
    (Kind::SetAsync, V13, V13, Of(28), (24, 0)),
    (Kind::SetAsync, V14, V15, Of(28), (0, 8)),
    (Kind::NiciraSetAsync, V10, V15, Nx(19), (24, 0)),
    (Kind::NiciraSetAsync2, V10, V13, Nx(27), (0, 8)),
    (Kind::MeterMod, V13, V15, Of(29), (8, 8)),
    (Kind::RoleStatus, V14, V15, Of(30), (16, 0)),
    (Kind::TableStatus, V14, V15, Of(31), (8, 8)),
    (Kind::RequestForward, V14, V15, Of(32), (0, 8)),
    (Kind::BundleControl, V13, V13, Onf(2300), (8, 8)),
    (Kind::BundleControl, V14, V15, Of(33), (8, 8)),
    (Kind::BundleAdd, V13, V13, Onf(2301), (8, 1)),
    (Kind::BundleAdd, V14, V15, Of(34), (8, 1)),
    (Kind::SetFlowFormat, V10, V10, Nx(12), (4, 0)),
    (Kind::FlowModTableId, V10, V15, Nx(15), (8, 0)),
    (Kind::SetPacketInFormat, V10, V15, Nx(16), (4, 0)),
    (Kind::SetControllerId, V10, V15, Nx(20), (8, 0)),
    (Kind::FlowAge, V10, V15, Nx(18), (0, 0)),
    (Kind::FlowMonitorCancel, V10, V12, Nx(21), (4, 0)),
    (Kind::FlowMonitorCancel, V13, V13, Onf(1870), (4, 0)),
    (Kind::FlowMonitorPaused, V10, V12, Nx(22), (0, 0)),
    (Kind::FlowMonitorPaused, V13, V13, Onf(1871), (0, 0)),
    (Kind::FlowMonitorResumed, V10, V12, Nx(23), (0, 0)),
    (Kind::FlowMonitorResumed, V13, V13, Onf(1872), (0, 0)),
    (Kind::TlvMod, V10, V15, Nx(24), (8, 8)),
    (Kind::TlvRequest, V10, V15, Nx(25), (0, 0)),
    (Kind::TlvReply, V10, V15, Nx(26), (16, 8)),
    (Kind::Resume, V10, V15, Nx(28), (0, 8)),
    (Kind::CtFlushZone, V10, V15, Nx(29), (8, 0)),
    (Kind::CtFlush, V10, V15, Nx(32), (8, 8)),
];

/// The type of messages whose number an experimenter gave out.
const EXPERIMENTER: u8 = 4;
const NICIRA: u32 = 0x0000_2320;
const ONF: u32 = 0x4f4e_4600;

fn row(version: Version, is: impl Fn(Kind, TypeNumber) -> bool) -> Option<&'static Row> {
    ROWS.iter().find(|row| (row.1..=row.2).contains(&version) && is(row.0, row.3))
}

/// Takes a message apart: its header, its type, its body.
///
/// # Errors
/// It is shorter or longer than its header says, has another version than the connection, or a
/// type that the version does not have.
pub(crate) fn open<'m>(
    message: &'m [u8],
    session: Session<'_>,
) -> Result<(Header, Kind, Reader<'m>), Refusal> {
    let header = Header::parse(message).ok_or(Refusal::BadLen)?;
    if usize::from(header.length) != message.len() {
        return Err(Refusal::BadLen);
    }
    let is_greeting = header.kind <= 1;
    if header.version != session.version as u8 && !is_greeting {
        return Err(Refusal::BadVersion);
    }
    let mut body = Reader::new(message);
    body.skip(HEADER_BYTES)?;
    let (number, refusal) = if header.kind == EXPERIMENTER {
        let (who, subtype) = (body.u32()?, body.u32()?);
        let number = match who {
            NICIRA => Nx(subtype),
            ONF => Onf(subtype),
            _ => return Err(Refusal::BadVendor),
        };
        (number, Refusal::BadSubtype)
    } else {
        (Of(header.kind), Refusal::BadType)
    };
    let found = row(session.version, |_, other| other == number).ok_or(refusal)?;
    check_shape(body.remaining(), found.4)?;
    Ok((header, found.0, body))
}

/// Begins a message: its header, with a length that is not yet true.
///
/// # Errors
/// The version has no such message.
pub(crate) fn begin(
    version: Version,
    kind: Kind,
    xid: u32,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let number = row(version, |other, _| other == kind).ok_or(Refusal::BadType)?.3;
    let (of, experimenter) = match number {
        Of(of) => (of, None),
        Nx(subtype) => (EXPERIMENTER, Some((NICIRA, subtype))),
        Onf(subtype) => (EXPERIMENTER, Some((ONF, subtype))),
    };
    out.bytes(&Header { version: version as u8, kind: of, length: 0, xid }.to_bytes());
    if let Some((who, subtype)) = experimenter {
        out.u32(who);
        out.u32(subtype);
    }
    Ok(())
}
