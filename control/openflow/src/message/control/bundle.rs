//! Bundles, as messages: those that open, close, commit and discard them, and those that carry
//! another message into one.

use crate::frame::{HEADER_BYTES, Header};
use crate::message::request::Request;
use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::Refusal;

/// What is to be done, or was done, with a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BundleKind {
    /// It is to be opened.
    #[default]
    OpenRequest,
    /// It was opened.
    OpenReply,
    /// Nothing more is to come.
    CloseRequest,
    /// It was closed.
    CloseReply,
    /// All of it is to be done.
    CommitRequest,
    /// All of it was done.
    CommitReply,
    /// It is to be forgotten.
    DiscardRequest,
    /// It was forgotten.
    DiscardReply,
}

/// Says what is to be done, or was done, with a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleControl {
    /// Which bundle of its connection.
    pub id: u32,
    /// What.
    pub kind: BundleKind,
    /// As on the wire: 1 all or nothing, 2 in order.  Replies have none.
    pub flags: u16,
}

impl Layout for BundleControl {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let rows = [
            (0, BundleKind::OpenRequest),
            (1, BundleKind::OpenReply),
            (2, BundleKind::CloseRequest),
            (3, BundleKind::CloseReply),
            (4, BundleKind::CommitRequest),
            (5, BundleKind::CommitReply),
            (6, BundleKind::DiscardRequest),
            (7, BundleKind::DiscardReply),
        ];
        wire.u32(&mut self.id)?;
        wire.choice(Width::U16, &mut self.kind, &rows, Refusal::BundleBadType)?;
        wire.u16(&mut self.flags)?;
        // Properties, which only experimenters have.
        wire.skip_rest();
        Ok(())
    }
}

/// Carries a message into a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleAdd {
    /// Which bundle of its connection.
    pub id: u32,
    /// As on the wire: 1 all or nothing, 2 in order.
    pub flags: u16,
    /// The message.
    pub request: Box<Request>,
    /// Its bytes: what an error about it quotes.
    pub bytes: Box<[u8]>,
}

impl BundleAdd {
    /// A message for a bundle; its bytes are made when this is written.
    #[must_use]
    pub fn new(id: u32, flags: u16, request: Request) -> Self {
        Self { id, flags, request: Box::new(request), bytes: Box::default() }
    }

    /// Reads or writes one that is carried by a message with this transaction id.
    pub(crate) fn layout(&mut self, wire: &mut Wire<'_>, xid: u32) -> Done {
        wire.u32(&mut self.id)?;
        wire.pad(2)?;
        wire.u16(&mut self.flags)?;
        if wire.is_reading() { self.read(wire, xid) } else { self.write(wire, xid) }
    }

    fn write(&mut self, wire: &mut Wire<'_>, xid: u32) -> Done {
        let mut bytes = Vec::new();
        let request = std::mem::replace(&mut *self.request, Request::Barrier);
        request.encode(wire.session, xid, &mut bytes)?;
        self.bytes = bytes.into();
        wire.rest(&mut self.bytes)
    }

    /// The message must be one that bundles can hold, of the version of the connection, with the
    /// transaction id of what carries it.
    fn read(&mut self, wire: &mut Wire<'_>, xid: u32) -> Done {
        let header = Header::parse(wire.left()).ok_or(Refusal::MsgBadLen)?;
        if header.version != wire.version() as u8 {
            return Err(Refusal::BundleBadVersion);
        }
        let len = usize::from(header.length);
        if len < HEADER_BYTES || len > wire.left().len() {
            return Err(Refusal::MsgBadLen);
        }
        if header.xid != xid {
            return Err(Refusal::MsgBadXid);
        }
        let bytes = wire.left().get(..len).unwrap_or_default();
        // Properties follow, which only experimenters have.
        wire.skip_rest();
        let kind = Request::kind(bytes, wire.session).map_err(|_| Refusal::MsgUnsup)?;
        if !kind.may_be_in_bundle() {
            return Err(Refusal::MsgUnsup);
        }
        let (_, request) = Request::decode(bytes, wire.session)?;
        *self.request = request;
        self.bytes = bytes.into();
        Ok(())
    }
}
