//! What a session has still to be sent, bounded.
//!
//! Replies are bounded by not reading further requests while much is unsent. Updates come without being asked
//! for: above [`LAGGING_BYTES`] the state stops putting them here and remembers their sum instead.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

/// Unsent bytes above which no further request of the session is read.
pub const HIGH_WATER_BYTES: usize = 1 << 20;

/// Unsent bytes above which the session hears the sum of later changes instead of each.
pub const LAGGING_BYTES: usize = 1 << 18;

/// Replies that may wait for the disk before no further request of the session is read.
const OWED_MAX: usize = 256;

#[derive(Debug)]
enum Chunk {
    Own(Vec<u8>),
    Shared(Rc<str>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(text) => text.as_bytes(),
        }
    }
}

/// The queue between the server and one session's writer.
#[derive(Debug, Default)]
pub struct Outbox {
    chunks: RefCell<VecDeque<Chunk>>,
    bytes: Cell<usize>,
    /// Replies that wait for the disk.
    owed: Cell<usize>,
    /// Why the session must end.
    ended: RefCell<Option<String>>,
    ready: Notify,
    drained: Notify,
    end: Notify,
}

impl Outbox {
    /// Bytes not sent yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Ends the session, with a reason for the log. What is unsent is lost.
    pub fn close(&self, reason: impl Into<String>) {
        self.ended.borrow_mut().get_or_insert_with(|| reason.into());
        self.end.notify_one();
    }

    /// Why the session ends, once [`Outbox::close`] was called.
    pub async fn closed(&self) -> String {
        loop {
            if let Some(reason) = &*self.ended.borrow() {
                return reason.clone();
            }
            self.end.notified().await;
        }
    }

    /// Adds a reply, or any other whole message.
    pub fn reply(&self, text: String) {
        self.push(Chunk::Own(text.into_bytes()));
    }

    /// Adds an update: its own start and end, and a body that sessions share.
    pub fn update(&self, start: String, body: &Rc<str>) {
        self.push(Chunk::Own(start.into_bytes()));
        self.push(Chunk::Shared(Rc::clone(body)));
        self.push(Chunk::Own(b"]}".to_vec()));
    }

    fn push(&self, chunk: Chunk) {
        self.bytes.set(self.bytes.get() + chunk.bytes().len());
        self.chunks.borrow_mut().push_back(chunk);
        self.ready.notify_one();
    }

    /// A reply will come when the disk has what it is about.
    pub fn owe(&self) {
        self.owed.set(self.owed.get() + 1);
    }

    /// That reply has come.
    pub fn pay(&self) {
        self.owed.set(self.owed.get().saturating_sub(1));
        self.drained.notify_waiters();
    }

    /// Waits for something to send and takes about 64 KiB of it: how many bytes. They count as unsent until
    /// [`Outbox::sent`].
    pub async fn take(&self, buffer: &mut Vec<u8>) -> usize {
        loop {
            while buffer.len() < 1 << 16 {
                let Some(chunk) = self.chunks.borrow_mut().pop_front() else { break };
                buffer.extend_from_slice(chunk.bytes());
            }
            if !buffer.is_empty() {
                return buffer.len();
            }
            self.ready.notified().await;
        }
    }

    /// Counts what was taken as sent.
    pub fn sent(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        self.drained.notify_waiters();
    }

    /// Waits until another request may be read.
    pub async fn wait_room(&self) {
        while self.bytes.get() > HIGH_WATER_BYTES || self.owed.get() > OWED_MAX {
            self.drained.notified().await;
        }
    }

    /// Waits until nothing is unsent or owed.
    pub async fn wait_empty(&self) {
        while self.bytes.get() > 0 || self.owed.get() > 0 {
            self.drained.notified().await;
        }
    }
}
