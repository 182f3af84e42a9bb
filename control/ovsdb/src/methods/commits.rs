//! From `transact` to its reply: run, or wait; then the file, the monitors, and the answer.

use std::collections::HashMap;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::jsonrpc::Envelope;
use crate::methods::lock::SessionId;
use crate::methods::state::State;
use crate::monitor::outbox::LAGGING_BYTES;
use crate::monitor::{Kind, MonitorSpec};
use crate::store::Commit;
use crate::store::database::Change;
use crate::store::log::Fault;
use crate::txn::results::Results;
use crate::txn::{Context, Execution, execute};
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::tape::{Tape, TapeValue};

/// A transaction whose `wait` does not hold yet.
#[derive(Debug)]
pub(crate) struct Pending<'a> {
    pub session: SessionId,
    pub id: Value,
    pub db: usize,
    /// The request.
    tape: Tape<'a>,
    pub started: Instant,
    pub deadline: Option<Instant>,
}

impl Pending<'_> {
    /// The same, without the message that it came in.
    fn into_owned(self) -> Pending<'static> {
        let Self { session, id, db, tape, started, deadline } = self;
        Pending { session, id, db, tape: tape.into_owned(), started, deadline }
    }
}

/// A reply that waits until the disk has its transaction.
#[derive(Debug)]
pub(crate) struct Unsynced {
    session: SessionId,
    id: Value,
    results: Results,
}

/// One write-out of a database file, for any number of transactions.
#[derive(Debug)]
pub(crate) struct SyncJob {
    pub file: Arc<File>,
    db: usize,
    written: u64,
    replies: Vec<Unsynced>,
}

impl State {
    /// Runs the transaction that is the request on the tape. Without an error the answer is on its way already, or
    /// comes later.
    pub(crate) fn transact(
        &mut self,
        session: SessionId,
        id: &Value,
        tape: Tape<'_>,
    ) -> Result<(), Value> {
        let db = self.db_param("transact", params(&tape).ok_or(Value::Null)?)?;
        let mine = self.pending.iter().filter(|pending| pending.session == session);
        let (mut waiting, mut duplicate) = (0, false);
        for pending in mine {
            waiting += 1;
            duplicate |= pending.id == *id;
        }
        if duplicate {
            let error = OvsdbError::syntax(id, "duplicate request ID");
            return Err(error.to_json());
        }
        if waiting >= self.limits.pending_max {
            let error = OvsdbError::new("resources exhausted", "too many transactions wait");
            return Err(error.to_json());
        }
        let count = operations(&tape).len();
        if count > self.limits.operations_max {
            let max = self.limits.operations_max;
            let text = format!("{count} operations, a transaction may have {max} (operations_max)");
            return Err(OvsdbError::new("resources exhausted", text).to_json());
        }
        let started = Instant::now();
        self.run(Pending { session, id: id.clone(), db, tape, started, deadline: None });
        Ok(())
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

    /// Answers those waiting transactions for which `which` holds with `canceled`.
    pub(crate) fn cancel(&mut self, which: impl Fn(&Pending<'_>) -> bool) {
        let (canceled, kept) = std::mem::take(&mut self.pending).into_iter().partition(which);
        self.pending = kept;
        let canceled: Vec<Pending<'static>> = canceled;
        for pending in canceled {
            self.reply(pending.session, &pending.id, &Err(Value::from("canceled")));
        }
    }

    /// Runs a transaction and answers it, or lets it wait.
    fn run(&mut self, pending: Pending<'_>) {
        if let Some(changed) = self.attempt(pending)
            && changed
        {
            self.retry_pending();
        }
    }

    /// True when something changed, None when the transaction waits.
    fn attempt(&mut self, mut pending: Pending<'_>) -> Option<bool> {
        let waited = pending.started.elapsed();
        let operations = operations(&pending.tape);
        match self.execute(pending.db, pending.session, operations, waited) {
            Execution::Wait { timeout } => {
                pending.deadline = timeout.map(|timeout| pending.started + timeout);
                self.pending.push(pending.into_owned());
                None
            }
            Execution::Done { results, commit } => {
                let changed = commit.as_ref().is_some_and(|commit| !commit.changes.is_empty());
                let durable = commit.as_ref().is_some_and(|commit| commit.durable);
                if let Some(commit) = commit {
                    self.publish(pending.db, &commit.changes);
                }
                self.answer(pending, results, durable);
                Some(changed)
            }
        }
    }

    /// Replies now, or when the disk has what the reply promises.
    fn answer(&mut self, pending: Pending<'_>, results: Results, durable: bool) {
        let Pending { session, id, db, tape, .. } = pending;
        self.recycle(tape);
        if durable
            && let Some(entry) = self.databases.get_mut(db)
            && entry.log.as_ref().is_some_and(crate::store::log::Log::is_dirty)
        {
            if let Some(session) = self.sessions.get(&session) {
                session.outbox.owe();
            }
            entry.unsynced.push(Unsynced { session, id, results });
        } else {
            self.reply_text(session, &id, &results);
        }
    }

    /// What has to be written out for replies that wait; None when none does.
    pub fn take_sync(&mut self) -> Option<SyncJob> {
        let (db, entry) =
            self.databases.iter_mut().enumerate().find(|(_, entry)| !entry.unsynced.is_empty())?;
        let (file, written) = entry.log.as_ref()?.to_sync();
        Some(SyncJob { file, db, written, replies: std::mem::take(&mut entry.unsynced) })
    }

    /// Answers the transactions of a write-out that is over.
    pub fn synced(&mut self, job: SyncJob, outcome: &std::io::Result<()>) {
        let log = self.databases.get_mut(job.db).and_then(|entry| entry.log.as_mut());
        let mut fault = None;
        if let Some(log) = log {
            log.synced(&job.file, job.written, outcome);
            if let Err(error) = outcome {
                let failed = Fault::new("sync failed", error);
                fault = Some(failed.answer(log.path()).to_json());
            }
        }
        for mut unsynced in job.replies {
            if let Some(fault) = &fault {
                unsynced.results.push(fault);
            }
            self.reply_text(unsynced.session, &unsynced.id, &unsynced.results);
            if let Some(session) = self.sessions.get(&unsynced.session) {
                session.outbox.pay();
            }
        }
    }

    /// After a change every waiting transaction gets another chance, and again after what those change.
    pub(crate) fn retry_pending(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for pending in std::mem::take(&mut self.pending) {
                changed |= self.attempt(pending) == Some(true);
            }
        }
    }

    fn execute<'j, J: Json<'j>>(
        &mut self,
        db: usize,
        session: SessionId,
        operations: impl IntoIterator<Item = J, IntoIter: ExactSizeIterator>,
        waited: Duration,
    ) -> Execution {
        let Some(entry) = self.databases.get_mut(db) else {
            return Execution::Done { results: Results::default(), commit: None };
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
            Some(log) => log.append(&schema, commit).map_err(|fault| fault.answer(log.path())),
        };
        execute(&mut entry.db, operations, &context, &mut persist)
    }

    /// Runs a transaction of the server itself, without locks and without an answer.
    pub fn transact_internal(&mut self, db: usize, operations: &[Value]) {
        let execution = self.execute(db, 0, operations, Duration::ZERO);
        if let Execution::Done { commit: Some(commit), .. } = execution
            && !commit.changes.is_empty()
        {
            self.publish(db, &commit.changes);
            self.retry_pending();
        }
    }

    /// Tells every monitor of the database about a commit; those that lag remember it instead.
    fn publish(&mut self, db: usize, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        self.commits += u64::from(db == 0);
        let Some(entry) = self.databases.get_mut(db) else { return };
        entry.history.push(changes);
        let last = entry.history.last();
        let schema = Arc::clone(entry.db.schema());
        let mut texts: HashMap<(*const MonitorSpec, Kind), Option<Rc<str>>> = HashMap::new();
        let mut start: Option<(Kind, String, Rc<str>)> = None;
        for id in &self.watching {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let behind = session.outbox.bytes() > LAGGING_BYTES;
            for (id, monitor) in session.monitors.iter_mut().filter(|(_, it)| it.db == db) {
                if behind || monitor.missed.is_some() {
                    let missed = monitor.missed.get_or_insert_default();
                    let before = missed.len();
                    missed.add(changes);
                    self.missed_rows += missed.len() - before;
                    continue;
                }
                let text =
                    texts.entry((Rc::as_ptr(&monitor.spec), monitor.kind)).or_insert_with(|| {
                        monitor.spec.update(&schema, changes, monitor.kind).map(Rc::from)
                    });
                let Some(text) = text else { continue };
                // Clients of one kind call their monitors by one name: most starts are those of before.
                if start.as_ref().is_none_or(|(kind, of, _)| *kind != monitor.kind || of != id) {
                    start = Some((monitor.kind, id.clone(), monitor.update_start(last)));
                }
                if let Some((_, _, start)) = &start {
                    session.outbox.update(start, text);
                }
            }
            if behind && self.missed_rows > self.limits.missed_rows_max {
                session.outbox.close("does not read its updates, and too much is kept for it");
            }
        }
    }
}

/// The parameters of the request on a tape.
fn params<'t>(tape: &'t Tape<'_>) -> Option<TapeValue<'t>> {
    Envelope::read(tape.root()).ok()?.params
}

/// The operations of the transaction on a tape: all parameters behind the name of the database.
fn operations<'t>(tape: &'t Tape<'_>) -> impl ExactSizeIterator<Item = TapeValue<'t>> {
    params(tape).unwrap_or_else(|| tape.root()).all_elements().skip(1)
}
