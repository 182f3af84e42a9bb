//! The use of tables.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::{TableId, Version};

/// The use of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Which table.
    pub table: TableId,
    /// Its name: 1.0 to 1.2 say it.
    pub name: String,
    /// What happens to packets that no flow takes, as on the wire: 1.1 and 1.2 say it.
    pub config: u32,
    /// How many flows it can have: 1.0 to 1.2 say it.
    pub max_flows: u32,
    /// How many flows it has.
    pub flows: u32,
    /// How many packets were looked up.
    pub lookups: u64,
    /// How many of them a flow took.
    pub matched: u64,
}

/// Fields that can be wildcards in 1.0: all.
const WILDCARDS_10: u32 = 0x003f_ffff;
/// Fields of matches in 1.1.
const MATCH_11: u32 = 0xfbff;
/// Instructions: all but meters.
const INSTRUCTIONS: u32 = 0x3e;
/// Actions in 1.1.
const ACTIONS_11: u32 = 0x01ff_e7ff;
/// Actions in 1.2.
const ACTIONS_12: u32 = 0x03ff_8001;
/// Fields of matches in 1.2, by their numbers in OXM.
const MATCH_12: u64 = 0x0000_101f_ffff_fffd;
/// Fields that actions can set in 1.2.
const SET_12: u64 = 0x0000_000f_ffff_fbdd;

/// Words that are the same for all tables.
fn words(wire: &mut Wire<'_>, words: &[u32]) -> Done {
    words.iter().try_for_each(|word| wire.u32(&mut { *word }))
}

impl TableStats {
    /// What 1.0 to 1.2 say a table can do, and its size.
    fn abilities(&mut self, wire: &mut Wire<'_>) -> Done {
        match wire.version() {
            Version::V10 => words(wire, &[WILDCARDS_10])?,
            Version::V11 => {
                words(wire, &[MATCH_11, MATCH_11, INSTRUCTIONS, ACTIONS_11, ACTIONS_11])?;
                wire.u32(&mut self.config)?;
            }
            _ => {
                wire.u64(&mut { MATCH_12 })?;
                wire.u64(&mut { MATCH_12 })?;
                words(wire, &[ACTIONS_12, ACTIONS_12])?;
                for mut word in [SET_12, SET_12, u64::MAX, u64::MAX] {
                    wire.u64(&mut word)?;
                }
                words(wire, &[INSTRUCTIONS])?;
                wire.u32(&mut self.config)?;
            }
        }
        wire.u32(&mut self.max_flows)
    }
}

/// Bytes of a name, with the zero behind it.
pub(super) const NAME_BYTES: usize = 32;

impl Layout for TableStats {
    fn blank() -> Self {
        Self::default()
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let version = wire.version();
        wire.u8(&mut self.table.0)?;
        wire.pad(if matches!(version, Version::V11 | Version::V12) { 7 } else { 3 })?;
        if version < Version::V13 {
            wire.text(NAME_BYTES, &mut self.name)?;
            self.abilities(wire)?;
        }
        wire.u32(&mut self.flows)?;
        wire.u64(&mut self.lookups)?;
        wire.u64(&mut self.matched)
    }
}
