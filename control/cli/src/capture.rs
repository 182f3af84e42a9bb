//! `weft capture`: frames of one port, as pcapng.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::CaptureArgs;
use crate::error::{EXIT_OK, Error};
use crate::pcapng::Blocks;
use crate::unixctl::{Daemon, connect};

/// The longest first line taken from the daemon, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// Captures until the count or the time is reached, or the daemon ends the stream.
///
/// # Errors
/// The daemon does not answer or knows no such port, or the output cannot be written.
pub fn run(
    daemon: &Daemon,
    json: bool,
    options: &CaptureArgs,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let file = options.file.as_deref().filter(|file| *file != Path::new("-"));
    if file.is_none() && options.file.is_none() && io::stdout().is_terminal() {
        return Err(Error::Terminal);
    }
    let socket = daemon.capture_socket()?;
    let mut stream = connect(&socket)?;
    let request = match options.snaplen {
        Some(snaplen) => format!("{} {snaplen}\n", options.port),
        None => format!("{}\n", options.port),
    };
    let unreachable = |source| Error::Unreachable { socket: socket.clone(), source };
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let answer = first_line(&mut stream).map_err(unreachable)?;
    match answer.split_once(' ').unwrap_or((&answer, "")) {
        ("OK", _) => {}
        ("ERR", why) => return Err(Error::Refused(why.to_owned())),
        ("", _) => return Err(Error::Closed(socket)),
        _ => return Err(Error::Stream("it does not start with OK or ERR")),
    }
    let timed = Timed::new(stream, options.seconds.map(Duration::from_secs_f64));
    // The file is made only now: a wrong port name leaves none behind.
    let tally = match file {
        Some(path) => {
            let failed = |source| Error::File { file: path.to_owned(), source };
            let mut file = File::create(path).map_err(failed)?;
            copy(timed, &mut file, options.count, failed)?
        }
        None => copy(timed, out, options.count, Error::Output)?,
    };
    report(&tally, json, file, out).map_err(Error::Output)?;
    Ok(EXIT_OK)
}

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    frames: u64,
    bytes: u64,
}

/// Copies whole blocks, so that what is written is a valid file whenever this ends.
fn copy(
    input: impl Read,
    output: &mut impl Write,
    count_max: Option<u64>,
    failed: impl Fn(io::Error) -> Error,
) -> Result<Tally, Error> {
    let mut blocks = Blocks::new(input);
    let mut tally = Tally::default();
    while count_max.is_none_or(|max| tally.frames < max) {
        let block = match blocks.next_block() {
            Ok(Some(block)) => block,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Error::Stream("it is no pcapng"));
            }
            // The time is up, or the daemon ended: what is there so far is whole.
            Ok(None) | Err(_) => break,
        };
        output.write_all(&block.bytes).and_then(|()| output.flush()).map_err(&failed)?;
        tally.frames += u64::from(block.is_frame);
        tally.bytes += block.bytes.len() as u64;
    }
    Ok(tally)
}

/// Says what was written: to standard output when the frames went to a file, else to standard error.
fn report(tally: &Tally, json: bool, file: Option<&Path>, out: &mut impl Write) -> io::Result<()> {
    let Tally { frames, bytes } = tally;
    let line = if json {
        json!({"frames": frames, "bytes": bytes}).to_string()
    } else {
        format!("{frames} frames captured")
    };
    match file {
        Some(_) => writeln!(out, "{line}"),
        None => writeln!(io::stderr(), "{line}"),
    }
}

/// The first line of the answer, byte by byte: what follows it belongs to the pcapng stream.
fn first_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE_BYTES_MAX && stream.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// A stream that fails with `TimedOut` when its time is up.
struct Timed {
    stream: UnixStream,
    end: Option<Instant>,
}

impl Timed {
    fn new(stream: UnixStream, limit: Option<Duration>) -> Self {
        Self { stream, end: limit.map(|limit| Instant::now() + limit) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EXIT_FINDING;
    use crate::fake::FakeDaemon;
    use crate::pcapng::tests::stream;

    fn options(file: &Path) -> CaptureArgs {
        CaptureArgs {
            port: "veth1".to_owned(),
            file: Some(file.to_owned()),
            snaplen: None,
            count: None,
            seconds: None,
        }
    }

    #[test]
    fn a_count_ends_the_capture_between_two_frames() {
        let fake = FakeDaemon::capturing(|line, output| {
            assert_eq!(line, "veth1 96");
            let _ = output.write_all(b"OK veth1\n");
            let _ = output.write_all(&stream(5));
            std::thread::sleep(Duration::from_mins(1));
        });
        let file = fake.rundir().join("out.pcapng");
        let options = CaptureArgs { count: Some(2), snaplen: Some(96), ..options(&file) };
        let mut out = Vec::new();
        run(&fake.daemon(), true, &options, &mut out).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), stream(2));
        let bytes = stream(2).len();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{{\"frames\":2,\"bytes\":{bytes}}}\n")
        );
    }

    #[test]
    fn time_ends_the_capture_and_half_a_block_is_left_out() {
        let fake = FakeDaemon::capturing(|_, output| {
            let _ = output.write_all(b"OK\n");
            let _ = output.write_all(&stream(1));
            let _ = output.write_all(&[6, 0, 0]);
            std::thread::sleep(Duration::from_mins(1));
        });
        let file = fake.rundir().join("out.pcapng");
        let options = CaptureArgs { seconds: Some(1.0), ..options(&file) };
        run(&fake.daemon(), false, &options, &mut Vec::new()).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), stream(1));
    }

    #[test]
    fn standard_output_holds_nothing_but_the_stream() {
        let fake = FakeDaemon::capturing(|_, output| {
            let _ = output.write_all(b"OK\n");
            let _ = output.write_all(&stream(3));
        });
        let mut out = Vec::new();
        run(&fake.daemon(), false, &options(Path::new("-")), &mut out).unwrap();
        assert_eq!(out, stream(3));
    }

    #[test]
    fn an_unknown_port_is_a_finding_and_leaves_no_file() {
        let fake = FakeDaemon::capturing(|_, output| {
            let _ = output.write_all(b"ERR no port veth1\n");
        });
        let file = fake.rundir().join("out.pcapng");
        let error = run(&fake.daemon(), false, &options(&file), &mut Vec::new()).unwrap_err();
        assert_eq!(
            (error.exit_code(), error.to_string().as_str()),
            (EXIT_FINDING, "no port veth1")
        );
        assert!(!file.exists());
    }

    #[test]
    fn a_stream_of_something_else_is_refused() {
        let fake = FakeDaemon::capturing(|_, output| {
            let _ = output.write_all(b"OK\nthis is no pcapng at all, but long enough to look at");
        });
        let file = fake.rundir().join("out.pcapng");
        let error = run(&fake.daemon(), false, &options(&file), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Stream(_)), "{error}");
    }
}
