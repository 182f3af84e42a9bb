//! Why a client fails.

use std::io;

use serde_json::Value;

use crate::jsonrpc::FrameError;
use crate::value::schema::SchemaError;

/// Why a client failed. After anything but [`ClientError::Transaction`] and [`ClientError::Remote`] the
/// connection is of no use: see [`Client::reconnect`].
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// None of the places that [`Client::connect_with`] knows.
    #[error("{0}: not a valid database target")]
    Target(String),
    /// The system refused something.
    #[error("{target}: {source}")]
    Io {
        /// The target.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server closed the connection.
    #[error("connection closed by the database server")]
    Closed,
    /// The database got another schema; [`Client::reconnect`] reads it anew.
    #[error("the database has another schema now")]
    Converted,
    /// The server sent something that is not JSON-RPC.
    #[error("database server: {0}")]
    Frame(#[from] FrameError),
    /// The server's schema is none.
    #[error("database server: {0}")]
    Schema(#[from] SchemaError),
    /// The server sent an update or a reply that makes no sense.
    #[error("database server: {0}")]
    Protocol(String),
    /// The server answered a call with an error.
    #[error("{method}: {error}")]
    Remote {
        /// The method called.
        method: String,
        /// The error as JSON.
        error: Value,
    },
    /// A transaction was refused; nothing of it happened.
    #[error("transaction: {error}: {details}")]
    Transaction {
        /// Tag, such as `constraint violation` or `not owner`.
        error: String,
        /// The sentence.
        details: String,
        /// Which operation; their number when the commit itself failed.
        index: usize,
    },
}
