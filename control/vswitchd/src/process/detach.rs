//! `--detach`: the parent returns when the daemon serves, or with the reason why it does not.
//!
//! `fork` is unsafe in Rust, and useless once threads exist, so the daemon is this program run
//! again.  The child's standard output is a pipe to the parent: it says one line on it when it is
//! ready, and then lets go of the terminal.

use rustix::fd::OwnedFd;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

/// Set in the environment of the daemon that the parent started.
const MARK: &str = "WEFT_DETACHED";
const READY: &str = "ready\n";

/// True in the daemon itself.
#[must_use]
pub fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts the daemon and waits until it says that it serves.
///
/// # Errors
/// When the daemon cannot be started at all.
pub fn start() -> io::Result<ExitCode> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut args = std::env::args_os();
    // By its path, for the name in `ps`; a program that was replaced on disk goes by its inode.
    let program = std::env::current_exe().ok().filter(|path| path.exists());
    let mut command = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let mut child = command
        .args(args)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::from(writer))
        .spawn()?;
    // The parent's copy of the write end must go, or the end of file is never seen.
    drop(command);
    let mut said = String::new();
    std::fs::File::from(reader).read_to_string(&mut said)?;
    if said == READY {
        return Ok(ExitCode::SUCCESS);
    }
    // The child has printed its reason on standard error, which it shares with us.
    let status = child.wait()?;
    if status.code() != Some(1) {
        eprintln!("weftd: the daemon ended before it was ready ({status})");
    }
    Ok(ExitCode::FAILURE)
}

/// In the daemon: a session of its own, before anything is set up.
///
/// # Errors
/// When the kernel refuses.
pub fn enter() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// In the daemon: tells the parent that everything is served, and lets go of the terminal.
///
/// # Errors
/// When `/dev/null` cannot be opened.
pub fn ready() -> io::Result<()> {
    let null: OwnedFd = OpenOptions::new().read(true).write(true).open("/dev/null")?.into();
    // A parent that was killed meanwhile is no reason to stop.
    let _ = io::stdout().write_all(READY.as_bytes()).and_then(|()| io::stdout().flush());
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
