//! How tables are kept: 1.4 and later.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::TableId;

/// When a table says that it gets full, in percent of room that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacancy {
    /// Less room than this is said.
    pub down: u8,
    /// More room than this is said.
    pub up: u8,
    /// The room now.
    pub now: u8,
}

/// How a table is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDesc {
    /// Which table.
    pub table: TableId,
    /// A full table evicts flows.
    pub evicts: bool,
    /// By what it chooses flows to evict, as on the wire: 1 others, 2 importance, 4 lifetime.
    pub eviction: u32,
    /// When it says that it gets full, if it does.
    pub vacancy: Option<Vacancy>,
}

impl Default for TableDesc {
    fn default() -> Self {
        Self { table: TableId(0), evicts: false, eviction: 7, vacancy: None }
    }
}

const EVICTS: u32 = 1 << 2;
const VACANCY_EVENTS: u32 = 1 << 3;
/// The property that says how flows are evicted.
const EVICTION: u16 = 2;
/// The property that says when the table gets full.
const VACANCY: u16 = 3;

impl TableDesc {
    fn property(&mut self, wire: &mut Wire<'_>, mut kind: u16) -> Done {
        wire.block(2, |wire| {
            wire.u16(&mut kind)?;
            wire.length()?;
            match kind {
                EVICTION => wire.u32(&mut self.eviction),
                VACANCY => {
                    let vacancy = self.vacancy.get_or_insert_default();
                    wire.u8(&mut vacancy.down)?;
                    wire.u8(&mut vacancy.up)?;
                    wire.u8(&mut vacancy.now)?;
                    wire.pad(1)
                }
                _ => wire.rest(&mut Box::default()),
            }
        })
    }

    fn properties(&mut self, wire: &mut Wire<'_>) -> Done {
        if !wire.is_reading() {
            self.property(wire, EVICTION)?;
            return if self.vacancy.is_some() { self.property(wire, VACANCY) } else { Ok(()) };
        }
        while let [high, low, ..] = *wire.left() {
            self.property(wire, u16::from_be_bytes([high, low]))?;
        }
        wire.end()
    }
}

impl Layout for TableDesc {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(0, |wire| {
            wire.length()?;
            wire.u8(&mut self.table.0)?;
            wire.pad(1)?;
            let mut config = if self.evicts { EVICTS } else { 0 };
            if self.vacancy.is_some() {
                config |= VACANCY_EVENTS;
            }
            wire.u32(&mut config)?;
            self.evicts = config & EVICTS != 0;
            self.properties(wire)
        })
    }
}
