//! Faults of a disk, which keep no switch from forwarding.

use std::io::{Error, ErrorKind};

/// True when a disk is full or read-only: what could not be written is tried again.
#[must_use]
pub fn is_disk_fault(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    )
}
