//! Servers to test against: ours in a thread, the stock one in a process; and a raw connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use weft_ovsdb::jsonrpc::Framer;
use weft_ovsdb::{Memory, Server, ServerConfig};

/// A call into the server's thread.
type Job = Box<dyn FnOnce(&Server) + Send>;

/// What a server has logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Our server in a thread of its own.
pub struct Weft {
    pub dir: TempDir,
    jobs: Option<tokio::sync::mpsc::UnboundedSender<Job>>,
    log: Log,
    thread: Option<JoinHandle<()>>,
}

impl Weft {
    pub fn start() -> Self {
        Self::start_with(|config| config)
    }

    pub fn start_with(tune: impl FnOnce(ServerConfig) -> ServerConfig) -> Self {
        let dir = TempDir::new().unwrap();
        let db = dir.path().join("conf.db");
        Self::start_in(dir, &db, tune)
    }

    pub fn start_in(
        dir: TempDir,
        db: &Path,
        tune: impl FnOnce(ServerConfig) -> ServerConfig,
    ) -> Self {
        let socket = format!("punix:{}", dir.path().join("db.sock").display());
        let config = tune(ServerConfig::new(db).remote(socket));
        let (jobs, mut queue) = tokio::sync::mpsc::unbounded_channel::<Job>();
        let (ready, started) = std::sync::mpsc::channel();
        let log = Log::default();
        let writer = log.clone();
        let thread = std::thread::spawn(move || {
            let subscriber = tracing_subscriber::fmt()
                .with_writer(move || writer.clone())
                .with_ansi(false)
                .finish();
            let _guard = tracing::subscriber::set_default(subscriber);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let server = Server::start(config).await.unwrap();
                ready.send(()).unwrap();
                while let Some(job) = queue.recv().await {
                    job(&server);
                }
                server.stop().await;
            });
        });
        started.recv().expect("server starts");
        Self { dir, jobs: Some(jobs), log, thread: Some(thread) }
    }

    pub fn with<T: Send + 'static>(&self, job: impl FnOnce(&Server) -> T + Send + 'static) -> T {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |server| drop(reply.send(job(server))));
        self.jobs.as_ref().unwrap().send(job).unwrap();
        answer.blocking_recv().unwrap()
    }

    /// Compacts the file and waits until that is done.
    pub fn compact(&self) {
        let (reply, done) = oneshot::channel();
        self.with(move |server| {
            let compaction = server.compact(None);
            tokio::task::spawn_local(async move { drop(reply.send(compaction.await)) });
        });
        done.blocking_recv().unwrap().unwrap();
    }

    pub fn memory(&self) -> Memory {
        self.with(Server::memory)
    }

    /// Everything that the server has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("db.sock")
    }

    pub fn db(&self) -> PathBuf {
        self.dir.path().join("conf.db")
    }

    pub fn target(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub fn connect(&self) -> Raw {
        Raw::connect(&self.socket())
    }

    /// Stops the server and keeps the directory.
    pub fn stop(mut self) -> TempDir {
        self.join();
        std::mem::replace(&mut self.dir, TempDir::new().unwrap())
    }

    fn join(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("server thread");
            }
        }
    }
}

impl Drop for Weft {
    fn drop(&mut self) {
        self.join();
    }
}

/// The stock server in a process of its own.
pub struct Stock {
    dir: TempDir,
    child: Child,
}

impl Stock {
    /// None, said loudly, when it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub fn start_with(options: &[String]) -> Option<Self> {
        Self::start_of(weft_ovsdb::value::schema::VSWITCH_SCHEMA, options)
    }

    /// The same with another schema.
    pub fn start_of(schema: &str, options: &[String]) -> Option<Self> {
        if !installed("ovsdb-server") {
            return None;
        }
        let dir = TempDir::new().unwrap();
        let db = dir.path().join("conf.db");
        let file = dir.path().join("schema");
        std::fs::write(&file, schema).unwrap();
        run("ovsdb-tool", &["create", db.to_str().unwrap(), file.to_str().unwrap()]);
        Some(Self::start_in(dir, options))
    }

    /// The same with a file that is there already.
    pub fn start_on(file: &[u8]) -> Option<Self> {
        if !installed("ovsdb-server") {
            return None;
        }
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("conf.db"), file).unwrap();
        Some(Self::start_in(dir, &[]))
    }

    fn start_in(dir: TempDir, options: &[String]) -> Self {
        let path = |name: &str| dir.path().join(name).display().to_string();
        let child = Command::new("ovsdb-server")
            .args([path("conf.db"), format!("--remote=punix:{}", path("db.sock"))])
            .args(["--no-chdir".to_owned(), format!("--unixctl={}", path("ctl"))])
            .arg(format!("--log-file={}", path("log")))
            .arg("-vconsole:off")
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stock = Self { dir, child };
        let sockets = [stock.socket(), stock.dir.path().join("ctl")];
        let accepts = || sockets.iter().all(|socket| UnixStream::connect(socket).is_ok());
        wait_for("the stock server's sockets", accepts);
        stock
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("db.sock")
    }

    pub fn target(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub fn appctl(&self, command: &[&str]) -> String {
        let ctl = self.dir.path().join("ctl");
        let mut arguments = vec!["-t", ctl.to_str().unwrap()];
        arguments.extend(command);
        run("ovs-appctl", &arguments)
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a stock program can be run; says so when not, and fails when `WEFT_REQUIRE_STOCK` is set.
pub fn installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(std::env::var_os("WEFT_REQUIRE_STOCK").is_none(), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// Runs a program, at most 20 seconds; its output.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let (ok, out, err) = try_run(program, arguments);
    assert!(ok, "{program} {arguments:?} failed: {out}{err}");
    out
}

/// Runs a program, at most 20 seconds: success, output, errors.
pub fn try_run(program: &str, arguments: &[&str]) -> (bool, String, String) {
    let output =
        Command::new("timeout").args(["20", program]).args(arguments).output().expect(program);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// Waits up to thirty seconds for something.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection that says exactly what it is told to.
pub struct Raw<S = UnixStream> {
    stream: S,
    framer: Framer,
    next_id: u64,
    /// Notifications in the order in which they came.
    pub heard: Vec<Value>,
}

impl Raw {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self::new(stream)
    }

    pub fn half_close(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl Raw<TcpStream> {
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self::new(stream)
    }
}

impl<S: Read + Write> Raw<S> {
    fn new(stream: S) -> Self {
        Self { stream, framer: Framer::new(1 << 28), next_id: 0, heard: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message; None when the server hung up.
    pub fn receive(&mut self) -> Option<Value> {
        let mut buffer = [0; 1 << 14];
        loop {
            if let Some(message) = self.framer.next_message().unwrap() {
                return Some(message);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.framer.push(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                // A signal came, such as that of a child that ended.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no message: {error}"),
            }
        }
    }

    /// Sends a request without waiting; its id.
    pub fn request(&mut self, method: &str, params: &Value) -> u64 {
        assert!(self.try_request(method, params));
        self.next_id
    }

    /// The same; false when the server is gone.
    pub fn try_request(&mut self, method: &str, params: &Value) -> bool {
        self.next_id += 1;
        let message = json!({"id": self.next_id, "method": method, "params": params});
        self.stream.write_all(message.to_string().as_bytes()).is_ok()
    }

    /// Waits for the reply to a request; notifications that come first are remembered.
    pub fn reply(&mut self, id: u64) -> Value {
        loop {
            let message = self.receive().expect("a reply");
            if message.get("method").is_some() {
                self.heard.push(message);
            } else {
                assert_eq!(message["id"], id);
                return message;
            }
        }
    }

    /// A call: the result, or `{"ERROR": …}`.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        let reply = self.reply(id);
        match reply.get("result") {
            Some(result) => result.clone(),
            None => json!({"ERROR": reply["error"]}),
        }
    }

    /// A transaction on `Open_vSwitch`: the results.
    pub fn transact(&mut self, operations: &Value) -> Value {
        let mut params = vec![json!("Open_vSwitch")];
        params.extend(operations.as_array().unwrap().iter().cloned());
        self.call("transact", &Value::Array(params))
    }
}
