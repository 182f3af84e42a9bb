//! The monitor methods of a session: `monitor`, `monitor_cond`, `monitor_cond_since`, their changes and ends.

use std::rc::{Rc, Weak};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::methods::lock::SessionId;
use crate::methods::state::{Answer, State};
use crate::monitor::outbox::Chunk;
use crate::monitor::{Kind, Monitor, MonitorSpec};
use crate::value::atom::parse_uuid;
use crate::value::error::OvsdbError;

impl State {
    /// None when the answer is on its way already.
    pub(crate) fn monitor(
        &mut self,
        session: SessionId,
        id: &Value,
        params: Vec<Value>,
        kind: Kind,
    ) -> Option<Answer> {
        match self.start_monitor(session, params, kind) {
            Ok(chunks) => {
                self.reply_pieces(session, id, chunks);
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
    ) -> Result<Vec<Chunk>, Value> {
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
        let last_seen = match kind {
            Kind::Update3 => last_transaction(params.get(3).unwrap_or(&Value::Null))?,
            _ => Uuid::nil(),
        };
        self.check_new_monitor(session, id)?;
        let Some(entry) = self.databases.get(db) else { return Err(Value::Null) };
        let spec = MonitorSpec::from_json(entry.db.schema(), requests, kind != Kind::Update)
            .map_err(|error| error.to_json())?;
        let last = entry.history.last();
        let missed = entry.history.since(last_seen).filter(|_| kind == Kind::Update3);
        let mut chunks = Vec::new();
        if kind == Kind::Update3 {
            let found = missed.is_some();
            chunks.push(Chunk::Own(format!("[{found},\"{last}\",").into_bytes()));
        }
        if let Some(missed) = missed {
            let changes = missed.changes(&entry.db);
            let rows = spec.update(entry.db.schema(), &changes, kind);
            chunks.push(Chunk::Own(rows.unwrap_or_else(|| "{}".to_owned()).into_bytes()));
        } else {
            chunks.extend(self.initials.text((db, &entry.db), (&spec, kind)));
        }
        if kind == Kind::Update3 {
            chunks.push(Chunk::Fixed("]"));
        }
        let spec = self.intern(db, spec);
        if let Some(session) = self.sessions.get_mut(&session) {
            let monitor = Monitor { id: id.clone(), db, kind, spec, missed: None };
            session.monitors.insert(id.to_string(), monitor);
        }
        self.watching.insert(session);
        Ok(chunks)
    }

    fn check_new_monitor(&self, session: SessionId, id: &Value) -> Result<(), Value> {
        let Some(session) = self.sessions.get(&session) else { return Err(Value::Null) };
        if session.monitors.contains_key(&id.to_string()) {
            return Err(OvsdbError::syntax(id, "duplicate monitor ID").to_json());
        }
        if session.monitors.len() >= self.limits.monitors_max {
            let error = OvsdbError::new("resources exhausted", "too many monitors");
            return Err(error.to_json());
        }
        Ok(())
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

    /// Sends a session that lagged the sum of what its monitors missed.
    pub(crate) fn catch_up(&mut self, session: SessionId) {
        let Some(session) = self.sessions.get_mut(&session) else { return };
        for monitor in session.monitors.values_mut() {
            let Some(missed) = monitor.missed.take() else { continue };
            self.missed_rows -= missed.len();
            let Some(entry) = self.databases.get(monitor.db) else { continue };
            let changes = missed.changes(&entry.db);
            if let Some(text) = monitor.spec.update(entry.db.schema(), &changes, monitor.kind) {
                let start = monitor.update_start(entry.history.last());
                session.outbox.update(&start, &Rc::from(text));
            }
        }
    }

    pub(crate) fn monitor_cond_change(&mut self, session: SessionId, params: Vec<Value>) -> Answer {
        let params = Value::Array(params);
        let Some([old_id, new_id, requests]) = params.as_array().map(Vec::as_slice) else {
            return Err(OvsdbError::syntax(&params, "invalid parameters").to_json());
        };
        self.catch_up(session);
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
        let last = entry.history.last();
        let text = monitor.spec.condition_change(&spec, &entry.db, monitor.kind);
        let spec = self.intern(monitor.db, spec);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.monitors.remove(&old_id.to_string());
            let monitor = Monitor { id: new_id.clone(), spec, ..monitor };
            if let Some(text) = text {
                session.outbox.update(&monitor.update_start(last), &Rc::from(text));
            }
            session.monitors.insert(new_id.to_string(), monitor);
        }
        Ok(json!({}))
    }

    pub(crate) fn monitor_cancel(&mut self, session: SessionId, params: &[Value]) -> Answer {
        let id = params.first().map(ToString::to_string).unwrap_or_default();
        let known = self.sessions.get_mut(&session).and_then(|it| it.monitors.remove(&id));
        match known {
            None => Err(Value::from("unknown monitor")),
            Some(monitor) => {
                self.missed_rows -= monitor.missed_rows();
                Ok(json!({}))
            }
        }
    }
}

/// Reads the last parameter of `monitor_cond_since`.
fn last_transaction(json: &Value) -> Result<Uuid, Value> {
    let fault = |text| OvsdbError::syntax(json, text).to_json();
    match json {
        Value::String(text) => {
            parse_uuid(text).ok_or_else(|| fault("last-txn-id must be UUID format."))
        }
        _ => Err(fault("last-txn-id must be string")),
    }
}
