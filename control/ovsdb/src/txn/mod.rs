//! The operations of `transact` (RFC 7047 section 5.2): all of them or none.

pub mod condition;
pub(crate) mod integrity;
pub mod known;
pub mod mutate;
pub mod plain;
pub mod results;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::OvsdbError;
use crate::store::database::{Change, Database, Row};
use crate::txn::condition::Condition;
use crate::txn::integrity::Txn;
use crate::txn::mutate::Mutation;
use crate::txn::plain::{Plain, Step};
use crate::txn::results::Results;
use crate::value::atom::{Symbols, is_id, parse_uuid};
use crate::value::datum::Datum;
use crate::value::schema::{ColumnRef, TableSchema};

/// What a transaction needs to know about who asks, and when.
pub struct Context<'a> {
    /// True when the session owns the lock of that name.
    pub owns_lock: &'a dyn Fn(&str) -> bool,
    /// How long this transaction has been waiting already.
    pub waited: Duration,
}

/// A transaction that passed every check and is about to become visible.
#[derive(Debug)]
pub struct Commit {
    /// The rows that changed.
    pub changes: Vec<Change>,
    /// The texts of its `comment` operations, a line each.
    pub comment: Option<String>,
    /// A `commit` operation asked for the disk.
    pub durable: bool,
}

/// How a transaction ended.
#[derive(Debug)]
pub enum Execution {
    /// It has results, one per operation and maybe one more about the commit.
    Done {
        /// One of each, in order.
        results: Results,
        /// What it changed; None after an error.
        commit: Option<Commit>,
    },
    /// A `wait` does not hold yet: run it again after a change, or when this time is over (None: never).
    Wait {
        /// Time from the first attempt to the deadline.
        timeout: Option<Duration>,
    },
}

/// Runs `operations` on `db`. `persist` is called once when every check passed and may still refuse.
pub fn execute<'o, O>(
    db: &mut Database,
    operations: &'o [O],
    context: &Context<'_>,
    persist: &mut dyn FnMut(&Commit) -> Result<(), OvsdbError>,
) -> Execution
where
    Step<'o>: From<&'o O>,
{
    let mut run = Run {
        txn: Txn::new(db),
        symbols: Symbols::default(),
        results: Results::default(),
        total: operations.iter().map(|operation| Step::from(operation).count()).sum(),
        comments: Vec::new(),
        durable: false,
        waits: Waits::default(),
        context,
    };
    for (place, operation) in operations.iter().enumerate() {
        match run.step(operation.into(), place) {
            Ok(()) => {}
            Err(Stop::Error(error)) => {
                run.results.push(&error.to_json());
                run.results.fill(run.total);
                run.txn.rollback();
                return Execution::Done { results: run.results, commit: None };
            }
            Err(Stop::Wait(timeout)) => {
                run.txn.rollback();
                return Execution::Wait { timeout };
            }
        }
    }
    let mut results = run.results;
    let commit = run.txn.precommit().and_then(|changes| {
        let comment = (!run.comments.is_empty()).then(|| run.comments.join("\n"));
        let commit = Commit { changes, comment, durable: run.durable };
        persist(&commit)?;
        Ok(commit)
    });
    match commit {
        Ok(commit) => {
            if run.waits.unknown >= REMEMBERED_MIN {
                let waits = operations.get(..run.waits.end).unwrap_or_default();
                run.txn.remember(waits.iter().map(Step::from));
            }
            run.txn.commit(&commit.changes);
            Execution::Done { results, commit: Some(commit) }
        }
        Err(error) => {
            run.txn.rollback();
            results.push(&error.to_json());
            Execution::Done { results, commit: None }
        }
    }
}

enum Stop {
    Error(OvsdbError),
    Wait(Option<Duration>),
}

impl From<OvsdbError> for Stop {
    fn from(error: OvsdbError) -> Self {
        Self::Error(error)
    }
}

/// So many waits that were not known are worth to remember those of a transaction.
const REMEMBERED_MIN: usize = 64;

/// The waits of the plain form that came before the first change, all of which held.
#[derive(Default)]
struct Waits {
    /// Those that were not known.
    unknown: usize,
    /// Where in the operations the last one is, and one more.
    end: usize,
}

struct Run<'a, 'b> {
    txn: Txn<'a>,
    symbols: Symbols,
    results: Results,
    /// Number of operations.
    total: usize,
    waits: Waits,
    comments: Vec<String>,
    durable: bool,
    context: &'b Context<'b>,
}

impl Run<'_, '_> {
    /// Does what stands at `place`.
    fn step(&mut self, step: Step<'_>, place: usize) -> Result<(), Stop> {
        match step {
            Step::Json(json) => self.general(json),
            Step::Plain(plain) => {
                let is_first = plain.is_wait() && self.txn.is_untouched();
                self.plain(plain)?;
                if is_first {
                    self.waits = Waits { unknown: self.waits.unknown + 1, end: place + 1 };
                }
                Ok(())
            }
            Step::Held(held) if self.txn.is_untouched() && self.txn.vouches_for(&held) => {
                self.results.push_nothing(held.count);
                self.waits.end = place + 1;
                Ok(())
            }
            Step::Held(held) => held.waits().try_for_each(|wait| self.plain(&wait)),
        }
    }

    fn plain(&mut self, plain: &Plain<'_>) -> Result<(), Stop> {
        match plain.execute(&mut self.txn, &mut self.symbols) {
            Some(result) => {
                self.results.push(&result);
                Ok(())
            }
            None => self.general(&plain.to_json()),
        }
    }

    fn general(&mut self, json: &Value) -> Result<(), Stop> {
        let result = self.operation(json, self.results.count() + 1, self.total)?;
        self.results.push(&result);
        Ok(())
    }

    fn operation(&mut self, json: &Value, index: usize, total: usize) -> Result<Value, Stop> {
        let schema = Arc::clone(self.txn.schema());
        let mut parser = Parser::new(json, index, total)?;
        let name = parser.text("op");
        parser.check()?;
        match name.unwrap_or("") {
            "insert" => self.insert(&schema, parser),
            "select" => self.select(&schema, parser),
            "update" => self.update(&schema, parser),
            "mutate" => self.mutate(&schema, parser),
            "delete" => self.delete(&schema, parser),
            "wait" => self.wait(&schema, parser),
            "commit" => {
                let durable = parser.boolean("durable");
                parser.finish()?;
                self.durable |= durable.unwrap_or(false);
                Ok(json!({}))
            }
            "comment" => {
                let text = parser.text("comment");
                parser.finish()?;
                self.comments.extend(text.map(|text| text.replace('\0', "")));
                Ok(json!({}))
            }
            "abort" => {
                parser.finish()?;
                Err(OvsdbError::new("aborted", "aborted by request").into())
            }
            "assert" => {
                let lock = parser.id("lock").unwrap_or("");
                parser.finish()?;
                if (self.context.owns_lock)(lock) {
                    return Ok(json!({}));
                }
                let text = format!("Asserted lock {lock} not held.");
                Err(OvsdbError::new("not owner", text).into())
            }
            name => {
                parser.fail(format!("No operation \"{name}\""));
                Err(parser.check().err().unwrap_or_else(|| OvsdbError::syntax(json, "")).into())
            }
        }
    }

    fn insert(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let table = parser.table(schema);
        let row_json = parser.object("row");
        let name = parser.optional_id("uuid-name");
        let wanted = parser.optional_text("uuid");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let wanted = match wanted {
            None => None,
            Some(text) => Some(
                parse_uuid(text)
                    .ok_or_else(|| OvsdbError::syntax(&Value::from(text), "bad uuid"))?,
            ),
        };
        if let Some(uuid) = wanted
            && self.txn.knows((number, uuid))
        {
            let text = "This UUID would duplicate a UUID already present within the table or \
                        deleted within the same transaction.";
            let json = Value::from(uuid.to_string());
            return Err(OvsdbError::new("duplicate uuid", text).about(&json).into());
        }
        let uuid = match name {
            None => wanted.unwrap_or_else(Uuid::new_v4),
            Some(name) => self.symbols.create(name, wanted).ok_or_else(|| {
                let text = "This \"uuid-name\" appeared on an earlier \"insert\" operation.";
                OvsdbError::new("duplicate uuid-name", text).about(&Value::from(name))
            })?,
        };
        let mut row = Row::new(table);
        let given = self.row_from_json(table, row_json)?;
        let columns: BTreeSet<ColumnRef> = given.iter().map(|(column, _)| *column).collect();
        for (column, datum) in given {
            if let ColumnRef::Column(column) = column {
                row.set(table, column, datum);
            }
        }
        for (index, column) in table.columns.iter().enumerate() {
            if let Some(error) = &column.default_error
                && !columns.contains(&ColumnRef::Column(index))
            {
                return Err(error.clone().into());
            }
        }
        self.txn.put((number, uuid), Some(Arc::new(row)));
        Ok(json!({"uuid": ["uuid", uuid.to_string()]}))
    }

    fn select(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let table = parser.table(schema);
        let condition = parser.array("where");
        let columns = parser.optional_array("columns");
        let sort = parser.optional_array("sort");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let columns = match columns {
            None => every_column(table),
            Some(json) => columns_from_json(table, json)?,
        };
        let sort = sort.map_or(Ok(Vec::new()), |json| columns_from_json(table, json))?;
        let mut found: Vec<(Uuid, &Arc<Row>)> = condition
            .matching(&self.txn, number, table)
            .into_iter()
            .filter_map(|uuid| Some((uuid, self.txn.row((number, uuid))?)))
            .collect();
        if !sort.is_empty() {
            found.sort_by(|a, b| compare_rows(&sort, a, b));
        }
        let distinct = columns.contains(&ColumnRef::Uuid);
        let mut seen: HashSet<Vec<Arc<Datum>>> = HashSet::new();
        let mut rows = Vec::new();
        for (uuid, row) in found {
            let values: Vec<Arc<Datum>> =
                columns.iter().map(|column| row.value(uuid, *column)).collect();
            let object: Map<String, Value> = columns
                .iter()
                .zip(&values)
                .map(|(column, datum)| (table.column_name(*column).to_owned(), datum.to_json()))
                .collect();
            if distinct || seen.insert(values) {
                rows.push(Value::Object(object));
            }
        }
        Ok(json!({ "rows": rows }))
    }

    fn update(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let table = parser.table(schema);
        let condition = parser.array("where");
        let row_json = parser.object("row");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let given = self.row_from_json(table, row_json)?;
        for (column, _) in &given {
            let mutable = matches!(column, ColumnRef::Column(index)
                if table.columns.get(*index).is_some_and(|column| column.mutable));
            if !mutable {
                let name = table.column_name(*column);
                let text =
                    format!("Cannot update immutable column {name} in table {}.", table.name);
                return Err(OvsdbError::constraint(text).about(parser.json).into());
            }
        }
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        self.change_rows((number, table), &condition, |row| {
            for (column, datum) in &given {
                if let ColumnRef::Column(column) = column {
                    row.set(table, *column, datum.clone());
                }
            }
            Ok(())
        })
    }

    fn mutate(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let table = parser.table(schema);
        let condition = parser.array("where");
        let mutations = parser.array("mutations");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let mutations = mutations
            .as_array()
            .into_iter()
            .flatten()
            .map(|json| Mutation::from_json(table, json, &mut self.symbols))
            .collect::<Result<Vec<_>, _>>()?;
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        self.change_rows((number, table), &condition, |row| {
            mutations.iter().try_for_each(|mutation| mutation.apply(table, row))
        })
    }

    /// Changes every row for which `condition` holds and answers with their count.
    fn change_rows(
        &mut self,
        (number, table): (usize, &TableSchema),
        condition: &Condition,
        mut change: impl FnMut(&mut Row) -> Result<(), OvsdbError>,
    ) -> Result<Value, Stop> {
        let matching = condition.matching(&self.txn, number, table);
        for uuid in &matching {
            if let Some(row) = self.txn.row_mut((number, *uuid)) {
                change(row)?;
            }
        }
        Ok(json!({"count": matching.len()}))
    }

    fn delete(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let table = parser.table(schema);
        let condition = parser.array("where");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let matching = condition.matching(&self.txn, number, table);
        for uuid in &matching {
            self.txn.put((number, *uuid), None);
        }
        Ok(json!({"count": matching.len()}))
    }

    fn wait(
        &mut self,
        schema: &crate::value::schema::Schema,
        mut parser: Parser<'_>,
    ) -> Result<Value, Stop> {
        let timeout = parser.optional_number("timeout");
        let table = parser.table(schema);
        let condition = parser.array("where");
        let columns = parser.optional_array("columns");
        let until = parser.text("until");
        let rows = parser.array("rows");
        parser.finish()?;
        let Some((number, table)) = table else { return Ok(Value::Null) };
        let equal = match until {
            Some("==") => true,
            Some("!=") => false,
            other => {
                let json = Value::from(other);
                return Err(OvsdbError::syntax(&json, "\"until\" must be \"==\" or \"!=\"").into());
            }
        };
        let condition = Condition::from_json(table, condition, Some(&mut self.symbols))?;
        let columns = match columns {
            Some(json) => columns_from_json(table, json)?,
            None => (0..table.columns.len()).map(ColumnRef::Column).collect(),
        };
        let mut expected: BTreeSet<Vec<Arc<Datum>>> = BTreeSet::new();
        for row in rows.as_array().into_iter().flatten() {
            expected.insert(self.expected_row(table, row, &columns)?);
        }
        let found: BTreeSet<Vec<Arc<Datum>>> = condition
            .matching(&self.txn, number, table)
            .into_iter()
            .filter_map(|uuid| Some((uuid, self.txn.row((number, uuid))?)))
            .map(|(uuid, row)| columns.iter().map(|column| row.value(uuid, *column)).collect())
            .collect();
        if (found == expected) == equal {
            return Ok(json!({}));
        }
        self.unsatisfied(timeout)
    }

    fn unsatisfied(&self, timeout: Option<u64>) -> Result<Value, Stop> {
        let waited = self.context.waited;
        let timeout = timeout.map(Duration::from_millis);
        match timeout {
            Some(timeout) if timeout.is_zero() => {
                Err(OvsdbError::new("timed out", "\"where\" clause test failed").into())
            }
            Some(timeout) if waited >= timeout => {
                let text = format!("\"wait\" timed out after {} ms", waited.as_millis());
                Err(OvsdbError::new("timed out", text).into())
            }
            _ => Err(Stop::Wait(timeout)),
        }
    }

    fn expected_row(
        &mut self,
        table: &TableSchema,
        json: &Value,
        columns: &[ColumnRef],
    ) -> Result<Vec<Arc<Datum>>, OvsdbError> {
        let given = self.row_from_json(table, json)?;
        Ok(columns
            .iter()
            .map(|column| {
                let found = given.iter().find(|(candidate, _)| candidate == column);
                found.map_or_else(
                    || Arc::new(table.column_type(*column).default_datum()),
                    |(_, datum)| Arc::new(datum.clone()),
                )
            })
            .collect())
    }

    fn row_from_json(
        &mut self,
        table: &TableSchema,
        json: &Value,
    ) -> Result<Vec<(ColumnRef, Datum)>, OvsdbError> {
        let Value::Object(object) = json else {
            return Err(OvsdbError::syntax(json, "row must be JSON object"));
        };
        let mut columns = Vec::with_capacity(object.len());
        for (name, value) in object {
            let column = table.column_ref(name).ok_or_else(|| {
                let text = format!("No column {name} in table {}.", table.name);
                OvsdbError::new("unknown column", text).about(json)
            })?;
            let ty = table.column_type(column);
            columns.push((column, Datum::from_json(ty, value, Some(&mut self.symbols))?));
        }
        Ok(columns)
    }
}

/// The order of two rows by these columns.
fn compare_rows(columns: &[ColumnRef], a: &(Uuid, &Arc<Row>), b: &(Uuid, &Arc<Row>)) -> Ordering {
    let by_column = columns.iter().map(|column| {
        let [a, b] = [a, b].map(|(uuid, row)| row.value(*uuid, *column));
        a.compare(&b)
    });
    by_column.fold(Ordering::Equal, Ordering::then)
}

fn every_column(table: &TableSchema) -> Vec<ColumnRef> {
    let columns = (0..table.columns.len()).map(ColumnRef::Column);
    [ColumnRef::Uuid, ColumnRef::Version].into_iter().chain(columns).collect()
}

/// Reads an array of distinct column names.
///
/// # Errors
/// `syntax error`.
pub(crate) fn columns_from_json(
    table: &TableSchema,
    json: &Value,
) -> Result<Vec<ColumnRef>, OvsdbError> {
    let distinct = || OvsdbError::syntax(json, "array of distinct column names expected");
    let names = json.as_array().ok_or_else(distinct)?;
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let name = name.as_str().ok_or_else(distinct)?;
        let column = table.column_ref(name).ok_or_else(|| {
            OvsdbError::syntax(json, format!("{name} is not a valid column name"))
        })?;
        if columns.contains(&column) {
            return Err(distinct());
        }
        columns.push(column);
    }
    Ok(columns)
}

static NULL: Value = Value::Null;

/// Takes the members out of one operation, remembers the first fault and the members nobody asked for.
struct Parser<'a> {
    json: &'a Value,
    object: &'a Map<String, Value>,
    used: Vec<&'static str>,
    fault: Option<String>,
    index: usize,
    total: usize,
}

impl<'a> Parser<'a> {
    fn new(json: &'a Value, index: usize, total: usize) -> Result<Self, OvsdbError> {
        let Value::Object(object) = json else {
            let text =
                format!("Parsing ovsdb operation {index} of {total} failed: Object expected.");
            return Err(OvsdbError::new("syntax error", text));
        };
        Ok(Self { json, object, used: Vec::new(), fault: None, index, total })
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn member<T>(
        &mut self,
        name: &'static str,
        required: bool,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        self.used.push(name);
        match self.object.get(name) {
            None => {
                if required {
                    self.fail(format!("Required '{name}' member is missing."));
                }
                None
            }
            Some(value) => {
                let read = read(value);
                if read.is_none() {
                    self.fail(format!("Type mismatch for member '{name}'."));
                }
                read
            }
        }
    }

    fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.member(name, true, Value::as_str)
    }

    fn optional_text(&mut self, name: &'static str) -> Option<&'a str> {
        self.member(name, false, Value::as_str)
    }

    fn id(&mut self, name: &'static str) -> Option<&'a str> {
        self.member(name, true, |value| value.as_str().filter(|text| is_id(text)))
    }

    fn optional_id(&mut self, name: &'static str) -> Option<&'a str> {
        self.member(name, false, |value| value.as_str().filter(|text| is_id(text)))
    }

    fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.member(name, true, Value::as_bool)
    }

    fn optional_number(&mut self, name: &'static str) -> Option<u64> {
        self.member(name, false, |value| {
            value.as_i64().map(|number| u64::try_from(number).unwrap_or(0))
        })
    }

    fn object(&mut self, name: &'static str) -> &'a Value {
        self.member(name, true, |value| value.is_object().then_some(value)).unwrap_or(&NULL)
    }

    fn array(&mut self, name: &'static str) -> &'a Value {
        self.member(name, true, |value| value.is_array().then_some(value)).unwrap_or(&NULL)
    }

    fn optional_array(&mut self, name: &'static str) -> Option<&'a Value> {
        self.member(name, false, |value| value.is_array().then_some(value))
    }

    fn table<'s>(
        &mut self,
        schema: &'s crate::value::schema::Schema,
    ) -> Option<(usize, &'s TableSchema)> {
        let name = self.id("table")?;
        let found = schema
            .table_index(name)
            .and_then(|index| schema.tables.get(index).map(|table| (index, table)));
        if found.is_none() {
            self.fail(format!("No table named {name}."));
        }
        found
    }

    /// The first fault so far.
    fn check(&self) -> Result<(), OvsdbError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => {
                let (index, total) = (self.index, self.total);
                let text = format!("Parsing ovsdb operation {index} of {total} failed: {fault}");
                Err(OvsdbError::syntax(self.json, text))
            }
        }
    }

    /// The first fault, a member nobody asked for included.
    fn finish(&mut self) -> Result<(), OvsdbError> {
        if self.fault.is_none()
            && let Some(name) = self.object.keys().find(|name| !self.used.contains(&name.as_str()))
        {
            self.fault = Some(format!("Member '{name}' is present but not allowed here."));
        }
        self.check()
    }
}
