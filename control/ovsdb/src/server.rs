//! The server: sockets around the state they all share, one local task per listener and per client.
//!
//! Everything runs on the thread that calls [`Server::start`], inside a `tokio::task::LocalSet` (or a local
//! runtime). A message is handled between two awaits, so transactions never interleave.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use uuid::Uuid;

use crate::datum::Datum;
use crate::jsonrpc::{Framer, MESSAGE_BYTES_MAX, Message};
use crate::log::LogError;
use crate::outbox::{HIGH_WATER_BYTES, Outbox};
use crate::remote::{Remote, RemoteError, bind_tcp, bind_unix};
use crate::schema::VSWITCH_SCHEMA;
use crate::state::{Memory, State};

/// Limits on what clients can make the server hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time.
    pub sessions_max: usize,
    /// Monitors of one client.
    pub monitors_max: usize,
    /// Locks that one client owns or awaits.
    pub locks_max: usize,
    /// Transactions of one client in a `wait`.
    pub pending_max: usize,
    /// Bytes of one message from a client.
    pub message_bytes_max: usize,
    /// Bytes of updates that a client has not read; above it is disconnected.
    pub update_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 1024,
            monitors_max: 64,
            locks_max: 64,
            pending_max: 64,
            message_bytes_max: MESSAGE_BYTES_MAX,
            update_bytes_max: 32 << 20,
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The database file; made when missing.
    pub db_path: PathBuf,
    /// `punix:PATH`, `ptcp:PORT[:IP]`, `db:DB,TABLE,COLUMN`.
    pub remotes: Vec<String>,
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
}

/// A running server. Dropping it ends every connection and removes its sockets.
#[derive(Debug)]
pub struct Server {
    inner: Rc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    state: RefCell<State>,
    limits: Limits,
    /// Remotes by their text.
    remotes: RefCell<BTreeMap<String, Listening>>,
    /// Managers of the database by target.
    managers: RefCell<BTreeMap<String, Manager>>,
    sessions: RefCell<Vec<JoinHandle<()>>>,
    /// Something happened that the managers' status or a waiting transaction depends on.
    changed: Notify,
    seen_commits: Cell<u64>,
    stopped: Cell<bool>,
}

#[derive(Debug)]
struct Listening {
    task: Option<JoinHandle<()>>,
    connections: Rc<Cell<usize>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[derive(Debug)]
struct Manager {
    listening: Result<Listening, String>,
}

impl Server {
    /// Opens or makes the file, binds every remote and starts serving: sockets accept when it returns.
    /// Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// [`ServerError`].
    #[expect(
        clippy::unused_async,
        reason = "callers need a runtime around it; binding may wait one day"
    )]
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let state = State::open(&config.db_path, &config.schema, config.limits)?;
        let inner = Rc::new(Inner {
            state: RefCell::new(state),
            limits: config.limits,
            remotes: RefCell::default(),
            managers: RefCell::default(),
            sessions: RefCell::default(),
            changed: Notify::new(),
            seen_commits: Cell::new(u64::MAX),
            stopped: Cell::new(false),
        });
        let mut server = Self { inner: Rc::clone(&inner), tasks: Vec::new() };
        for remote in &config.remotes {
            server.add_remote(remote)?;
        }
        inner.follow_managers();
        server.tasks.push(spawn_local(watch(inner)));
        Ok(server)
    }

    /// Listens at one more remote; nothing happens when it is there already.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn add_remote(&self, remote: &str) -> Result<(), ServerError> {
        let parsed = Remote::parse(remote)?;
        if self.inner.remotes.borrow().contains_key(remote) {
            return Ok(());
        }
        let listening = self
            .inner
            .listen(&parsed)
            .map_err(|source| ServerError::Listen { remote: remote.to_owned(), source })?;
        self.inner.remotes.borrow_mut().insert(remote.to_owned(), listening);
        if matches!(parsed, Remote::Db { .. }) {
            self.inner.follow_managers();
        }
        Ok(())
    }

    /// Stops listening at a remote; clients that are connected stay. False when there is none such.
    #[must_use]
    pub fn remove_remote(&self, remote: &str) -> bool {
        let removed = self.inner.remotes.borrow_mut().remove(remote).is_some();
        self.inner.follow_managers();
        removed
    }

    /// Every remote that was added, sorted.
    #[must_use]
    pub fn list_remotes(&self) -> Vec<String> {
        self.inner.remotes.borrow().keys().cloned().collect()
    }

    /// Names of the databases, sorted.
    #[must_use]
    pub fn list_dbs(&self) -> Vec<String> {
        self.inner.state.borrow().list_dbs()
    }

    /// Rewrites the file without its history.
    ///
    /// # Errors
    /// [`ServerError::Compact`].
    pub fn compact(&self) -> Result<(), ServerError> {
        self.inner.state.borrow_mut().compact().map_err(ServerError::Compact)
    }

    /// What the server holds.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.inner.state.borrow().memory()
    }

    /// Ends every connection, removes the sockets and unlocks the file.
    pub async fn stop(mut self) {
        let mut tasks = self.shut_down();
        while let Some(task) = tasks.pop() {
            // Cancelled, which is what was asked for.
            let _ = task.await;
        }
    }

    fn shut_down(&mut self) -> Vec<JoinHandle<()>> {
        self.inner.stopped.set(true);
        self.inner.managers.borrow_mut().clear();
        let mut tasks = std::mem::take(&mut self.tasks);
        for (_, mut listening) in std::mem::take(&mut *self.inner.remotes.borrow_mut()) {
            tasks.extend(listening.task.take());
        }
        tasks.append(&mut self.inner.sessions.borrow_mut());
        tasks.iter().for_each(JoinHandle::abort);
        tasks
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Inner {
    fn listen(self: &Rc<Self>, remote: &Remote) -> std::io::Result<Listening> {
        let connections = Rc::new(Cell::new(0));
        let inner = Rc::clone(self);
        let counter = Rc::clone(&connections);
        let task = match remote {
            Remote::Db { .. } => None,
            Remote::Unix(path) => {
                let socket = bind_unix(path)?;
                Some(spawn_local(async move {
                    loop {
                        let accepted = socket.listener.accept().await;
                        let stream = accepted.map(|(stream, _)| stream.into_split());
                        inner.accept(stream, &counter).await;
                    }
                }))
            }
            Remote::Tcp(address) => {
                let listener = bind_tcp(*address)?;
                Some(spawn_local(async move {
                    loop {
                        let accepted = listener.accept().await;
                        let stream = accepted.map(|(stream, _)| {
                            // Without it small replies wait for acknowledgements; nothing else depends on it.
                            let _ = stream.set_nodelay(true);
                            stream.into_split()
                        });
                        inner.accept(stream, &counter).await;
                    }
                }))
            }
        };
        Ok(Listening { task, connections })
    }

    async fn accept<R, W>(
        self: &Rc<Self>,
        stream: std::io::Result<(R, W)>,
        connections: &Rc<Cell<usize>>,
    ) where
        R: AsyncRead + Unpin + 'static,
        W: AsyncWrite + Unpin + 'static,
    {
        let (reader, writer) = match stream {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of file descriptors, most likely: do not spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                return;
            }
        };
        let task = spawn_local(serve(Rc::clone(self), reader, writer, Rc::clone(connections)));
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|session| !session.is_finished());
        sessions.push(task);
    }

    /// Brings listeners in line with what the databases' `db:` remotes say, and reports on them there.
    fn follow_managers(self: &Rc<Self>) {
        if self.stopped.get() {
            return;
        }
        let mut wanted: BTreeMap<String, Option<(usize, String, Uuid)>> = BTreeMap::new();
        for remote in self.remotes.borrow().keys() {
            if let Ok(Remote::Db { db, table, column }) = Remote::parse(remote) {
                wanted.extend(targets(&self.state.borrow(), &db, &table, &column));
            }
        }
        let mut managers = std::mem::take(&mut *self.managers.borrow_mut());
        managers.retain(|target, _| wanted.contains_key(target));
        for target in wanted.keys() {
            managers.entry(target.clone()).or_insert_with(|| self.manager(target));
        }
        let status: Vec<(usize, Vec<Value>)> = wanted
            .iter()
            .filter_map(|(target, row)| Some((target, row.as_ref()?, managers.get(target)?)))
            .map(|(target, (db, table, uuid), manager)| {
                (*db, vec![status_operation(table, *uuid, target, manager)])
            })
            .collect();
        *self.managers.borrow_mut() = managers;
        let mut state = self.state.borrow_mut();
        for (db, operations) in status {
            state.transact_internal(db, &operations);
        }
        self.seen_commits.set(state.commits());
    }

    fn manager(self: &Rc<Self>, target: &str) -> Manager {
        let listening = Remote::parse(target).map_err(|error| error.to_string()).and_then(
            |remote| match remote {
                Remote::Tcp(_) | Remote::Unix(_) => {
                    self.listen(&remote).map_err(|error| format!("{target}: {error}"))
                }
                Remote::Db { .. } => Err(format!("{target}: not a valid remote")),
            },
        );
        match &listening {
            Ok(_) => tracing::info!(target, "listening for managers"),
            Err(error) => tracing::warn!(target, %error, "manager cannot be served"),
        }
        Manager { listening }
    }
}

/// What a `db:` remote names: each target, and the row that it stands in if that has a status.
fn targets(
    state: &State,
    db_name: &str,
    table_name: &str,
    column_name: &str,
) -> BTreeMap<String, Option<(usize, String, Uuid)>> {
    let mut targets = BTreeMap::new();
    let Some((number, db)) = state.find_db(db_name).and_then(|db| Some((db, state.database(db)?)))
    else {
        return targets;
    };
    let schema = db.schema();
    let Some((table, body)) = schema.table(table_name).zip(db.table_by_name(table_name)) else {
        return targets;
    };
    let Some((index, column)) = table.column_index(column_name).zip(table.column(column_name))
    else {
        return targets;
    };
    for datum in body.rows().values().filter_map(|row| row.get(index)) {
        let Some(reference) = &column.ty.key.reference else {
            targets.extend(datum.strings().map(|target| (target.to_owned(), None)));
            continue;
        };
        let Some(managers) = schema.tables.get(reference.table_index) else { continue };
        let has_status = managers.column("status").is_some_and(|column| column.ty.is_map())
            && managers.column("is_connected").is_some();
        for uuid in datum.uuids() {
            let row = db.row(reference.table_index, uuid);
            let target = row
                .zip(managers.column_index("target"))
                .and_then(|(row, index)| row.get(index)?.as_str().map(str::to_owned));
            let place = has_status.then(|| (number, reference.table.clone(), uuid));
            targets.extend(target.map(|target| (target, place)));
        }
    }
    targets
}

fn status_operation(table: &str, uuid: Uuid, target: &str, manager: &Manager) -> Value {
    let (connections, status) = match &manager.listening {
        Ok(listening) => {
            let connections = listening.connections.get();
            let mut status = Vec::new();
            if let Ok(Remote::Tcp(address)) = Remote::parse(target) {
                status.push(("bound_port".to_owned(), address.port().to_string()));
            }
            if connections > 1 {
                status.push(("n_connections".to_owned(), connections.to_string()));
            }
            let state = if connections > 0 { "ACTIVE" } else { "LISTENING" };
            status.push(("state".to_owned(), state.to_owned()));
            (connections, status)
        }
        Err(error) => {
            let state = ("state".to_owned(), "VOID".to_owned());
            (0, vec![("last_error".to_owned(), error.clone()), state])
        }
    };
    json!({"op": "update", "table": table, "where": [["_uuid", "==", ["uuid", uuid.to_string()]]],
        "row": {"is_connected": connections > 0, "status": Datum::map_of_strings(status).to_json()}})
}

/// Wakes waiting transactions in time and keeps the managers in line.
async fn watch(inner: Rc<Inner>) {
    loop {
        let deadline = inner.state.borrow().next_deadline();
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => inner.state.borrow_mut().expire(),
            () = inner.changed.notified() => {}
        }
        if inner.state.borrow().commits() != inner.seen_commits.get() {
            inner.follow_managers();
        }
    }
}

/// Keeps the counts right when a session's task is dropped at any await.
struct SessionGuard {
    inner: Rc<Inner>,
    id: u64,
    connections: Rc<Cell<usize>>,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.inner.state.borrow_mut().close_session(self.id);
        self.connections.set(self.connections.get().saturating_sub(1));
        self.inner.seen_commits.set(u64::MAX);
        self.inner.changed.notify_one();
    }
}

async fn serve<R, W>(inner: Rc<Inner>, reader: R, writer: W, connections: Rc<Cell<usize>>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let opened = inner.state.borrow_mut().open_session();
    let Some((id, outbox)) = opened else {
        tracing::warn!(limit = inner.limits.sessions_max, "too many connections: one is refused");
        return;
    };
    connections.set(connections.get() + 1);
    inner.seen_commits.set(u64::MAX);
    inner.changed.notify_one();
    let guard = SessionGuard { inner: Rc::clone(&inner), id, connections };
    tokio::select! {
        end = read(&inner, id, reader, &outbox) => {
            if let Err(error) = end {
                tracing::warn!(session = id, %error, "connection closed");
            }
        }
        end = write(writer, &outbox) => {
            if let Err(error) = end {
                tracing::debug!(session = id, %error, "connection lost");
            }
        }
        () = outbox.wait_overflow() => {}
    }
    if outbox.overflowed() {
        let limit = inner.limits.update_bytes_max;
        tracing::warn!(session = id, limit, "client does not read its updates: disconnected");
    }
    drop(guard);
}

/// Handles messages until the stream ends; then lets what is unsent go out.
async fn read<R: AsyncRead + Unpin>(
    inner: &Rc<Inner>,
    id: u64,
    mut reader: R,
    outbox: &Outbox,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut framer = Framer::new(inner.limits.message_bytes_max);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            let unsent = outbox.wait_below(0);
            // A client that closed its end altogether does not read what is left.
            let _ = tokio::time::timeout(Duration::from_secs(5), unsent).await;
            return Ok(());
        }
        framer.push(buffer.get(..length).unwrap_or_default());
        while let Some(json) = framer.next_message()? {
            let message = Message::from_json(json)?;
            inner.state.borrow_mut().handle(id, message);
            inner.changed.notify_one();
            outbox.wait_below(HIGH_WATER_BYTES).await;
            tokio::task::yield_now().await;
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, outbox: &Outbox) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(taken) = outbox.take(&mut buffer).await {
        writer.write_all(&buffer).await?;
        outbox.sent(&taken);
        buffer.clear();
        buffer.shrink_to(1 << 20);
    }
    Ok(())
}
