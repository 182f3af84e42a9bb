//! What keeps the file from being written, and how it is mended without a restart.
//!
//! A disk that is full, read-only or broken must keep nobody from reading the database: a switch goes on
//! forwarding by what it says. Transactions that would need the disk are refused with an `I/O error`, as
//! Open vSwitch refuses them on a full disk, until [`Log::mend`] has done what was left undone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, fallocate};

use super::{Log, LogError};
use crate::store::database::Database;
use crate::store::files::with_suffix;
use crate::store::lockfile::LockFile;
use crate::store::record::MAGIC;
use crate::value::error::{OvsdbError, system_text};

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {error}")]
pub struct Fault {
    /// What cannot be done.
    pub what: &'static str,
    /// What the system says.
    pub error: String,
}

impl Fault {
    pub(crate) fn new(what: &'static str, error: &io::Error) -> Self {
        Self { what, error: system_text(error) }
    }

    /// What a client is told whose transaction cannot be written.
    pub(crate) fn answer(&self, path: &Path) -> OvsdbError {
        let mut error = OvsdbError::new("I/O error", format!("{}: {}", path.display(), self.what));
        error.io_error = Some(self.error.clone());
        error
    }
}

/// Why nothing can be written to a file, for any thread to see; nothing when it can.
#[derive(Clone, Debug, Default)]
pub struct FaultHandle(Arc<Mutex<Option<Fault>>>);

impl FaultHandle {
    /// Why nothing can be written.
    #[must_use]
    pub fn get(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets it; what it was before.
    fn replace(&self, fault: Option<Fault>) -> Option<Fault> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), fault)
    }
}

/// What has to be done before anything can be written.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// What the file was when it was read without its lock or the right to write it.
    reopen: Option<Identity>,
    /// Bytes after the last good record have to go.
    cut: bool,
    /// Everything has to be written anew.
    pub rewrite: Option<Rewrite>,
    /// Bytes that found no room.
    pub room: u64,
}

/// Device, inode, length, time of the last change.
type Identity = (u64, u64, u64, i64, i64);

fn identity(file: &File) -> io::Result<Identity> {
    let it = file.metadata()?;
    Ok((it.dev(), it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
}

/// Why everything has to be written anew.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    comment: String,
    /// Where the file is kept as it was before.
    backup: Option<PathBuf>,
}

impl Rewrite {
    /// Nobody knows what the disk has.
    pub fn after_a_fault() -> Self {
        Self { comment: "written anew after a fault of the disk".to_owned(), backup: None }
    }
}

impl Undone {
    /// Of a file that was just read.
    pub fn of_opened(file: &File, is_ours: bool, has_more: bool) -> io::Result<Self> {
        let reopen = if is_ours { None } else { Some(identity(file)?) };
        Ok(Self { reopen, cut: has_more, ..Self::default() })
    }
}

impl Log {
    /// Why nothing can be written now.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    /// The same, for other threads.
    #[must_use]
    pub fn fault_handle(&self) -> FaultHandle {
        self.fault.clone()
    }

    /// Has everything written under a newer schema, at once if that can be; `backup` gets the file as it is.
    pub(crate) fn convert_to(&mut self, db: &Database, backup: PathBuf, comment: &str) {
        self.undone.rewrite = Some(Rewrite { comment: comment.to_owned(), backup: Some(backup) });
        self.mend(db);
    }

    /// Does what was left undone, when something was; `db` is what the file should hold.
    pub fn mend(&mut self, db: &Database) {
        match self.try_mend(db) {
            Ok(()) => self.recover(),
            Err(fault) => {
                self.fail(fault);
            }
        }
    }

    fn try_mend(&mut self, db: &Database) -> Result<(), Fault> {
        if self.lock.is_none() {
            self.take_lock()?;
        }
        if let Some(seen) = self.undone.reopen {
            let failed = |error| Fault::new("cannot be opened for writing", &error);
            let file =
                OpenOptions::new().read(true).write(true).open(&self.path).map_err(failed)?;
            if identity(&file).map_err(failed)? != seen {
                let error = "a restart reads it anew".to_owned();
                return Err(Fault { what: "was changed by somebody else", error });
            }
            self.file = Arc::new(file);
            self.undone.reopen = None;
        }
        if self.undone.cut {
            cut(&self.path, &self.file, self.end)
                .map_err(|error| Fault::new("what is incomplete cannot be cut off", &error))?;
            self.undone.cut = false;
        }
        if let Some(Rewrite { comment, backup }) = self.undone.rewrite.clone() {
            if let Some(backup) = backup {
                copy(&self.path, &backup)
                    .map_err(|error| Fault::new("no copy can be kept of it", &error))?;
            }
            self.replace_with(db, &comment)?;
        }
        self.find_room()
    }

    /// Takes the lock that was not to be had when the file was read.
    fn take_lock(&mut self) -> Result<(), Fault> {
        let lock = LockFile::take(&self.path).map_err(|error| match error {
            LogError::Io { source, .. } => Fault::new("its lock file cannot be made", &source),
            other => Fault { what: "cannot be locked", error: other.to_string() },
        })?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Sees whether there is room again for what found none.
    fn find_room(&mut self) -> Result<(), Fault> {
        if self.undone.room == 0 {
            return Ok(());
        }
        // The size stays: what is reserved is for the next record.
        match fallocate(&*self.file, FallocateFlags::KEEP_SIZE, self.end, self.undone.room) {
            Ok(()) => {
                self.undone.room = 0;
                Ok(())
            }
            // Then the next transaction finds out.
            Err(rustix::io::Errno::OPNOTSUPP) => match self.fault.get() {
                None => Ok(()),
                Some(fault) => Err(fault),
            },
            Err(error) => Err(Fault::new("write failed", &error.into())),
        }
    }

    /// Checks that the file may be written.
    pub(crate) fn check_ready(&self) -> Result<(), Fault> {
        self.check_ours()?;
        if self.undone.cut || self.undone.rewrite.is_some() {
            return Err(self.known_fault());
        }
        Ok(())
    }

    /// Checks that nobody else may write the file, and that we may.
    pub(super) fn check_ours(&self) -> Result<(), Fault> {
        if self.lock.is_some() && self.undone.reopen.is_none() {
            return Ok(());
        }
        Err(self.known_fault())
    }

    fn known_fault(&self) -> Fault {
        let unknown =
            || Fault { what: "cannot be written", error: "see the log for the reason".to_owned() };
        self.fault.get().unwrap_or_else(unknown)
    }

    /// Notes that nothing can be written, and says so when that is new.
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        if self.fault.replace(Some(fault.clone())).as_ref() != Some(&fault) {
            tracing::error!(
                file = %self.path.display(),
                "the database can be read and not changed: {fault}; this is tried again"
            );
        }
        fault
    }

    /// Notes that everything can be written.
    pub(super) fn recover(&mut self) {
        self.undone.room = 0;
        if self.fault.replace(None).is_some() {
            tracing::info!(file = %self.path.display(), "the database file can be written again");
        }
    }
}

/// Copies a file whole or not at all; a copy that is there already stays.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let copied = std::fs::copy(from, to);
    if copied.is_err() {
        // The error that counts is the one above.
        let _ = std::fs::remove_file(to);
    }
    copied.map(|_| ())
}

/// Cuts off what comes after `end`; more than one record of it is kept beside the file.
fn cut(path: &Path, mut file: &File, end: u64) -> io::Result<()> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    file.read_to_end(&mut tail)?;
    if tail.windows(MAGIC.len()).skip(1).any(|window| window == MAGIC) {
        let torn = with_suffix(path, ".torn");
        let mut copy =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&torn)?;
        copy.write_all(&tail)?;
        copy.sync_all()?;
        tracing::warn!(file = %torn.display(), "more than one record is lost; the rest is kept here");
    }
    file.set_len(end)?;
    file.sync_all()?;
    tracing::warn!(
        file = %path.display(),
        offset = end,
        bytes = tail.len(),
        "the database file had more than can be read; that is cut off"
    );
    Ok(())
}
