//! A client: one connection, a replica kept by a monitor, transactions, locks.
//!
//! It works against any OVSDB server: `monitor_cond_since` is tried first, then `monitor_cond`, then
//! `monitor`. Updates that arrive while a call waits for its reply are applied at once and reported by the
//! next [`Client::next_change`].

mod error;
mod incoming;
pub(crate) mod link;
pub mod ops;
pub mod replica;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use crate::client::error::ClientError;
use crate::client::incoming::{Incoming, results_of};
use crate::client::link::Link;
use crate::client::replica::Replica;
use crate::jsonrpc::Framer;
use crate::monitor::Kind;
use crate::net::tls::TlsFiles;
use crate::value::schema::Schema;

/// Largest message from a server: a whole database may come as one.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// What happened since the last call of [`Client::next_change`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows that were inserted, changed or deleted, by table. Look into the replica for what they are now.
    pub rows: BTreeMap<Arc<str>, BTreeSet<Uuid>>,
    /// Locks that are ours now.
    pub locked: Vec<String>,
    /// Locks that were taken from us.
    pub stolen: Vec<String>,
    /// What became of transactions that [`Client::start_transact`] sent.
    pub answers: Vec<Answered>,
}

/// A transaction that nobody waited for has its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What [`Client::start_transact`] returned.
    pub id: u64,
    /// Why nothing of it happened; None when all of it did.
    pub refusal: Option<String>,
}

impl Changes {
    /// True when nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_unchanged() && self.answers.is_empty()
    }

    /// True when rows and locks are as they were.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.rows.is_empty() && self.locked.is_empty() && self.stolen.is_empty()
    }

    /// The rows of one table that changed.
    pub fn table(&self, name: &str) -> impl Iterator<Item = Uuid> + '_ {
        self.rows.get(name).into_iter().flatten().copied()
    }
}

#[derive(Clone, Debug)]
struct Monitored {
    db: String,
    tables: Vec<(String, Vec<String>)>,
    kind: Kind,
    /// The call whose reply brings the first contents, until it comes. Updates that follow the reply, even
    /// in the same bytes, are differences to them.
    filled_by: Option<u64>,
}

/// A connection to an OVSDB server.
#[derive(Debug)]
pub struct Client {
    target: String,
    tls: Option<TlsFiles>,
    stream: Link,
    framer: Framer,
    /// Bytes not sent yet.
    out: Vec<u8>,
    next_id: u64,
    /// The call that waits, and its reply.
    awaiting: Option<u64>,
    answer: Option<Result<Value, Value>>,
    /// Transactions that nobody waits for.
    started: BTreeSet<u64>,
    /// A large message that another thread reads; what comes after it waits.
    reading: Option<JoinHandle<Result<Incoming, ClientError>>>,
    schema: Option<Schema>,
    monitored: Option<Monitored>,
    replica: Replica,
    changes: Changes,
    /// Locks asked for, and whether they are ours.
    locks: BTreeMap<String, bool>,
}

impl Client {
    /// Connects to `unix:PATH` or `tcp:HOST[:PORT]`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(target: &str) -> Result<Self, ClientError> {
        Self::connect_with(target, None).await
    }

    /// Connects to `unix:PATH`, `tcp:HOST[:PORT]` or, with `tls`, `ssl:HOST[:PORT]`; or waits at
    /// `punix:PATH`, `ptcp:PORT[:IP]` or, with `tls`, `pssl:PORT[:IP]` until a server comes.
    ///
    /// # Errors
    /// [`ClientError`]; of TLS as [`ClientError::Io`].
    pub async fn connect_with(target: &str, tls: Option<TlsFiles>) -> Result<Self, ClientError> {
        let mut client = Self {
            target: target.to_owned(),
            stream: Link::open(target, tls.as_ref()).await?,
            tls,
            framer: Framer::new(MESSAGE_BYTES_MAX),
            out: Vec::new(),
            next_id: 0,
            awaiting: None,
            answer: None,
            started: BTreeSet::new(),
            reading: None,
            schema: None,
            monitored: None,
            replica: Replica::default(),
            changes: Changes::default(),
            locks: BTreeMap::new(),
        };
        // Without it some servers hang up when their databases change; old ones do not know it.
        match client.call("set_db_change_aware", json!([true])).await {
            Ok(_) | Err(ClientError::Remote { .. }) => Ok(client),
            Err(error) => Err(error),
        }
    }

    /// Connects again, asks for the same locks and monitors the same tables. The replica is the new one;
    /// every row that is or was in it counts as changed.
    ///
    /// # Errors
    /// [`ClientError`]; may be tried again.
    pub async fn reconnect(&mut self) -> Result<(), ClientError> {
        let mut fresh = Self::connect_with(&self.target, self.tls.clone()).await?;
        for lock in self.locks.keys() {
            fresh.lock(lock).await?;
        }
        if let Some(monitored) = &self.monitored {
            fresh.monitor(&monitored.db, monitored.tables.clone()).await?;
        }
        for (name, table) in self.replica.tables() {
            let rows = fresh.changes.rows.entry(Arc::clone(name)).or_default();
            rows.extend(table.rows().keys());
        }
        for (name, ours) in &self.locks {
            match (ours, fresh.locks.get(name)) {
                (true, Some(false)) => fresh.changes.stolen.push(name.clone()),
                (false, Some(true)) => fresh.changes.locked.push(name.clone()),
                _ => {}
            }
        }
        *self = fresh;
        Ok(())
    }

    /// What [`Client::connect`] was given.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Asks for a lock: true when it is ours at once. Otherwise [`Changes::locked`] tells when it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn lock(&mut self, id: &str) -> Result<bool, ClientError> {
        self.locks.remove(id);
        let reply = self.call("lock", json!([id])).await?;
        let locked = reply.get("locked").and_then(Value::as_bool).unwrap_or(false);
        // A notification that came with the reply is newer than the reply.
        Ok(*self.locks.entry(id.to_owned()).or_insert(locked))
    }

    /// Takes a lock from its owner.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn steal(&mut self, id: &str) -> Result<(), ClientError> {
        self.call("steal", json!([id])).await?;
        self.locks.insert(id.to_owned(), true);
        Ok(())
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unlock(&mut self, id: &str) -> Result<(), ClientError> {
        self.locks.remove(id);
        self.call("unlock", json!([id])).await.map(|_| ())
    }

    /// True while the lock is ours.
    #[must_use]
    pub fn has_lock(&self, id: &str) -> bool {
        self.locks.get(id).copied().unwrap_or(false)
    }

    /// Fills the replica with these tables and keeps it; no columns means all. Tables and columns that the
    /// server's schema lacks are left out. When it returns, the replica is complete.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn monitor_all(
        &mut self,
        db: &str,
        tables: &[(&str, &[&str])],
    ) -> Result<(), ClientError> {
        let tables = tables
            .iter()
            .map(|(name, columns)| {
                ((*name).to_owned(), columns.iter().map(|column| (*column).to_owned()).collect())
            })
            .collect();
        self.monitor(db, tables).await
    }

    async fn monitor(
        &mut self,
        db: &str,
        tables: Vec<(String, Vec<String>)>,
    ) -> Result<(), ClientError> {
        let schema = Schema::from_json(self.call("get_schema", json!([db])).await?)?;
        self.replica = Replica::new(&schema, &tables);
        self.schema = Some(schema);
        let requests: Map<String, Value> = self
            .replica
            .tables()
            .iter()
            .map(|(name, table)| {
                let columns: Vec<&str> = table.column_names().collect();
                (name.as_ref().to_owned(), json!([{ "columns": columns }]))
            })
            .collect();
        let requests = Value::Object(requests);
        let id = json!(["monid", db]);
        let ladder = [
            (
                Kind::Update3,
                "monitor_cond_since",
                json!([db, id, requests, Uuid::nil().to_string()]),
            ),
            (Kind::Update2, "monitor_cond", json!([db, id, requests])),
            (Kind::Update, "monitor", json!([db, id, requests])),
        ];
        let mut refused = ClientError::Protocol("no monitor method".to_owned());
        for (kind, method, params) in ladder {
            let (db, tables, filled_by) = (db.to_owned(), tables.clone(), Some(self.next_id));
            self.monitored = Some(Monitored { db, tables, kind, filled_by });
            match self.call(method, params).await {
                Ok(_) => return Ok(()),
                Err(ClientError::Remote { error, .. }) if error == "unknown method" => {
                    refused = ClientError::Remote { method: method.to_owned(), error };
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// The replica as of the last call of anything that waits.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The schema of the monitored database.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Waits until something changed; everything that is queued by then is in it. May be dropped at any
    /// time without losing anything.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next_change(&mut self) -> Result<Changes, ClientError> {
        loop {
            self.drain()?;
            if !self.changes.is_empty() {
                return Ok(std::mem::take(&mut self.changes));
            }
            self.step().await?;
        }
    }

    /// Runs operations on the monitored database: their results, when all of them happened.
    ///
    /// # Errors
    /// [`ClientError::Transaction`] when nothing happened, other [`ClientError`]s when the fate is unknown.
    pub async fn transact(&mut self, operations: Vec<Value>) -> Result<Vec<Value>, ClientError> {
        let Some(monitored) = &self.monitored else {
            return Err(ClientError::Protocol("transact before monitor_all".to_owned()));
        };
        let db = monitored.db.clone();
        self.transact_on(&db, operations).await
    }

    /// Runs operations on any database of the server.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn transact_on(
        &mut self,
        db: &str,
        operations: Vec<Value>,
    ) -> Result<Vec<Value>, ClientError> {
        let mut params = vec![Value::from(db)];
        params.extend(operations);
        results_of(self.call("transact", Value::Array(params)).await?)
    }

    /// Sends operations on the monitored database and does not wait: [`Changes::answers`] has what became of
    /// them, under the number that this returns. Updates that they cause come before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn start_transact(&mut self, operations: Vec<Value>) -> Result<u64, ClientError> {
        let Some(monitored) = &self.monitored else {
            return Err(ClientError::Protocol("transact before monitor_all".to_owned()));
        };
        let mut params = vec![Value::from(monitored.db.as_str())];
        params.extend(operations);
        let id = self.next_id;
        self.next_id += 1;
        self.queue(&json!({"id": id, "method": "transact", "params": params}));
        self.started.insert(id);
        self.send()?;
        Ok(id)
    }

    /// Calls any method and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError::Remote`] when the server answers with an error, others when the connection fails.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        self.queue(&json!({"id": id, "method": method, "params": params}));
        self.awaiting = Some(id);
        self.answer = None;
        loop {
            match self.answer.take() {
                Some(Ok(result)) => return Ok(result),
                Some(Err(error)) => {
                    return Err(ClientError::Remote { method: method.to_owned(), error });
                }
                None => self.step().await?,
            }
        }
    }

    fn queue(&mut self, message: &Value) {
        self.out.extend_from_slice(message.to_string().as_bytes());
    }

    fn io_error(&self, source: io::Error) -> ClientError {
        ClientError::Io { target: self.target.clone(), source }
    }
}
