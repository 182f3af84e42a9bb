//! The destination `syslog`: datagrams to `/dev/log`, as syslog(3) sends them.

use super::Severity;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where syslogd listens.
const SOCKET: &str = "/dev/log";

/// `daemon`, the facility unless another is set.
const DAEMON: u8 = 3;

/// The way to syslogd.  A line that cannot be sent is lost: there is nobody to tell.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// The number of the facility.
    pub(super) facility: u8,
}

impl Default for Syslog {
    fn default() -> Self {
        Self::to(Path::new(SOCKET))
    }
}

impl Syslog {
    /// Lines go to the socket `path`.
    pub(super) fn to(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: None, facility: DAEMON }
    }

    /// Sends a line.
    pub(super) fn send(&mut self, severity: Severity, date: &str, text: &str) {
        let priority = self.facility << 3 | severity.priority();
        let program = format!("{}[{}]", super::PROGRAM, std::process::id());
        let message = format!("<{priority}>{date} {program}: {text}");
        if self.try_send(&message).is_none() {
            // It may have been started anew.
            self.socket = None;
            self.try_send(&message);
        }
    }

    fn try_send(&mut self, message: &str) -> Option<()> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect(&self.path).ok()?;
            self.socket = Some(socket);
        }
        self.socket.as_ref()?.send(message.as_bytes()).ok().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_syslog_also_after_it_was_started_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut syslog = Syslog::to(&path);
        syslog.send(Severity::Err, "Nov 20 12:05:23", "nobody listens");
        for facility in [3, 16] {
            let listener = UnixDatagram::bind(&path).unwrap();
            syslog.facility = facility;
            syslog.send(Severity::Warn, "Nov 20 12:05:23", "hello");
            let mut buffer = [0; 200];
            let len = listener.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let start = format!("<{}>Nov 20 12:05:23 weftd[", facility * 8 + 4);
            assert!(text.starts_with(&start) && text.ends_with("]: hello"), "{text}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
