//! OVSDB (RFC 7047 and the methods that came later): a server with its file, and a client with a replica.
//!
//! The crate knows tables, columns and constraints from schemas; what they mean to a switch it does not know.
//!
//! # Map
//!
//! | folder | what it is |
//! | --- | --- |
//! | [`value`] | atoms; sets, maps and their differences; schemas with their types and constraints |
//! | [`store`] | tables in memory with indexes and reference counts; the file, in the format that `ovsdb-tool` reads |
//! | [`txn`] | the operations of `transact`, all or nothing, and the checks of a commit |
//! | [`monitor`] | what clients hear, have missed, and have still to be sent |
//! | [`methods`] | what each method does, without sockets |
//! | [`net`] | the server's sockets, and its tasks around the disk |
//! | [`client`] | the other side: a connection, a replica, the JSON of operations |
//!
//! Both sides use [`jsonrpc`] and [`value`]. A folder uses those above it; `client` uses `value`, `net::tls`,
//! and the names of the kinds of `monitor`.
//!
//! # Life of a transaction
//!
//! ```text
//! bytes -> jsonrpc::Framer -> value::tape::Tape -> State::transact
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
//! [`Limits`]: message size, nesting, sessions, monitors, locks, waiting transactions, what is
//! kept for those who do not read.
#![forbid(unsafe_code)]

pub mod client;
pub mod jsonrpc;
pub mod methods;
pub mod monitor;
pub mod net;
pub mod store;
pub mod txn;
pub mod value;

pub use client::replica::{Replica, ReplicaRow, ReplicaTable};
pub use client::{Changes, Client, ClientError};

pub use methods::limits::Limits;
pub use methods::state::Memory;
pub use net::config::{ServerConfig, ServerError};
pub use net::server::Server;
pub use net::tls::TlsFiles;
pub use store::log::FaultHandle;
pub use value::atom::Atom;
pub use value::datum::Datum;
pub use value::error::OvsdbError;
