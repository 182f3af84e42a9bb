//! The server without its sockets: databases, sessions, and what each method does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Display;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::jsonrpc::{Envelope, FrameError, Shape};
use crate::methods::commits::{Pending, Unsynced};
use crate::methods::limits::Limits;
use crate::methods::lock::{Locks, SessionId};
use crate::methods::upgrade::upgrade;
use crate::monitor::history::History;
use crate::monitor::initial::Initials;
use crate::monitor::outbox::{Chunk, Outbox};
use crate::monitor::{Kind, Monitor, MonitorSpec};
use crate::store::database::Database;
use crate::store::log::{Log, LogError};
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{SERVER_SCHEMA, Schema};
use crate::value::tape::{Lists, Tape, TapeValue};

/// A database being served.
#[derive(Debug)]
pub(crate) struct Entry {
    pub db: Database,
    /// None for `_Server`, which lives in memory.
    pub log: Option<Log>,
    pub history: History,
    /// Replies that wait for the disk.
    pub unsynced: Vec<Unsynced>,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub outbox: Rc<Outbox>,
    /// Monitors by the text of their id.
    pub monitors: BTreeMap<String, Monitor>,
    /// Need not be disconnected when a database changes its schema.
    pub change_aware: bool,
}

/// Everything the server knows.
#[derive(Debug)]
pub(crate) struct State {
    pub databases: Vec<Entry>,
    pub sessions: HashMap<SessionId, Session>,
    /// Sessions that have had a monitor.
    pub watching: BTreeSet<SessionId>,
    /// Rows that lagging monitors remember.
    pub missed_rows: usize,
    next_session: SessionId,
    pub locks: Locks,
    pub pending: Vec<Pending<'static>>,
    pub specs: HashMap<(usize, String), Weak<MonitorSpec>>,
    /// Memory for the next message.
    lists: Lists,
    pub initials: Initials,
    pub limits: Limits,
    server_id: Uuid,
    /// `monitor_cond` and what came after it are answered as by a server that does not know them.
    monitor_cond_disabled: bool,
    /// Rises with every commit that changed something in a database with a file.
    pub commits: u64,
}

/// Counts for `memory/show`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows of all databases.
    pub rows: usize,
    /// Columns of all rows.
    pub cells: usize,
    /// Atoms and pairs in all columns of all rows.
    pub atoms: usize,
    /// Weak references of all rows.
    pub weak_references: usize,
    /// Monitors of all sessions.
    pub monitors: usize,
    /// Connected clients.
    pub sessions: usize,
    /// Bytes waiting to be sent to clients.
    pub backlog_bytes: usize,
    /// Bytes of unfinished messages from clients.
    pub input_bytes: usize,
    /// Rows remembered for clients that lag.
    pub missed_rows: usize,
    /// Transactions in a `wait`.
    pub pending: usize,
    /// Bytes in the database file.
    pub file_bytes: u64,
}

/// Memory that is kept for the next message.
const LISTS_BYTES_MAX: usize = 8 << 20;

/// The result of a call, or its error.
pub(crate) type Answer = Result<Value, Value>;

impl State {
    /// Opens the file and makes the `_Server` database.
    pub fn open(path: &std::path::Path, schema: &str, limits: Limits) -> Result<Self, LogError> {
        let (mut log, db) = Log::open(path, schema)?;
        let db = upgrade(&mut log, db, schema)?;
        let server = Schema::parse(SERVER_SCHEMA)
            .map_err(|source| LogError::Schema { path: PathBuf::from("_Server"), source })?;
        let server = Database::new(Arc::new(server));
        let entry = |db, log| Entry {
            db,
            log,
            history: History::new(limits.history_max, limits.history_atoms_max),
            unsynced: Vec::new(),
        };
        let mut state = Self {
            databases: vec![entry(db, Some(log)), entry(server, None)],
            sessions: HashMap::new(),
            watching: BTreeSet::new(),
            missed_rows: 0,
            next_session: 1,
            locks: Locks::default(),
            pending: Vec::new(),
            specs: HashMap::new(),
            lists: Lists::default(),
            initials: Initials::default(),
            limits,
            server_id: Uuid::new_v4(),
            monitor_cond_disabled: false,
            commits: 0,
        };
        state.describe_databases();
        Ok(state)
    }

    /// Writes what `_Server` says about each database.
    pub(crate) fn describe_databases(&mut self) {
        let is_described = self.databases.get(1).is_some_and(|entry| entry.db.row_count() > 0);
        let rows: Vec<Value> = self
            .databases
            .iter()
            .map(|entry| {
                let schema = entry.db.schema();
                let row = json!({
                    "name": schema.name, "model": "standalone", "connected": true, "leader": true,
                    "schema": crate::value::error::sorted_json(schema.json())});
                if !is_described {
                    return json!({"op": "insert", "table": "Database", "row": row});
                }
                json!({"op": "update", "table": "Database", "row": row,
                    "where": [["name", "==", schema.name]]})
            })
            .collect();
        self.transact_internal(1, &rows);
    }

    /// Number of the database called `name`.
    pub fn find_db(&self, name: &str) -> Option<usize> {
        self.databases.iter().position(|entry| entry.db.schema().name == name)
    }

    pub fn database(&self, index: usize) -> Option<&Database> {
        self.databases.get(index).map(|entry| &entry.db)
    }

    pub fn list_dbs(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.databases.iter().map(|entry| entry.db.schema().name.clone()).collect();
        names.sort();
        names
    }

    pub fn commits(&self) -> u64 {
        self.commits
    }

    pub fn memory(&self) -> Memory {
        let count = |of: fn(&Database) -> usize| self.databases.iter().map(|e| of(&e.db)).sum();
        Memory {
            rows: count(Database::row_count),
            cells: count(Database::cell_count),
            atoms: count(Database::atom_count),
            weak_references: count(Database::weak_reference_count),
            monitors: self.sessions.values().map(|session| session.monitors.len()).sum(),
            sessions: self.sessions.len(),
            backlog_bytes: self.sessions.values().map(|session| session.outbox.bytes()).sum(),
            input_bytes: 0,
            missed_rows: self.missed_rows,
            pending: self.pending.len(),
            file_bytes: self.databases.iter().flat_map(|e| &e.log).map(Log::size).sum(),
        }
    }

    /// True when transactions wait for others, or for the time.
    pub fn has_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// True when replies wait for the disk.
    pub fn has_unsynced(&self) -> bool {
        self.databases.iter().any(|entry| !entry.unsynced.is_empty())
    }

    pub fn open_session(&mut self) -> (SessionId, Rc<Outbox>) {
        let id = self.next_session;
        self.next_session += 1;
        let outbox = Rc::new(Outbox::default());
        let monitors = BTreeMap::new();
        let session = Session { outbox: Rc::clone(&outbox), monitors, change_aware: false };
        self.sessions.insert(id, session);
        (id, outbox)
    }

    pub fn close_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.watching.remove(&id);
        self.missed_rows -= session.monitors.values().map(Monitor::missed_rows).sum::<usize>();
        self.pending.retain(|pending| pending.session != id);
        for event in self.locks.release(id) {
            self.announce(&event);
        }
        if !session.monitors.is_empty() {
            drop(session);
            self.specs.retain(|_, spec| spec.strong_count() > 0);
        }
    }

    /// Ends every connection; clients come back by themselves.
    pub fn disconnect_all(&self, why: &str) {
        self.sessions.values().for_each(|session| session.outbox.close(why));
    }

    /// From now on behaves as a server that only knows `monitor`.
    pub fn disable_monitor_cond(&mut self) {
        self.monitor_cond_disabled = true;
        self.disconnect_all("monitor_cond is disabled");
    }

    /// Does what a message asks for.
    ///
    /// # Errors
    /// [`FrameError`], when it is none.
    pub fn handle(&mut self, session: SessionId, message: &[u8]) -> Result<(), FrameError> {
        let tape = Tape::read(message, std::mem::take(&mut self.lists))
            .map_err(|error| FrameError::Json(error.to_string()))?;
        let envelope = Envelope::read(tape.root())?;
        let shape = envelope.shape()?;
        let json = |member: Option<TapeValue<'_>>| member.map(Json::to_value).unwrap_or_default();
        let method = envelope.method.and_then(Json::as_text).unwrap_or_default();
        match shape {
            Shape::Request if method == "transact" => {
                let id = json(envelope.id);
                if let Err(error) = self.transact(session, &id, tape) {
                    self.reply(session, &id, &Err(error));
                }
            }
            Shape::Request => {
                let (id, params) = (json(envelope.id), json(envelope.params));
                let params = if let Value::Array(params) = params { params } else { Vec::new() };
                if let Some(answer) = self.request(session, &id, &method, params) {
                    self.reply(session, &id, &answer);
                }
            }
            Shape::Notification if method == "cancel" => {
                let mut params = envelope.params.and_then(Json::elements).into_iter().flatten();
                let id = json(params.next());
                self.cancel(|pending| pending.session == session && pending.id == id);
            }
            Shape::Notification | Shape::Reply => {}
        }
        Ok(())
    }

    /// Keeps the memory of a tape for the next one.
    pub(crate) fn recycle(&mut self, tape: Tape<'_>) {
        let lists = tape.into_lists();
        if lists.bytes() <= LISTS_BYTES_MAX {
            self.lists = lists;
        }
    }

    /// Answers a call. What the session has not heard yet goes first: an answer never comes before the
    /// update of the change that it is about.
    pub(crate) fn reply(&mut self, session: SessionId, id: &Value, answer: &Answer) {
        match answer {
            Ok(result) => self.reply_text(session, id, result),
            Err(error) => {
                self.catch_up(session);
                self.send(session, format!("{{\"id\":{id},\"error\":{error}}}"));
            }
        }
    }

    /// Answers a call with what is JSON when it is shown.
    pub(crate) fn reply_text(&mut self, session: SessionId, id: &Value, result: &impl Display) {
        self.catch_up(session);
        self.send(session, format!("{{\"id\":{id},\"result\":{result},\"error\":null}}"));
    }

    /// Answers a call with a result that is text already.
    pub(crate) fn reply_pieces(&mut self, session: SessionId, id: &Value, result: Vec<Chunk>) {
        self.catch_up(session);
        let Some(session) = self.sessions.get(&session) else { return };
        let start = Chunk::Own(format!("{{\"id\":{id},\"result\":").into_bytes());
        let end = Chunk::Fixed(",\"error\":null}");
        session.outbox.pieces([start].into_iter().chain(result).chain([end]));
    }

    pub(crate) fn send(&self, session: SessionId, text: String) {
        if let Some(session) = self.sessions.get(&session) {
            session.outbox.reply(text);
        }
    }

    /// None when the answer is on its way already, or comes later.
    fn request(
        &mut self,
        session: SessionId,
        id: &Value,
        method: &str,
        params: Vec<Value>,
    ) -> Option<Answer> {
        match method {
            "echo" => Some(Ok(Value::Array(params))),
            "list_dbs" => Some(Ok(Value::from(self.list_dbs()))),
            "get_schema" => Some(self.get_schema(params)),
            "get_server_id" => Some(Ok(Value::from(self.server_id.to_string()))),
            "set_db_change_aware" => Some(self.change_aware(session, params)),
            "convert" => Some(self.convert(params)),
            "lock" | "steal" | "unlock" => Some(self.lock(session, method, params)),
            "monitor" => self.monitor(session, id, params, Kind::Update),
            "monitor_cond" | "monitor_cond_since" | "monitor_cond_change"
                if self.monitor_cond_disabled =>
            {
                Some(Err(Value::from("unknown method")))
            }
            "monitor_cond" => self.monitor(session, id, params, Kind::Update2),
            "monitor_cond_since" => self.monitor(session, id, params, Kind::Update3),
            "monitor_cond_change" => Some(self.monitor_cond_change(session, params)),
            "monitor_cancel" => Some(self.monitor_cancel(session, &params)),
            _ => Some(Err(Value::from("unknown method"))),
        }
    }

    pub(crate) fn db_param<'j>(&self, method: &str, params: impl Json<'j>) -> Result<usize, Value> {
        let name = params.elements().and_then(|mut it| it.next()).and_then(Json::as_text);
        let Some(name) = name else {
            let text = format!("{method} request params must begin with <db-name>");
            return Err(OvsdbError::syntax(params, text).to_json());
        };
        self.find_db(&name).ok_or_else(|| {
            let text = format!("{method} request specifies unknown database {name}");
            OvsdbError::new("unknown database", text).about(params).to_json()
        })
    }

    fn get_schema(&self, params: Vec<Value>) -> Answer {
        let db = self.db_param("get_schema", &Value::Array(params))?;
        Ok(self.database(db).map_or(Value::Null, |db| db.schema().json().clone()))
    }

    fn change_aware(&mut self, session: SessionId, params: Vec<Value>) -> Answer {
        let [Value::Bool(aware)] = params.as_slice() else {
            let text = "set_db_change_aware: true or false parameter expected";
            return Err(OvsdbError::syntax(&Value::Array(params), text).to_json());
        };
        if let Some(session) = self.sessions.get_mut(&session) {
            session.change_aware = *aware;
        }
        Ok(json!({}))
    }
}
