//! The server without its sockets: databases, sessions, and what each method does.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::{Change, Database};
use crate::error::OvsdbError;
use crate::jsonrpc::Message;
use crate::lock::{LockEvent, Locks, SessionId};
use crate::log::{Log, LogError};
use crate::monitor::{Kind, Monitor, MonitorSpec};
use crate::outbox::Outbox;
use crate::schema::{SERVER_SCHEMA, Schema};
use crate::server::Limits;
use crate::txn::{Commit, Context, Execution, execute};
use crate::value::{is_id, parse_uuid};

const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// A database being served.
#[derive(Debug)]
struct Entry {
    db: Database,
    /// None for `_Server`, which lives in memory.
    log: Option<Log>,
}

#[derive(Debug)]
struct Session {
    outbox: Rc<Outbox>,
    /// Monitors by the text of their id.
    monitors: BTreeMap<String, Monitor>,
}

/// A transaction whose `wait` does not hold yet.
#[derive(Debug)]
struct Pending {
    session: SessionId,
    id: Value,
    db: usize,
    operations: Vec<Value>,
    started: Instant,
    deadline: Option<Instant>,
}

/// Everything the server knows.
#[derive(Debug)]
pub(crate) struct State {
    databases: Vec<Entry>,
    sessions: HashMap<SessionId, Session>,
    next_session: SessionId,
    locks: Locks,
    pending: Vec<Pending>,
    specs: HashMap<(usize, String), Weak<MonitorSpec>>,
    limits: Limits,
    server_id: Uuid,
    /// Rises with every commit that changed something in a database with a file.
    commits: u64,
}

/// Counts for `memory/show`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows of all databases.
    pub rows: usize,
    /// Atoms and pairs in all columns of all rows.
    pub atoms: usize,
    /// Monitors of all sessions.
    pub monitors: usize,
    /// Connected clients.
    pub sessions: usize,
    /// Bytes waiting to be sent to clients.
    pub backlog_bytes: usize,
    /// Transactions in a `wait`.
    pub pending: usize,
    /// Bytes in the database file.
    pub file_bytes: u64,
}

type Answer = Result<Value, Value>;

impl State {
    /// Opens the file and makes the `_Server` database.
    pub fn open(path: &std::path::Path, schema: &str, limits: Limits) -> Result<Self, LogError> {
        let (log, db) = Log::open(path, schema)?;
        let server = Schema::parse(SERVER_SCHEMA)
            .map_err(|source| LogError::Schema { path: PathBuf::from("_Server"), source })?;
        let server = Database::new(Arc::new(server));
        let mut state = Self {
            databases: vec![Entry { db, log: Some(log) }, Entry { db: server, log: None }],
            sessions: HashMap::new(),
            next_session: 1,
            locks: Locks::default(),
            pending: Vec::new(),
            specs: HashMap::new(),
            limits,
            server_id: Uuid::new_v4(),
            commits: 0,
        };
        state.describe_databases();
        Ok(state)
    }

    fn describe_databases(&mut self) {
        let rows: Vec<Value> = self
            .databases
            .iter()
            .map(|entry| {
                let schema = entry.db.schema();
                json!({"op": "insert", "table": "Database", "row": {
                    "name": schema.name, "model": "standalone", "connected": true, "leader": true,
                    "schema": crate::error::sorted_json(schema.json())}})
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
            atoms: count(Database::atom_count),
            monitors: self.sessions.values().map(|session| session.monitors.len()).sum(),
            sessions: self.sessions.len(),
            backlog_bytes: self.sessions.values().map(|session| session.outbox.bytes()).sum(),
            pending: self.pending.len(),
            file_bytes: self.databases.iter().flat_map(|e| &e.log).map(Log::size).sum(),
        }
    }

    pub fn compact(&mut self) -> std::io::Result<()> {
        for entry in &mut self.databases {
            if let Some(log) = &mut entry.log {
                log.compact(&entry.db)?;
            }
        }
        Ok(())
    }

    pub fn open_session(&mut self) -> Option<(SessionId, Rc<Outbox>)> {
        if self.sessions.len() >= self.limits.sessions_max {
            return None;
        }
        let id = self.next_session;
        self.next_session += 1;
        let outbox = Rc::new(Outbox::new(self.limits.update_bytes_max));
        let session = Session { outbox: Rc::clone(&outbox), monitors: BTreeMap::new() };
        self.sessions.insert(id, session);
        Some((id, outbox))
    }

    pub fn close_session(&mut self, id: SessionId) {
        self.sessions.remove(&id);
        self.pending.retain(|pending| pending.session != id);
        for event in self.locks.release(id) {
            self.announce(&event);
        }
        self.specs.retain(|_, spec| spec.strong_count() > 0);
    }

    /// When the next `wait` runs out.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pending.iter().filter_map(|pending| pending.deadline).min()
    }

    /// Answers the transactions whose `wait` ran out.
    pub fn expire(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while let Some(pending) = self.pending.get(index) {
            if pending.deadline.is_some_and(|deadline| deadline <= now) {
                let pending = self.pending.swap_remove(index);
                self.run(pending);
            } else {
                index += 1;
            }
        }
    }

    /// Does what a message asks for.
    pub fn handle(&mut self, session: SessionId, message: Message) {
        match message {
            Message::Request { id, method, params } => {
                if let Some(answer) = self.request(session, &id, &method, params) {
                    self.reply(session, &id, &answer);
                }
            }
            Message::Notification { method, params } if method == "cancel" => {
                self.cancel(session, params.first().unwrap_or(&Value::Null));
            }
            Message::Notification { .. } | Message::Reply { .. } => {}
        }
    }

    fn reply(&self, session: SessionId, id: &Value, answer: &Answer) {
        let text = match answer {
            Ok(result) => format!("{{\"id\":{id},\"result\":{result},\"error\":null}}"),
            Err(error) => format!("{{\"id\":{id},\"error\":{error}}}"),
        };
        self.send(session, text);
    }

    fn reply_text(&self, session: SessionId, id: &Value, result: &str) {
        self.send(session, format!("{{\"id\":{id},\"result\":{result},\"error\":null}}"));
    }

    fn send(&self, session: SessionId, text: String) {
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
            "transact" => self.transact(session, id, params),
            "echo" => Some(Ok(Value::Array(params))),
            "list_dbs" => Some(Ok(Value::from(self.list_dbs()))),
            "get_schema" => Some(self.get_schema(params)),
            "get_server_id" => Some(Ok(Value::from(self.server_id.to_string()))),
            "set_db_change_aware" => Some(change_aware(params)),
            "lock" | "steal" | "unlock" => Some(self.lock(session, method, params)),
            "monitor" => self.monitor(session, id, params, Kind::Update),
            "monitor_cond" => self.monitor(session, id, params, Kind::Update2),
            "monitor_cond_since" => self.monitor(session, id, params, Kind::Update3),
            "monitor_cond_change" => Some(self.monitor_cond_change(session, params)),
            "monitor_cancel" => Some(self.monitor_cancel(session, &params)),
            _ => Some(Err(Value::from("unknown method"))),
        }
    }

    fn db_param(&self, method: &str, params: &Value) -> Result<usize, Value> {
        let Some(name) = params.get(0).and_then(Value::as_str) else {
            let text = format!("{method} request params must begin with <db-name>");
            return Err(OvsdbError::syntax(params, text).to_json());
        };
        self.find_db(name).ok_or_else(|| {
            let text = format!("{method} request specifies unknown database {name}");
            OvsdbError::new("unknown database", text).about(params).to_json()
        })
    }

    fn get_schema(&self, params: Vec<Value>) -> Answer {
        let db = self.db_param("get_schema", &Value::Array(params))?;
        Ok(self.database(db).map_or(Value::Null, |db| db.schema().json().clone()))
    }

    fn transact(&mut self, session: SessionId, id: &Value, params: Vec<Value>) -> Option<Answer> {
        let params = Value::Array(params);
        let db = match self.db_param("transact", &params) {
            Ok(db) => db,
            Err(error) => return Some(Err(error)),
        };
        let Value::Array(mut operations) = params else { return None };
        operations.remove(0);
        let mine = self.pending.iter().filter(|pending| pending.session == session);
        let (mut waiting, mut duplicate) = (0, false);
        for pending in mine {
            waiting += 1;
            duplicate |= pending.id == *id;
        }
        if duplicate {
            let error = OvsdbError::syntax(id, "duplicate request ID");
            return Some(Err(error.to_json()));
        }
        if waiting >= self.limits.pending_max {
            let error = OvsdbError::new("resources exhausted", "too many transactions wait");
            return Some(Err(error.to_json()));
        }
        let started = Instant::now();
        self.run(Pending { session, id: id.clone(), db, operations, started, deadline: None });
        None
    }

    /// Runs a transaction and answers it, or lets it wait.
    fn run(&mut self, pending: Pending) {
        if let Some(changed) = self.attempt(pending)
            && changed
        {
            self.retry_pending();
        }
    }

    /// True when something changed, None when the transaction waits.
    fn attempt(&mut self, mut pending: Pending) -> Option<bool> {
        let waited = pending.started.elapsed();
        match self.execute(pending.db, pending.session, &pending.operations, waited) {
            Execution::Wait { timeout } => {
                pending.deadline = timeout.map(|timeout| pending.started + timeout);
                self.pending.push(pending);
                None
            }
            Execution::Done { results, commit } => {
                let changed = commit.as_ref().is_some_and(|commit| !commit.changes.is_empty());
                if let Some(commit) = commit {
                    self.publish(pending.db, &commit.changes);
                }
                self.reply(pending.session, &pending.id, &Ok(Value::Array(results)));
                Some(changed)
            }
        }
    }

    /// After a change every waiting transaction gets another chance, and again after what those change.
    fn retry_pending(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for pending in std::mem::take(&mut self.pending) {
                changed |= self.attempt(pending) == Some(true);
            }
        }
    }

    fn execute(
        &mut self,
        db: usize,
        session: SessionId,
        operations: &[Value],
        waited: Duration,
    ) -> Execution {
        let Some(entry) = self.databases.get_mut(db) else {
            return Execution::Done { results: Vec::new(), commit: None };
        };
        let locks = &self.locks;
        let owns_lock = |name: &str| locks.owns(session, name);
        let context = Context { owns_lock: &owns_lock, waited };
        let schema = Arc::clone(entry.db.schema());
        let log = &mut entry.log;
        // Session 0 is the server itself; `_Server` is read-only for everybody else.
        let read_only = log.is_none() && session != 0;
        let mut persist = |commit: &Commit| match log {
            None if read_only && !commit.changes.is_empty() => {
                let text = format!("{} database is read-only", schema.name);
                Err(OvsdbError::new("not allowed", text))
            }
            None => Ok(()),
            Some(log) => log.append(&schema, commit).map_err(|error| {
                tracing::error!(file = %log.path().display(), %error, "cannot write a transaction");
                OvsdbError::new("I/O error", format!("{}: {error}", log.path().display()))
            }),
        };
        let execution = execute(&mut entry.db, operations, &context, &mut persist);
        if let Some(log) = log
            && log.wants_compaction()
        {
            tracing::info!(file = %log.path().display(), bytes = log.size(), "compacting");
            if let Err(error) = log.compact(&entry.db) {
                tracing::warn!(file = %log.path().display(), %error, "compaction failed");
            }
        }
        execution
    }

    /// Runs a transaction of the server itself, without locks and without an answer.
    pub fn transact_internal(&mut self, db: usize, operations: &[Value]) -> Vec<Value> {
        let execution = self.execute(db, 0, operations, Duration::ZERO);
        let Execution::Done { results, commit } = execution else { return Vec::new() };
        if let Some(commit) = commit
            && !commit.changes.is_empty()
        {
            self.publish(db, &commit.changes);
            self.retry_pending();
        }
        results
    }

    /// Tells every monitor of the database about a commit.
    fn publish(&mut self, db: usize, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        self.commits += u64::from(db == 0);
        let Some(schema) = self.databases.get(db).map(|entry| Arc::clone(entry.db.schema())) else {
            return;
        };
        let mut texts: HashMap<(*const MonitorSpec, Kind), Option<Rc<str>>> = HashMap::new();
        for session in self.sessions.values() {
            for monitor in session.monitors.values().filter(|monitor| monitor.db == db) {
                let text =
                    texts.entry((Rc::as_ptr(&monitor.spec), monitor.kind)).or_insert_with(|| {
                        monitor.spec.update(&schema, changes, monitor.kind).map(Rc::from)
                    });
                if let Some(text) = text {
                    session.outbox.update(update_start(monitor.kind, &monitor.id), text);
                }
            }
        }
    }

    fn lock(&mut self, session: SessionId, method: &str, params: Vec<Value>) -> Answer {
        let name = match params.as_slice() {
            [Value::String(name)] if is_id(name) => name.clone(),
            _ => {
                let text = format!("{method} request params must be <id>");
                return Err(OvsdbError::syntax(&Value::Array(params), text).to_json());
            }
        };
        let fault =
            |text: String| OvsdbError::syntax(&Value::Array(params.clone()), text).to_json();
        let requested = self.locks.requested(session, &name);
        if method == "unlock" {
            if !requested {
                return Err(fault("unlock: \"unlock\" without \"lock\" or \"steal\"".to_owned()));
            }
            if let Some(event) = self.locks.unlock(session, &name) {
                self.announce(&event);
            }
            return Ok(json!({}));
        }
        if requested {
            return Err(fault(format!("must issue \"unlock\" before new \"{method}\"")));
        }
        if self.locks.count(session) >= self.limits.locks_max {
            let error = OvsdbError::new("resources exhausted", "too many locks");
            return Err(error.to_json());
        }
        if method == "lock" {
            let locked = self.locks.lock(session, &name);
            return Ok(json!({ "locked": locked }));
        }
        if let Some(event) = self.locks.steal(session, &name) {
            self.announce(&event);
        }
        Ok(json!({"locked": true}))
    }

    fn announce(&self, event: &LockEvent) {
        let (session, method, name) = match event {
            LockEvent::Locked(session, name) => (*session, "locked", name),
            LockEvent::Stolen(session, name) => (*session, "stolen", name),
        };
        self.send(session, json!({"id": null, "method": method, "params": [name]}).to_string());
    }

    fn cancel(&mut self, session: SessionId, id: &Value) {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.session != session || pending.id != *id);
        if self.pending.len() != before {
            self.reply(session, id, &Err(Value::from("canceled")));
        }
    }

    fn monitor(
        &mut self,
        session: SessionId,
        id: &Value,
        params: Vec<Value>,
        kind: Kind,
    ) -> Option<Answer> {
        match self.start_monitor(session, params, kind) {
            Ok(text) => {
                self.reply_text(session, id, &text);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn start_monitor(
        &mut self,
        session: SessionId,
        params: Vec<Value>,
        kind: Kind,
    ) -> Result<String, Value> {
        let method = match kind {
            Kind::Update => "monitor",
            Kind::Update2 => "monitor_cond",
            Kind::Update3 => "monitor_cond_since",
        };
        let params = Value::Array(params);
        let db = self.db_param(method, &params)?;
        let (Some(id), Some(requests)) = (params.get(1), params.get(2)) else {
            let text = format!("{method} request params must be <db-name>, <id>, <requests>");
            return Err(OvsdbError::syntax(&params, text).to_json());
        };
        if kind == Kind::Update3 {
            last_transaction(params.get(3).unwrap_or(&Value::Null))?;
        }
        let monitors_max = self.limits.monitors_max;
        let known = self.sessions.get(&session).map(|session| &session.monitors);
        if known.is_some_and(|monitors| monitors.contains_key(&id.to_string())) {
            return Err(OvsdbError::syntax(id, "duplicate monitor ID").to_json());
        }
        if known.is_some_and(|monitors| monitors.len() >= monitors_max) {
            let error = OvsdbError::new("resources exhausted", "too many monitors");
            return Err(error.to_json());
        }
        let Some(entry) = self.databases.get(db) else { return Err(Value::Null) };
        let spec = MonitorSpec::from_json(entry.db.schema(), requests, kind != Kind::Update)
            .map_err(|error| error.to_json())?;
        let initial = spec.initial(&entry.db, kind);
        let spec = self.intern(db, spec);
        if let Some(session) = self.sessions.get_mut(&session) {
            let monitor = Monitor { id: id.clone(), db, kind, spec };
            session.monitors.insert(id.to_string(), monitor);
        }
        Ok(match kind {
            Kind::Update3 => format!("[false,\"{NIL}\",{initial}]"),
            _ => initial,
        })
    }

    fn intern(&mut self, db: usize, spec: MonitorSpec) -> Rc<MonitorSpec> {
        let key = (db, spec.key());
        if let Some(known) = self.specs.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let spec = Rc::new(spec);
        self.specs.insert(key, Rc::downgrade(&spec));
        spec
    }

    fn monitor_cond_change(&mut self, session: SessionId, params: Vec<Value>) -> Answer {
        let params = Value::Array(params);
        let (Some(old_id), Some(new_id), Some(requests)) =
            (params.get(0), params.get(1), params.get(2))
        else {
            let text = "monitor_cond_change request params must be <id>, <new-id>, <requests>";
            return Err(OvsdbError::syntax(&params, text).to_json());
        };
        let unknown = || OvsdbError::syntax(old_id, "unknown monitor session").to_json();
        let monitors = self.sessions.get(&session).map(|session| &session.monitors);
        let monitor = monitors
            .and_then(|monitors| monitors.get(&old_id.to_string()))
            .filter(|monitor| monitor.kind != Kind::Update)
            .cloned()
            .ok_or_else(unknown)?;
        let taken = monitors.is_some_and(|monitors| monitors.contains_key(&new_id.to_string()));
        if old_id != new_id && taken {
            return Err(OvsdbError::syntax(new_id, "duplicate monitor ID").to_json());
        }
        let Some(entry) = self.databases.get(monitor.db) else { return Err(unknown()) };
        let spec = monitor
            .spec
            .with_conditions(entry.db.schema(), requests)
            .map_err(|error| error.to_json())?;
        let text = monitor.spec.condition_change(&spec, &entry.db, monitor.kind);
        let spec = self.intern(monitor.db, spec);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.monitors.remove(&old_id.to_string());
            if let Some(text) = text {
                session.outbox.update(update_start(monitor.kind, new_id), &Rc::from(text));
            }
            let monitor = Monitor { id: new_id.clone(), spec, ..monitor };
            session.monitors.insert(new_id.to_string(), monitor);
        }
        Ok(json!({}))
    }

    fn monitor_cancel(&mut self, session: SessionId, params: &[Value]) -> Answer {
        let known = params
            .first()
            .and_then(|id| self.sessions.get_mut(&session)?.monitors.remove(&id.to_string()));
        if known.is_some() { Ok(json!({})) } else { Err(Value::from("unknown monitor")) }
    }
}

/// The start of an update up to its body; `]}` ends it.
fn update_start(kind: Kind, id: &Value) -> String {
    let method = kind.method();
    match kind {
        Kind::Update3 => {
            format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},\"{NIL}\",")
        }
        _ => format!("{{\"id\":null,\"method\":\"{method}\",\"params\":[{id},"),
    }
}

fn change_aware(params: Vec<Value>) -> Answer {
    if let [Value::Bool(_)] = params.as_slice() {
        return Ok(json!({}));
    }
    let text = "set_db_change_aware: true or false parameter expected";
    Err(OvsdbError::syntax(&Value::Array(params), text).to_json())
}

/// Checks the last parameter of `monitor_cond_since`. The history is not kept: every client gets all.
fn last_transaction(json: &Value) -> Result<(), Value> {
    let fault = |text| Err(OvsdbError::syntax(json, text).to_json());
    match json {
        Value::String(text) if parse_uuid(text).is_some() => Ok(()),
        Value::String(_) => fault("last-txn-id must be UUID format."),
        _ => fault("last-txn-id must be string"),
    }
}
