//! The database as this command line sees it: what the server has, and what the commands before
//! have made of it.  In the end the difference becomes one transaction.

use super::Failure;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;
use weft_ovsdb::value::schema::{ColumnSchema, Schema, TableSchema};
use weft_ovsdb::{Datum, Replica};

type Columns = BTreeMap<Arc<str>, Datum>;

static NOTHING: Datum = Datum::Set(Vec::new());

/// One row: what it holds now, and what of that is new.
#[derive(Clone, Debug)]
struct Row {
    now: Columns,
    /// Absent for a row that this command line makes.
    before: Option<Columns>,
}

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRef {
    /// Its table, as the schema spells it.
    pub table: Arc<str>,
    /// Its name.
    pub uuid: Uuid,
}

/// All tables.
#[derive(Debug)]
pub struct Model<'a> {
    /// Tables and columns.
    pub schema: &'a Schema,
    tables: BTreeMap<Arc<str>, BTreeMap<Uuid, Row>>,
    deleted: Vec<RowRef>,
    /// Rows made here whose uuid was asked for.
    wanted: BTreeSet<Uuid>,
}

impl<'a> Model<'a> {
    /// What the server has.
    #[must_use]
    pub fn new(schema: &'a Schema, replica: &Replica) -> Self {
        let mut tables = BTreeMap::new();
        for table in &schema.tables {
            let rows = replica.tables().get(&table.name).map(|replica| {
                let copy = |row: &weft_ovsdb::ReplicaRow| {
                    let columns = table.columns.iter();
                    let held = columns
                        .filter_map(|c| Some((Arc::clone(&c.name), row.try_get(&c.name)?.clone())));
                    let before: Columns = held.collect();
                    Row { now: before.clone(), before: Some(before) }
                };
                replica.rows().iter().map(|(uuid, row)| (*uuid, copy(row))).collect()
            });
            tables.insert(Arc::clone(&table.name), rows.unwrap_or_default());
        }
        Self { schema, tables, deleted: Vec::new(), wanted: BTreeSet::new() }
    }

    /// The rows of a table, in the order of their uuids.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<Uuid> {
        self.tables.get(table).map(|rows| rows.keys().copied().collect()).unwrap_or_default()
    }

    /// True when the row exists.
    #[must_use]
    pub fn has(&self, table: &str, uuid: Uuid) -> bool {
        self.tables.get(table).is_some_and(|rows| rows.contains_key(&uuid))
    }

    /// True when this command line made the row.
    #[must_use]
    pub fn is_new(&self, table: &str, uuid: Uuid) -> bool {
        let row = self.tables.get(table).and_then(|rows| rows.get(&uuid));
        row.is_some_and(|row| row.before.is_none())
    }

    /// What a column holds; nothing when the row does not exist.
    #[must_use]
    pub fn get(&self, table: &str, uuid: Uuid, column: &str) -> &Datum {
        let row = self.tables.get(table).and_then(|rows| rows.get(&uuid));
        row.and_then(|row| row.now.get(column)).unwrap_or(&NOTHING)
    }

    /// The text in a column; empty when there is none.
    #[must_use]
    pub fn text(&self, table: &str, uuid: Uuid, column: &str) -> &str {
        self.get(table, uuid, column).as_str().unwrap_or("")
    }

    /// The only row of `Open_vSwitch`.
    ///
    /// # Errors
    /// There is none.
    pub fn root(&self) -> Result<Uuid, Failure> {
        self.rows("Open_vSwitch")
            .first()
            .copied()
            .ok_or_else(|| Failure::new("the database holds no row of Open_vSwitch"))
    }

    /// Makes a row of defaults; `wanted` is the uuid that it must have.
    pub fn insert(&mut self, table: &TableSchema, uuid: Uuid, is_wanted: bool) -> Uuid {
        let columns = table.columns.iter();
        let now = columns.map(|c| (Arc::clone(&c.name), c.default.as_ref().clone())).collect();
        let rows = self.tables.entry(Arc::clone(&table.name)).or_default();
        rows.insert(uuid, Row { now, before: None });
        if is_wanted {
            self.wanted.insert(uuid);
        }
        uuid
    }

    /// Makes a row of the table named, with a uuid of our own.
    ///
    /// # Errors
    /// The server's schema has no such table.
    pub fn make(&mut self, table: &str) -> Result<Uuid, Failure> {
        let schema = self.schema;
        let table = schema
            .table(table)
            .ok_or_else(|| Failure(format!("the database has no table {table}")))?;
        Ok(self.insert(table, Uuid::new_v4(), false))
    }

    /// Changes a column.
    pub fn set(&mut self, table: &str, uuid: Uuid, column: &str, datum: Datum) {
        let row = self.tables.get_mut(table).and_then(|rows| rows.get_mut(&uuid));
        if let Some(slot) = row.and_then(|row| row.now.get_mut(column)) {
            *slot = datum;
        }
    }

    /// Adds a reference to a set of them.
    pub fn refer(&mut self, table: &str, uuid: Uuid, column: &str, target: Uuid) {
        let all = self.get(table, uuid, column).uuids().chain([target]);
        self.set(table, uuid, column, Datum::set_of_uuids(all.collect::<Vec<_>>()));
    }

    /// Takes a reference out of a set of them.
    pub fn unrefer(&mut self, table: &str, uuid: Uuid, column: &str, target: Uuid) {
        let rest: Vec<_> =
            self.get(table, uuid, column).uuids().filter(|other| *other != target).collect();
        self.set(table, uuid, column, Datum::set_of_uuids(rest));
    }

    /// Deletes a row.  A row that this command line made is as if it had never been.
    pub fn delete(&mut self, table: &str, uuid: Uuid) {
        let Some((name, rows)) = self.tables.get_key_value(table) else { return };
        let Some(was_there) = rows.get(&uuid).map(|row| row.before.is_some()) else { return };
        let name = Arc::clone(name);
        if let Some(rows) = self.tables.get_mut(&name) {
            rows.remove(&uuid);
        }
        if was_there {
            self.deleted.push(RowRef { table: name, uuid });
        }
    }

    /// The difference as operations, and for each new row the index of its insert.
    ///
    /// What is changed must still be what it was when it was read: each change is preceded by a
    /// `wait` for the old values, which fails when somebody else was faster.
    #[must_use]
    pub fn operations(&self) -> (Vec<Value>, BTreeMap<Uuid, usize>) {
        let new = self.new_rows();
        let mut operations = Vec::new();
        for (table, uuid, row) in self.all() {
            let Some(before) = &row.before else { continue };
            let changed = row.now.iter().filter(|(name, now)| before.get(*name) != Some(now));
            let columns: Vec<&str> = changed.map(|(name, _)| name.as_ref()).collect();
            if columns.is_empty() {
                continue;
            }
            let of = |from: &Columns| -> Map<String, Value> {
                let held = columns.iter().filter_map(|c| Some(((*c).to_owned(), from.get(*c)?)));
                held.map(|(name, datum)| (name, named(datum.to_json(), &new))).collect()
            };
            let whole = json!([["_uuid", "==", ["uuid", uuid.to_string()]]]);
            operations.push(json!({
                "op": "wait", "timeout": 0, "table": table, "where": whole, "until": "==",
                "columns": columns, "rows": [of(before)],
            }));
            operations
                .push(json!({"op": "update", "table": table, "where": whole, "row": of(&row.now)}));
        }
        let mut inserts = BTreeMap::new();
        for (table, uuid, row) in self.all().filter(|(.., row)| row.before.is_none()) {
            let defaults = self.schema.table(table);
            let differs = |name: &str, datum: &Datum| {
                let column = defaults.and_then(|table| table.column(name));
                column.is_none_or(|column: &ColumnSchema| column.default.as_ref() != datum)
            };
            let given = row.now.iter().filter(|(name, datum)| differs(name, datum));
            let given: Map<String, Value> = given
                .map(|(name, datum)| (name.to_string(), named(datum.to_json(), &new)))
                .collect();
            inserts.insert(uuid, operations.len());
            let key = if self.wanted.contains(&uuid) { "uuid" } else { "uuid-name" };
            let name = new.get(&uuid).cloned().unwrap_or_else(|| uuid.to_string());
            operations.push(json!({"op": "insert", "table": table, key: name, "row": given}));
        }
        // Rows of other tables go when nothing refers to them any more; the server sees to it.
        let is_root = |table: &str| self.schema.table(table).is_some_and(|table| table.is_root);
        for RowRef { table, uuid } in self.deleted.iter().filter(|row| is_root(&row.table)) {
            let whole = json!([["_uuid", "==", ["uuid", uuid.to_string()]]]);
            operations.push(json!({"op": "delete", "table": table.as_ref(), "where": whole}));
        }
        (operations, inserts)
    }

    fn all(&self) -> impl Iterator<Item = (&str, Uuid, &Row)> {
        let tables = self.tables.iter();
        tables.flat_map(|(table, rows)| {
            rows.iter().map(move |(uuid, row)| (table.as_ref(), *uuid, row))
        })
    }

    /// Rows whose uuid the server will choose, with the name they have in this transaction.
    fn new_rows(&self) -> BTreeMap<Uuid, String> {
        self.all()
            .filter(|(_, uuid, row)| row.before.is_none() && !self.wanted.contains(uuid))
            .map(|(_, uuid, _)| (uuid, format!("row{}", uuid.simple())))
            .collect()
    }
}

/// The JSON of a datum, in which rows that are made here go by their name.
fn named(json: Value, new: &BTreeMap<Uuid, String>) -> Value {
    let Value::Array(parts) = json else { return json };
    if let [Value::String(tag), Value::String(text)] = parts.as_slice()
        && tag == "uuid"
        && let Some(name) = Uuid::try_parse(text).ok().and_then(|uuid| new.get(&uuid))
    {
        return json!(["named-uuid", name]);
    }
    Value::Array(parts.into_iter().map(|part| named(part, new)).collect())
}
