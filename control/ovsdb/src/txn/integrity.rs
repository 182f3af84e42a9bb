//! One transaction on a database: rows are changed in place, the first touch of each remembered, so that
//! everything can be put back; and the checks of a commit.
//!
//! Order of the checks at commit: strong references, garbage collection, weak references, row limits,
//! unique indexes. So a duplicate that nobody references is collected before it could offend an index.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::store::database::{
    Change, Database, IndexKey, Row, Target, column_references, fresh_version, index_key,
    references, same,
};
use crate::value::atom::Atom;
use crate::value::datum::{Datum, Side, merge, without_common_ends};
use crate::value::error::OvsdbError;
use crate::value::schema::{ColumnSchema, Schema, TableSchema};

/// Number of the table and name of the row.
pub(crate) type RowId = (usize, Uuid);

/// A transaction in progress.
pub(crate) struct Txn<'a> {
    db: &'a mut Database,
    schema: Arc<Schema>,
    /// Every row touched, as it was before.
    touched: BTreeMap<RowId, Option<Arc<Row>>>,
    /// The same rows in the order of their first touch, and perhaps some that were left as they were.
    order: Vec<RowId>,
    /// Reference counts changed so far.
    counted: Vec<(RowId, bool)>,
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

    fn adjust(&mut self, target: RowId, up: bool) {
        count(self.db, target, up);
        self.counted.push((target, up));
    }

    fn count_references(&mut self) -> Result<(), OvsdbError> {
        let ids: Vec<RowId> = self.touched.keys().copied().collect();
        for id in ids {
            let old = self.touched.get(&id).cloned().flatten();
            let new = self.row(id).cloned();
            let schema = Arc::clone(&self.schema);
            let Some(table) = schema.tables.get(id.0) else { continue };
            for (removed, added) in reference_changes(table, id, old.as_deref(), new.as_deref()) {
                for target in removed {
                    self.adjust((target.table, target.uuid), false);
                }
                for target in added {
                    self.check_target(table, id, target)?;
                    self.adjust((target.table, target.uuid), true);
                }
            }
        }
        Ok(())
    }

    fn check_target(
        &self,
        table: &TableSchema,
        id: RowId,
        target: Target,
    ) -> Result<(), OvsdbError> {
        let target_table = self.schema.tables.get(target.table);
        if self.row((target.table, target.uuid)).is_some()
            || self.touched.get(&(target.table, target.uuid)).is_some_and(Option::is_some)
        {
            // A row deleted in this transaction is reported by check_deleted.
            return Ok(());
        }
        Err(OvsdbError::referential(format!(
            "Table {} column {} row {} references nonexistent row {} in table {}.",
            table.name,
            table.columns.get(target.column).map_or("", |column| column.name.as_ref()),
            id.1,
            target.uuid,
            target_table.map_or("", |table| table.name.as_ref()),
        )))
    }

    fn check_deleted(&self) -> Result<(), OvsdbError> {
        for id in self.touched.keys() {
            let Some(table) = self.schema.tables.get(id.0) else { continue };
            let references = self.strong_count(*id);
            if self.row(*id).is_none() && references > 0 {
                return Err(OvsdbError::referential(format!(
                    "cannot delete {} row {} because of {references} remaining reference(s)",
                    table.name, id.1
                )));
            }
        }
        Ok(())
    }

    fn strong_count(&self, id: RowId) -> usize {
        self.db.table(id.0).and_then(|table| table.strong.get(&id.1)).copied().unwrap_or(0)
    }

    /// Deletes rows outside the root set that nobody references, and what only they referenced.
    fn collect_garbage(&mut self) {
        let mut candidates: Vec<RowId> = self.touched.keys().copied().collect();
        candidates.extend(self.counted.iter().filter(|(_, up)| !up).map(|(id, _)| *id));
        let schema = Arc::clone(&self.schema);
        while let Some(id) = candidates.pop() {
            if schema.tables.get(id.0).is_none_or(|table| table.is_root)
                || self.strong_count(id) > 0
            {
                continue;
            }
            let Some(row) = self.row(id).cloned() else { continue };
            self.put(id, None);
            for target in references(&schema, id.0, id.1, &row).filter(|target| target.strong) {
                self.adjust((target.table, target.uuid), false);
                candidates.push((target.table, target.uuid));
            }
        }
    }

    /// Removes weak references to rows that do not exist.
    fn drop_weak_references(&mut self) -> Result<(), OvsdbError> {
        let mut sources: BTreeSet<RowId> = BTreeSet::new();
        for id in self.touched.keys() {
            if self.row(*id).is_some() {
                sources.insert(*id);
            } else if let Some(weak) = self.db.table(id.0).and_then(|table| table.weak.get(&id.1)) {
                sources.extend(weak);
            }
        }
        let schema = Arc::clone(&self.schema);
        for id in sources {
            let Some(table) = schema.tables.get(id.0).filter(|table| has_weak(table)) else {
                continue;
            };
            let Some(row) = self.row(id).cloned() else { continue };
            let mut pruned: Option<Row> = None;
            for (index, column) in table.columns.iter().enumerate() {
                let Some(datum) = row.get(index).filter(|datum| !datum.is_empty()) else {
                    continue;
                };
                let Some(kept) = self.prune(column, index, datum) else { continue };
                if kept.len() < column.ty.min {
                    return Err(self.left_empty(id, table, column, datum, &kept));
                }
                pruned.get_or_insert_with(|| (*row).clone()).set(table, index, kept);
            }
            if let Some(pruned) = pruned {
                self.put(id, Some(Arc::new(pruned)));
            }
        }
        Ok(())
    }

    /// The error for a column whose weak references are too few without those that dangle.
    fn left_empty(
        &self,
        id: RowId,
        table: &TableSchema,
        column: &ColumnSchema,
        datum: &Datum,
        kept: &Datum,
    ) -> OvsdbError {
        let is_new = self.touched.get(&id).is_some_and(Option::is_none);
        let has_zeros =
            datum.atoms().iter().any(|atom| atom.as_uuid().is_some_and(|uuid| uuid.is_nil()));
        let (column, table, row) = (&column.name, &table.name, id.1);
        let new = if is_new { " (inserted within this transaction)" } else { "" };
        OvsdbError::constraint(if is_new && has_zeros {
            // The spelling is that of Open vSwitch.
            format!(
                "Weak reference column \"{column}\" in \"{table}\" row {row}{new} contained all-zeros UUID \
                 (probably as the default value for this column) but deleting this value caused a \
                 constraint volation because this column is not allowed to be empty."
            )
        } else {
            format!(
                "Deletion of {} weak reference(s) to deleted (or never-existing) rows from column \
                 \"{column}\" in \"{table}\" row {row}{new} caused this column to become empty, but \
                 constraints on this column disallow an empty column.",
                datum.len() - kept.len()
            )
        })
    }

    /// The datum without dangling weak references; None when there are none.
    fn prune(&self, column: &ColumnSchema, index: usize, datum: &Datum) -> Option<Datum> {
        let dangling: BTreeSet<Uuid> = column_references(column, index, datum)
            .filter(|target| !target.strong && self.row((target.table, target.uuid)).is_none())
            .map(|target| target.uuid)
            .collect();
        if dangling.is_empty() {
            return None;
        }
        let gone = |atom: &Atom| atom.as_uuid().is_some_and(|uuid| dangling.contains(&uuid));
        Some(match datum {
            Datum::Set(atoms) => {
                Datum::Set(atoms.iter().filter(|atom| !gone(atom)).cloned().collect())
            }
            Datum::Map(pairs) => Datum::Map(
                pairs.iter().filter(|(key, value)| !gone(key) && !gone(value)).cloned().collect(),
            ),
        })
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

    fn check_indexes(&self) -> Result<(), OvsdbError> {
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

fn has_weak(table: &TableSchema) -> bool {
    table.columns.iter().any(|column| column.ty.has_weak_reference())
}

fn count(db: &mut Database, target: RowId, up: bool) {
    let Some(table) = db.tables.get_mut(target.0) else { return };
    let entry = table.strong.entry(target.1).or_default();
    *entry = if up { *entry + 1 } else { entry.saturating_sub(1) };
    if *entry == 0 {
        table.strong.remove(&target.1);
    }
}

/// Strong references that a row lost and gained, column by column.
fn reference_changes(
    table: &TableSchema,
    id: RowId,
    old: Option<&Row>,
    new: Option<&Row>,
) -> Vec<(Vec<Target>, Vec<Target>)> {
    let mut changes = Vec::new();
    let nothing = Arc::new(Datum::empty());
    for (index, column) in table.columns.iter().enumerate() {
        let refers = column.ty.key.reference.is_some()
            || column.ty.value.as_ref().is_some_and(|value| value.reference.is_some());
        if !refers {
            continue;
        }
        let before = old.and_then(|row| row.get(index)).unwrap_or(&nothing);
        let after = new.and_then(|row| row.get(index)).unwrap_or(&nothing);
        if same(before, after) {
            continue;
        }
        let (removed, added) = split(before, after);
        let strong = |datum: &Datum| {
            column_references(column, index, datum)
                .filter(|target| target.strong && (target.table, target.uuid) != id)
                .collect::<Vec<_>>()
        };
        changes.push((strong(&removed), strong(&added)));
    }
    changes
}

/// The elements only in `before` and those only in `after`.
fn split(before: &Datum, after: &Datum) -> (Datum, Datum) {
    match (before, after) {
        (Datum::Set(a), Datum::Set(b)) => {
            let (left, right) = split_sorted(a, b);
            (Datum::Set(left), Datum::Set(right))
        }
        (Datum::Map(a), Datum::Map(b)) => {
            let (left, right) = split_sorted(a, b);
            (Datum::Map(left), Datum::Map(right))
        }
        _ => (before.clone(), after.clone()),
    }
}

fn split_sorted<T: Clone + Ord>(a: &[T], b: &[T]) -> (Vec<T>, Vec<T>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (a, b) = without_common_ends(a, b);
    for side in merge(a, b, Ord::cmp) {
        match side {
            Side::Left(element) => left.push(element.clone()),
            Side::Right(element) => right.push(element.clone()),
            Side::Both(..) => {}
        }
    }
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;
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
