//! The pid file, and the write lock on it that tells the stock tools that its writer lives.
//!
//! `ovs-appctl` asks the kernel who holds the `fcntl` lock of the file and believes nothing else.
//! The lock belongs to the process and goes with the first descriptor of the file that is closed,
//! so the file is opened once and kept open for life.

use crate::disk_fault::is_disk_fault;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a holder that is being taken down is waited for.
const DYING_MAX: Duration = Duration::from_secs(3);

/// Why a pid file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// Another process holds the lock.
    #[error("{path}: already running as pid {pid}", path = .path.display())]
    Running {
        /// The pid file.
        path: PathBuf,
        /// What the file says, as text.
        pid: String,
    },
    /// The file system said no.
    #[error("{path}: {what}: {source}", path = .path.display())]
    Io {
        /// The pid file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl PidfileError {
    /// True when the disk is full or read-only.
    fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_disk_fault(source))
    }
}

/// A pid file that this process holds.  Dropping it removes the file.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    file: File,
}

impl Pidfile {
    /// Writes this process's pid to `path` and locks the file.  A file that nobody has locked is
    /// left over from a process that ended, and is replaced.
    ///
    /// # Errors
    /// [`PidfileError::Running`] when a live process holds the file.
    pub fn create(path: &Path) -> Result<Self, PidfileError> {
        let fail = |what, source| PidfileError::Io { path: path.to_owned(), what, source };
        let until = Instant::now() + DYING_MAX;
        while let Some(pid) = holder(path).map_err(|error| fail("cannot look at it", error))? {
            if !is_dying(&pid) || Instant::now() > until {
                return Err(PidfileError::Running { path: path.to_owned(), pid });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // A new file, renamed over the old one when it is complete: a reader sees the old state
        // or the new one, never an empty file.
        let pid = std::process::id();
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".tmp{pid}"));
        let temporary = PathBuf::from(temporary);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)
            .map_err(|error| fail("cannot create it", error))?;
        let finish = |file: &mut File| {
            fcntl_lock(&*file, FlockOperation::NonBlockingLockExclusive)?;
            writeln!(file, "{pid}")?;
            std::fs::rename(&temporary, path)
        };
        if let Err(error) = finish(&mut file) {
            // The rename's error is what matters; the left-over is only untidy.
            let _ = std::fs::remove_file(&temporary);
            return Err(fail("cannot write it", error));
        }
        Ok(Self { path: path.to_owned(), file })
    }
}

/// The pid files of this process: those that it holds, and those that the disk does not take yet.
#[derive(Debug, Default)]
pub struct Pidfiles {
    held: Vec<Pidfile>,
    due: Vec<PathBuf>,
}

impl Pidfiles {
    /// Takes one. A disk that is full or read-only is no reason not to serve: it is tried again.
    ///
    /// # Errors
    /// [`PidfileError`], when it cannot be had for another reason.
    pub fn take(&mut self, path: &Path) -> Result<(), PidfileError> {
        match Pidfile::create(path) {
            Ok(pidfile) => self.held.push(pidfile),
            Err(error) if error.is_of_the_disk() => {
                tracing::warn!("{error}; this is tried again");
                self.due.push(path.to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Tries those again that could not be had.
    pub fn tend(&mut self) {
        self.due.retain(|path| match Pidfile::create(path) {
            Ok(pidfile) => {
                tracing::info!("{}: written now", path.display());
                self.held.push(pidfile);
                false
            }
            Err(error) => error.is_of_the_disk(),
        });
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let ours = self.file.metadata().map(|meta| (meta.dev(), meta.ino()));
        let there = std::fs::metadata(&self.path).map(|meta| (meta.dev(), meta.ino()));
        if let (Ok(ours), Ok(there)) = (ours, there)
            && ours == there
        {
            // Nothing to do about a failure: the lock is what readers trust.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// True for a process that was told to end and is being taken down by the kernel.
fn is_dying(pid: &str) -> bool {
    /// `PF_EXITING` of linux/sched.h.
    const EXITING: u64 = 4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name is in parentheses and may hold anything; state is 1st and flags are 7th after it.
    let Some((_, rest)) = stat.rsplit_once(')') else { return true };
    let mut fields = rest.split_whitespace();
    let is_zombie = matches!(fields.next(), Some("Z" | "X"));
    let flags: u64 = fields.nth(5).and_then(|flags| flags.parse().ok()).unwrap_or(0);
    is_zombie || flags & EXITING != 0
}

/// The pid in `path`, when a live process other than this holds its lock.
fn holder(path: &Path) -> std::io::Result<Option<String>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(None),
        Err(Errno::ACCESS | Errno::AGAIN) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Some(text.trim().to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn holds_the_pid_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        let pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no left-over");
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn replaces_a_stale_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        std::fs::write(&path, "1\n").unwrap();
        let _pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn refuses_a_live_instance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        std::fs::write(&path, "77\n").unwrap();
        // Locks are the process's own, so the other holder has to be another process.
        let script = "import fcntl,sys,time\nf=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX)\n\
                      print('held',flush=True)\ntime.sleep(60)";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = [0; 5];
        child.stdout.as_mut().unwrap().read_exact(&mut held).unwrap();
        let error = Pidfile::create(&path).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(error.to_string().ends_with("already running as pid 77"), "{error}");
        Pidfile::create(&path).unwrap();
    }

    #[test]
    fn leaves_the_file_of_a_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        let pidfile = Pidfile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "other\n").unwrap();
        drop(pidfile);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other\n");
    }
}
