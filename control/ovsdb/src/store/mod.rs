//! The database: tables in memory, and the file in the format that `ovsdb-tool` reads.

pub mod database;
pub(crate) mod files;
pub(crate) mod lockfile;
pub mod log;
pub mod record;

use database::Change;

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
