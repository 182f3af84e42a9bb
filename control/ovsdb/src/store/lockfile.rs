//! The lock beside a database file, which `ovsdb-tool` takes too.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};

use crate::store::log::LogError;

/// The lock that `ovsdb-tool` takes before it touches the file: `.<name>.~lock~` beside it, fcntl.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
    id: (u64, u64),
}

/// fcntl locks do not exclude the own process, and go when it closes any handle of the file.
static HELD: Mutex<Option<HashSet<(u64, u64)>>> = Mutex::new(None);

impl LockFile {
    /// Takes the lock of the database file `path`.
    pub fn take(path: &Path) -> Result<Self, LogError> {
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
