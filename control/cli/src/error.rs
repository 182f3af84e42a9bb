//! What can go wrong, and the exit code of each.

use std::io;
use std::path::PathBuf;

/// Done.
pub const EXIT_OK: u8 = 0;
/// A finding, or no such port or bridge.
pub const EXIT_FINDING: u8 = 1;
/// The command line is wrong, as clap has it.
pub const EXIT_USAGE: u8 = 2;
/// No daemon answers.
pub const EXIT_NO_DAEMON: u8 = 3;
/// Anything else.
pub const EXIT_OTHER: u8 = 4;

/// Why a command failed.  Texts are one line and say what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no pid file, so no daemon runs with this run directory.
    #[error(
        "no weftd runs with run directory {}: {}: {source} (start weftd, or give --rundir)",
        .rundir.display(), .file.display()
    )]
    NoPidFile {
        /// The run directory.
        rundir: PathBuf,
        /// The file that could not be read.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The pid file holds no process id.
    #[error("{} holds no process id", .0.display())]
    BadPidFile(PathBuf),

    /// The socket does not take a connection, or breaks off.
    #[error("weftd does not answer on {}: {source}", .socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The daemon closed the connection without a whole answer.
    #[error("weftd closed {} before it had answered", .0.display())]
    Closed(PathBuf),

    /// The daemon does not know the command: it is a stock Open vSwitch, or an older weftd.
    #[error("the daemon does not know {0}: is it a weftd of this version?")]
    UnknownMethod(String),

    /// The daemon refused, in its own words.
    #[error("{0}")]
    Refused(String),

    /// The answer is not what this program expects.
    #[error("the answer of weftd to {method} is not understood: {what}")]
    Answer {
        /// The method that was called.
        method: String,
        /// What is wrong with the answer.
        what: String,
    },

    /// A capture stream that is no pcapng.
    #[error("the capture stream of weftd is broken: {0}")]
    Stream(&'static str),

    /// Pcapng would go to a terminal.
    #[error(
        "a capture is binary: give -w FILE, or pipe it, as in `weft capture PORT | tcpdump -nr -`"
    )]
    Terminal,

    /// The words of a command make no sense together.
    #[error("{0}")]
    Usage(&'static str),

    /// A capture file cannot be read.
    #[error("cannot read {}: {why}", .file.display())]
    Pcap {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },

    /// A file cannot be made.
    #[error("cannot write {}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl Error {
    /// The exit code that `--help` promises for this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => EXIT_FINDING,
            Self::Usage(_) => EXIT_USAGE,
            Self::NoPidFile { .. }
            | Self::BadPidFile(_)
            | Self::Unreachable { .. }
            | Self::Closed(_) => EXIT_NO_DAEMON,
            Self::UnknownMethod(_)
            | Self::Answer { .. }
            | Self::Stream(_)
            | Self::Terminal
            | Self::Pcap { .. }
            | Self::File { .. }
            | Self::Output(_) => EXIT_OTHER,
        }
    }
}
