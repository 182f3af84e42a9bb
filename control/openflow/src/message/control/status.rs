//! What connections hear of tables and of each other: 1.4 and later.

use crate::frame::{HEADER_BYTES, Header};
use crate::message::multipart::TableDesc;
use crate::message::request::Request;
use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::Refusal;

/// What happened to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TableReason {
    /// There is less room than was asked for.
    #[default]
    VacancyDown,
    /// There is more room again.
    VacancyUp,
}

/// Says what happened to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStatus {
    /// What happened.
    pub reason: TableReason,
    /// The table.
    pub table: TableDesc,
}

impl Layout for TableStatus {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let rows = [(3, TableReason::VacancyDown), (4, TableReason::VacancyUp)];
        wire.choice(Width::U8, &mut self.reason, &rows, Refusal::BadReason)?;
        wire.pad(7)?;
        self.table.layout(wire)
    }
}

/// Tells a connection of a request that another one made and that was done: of groups or meters.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestForward {
    /// The transaction id of the request.
    pub xid: u32,
    /// The request.
    pub request: Box<Request>,
}

impl RequestForward {
    pub(crate) fn blank() -> Self {
        Self { xid: 0, request: Box::new(Request::Barrier) }
    }

    pub(crate) fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if !wire.is_reading() {
            let mut bytes = Vec::new();
            let request = std::mem::replace(&mut *self.request, Request::Barrier);
            request.encode(wire.session, self.xid, &mut bytes)?;
            return wire.rest(&mut bytes.into());
        }
        let header = Header::parse(wire.left()).ok_or(Refusal::BadLen)?;
        let len = usize::from(header.length);
        if len < HEADER_BYTES {
            return Err(Refusal::BadLen);
        }
        let bytes = wire.left().get(..len).ok_or(Refusal::BadLen)?;
        wire.pad(len)?;
        let (xid, request) = Request::decode(bytes, wire.session)?;
        self.xid = xid;
        *self.request = request;
        Ok(())
    }
}
