//! Unique indexes at a commit: no two rows with the same values.

use std::collections::HashMap;

use uuid::Uuid;

use crate::store::database::{IndexKey, index_key};
use crate::txn::integrity::{RowId, Txn};
use crate::value::error::OvsdbError;
use crate::value::schema::TableSchema;

impl Txn<'_> {
    pub(super) fn check_indexes(&self) -> Result<(), OvsdbError> {
        let mut seen: HashMap<(usize, usize, IndexKey), Uuid> = HashMap::new();
        // In the order of the operations, so that an error does not depend on uuids.
        for id in self.order.iter().filter(|id| self.touched.contains_key(id)) {
            let (Some(table), Some(row)) = (self.schema.tables.get(id.0), self.row(*id)) else {
                continue;
            };
            for (number, columns) in table.indexes.iter().enumerate() {
                let key = index_key(row, columns);
                if let Some(other) = self.committed_duplicate(*id, number, columns, &key) {
                    return Err(self.duplicate(*id, other, table, columns, &key));
                }
                if let Some(other) = seen.insert((id.0, number, key.clone()), id.1) {
                    return Err(self.duplicate(*id, other, table, columns, &key));
                }
            }
        }
        Ok(())
    }

    /// Another row that had this key before the transaction and was not touched by it.
    fn committed_duplicate(
        &self,
        id: RowId,
        number: usize,
        columns: &[usize],
        key: &IndexKey,
    ) -> Option<Uuid> {
        let other = *self.db.table(id.0)?.indexes.get(number)?.get(key)?;
        let unchanged = self.row((id.0, other)).is_some_and(|row| index_key(row, columns) == *key);
        (other != id.1 && unchanged).then_some(other)
    }

    fn duplicate(
        &self,
        id: RowId,
        other: Uuid,
        table: &TableSchema,
        columns: &[usize],
        key: &IndexKey,
    ) -> OvsdbError {
        let values: Vec<String> = key.iter().map(ToString::to_string).collect();
        let mut names: Vec<String> = columns
            .iter()
            .filter_map(|column| table.columns.get(*column))
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        let last = names.pop().unwrap_or_default();
        let names = if names.is_empty() {
            format!("column {last}")
        } else {
            format!("columns {} and {last}", names.join(", "))
        };
        OvsdbError::constraint(format!(
            "Transaction causes multiple rows in \"{}\" table to have identical values ({}) for \
             index on {names}.  First row, with UUID {other}, {}  Second row, with UUID {}, {}",
            table.name,
            values.join(", "),
            self.history((id.0, other), columns),
            id.1,
            self.history(id, columns)
        ))
    }

    fn history(&self, id: RowId, columns: &[usize]) -> String {
        match self.touched.get(&id) {
            None => "existed in the database before this transaction and was not modified by the \
                     transaction."
                .to_owned(),
            Some(None) => "was inserted by this transaction.".to_owned(),
            Some(Some(old)) => {
                let before = index_key(old, columns);
                if self.row(id).is_some_and(|row| index_key(row, columns) == before) {
                    return "existed in the database before this transaction, which modified some \
                            of the row's columns but not any columns in this index."
                        .to_owned();
                }
                let values: Vec<String> = before.iter().map(ToString::to_string).collect();
                format!(
                    "had the following index values before the transaction: {}.",
                    values.join(", ")
                )
            }
        }
    }
}
