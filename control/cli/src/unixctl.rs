//! The control socket: JSON-RPC 1.0 over a unix stream, found through the pid file.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;

/// How long the daemon may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer that is taken, in bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Where a daemon is to be found.
#[derive(Debug)]
pub struct Daemon {
    rundir: PathBuf,
    target: Option<PathBuf>,
}

impl Daemon {
    /// The daemon of a run directory, or of one control socket when `target` is given.
    #[must_use]
    pub fn new(rundir: &Path, target: Option<&Path>) -> Self {
        Self { rundir: rundir.to_owned(), target: target.map(Path::to_owned) }
    }

    /// The control socket, `<rundir>/ovs-vswitchd.<pid>.ctl` unless a target was given.
    ///
    /// # Errors
    /// The pid file is missing or unreadable.
    pub fn control_socket(&self) -> Result<PathBuf, Error> {
        match &self.target {
            Some(target) => Ok(target.clone()),
            None => Ok(self.rundir.join(format!("ovs-vswitchd.{}.ctl", self.pid()?))),
        }
    }

    /// The capture socket, `weft.<pid>.capture` beside the control socket.
    ///
    /// # Errors
    /// The pid file is missing or unreadable, or the target's name holds no process id.
    pub fn capture_socket(&self) -> Result<PathBuf, Error> {
        let Some(target) = &self.target else {
            return Ok(self.rundir.join(format!("weft.{}.capture", self.pid()?)));
        };
        let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let pid = name.strip_suffix(".ctl").and_then(|stem| stem.rsplit('.').next());
        let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
        let pid = pid.ok_or_else(|| Error::BadPidFile(target.clone()))?;
        Ok(target.with_file_name(format!("weft.{pid}.capture")))
    }

    fn pid(&self) -> Result<u32, Error> {
        let file = self.rundir.join("ovs-vswitchd.pid");
        let text = fs::read_to_string(&file).map_err(|source| Error::NoPidFile {
            rundir: self.rundir.clone(),
            file: file.clone(),
            source,
        })?;
        text.trim().parse().map_err(|_| Error::BadPidFile(file))
    }

    /// Calls a `weft/` method, whose result is JSON: either a value, or a string that holds one.
    ///
    /// # Errors
    /// The daemon cannot be reached, refuses, or answers something else.
    pub fn call(&self, method: &str, params: &[&str]) -> Result<Value, Error> {
        let socket = self.control_socket()?;
        let reply = exchange(&socket, method, params)?;
        match reply.get("error") {
            None | Some(Value::Null) => {}
            Some(error) => return Err(refusal(method, error)),
        }
        let wrong = |what: String| Error::Answer { method: method.to_owned(), what };
        match reply.get("result") {
            Some(Value::String(text)) => {
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))
            }
            Some(value) => Ok(value.clone()),
            None => Err(wrong("neither result nor error".to_owned())),
        }
    }
}

/// Turns the error member of a reply into ours.
fn refusal(method: &str, error: &Value) -> Error {
    let text = error.as_str().map_or_else(|| error.to_string(), |text| text.trim().to_owned());
    if text.contains("is not a valid command") {
        Error::UnknownMethod(method.to_owned())
    } else {
        Error::Refused(text)
    }
}

/// Connects with the time limit set.
///
/// # Errors
/// Nobody listens, or permission is missing.
pub fn connect(socket: &Path) -> Result<UnixStream, Error> {
    let open = || -> io::Result<UnixStream> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    };
    open().map_err(|source| Error::Unreachable { socket: socket.to_owned(), source })
}

/// One request, one reply.
fn exchange(socket: &Path, method: &str, params: &[&str]) -> Result<Value, Error> {
    let unreachable = |source| Error::Unreachable { socket: socket.to_owned(), source };
    let mut stream = connect(socket)?;
    let request = json!({"id": 0, "method": method, "params": params}).to_string();
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let mut replies =
        serde_json::Deserializer::from_reader(io::BufReader::new(stream.take(ANSWER_BYTES_MAX)))
            .into_iter::<Value>();
    match replies.next() {
        Some(Ok(reply)) => Ok(reply),
        None => Err(Error::Closed(socket.to_owned())),
        Some(Err(error)) if error.is_eof() => Err(Error::Closed(socket.to_owned())),
        Some(Err(error)) if error.is_io() => Err(unreachable(error.into())),
        Some(Err(error)) => {
            Err(Error::Answer { method: method.to_owned(), what: error.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{EXIT_FINDING, EXIT_NO_DAEMON, EXIT_OTHER};
    use crate::fake::FakeDaemon;

    #[test]
    fn a_result_may_be_json_or_a_string_of_json() {
        for result in [json!({"version": "1"}), json!("{\"version\": \"1\"}\n")] {
            let fake = FakeDaemon::answering(move |_, _| json!({"result": result, "error": null}));
            assert_eq!(fake.daemon().call("weft/show", &[]).unwrap(), json!({"version": "1"}));
        }
    }

    #[test]
    fn method_and_params_reach_the_daemon() {
        let fake = FakeDaemon::answering(
            |method, params| json!({"result": [method, params], "error": null}),
        );
        let answer = fake.daemon().call("weft/fdb", &["br0"]).unwrap();
        assert_eq!(answer, json!(["weft/fdb", ["br0"]]));
    }

    #[test]
    fn every_failure_has_the_promised_exit_code() {
        let code_of = |reply: Value| {
            let fake = FakeDaemon::answering(move |_, _| reply.clone());
            fake.daemon().call("weft/show", &[]).unwrap_err().exit_code()
        };
        assert_eq!(code_of(json!({"error": "no such bridge\n"})), EXIT_FINDING);
        let unknown = "\"weft/show\" is not a valid command (use \"list-commands\" to see a list)";
        assert_eq!(code_of(json!({"error": unknown})), EXIT_OTHER);
        assert_eq!(code_of(json!({"result": "{not json"})), EXIT_OTHER);
        assert_eq!(code_of(json!({})), EXIT_OTHER);

        let empty = tempfile::tempdir().unwrap();
        let nobody = Daemon::new(empty.path(), None);
        assert_eq!(nobody.call("weft/show", &[]).unwrap_err().exit_code(), EXIT_NO_DAEMON);
        // A pid file that a killed daemon left behind.
        fs::write(empty.path().join("ovs-vswitchd.pid"), "4711\n").unwrap();
        assert_eq!(nobody.call("weft/show", &[]).unwrap_err().exit_code(), EXIT_NO_DAEMON);
        fs::write(empty.path().join("ovs-vswitchd.pid"), "nonsense").unwrap();
        assert_eq!(nobody.call("weft/show", &[]).unwrap_err().exit_code(), EXIT_NO_DAEMON);
    }

    #[test]
    fn a_connection_that_ends_early_is_a_daemon_that_does_not_answer() {
        for answer in ["", "{\"result\": "] {
            let fake = FakeDaemon::raw(answer.as_bytes());
            let error = fake.daemon().call("weft/show", &[]).unwrap_err();
            assert!(matches!(error, Error::Closed(_)), "{answer:?}: {error}");
        }
        let fake = FakeDaemon::raw(b"HTTP/1.1 400 Bad Request");
        assert!(matches!(fake.daemon().call("weft/show", &[]).unwrap_err(), Error::Answer { .. }));
    }

    #[test]
    fn the_capture_socket_lies_beside_the_control_socket() {
        let target = Path::new("/x/ovs-vswitchd.12.ctl");
        let daemon = Daemon::new(Path::new("/unused"), Some(target));
        assert_eq!(daemon.capture_socket().unwrap(), Path::new("/x/weft.12.capture"));
        let daemon = Daemon::new(Path::new("/unused"), Some(Path::new("/x/odd")));
        assert!(daemon.capture_socket().is_err());
    }
}
