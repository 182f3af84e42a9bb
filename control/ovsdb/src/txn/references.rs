//! References at a commit: strong ones must lead somewhere, weak ones go with what they lead to, and rows that nobody
//! refers to are collected.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::store::database::{Database, Row, Target, column_references, references, same};
use crate::txn::integrity::{RowId, Txn};
use crate::value::atom::Atom;
use crate::value::datum::Datum;
use crate::value::diff::{Side, merge, without_common_ends};
use crate::value::error::OvsdbError;
use crate::value::schema::{ColumnSchema, TableSchema};

impl Txn<'_> {
    fn adjust(&mut self, target: RowId, up: bool) {
        count(self.db, target, up);
        self.counted.push((target, up));
    }

    pub(super) fn count_references(&mut self) -> Result<(), OvsdbError> {
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

    pub(super) fn check_deleted(&self) -> Result<(), OvsdbError> {
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
    pub(super) fn collect_garbage(&mut self) {
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
    pub(super) fn drop_weak_references(&mut self) -> Result<(), OvsdbError> {
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
}

fn has_weak(table: &TableSchema) -> bool {
    table.columns.iter().any(|column| column.ty.has_weak_reference())
}

/// Counts a strong reference to a row, or one less.
pub(super) fn count(db: &mut Database, target: RowId, up: bool) {
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
