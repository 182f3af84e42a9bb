//! Requests that change how tables are kept, as messages.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::request::{Refusal, TableMod};
use weft_flow::{TableId, Version};

/// A full table evicts flows.
const EVICTION: u32 = 1 << 2;
/// The property that says by what flows are evicted: 1, 2 and 4.
const EVICTION_FLAGS: u16 = 2;
/// The property that says when a table is full: less room than the first number of percents, and
/// when it no longer is: more than the second.
const VACANCY: u16 = 3;

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
                (EVICTION_FLAGS, 4) => Ok(()),
                (VACANCY, 4) => match *rest {
                    [down, up, ..] if down <= up && up <= 100 => Ok(()),
                    _ => Err(Refusal::PropBadValue),
                },
                (EVICTION_FLAGS | VACANCY, _) => Err(Refusal::PropBadLen),
                _ => Err(Refusal::PropBadType),
            }
        })
        .map_err(|refusal| {
            if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal }
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
        if wire.version() < Version::V14 {
            // What happens to packets that no flow takes, in 1.1 and 1.2.
            self.evicts = None;
            return Ok(());
        }
        self.evicts = Some(config & EVICTION != 0);
        properties(wire)
    }
}
