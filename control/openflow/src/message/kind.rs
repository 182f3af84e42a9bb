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

/// The type, the first and the last version with this number, the number.
const ROWS: &[(Kind, Version, Version, TypeNumber)] = &[
    (Kind::Hello, V10, V15, Of(0)),
    (Kind::Error, V10, V15, Of(1)),
    (Kind::EchoRequest, V10, V15, Of(2)),
    (Kind::EchoReply, V10, V15, Of(3)),
    (Kind::FeaturesRequest, V10, V15, Of(5)),
    (Kind::FeaturesReply, V10, V15, Of(6)),
    (Kind::GetConfigRequest, V10, V15, Of(7)),
    (Kind::GetConfigReply, V10, V15, Of(8)),
    (Kind::SetConfig, V10, V15, Of(9)),
    (Kind::PacketIn, V10, V15, Of(10)),
    (Kind::NiciraPacketIn, V10, V15, Nx(17)),
    (Kind::NiciraPacketIn2, V10, V15, Nx(30)),
    (Kind::FlowRemoved, V10, V15, Of(11)),
    (Kind::NiciraFlowRemoved, V10, V15, Nx(14)),
    (Kind::PortStatus, V10, V15, Of(12)),
    (Kind::PacketOut, V10, V15, Of(13)),
    (Kind::FlowMod, V10, V15, Of(14)),
    (Kind::NiciraFlowMod, V10, V15, Nx(13)),
    (Kind::GroupMod, V11, V15, Of(15)),
    (Kind::NiciraGroupMod, V10, V15, Nx(31)),
    (Kind::PortMod, V10, V10, Of(15)),
    (Kind::PortMod, V11, V15, Of(16)),
    (Kind::TableMod, V11, V15, Of(17)),
    (Kind::MultipartRequest, V10, V10, Of(16)),
    (Kind::MultipartRequest, V11, V15, Of(18)),
    (Kind::MultipartReply, V10, V10, Of(17)),
    (Kind::MultipartReply, V11, V15, Of(19)),
    (Kind::BarrierRequest, V10, V10, Of(18)),
    (Kind::BarrierRequest, V11, V15, Of(20)),
    (Kind::BarrierReply, V10, V10, Of(19)),
    (Kind::BarrierReply, V11, V15, Of(21)),
    (Kind::QueueConfigRequest, V10, V10, Of(20)),
    (Kind::QueueConfigRequest, V11, V13, Of(22)),
    (Kind::QueueConfigReply, V10, V10, Of(21)),
    (Kind::QueueConfigReply, V11, V13, Of(23)),
    (Kind::RoleRequest, V12, V15, Of(24)),
    (Kind::RoleReply, V12, V15, Of(25)),
    (Kind::NiciraRoleRequest, V10, V15, Nx(10)),
    (Kind::NiciraRoleReply, V10, V15, Nx(11)),
    (Kind::GetAsyncRequest, V13, V15, Of(26)),
    (Kind::GetAsyncReply, V13, V15, Of(27)),
    (Kind::SetAsync, V13, V15, Of(28)),
    (Kind::NiciraSetAsync, V10, V15, Nx(19)),
    (Kind::NiciraSetAsync2, V10, V13, Nx(27)),
    (Kind::MeterMod, V13, V15, Of(29)),
    (Kind::RoleStatus, V14, V15, Of(30)),
    (Kind::TableStatus, V14, V15, Of(31)),
    (Kind::RequestForward, V14, V15, Of(32)),
    (Kind::BundleControl, V13, V13, Onf(2300)),
    (Kind::BundleControl, V14, V15, Of(33)),
    (Kind::BundleAdd, V13, V13, Onf(2301)),
    (Kind::BundleAdd, V14, V15, Of(34)),
    (Kind::SetFlowFormat, V10, V10, Nx(12)),
    (Kind::FlowModTableId, V10, V15, Nx(15)),
    (Kind::SetPacketInFormat, V10, V15, Nx(16)),
    (Kind::SetControllerId, V10, V15, Nx(20)),
    (Kind::FlowAge, V10, V15, Nx(18)),
    (Kind::FlowMonitorCancel, V10, V12, Nx(21)),
    (Kind::FlowMonitorCancel, V13, V13, Onf(1870)),
    (Kind::FlowMonitorPaused, V10, V12, Nx(22)),
    (Kind::FlowMonitorPaused, V13, V13, Onf(1871)),
    (Kind::FlowMonitorResumed, V10, V12, Nx(23)),
    (Kind::FlowMonitorResumed, V13, V13, Onf(1872)),
    (Kind::TlvMod, V10, V15, Nx(24)),
    (Kind::TlvRequest, V10, V15, Nx(25)),
    (Kind::TlvReply, V10, V15, Nx(26)),
    (Kind::Resume, V10, V15, Nx(28)),
    (Kind::CtFlushZone, V10, V15, Nx(29)),
    (Kind::CtFlush, V10, V15, Nx(32)),
];

/// The type of messages whose number an experimenter gave out.
const EXPERIMENTER: u8 = 4;
const NICIRA: u32 = 0x0000_2320;
const ONF: u32 = 0x4f4e_4600;

fn row(version: Version, is: impl Fn(Kind, TypeNumber) -> bool) -> Option<(Kind, TypeNumber)> {
    let row = ROWS.iter().find(|row| (row.1..=row.2).contains(&version) && is(row.0, row.3))?;
    Some((row.0, row.3))
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
    let found = row(session.version, |_, other| other == number);
    Ok((header, found.ok_or(refusal)?.0, body))
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
    let number = row(version, |other, _| other == kind).ok_or(Refusal::BadType)?.1;
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
