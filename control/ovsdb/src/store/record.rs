//! Records: the text of the file, written and read.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::store::Commit;
use crate::store::database::{Change, Database, Row};
use crate::store::log::LogError;
use crate::value::atom::parse_uuid;
use crate::value::datum::Datum;
use crate::value::schema::{Schema, TableSchema};

/// What every record starts with.
pub(crate) const MAGIC: &[u8] = b"OVSDB JSON ";
/// Longest header: magic, a length, a hash.
const HEADER_BYTES_MAX: usize = 128;

/// One record as bytes.
#[must_use]
pub fn record(json: &str) -> Vec<u8> {
    let digest = digest(&[json.as_bytes(), b"\n"]);
    format!("OVSDB JSON {} {digest}\n{json}\n", json.len() + 1).into_bytes()
}

/// SHA-1 of `parts` in lower-case hex.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    let mut text = String::with_capacity(40);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads the record at the start of `bytes`: its JSON and its length. None when it is torn.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<(Value, usize)> {
    let window = bytes.get(..bytes.len().min(HEADER_BYTES_MAX))?;
    let header = window.split(|byte| *byte == b'\n').next()?;
    if header.len() == window.len() {
        return None;
    }
    let fields = std::str::from_utf8(header.strip_prefix(MAGIC)?).ok()?;
    let (length, digest) = fields.split_once(' ')?;
    let length: usize = length.parse().ok()?;
    let start = header.len() + 1;
    let end = start.checked_add(length)?;
    let body = bytes.get(start..end)?;
    if self::digest(&[body]) != digest {
        return None;
    }
    Some((serde_json::from_slice(body).ok()?, end))
}

/// Reads a whole file: the database and the number of good bytes. A record that is torn, or does not fit the
/// schema, ends it.
///
/// # Errors
/// [`LogError`] when there is no schema.
pub fn load(path: &Path, bytes: &[u8]) -> Result<(Database, usize), LogError> {
    if bytes.starts_with(b"OVSDB CLUSTER ") {
        return Err(LogError::Clustered(path.to_owned()));
    }
    let (schema, mut offset) =
        read_record(bytes).ok_or_else(|| LogError::NotADatabase(path.to_owned()))?;
    let schema = Schema::from_json(schema)
        .map_err(|source| LogError::Schema { path: path.to_owned(), source })?;
    let mut db = Database::new(Arc::new(schema));
    while let Some((json, length)) = bytes.get(offset..).and_then(read_record) {
        if let Err(what) = replay(&mut db, &json) {
            tracing::warn!(file = %path.display(), offset, "this record and all after it are left out: {what}");
            break;
        }
        offset += length;
    }
    db.finish_load();
    Ok((db, offset))
}

/// Does all that a record says, or nothing.
fn replay(db: &mut Database, json: &Value) -> Result<(), String> {
    let mut loaded = Vec::new();
    let object = json.as_object().ok_or("not an object")?;
    let is_diff = object.get("_is_diff").and_then(Value::as_bool).unwrap_or(false);
    let schema = Arc::clone(db.schema());
    for (name, rows) in object {
        if name.starts_with('_') {
            continue;
        }
        let (index, table) = schema
            .table_index(name)
            .and_then(|index| Some((index, schema.tables.get(index)?)))
            .ok_or_else(|| format!("unknown table {name}"))?;
        for (uuid, columns) in rows.as_object().ok_or("rows are not an object")? {
            let uuid = parse_uuid(uuid).ok_or_else(|| format!("{uuid} is not a uuid"))?;
            let row = match columns {
                Value::Null => None,
                Value::Object(columns) => {
                    let old = db.row(index, uuid).cloned();
                    let row = replay_row(table, old.as_deref(), columns, is_diff)
                        .map_err(|what| format!("{name} {uuid}: {what}"))?;
                    Some(Arc::new(row))
                }
                _ => return Err(format!("{name} {uuid}: neither a row nor null")),
            };
            loaded.push((index, uuid, row));
        }
    }
    for (table, uuid, row) in loaded {
        db.load_row(table, uuid, row);
    }
    Ok(())
}

fn replay_row(
    table: &TableSchema,
    old: Option<&Row>,
    columns: &serde_json::Map<String, Value>,
    is_diff: bool,
) -> Result<Row, String> {
    let mut row = old.cloned().unwrap_or_else(|| Row::new(table));
    for (name, json) in columns {
        let index = table.column_index(name).ok_or_else(|| format!("unknown column {name}"))?;
        let Some(column) = table.columns.get(index) else { continue };
        let mut ty = column.ty.clone();
        if is_diff {
            ty.min = 0;
            // A difference may hold the removed and the added elements together.
            ty.max = if ty.max == 1 { 1 } else { usize::MAX };
        }
        let datum =
            Datum::from_json(&ty, json, None).map_err(|error| format!("{name}: {error}"))?;
        let datum = match row.get(index) {
            Some(before) if is_diff && old.is_some() => before.apply_diff(&datum, &column.ty),
            _ => datum,
        };
        row.set(table, index, datum);
    }
    Ok(row)
}

/// The record of a transaction; None when nothing in it belongs on disk.
pub(crate) fn transaction_json(schema: &Schema, commit: &Commit) -> Option<String> {
    let mut tables: Vec<(usize, Vec<&Change>)> = Vec::new();
    for change in &commit.changes {
        let Some(table) = schema.tables.get(change.table) else { continue };
        if !persistent(table, change) {
            continue;
        }
        match tables.last_mut() {
            Some((last, rows)) if *last == change.table => rows.push(change),
            _ => tables.push((change.table, vec![change])),
        }
    }
    if tables.is_empty() {
        return None;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let transaction = TransactionJson { schema, tables, comment: commit.comment.as_deref(), date };
    serde_json::to_string(&transaction).ok()
}

fn persistent(table: &TableSchema, change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => table
            .columns
            .iter()
            .enumerate()
            .any(|(index, column)| !column.ephemeral && old.get(index) != new.get(index)),
        _ => true,
    }
}

struct TransactionJson<'a> {
    schema: &'a Schema,
    tables: Vec<(usize, Vec<&'a Change>)>,
    comment: Option<&'a str>,
    date: u64,
}

impl Serialize for TransactionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_date", &self.date)?;
        map.serialize_entry("_is_diff", &true)?;
        if let Some(comment) = self.comment {
            map.serialize_entry("_comment", comment)?;
        }
        for (index, rows) in &self.tables {
            if let Some(table) = self.schema.tables.get(*index) {
                map.serialize_entry(table.name.as_ref(), &RowsJson { table, rows })?;
            }
        }
        map.end()
    }
}

struct RowsJson<'a> {
    table: &'a TableSchema,
    rows: &'a [&'a Change],
}

impl Serialize for RowsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.rows.iter().map(|change| {
            let row = change.new.as_deref().map(|new| RowJson {
                table: self.table,
                old: change.old.as_deref(),
                new,
            });
            (change.uuid.to_string(), row)
        });
        serializer.collect_map(rows)
    }
}

struct RowJson<'a> {
    table: &'a TableSchema,
    old: Option<&'a Row>,
    new: &'a Row,
}

impl Serialize for RowJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, column) in self.table.columns.iter().enumerate() {
            let Some(new) = self.new.get(index).filter(|_| !column.ephemeral) else { continue };
            match self.old.and_then(|old| old.get(index)) {
                None if **new != *column.default => {
                    map.serialize_entry(column.name.as_ref(), new.as_ref())?;
                }
                Some(old) if old != new => {
                    map.serialize_entry(column.name.as_ref(), &old.diff(new, &column.ty))?;
                }
                _ => {}
            }
        }
        map.end()
    }
}
