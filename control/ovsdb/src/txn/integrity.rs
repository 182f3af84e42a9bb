//! One transaction on a database: rows are changed in place, the first touch of each remembered, so that
//! everything can be put back; and the checks of a commit.
//!
//! Order of the checks at commit: strong references, garbage collection, weak references, row limits,
//! unique indexes. So a duplicate that nobody references is collected before it could offend an index.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::store::database::{Change, Database, Row, fresh_version};
use crate::txn::references::count;
use crate::value::error::OvsdbError;
use crate::value::schema::Schema;

/// Number of the table and name of the row.
pub(crate) type RowId = (usize, Uuid);

/// A transaction in progress.
pub(crate) struct Txn<'a> {
    pub(super) db: &'a mut Database,
    pub(super) schema: Arc<Schema>,
    /// Every row touched, as it was before.
    pub(super) touched: BTreeMap<RowId, Option<Arc<Row>>>,
    /// The same rows in the order of their first touch, and perhaps some that were left as they were.
    pub(super) order: Vec<RowId>,
    /// Reference counts changed so far.
    pub(super) counted: Vec<(RowId, bool)>,
}

impl Drop for Txn<'_> {
    /// A panic half way leaves every row as it was.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.undo();
        }
    }
}

impl<'a> Txn<'a> {
    pub fn new(db: &'a mut Database) -> Self {
        let schema = Arc::clone(db.schema());
        Self { db, schema, touched: BTreeMap::new(), order: Vec::new(), counted: Vec::new() }
    }

    pub fn db(&self) -> &Database {
        self.db
    }

    pub fn row(&self, id: RowId) -> Option<&Arc<Row>> {
        self.db.row(id.0, id.1)
    }

    /// True when the row existed before or was touched by this transaction.
    pub fn knows(&self, id: RowId) -> bool {
        self.row(id).is_some() || self.touched.contains_key(&id)
    }

    /// The only reference in a column of a row that this transaction has not touched, if that is all there is.
    pub fn single(&self, id: RowId, column: usize) -> Option<Uuid> {
        let single = self.db.table(id.0)?.singles.get(column)?.get(&id.1).copied();
        single.filter(|_| !self.touched.contains_key(&id))
    }

    /// The rows that have a single reference in a column, but for those whose reference is nil.
    pub fn singles(&self, table: usize, column: usize) -> impl Iterator<Item = Uuid> {
        let singles = self.db.table(table).and_then(|table| table.singles.get(column));
        singles.into_iter().flatten().filter(|(_, to)| !to.is_nil()).map(|(row, _)| *row)
    }

    /// Rows of `table` that this transaction touched and that exist.
    pub fn touched_rows(&self, table: usize) -> impl Iterator<Item = Uuid> + '_ {
        self.touched
            .range((table, Uuid::nil())..)
            .take_while(move |((touched, _), _)| *touched == table)
            .map(|((_, uuid), _)| *uuid)
    }

    /// Inserts, replaces or deletes a row.
    pub fn put(&mut self, id: RowId, row: Option<Arc<Row>>) {
        let Some(table) = self.db.tables.get_mut(id.0) else { return };
        let old = match row {
            Some(row) => table.rows.insert(id.1, row),
            None => table.rows.remove(&id.1),
        };
        if let Entry::Vacant(place) = self.touched.entry(id) {
            place.insert(old);
            self.order.push(id);
        }
    }

    /// A row to change. It is copied at its first touch only, and so is each of its columns.
    pub fn row_mut(&mut self, id: RowId) -> Option<&mut Row> {
        let row = self.db.tables.get_mut(id.0)?.rows.get_mut(&id.1)?;
        if let Entry::Vacant(place) = self.touched.entry(id) {
            place.insert(Some(Arc::clone(row)));
            self.order.push(id);
        }
        Some(Arc::make_mut(row))
    }

    /// Puts everything back.
    pub fn rollback(mut self) {
        self.undo();
    }

    fn undo(&mut self) {
        while let Some((target, up)) = self.counted.pop() {
            count(self.db, target, !up);
        }
        for ((table, uuid), old) in std::mem::take(&mut self.touched) {
            self.db.load_row(table, uuid, old);
        }
    }

    /// Checks all and returns what changed. After an error, roll back.
    pub fn precommit(&mut self) -> Result<Vec<Change>, OvsdbError> {
        self.forget_unchanged();
        self.count_references()?;
        self.check_deleted()?;
        self.collect_garbage();
        self.drop_weak_references()?;
        self.forget_unchanged();
        self.check_max_rows()?;
        self.check_indexes()?;
        Ok(self.stamp())
    }

    /// Makes it final: indexes follow.
    pub fn commit(self, changes: &[Change]) {
        self.db.index(changes);
    }

    fn forget_unchanged(&mut self) {
        let db = &mut *self.db;
        self.touched.retain(|(table, uuid), old| {
            let new = db.row(*table, *uuid);
            match (old.as_ref(), new) {
                (None, None) => false,
                (Some(old), Some(new)) if Arc::ptr_eq(old, new) => false,
                (Some(old), Some(new)) if old.same_columns(new) => {
                    let old = Arc::clone(old);
                    db.load_row(*table, *uuid, Some(old));
                    false
                }
                _ => true,
            }
        });
    }

    /// Gives every changed row a new version and lists the changes.
    fn stamp(&mut self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.touched.len());
        for ((table, uuid), old) in &self.touched {
            let new = self.db.tables.get_mut(*table).and_then(|body| body.rows.get_mut(uuid)).map(
                |row| {
                    Arc::make_mut(row).version = fresh_version();
                    Arc::clone(row)
                },
            );
            changes.push(Change { table: *table, uuid: *uuid, old: old.clone(), new });
        }
        changes
    }

    fn check_max_rows(&self) -> Result<(), OvsdbError> {
        let tables: BTreeSet<usize> = self.touched.keys().map(|(table, _)| *table).collect();
        for index in tables {
            let (Some(table), Some(body)) = (self.schema.tables.get(index), self.db.table(index))
            else {
                continue;
            };
            if body.rows().len() > table.max_rows {
                return Err(OvsdbError::constraint(format!(
                    "transaction causes \"{}\" table to contain {} rows, greater than the \
                     schema-defined limit of {} row(s)",
                    table.name,
                    body.rows().len(),
                    table.max_rows
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::datum::Datum;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_panic_half_way_leaves_every_row() {
        const SCHEMA: &str = r#"{"name":"F","version":"1.0.0","tables":{
            "T":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}"#;
        let mut db = Database::new(Arc::new(Schema::parse(SCHEMA).unwrap()));
        let schema = Arc::clone(db.schema());
        let table = schema.table("T").unwrap();
        let mut txn = Txn::new(&mut db);
        let there = (0, Uuid::new_v4());
        txn.put(there, Some(Arc::new(Row::new(table))));
        let changes = txn.precommit().unwrap();
        txn.commit(&changes);
        let before = db.row(there.0, there.1).unwrap().clone();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut txn = Txn::new(&mut db);
            txn.put((0, Uuid::new_v4()), Some(Arc::new(Row::new(table))));
            txn.row_mut(there).unwrap().set(table, 0, Datum::integer(7));
            panic!("half way");
        }));
        assert!(panicked.is_err());
        assert_eq!(db.row_count(), 1);
        assert!(db.row(there.0, there.1).unwrap().same_columns(&before));
    }
}
