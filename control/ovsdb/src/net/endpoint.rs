//! One remote at work: accepts or connects, again and again, and knows how it is doing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::monitor::outbox::Outbox;
use crate::net::remote::{Remote, UnixSocket, bind_tcp, bind_unix};
use crate::net::server::Inner;
use crate::net::session::{Full, Slot, serve};

/// Silence after which a peer is asked for a sign of life, unless its row says otherwise.
const PROBE: Duration = Duration::from_secs(5);
/// Shortest and, unless the row says otherwise, longest time between two attempts to connect.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Time that a peer has to finish a TLS handshake, and a connection to come about.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Time between two lines of log about clients that are refused.
const REFUSALS_LOGGED: Duration = Duration::from_secs(10);

/// What a remote that connects is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Active,
    Backoff,
}

/// A remote that is served.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub remote: Remote,
    /// None: no probes.
    pub probe: Cell<Option<Duration>>,
    pub backoff_max: Cell<Duration>,
    /// Sessions, and connections that are about to become one.
    pub slots: Cell<usize>,
    pub sessions: RefCell<BTreeMap<u64, Rc<Outbox>>>,
    pub phase: Cell<Phase>,
    /// Where it listens, when that is a port.
    pub bound_port: Cell<Option<u16>>,
    pub last_connect: Cell<Option<Instant>>,
    pub last_disconnect: Cell<Option<Instant>>,
    pub last_error: RefCell<Option<String>>,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixSocket),
    Tcp(TcpListener),
}

impl Endpoint {
    pub fn new(remote: Remote) -> Self {
        let probe = remote.needs_probes().then_some(PROBE);
        Self {
            remote,
            probe: Cell::new(probe),
            backoff_max: Cell::new(BACKOFF_MAX),
            slots: Cell::new(0),
            sessions: RefCell::default(),
            phase: Cell::new(Phase::Backoff),
            bound_port: Cell::new(None),
            last_connect: Cell::new(None),
            last_disconnect: Cell::new(None),
            last_error: RefCell::default(),
        }
    }

    /// Takes over what the row of a manager says, in milliseconds: 0 is no probes, nothing the default.
    pub fn tune(&self, probe: Option<i64>, backoff_max: Option<i64>) {
        let millis = |value: i64| Duration::from_millis(u64::try_from(value).unwrap_or(0));
        self.probe.set(match probe.map(millis) {
            None => self.remote.needs_probes().then_some(PROBE),
            // Less than a second would take a busy peer for a dead one.
            Some(probe) => (!probe.is_zero()).then_some(probe.max(Duration::from_secs(1))),
        });
        self.backoff_max.set(backoff_max.map_or(BACKOFF_MAX, millis).max(BACKOFF_MIN));
    }

    /// True for `unix:`, `tcp:` and `ssl:`.
    pub fn connects(&self) -> bool {
        matches!(self.remote, Remote::Unix(_) | Remote::Tcp(..) | Remote::Ssl(..))
    }

    /// Binds the socket of a remote that listens; None for others.
    pub fn bind(&self) -> io::Result<Option<Listener>> {
        let listener = match &self.remote {
            Remote::Punix(path) => Listener::Unix(bind_unix(path)?),
            Remote::Ptcp(address) | Remote::Pssl(address) => {
                let listener = bind_tcp(*address)?;
                self.bound_port.set(Some(listener.local_addr()?.port()));
                Listener::Tcp(listener)
            }
            Remote::Unix(_) | Remote::Tcp(..) | Remote::Ssl(..) | Remote::Db { .. } => {
                return Ok(None);
            }
        };
        *self.last_error.borrow_mut() = None;
        Ok(Some(listener))
    }

    fn failed(&self, inner: &Inner, error: &dyn std::fmt::Display) {
        // As strerror(3) has it, which is what the column is said to hold; the number says no more.
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        let mut last = self.last_error.borrow_mut();
        if last.as_ref() != Some(&text) {
            // Only once: the next attempts fail in the same way most of the time.
            tracing::warn!(remote = %self.remote, "{text}");
            *last = Some(text);
        }
        inner.status_changed();
    }
}

/// An endpoint and its task. Dropping it ends both, and the sessions that came through it.
#[derive(Debug)]
pub(crate) struct Place {
    pub endpoint: Rc<Endpoint>,
    pub task: Option<JoinHandle<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        for outbox in self.endpoint.sessions.borrow().values() {
            outbox.close("its remote is not served any more");
        }
    }
}

/// Starts serving `endpoint`, at `listener` if that is bound already.
pub(crate) fn start(
    inner: &Rc<Inner>,
    endpoint: Rc<Endpoint>,
    listener: Option<Listener>,
) -> Place {
    let task = (!matches!(endpoint.remote, Remote::Db { .. })).then(|| {
        let (inner, endpoint) = (Rc::clone(inner), Rc::clone(&endpoint));
        spawn_local(async move {
            if endpoint.connects() {
                keep_connected(inner, endpoint).await;
            } else {
                keep_listening(inner, endpoint, listener).await;
            }
        })
    });
    Place { endpoint, task }
}

async fn keep_listening(inner: Rc<Inner>, endpoint: Rc<Endpoint>, first: Option<Listener>) {
    let mut listener = first;
    loop {
        match listener.take() {
            Some(listener) => accept(&inner, &endpoint, listener).await,
            None => match endpoint.bind() {
                Ok(bound) => listener = bound,
                Err(error) => {
                    endpoint.failed(&inner, &error);
                    tokio::time::sleep(endpoint.backoff_max.get()).await;
                }
            },
        }
    }
}

async fn accept(inner: &Rc<Inner>, endpoint: &Rc<Endpoint>, listener: Listener) {
    let mut refusals = Refusals::default();
    loop {
        let accepted = match &listener {
            Listener::Unix(socket) => socket.listener.accept().await.map(|(it, _)| Wire::Unix(it)),
            Listener::Tcp(listener) => listener.accept().await.map(|(it, _)| Wire::Tcp(it)),
        };
        match accepted {
            Ok(wire) => match Slot::take(inner, endpoint) {
                Ok(slot) => inner.spawn_session(session(wire, slot)),
                Err(full) => refusals.log(&endpoint.remote, full),
            },
            Err(error) => {
                endpoint.failed(inner, &format!("cannot accept a connection: {error}"));
                // Out of file descriptors, most likely: do not spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Clients that were hung up on because there are too many; the log must not grow with every one of them.
#[derive(Default)]
struct Refusals {
    logged: Option<Instant>,
    unlogged: usize,
}

impl Refusals {
    fn log(&mut self, remote: &Remote, full: Full) {
        self.unlogged += 1;
        if self.logged.is_some_and(|logged| logged.elapsed() < REFUSALS_LOGGED) {
            return;
        }
        let refused = std::mem::take(&mut self.unlogged);
        tracing::warn!(%remote, refused, "too many connections, more are refused: {full}");
        self.logged = Some(Instant::now());
    }
}

/// A connection before it is a session.
enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Serves an accepted connection, after its handshake if it has one.
async fn session(wire: Wire, slot: Slot) {
    match wire {
        Wire::Unix(stream) => plain(stream.into_split(), slot).await,
        Wire::Tcp(stream) => {
            prepare(&stream);
            if !matches!(slot.endpoint.remote, Remote::Pssl(_)) {
                return plain(stream.into_split(), slot).await;
            }
            let peer = stream.peer_addr().map(|peer| peer.to_string()).unwrap_or_default();
            let failed = |error: &dyn std::fmt::Display| {
                tracing::warn!(remote = %slot.endpoint.remote, peer, "TLS: {error}");
            };
            let configs = match slot.inner.tls_configs() {
                Ok(configs) => configs,
                Err(error) => return failed(&error),
            };
            let handshake = TlsAcceptor::from(configs.server).accept(stream);
            match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
                Ok(Ok(stream)) => plain(tokio::io::split(stream), slot).await,
                Ok(Err(error)) => failed(&error),
                Err(_) => failed(&"the peer did not finish the handshake in time"),
            }
        }
    }
}

async fn plain<R, W>((reader, writer): (R, W), slot: Slot)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    serve(slot, reader, writer).await;
}

fn prepare(stream: &TcpStream) {
    // Without it small replies wait for acknowledgements; nothing else depends on it.
    let _ = stream.set_nodelay(true);
}

/// Connects, serves, and connects again, each time a little later as long as it does not work.
async fn keep_connected(inner: Rc<Inner>, endpoint: Rc<Endpoint>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        endpoint.phase.set(Phase::Connecting);
        let Ok(slot) = Slot::take(&inner, &endpoint) else {
            tokio::time::sleep(backoff).await;
            continue;
        };
        let started = Instant::now();
        let connecting = connect(&endpoint.remote, slot);
        match connecting.await {
            Ok(()) => {}
            Err(error) => endpoint.failed(&inner, &error),
        }
        if started.elapsed() > endpoint.backoff_max.get() {
            backoff = BACKOFF_MIN;
        }
        endpoint.phase.set(Phase::Backoff);
        inner.status_changed();
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(endpoint.backoff_max.get());
    }
}

/// One connection from its start to its end.
async fn connect(remote: &Remote, slot: Slot) -> io::Result<()> {
    match remote {
        Remote::Unix(path) => {
            let stream = UnixStream::connect(Path::new(path)).await?;
            plain(stream.into_split(), slot).await;
        }
        Remote::Tcp(host, port) => {
            let stream = connect_tcp(host, *port).await?;
            plain(stream.into_split(), slot).await;
        }
        Remote::Ssl(host, port) => {
            let configs = slot.inner.tls_configs().map_err(io::Error::other)?;
            let stream = connect_tcp(host, *port).await?;
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(Arc::clone(&configs.client));
            let handshake = connector.connect(name, stream);
            let stream = tokio::time::timeout(HANDSHAKE_MAX, handshake)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                .map_err(|error| io::Error::other(format!("TLS: {error}")))?;
            plain(tokio::io::split(stream), slot).await;
        }
        Remote::Punix(_) | Remote::Ptcp(_) | Remote::Pssl(_) | Remote::Db { .. } => {}
    }
    Ok(())
}

async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((host, port));
    let stream = tokio::time::timeout(HANDSHAKE_MAX, connecting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    prepare(&stream);
    Ok(stream)
}
