//! Hosts in network namespaces, cables between them, and the switches under test.
//!
//! Everything that a test makes goes away when it is dropped, whether the test passed or not.
//! When a test fails, `target/pcap/<test>-<host>.pcap` holds what each host saw, and the state and
//! the log of each switch are printed.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a testbed reports by panicking, in the test that uses it"
)]
#![expect(clippy::must_use_candidate, reason = "many calls are made for what they do")]

mod echo;
mod host;
mod overlay;
mod stock;
mod switch;
mod traffic;

pub use host::{Background, Host, cable, cable_named, introduce};
pub use overlay::{Underlay, between_two_switches, exchange, overlay, with_a_stock_peer};
pub use stock::{OvsdbServer, Stock};
pub use switch::{Gone, Switch};
pub use traffic::{Flow, Tally, tcp_transfer, udp_echoes};

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The command, as it was run.
    pub line: String,
    /// Its exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    fn new(line: String, output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = output.status.signal().map_or(-1, |signal| 128 + signal);
        Self {
            line,
            code: output.status.code().unwrap_or(signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Whether it succeeded.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.code == 0
    }

    /// Its output, when it succeeded.
    ///
    /// # Panics
    /// It failed.
    #[track_caller]
    #[must_use]
    pub fn expect_ok(self) -> String {
        assert!(
            self.ok(),
            "`{}` ended with {}: {}{}",
            self.line,
            self.code,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// Says whether this process may make network namespaces.
///
/// Where it may not, a test that needs them returns early and says so.  CI sets
/// `WEFT_REQUIRE_NETNS`, which turns that into a failure: a skipped test must not look green there.
///
/// # Panics
/// It may not, and `WEFT_REQUIRE_NETNS` is set.
#[must_use]
pub fn can_make_hosts() -> bool {
    let probe = Command::new("unshare").args(["-n", "true"]).output();
    let can = probe.is_ok_and(|output| output.status.success());
    assert!(can || std::env::var_os("WEFT_REQUIRE_NETNS").is_none(), "CI needs CAP_NET_ADMIN");
    if !can {
        eprintln!("SKIPPED: needs CAP_NET_ADMIN to make network namespaces");
    }
    can
}

/// Tries until `probe` holds or the time is up; the answer is whether it came to hold.
#[must_use]
pub fn within(limit: Duration, mut probe: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if probe() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The words of ovs-vsctl that add a port to a bridge, with an interface of another name.
#[must_use]
pub fn add_port(bridge: &str, port: &str, interface: &str) -> String {
    format!(
        "--id=@{interface} create interface name={interface} \
         -- --id=@{port} create port name={port} interfaces=@{interface} \
         -- add bridge {bridge} ports @{port}"
    )
}

/// Runs a shell line on the machine itself.
///
/// # Panics
/// It fails.
#[track_caller]
pub fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("sh(1) is installed");
    Outcome::new(line.to_owned(), &output).expect_ok()
}

/// The workspace's build directory.
pub fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace.join(target)
}

/// The `weftd` under test, as a shell word.
pub fn weftd_program() -> String {
    program("WEFTD", "weftd").display().to_string()
}

/// The `weft` under test, as a shell word.
pub fn weft_program() -> String {
    program("WEFT", "weft").display().to_string()
}

/// A program of this workspace: `$<variable>`, or the release build.
pub(crate) fn program(variable: &str, name: &str) -> PathBuf {
    let path = std::env::var_os(variable)
        .map_or_else(|| target_dir().join("release").join(name), PathBuf::from);
    let path = path.canonicalize();
    path.unwrap_or_else(|_| panic!("{name} is not built: `make build`, or set {variable}"))
}

/// The name of the running test, fit for a file name.
pub(crate) fn test_name() -> String {
    thread::current().name().unwrap_or("unnamed").replace("::", "-")
}
