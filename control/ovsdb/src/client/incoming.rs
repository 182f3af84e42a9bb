//! What comes in from the server: replies, updates of the replica, notices about locks.

use std::io;

use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::task::spawn_blocking;

use crate::client::replica::{RowChange, Shape};
use crate::client::{Answered, Client, ClientError};
use crate::jsonrpc::{self, Message};
use crate::monitor::Kind;
use crate::value::error::OvsdbError;

/// Larger messages are read on a thread of their own: whoever waits for them does other things, too.
const LARGE_BYTES: usize = 1 << 18;
/// How often the socket is read before whoever waits gets another chance.
const READS_MAX: usize = 32;

impl Client {
    /// Waits for the socket once and does what it allows. Nothing is lost when it is dropped.
    pub(super) async fn step(&mut self) -> Result<(), ClientError> {
        self.send()?;
        if let Some(reading) = &mut self.reading {
            let read = reading.await;
            self.reading = None;
            let incoming = read.map_err(|error| ClientError::Protocol(error.to_string()))??;
            self.take_in(incoming)?;
            return self.take_frames();
        }
        let interest = if self.out.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        self.stream.ready(interest).await.map_err(|error| self.io_error(error))?;
        self.send()?;
        self.receive()?;
        // A server that has much to say must not keep everything else waiting. What has changed is
        // reported first: whoever goes on with the replica then must not find more in it than was reported.
        if self.changes.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Takes in what the socket holds already, unless that is very much.
    pub(super) fn drain(&mut self) -> Result<(), ClientError> {
        for _ in 0..READS_MAX {
            if !self.receive()? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self) -> Result<(), ClientError> {
        while !self.out.is_empty() {
            match self.stream.try_write(&self.out) {
                Ok(length) => drop(self.out.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.io_error(error)),
            }
        }
        Ok(())
    }

    /// Reads once; true when there was something.
    fn receive(&mut self) -> Result<bool, ClientError> {
        if self.reading.is_some() {
            return Ok(false);
        }
        let mut buffer = [0; 1 << 14];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => return Err(ClientError::Closed),
            Ok(length) => self.framer.push(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(self.io_error(error)),
        }
        self.take_frames()?;
        Ok(true)
    }

    /// Takes in the messages that are complete.
    fn take_frames(&mut self) -> Result<(), ClientError> {
        let kind = self.monitored.as_ref().map(|monitored| monitored.kind);
        while let Some(frame) = self.framer.next_frame()? {
            if frame.len() > LARGE_BYTES {
                let (frame, shape) = (frame.to_vec(), self.replica.shape());
                self.reading = Some(spawn_blocking(move || Incoming::read(&frame, kind, &shape)));
                return Ok(());
            }
            let message = Message::from_json(jsonrpc::json(frame)?)?;
            self.take_in(Incoming::Message(message))?;
        }
        self.framer.share(&mut Vec::new());
        Ok(())
    }

    fn take_in(&mut self, incoming: Incoming) -> Result<(), ClientError> {
        let message = match incoming {
            Incoming::Update(changes) => {
                self.apply(changes);
                return Ok(());
            }
            Incoming::Message(message) => message,
        };
        match message {
            Message::Reply { id, result } => {
                let Some(id) = id.as_u64() else { return Ok(()) };
                if self.started.remove(&id) {
                    let refusal = match result {
                        Ok(results) => results_of(results).err().map(|error| error.to_string()),
                        Err(error) => Some(format!("transact: {error}")),
                    };
                    self.changes.answers.push(Answered { id, refusal });
                    return Ok(());
                }
                if Some(id) != self.awaiting {
                    return Ok(());
                }
                let awaited = self.awaiting.take();
                let monitored = self.monitored.as_mut();
                if let Some(monitored) =
                    monitored.filter(|monitored| monitored.filled_by == awaited)
                {
                    monitored.filled_by = None;
                    let kind = monitored.kind;
                    self.fill(kind, &result)?;
                }
                self.answer = Some(result);
                Ok(())
            }
            Message::Request { id, method, params } => {
                let reply = if method == "echo" {
                    json!({"id": id, "result": params, "error": null})
                } else {
                    json!({"id": id, "result": null, "error": "unknown method"})
                };
                self.queue(&reply);
                self.send()
            }
            Message::Notification { method, params } => self.notified(&method, &params),
        }
    }

    fn notified(&mut self, method: &str, params: &[Value]) -> Result<(), ClientError> {
        let lock = params.first().and_then(Value::as_str);
        match (method, lock, self.monitored.as_ref().map(|monitored| monitored.kind)) {
            ("locked", Some(lock), _) => {
                self.locks.insert(lock.to_owned(), true);
                self.changes.locked.push(lock.to_owned());
            }
            ("stolen", Some(lock), _) => {
                self.locks.insert(lock.to_owned(), false);
                self.changes.stolen.push(lock.to_owned());
            }
            ("monitor_canceled", _, Some(_)) => return Err(ClientError::Converted),
            (method, _, Some(kind)) if method == kind.method() => {
                return self.read_rows(kind, params.last().unwrap_or(&Value::Null));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the first contents from the reply to a monitor call.
    fn fill(&mut self, kind: Kind, result: &Result<Value, Value>) -> Result<(), ClientError> {
        let Ok(reply) = result else { return Ok(()) };
        let rows = if kind == Kind::Update3 { reply.get(2) } else { Some(reply) };
        self.read_rows(kind, rows.unwrap_or(&Value::Null))
    }

    fn read_rows(&mut self, kind: Kind, json: &Value) -> Result<(), ClientError> {
        let changes = self.replica.shape().read(kind, json).map_err(protocol)?;
        self.apply(changes);
        Ok(())
    }

    fn apply(&mut self, changes: Vec<RowChange>) {
        for (table, uuid) in self.replica.apply(changes) {
            self.changes.rows.entry(table).or_default().insert(uuid);
        }
    }
}

/// A message, as far as it can be read on any thread.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Message),
    /// An update of the replica.
    Update(Vec<RowChange>),
}

impl Incoming {
    fn read(frame: &[u8], kind: Option<Kind>, shape: &Shape) -> Result<Self, ClientError> {
        let message = Message::from_json(jsonrpc::json(frame)?)?;
        match (&message, kind) {
            (Message::Notification { method, params }, Some(kind)) if method == kind.method() => {
                let rows = params.last().unwrap_or(&Value::Null);
                Ok(Self::Update(shape.read(kind, rows).map_err(protocol)?))
            }
            _ => Ok(Self::Message(message)),
        }
    }
}

/// The results of a transaction, when all of it happened.
pub(super) fn results_of(results: Value) -> Result<Vec<Value>, ClientError> {
    let Value::Array(results) = results else {
        return Err(ClientError::Protocol("transact result is not an array".to_owned()));
    };
    for (index, result) in results.iter().enumerate() {
        let text = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        if result.get("error").is_some() {
            let (error, details) = (text("error"), text("details"));
            return Err(ClientError::Transaction { error, details, index });
        }
    }
    Ok(results)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn protocol(error: OvsdbError) -> ClientError {
    ClientError::Protocol(error.to_string())
}
