//! A private place for tests that need the kernel: own network namespace, own bpffs, nothing left behind.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    env,
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use weft_ebpf::{NicEntry, Object, QUEUES_MAX};

/// Set in the process that runs inside the namespaces.
const INSIDE: &str = "WEFT_EBPF_TEST_INSIDE";

/// Programs and maps of their own, and in them the loopback interface: that is where a test run's frame comes in.
pub struct Loaded {
    pub object: Arc<Object>,
    pub nic: NicEntry,
}

impl Loaded {
    pub fn new() -> Self {
        let object = Arc::new(Object::load(false).unwrap());
        let nic = NicEntry::open(&object, 1, QUEUES_MAX).unwrap();
        Self { object, nic }
    }
}

/// Whether this process may load eBPF programs and make namespaces. A no is printed, and with
/// `WEFT_REQUIRE_NETNS=1` it is a failure.
pub fn privileged(test: &str) -> bool {
    // Loading is what most machines forbid; the maps alone tell.
    let Err(why) = Object::load(false) else { return true };
    // Not eprintln!, which the test harness keeps to itself when a test passes.
    let skipped =
        format!("SKIPPED {test}: needs root (CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN): {why}\n");
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    assert!(env::var_os("WEFT_REQUIRE_NETNS").is_none(), "{test} must not be skipped here: {why}");
    false
}

/// Runs the body in a namespace of its own: this binary again, that test alone, under `unshare`. All that it
/// makes (interfaces, pins, programs, further namespaces) ends with its last process.
pub fn in_namespace(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        run("mount -t bpf bpf /sys/fs/bpf");
        run("mkdir -p /run/netns");
        run("mount -t tmpfs tmpfs /run/netns");
        run("ip link set lo up");
        return body();
    }
    if !privileged(test) {
        return;
    }
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"])
        .arg("--mount-proc")
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare (package util-linux)");
    assert!(status.success(), "{test} failed in its namespace");
}

/// Runs a command line (words by blanks) and gives its output; a failure is the test's.
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {} {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
