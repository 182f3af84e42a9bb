//! What a session has still to be sent, bounded.
//!
//! Replies are bounded by not reading further requests while much is unsent. Updates come without being asked
//! for: above [`LAGGING_BYTES`] the state stops putting them here and remembers their sum instead.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use tokio::sync::Notify;

/// Unsent bytes above which no further request of the session is read.
pub const HIGH_WATER_BYTES: usize = 1 << 20;

/// Unsent bytes above which the session hears the sum of later changes instead of each.
pub const LAGGING_BYTES: usize = 1 << 18;

/// Replies that may wait for the disk before no further request of the session is read.
const OWED_MAX: usize = 256;

/// Chunks that go to a socket at a time.
const SLICES_MAX: usize = 64;

/// Bytes that go to a socket at a time, and one chunk.
const SENDING_BYTES: usize = 1 << 16;

/// A piece of a message.
#[derive(Debug)]
pub enum Chunk {
    /// Of this message alone.
    Own(Vec<u8>),
    /// Of other messages, too: what many sessions are sent is there once.
    Shared(Rc<str>),
    /// Of the protocol.
    Fixed(&'static str),
}

impl Chunk {
    /// What it says.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(text) => text.as_bytes(),
            Self::Fixed(text) => text.as_bytes(),
        }
    }
}

/// What a session's writer has taken and not sent yet.
#[derive(Debug, Default)]
pub struct Sending {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are sent.
    sent: usize,
    /// Bytes that are not.
    bytes: usize,
}

impl Sending {
    /// Bytes left.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes().len();
        self.chunks.push_back(chunk);
    }

    /// Gives `write` what is left, in pieces.
    pub fn with_slices<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut skip = self.sent;
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk.bytes().get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        write(slices.get(..count).unwrap_or_default())
    }

    /// `bytes` more are sent.
    pub fn advance(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.sent += bytes;
        while let Some(first) = self.chunks.front().map(|chunk| chunk.bytes().len())
            && first <= self.sent
        {
            self.sent -= first;
            self.chunks.pop_front();
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

    /// Adds a whole message in pieces.
    pub fn pieces(&self, chunks: impl IntoIterator<Item = Chunk>) {
        for chunk in chunks {
            self.push(chunk);
        }
    }

    /// Adds an update: its start and its body, either of which sessions may share, and its end.
    pub fn update(&self, start: &Rc<str>, body: &Rc<str>) {
        self.push(Chunk::Shared(Rc::clone(start)));
        self.push(Chunk::Shared(Rc::clone(body)));
        self.push(Chunk::Fixed("]}"));
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

    /// Waits for something to send and takes some of it, which counts as unsent until [`Outbox::sent`].
    pub async fn take(&self) -> Sending {
        let mut sending = Sending::default();
        loop {
            while sending.bytes < SENDING_BYTES && sending.chunks.len() < SLICES_MAX {
                let Some(chunk) = self.chunks.borrow_mut().pop_front() else { break };
                sending.push(chunk);
            }
            if sending.bytes > 0 {
                return sending;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes out when the socket takes `piece` bytes at a time.
    fn sent(mut sending: Sending, piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while sending.bytes() > 0 {
            let taken = sending.with_slices(|slices| {
                let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                all.into_iter().take(piece).collect::<Vec<u8>>()
            });
            sending.advance(taken.len());
            out.extend(taken);
        }
        out
    }

    #[test]
    fn what_goes_in_comes_out_in_order_whatever_the_socket_takes() {
        for piece in [1, 2, 3, 7, 64, 1000] {
            let outbox = Outbox::default();
            let mut expected = String::new();
            for n in 0..100 {
                let (start, body) = (format!("start {n} "), "b".repeat(n % 5));
                let reply = format!("reply {n}");
                outbox.update(&Rc::from(start.as_str()), &Rc::from(body.as_str()));
                expected.extend([start.as_str(), &body, "]}", &reply]);
                outbox.reply(reply);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut all = Vec::new();
            while outbox.bytes() > 0 {
                let sending = runtime.block_on(outbox.take());
                let bytes = sending.bytes();
                all.extend(sent(sending, piece));
                outbox.sent(bytes);
            }
            assert_eq!(String::from_utf8(all).unwrap(), expected);
        }
    }
}
