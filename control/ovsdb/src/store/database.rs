//! A database in memory: rows by uuid, unique indexes, reference counts, who refers weakly to whom.
//!
//! All of it is kept up to date by the rows a transaction touched, so a commit costs what it changed and
//! not what is stored.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::value::datum::Datum;
use crate::value::schema::{ColumnRef, ColumnSchema, Schema, TableSchema};

/// A row. Columns that hold their default share it with the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Changes whenever the row does.
    pub version: Uuid,
    /// One datum per column of the table's schema.
    pub columns: Vec<Arc<Datum>>,
}

impl Row {
    /// A row of defaults.
    #[must_use]
    pub fn new(schema: &TableSchema) -> Self {
        let columns = schema.columns.iter().map(|column| Arc::clone(&column.default)).collect();
        Self { version: fresh_version(), columns }
    }

    /// The datum of column number `index`; None past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Arc<Datum>> {
        self.columns.get(index)
    }

    /// Replaces a datum; a default is replaced by the shared one.
    pub fn set(&mut self, schema: &TableSchema, index: usize, datum: Datum) {
        self.share(schema, index, Arc::new(datum));
    }

    /// The same with a datum that other rows may share.
    pub fn share(&mut self, schema: &TableSchema, index: usize, datum: Arc<Datum>) {
        if let (Some(slot), Some(column)) = (self.columns.get_mut(index), schema.columns.get(index))
        {
            *slot = if datum == column.default { Arc::clone(&column.default) } else { datum };
        }
    }

    /// The datum of a column or pseudo-column.
    #[must_use]
    pub fn value(&self, uuid: Uuid, column: ColumnRef) -> Arc<Datum> {
        match column {
            ColumnRef::Uuid => Arc::new(Datum::uuid(uuid)),
            ColumnRef::Version => Arc::new(Datum::uuid(self.version)),
            ColumnRef::Column(index) => self.get(index).cloned().unwrap_or_default(),
        }
    }

    /// True when every column holds the same.
    #[must_use]
    pub fn same_columns(&self, other: &Self) -> bool {
        self.columns.iter().zip(&other.columns).all(|(a, b)| same(a, b))
    }
}

/// Equality that looks at the pointers first.
#[must_use]
pub fn same(a: &Arc<Datum>, b: &Arc<Datum>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

thread_local! {
    static VERSION: Cell<u128> = Cell::new(Uuid::new_v4().as_u128());
}

/// A uuid for `_version`: unique, but not worth a system call.
#[must_use]
pub fn fresh_version() -> Uuid {
    VERSION.with(|version| {
        let next = version.get().wrapping_add(1);
        version.set(next);
        uuid::Builder::from_random_bytes(next.to_be_bytes()).into_uuid()
    })
}

/// The values of one index for one row.
pub type IndexKey = Vec<Arc<Datum>>;

/// Values by uuid. `ovs-vsctl` makes one look-up for each port of a bridge: a hash that costs less than that of the
/// standard library pays.
pub(crate) type UuidMap<V> = HashMap<Uuid, V, foldhash::fast::RandomState>;

/// A table in memory.
#[derive(Debug, Default)]
pub struct Table {
    pub(crate) rows: BTreeMap<Uuid, Arc<Row>>,
    /// Row of this table -> strong references to it from other rows.
    pub(crate) strong: UuidMap<usize>,
    /// Row of this table -> rows (table, uuid) that refer to it weakly.
    pub(crate) weak: UuidMap<BTreeSet<(usize, Uuid)>>,
    /// One per index of the schema.
    pub(crate) indexes: Vec<HashMap<IndexKey, Uuid>>,
    /// By column: the rows that hold one reference there, and which.
    pub(crate) singles: Vec<UuidMap<Uuid>>,
    /// By group of rows: another value after each commit that changed one of them.
    stamps: Vec<Uuid>,
}

/// Groups that the rows of a table are divided into, by the first byte of their uuids.
pub const GROUPS: usize = 256;

impl Table {
    /// Rows of group number `group`, in order of uuid.
    pub(crate) fn group(&self, group: usize) -> impl Iterator<Item = (&Uuid, &Arc<Row>)> {
        let first = (group as u128) << 120;
        self.rows.range(Uuid::from_u128(first)..=Uuid::from_u128(first | (u128::MAX >> 8)))
    }

    /// Changes when a row of the group does.
    pub(crate) fn stamp(&self, group: usize) -> Uuid {
        self.stamps.get(group).copied().unwrap_or_default()
    }

    fn renew_stamp(&mut self, uuid: Uuid) {
        let [group, ..] = *uuid.as_bytes();
        if let Some(stamp) = self.stamps.get_mut(usize::from(group)) {
            *stamp = fresh_version();
        }
    }

    /// Rows in order of uuid.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<Uuid, Arc<Row>> {
        &self.rows
    }

    /// The row called `uuid`.
    #[must_use]
    pub fn row(&self, uuid: Uuid) -> Option<&Arc<Row>> {
        self.rows.get(&uuid)
    }
}

/// A database in memory.
#[derive(Debug)]
pub struct Database {
    schema: Arc<Schema>,
    pub(crate) tables: Vec<Table>,
}

/// What a transaction did to one row.
#[derive(Clone, Debug)]
pub struct Change {
    /// Number of the table.
    pub table: usize,
    /// Name of the row.
    pub uuid: Uuid,
    /// The row before; None for an insert.
    pub old: Option<Arc<Row>>,
    /// The row after; None for a delete.
    pub new: Option<Arc<Row>>,
}

impl Database {
    /// An empty database.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        let tables = schema
            .tables
            .iter()
            .map(|table| Table {
                indexes: table.indexes.iter().map(|_| HashMap::new()).collect(),
                singles: table.columns.iter().map(|_| UuidMap::default()).collect(),
                stamps: (0..GROUPS).map(|_| fresh_version()).collect(),
                ..Table::default()
            })
            .collect();
        Self { schema, tables }
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Table number `index`.
    #[must_use]
    pub fn table(&self, index: usize) -> Option<&Table> {
        self.tables.get(index)
    }

    /// The table called `name`.
    #[must_use]
    pub fn table_by_name(&self, name: &str) -> Option<&Table> {
        self.tables.get(self.schema.table_index(name)?)
    }

    /// A row of table number `table`.
    #[must_use]
    pub fn row(&self, table: usize, uuid: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(table)?.rows.get(&uuid)
    }

    /// Number of rows of all tables.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// Number of columns of all rows, for `memory/show`.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        let rows = self.tables.iter().flat_map(|table| table.rows.values());
        rows.map(|row| row.columns.len()).sum()
    }

    /// Number of rows that refer weakly to another, for `memory/show`.
    #[must_use]
    pub fn weak_reference_count(&self) -> usize {
        self.tables.iter().flat_map(|table| table.weak.values()).map(BTreeSet::len).sum()
    }

    /// Number of elements of all columns, for `memory/show`.
    #[must_use]
    pub fn atom_count(&self) -> usize {
        let rows = self.tables.iter().flat_map(|table| table.rows.values());
        rows.flat_map(|row| &row.columns).map(|datum| datum.len()).sum()
    }

    /// The rows as they are now, without indexes and counts. Rows are shared, so this takes the time of
    /// copying pointers.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let tables = self
            .tables
            .iter()
            .map(|table| Table { rows: table.rows.clone(), ..Table::default() })
            .collect();
        Self { schema: Arc::clone(&self.schema), tables }
    }

    /// Puts a row in place while a file is read: no checks, no counts.
    pub(crate) fn load_row(&mut self, table: usize, uuid: Uuid, row: Option<Arc<Row>>) {
        if let Some(table) = self.tables.get_mut(table) {
            match row {
                Some(row) => table.rows.insert(uuid, row),
                None => table.rows.remove(&uuid),
            };
        }
    }

    /// Builds reference counts and indexes from the rows, once, after a file was read.
    pub(crate) fn finish_load(&mut self) {
        let schema = Arc::clone(&self.schema);
        let all: Vec<Change> = self
            .tables
            .iter()
            .enumerate()
            .flat_map(|(table, body)| {
                body.rows.iter().map(move |(uuid, row)| Change {
                    table,
                    uuid: *uuid,
                    old: None,
                    new: Some(Arc::clone(row)),
                })
            })
            .collect();
        for change in &all {
            let Some(row) = &change.new else { continue };
            for target in references(&schema, change.table, change.uuid, row) {
                if target.strong
                    && let Some(table) = self.tables.get_mut(target.table)
                {
                    *table.strong.entry(target.uuid).or_default() += 1;
                }
            }
        }
        self.index(&all);
    }

    /// Brings indexes and weak references up to date with committed changes.
    pub(crate) fn index(&mut self, changes: &[Change]) {
        let schema = Arc::clone(&self.schema);
        for change in changes {
            self.unindex_row(&schema, change);
            if let Some(table) = self.tables.get_mut(change.table) {
                table.renew_stamp(change.uuid);
            }
        }
        for change in changes {
            self.index_row(&schema, change);
        }
    }

    fn unindex_row(&mut self, schema: &Schema, change: &Change) {
        let Some(old) = &change.old else { return };
        for target in weak_references(schema, change, old, change.new.as_deref()) {
            if let Some(table) = self.tables.get_mut(target.table)
                && let Some(sources) = table.weak.get_mut(&target.uuid)
            {
                sources.remove(&(change.table, change.uuid));
                if sources.is_empty() {
                    table.weak.remove(&target.uuid);
                }
            }
        }
        let (Some(table), Some(description)) =
            (self.tables.get_mut(change.table), schema.tables.get(change.table))
        else {
            return;
        };
        for (index, columns) in table.indexes.iter_mut().zip(&description.indexes) {
            let key = index_key(old, columns);
            if index.get(&key) == Some(&change.uuid) {
                index.remove(&key);
            }
        }
        if change.new.is_none() {
            for rows in &mut table.singles {
                rows.remove(&change.uuid);
            }
        }
    }

    fn index_row(&mut self, schema: &Schema, change: &Change) {
        let Some(new) = &change.new else { return };
        for target in weak_references(schema, change, new, change.old.as_deref()) {
            if let Some(table) = self.tables.get_mut(target.table) {
                table.weak.entry(target.uuid).or_default().insert((change.table, change.uuid));
            }
        }
        let (Some(table), Some(description)) =
            (self.tables.get_mut(change.table), schema.tables.get(change.table))
        else {
            return;
        };
        for (index, columns) in table.indexes.iter_mut().zip(&description.indexes) {
            index.insert(index_key(new, columns), change.uuid);
        }
        for (index, (rows, datum)) in table.singles.iter_mut().zip(&new.columns).enumerate() {
            let before = change.old.as_ref().and_then(|old| old.get(index));
            if before.is_some_and(|before| Arc::ptr_eq(before, datum)) {
                continue;
            }
            match datum.as_uuid() {
                Some(reference) => rows.insert(change.uuid, reference),
                None => rows.remove(&change.uuid),
            };
        }
    }
}

/// The values of the indexed `columns`.
pub(crate) fn index_key(row: &Row, columns: &[usize]) -> IndexKey {
    columns.iter().map(|column| row.get(*column).cloned().unwrap_or_default()).collect()
}

/// A reference from one row to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub table: usize,
    pub uuid: Uuid,
    pub strong: bool,
    pub column: usize,
}

/// Every reference in a row but those to itself, which keep nothing alive.
pub(crate) fn references<'a>(
    schema: &'a Schema,
    table: usize,
    uuid: Uuid,
    row: &'a Row,
) -> impl Iterator<Item = Target> + 'a {
    let columns = schema.tables.get(table).map(|table| table.columns.as_slice());
    columns
        .unwrap_or_default()
        .iter()
        .zip(&row.columns)
        .enumerate()
        .filter(|(_, (_, datum))| !datum.is_empty())
        .flat_map(|(index, (column, datum))| column_references(column, index, datum))
        .filter(move |target| (target.table, target.uuid) != (table, uuid))
}

/// Every weak reference of `row` in columns that are not the same in `other`.
fn weak_references<'a>(
    schema: &'a Schema,
    change: &'a Change,
    row: &'a Row,
    other: Option<&'a Row>,
) -> impl Iterator<Item = Target> + 'a {
    let columns = schema.tables.get(change.table).map(|table| table.columns.as_slice());
    columns
        .unwrap_or_default()
        .iter()
        .zip(&row.columns)
        .enumerate()
        .filter(move |(index, (column, datum))| {
            let kept = other.and_then(|other| other.get(*index));
            column.ty.has_weak_reference() && kept.is_none_or(|kept| !Arc::ptr_eq(kept, datum))
        })
        .flat_map(|(index, (column, datum))| column_references(column, index, datum))
        .filter(move |target| {
            !target.strong && (target.table, target.uuid) != (change.table, change.uuid)
        })
}

/// Every reference of one column.
pub(crate) fn column_references<'a>(
    column: &'a ColumnSchema,
    index: usize,
    datum: &'a Datum,
) -> impl Iterator<Item = Target> + 'a {
    let target = move |reference: &crate::value::schema::Reference, uuid| Target {
        table: reference.table_index,
        uuid,
        strong: reference.strong,
        column: index,
    };
    let key = column.ty.key.reference.as_ref();
    let value = column.ty.value.as_ref().and_then(|value| value.reference.as_ref());
    let keys = key.into_iter().flat_map(move |reference| {
        let atoms = datum.atoms().iter().chain(datum.pairs().iter().map(|(key, _)| key));
        atoms.filter_map(move |atom| Some(target(reference, atom.as_uuid()?)))
    });
    let values = value.into_iter().flat_map(move |reference| {
        datum.pairs().iter().filter_map(move |(_, atom)| Some(target(reference, atom.as_uuid()?)))
    });
    keys.chain(values)
}
