//! What a session has still to be sent, bounded.
//!
//! Replies are bounded by not reading further requests while much is unsent. Updates come without being
//! asked for, so a client that does not read them is disconnected at a limit.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

/// Unsent bytes above which no further request of the session is read.
pub const HIGH_WATER_BYTES: usize = 1 << 20;

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
#[derive(Debug)]
pub struct Outbox {
    chunks: RefCell<VecDeque<(Chunk, bool)>>,
    bytes: Cell<usize>,
    update_bytes: Cell<usize>,
    update_bytes_max: usize,
    overflow: Cell<bool>,
    ready: Notify,
    drained: Notify,
}

impl Outbox {
    /// An outbox that takes `update_bytes_max` bytes of updates.
    #[must_use]
    pub fn new(update_bytes_max: usize) -> Self {
        Self {
            chunks: RefCell::new(VecDeque::new()),
            bytes: Cell::new(0),
            update_bytes: Cell::new(0),
            update_bytes_max,
            overflow: Cell::new(false),
            ready: Notify::new(),
            drained: Notify::new(),
        }
    }

    /// Bytes not sent yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// True once the limit of updates was passed; the session must end.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflow.get()
    }

    /// Adds a reply.
    pub fn reply(&self, text: String) {
        self.push(Chunk::Own(text.into_bytes()), false);
    }

    /// Adds an update: its own start and end, and a body that sessions share.
    pub fn update(&self, start: String, body: &Rc<str>) {
        if self.overflow.get() {
            return;
        }
        let size = start.len() + body.len() + 2;
        let total = self.update_bytes.get() + size;
        if total > self.update_bytes_max && self.update_bytes.get() > 0 {
            self.overflow.set(true);
            self.chunks.borrow_mut().clear();
            self.ready.notify_one();
            self.drained.notify_waiters();
            return;
        }
        self.push(Chunk::Own(start.into_bytes()), true);
        self.push(Chunk::Shared(Rc::clone(body)), true);
        self.push(Chunk::Own(b"]}".to_vec()), true);
    }

    fn push(&self, chunk: Chunk, update: bool) {
        if self.overflow.get() {
            return;
        }
        let length = chunk.bytes().len();
        self.bytes.set(self.bytes.get() + length);
        if update {
            self.update_bytes.set(self.update_bytes.get() + length);
        }
        self.chunks.borrow_mut().push_back((chunk, update));
        self.ready.notify_one();
    }

    /// Waits for something to send and takes about 64 KiB of it; None after an overflow. The bytes count
    /// as unsent until [`Outbox::sent`].
    pub async fn take(&self, buffer: &mut Vec<u8>) -> Option<Taken> {
        loop {
            if self.overflow.get() {
                return None;
            }
            let mut taken = Taken::default();
            while buffer.len() < 1 << 16 {
                let Some((chunk, update)) = self.chunks.borrow_mut().pop_front() else { break };
                buffer.extend_from_slice(chunk.bytes());
                taken.bytes += chunk.bytes().len();
                taken.update_bytes += if update { chunk.bytes().len() } else { 0 };
            }
            if taken.bytes > 0 {
                return Some(taken);
            }
            self.ready.notified().await;
        }
    }

    /// Counts what was taken as sent.
    pub fn sent(&self, taken: &Taken) {
        self.bytes.set(self.bytes.get().saturating_sub(taken.bytes));
        self.update_bytes.set(self.update_bytes.get().saturating_sub(taken.update_bytes));
        self.drained.notify_waiters();
    }

    /// Waits until at most `limit` bytes are unsent.
    pub async fn wait_below(&self, limit: usize) {
        while self.bytes.get() > limit && !self.overflow.get() {
            self.drained.notified().await;
        }
    }

    /// Waits for an overflow, for ever if need be.
    pub async fn wait_overflow(&self) {
        while !self.overflow.get() {
            self.drained.notified().await;
        }
    }
}

/// How much [`Outbox::take`] took.
#[derive(Debug, Default)]
pub struct Taken {
    bytes: usize,
    update_bytes: usize,
}
