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
//! A record that does not fit the schema ends the file in the same way.
//!
//! **Faults.** A disk that is full or read-only keeps nobody from reading: see [`Fault`] and `log/mend.rs`.
//!
//! **Symlinks** are resolved first: a compaction renames the real file, and the lock file stands beside it.

mod mend;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use mend::{Fault, FaultHandle};
use mend::{Rewrite, Undone};

use crate::store::Commit;
use crate::store::database::{Change, Database};
use crate::store::files::{rename, replace, resolve, temporary, with_suffix};
use crate::store::lockfile::LockFile;
use crate::store::record::{load, record, transaction_json};
use crate::value::schema::{Schema, SchemaError};

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
    /// A member of a cluster has a file of another kind.
    #[error(
        "{}: of a clustered database: `ovsdb-tool cluster-to-standalone` makes a file of it that can be \
         served", .0.display()
    )]
    Clustered(PathBuf),
    /// A database of another name.
    #[error("{}: a database of {found}, not of {wanted}", path.display())]
    OtherDatabase {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        wanted: String,
    },
    /// Rows that do not fit the newer schema.
    #[error("{}: cannot be converted from schema {from} to {to}: {what}", path.display())]
    Upgrade {
        /// The file.
        path: PathBuf,
        /// Version of its schema.
        from: String,
        /// The newer version.
        to: String,
        /// The fault.
        what: String,
    },
    /// The schema record is JSON but not a schema.
    #[error("{}: {source}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: SchemaError,
    },
}

/// An open database file, locked against other users.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Arc<File>,
    /// Where the next record goes.
    end: u64,
    /// Size after the last compaction, or when opened.
    base: u64,
    /// Records written, and how many of them the disk has.
    written: u64,
    synced: u64,
    /// Records since a compaction started that is not over.
    tail: Option<Vec<u8>>,
    /// Held by whoever writes the file of a compaction.
    writing: Arc<()>,
    /// None while the lock file cannot be made.
    lock: Option<LockFile>,
    /// What has to be done before anything can be written.
    undone: Undone,
    /// Why nothing can be written.
    fault: FaultHandle,
}

/// Everything that a compaction writes: a copy of the rows as they were when it started.
#[derive(Debug)]
pub struct Compaction {
    db: Database,
    path: PathBuf,
    target: PathBuf,
    writing: Arc<()>,
}

/// The file that a compaction has written, not in place yet.
#[derive(Debug)]
pub struct Compacted {
    file: File,
    path: PathBuf,
    bytes: u64,
    _writing: Arc<()>,
}

impl Compaction {
    /// Writes the new file beside the old one, and the disk has it. May run on any thread.
    ///
    /// # Errors
    /// What the system said; nothing is left behind.
    pub fn write(self) -> io::Result<Compacted> {
        let bytes = whole(&self.db, "compacting database online");
        let written = temporary(&self.path, &self.target).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            Ok(file)
        });
        match written {
            Ok(file) => {
                let bytes = bytes.len() as u64;
                Ok(Compacted { file, path: self.path, bytes, _writing: self.writing })
            }
            Err(error) => {
                // The error that counts is the one above.
                let _ = std::fs::remove_file(&self.path);
                Err(error)
            }
        }
    }
}

impl Compacted {
    /// Adds records that were written to the old file meanwhile. May run on any thread.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.file.write_all(records)?;
        self.file.sync_data()?;
        self.bytes += records.len() as u64;
        Ok(())
    }
}

impl Log {
    /// Opens `path`, or creates it with `schema` in it when it is missing or empty, and reads it. A file that
    /// can be read and not written is served for reading: see [`Log::fault`].
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path, schema: &str) -> Result<(Self, Database), LogError> {
        let path = resolve(path);
        let failed = |source| LogError::Io { path: path.clone(), source };
        let lock = match LockFile::take(&path) {
            Ok(lock) => Some(lock),
            Err(LogError::Io { .. }) => None,
            Err(error) => return Err(error),
        };
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
        let (mut file, is_writable) = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => (file, true),
            Err(_) => (File::open(&path).map_err(failed)?, false),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (db, end) = load(&path, &bytes)?;
        let is_ours = is_writable && lock.is_some();
        let undone = Undone::of_opened(&file, is_ours, end < bytes.len()).map_err(failed)?;
        let end = end as u64;
        let mut log = Self {
            path,
            file: Arc::new(file),
            end,
            base: end,
            // What is there may have been written without reaching the disk.
            written: 1,
            synced: 0,
            tail: None,
            writing: Arc::default(),
            lock,
            undone,
            fault: FaultHandle::default(),
        };
        log.mend(&db);
        Ok((log, db))
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

    /// Appends a transaction, for the disk to have at the next sync. Writes nothing when only ephemeral
    /// columns changed.
    ///
    /// # Errors
    /// [`Fault`]; the file is as before.
    pub fn append(&mut self, schema: &Schema, commit: &Commit) -> Result<(), Fault> {
        let Some(body) = transaction_json(schema, commit) else { return Ok(()) };
        self.check_ready()?;
        let bytes = record(&body);
        if let Err(error) = self.write_at_end(&bytes) {
            // Nobody may read back what the client was told has not happened.
            if self.file.set_len(self.end).is_err() {
                self.undone.rewrite = Some(Rewrite::after_a_fault());
            }
            self.undone.room = bytes.len() as u64;
            return Err(self.fail(Fault::new("write failed", &error)));
        }
        self.recover();
        self.end += bytes.len() as u64;
        self.written += 1;
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn write_at_end(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(bytes)
    }

    /// True when something was written that the disk may not have.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.synced < self.written || self.undone.rewrite.is_some()
    }

    /// The file to sync, and what [`Log::synced`] has to be told afterwards.
    #[must_use]
    pub fn to_sync(&self) -> (Arc<File>, u64) {
        (Arc::clone(&self.file), self.written)
    }

    /// A sync is over. After one that failed nobody knows what the disk has: nothing more is written until
    /// everything was written anew.
    pub fn synced(&mut self, file: &Arc<File>, written: u64, outcome: &io::Result<()>) {
        match outcome {
            Ok(()) => self.synced = self.synced.max(written),
            Err(error) if Arc::ptr_eq(file, &self.file) => {
                self.undone.rewrite = Some(Rewrite::after_a_fault());
                self.fail(Fault::new("sync failed", error));
            }
            Err(_) => {}
        }
    }

    /// True when the file has grown so much that a compaction pays.
    #[must_use]
    pub fn wants_compaction(&self) -> bool {
        self.tail.is_none()
            && self.check_ready().is_ok()
            && self.end > COMPACT_BYTES_MIN
            && self.end > self.base.saturating_mul(4)
    }

    /// True from the start of a compaction to its end.
    #[must_use]
    pub fn is_compacting(&self) -> bool {
        self.tail.is_some()
    }

    /// Starts a compaction: a new file with the schema and one transaction that holds every row. It copies
    /// pointers to the rows, no rows; [`Compaction::write`] does the work, [`Log::put_in_place`] ends it.
    /// None while one is under way, be it one that was given up, and while nothing can be written.
    #[must_use]
    pub fn start_compaction(&mut self, db: &Database) -> Option<Compaction> {
        if self.check_ready().is_err()
            || self.tail.is_some()
            || Arc::strong_count(&self.writing) > 1
        {
            return None;
        }
        self.tail = Some(Vec::new());
        Some(Compaction {
            db: db.snapshot(),
            path: with_suffix(&self.path, ".compacting"),
            target: self.path.clone(),
            writing: Arc::clone(&self.writing),
        })
    }

    /// The records written since the compaction started, or since this was called last.
    pub fn take_tail(&mut self) -> Vec<u8> {
        self.tail.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ends a compaction whose file cannot be used; the old file stays in use.
    pub fn give_up_compaction(&mut self) {
        if self.tail.take().is_some() {
            // The next attempt has to wait until the file has grown once more.
            self.base = self.end;
        }
    }

    /// Puts the new file in place, with what was written since.
    ///
    /// # Errors
    /// What the system said; the old file stays in use.
    pub fn put_in_place(&mut self, mut new: Compacted) -> io::Result<()> {
        let placed = match self.tail.take() {
            None => Err(io::Error::other("the database was replaced meanwhile")),
            Some(tail) if tail.is_empty() => rename(&new.path, &self.path),
            Some(tail) => new.append(&tail).and_then(|()| rename(&new.path, &self.path)),
        };
        match placed {
            Ok(()) => self.use_file(new.file, new.bytes),
            // The error that counts is the other one.
            Err(_) => drop(std::fs::remove_file(&new.path)),
        }
        placed
    }

    fn use_file(&mut self, file: File, bytes: u64) {
        self.file = Arc::new(file);
        self.end = bytes;
        self.base = bytes;
        self.synced = self.written;
        self.tail = None;
        self.undone = Undone::default();
        self.recover();
    }

    /// Replaces schema and rows, with one transaction that says `comment`. A compaction under way comes to
    /// nothing.
    ///
    /// # Errors
    /// [`Fault`]; the old file stays in use.
    pub fn replace_with(&mut self, db: &Database, comment: &str) -> Result<(), Fault> {
        self.check_ours()?;
        self.give_up_compaction();
        let bytes = whole(db, comment);
        let placed = replace(&self.path, &bytes)
            .and_then(|()| OpenOptions::new().read(true).write(true).open(&self.path));
        match placed {
            Ok(file) => self.use_file(file, bytes.len() as u64),
            Err(error) => return Err(self.fail(Fault::new("cannot be written anew", &error))),
        }
        Ok(())
    }
}

/// A file with the schema and one transaction that holds every row.
fn whole(db: &Database, comment: &str) -> Vec<u8> {
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
    let commit = Commit { changes, comment: Some(comment.to_owned()), durable: true };
    if let Some(body) = transaction_json(db.schema(), &commit) {
        bytes.extend_from_slice(&record(&body));
    }
    bytes
}
