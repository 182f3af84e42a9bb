//! The rows that changed since the last reconciliation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// Changed rows, by table, and whether anything else may have changed.
#[derive(Clone, Debug, Default)]
pub struct ChangedRows {
    rows: BTreeMap<Arc<str>, BTreeSet<Uuid>>,
    /// Anything but rows may have changed, or a failure is to be tried again.
    pub anything: bool,
}

impl ChangedRows {
    /// No row, and anything else.
    #[must_use]
    pub fn anything() -> Self {
        Self { rows: BTreeMap::new(), anything: true }
    }

    /// Adds changed rows, by table.
    pub fn add_rows(&mut self, rows: BTreeMap<Arc<str>, BTreeSet<Uuid>>) {
        for (table, rows) in rows {
            self.rows.entry(table).or_default().extend(rows);
        }
    }

    /// The changed rows of one table.
    pub fn of(&self, table: &str) -> impl Iterator<Item = Uuid> + '_ {
        self.rows.get(table).into_iter().flatten().copied()
    }

    /// True when this row has changed.
    #[must_use]
    pub fn has(&self, table: &str, row: &Uuid) -> bool {
        self.rows.get(table).is_some_and(|rows| rows.contains(row))
    }
}
