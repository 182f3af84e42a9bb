//! The file: OVSDB's own log format, which `ovsdb-tool` reads and writes.
//!
//! A record is `OVSDB JSON <length> <sha1>\n` and then `length` bytes of JSON that end in a newline. The
//! first record is the schema, each later one a transaction: tables, in them rows by uuid, in them the
//! changed columns (null for a deleted row), beside `_date` (ms), `_comment` and `_is_diff`. With
//! `_is_diff` a column of a row that exists holds the difference, without it the value.
//!
//! **Recovery.** A kill or power cut may leave a last record that is cut short or whose hash is wrong. It
//! was never acknowledged as durable, so it is cut off when the file is opened, with a line in the log.
//! When what is cut off holds the start of further records, it is kept beside the file as `<file>.torn`.
//!
//! **Symlinks** are resolved first: a compaction renames the real file, and the lock file stands beside it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, fcntl_lock};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::datum::Datum;
use crate::db::{Change, Database, Row};
use crate::schema::{Schema, SchemaError, TableSchema};
use crate::txn::Commit;
use crate::value::parse_uuid;

const MAGIC: &[u8] = b"OVSDB JSON ";
/// Longest header: magic, a length, a hash.
const HEADER_BYTES_MAX: usize = 128;
/// Files smaller than this are never compacted by themselves.
const COMPACT_BYTES_MIN: u64 = 10 << 20;

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or this one, has it open.
    #[error("{}: the database file is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The first record is not a schema.
    #[error("{}: not an OVSDB database file", .0.display())]
    NotADatabase(PathBuf),
    /// The schema record is JSON but not a schema.
    #[error("{}: {source}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: SchemaError,
    },
    /// A whole record with a good hash that does not fit the schema.
    #[error("{}: record at byte {offset}: {what}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where the record starts.
        offset: u64,
        /// The fault.
        what: String,
    },
}

/// An open database file, locked against other users.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    end: u64,
    /// Size after the last compaction, or when opened.
    base: u64,
    /// A failed write could not be undone: nothing more can be written.
    broken: bool,
    _lock: LockFile,
}

impl Log {
    /// Opens `path`, or creates it with `schema` in it when it is missing or empty, and reads it.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path, schema: &str) -> Result<(Self, Database), LogError> {
        let path = resolve(path);
        let failed = |source| LogError::Io { path: path.clone(), source };
        let lock = LockFile::take(&path)?;
        let missing = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len() == 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(failed(error)),
        };
        if missing {
            let schema = Schema::parse(schema)
                .map_err(|source| LogError::Schema { path: path.clone(), source })?;
            replace(&path, &record(&schema.json().to_string())).map_err(failed)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (db, end) = load(&path, &bytes)?;
        if end < bytes.len() {
            cut(&path, &file, &bytes, end).map_err(failed)?;
        }
        let end = end as u64;
        Ok((Self { path, file, end, base: end, broken: false, _lock: lock }, db))
    }

    /// The real file, symlinks resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end
    }

    /// Appends a transaction; on the disk, too, when it is durable. Writes nothing when only ephemeral
    /// columns changed.
    ///
    /// # Errors
    /// What the system said; the file is as before.
    pub fn append(&mut self, schema: &Schema, commit: &Commit) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed and could not be undone"));
        }
        let bytes = transaction_json(schema, commit).map(|body| record(&body)).unwrap_or_default();
        if let Err(error) = self.write_at_end(&bytes, commit.durable) {
            // Nobody may read back what the client was told has not happened.
            self.broken = self.file.set_len(self.end).is_err();
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn write_at_end(&mut self, bytes: &[u8], durable: bool) -> io::Result<()> {
        if !bytes.is_empty() {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(bytes)?;
        }
        if durable { self.file.sync_data() } else { Ok(()) }
    }

    /// True when the file has grown so much that [`Log::compact`] pays.
    #[must_use]
    pub fn wants_compaction(&self) -> bool {
        self.end > COMPACT_BYTES_MIN && self.end > self.base.saturating_mul(4)
    }

    /// Writes a new file with the schema and one transaction that holds every row, then renames it.
    ///
    /// # Errors
    /// What the system said; the old file stays in use.
    pub fn compact(&mut self, db: &Database) -> io::Result<()> {
        let mut bytes = record(&db.schema().json().to_string());
        let changes: Vec<Change> = (0..db.schema().tables.len())
            .filter_map(|table| Some((table, db.table(table)?)))
            .flat_map(|(table, body)| {
                body.rows().iter().map(move |(uuid, row)| Change {
                    table,
                    uuid: *uuid,
                    old: None,
                    new: Some(Arc::clone(row)),
                })
            })
            .collect();
        let comment = Some("compacting database online".to_owned());
        let commit = Commit { changes, comment, durable: true };
        if let Some(body) = transaction_json(db.schema(), &commit) {
            bytes.extend_from_slice(&record(&body));
        }
        replace(&self.path, &bytes)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.end = bytes.len() as u64;
        self.base = self.end;
        self.broken = false;
        Ok(())
    }
}

/// Follows symlinks; of a file that does not exist yet, those of its directory.
fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // A dangling symlink names the file to be made; the bound ends loops.
    for _ in 0..16 {
        if let Ok(real) = std::fs::canonicalize(&path) {
            return real;
        }
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| target.clone(), |parent| parent.join(&target));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    match (std::fs::canonicalize(parent), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path,
    }
}

/// Puts `bytes` in place of `path`, so that a crash leaves the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&temporary)?;
    if let Ok(old) = std::fs::metadata(path) {
        file.set_permissions(old.permissions())?;
        // Only root may give a file away; the mode above is safe without.
        let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn cut(path: &Path, file: &File, bytes: &[u8], end: usize) -> io::Result<()> {
    let tail = bytes.get(end..).unwrap_or_default();
    let more = tail.windows(MAGIC.len()).skip(1).any(|window| window == MAGIC);
    tracing::warn!(
        file = %path.display(),
        offset = end,
        bytes = tail.len(),
        "the last record of the database file is incomplete and is cut off"
    );
    if more {
        let mut name = path.as_os_str().to_owned();
        name.push(".torn");
        let torn = PathBuf::from(name);
        tracing::warn!(file = %torn.display(), "more than one record is lost; the rest is kept here");
        let mut copy =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&torn)?;
        copy.write_all(tail)?;
        copy.sync_all()?;
    }
    file.set_len(end as u64)?;
    file.sync_all()
}

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

/// Reads a whole file: the database and the number of good bytes.
///
/// # Errors
/// [`LogError`] when there is no schema or a record does not fit it.
pub fn load(path: &Path, bytes: &[u8]) -> Result<(Database, usize), LogError> {
    let (schema, mut offset) =
        read_record(bytes).ok_or_else(|| LogError::NotADatabase(path.to_owned()))?;
    let schema = Schema::from_json(schema)
        .map_err(|source| LogError::Schema { path: path.to_owned(), source })?;
    let mut db = Database::new(Arc::new(schema));
    while let Some((json, length)) = bytes.get(offset..).and_then(read_record) {
        replay(&mut db, &json).map_err(|what| LogError::Record {
            path: path.to_owned(),
            offset: offset as u64,
            what,
        })?;
        offset += length;
    }
    db.finish_load();
    Ok((db, offset))
}

fn replay(db: &mut Database, json: &Value) -> Result<(), String> {
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
            db.load_row(index, uuid, row);
        }
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
fn transaction_json(schema: &Schema, commit: &Commit) -> Option<String> {
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

/// The lock that `ovsdb-tool` takes before it touches the file: `.<name>.~lock~` beside it, fcntl.
#[derive(Debug)]
struct LockFile {
    _file: File,
    id: (u64, u64),
}

/// fcntl locks do not exclude the own process, and go when it closes any handle of the file.
static HELD: Mutex<Option<HashSet<(u64, u64)>>> = Mutex::new(None);

impl LockFile {
    fn take(path: &Path) -> Result<Self, LogError> {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let lock_path = path.with_file_name(format!(".{name}.~lock~"));
        let failed = |source| LogError::Io { path: lock_path.clone(), source };
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_or_insert_default();
        if let Ok(metadata) = std::fs::metadata(&lock_path)
            && held.contains(&(metadata.dev(), metadata.ino()))
        {
            return Err(LogError::Locked(path.to_owned()));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Err(LogError::Locked(path.to_owned()));
            }
            Err(error) => return Err(failed(error.into())),
        }
        let metadata = file.metadata().map_err(failed)?;
        let id = (metadata.dev(), metadata.ino());
        held.insert(id);
        Ok(Self { _file: file, id })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_mut() {
            held.remove(&self.id);
        }
    }
}
