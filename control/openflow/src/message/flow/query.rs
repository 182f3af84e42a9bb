//! Which flows a request asks for, as messages say it.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::Version;
use weft_flow::request::FlowQuery;

/// Nicira's form: with an extended match, which may ask for a cookie too.
pub(crate) fn nicira(wire: &mut Wire<'_>, query: &mut FlowQuery) -> Done {
    wire.port16(&mut query.out_port)?;
    let len = wire.nx_match_len()?;
    wire.u8(&mut query.table.0)?;
    wire.pad(3)?;
    let mut cookie = (query.cookie, query.cookie_mask);
    wire.nx_match_body(len, &mut query.matching, Some(&mut cookie))?;
    (query.cookie, query.cookie_mask) = cookie;
    Ok(())
}

impl Layout for FlowQuery {
    fn blank() -> Self {
        Self::all()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        if wire.version() == Version::V10 {
            wire.matching(&mut self.matching)?;
            wire.u8(&mut self.table.0)?;
            wire.pad(1)?;
            return wire.port16(&mut self.out_port);
        }
        wire.u8(&mut self.table.0)?;
        wire.pad(3)?;
        wire.port32(&mut self.out_port)?;
        wire.u32(&mut self.out_group.0)?;
        wire.pad(4)?;
        wire.u64(&mut self.cookie)?;
        wire.u64(&mut self.cookie_mask)?;
        wire.matching(&mut self.matching)
    }
}
