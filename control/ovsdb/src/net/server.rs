//! The server: sockets around the state they all share, one local task per remote and per client.
//!
//! Everything runs on the thread that calls [`Server::start`], inside a `tokio::task::LocalSet` (or a local
//! runtime), but for writing to the disk, which would keep every client waiting. A message is handled between
//! two awaits, so transactions never interleave.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::MissedTickBehavior;

use crate::jsonrpc::FrameError;
use crate::methods::limits::Limits;
use crate::methods::lock::SessionId;
use crate::methods::state::{Memory, State};
use crate::net::config::{ServerConfig, ServerError};
use crate::net::disk::{compact, compact_by_itself, mend, supervised, sync};
use crate::net::endpoint::{Endpoint, Place, start};
use crate::net::manager::{REFRESH, Wanted, tls_files};
use crate::net::remote::Remote;
use crate::net::tls::{Configs, Tls, TlsError};
use crate::store::log::FaultHandle;

/// A running server. Dropping it ends every connection and removes its sockets.
#[derive(Debug)]
pub struct Server {
    pub(crate) inner: Rc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the tasks share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub state: RefCell<State>,
    pub limits: Limits,
    tls: RefCell<Tls>,
    tls_table: String,
    /// Remotes by their text.
    pub remotes: RefCell<BTreeMap<String, Place>>,
    /// Managers of the database by target, and what serves them if that can be.
    pub managers: RefCell<BTreeMap<String, (Wanted, Option<Place>)>>,
    /// Tasks of sessions by number.
    sessions: RefCell<HashMap<u64, JoinHandle<()>>>,
    next_task: Cell<u64>,
    pub slots: Cell<usize>,
    /// Where every session reads to.
    pub buffer: RefCell<Vec<u8>>,
    /// What sessions share for large messages.
    pub spare: RefCell<Vec<u8>>,
    /// Unfinished input of all sessions.
    pub input_bytes: Cell<usize>,
    /// Something happened that the managers or a waiting transaction depend on.
    changed: Notify,
    /// Replies wait for the disk.
    pub unsynced: Notify,
    seen_commits: Cell<u64>,
    is_status_due: Cell<bool>,
    stopped: Cell<bool>,
    /// The next sync is to panic.
    #[cfg(test)]
    pub sync_panics: Cell<bool>,
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
        let files = getrlimit(Resource::Nofile).current;
        let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        let limits = config.limits.within_open_files(files);
        let state = State::open(&config.db_path, &config.schema, limits)?;
        let inner = Rc::new(Inner {
            state: RefCell::new(state),
            limits,
            tls: RefCell::default(),
            tls_table: config.tls_table,
            remotes: RefCell::default(),
            managers: RefCell::default(),
            sessions: RefCell::default(),
            next_task: Cell::new(0),
            slots: Cell::new(0),
            buffer: RefCell::new(vec![0; 1 << 16]),
            spare: RefCell::default(),
            input_bytes: Cell::new(0),
            changed: Notify::new(),
            unsynced: Notify::new(),
            seen_commits: Cell::new(u64::MAX),
            is_status_due: Cell::new(false),
            stopped: Cell::new(false),
            #[cfg(test)]
            sync_panics: Cell::new(false),
        });
        let mut server = Self { inner: Rc::clone(&inner), tasks: Vec::new() };
        for remote in &config.remotes {
            server.add_remote(remote)?;
        }
        inner.follow_managers();
        server.supervise(&inner, "looks after remotes and waits", watch);
        server.supervise(&inner, "asks the disk", sync);
        server.supervise(&inner, "looks after the file", mend);
        Ok(server)
    }

    /// Runs a task as long as the server runs.
    fn supervise<F>(&mut self, inner: &Rc<Inner>, does: &'static str, task: fn(Rc<Inner>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let inner = Rc::clone(inner);
        self.tasks.push(spawn_local(supervised(does, move || task(Rc::clone(&inner)))));
    }

    /// Serves one more remote; nothing happens when it is there already.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn add_remote(&self, remote: &str) -> Result<(), ServerError> {
        let parsed = Remote::parse(remote)?;
        self.inner.check_column(&parsed)?;
        if self.inner.remotes.borrow().contains_key(remote) {
            return Ok(());
        }
        let follows = matches!(parsed, Remote::Db { .. });
        let endpoint = Rc::new(Endpoint::new(parsed));
        let listener = endpoint
            .bind()
            .map_err(|source| ServerError::Listen { remote: remote.to_owned(), source })?;
        let place = start(&self.inner, endpoint, listener);
        self.inner.remotes.borrow_mut().insert(remote.to_owned(), place);
        if follows {
            self.inner.follow_managers();
        }
        Ok(())
    }

    /// Stops serving a remote and ends its connections. False when there is none such.
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

    /// The port that a remote listens at, for one that left the choice to the system; None when it has none.
    #[must_use]
    pub fn bound_port(&self, remote: &str) -> Option<u16> {
        self.inner.remotes.borrow().get(remote)?.endpoint.bound_port.get()
    }

    /// Names of the databases, sorted.
    #[must_use]
    pub fn list_dbs(&self) -> Vec<String> {
        self.inner.state.borrow().list_dbs()
    }

    /// Names of the tables of a database, in the order of its schema; None when there is no such database.
    #[must_use]
    pub fn list_tables(&self, db: &str) -> Option<Vec<String>> {
        let state = self.inner.state.borrow();
        let schema = state.database(state.find_db(db)?)?.schema();
        Some(schema.tables.iter().map(|table| table.name.as_ref().to_owned()).collect())
    }

    /// Why the file of a database cannot be written, if so; None when there is no such database.
    #[must_use]
    pub fn storage_error(&self, db: &str) -> Option<Option<String>> {
        let state = self.inner.state.borrow();
        Some(state.fault(state.find_db(db)?).map(|fault| fault.to_string()))
    }

    /// Why the file cannot be written, if so, for any thread to see.
    #[must_use]
    pub fn fault_handle(&self) -> FaultHandle {
        self.inner.state.borrow().fault_handle()
    }

    /// Ends every connection; clients come back by themselves.
    pub fn disconnect_all(&self) {
        self.inner.state.borrow().disconnect_all("an operator asks every client to reconnect");
    }

    /// From now on knows `monitor` alone, as servers of old did, to see what clients make of it.
    pub fn disable_monitor_cond(&self) {
        self.inner.state.borrow_mut().disable_monitor_cond();
    }

    /// Rewrites the file of a database, or of all, without its history. Clients go on meanwhile.
    ///
    /// # Errors
    /// [`ServerError::Compact`], [`ServerError::UnknownDatabase`], [`ServerError::BuiltIn`].
    pub fn compact(
        &self,
        db: Option<&str>,
    ) -> impl Future<Output = Result<(), ServerError>> + 'static {
        let inner = Rc::clone(&self.inner);
        let wanted = match db {
            None => Ok(0),
            Some(name) => match inner.state.borrow().find_db(name) {
                None => Err(ServerError::UnknownDatabase),
                Some(0) => Ok(0),
                Some(_) => Err(ServerError::BuiltIn),
            },
        };
        async move { compact(&inner, wanted?).await.map_err(ServerError::Compact) }
    }

    /// What the server holds.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut memory = self.inner.state.borrow().memory();
        memory.input_bytes = self.inner.input_bytes.get();
        memory
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
        let mut tasks = std::mem::take(&mut self.tasks);
        let managers = std::mem::take(&mut *self.inner.managers.borrow_mut());
        let remotes = std::mem::take(&mut *self.inner.remotes.borrow_mut());
        for mut place in remotes.into_values().chain(managers.into_values().filter_map(|it| it.1)) {
            tasks.extend(place.task.take());
        }
        tasks.extend(self.inner.sessions.borrow_mut().drain().map(|(_, task)| task));
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
    /// Checks that there is the column that a remote names.
    fn check_column(&self, remote: &Remote) -> Result<(), ServerError> {
        let Remote::Db { db, table, column } = remote else { return Ok(()) };
        let no = |missing| ServerError::NoColumn { remote: remote.to_string(), missing };
        let state = self.state.borrow();
        let found = state.find_db(db).and_then(|index| state.database(index));
        let schema = found.ok_or_else(|| no(format!("no database named {db}")))?.schema();
        let rows = schema.table(table).ok_or_else(|| no(format!("no table named {table}")))?;
        match rows.column(column) {
            Some(_) => Ok(()),
            None => Err(no(format!("table \"{table}\" has no column \"{column}\""))),
        }
    }

    /// Does what a message asks for.
    ///
    /// # Errors
    /// [`FrameError`], when it is none.
    pub fn handle(&self, session: SessionId, message: &[u8]) -> Result<(), FrameError> {
        self.state.borrow_mut().handle(session, message)?;
        self.note();
        Ok(())
    }

    /// Wakes those who have something to do after a change of the state.
    fn note(&self) {
        let state = self.state.borrow();
        if state.commits() != self.seen_commits.get() || state.has_waiting() {
            self.changed.notify_one();
        }
        if state.has_unsynced() {
            self.unsynced.notify_one();
        }
    }

    /// A manager's status has to be written anew.
    pub fn status_changed(&self) {
        self.is_status_due.set(true);
        self.changed.notify_one();
    }

    /// Runs a session on its own.
    pub fn spawn_session(self: &Rc<Self>, session: impl Future<Output = ()> + 'static) {
        if self.stopped.get() {
            return;
        }
        let number = self.next_task.replace(self.next_task.get() + 1);
        let entry = SessionEntry { inner: Rc::downgrade(self), number };
        let task = spawn_local(async move {
            let _entry = entry;
            session.await;
        });
        self.sessions.borrow_mut().insert(number, task);
    }

    /// Keys and certificates as the database names them now.
    pub fn tls_configs(&self) -> Result<Configs, TlsError> {
        let files = self.state.borrow().database(0).and_then(|db| tls_files(db, &self.tls_table));
        self.tls.borrow_mut().configs(files)
    }
}

/// A session's place in the list of tasks, which it leaves however it ends.
struct SessionEntry {
    inner: Weak<Inner>,
    number: u64,
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        // The list is in use when all of it goes.
        if let Some(inner) = self.inner.upgrade()
            && let Ok(mut sessions) = inner.sessions.try_borrow_mut()
        {
            sessions.remove(&self.number);
        }
    }
}

/// Wakes waiting transactions in time, keeps the managers in line, compacts.
async fn watch(inner: Rc<Inner>) {
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let deadline = inner.state.borrow().next_deadline();
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => {
                inner.state.borrow_mut().expire();
                inner.note();
            }
            () = inner.changed.notified() => {}
            _ = refresh.tick() => inner.is_status_due.set(true),
        }
        if inner.stopped.get() {
            return;
        }
        let commits = inner.state.borrow().commits();
        if inner.seen_commits.replace(commits) != commits {
            inner.follow_managers();
            if inner.state.borrow().wants_compaction() {
                spawn_local(compact_by_itself(Rc::clone(&inner)));
            }
        }
        if inner.is_status_due.take() {
            inner.report_managers();
            inner.seen_commits.set(inner.state.borrow().commits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_may_be_open_bound_the_clients() {
        let of = |files| {
            let limits = Limits::default().within_open_files(files);
            (limits.sessions_max, limits.sessions_per_remote_max)
        };
        assert_eq!(of(1 << 20), (16_384, 12_288));
        assert_eq!(of(20_000), (12_500, 10_415));
        assert_eq!(of(1024), (640, 530));
        assert_eq!(of(0), (0, 0));
    }
}
