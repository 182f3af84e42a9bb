//! The control socket that `ovs-appctl` talks to: JSON-RPC 1.0, all parameters strings.
//!
//! This file moves bytes.  What a command does is in `command/`; the engine answers one request
//! after the other, so a command sees a state that no other is changing.

use serde_json::{Value, json};
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// Bytes of a request that is not complete yet.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// An answer of so many bytes is long.
const LONG_BYTES: usize = 1 << 16;

/// Connections at one time.
const CONNECTIONS_MAX: usize = 64;

/// Mode of a socket: root and its group.
const SOCKET_MODE: u32 = 0o750;

/// Requests that wait for the engine.
pub const REQUESTS_MAX: usize = 64;

/// Who is asked: each has a control socket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `ovs-vswitchd`, the switch.
    Switch,
    /// `ovsdb-server`, the embedded database.
    Database,
}

/// What a command came to: its text, or the text of its error.
pub type Answer = Result<String, String>;

/// One command, waiting for its answer.
#[derive(Debug)]
pub struct Request {
    /// Whose socket it came in on.
    pub target: Target,
    /// The command.
    pub method: String,
    /// Its arguments.
    pub params: Vec<String>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// A listening control socket.  Dropping it removes the socket file.
#[derive(Debug)]
pub struct Unixctl {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Unixctl {
    /// Listens on `path`, mode 0750, and hands requests to `requests`.  Must be called inside a
    /// `LocalSet`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(
        path: &Path,
        target: Target,
        requests: mpsc::Sender<Request>,
    ) -> io::Result<Self> {
        let listener = bind(path)?;
        let connections = Rc::new(Cell::new(0));
        let task = tokio::task::spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) if connections.get() < CONNECTIONS_MAX => {
                        let requests = requests.clone();
                        drop(Place::occupy(&connections, async move {
                            if let Err(error) = serve(stream, target, &requests).await {
                                tracing::debug!("control connection: {error}");
                            }
                        }));
                    }
                    Ok(_) => tracing::warn!("more than {CONNECTIONS_MAX} control connections"),
                    Err(error) => {
                        tracing::warn!("accept: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(Self { path: path.to_owned(), task })
    }
}

/// One of the places for connections; given back however the connection's task ends.
struct Place(Rc<Cell<usize>>);

impl Place {
    /// Starts a task that has one from now on until it ends.
    fn occupy(
        taken: &Rc<Cell<usize>>,
        work: impl Future<Output = ()> + 'static,
    ) -> tokio::task::JoinHandle<()> {
        taken.set(taken.get() + 1);
        let place = Self(Rc::clone(taken));
        tokio::task::spawn_local(async move {
            let _place = place;
            work.await;
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Drop for Unixctl {
    fn drop(&mut self) {
        self.task.abort();
        // It may be gone with its folder already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A listener on `path`, for root and its group; a socket that is left over is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    weft_ovsdb::net::remote::listen_unix(path, SOCKET_MODE)
}

/// Removes sockets `<name>.<pid>.<ending>` in `folder` that nobody listens on any more.
pub fn remove_stale(folder: &Path, name: &str, ending: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let file = entry.file_name();
        let is_ours = file.to_str().is_some_and(|file| {
            file.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.strip_suffix(ending))
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|pid| pid.parse::<u32>().is_ok())
        });
        if is_ours
            && let Err(error) = std::os::unix::net::UnixStream::connect(&path)
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            let _ = std::fs::remove_file(&path);
        }
    }
}

async fn serve(
    mut stream: UnixStream,
    target: Target,
    requests: &mpsc::Sender<Request>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        while let Some((value, used)) = first_value(&buffer)? {
            buffer.drain(..used);
            let answer = handle(&value, target, requests).await;
            stream.write_all(encoded(answer).await.as_bytes()).await?;
            stream.write_all(b"\n").await?;
        }
        if buffer.len() > REQUEST_BYTES_MAX {
            return Err(io::Error::other("request too long"));
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// An answer as it goes out.  A thread of its own encodes what is long: a table of a million addresses
/// would keep all others waiting.
async fn encoded(answer: Value) -> String {
    let text = answer.get("result").and_then(Value::as_str);
    if text.is_none_or(|text| text.len() < LONG_BYTES) {
        return answer.to_string();
    }
    tokio::task::spawn_blocking(move || answer.to_string()).await.unwrap_or_default()
}

/// The first complete JSON value of `buffer` and its length; `None` when more bytes are needed.
fn first_value(buffer: &[u8]) -> io::Result<Option<(Value, usize)>> {
    let mut values = serde_json::Deserializer::from_slice(buffer).into_iter::<Value>();
    match values.next() {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some((value, values.byte_offset()))),
        Some(Err(error)) if error.is_eof() => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}

async fn handle(value: &Value, target: Target, requests: &mpsc::Sender<Request>) -> Value {
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    let answer = match parse(value) {
        Ok((method, params)) => {
            let (reply, answer) = oneshot::channel();
            let request = Request { target, method, params, reply };
            match requests.send(request).await {
                Ok(()) => answer.await.unwrap_or_else(|_| Err("shutting down\n".to_owned())),
                Err(_) => Err("shutting down\n".to_owned()),
            }
        }
        Err(text) => Err(text.to_owned()),
    };
    match answer {
        Ok(text) => json!({"id": id, "result": text, "error": null}),
        Err(text) => json!({"id": id, "error": text}),
    }
}

fn parse(value: &Value) -> Result<(String, Vec<String>), &'static str> {
    let method = value.get("method").and_then(Value::as_str).ok_or("not a request\n")?;
    let params = match value.get("params") {
        None => Vec::new(),
        Some(params) => params
            .as_array()
            .ok_or("params must be an array\n")?
            .iter()
            .map(|param| param.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("all params must be strings\n")?,
    };
    Ok((method.to_owned(), params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Serves commands with their own words until the socket goes.
    async fn echo(mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            let answer = match request.method.as_str() {
                "fail" => Err("no such bridge\n".to_owned()),
                method => Ok(format!("{method} {}\n", request.params.join(" "))),
            };
            request.reply.send(answer).unwrap();
        }
    }

    fn with_server(test: impl AsyncFnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.1.ctl");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
            tokio::task::spawn_local(echo(receiver));
            let server = Unixctl::listen(&path, Target::Switch, sender).unwrap();
            test(&path).await;
            drop(server);
            assert!(!path.exists());
        });
    }

    async fn say(stream: &mut UnixStream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
        }
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn answers_as_the_stock_daemon_does() {
        with_server(async |path| {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o750);
            let mut stream = UnixStream::connect(path).await.unwrap();
            let text = r#"{"id":0,"method":"fdb/show","params":["br0"]}"#;
            assert_eq!(
                say(&mut stream, text).await,
                "{\"id\":0,\"result\":\"fdb/show br0\\n\",\"error\":null}\n"
            );
            let text = r#"{"id":1,"method":"fail","params":[]}"#;
            assert_eq!(
                say(&mut stream, text).await,
                "{\"id\":1,\"error\":\"no such bridge\\n\"}\n"
            );
        });
    }

    #[test]
    fn a_long_answer_is_the_same_as_a_short_one() {
        with_server(async |path| {
            let mut stream = UnixStream::connect(path).await.unwrap();
            let long = "a\\n".repeat(LONG_BYTES);
            let request = format!(r#"{{"id":0,"method":"{long}","params":[]}}"#);
            let answer = say(&mut stream, &request).await;
            assert_eq!(answer, format!("{{\"id\":0,\"result\":\"{long} \\n\",\"error\":null}}\n"));
        });
    }

    #[test]
    fn takes_requests_in_pieces_and_several_at_once() {
        with_server(async |path| {
            let mut stream = UnixStream::connect(path).await.unwrap();
            stream.write_all(br#"{"id":0,"meth"#).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let rest = r#"od":"a","params":[]}{"id":1,"method":"b"}"#;
            let mut answer = say(&mut stream, rest).await;
            while answer.lines().count() < 2 {
                answer += &say(&mut stream, "").await;
            }
            assert!(answer.contains("\"a \\n\"") && answer.contains("\"b \\n\""), "{answer}");
        });
    }

    /// `serde_json` refuses what could make the task of a connection panic: another one does.
    #[test]
    fn a_task_that_panics_gives_its_place_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = Rc::new(Cell::new(0));
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let task = Place::occupy(&taken, async {
                tokio::task::yield_now().await;
                panic!("as asked");
            });
            assert_eq!(taken.get(), 1);
            assert!(task.await.unwrap_err().is_panic());
        });
        assert_eq!(taken.get(), 0);
    }

    #[test]
    fn refuses_what_is_no_request_and_survives_garbage() {
        with_server(async |path| {
            let mut stream = UnixStream::connect(path).await.unwrap();
            let answer = say(&mut stream, r#"{"id":3,"method":"a","params":[1]}"#).await;
            assert_eq!(answer, "{\"id\":3,\"error\":\"all params must be strings\\n\"}\n");
            stream.write_all(b"}garbage").await.unwrap();
            let mut rest = Vec::new();
            assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0, "must be closed");
            let mut stream = UnixStream::connect(path).await.unwrap();
            assert!(say(&mut stream, r#"{"id":4,"method":"a"}"#).await.contains("result"));
        });
    }

    #[test]
    fn stale_sockets_go_and_live_ones_stay() {
        with_server(async |path| {
            let folder = path.parent().unwrap();
            let stale = folder.join("x.999.ctl");
            drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
            // A program that another test is just starting may hold a copy of it for a moment.
            while std::os::unix::net::UnixStream::connect(&stale).is_ok() {}
            std::fs::write(folder.join("x.other.ctl"), "").unwrap();
            remove_stale(folder, "x", "ctl");
            assert!(!stale.exists());
            assert!(path.exists() && folder.join("x.other.ctl").exists());
        });
    }
}
