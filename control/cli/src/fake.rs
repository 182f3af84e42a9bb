//! A daemon for tests: a pid file and sockets with canned answers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::unixctl::Daemon;

/// Serves connections until the test process ends.
pub struct FakeDaemon {
    rundir: tempfile::TempDir,
}

const PID: u32 = 4711;

impl FakeDaemon {
    fn serving(socket: &str, serve: impl Fn(&mut UnixStream) + Send + 'static) -> Self {
        let rundir = tempfile::tempdir().unwrap();
        std::fs::write(rundir.path().join("ovs-vswitchd.pid"), format!("{PID}\n")).unwrap();
        let listener = UnixListener::bind(rundir.path().join(socket)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&mut stream.unwrap());
            }
        });
        Self { rundir }
    }

    /// Answers each request with what `answer(method, params)` gives; the id is added.
    pub fn answering(answer: impl Fn(&str, &Value) -> Value + Send + 'static) -> Self {
        Self::serving(&format!("ovs-vswitchd.{PID}.ctl"), move |stream| {
            let mut requests = serde_json::Deserializer::from_reader(stream.try_clone().unwrap())
                .into_iter::<Value>();
            let Some(Ok(request)) = requests.next() else { return };
            let mut reply = answer(request["method"].as_str().unwrap(), &request["params"]);
            reply["id"] = request["id"].clone();
            let _ = stream.write_all(reply.to_string().as_bytes());
        })
    }

    /// Answers `method` with `result`, as the daemon does: JSON text in a string.
    pub fn with_result(method: &'static str, result: &Value) -> Self {
        let text = result.to_string();
        Self::answering(move |asked, _| {
            if asked == method {
                json!({"result": text, "error": null})
            } else {
                json!({"error": format!("\"{asked}\" is not a valid command")})
            }
        })
    }

    /// Answers each request with these bytes and closes.
    pub fn raw(answer: &[u8]) -> Self {
        let answer = answer.to_vec();
        Self::serving(&format!("ovs-vswitchd.{PID}.ctl"), move |stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        })
    }

    /// Serves the capture socket: gives the request line to `serve`, which writes the answer.
    pub fn capturing(serve: impl Fn(&str, &mut UnixStream) + Send + 'static) -> Self {
        Self::serving(&format!("weft.{PID}.capture"), move |stream| {
            let mut line = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte).is_ok_and(|read| read == 1) && byte != *b"\n" {
                line.push(byte[0]);
            }
            serve(std::str::from_utf8(&line).unwrap(), stream);
        })
    }

    /// How a client finds this daemon.
    pub fn daemon(&self) -> Daemon {
        Daemon::new(self.rundir.path(), None)
    }

    /// Its run directory.
    pub fn rundir(&self) -> &Path {
        self.rundir.path()
    }
}
