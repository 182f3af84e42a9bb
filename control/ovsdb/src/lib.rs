//! OVSDB (RFC 7047 and the methods that came later): a server with its file, and a client with a replica.
//!
//! The crate knows tables, columns and constraints from schemas; what they mean to a switch it does not know.
//!
//! # Map
//!
//! | module | what it is |
//! | --- | --- |
//! | [`value`], [`datum`] | atoms; sets, maps and their differences |
//! | [`schema`] | column types and constraints; the built-in schemas |
//! | [`db`], `integrity` | tables in memory, indexes, reference counts; the checks of a commit |
//! | [`condition`], [`mutate`], [`txn`], [`results`] | the operations of `transact`, all or nothing |
//! | [`plain`], [`known`] | the operations that stock clients send by the ten thousand, without a tree of JSON, or unread |
//! | [`log`], [`record`], `files`, `lockfile`, `disk`, `upgrade` | the file, in the format that `ovsdb-tool` reads |
//! | `state`, `commits`, `subscriptions`, [`convert`] | what each method does, without sockets |
//! | [`monitor`], `initial`, `history`, [`lock`], [`outbox`] | what sessions hear, missed, own, and have still to be sent |
//! | [`server`], `endpoint`, `session`, `manager`, [`remote`], `tls`, [`jsonrpc`] | the sockets |
//! | [`client`], `link`, [`replica`], [`ops`] | the other side |
//!
//! # Life of a transaction
//!
//! ```text
//! bytes -> jsonrpc::Framer -> plain::Request, or Message -> State::start
//!   txn::execute   operations change rows in place; the first touch of each row is remembered
//!   precommit      strong references, garbage, weak references, row limits, indexes
//!   log.append     the record is written
//!   publish        monitors: one text per specification, shared by sessions; update before reply
//!   reply          at once, or when the disk has it; then every transaction in a `wait` gets another chance
//! ```
//!
//! Any error before the end puts every row back. A commit costs what it touched, not what is stored.
//!
//! # Threads
//!
//! One each. Server and client are made for a `current_thread` runtime; the server's tasks are local tasks.
//! Compactions, syncs of a slow disk, and the reading of large messages by a client alone run on tokio's threads
//! for blocking work.
//!
//! # Limits
//!
//! [`server::Limits`]: message size, nesting, sessions, monitors, locks, waiting transactions, what is
//! kept for those who do not read.
#![forbid(unsafe_code)]

pub mod ciphers;
mod client;
mod commits;
pub mod condition;
pub mod convert;
pub mod datum;
pub mod db;
mod disk;
mod endpoint;
pub mod error;
mod files;
mod history;
mod initial;
mod integrity;
pub mod jsonrpc;
pub mod known;
mod link;
pub mod lock;
mod lockfile;
pub mod log;
mod manager;
pub mod monitor;
pub mod mutate;
pub mod ops;
pub mod outbox;
pub mod plain;
pub mod record;
pub mod remote;
pub mod replica;
pub mod results;
pub mod schema;
pub mod server;
mod session;
mod state;
mod subscriptions;
mod tls;
pub mod txn;
mod upgrade;
pub mod value;

pub use client::{Changes, Client, ClientError};
pub use datum::Datum;
pub use error::OvsdbError;
pub use log::FaultHandle;
pub use replica::{Replica, ReplicaRow, ReplicaTable};
pub use server::{Limits, Server, ServerConfig, ServerError};
pub use state::Memory;
pub use tls::TlsFiles;
pub use value::Atom;
