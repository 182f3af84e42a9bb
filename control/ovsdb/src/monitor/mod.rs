//! Monitors: what a client wants to hear of, and the text of what it hears.
//!
//! `monitor` answers and updates with old and new columns (RFC 7047 section 4.1.5); `monitor_cond` and
//! `monitor_cond_since` add conditions and send differences (`update2`, `update3`). The text of an update
//! depends on the specification alone, so sessions that ask for the same share it.

pub(crate) mod history;
pub(crate) mod initial;
pub mod outbox;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::monitor::history::Merged;
use crate::store::database::{Change, Database, Row};
use crate::txn::columns_from_json;
use crate::txn::condition::Condition;
use crate::value::atom::Atom;
use crate::value::datum::Datum;
use crate::value::error::OvsdbError;
use crate::value::schema::{ColumnRef, Schema, TableSchema};

/// Which generation of the protocol a monitor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `monitor` and `update`.
    Update,
    /// `monitor_cond` and `update2`.
    Update2,
    /// `monitor_cond_since` and `update3`.
    Update3,
}

impl Kind {
    /// Name of the notification.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Update2 => "update2",
            Self::Update3 => "update3",
        }
    }
}

const INITIAL: u8 = 1;
const INSERT: u8 = 2;
const DELETE: u8 = 4;
const MODIFY: u8 = 8;
const ALL: u8 = INITIAL | INSERT | DELETE | MODIFY;

#[derive(Clone, Debug)]
struct TableMonitor {
    columns: Vec<(ColumnRef, u8)>,
    select: u8,
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
        rows: impl Iterator<Item = (&'r Uuid, &'r std::sync::Arc<Row>)>,
        kind: Kind,
    ) -> String {
        let Some(monitor) = self.tables.get(&index) else { return String::new() };
        let mut out = Out(Vec::new());
        for (uuid, row) in rows.filter(|(uuid, row)| monitor.condition.any(**uuid, row)) {
            if !out.0.is_empty() {
                out.raw(b",");
            }
            out.row_name(*uuid);
            match kind {
                Kind::Update => out.full(b"{\"new\":", table, monitor, INITIAL, *uuid, row),
                _ => out.brief(b"{\"initial\":", table, monitor, INITIAL, *uuid, row),
            }
            out.raw(b"}");
        }
        // It is JSON, which is UTF-8.
        String::from_utf8(out.0).unwrap_or_default()
    }

    /// What the client hears of a commit; None when nothing.
    #[must_use]
    pub fn update(&self, schema: &Schema, changes: &[Change], kind: Kind) -> Option<String> {
        let mut text = TablesText::new(schema);
        for change in changes {
            if let Some(monitor) = self.tables.get(&change.table) {
                let seen = |row: &Option<std::sync::Arc<Row>>| {
                    row.clone().filter(|row| monitor.condition.any(change.uuid, row))
                };
                let (old, new) = (seen(&change.old), seen(&change.new));
                text.change(change, monitor, old.as_deref(), new.as_deref(), kind);
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
                let change = Change {
                    table: *index,
                    uuid: *uuid,
                    old: before.condition.any(*uuid, row).then(|| std::sync::Arc::clone(row)),
                    new: after.condition.any(*uuid, row).then(|| std::sync::Arc::clone(row)),
                };
                if change.old.is_some() != change.new.is_some() {
                    let (old, new) = (change.old.as_deref(), change.new.as_deref());
                    text.change(&change, after, old, new, kind);
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

/// `{"Table":{"uuid":…,…},…}` being written.
struct TablesText<'a> {
    schema: &'a Schema,
    out: Out,
    table: Option<usize>,
}

impl<'a> TablesText<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self { schema, out: Out(Vec::new()), table: None }
    }

    fn row(&mut self, index: usize, uuid: Uuid, write: impl FnOnce(&mut Out, &TableSchema)) {
        let Some(table) = self.schema.tables.get(index) else { return };
        if self.table == Some(index) {
            self.out.raw(b",");
        } else {
            self.out.raw(if self.table.is_some() { b"}," } else { b"{" });
            self.out.json(table.name.as_ref());
            self.out.raw(b":{");
            self.table = Some(index);
        }
        self.out.row_name(uuid);
        write(&mut self.out, table);
        self.out.raw(b"}");
    }

    fn change(
        &mut self,
        change: &Change,
        monitor: &TableMonitor,
        old: Option<&Row>,
        new: Option<&Row>,
        kind: Kind,
    ) {
        let (index, uuid) = (change.table, change.uuid);
        let wants = |flag| monitor.select & flag != 0;
        match (old, new) {
            (None, Some(new)) if wants(INSERT) => self.row(index, uuid, |out, table| match kind {
                Kind::Update => out.full(b"{\"new\":", table, monitor, INSERT, uuid, new),
                _ => out.brief(b"{\"insert\":", table, monitor, INSERT, uuid, new),
            }),
            (Some(old), None) if wants(DELETE) => self.row(index, uuid, |out, table| match kind {
                Kind::Update => out.full(b"{\"old\":", table, monitor, DELETE, uuid, old),
                _ => out.raw(b"{\"delete\":null"),
            }),
            (Some(old), Some(new)) if wants(MODIFY) && modified(monitor, uuid, old, new) => {
                self.row(index, uuid, |out, table| match kind {
                    Kind::Update => {
                        out.changed(b"{\"old\":", table, monitor, uuid, (old, new), false);
                        out.full(b",\"new\":", table, monitor, MODIFY, uuid, new);
                    }
                    _ => out.changed(b"{\"modify\":", table, monitor, uuid, (old, new), true),
                });
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Option<String> {
        self.table?;
        self.out.raw(b"}}");
        String::from_utf8(self.out.0).ok()
    }
}

/// True when a column other than `_version` that the client follows has changed.
fn modified(monitor: &TableMonitor, uuid: Uuid, old: &Row, new: &Row) -> bool {
    monitor.columns.iter().any(|(column, select)| {
        select & MODIFY != 0
            && *column != ColumnRef::Version
            && old.value(uuid, *column) != new.value(uuid, *column)
    })
}

struct Out(Vec<u8>);

impl Out {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn row_name(&mut self, uuid: Uuid) {
        let mut buffer = Uuid::encode_buffer();
        self.raw(b"\"");
        self.raw(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
        self.raw(b"\":");
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Writing our own types to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// A datum; sets of references, which may be large, without the detour of a serializer.
    fn datum(&mut self, datum: &Datum) {
        let atoms = datum.atoms();
        if atoms.len() < 2 || !atoms.iter().all(|atom| matches!(atom, Atom::Uuid(_))) {
            return self.json(datum);
        }
        let mut separator: &[u8] = b"[\"set\",[";
        let mut buffer = Uuid::encode_buffer();
        for uuid in datum.uuids() {
            self.raw(separator);
            self.raw(b"[\"uuid\",\"");
            self.raw(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
            self.raw(b"\"]");
            separator = b",";
        }
        self.raw(b"]]");
    }

    fn columns<'c>(
        &mut self,
        prefix: &[u8],
        columns: impl Iterator<Item = (&'c str, std::sync::Arc<Datum>)>,
    ) {
        self.raw(prefix);
        self.raw(b"{");
        for (index, (name, datum)) in columns.enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.json(name);
            self.raw(b":");
            self.datum(&datum);
        }
        self.raw(b"}");
    }

    /// Every column, as `update` has it.
    fn full(
        &mut self,
        prefix: &[u8],
        table: &TableSchema,
        monitor: &TableMonitor,
        flag: u8,
        uuid: Uuid,
        row: &Row,
    ) {
        let columns = monitor.columns.iter().filter(|(_, select)| select & flag != 0);
        self.columns(
            prefix,
            columns.map(|(column, _)| (table.column_name(*column), row.value(uuid, *column))),
        );
    }

    /// The columns that differ from their default, as `update2` has it.
    fn brief(
        &mut self,
        prefix: &[u8],
        table: &TableSchema,
        monitor: &TableMonitor,
        flag: u8,
        uuid: Uuid,
        row: &Row,
    ) {
        let columns = monitor.columns.iter().filter(|(_, select)| select & flag != 0);
        self.columns(
            prefix,
            columns.map(|(column, _)| (*column, row.value(uuid, *column))).filter_map(
                |(column, datum)| {
                    let default = match column {
                        ColumnRef::Column(index) => {
                            table.columns.get(index).is_some_and(|it| it.default == datum)
                        }
                        ColumnRef::Uuid | ColumnRef::Version => false,
                    };
                    (!default).then(|| (table.column_name(column), datum))
                },
            ),
        );
    }

    /// The columns that changed: their old values, or the difference.
    fn changed(
        &mut self,
        prefix: &[u8],
        table: &TableSchema,
        monitor: &TableMonitor,
        uuid: Uuid,
        (old, new): (&Row, &Row),
        diff: bool,
    ) {
        let columns = monitor.columns.iter().filter(|(_, select)| select & MODIFY != 0);
        self.columns(
            prefix,
            columns.filter_map(|(column, _)| {
                let (before, after) = (old.value(uuid, *column), new.value(uuid, *column));
                if before == after {
                    return None;
                }
                let datum = if diff {
                    std::sync::Arc::new(before.diff(&after, table.column_type(*column)))
                } else {
                    before
                };
                Some((table.column_name(*column), datum))
            }),
        );
    }
}

/// A monitor of a session.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    /// The client's name for it.
    pub id: Value,
    /// Number of the database.
    pub db: usize,
    /// Generation of the protocol.
    pub kind: Kind,
    /// Equal specifications share one.
    pub spec: Rc<MonitorSpec>,
    /// What happened since the session started to lag, if it does.
    pub missed: Option<Merged>,
}

impl Monitor {
    /// The start of an update up to its body; `]}` ends it. `last` is the newest transaction in it.
    pub fn update_start(&self, last: Uuid) -> Rc<str> {
        let (method, id) = (self.kind.method(), &self.id);
        let start = match self.kind {
            Kind::Update3 => {
                format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},\"{last}\",")
            }
            _ => format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},"),
        };
        Rc::from(start)
    }

    /// Rows that are remembered for it.
    pub fn missed_rows(&self) -> usize {
        self.missed.as_ref().map_or(0, Merged::len)
    }
}
