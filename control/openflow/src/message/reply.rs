//! What a switch says.

use super::control::{
    AsyncMask, BundleControl, RequestForward, RoleReply, RoleStatus, TableStatus, TlvReply, masks,
    nicira_role_reply, words,
};
use super::flow::{FlowRemoved, nicira_removed};
use super::kind::{self, Kind};
use super::multipart::{Answer, QueueConfig};
use super::packet::{PacketIn, PacketIn2, nicira_packet_in};
use super::request::read;
use super::switch::{Config, Features, PortStatus};
use super::wire::{Done, Layout, Wire};
use super::{Session, begin};
use crate::bytes::Writer;
use crate::error::{self, ErrorMessage};
use crate::frame::MESSAGE_MAX_BYTES;
use crate::hello::{self, Versions};
use weft_flow::Version;
use weft_flow::request::Refusal;

/// What a switch says.  Errors are written by [`error::encode`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Which versions the switch speaks.
    Hello(Versions),
    /// The switch refuses something.
    Error(ErrorMessage),
    /// The switch is there.
    Echo(Box<[u8]>),
    /// Is the controller there?
    EchoRequest(Box<[u8]>),
    /// What the switch is.
    Features(Features),
    /// How the connection is set.
    Config(Config),
    /// Statistics.
    Multipart(Answer),
    /// All is done.
    Barrier,
    /// The queues of a port: 1.0 to 1.3.
    QueueConfig(QueueConfig),
    /// The role.
    Role(RoleReply),
    /// The role: Nicira's form.
    NiciraRole(RoleReply),
    /// Which asynchronous messages the connection gets.
    Async(Vec<AsyncMask>),
    /// What was done with a bundle.
    BundleControl(BundleControl),
    /// The map of tunnel options.
    Tlv(TlvReply),
    /// A packet, in the form of the version.
    PacketIn(PacketIn),
    /// A packet, in Nicira's first form.
    NiciraPacketIn(PacketIn),
    /// A packet, in Nicira's second form.
    NiciraPacketIn2(PacketIn),
    /// A flow went, in the form of the version.
    FlowRemoved(FlowRemoved),
    /// A flow went, in Nicira's form.
    NiciraFlowRemoved(FlowRemoved),
    /// Something happened to a port.
    PortStatus(PortStatus),
    /// A role changed: 1.4 and later.
    RoleStatus(RoleStatus),
    /// Something happened to a table: 1.4 and later.
    TableStatus(TableStatus),
    /// Another connection changed groups or meters: 1.4 and later.
    RequestForward(RequestForward),
    /// A flow monitor tells nothing for a while: before 1.4.
    MonitorPaused,
    /// It tells everything again: before 1.4.
    MonitorResumed,
}

/// Writes one message: its header, what `body` writes, its length.
pub(super) fn whole(
    session: Session<'_>,
    kind: Kind,
    xid: u32,
    out: &mut Vec<u8>,
    body: impl FnOnce(&mut Wire<'_>) -> Done,
) -> Done {
    let start = out.len();
    let done = begin(session.version, kind, xid, out)
        .and_then(|()| body(&mut Wire::writing(session, out)))
        .and_then(|()| {
            let is_long = out.len().saturating_sub(start) > MESSAGE_MAX_BYTES;
            if is_long { Err(Refusal::BadLen) } else { Ok(()) }
        });
    if done.is_err() {
        out.truncate(start);
    }
    out.patch_len(start.saturating_add(2), start);
    done
}

/// Writes an error as it came.
pub(super) fn error(
    error: &ErrorMessage,
    session: Session<'_>,
    xid: u32,
    out: &mut Vec<u8>,
) -> Done {
    whole(session, Kind::Error, xid, out, |wire| {
        wire.u16(&mut { error.kind })?;
        wire.u16(&mut { error.code })?;
        wire.rest(&mut error.body.clone())
    })
}

impl Reply {
    /// Writes it; statistics as many messages as they need.
    ///
    /// # Errors
    /// The version cannot say it; then nothing is written.
    pub fn encode(self, session: Session<'_>, xid: u32, out: &mut Vec<u8>) -> Done {
        let kind = self.kind();
        match self {
            Self::Hello(versions) => {
                hello::encode(versions, xid, out);
                Ok(())
            }
            Self::Error(message) => error(&message, session, xid, out),
            Self::Multipart(answer) => {
                let start = out.len();
                let done = answer.encode(session, xid, out);
                if done.is_err() {
                    out.truncate(start);
                }
                done
            }
            reply => whole(session, kind, xid, out, |wire| reply.write(wire)),
        }
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Error(_) => Kind::Error,
            Self::Echo(_) => Kind::EchoReply,
            Self::EchoRequest(_) => Kind::EchoRequest,
            Self::Features(_) => Kind::FeaturesReply,
            Self::Config(_) => Kind::GetConfigReply,
            Self::Multipart(_) => Kind::MultipartReply,
            Self::Barrier => Kind::BarrierReply,
            Self::QueueConfig(_) => Kind::QueueConfigReply,
            Self::Role(_) => Kind::RoleReply,
            Self::NiciraRole(_) => Kind::NiciraRoleReply,
            Self::Async(_) => Kind::GetAsyncReply,
            Self::BundleControl(_) => Kind::BundleControl,
            Self::Tlv(_) => Kind::TlvReply,
            Self::PacketIn(_) => Kind::PacketIn,
            Self::NiciraPacketIn(_) => Kind::NiciraPacketIn,
            Self::NiciraPacketIn2(_) => Kind::NiciraPacketIn2,
            Self::FlowRemoved(_) => Kind::FlowRemoved,
            Self::NiciraFlowRemoved(_) => Kind::NiciraFlowRemoved,
            Self::PortStatus(_) => Kind::PortStatus,
            Self::RoleStatus(_) => Kind::RoleStatus,
            Self::TableStatus(_) => Kind::TableStatus,
            Self::RequestForward(_) => Kind::RequestForward,
            Self::MonitorPaused => Kind::FlowMonitorPaused,
            Self::MonitorResumed => Kind::FlowMonitorResumed,
        }
    }

    fn write(self, wire: &mut Wire<'_>) -> Done {
        match self {
            Self::Echo(mut bytes) | Self::EchoRequest(mut bytes) => wire.rest(&mut bytes),
            Self::Features(mut features) => features.layout(wire),
            Self::Config(mut config) => config.layout(wire),
            Self::QueueConfig(mut config) => config.layout(wire),
            Self::Role(mut reply) => reply.layout(wire),
            Self::NiciraRole(mut reply) => nicira_role_reply(wire, &mut reply),
            Self::Async(mut all) => masks_of(wire, &mut all),
            Self::BundleControl(mut control) => control.layout(wire),
            Self::Tlv(mut reply) => reply.layout(wire),
            Self::PacketIn(mut packet) => packet.layout(wire),
            Self::NiciraPacketIn(mut packet) => nicira_packet_in(wire, &mut packet),
            Self::NiciraPacketIn2(packet) => PacketIn2(packet).layout(wire),
            Self::FlowRemoved(mut removed) => removed.layout(wire),
            Self::NiciraFlowRemoved(mut removed) => nicira_removed(wire, &mut removed),
            Self::PortStatus(mut status) => status.layout(wire),
            Self::RoleStatus(mut status) => status.layout(wire),
            Self::TableStatus(mut status) => status.layout(wire),
            Self::RequestForward(mut forward) => forward.layout(wire),
            Self::Hello(_)
            | Self::Error(_)
            | Self::Multipart(_)
            | Self::Barrier
            | Self::MonitorPaused
            | Self::MonitorResumed => Ok(()),
        }
    }

    /// Reads a message that a switch sent: its transaction id, what it says, and whether more
    /// parts of these statistics follow.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn decode(message: &[u8], session: Session<'_>) -> Result<(u32, Self, bool), Refusal> {
        let (header, kind, body) = kind::open(message, session)?;
        let mut wire = Wire::reading(session, body);
        let mut has_more = false;
        let reply = match kind {
            Kind::Hello => Self::Hello(hello::decode(message)?),
            Kind::Error => Self::Error(error::decode(message)?),
            Kind::MultipartReply => {
                let (answer, more) = Answer::decode(&mut wire)?;
                has_more = more;
                Self::Multipart(answer)
            }
            _ => {
                let reply = Self::read(&mut wire, kind)?;
                wire.end()?;
                reply
            }
        };
        Ok((header.xid, reply, has_more))
    }

    fn read(wire: &mut Wire<'_>, kind: Kind) -> Result<Self, Refusal> {
        Ok(match kind {
            Kind::EchoReply => Self::Echo(read(wire, Box::default(), Wire::rest)?),
            Kind::EchoRequest => Self::EchoRequest(read(wire, Box::default(), Wire::rest)?),
            Kind::FeaturesReply => Self::Features(wire.value()?),
            Kind::GetConfigReply => Self::Config(wire.value()?),
            Kind::BarrierReply => Self::Barrier,
            Kind::QueueConfigReply => Self::QueueConfig(wire.value()?),
            Kind::RoleReply => Self::Role(wire.value()?),
            Kind::NiciraRoleReply => {
                Self::NiciraRole(read(wire, RoleReply::default(), nicira_role_reply)?)
            }
            Kind::GetAsyncReply => Self::Async(read(wire, Vec::new(), masks_of)?),
            Kind::BundleControl => Self::BundleControl(wire.value()?),
            Kind::TlvReply => Self::Tlv(wire.value()?),
            Kind::PacketIn => Self::PacketIn(wire.value()?),
            Kind::NiciraPacketIn => {
                Self::NiciraPacketIn(read(wire, PacketIn::default(), nicira_packet_in)?)
            }
            Kind::NiciraPacketIn2 => Self::NiciraPacketIn2(wire.value::<PacketIn2>()?.0),
            Kind::FlowRemoved => Self::FlowRemoved(wire.value()?),
            Kind::NiciraFlowRemoved => {
                Self::NiciraFlowRemoved(read(wire, FlowRemoved::default(), nicira_removed)?)
            }
            Kind::PortStatus => Self::PortStatus(wire.value()?),
            Kind::RoleStatus => Self::RoleStatus(wire.value()?),
            Kind::TableStatus => Self::TableStatus(wire.value()?),
            Kind::RequestForward => {
                let blank = RequestForward::blank();
                Self::RequestForward(read(wire, blank, |wire, forward| forward.layout(wire))?)
            }
            Kind::FlowMonitorPaused => Self::MonitorPaused,
            Kind::FlowMonitorResumed => Self::MonitorResumed,
            // What only a controller says.
            _ => return Err(Refusal::BadType),
        })
    }
}

/// The form of the version: words in 1.3, properties later.
fn masks_of(wire: &mut Wire<'_>, all: &mut Vec<AsyncMask>) -> Done {
    if wire.version() == Version::V13 { words(wire, all) } else { masks(wire, all, false) }
}
