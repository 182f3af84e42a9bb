//! Requests that change how tables are kept.

use crate::TableId;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableMod {
    /// Which table, or all.
    pub table: TableId,
    /// Whether a full table evicts flows; nothing where the message does not say.
    pub evicts: Option<bool>,
}
