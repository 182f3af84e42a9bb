//! The database: tables in memory, and the file in the format that `ovsdb-tool` reads.

pub mod database;
pub(crate) mod files;
pub(crate) mod lockfile;
pub mod log;
pub mod record;
