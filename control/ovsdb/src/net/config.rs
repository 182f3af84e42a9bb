//! How to start a server, and why it does not start.

use std::path::PathBuf;

use crate::methods::limits::Limits;
use crate::net::remote::RemoteError;
use crate::store::log::LogError;
use crate::value::schema::VSWITCH_SCHEMA;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The database file; made when missing.
    pub db_path: PathBuf,
    /// What [`Remote::parse`] reads.
    pub remotes: Vec<String>,
    /// Table whose first row names key, certificate and CA of TLS: columns `private_key`, `certificate`,
    /// `ca_cert`, `bootstrap_ca_cert`.
    pub tls_table: String,
    /// Schema of a file that has to be made.
    pub schema: String,
    /// Limits.
    pub limits: Limits,
}

impl ServerConfig {
    /// A server of `db_path` with the built-in schema, listening nowhere but where
    /// `Open_vSwitch.manager_options` says.
    #[must_use]
    pub fn new(db_path: impl Into<PathBuf>) -> Self {
        Self {
            db_path: db_path.into(),
            remotes: vec!["db:Open_vSwitch,Open_vSwitch,manager_options".to_owned()],
            tls_table: "SSL".to_owned(),
            schema: VSWITCH_SCHEMA.to_owned(),
            limits: Limits::default(),
        }
    }

    /// The same, listening at `remote` too.
    #[must_use]
    pub fn remote(mut self, remote: impl Into<String>) -> Self {
        self.remotes.push(remote.into());
        self
    }
}

/// Why a server does not start, or a remote is not added.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database file.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A remote that cannot be.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A remote that the system refuses.
    #[error("{remote}: {source}")]
    Listen {
        /// The remote.
        remote: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A compaction that failed; the old file stays in use.
    #[error("compaction: {0}")]
    Compact(std::io::Error),
    /// No such database.
    #[error("no database by that name")]
    UnknownDatabase,
    /// A remote `db:DB,TABLE,COLUMN` of what no schema has.
    #[error("\"{remote}\": {missing}")]
    NoColumn {
        /// The remote.
        remote: String,
        /// What there is not.
        missing: String,
    },
    /// No thread for it.
    #[error("the thread of the database: {0}")]
    Thread(std::io::Error),
    /// `_Server` has no file.
    #[error("cannot compact built-in databases")]
    BuiltIn,
}
