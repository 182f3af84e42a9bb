//! What tables can do: 1.3 and later.

use super::table::NAME_BYTES;
use crate::bytes::Writer;
use crate::message::wire::{Done, Layout, Wire};
use crate::oxm;
use weft_flow::{Field, TableId, Version};

/// A list of what a table can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableProperty {
    /// What is listed: 0 instructions, 2 next tables, 4 actions to write, 6 to apply, 8 fields of
    /// matches, 10 those with masks, 12 fields to set by writing, 14 by applying; odd numbers are
    /// of flows that take what no other takes, where they differ.
    pub kind: u16,
    /// The list, as on the wire.
    pub list: Box<[u8]>,
}

/// What a table can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFeatures {
    /// Which table.
    pub table: TableId,
    /// Its name.
    pub name: String,
    /// Bits of metadata that it matches.
    pub metadata_match: u64,
    /// Bits of metadata that it writes.
    pub metadata_write: u64,
    /// As on the wire: 4 evicts flows, 8 says when it gets full (1.4 and later).
    pub capabilities: u32,
    /// How many flows it can have.
    pub max_flows: u32,
    /// What it can do.
    pub properties: Vec<TableProperty>,
}

impl Layout for TableProperty {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let mark = wire.mark();
        wire.block(2, |wire| {
            wire.u16(&mut self.kind)?;
            wire.length()?;
            wire.rest(&mut self.list)
        })?;
        wire.align_short(8, mark)
    }
}

impl Layout for TableFeatures {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(0, |wire| {
            wire.length()?;
            wire.u8(&mut self.table.0)?;
            // 1.5 has a command and flags here, which replies do not use.
            wire.pad(5)?;
            wire.text(NAME_BYTES, &mut self.name)?;
            wire.u64(&mut self.metadata_match)?;
            wire.u64(&mut self.metadata_write)?;
            wire.u32(&mut self.capabilities)?;
            wire.u32(&mut self.max_flows)?;
            wire.list(&mut self.properties)
        })
    }
}

const INSTRUCTIONS: u16 = 0;
const NEXT_TABLES: u16 = 2;
const WRITE_ACTIONS: u16 = 4;
const APPLY_ACTIONS: u16 = 6;
const MATCH: u16 = 8;
const WILDCARDS: u16 = 10;
const WRITE_FIELDS: u16 = 12;
const APPLY_FIELDS: u16 = 14;
/// What is added for flows that take what no other takes.
const MISSES: u16 = 1;
/// The instruction that goes on in a later table.
const GOTO_TABLE: u16 = 1;
/// The numbers of the other instructions; that of meters is an action in 1.5.
const OTHER_INSTRUCTIONS: std::ops::RangeInclusive<u16> = 2..=6;
/// The numbers of actions: to send packets, and those that change TTLs, tags, queues, fields.
const OUTPUT: u16 = 0;
const OTHER_ACTIONS: std::ops::RangeInclusive<u16> = 15..=25;
/// Bytes of a tunnel option at most, whatever the map says.
const OPTION_BYTES: usize = 124;

/// Numbers of things without a body, each with its length.
fn numbers(numbers: impl Iterator<Item = u16>) -> Vec<u8> {
    let mut list = Vec::new();
    for number in numbers {
        list.u16(number);
        list.u16(4);
    }
    list
}

/// Headers of fields.
fn fields(version: Version, is_listed: impl Fn(Field) -> bool, with_masks: bool) -> Vec<u8> {
    let mut list = Vec::new();
    for field in Field::all().filter(|field| is_listed(*field)) {
        let is_option = field.tun_metadata_number().is_some();
        let width = if is_option { OPTION_BYTES } else { field.bytes() };
        let is_masked = with_masks && field.is_maskable();
        let payload = if is_masked { 2 * width } else { width };
        oxm::write_header(&mut list, field, version, is_masked, payload);
    }
    list
}

impl TableFeatures {
    /// What a switch like the stock one says of each of its tables: all fields, all actions, every
    /// later table.
    #[must_use]
    pub fn of_switch(version: Version, table: TableId, name: String) -> Self {
        let next = (0..TableId::COUNT).filter(|next| *next > table.0);
        let last_instruction = if version < Version::V15 { 6 } else { 5 };
        let goto = (table.0 + 1 < TableId::COUNT).then_some(GOTO_TABLE);
        let others = OTHER_INSTRUCTIONS.filter(|number| *number <= last_instruction);
        let instructions = numbers(goto.into_iter().chain(others));
        let actions = numbers(std::iter::once(OUTPUT).chain(OTHER_ACTIONS));
        let settable = fields(version, Field::is_writable, false);
        let both = [
            (INSTRUCTIONS, instructions),
            (NEXT_TABLES, next.collect()),
            (WRITE_ACTIONS, actions.clone()),
            (WRITE_FIELDS, settable.clone()),
            (APPLY_ACTIONS, actions),
            (APPLY_FIELDS, settable),
        ];
        let properties = [0, MISSES]
            .into_iter()
            .flat_map(|more| both.iter().map(move |(kind, list)| (kind + more, list.clone())))
            .chain([
                (MATCH, fields(version, |_| true, true)),
                (WILDCARDS, fields(version, |_| true, false)),
            ])
            .map(|(kind, list)| TableProperty { kind, list: list.into() })
            .collect();
        Self {
            table,
            name,
            metadata_match: u64::MAX,
            metadata_write: u64::MAX,
            capabilities: 0,
            max_flows: 1_000_000,
            properties,
        }
    }
}
