//! What a monitor covers: tables, columns, conditions, and which kinds of change.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::monitor::Kind;
use crate::monitor::text::{RowsText, TablesText};
use crate::store::database::{Change, Database, Row};
use crate::txn::columns_from_json;
use crate::txn::condition::Condition;
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::schema::{ColumnRef, Schema, TableSchema};

// Kinds of change.
pub(super) const INITIAL: u8 = 1;
pub(super) const INSERT: u8 = 2;
pub(super) const DELETE: u8 = 4;
pub(super) const MODIFY: u8 = 8;
const ALL: u8 = INITIAL | INSERT | DELETE | MODIFY;

/// What a monitor covers of one table.
#[derive(Clone, Debug)]
pub(super) struct TableMonitor {
    /// Columns, each with the kinds of change for which it is sent.
    columns: Vec<(ColumnRef, u8)>,
    /// The kinds of change that are sent.
    pub select: u8,
    condition: Condition,
}

/// What one monitor covers.
#[derive(Clone, Debug, Default)]
pub struct MonitorSpec {
    tables: BTreeMap<usize, TableMonitor>,
}

impl MonitorSpec {
    /// Reads `<monitor-requests>`; conditions are allowed when `conditional`.
    ///
    /// # Errors
    /// `syntax error` and the errors of conditions.
    pub fn from_json(schema: &Schema, json: &Value, conditional: bool) -> Result<Self, OvsdbError> {
        let Value::Object(requests) = json else {
            return Err(OvsdbError::syntax(json, "monitor-requests must be object"));
        };
        let mut tables = BTreeMap::new();
        for (name, request) in requests {
            let (index, table) = find_table(schema, name)?;
            let mut monitor =
                TableMonitor { columns: Vec::new(), select: 0, condition: Condition::default() };
            let mut clauses = Vec::new();
            match request {
                Value::Array(requests) => {
                    for request in requests {
                        monitor.add(table, request, conditional, &mut clauses)?;
                    }
                }
                request => monitor.add(table, request, conditional, &mut clauses)?,
            }
            monitor.condition = Condition::from_json(table, &Value::Array(clauses), None)?;
            monitor.columns.sort_unstable();
            tables.insert(index, monitor);
        }
        Ok(Self { tables })
    }

    /// The same with the conditions of `monitor_cond_change`.
    ///
    /// # Errors
    /// As [`MonitorSpec::from_json`].
    pub fn with_conditions(&self, schema: &Schema, json: &Value) -> Result<Self, OvsdbError> {
        let Value::Object(requests) = json else {
            return Err(OvsdbError::syntax(json, "monitor-cond-change-requests must be object"));
        };
        let mut spec = self.clone();
        for (name, request) in requests {
            let (index, table) = find_table(schema, name)?;
            let Some(monitor) = spec.tables.get_mut(&index) else {
                let text = format!("no table named {name} in monitor session");
                return Err(OvsdbError::new("syntax error", text));
            };
            let Value::Array(requests) = request else {
                let text = format!("table {name} no monitor-cond-change JSON array");
                return Err(OvsdbError::new("syntax error", text));
            };
            let mut clauses = Vec::new();
            for request in requests {
                clauses.extend(changed_clauses(table, request)?);
            }
            monitor.condition = Condition::from_json(table, &Value::Array(clauses), None)?;
        }
        Ok(spec)
    }

    /// A text that is equal for equal specifications.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{self:?}")
    }

    /// Numbers of the tables whose rows the reply to the monitor request holds.
    pub(crate) fn initial_tables(&self) -> impl Iterator<Item = usize> {
        let wanted = self.tables.iter().filter(|(_, monitor)| monitor.select & INITIAL != 0);
        wanted.map(|(index, _)| *index)
    }

    /// Those of `rows` that the client may see, as the members of a JSON object.
    pub(crate) fn initial_rows<'r>(
        &self,
        index: usize,
        table: &TableSchema,
        rows: impl Iterator<Item = (&'r Uuid, &'r Arc<Row>)>,
        kind: Kind,
    ) -> String {
        let Some(monitor) = self.tables.get(&index) else { return String::new() };
        let mut text = RowsText::default();
        for (uuid, row) in rows.filter(|(uuid, row)| monitor.condition.any(**uuid, row)) {
            text.initial(&Followed { table, monitor, uuid: *uuid }, row, kind);
        }
        text.finish()
    }

    /// What the client hears of a commit; None when nothing.
    #[must_use]
    pub fn update(&self, schema: &Schema, changes: &[Change], kind: Kind) -> Option<String> {
        let mut text = TablesText::new(schema);
        for change in changes {
            if let Some(monitor) = self.tables.get(&change.table) {
                let seen = |row: &Option<Arc<Row>>| {
                    row.clone().filter(|row| monitor.condition.any(change.uuid, row))
                };
                let (old, new) = (seen(&change.old), seen(&change.new));
                text.change(
                    (change.table, change.uuid),
                    monitor,
                    (old.as_deref(), new.as_deref()),
                    kind,
                );
            }
        }
        text.finish()
    }

    /// What the client hears when the conditions become those of `new`; None when nothing.
    #[must_use]
    pub fn condition_change(&self, new: &Self, db: &Database, kind: Kind) -> Option<String> {
        let mut text = TablesText::new(db.schema());
        for (index, before) in &self.tables {
            let (Some(after), Some(table)) = (new.tables.get(index), db.table(*index)) else {
                continue;
            };
            for (uuid, row) in table.rows() {
                let seen = |spec: &TableMonitor| spec.condition.any(*uuid, row).then_some(&**row);
                let (old, new) = (seen(before), seen(after));
                if old.is_some() != new.is_some() {
                    text.change((*index, *uuid), after, (old, new), kind);
                }
            }
        }
        text.finish()
    }
}

fn find_table<'a>(schema: &'a Schema, name: &str) -> Result<(usize, &'a TableSchema), OvsdbError> {
    schema
        .table_index(name)
        .and_then(|index| Some((index, schema.tables.get(index)?)))
        .ok_or_else(|| OvsdbError::new("syntax error", format!("no table named {name}")))
}

/// The columns of one row that a client follows.
#[derive(Clone, Copy)]
pub(super) struct Followed<'a> {
    pub table: &'a TableSchema,
    pub monitor: &'a TableMonitor,
    pub uuid: Uuid,
}

impl Followed<'_> {
    /// The columns that are sent for this kind of change.
    pub fn columns(self, change: u8, row: &Row) -> impl Iterator<Item = (ColumnRef, Arc<Datum>)> {
        let columns = self.monitor.columns.iter().filter(move |(_, select)| select & change != 0);
        columns.map(move |(column, _)| (*column, row.value(self.uuid, *column)))
    }

    /// Those of them that differ from their default.
    pub fn filled(self, change: u8, row: &Row) -> impl Iterator<Item = (ColumnRef, Arc<Datum>)> {
        self.columns(change, row).filter(move |(column, datum)| match *column {
            ColumnRef::Column(index) => {
                self.table.columns.get(index).is_none_or(|it| it.default != *datum)
            }
            ColumnRef::Uuid | ColumnRef::Version => true,
        })
    }

    /// The columns that differ, with their old and new values.
    pub fn changed(
        self,
        old: &Row,
        new: &Row,
    ) -> impl Iterator<Item = (ColumnRef, Arc<Datum>, Arc<Datum>)> {
        let both = self.columns(MODIFY, old).zip(self.columns(MODIFY, new));
        let both = both.map(|((column, before), (_, after))| (column, before, after));
        both.filter(|(_, before, after)| before != after)
    }
}

impl TableMonitor {
    fn add(
        &mut self,
        table: &TableSchema,
        json: &Value,
        conditional: bool,
        clauses: &mut Vec<Value>,
    ) -> Result<(), OvsdbError> {
        let fault = |what: String| {
            OvsdbError::syntax(json, format!("Parsing table {} failed: {what}", table.name))
        };
        let Value::Object(object) = json else {
            return Err(fault("Object expected.".to_owned()));
        };
        for name in object.keys() {
            let allowed =
                matches!(name.as_str(), "columns" | "select") || (conditional && name == "where");
            if !allowed {
                return Err(fault(format!("Member '{name}' is present but not allowed here.")));
            }
        }
        let select = match object.get("select") {
            None => ALL,
            Some(Value::Object(select)) => select_from_json(select).map_err(fault)?,
            Some(_) => return Err(fault("Type mismatch for member 'select'.".to_owned())),
        };
        let columns = match object.get("columns") {
            Some(json) => columns_from_json(table, json)?,
            None => std::iter::once(ColumnRef::Version)
                .chain((0..table.columns.len()).map(ColumnRef::Column))
                .collect(),
        };
        for column in columns {
            if self.columns.iter().any(|(seen, _)| *seen == column) {
                let json = object.get("columns").unwrap_or(json);
                let text = format!("column {} mentioned more than once", table.column_name(column));
                return Err(OvsdbError::syntax(json, text));
            }
            self.columns.push((column, select));
        }
        self.select |= select;
        if let Some(Value::Array(list)) = object.get("where") {
            clauses.extend(list.iter().cloned());
        }
        Ok(())
    }
}

/// The `where` of one request of `monitor_cond_change`.
fn changed_clauses(table: &TableSchema, json: &Value) -> Result<Vec<Value>, OvsdbError> {
    let fault = |what: String| {
        OvsdbError::syntax(json, format!("Parsing table {} failed: {what}", table.name))
    };
    let Value::Object(object) = json else {
        return Err(fault("Object expected.".to_owned()));
    };
    if object.contains_key("columns") {
        return Err(OvsdbError::syntax(json, "changing columns is unsupported"));
    }
    if let Some(name) = object.keys().find(|name| *name != "where") {
        return Err(fault(format!("Member '{name}' is present but not allowed here.")));
    }
    match object.get("where") {
        Some(Value::Array(clauses)) => Ok(clauses.clone()),
        Some(_) => Err(fault("Type mismatch for member 'where'.".to_owned())),
        None => Ok(Vec::new()),
    }
}

fn select_from_json(object: &Map<String, Value>) -> Result<u8, String> {
    let mut select = ALL;
    for (name, value) in object {
        let flag = match name.as_str() {
            "initial" => INITIAL,
            "insert" => INSERT,
            "delete" => DELETE,
            "modify" => MODIFY,
            _ => return Err(format!("Member '{name}' is present but not allowed here.")),
        };
        match value.as_bool() {
            Some(true) => {}
            Some(false) => select &= !flag,
            None => return Err(format!("Type mismatch for member '{name}'.")),
        }
    }
    Ok(select)
}
