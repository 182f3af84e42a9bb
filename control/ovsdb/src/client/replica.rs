//! A copy of part of a database, kept by the updates of a monitor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::monitor::Kind;
use crate::value::atom::parse_uuid;
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::schema::{ColumnType, Schema};

static EMPTY: Datum = Datum::Set(Vec::new());

/// One row. Every monitored column is there; what the server left out holds its default.
#[derive(Clone, Debug)]
pub struct ReplicaRow {
    columns: Arc<Vec<ReplicaColumn>>,
    values: Vec<Arc<Datum>>,
}

impl PartialEq for ReplicaRow {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

#[derive(Debug)]
struct ReplicaColumn {
    name: Arc<str>,
    ty: ColumnType,
    default: Arc<Datum>,
}

impl ReplicaRow {
    fn new(columns: &Arc<Vec<ReplicaColumn>>) -> Self {
        let values = columns.iter().map(|column| Arc::clone(&column.default)).collect();
        Self { columns: Arc::clone(columns), values }
    }

    /// Takes over differences, which large sets do in place.
    fn patch(&mut self, differences: &[(usize, Datum)]) {
        for (index, datum) in differences {
            if let (Some(column), Some(slot)) =
                (self.columns.get(*index), self.values.get_mut(*index))
            {
                Arc::make_mut(slot).patch(datum, &column.ty);
            }
        }
    }

    /// The datum of a column; the empty set when the column is not monitored.
    #[must_use]
    pub fn get(&self, column: &str) -> &Datum {
        self.try_get(column).unwrap_or(&EMPTY)
    }

    /// The datum of a column; None when it is not monitored (or the server's schema lacks it).
    #[must_use]
    pub fn try_get(&self, column: &str) -> Option<&Datum> {
        let index = position(&self.columns, column)?;
        self.values.get(index).map(AsRef::as_ref)
    }

    /// Column names and datums, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum)> {
        self.columns
            .iter()
            .map(|column| column.name.as_ref())
            .zip(self.values.iter().map(AsRef::as_ref))
    }
}

fn position(columns: &[ReplicaColumn], name: &str) -> Option<usize> {
    columns.binary_search_by(|column| column.name.as_ref().cmp(name)).ok()
}

/// One table.
#[derive(Debug)]
pub struct ReplicaTable {
    columns: Arc<Vec<ReplicaColumn>>,
    rows: BTreeMap<Uuid, ReplicaRow>,
}

impl ReplicaTable {
    /// Rows by uuid.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<Uuid, ReplicaRow> {
        &self.rows
    }

    /// A row.
    #[must_use]
    pub fn get(&self, uuid: Uuid) -> Option<&ReplicaRow> {
        self.rows.get(&uuid)
    }

    /// The only row of a table of one, or the first.
    #[must_use]
    pub fn first(&self) -> Option<(Uuid, &ReplicaRow)> {
        self.rows.iter().next().map(|(uuid, row)| (*uuid, row))
    }

    /// Names of the monitored columns, sorted.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_ref())
    }
}

/// The tables that a client monitors.
#[derive(Debug, Default)]
pub struct Replica {
    tables: BTreeMap<Arc<str>, ReplicaTable>,
}

impl Replica {
    /// An empty replica of the given tables; columns that the schema lacks are left out.
    pub(crate) fn new(schema: &Schema, tables: &[(String, Vec<String>)]) -> Self {
        let tables = tables
            .iter()
            .filter_map(|(name, wanted)| {
                let table = schema.table(name)?;
                let mut columns: Vec<ReplicaColumn> = table
                    .columns
                    .iter()
                    .filter(|column| {
                        wanted.is_empty() || wanted.iter().any(|name| **name == *column.name)
                    })
                    .map(|column| ReplicaColumn {
                        name: Arc::clone(&column.name),
                        ty: column.ty.clone(),
                        default: Arc::clone(&column.default),
                    })
                    .collect();
                columns.sort_by(|a, b| a.name.cmp(&b.name));
                let table = ReplicaTable { columns: Arc::new(columns), rows: BTreeMap::new() };
                Some((Arc::from(name.as_str()), table))
            })
            .collect();
        Self { tables }
    }

    /// A table, if it is monitored and the server has it.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&ReplicaTable> {
        self.tables.get(name)
    }

    /// Rows of a table; none when it is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &ReplicaRow)> {
        self.tables.get(table).into_iter().flat_map(|table| &table.rows).map(|(id, row)| (*id, row))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&ReplicaRow> {
        self.tables.get(table)?.rows.get(&uuid)
    }

    /// Tables by name.
    #[must_use]
    pub fn tables(&self) -> &BTreeMap<Arc<str>, ReplicaTable> {
        &self.tables
    }

    /// What updates are read by, on any thread.
    pub(crate) fn shape(&self) -> Shape {
        let columns = |(name, table): (&Arc<str>, &ReplicaTable)| {
            (Arc::clone(name), Arc::clone(&table.columns))
        };
        Shape(self.tables.iter().map(columns).collect())
    }

    /// Applies what [`Shape::read`] made of an update, and lists the rows it touched.
    pub(crate) fn apply(&mut self, changes: Vec<RowChange>) -> Vec<(Arc<str>, Uuid)> {
        let mut touched = Vec::with_capacity(changes.len());
        for RowChange { table: name, uuid, becomes } in changes {
            let Some(table) = self.tables.get_mut(&name) else { continue };
            match becomes {
                Becomes::Row(row) => drop(table.rows.insert(uuid, row)),
                Becomes::Nothing => drop(table.rows.remove(&uuid)),
                Becomes::Other(differences) => {
                    let columns = &table.columns;
                    let row = table.rows.entry(uuid).or_insert_with(|| ReplicaRow::new(columns));
                    row.patch(&differences);
                }
            }
            touched.push((name, uuid));
        }
        touched
    }
}

/// What one row becomes.
#[derive(Debug)]
pub(crate) struct RowChange {
    table: Arc<str>,
    uuid: Uuid,
    becomes: Becomes,
}

#[derive(Debug)]
enum Becomes {
    Row(ReplicaRow),
    Nothing,
    /// Differences, by the number of their column.
    Other(Vec<(usize, Datum)>),
}

/// The tables and columns of a replica.
#[derive(Clone, Debug)]
pub(crate) struct Shape(BTreeMap<Arc<str>, Arc<Vec<ReplicaColumn>>>);

impl Shape {
    /// Reads an initial reply or an update.
    ///
    /// # Errors
    /// What about it is not understood.
    pub fn read(&self, kind: Kind, json: &Value) -> Result<Vec<RowChange>, OvsdbError> {
        let mut changes = Vec::new();
        for (name, rows) in object(json)? {
            let Some((name, columns)) = self.0.get_key_value(name.as_str()) else { continue };
            for (uuid, update) in object(rows)? {
                let uuid = parse_uuid(uuid)
                    .ok_or_else(|| OvsdbError::syntax(rows, "row name is not a uuid"))?;
                let update = object(update)?;
                let differences = update.get("modify").filter(|_| kind != Kind::Update);
                let becomes = if let Some(differences) = differences {
                    Becomes::Other(read_columns(columns, object(differences)?, true)?)
                } else if let Some(row) = new_row(columns, kind, update)? {
                    Becomes::Row(row)
                } else {
                    Becomes::Nothing
                };
                changes.push(RowChange { table: Arc::clone(name), uuid, becomes });
            }
        }
        Ok(changes)
    }
}

/// The values, or differences, that a row is given, by the number of their column.
fn read_columns(
    columns: &[ReplicaColumn],
    given: &Map<String, Value>,
    are_differences: bool,
) -> Result<Vec<(usize, Datum)>, OvsdbError> {
    let mut values = Vec::with_capacity(given.len());
    for (name, json) in given {
        let Some(index) = position(columns, name) else { continue };
        let Some(column) = columns.get(index) else { continue };
        let mut ty = column.ty.clone();
        if are_differences {
            (ty.min, ty.max) = (0, if ty.max == 1 { 1 } else { usize::MAX });
        }
        values.push((index, Datum::from_json(&ty, json, None)?));
    }
    Ok(values)
}

fn object(json: &Value) -> Result<&Map<String, Value>, OvsdbError> {
    json.as_object().ok_or_else(|| OvsdbError::syntax(json, "expected object"))
}

/// A row that is whole in an update; none when it is gone.
fn new_row(
    columns: &Arc<Vec<ReplicaColumn>>,
    kind: Kind,
    update: &Map<String, Value>,
) -> Result<Option<ReplicaRow>, OvsdbError> {
    let given = if kind == Kind::Update {
        update.get("new")
    } else {
        update.get("initial").or_else(|| update.get("insert"))
    };
    let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(None) };
    let mut row = ReplicaRow::new(columns);
    for (index, datum) in read_columns(columns, object(given)?, false)? {
        if let Some(slot) = row.values.get_mut(index) {
            *slot = Arc::new(datum);
        }
    }
    Ok(Some(row))
}
