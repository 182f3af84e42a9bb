//! Named locks: lock, steal, unlock (RFC 7047 sections 4.1.8 to 4.1.10).

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use crate::methods::state::{Answer, State};
use crate::value::atom::is_id;
use crate::value::error::OvsdbError;

/// Number of a session.
pub type SessionId = u64;

/// A notification that a change of owner causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockEvent {
    /// The session owns the lock now.
    Locked(SessionId, String),
    /// The session lost the lock; it waits in line again.
    Stolen(SessionId, String),
}

/// Every lock with its owner (first) and those in line.
#[derive(Debug, Default)]
pub struct Locks {
    queues: HashMap<String, VecDeque<SessionId>>,
}

impl Locks {
    /// True when the session owns or awaits the lock.
    #[must_use]
    pub fn requested(&self, session: SessionId, name: &str) -> bool {
        self.queues.get(name).is_some_and(|queue| queue.contains(&session))
    }

    /// True when the session owns the lock.
    #[must_use]
    pub fn owns(&self, session: SessionId, name: &str) -> bool {
        self.queues.get(name).and_then(VecDeque::front) == Some(&session)
    }

    /// Number of locks that the session owns or awaits.
    #[must_use]
    pub fn count(&self, session: SessionId) -> usize {
        self.queues.values().filter(|queue| queue.contains(&session)).count()
    }

    /// Names of the locks that the session owns, sorted.
    #[must_use]
    pub fn owned_by(&self, session: SessionId) -> Vec<String> {
        self.names(|queue| queue.front() == Some(&session))
    }

    /// Names of the locks that the session awaits, sorted.
    #[must_use]
    pub fn awaited_by(&self, session: SessionId) -> Vec<String> {
        self.names(|queue| queue.iter().skip(1).any(|waiter| *waiter == session))
    }

    fn names(&self, which: impl Fn(&VecDeque<SessionId>) -> bool) -> Vec<String> {
        let queues = self.queues.iter().filter(|(_, queue)| which(queue));
        let mut names: Vec<String> = queues.map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Gets in line; true when that makes the session the owner.
    pub fn lock(&mut self, session: SessionId, name: &str) -> bool {
        let queue = self.queues.entry(name.to_owned()).or_default();
        queue.push_back(session);
        queue.len() == 1
    }

    /// Becomes the owner at once; the former owner hears of it and is next in line.
    pub fn steal(&mut self, session: SessionId, name: &str) -> Option<LockEvent> {
        let queue = self.queues.entry(name.to_owned()).or_default();
        let loser = queue.front().copied();
        queue.push_front(session);
        loser.map(|loser| LockEvent::Stolen(loser, name.to_owned()))
    }

    /// Leaves the lock or the line; the next in line may become owner.
    pub fn unlock(&mut self, session: SessionId, name: &str) -> Option<LockEvent> {
        let owned = self.owns(session, name);
        let queue = self.queues.get_mut(name)?;
        queue.retain(|waiter| *waiter != session);
        let next = queue.front().copied();
        if next.is_none() {
            self.queues.remove(name);
        }
        next.filter(|_| owned).map(|next| LockEvent::Locked(next, name.to_owned()))
    }

    /// Unlocks everything when the session ends.
    pub fn release(&mut self, session: SessionId) -> Vec<LockEvent> {
        let names = self.names(|queue| queue.contains(&session));
        names.iter().filter_map(|name| self.unlock(session, name)).collect()
    }
}

impl State {
    /// Does what the methods `lock`, `steal` and `unlock` ask for.
    pub(super) fn lock(&mut self, session: SessionId, method: &str, params: Vec<Value>) -> Answer {
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

    pub(super) fn announce(&self, event: &LockEvent) {
        let (session, method, name) = match event {
            LockEvent::Locked(session, name) => (*session, "locked", name),
            LockEvent::Stolen(session, name) => (*session, "stolen", name),
        };
        self.send(session, json!({"id": null, "method": method, "params": [name]}).to_string());
    }
}
