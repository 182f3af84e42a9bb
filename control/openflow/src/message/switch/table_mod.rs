//! Requests that change how tables are kept, as messages.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::{Refusal, TableMod};
use weft_flow::{TableId, Version};

/// A full table evicts flows.
const EVICTION: u32 = 1 << 2;
/// The table says when it gets full and when it has room again.
const VACANCY_EVENTS: u32 = 1 << 3;
/// What happens to packets that no flow takes: 1.1 and 1.2, where 3 is none of it.
const MISSES: u32 = 3;

/// Properties, which say how a table evicts and when it is full.  They are read and left out: the
/// stock switch has one way of evicting.
fn properties(wire: &mut Wire<'_>) -> Done {
    while !wire.left().is_empty() {
        wire.block(2, |wire| {
            let (mut kind, mut rest) = (0, Box::default());
            wire.u16(&mut kind)?;
            wire.length()?;
            wire.rest(&mut rest)?;
            match (kind, rest.len()) {
                (2 | 3, 4) => Ok(()),
                (2 | 3, _) => Err(Refusal::PropBadLen),
                _ => Err(Refusal::PropBadType),
            }
        })?;
    }
    Ok(())
}

impl Layout for TableMod {
    fn blank() -> Self {
        Self { table: TableId(0), evicts: None }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.u8(&mut self.table.0)?;
        wire.pad(3)?;
        let mut config = if self.evicts == Some(true) { EVICTION } else { 0 };
        wire.u32(&mut config)?;
        let version = wire.version();
        if version < Version::V14 {
            self.evicts = None;
            let is_bad = config > MISSES || version < Version::V13 && config == MISSES;
            return if is_bad { Err(Refusal::TableModBadConfig) } else { Ok(()) };
        }
        if config & !(EVICTION | VACANCY_EVENTS) != 0 {
            return Err(Refusal::TableModBadConfig);
        }
        self.evicts = Some(config & EVICTION != 0);
        properties(wire)
    }
}
