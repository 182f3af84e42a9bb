//! `--metrics`: a page for Prometheus, over HTTP, on a unix socket or a loopback address.
//!
//! This file moves bytes; the page is what the command `weft/metrics` answers.

use crate::serve::unixctl::{Request, Target, bind};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections at one time; others wait.
const CONNECTIONS_MAX: usize = 8;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 8192;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the page is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsTarget {
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `IP:PORT`, an address of this machine alone.
    Loopback(SocketAddr),
}

impl Display for MetricsTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(address) => address.fmt(f),
        }
    }
}

impl FromStr for MetricsTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            Ok(_) => Err("not a loopback address: the page has no password".to_owned()),
            Err(_) => Err("neither unix:PATH nor IP:PORT".to_owned()),
        }
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Serves the page until it is dropped.  A unix socket's file goes then.
#[derive(Debug)]
pub struct Metrics {
    task: tokio::task::JoinHandle<()>,
    path: Option<PathBuf>,
}

impl Metrics {
    /// Listens, and asks the engine through `requests`.  Must be called inside a `LocalSet`.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(
        target: &MetricsTarget,
        requests: mpsc::Sender<Request>,
    ) -> io::Result<Self> {
        let (listener, path) = match target {
            MetricsTarget::Unix(path) => (Listener::Unix(bind(path)?), Some(path.clone())),
            MetricsTarget::Loopback(address) => {
                (Listener::Tcp(TcpListener::bind(address).await?), None)
            }
        };
        Ok(Self { task: tokio::task::spawn_local(accept(listener, requests)), path })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.path {
            // It may be gone with its folder already.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn accept(listener: Listener, requests: mpsc::Sender<Request>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(s, _)| Stream::Unix(s)),
            Listener::Tcp(listener) => listener.accept().await.map(|(s, _)| Stream::Tcp(s)),
        };
        let requests = requests.clone();
        match accepted {
            Ok(stream) => {
                tokio::task::spawn_local(async move {
                    let served = match stream {
                        Stream::Unix(stream) => serve(stream, &requests).await,
                        Stream::Tcp(stream) => serve(stream, &requests).await,
                    };
                    if let Err(error) = served {
                        tracing::debug!("metrics: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("metrics: accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one request and closes, as HTTP/1.0 does (RFC 1945).
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: &mpsc::Sender<Request>,
) -> io::Result<()> {
    let head = tokio::time::timeout(PATIENCE, head(&mut stream)).await??;
    let (status, body) = match asked_for(&head) {
        Some(("GET", "/metrics" | "/")) => match page(requests).await {
            Ok(page) => ("200 OK", page),
            Err(text) => ("503 Service Unavailable", text),
        },
        Some(("GET", path)) => ("404 Not Found", format!("no page {path}: try /metrics\n")),
        Some(_) => ("405 Method Not Allowed", "only GET\n".to_owned()),
        None => ("400 Bad Request", "not HTTP\n".to_owned()),
    };
    let answer = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads up to the empty line.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("the request is too long"));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Method and path of a request.
fn asked_for(head: &str) -> Option<(&str, &str)> {
    let mut words = head.lines().next()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    let path = path.split('?').next().unwrap_or(path);
    version.starts_with("HTTP/").then_some((method, path))
}

async fn page(requests: &mpsc::Sender<Request>) -> Result<String, String> {
    let (reply, answer) = oneshot::channel();
    let method = "weft/metrics".to_owned();
    let request = Request { target: Target::Switch, method, params: Vec::new(), reply };
    let gone = || "shutting down\n".to_owned();
    requests.send(request).await.map_err(|_| gone())?;
    answer.await.unwrap_or_else(|_| Err(gone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_look() {
        assert_eq!("unix:/x".parse(), Ok(MetricsTarget::Unix("/x".into())));
        assert!("127.0.0.1:9475".parse::<MetricsTarget>().is_ok());
        assert!("[::1]:9475".parse::<MetricsTarget>().is_ok());
        for (wrong, reason) in [
            ("0.0.0.0:9475", "not a loopback address: the page has no password"),
            ("192.0.2.1:80", "not a loopback address: the page has no password"),
            ("9475", "neither unix:PATH nor IP:PORT"),
            ("unix:", "neither unix:PATH nor IP:PORT"),
        ] {
            assert_eq!(wrong.parse::<MetricsTarget>().unwrap_err(), reason);
        }
    }

    #[test]
    fn requests_are_read() {
        assert_eq!(
            asked_for("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            Some(("GET", "/metrics"))
        );
        assert_eq!(asked_for("POST / HTTP/1.0\r\n\r\n"), Some(("POST", "/")));
        assert_eq!(asked_for("hello"), None);
        assert_eq!(asked_for(""), None);
    }
}
