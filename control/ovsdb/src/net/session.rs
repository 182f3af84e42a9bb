//! One connection: reads requests, writes what its outbox holds, asks for signs of life.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::jsonrpc::Framer;
use crate::monitor::outbox::{Outbox, Sending};
use crate::net::endpoint::{Endpoint, Phase};
use crate::net::server::Inner;

/// Unfinished input that a session may have even when all together have too much.
const FAIR_INPUT_BYTES: usize = 1 << 16;

/// The right to be a session, counted for its remote and for the server.
pub(crate) struct Slot {
    pub inner: Rc<Inner>,
    pub endpoint: Rc<Endpoint>,
}

/// Why there is no room for a session.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Full {
    #[error("this remote has {0} clients, as many as one may have")]
    Remote(usize),
    #[error("all remotes together have {0} clients, as many as they may have")]
    Server(usize),
}

impl Slot {
    /// Counts one more session.
    ///
    /// # Errors
    /// [`Full`].
    pub fn take(inner: &Rc<Inner>, endpoint: &Rc<Endpoint>) -> Result<Self, Full> {
        let limits = inner.limits;
        let (all, here) = (inner.slots.get(), endpoint.slots.get());
        if here >= limits.sessions_per_remote_max {
            return Err(Full::Remote(here));
        }
        if all >= limits.sessions_max {
            return Err(Full::Server(all));
        }
        inner.slots.set(all + 1);
        endpoint.slots.set(here + 1);
        Ok(Self { inner: Rc::clone(inner), endpoint: Rc::clone(endpoint) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inner.slots.set(self.inner.slots.get().saturating_sub(1));
        self.endpoint.slots.set(self.endpoint.slots.get().saturating_sub(1));
    }
}

/// A session that is open; dropping it, at whatever await, closes it for everybody.
struct Open {
    slot: Slot,
    id: u64,
    outbox: Rc<Outbox>,
    /// When the peer last gave a sign of life.
    heard: Cell<Instant>,
    /// Unfinished input that is counted for the server.
    counted: Cell<usize>,
}

impl Open {
    fn new(slot: Slot) -> Self {
        let (id, outbox) = slot.inner.state.borrow_mut().open_session();
        slot.endpoint.sessions.borrow_mut().insert(id, Rc::clone(&outbox));
        slot.endpoint.last_connect.set(Some(Instant::now()));
        slot.endpoint.phase.set(Phase::Active);
        *slot.endpoint.last_error.borrow_mut() = None;
        slot.inner.status_changed();
        Self { slot, id, outbox, heard: Cell::new(Instant::now()), counted: Cell::new(0) }
    }

    /// Counts unfinished input; false when all sessions together have too much and this one a good part.
    fn count_input(&self, bytes: usize) -> bool {
        let inner = &self.slot.inner;
        let total = inner.input_bytes.get() - self.counted.replace(bytes) + bytes;
        inner.input_bytes.set(total);
        total <= inner.limits.input_bytes_max || bytes <= FAIR_INPUT_BYTES
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count_input(0);
        let (inner, endpoint) = (&self.slot.inner, &self.slot.endpoint);
        inner.state.borrow_mut().close_session(self.id);
        endpoint.sessions.borrow_mut().remove(&self.id);
        endpoint.last_disconnect.set(Some(Instant::now()));
        inner.status_changed();
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve<R, W>(slot: Slot, reader: R, writer: W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let open = Open::new(slot);
    let remote = &open.slot.endpoint.remote;
    tokio::select! {
        // In this order a reply goes out before the updates that other sessions hear of the same change.
        biased;
        end = read(&open, reader) => {
            if let Err(error) = end {
                tracing::warn!(%remote, session = open.id, %error, "connection closed");
            }
        }
        error = write(&open, writer) => {
            tracing::debug!(%remote, session = open.id, %error, "connection lost");
        }
        reason = last_words(&open) => {
            tracing::warn!(%remote, session = open.id, "disconnected: {reason}");
        }
        interval = probe(&open) => {
            tracing::warn!(%remote, session = open.id,
                "disconnected: no response to inactivity probe after {} seconds", interval.as_secs_f32());
        }
    }
}

/// Waits until the session is to end, and a little longer while there is something to be sent: who
/// asks for a conversion hears that it is done, even when that ends the own session.
async fn last_words(open: &Open) -> String {
    let reason = open.outbox.closed().await;
    let _ = tokio::time::timeout(Duration::from_millis(200), open.outbox.wait_empty()).await;
    reason
}

/// Handles messages until the stream ends; then lets what is unsent go out.
async fn read<R: AsyncRead + Unpin>(
    open: &Open,
    mut reader: R,
) -> Result<(), Box<dyn std::error::Error>> {
    let inner = &open.slot.inner;
    let mut framer = Framer::new(inner.limits.message_bytes_max);
    loop {
        if fill(inner, &mut reader, &mut framer).await? == 0 {
            // A client that closed its end altogether does not read what is left.
            let unsent = open.outbox.wait_empty();
            let _ = tokio::time::timeout(Duration::from_secs(5), unsent).await;
            return Ok(());
        }
        open.heard.set(Instant::now());
        while let Some(message) = framer.next_frame()? {
            inner.handle(open.id, message)?;
            open.outbox.wait_room().await;
            tokio::task::yield_now().await;
        }
        framer.share(&mut inner.spare.borrow_mut());
        if !open.count_input(framer.buffered()) {
            return Err("too much unfinished input from all clients together".into());
        }
    }
}

/// Reads once: through a buffer that all sessions share, so that an idle one holds none; the rest of a large message
/// to where it belongs.
async fn fill<R: AsyncRead + Unpin>(
    inner: &Inner,
    reader: &mut R,
    framer: &mut Framer,
) -> io::Result<usize> {
    if let Some(room) = framer.room() {
        return reader.read_buf(room).await;
    }
    poll_fn(|context| {
        let mut buffer = inner.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut buffer);
        Pin::new(&mut *reader).poll_read(context, &mut buffer).map_ok(|()| {
            framer.push(buffer.filled());
            buffer.filled().len()
        })
    })
    .await
}

/// Writes until that fails.
async fn write<W: AsyncWrite + Unpin>(open: &Open, mut writer: W) -> io::Error {
    let outbox = &open.outbox;
    loop {
        if outbox.bytes() == 0 {
            open.slot.inner.state.borrow_mut().catch_up(open.id);
        }
        let mut sending = outbox.take().await;
        let bytes = sending.bytes();
        let mut was_full = false;
        while sending.bytes() > 0 {
            match write_some(&mut writer, &sending).await {
                Ok(0) => return io::Error::from(io::ErrorKind::WriteZero),
                Ok(sent) => sending.advance(sent),
                Err(error) => return error,
            }
            if was_full {
                // The socket was full and took more: a slow peer is no dead one.
                open.heard.set(Instant::now());
            }
            was_full = sending.bytes() > 0;
        }
        if let Err(error) = writer.flush().await {
            return error;
        }
        outbox.sent(bytes);
    }
}

/// Writes as much as the socket takes.
async fn write_some<W: AsyncWrite + Unpin>(writer: &mut W, sending: &Sending) -> io::Result<usize> {
    poll_fn(|context| {
        sending.with_slices(|slices| Pin::new(&mut *writer).poll_write_vectored(context, slices))
    })
    .await
}

/// Asks for a sign of life after each interval without one; ends, with the interval, when none comes.
async fn probe(open: &Open) -> Duration {
    let mut asked: Option<Instant> = None;
    loop {
        let Some(interval) = open.slot.endpoint.probe.get() else {
            // The row may change.
            tokio::time::sleep(Duration::from_secs(1)).await;
            asked = None;
            continue;
        };
        let heard = open.heard.get();
        asked = asked.filter(|asked| *asked > heard);
        let due = asked.unwrap_or(heard) + interval;
        if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
        } else if asked.is_some() {
            return interval;
        } else {
            open.outbox.reply(r#"{"id":"echo","method":"echo","params":[]}"#.to_owned());
            asked = Some(Instant::now());
        }
    }
}
