//! More clients than the server serves, in a program of its own, for its memory is looked at.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop there"
)]

#[path = "it/harness.rs"]
#[expect(dead_code, reason = "made for another test program")]
mod harness;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use weft_ovsdb::Limits;

use harness::{Raw, Weft, wait_for};

/// Connections that are attempted at least.
const MANY: usize = 10_000;

/// Resident bytes of this process, which is client and server here.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Not a test: a crowd for the one below, in a process with open files of its own. A third of it is silent, a
/// third sends half a message, a third monitors and does not read. Each line of input is answered with the
/// number of connections that the server has ended.
#[test]
#[ignore = "a crowd of clients for another test"]
fn crowd_process() {
    let socket = std::env::var("WEFT_TEST_CROWD").unwrap();
    let count: usize = std::env::var("WEFT_TEST_CROWD_COUNT").unwrap().parse().unwrap();
    let half = [b"{\"id\":1,\"method\":\"".as_slice(), &[b'x'; 2000]].concat();
    let monitor = br#"{"id":1,"method":"monitor","params":["Open_vSwitch",1,{"Queue":{}}]}"#;
    let mut crowd = Vec::with_capacity(count);
    for n in 0..count {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let said = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(&half),
            _ => stream.write_all(monitor),
        };
        stream.set_nonblocking(true).unwrap();
        crowd.push((stream, said.is_err()));
    }
    for _ in std::io::stdin().lines() {
        for (stream, has_ended) in &mut crowd {
            *has_ended = *has_ended
                || match stream.read(&mut [0; 4096]) {
                    Ok(read) => read == 0,
                    Err(error) => error.kind() != ErrorKind::WouldBlock,
                };
        }
        println!("ended: {}", crowd.iter().filter(|(_, has_ended)| *has_ended).count());
    }
}

/// Processes that together hold `count` connections.
struct Crowd(Vec<Child>);

impl Crowd {
    fn gather(socket: &Path, count: usize, files: usize) -> Self {
        // Some files are other things than connections.
        let share = files.saturating_sub(100);
        let mut members = Vec::new();
        for first in (0..count).step_by(share) {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "--nocapture", "crowd_process"]);
            command.env("WEFT_TEST_CROWD", socket);
            command.env("WEFT_TEST_CROWD_COUNT", share.min(count - first).to_string());
            members.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        }
        Self(members)
    }

    /// How many connections the server has ended.
    fn ended(&mut self) -> usize {
        let count = |member: &mut Child| {
            writeln!(member.stdin.as_mut().unwrap()).unwrap();
            let lines = BufReader::new(member.stdout.as_mut().unwrap()).lines();
            let answer = lines.map(Result::unwrap).find_map(|line| {
                line.split_once("ended: ").map(|(_, ended)| ended.parse::<usize>().unwrap())
            });
            answer.expect("an answer of the crowd")
        };
        self.0.iter_mut().map(count).sum()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &mut self.0 {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

/// More clients than one remote serves, and 10,000 at least: as many as fit are served, the others hear at
/// once that they are not, and nobody else notices.
#[test]
fn ten_thousand_connections() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let files = limit.maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap());
    let bound = Limits::default().within_open_files(files).sessions_per_remote_max;
    let attempts = MANY.max(bound + 500);
    println!("{attempts} connections where {files} files may be open: {bound} are served");
    let folder = tempfile::TempDir::new().unwrap();
    let other = folder.path().join("other.sock");
    let remote = format!("punix:{}", other.display());
    let server = Weft::start_with(|config| config.remote(remote));
    let mut good = server.connect();
    good.call("monitor", &json!(["Open_vSwitch", 1, {"Queue": {}}]));
    let before = resident();
    let mut crowd = Crowd::gather(&server.socket(), attempts, files);
    wait_for("as many as fit", || server.memory().sessions == bound);
    wait_for("the end of all others", || crowd.ended() == attempts + 1 - bound);
    wait_for("their monitors", || server.memory().monitors > bound / 4);
    let mut late = Raw::connect(&other);
    let insert = json!({"op": "insert", "table": "Queue", "row":
        {"external_ids": ["map", [["k", "x".repeat(1000)]]]}});
    for client in [&mut late, &mut good] {
        client.transact(&Value::Array(vec![insert.clone(); 100]));
    }
    assert_eq!(good.heard.len(), 2);
    assert!(server.log().contains(&format!(
        "more are refused: this remote has {bound} clients, as many as one may have"
    )));
    let memory = server.memory();
    assert_eq!(memory.sessions, bound + 1, "{memory:?}");
    assert!(memory.input_bytes < bound * 2500, "{memory:?}");
    let grown = resident().saturating_sub(before);
    println!("{} bytes for each of {bound}", grown / bound);
    assert!(grown < bound * 40_000, "{grown} bytes for {bound} connections");
    drop(crowd);
    wait_for("them to be gone", || server.memory().sessions == 2);
    let memory = server.memory();
    assert_eq!((memory.input_bytes, memory.monitors, memory.missed_rows), (0, 1, 0), "{memory:?}");
    assert_eq!(server.connect().call("echo", &json!([])), json!([]));
}
