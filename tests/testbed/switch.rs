//! The switch under test: weftd on a host, and the clients that talk to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Host, Outcome, program, within};

/// A weftd on a host, with a run directory of its own.
#[derive(Debug)]
pub struct Switch<'h> {
    host: &'h Host,
    rundir: tempfile::TempDir,
    options: String,
}

/// A run directory whose weftd was killed.
#[must_use]
#[derive(Debug)]
pub struct Gone<'h>(Switch<'h>);

impl<'h> Switch<'h> {
    /// Starts weftd with an empty database, as an init script does: when this returns, its sockets
    /// are served.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn start(host: &'h Host) -> Self {
        Self::start_with(host, "")
    }

    /// The same, and a bridge br0 whose LOCAL port is up; hosts are plugged in by the tests.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn with_bridge(host: &'h Host) -> Self {
        let switch = Self::start(host);
        switch.vsctl("add-br br0");
        host.sh("ip link set br0 up");
        switch
    }

    /// [`Switch::start`] with more options for weftd.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn start_with(host: &'h Host, options: &str) -> Self {
        let rundir = tempfile::tempdir().unwrap();
        report_on_panic();
        LIVE.with_borrow_mut(|live| live.push((host.netns().to_owned(), rundir.path().to_owned())));
        let switch = Self { host, rundir, options: options.to_owned() };
        // As on a real machine, pinned objects outlive the daemon; `ip netns exec` hides /sys/fs/bpf.
        let pins = switch.rundir().join("bpf");
        crate::sh(&format!("mkdir {0} && mount -t bpf weft {0}", pins.display()));
        switch.run_daemon();
        switch
    }

    #[track_caller]
    fn run_daemon(&self) {
        let weftd = program("WEFTD", "weftd");
        let (weftd, dir) = (weftd.display(), self.rundir().display());
        let embedded = !self.options.contains("--ovsdb");
        let database = if embedded { format!("--db {dir}/conf.db") } else { String::new() };
        // The soft limit of open files is what a login shell has.
        let line = format!(
            "ulimit -S -n 1024 && mount --bind {dir}/bpf /sys/fs/bpf && {weftd} --rundir {dir} {database} --pidfile={dir}/ovs-vswitchd.pid \
             --log-file={dir}/weftd.log --detach {}",
            self.options
        );
        let outcome = self.host.try_sh(&line);
        assert!(outcome.ok(), "weftd does not start: {}", outcome.stderr);
    }

    /// The host it runs on.
    #[must_use]
    pub fn host(&self) -> &'h Host {
        self.host
    }

    /// Its run directory: sockets, pid file, database, log.
    #[must_use]
    pub fn rundir(&self) -> &Path {
        self.rundir.path()
    }

    /// What is in its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.rundir().join("weftd.log")).unwrap_or_default()
    }

    /// Names of the XDP links that it has pinned; not of the programs and maps that they share.
    #[must_use]
    pub fn pins(&self) -> Vec<String> {
        let list = crate::sh(&format!(
            "cd {}/bpf && find . -path './weft/*' -maxdepth 3 -type f",
            self.rundir().display()
        ));
        list.lines().map(str::to_owned).collect()
    }

    /// Its process id.
    ///
    /// # Panics
    /// There is no pid file.
    #[track_caller]
    #[must_use]
    pub fn pid(&self) -> i32 {
        let file = self.rundir().join("ovs-vswitchd.pid");
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.trim().parse().unwrap()
    }

    /// Clock ticks that it has used, all threads, user and system.
    #[track_caller]
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Its resident memory, in KiB.
    #[track_caller]
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Runs a client here, pointed at this switch.
    #[must_use]
    pub fn client(&self, line: &str) -> Outcome {
        self.host.try_sh(&format!("OVS_RUNDIR={} {line}", self.rundir().display()))
    }

    /// Runs ovs-vsctl; what it did is the answer.
    #[must_use]
    pub fn try_vsctl(&self, words: &str) -> Outcome {
        self.client(&format!("ovs-vsctl --timeout=10 {words}"))
    }

    /// Runs ovs-vsctl; the answer is its output without the last newline.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn vsctl(&self, words: &str) -> String {
        let outcome = self.try_vsctl(words);
        let stderr = outcome.stderr.clone();
        let stdout = outcome.expect_ok();
        assert!(stderr.is_empty(), "ovs-vsctl {words}: {stderr}");
        stdout.trim_end().to_owned()
    }

    /// Runs ovs-appctl; what it did is the answer.
    #[must_use]
    pub fn try_appctl(&self, words: &str) -> Outcome {
        self.client(&format!("ovs-appctl --timeout=10 {words}"))
    }

    /// Runs ovs-appctl; the answer is its output.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn appctl(&self, words: &str) -> String {
        self.try_appctl(words).expect_ok()
    }

    /// Runs the operator's command; what it did is the answer.
    #[must_use]
    pub fn try_weft(&self, words: &str) -> Outcome {
        self.client(&format!("{} {words}", program("WEFT", "weft").display()))
    }

    /// Runs the operator's command with `--json`.
    ///
    /// # Panics
    /// It fails or prints no JSON.
    #[track_caller]
    #[must_use]
    pub fn weft_json(&self, words: &str) -> Value {
        let text = self.try_weft(&format!("--json {words}")).expect_ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("weft {words}: {error}: {text}"))
    }

    /// A port as `weft show` sees it; null when there is none of that name.
    #[track_caller]
    #[must_use]
    pub fn port(&self, name: &str) -> Value {
        let state = self.weft_json("show");
        let bridges = state["bridges"].as_array().cloned().unwrap_or_default();
        let mut ports = bridges.iter().filter_map(|bridge| bridge["ports"].as_array()).flatten();
        ports.find(|port| port["name"] == name).cloned().unwrap_or_default()
    }

    /// Every frame that the switch dropped, by `port direction reason`; reasons that never
    /// occurred are left out.  For what it was too slow to see, see [`Switch::missed`].
    #[track_caller]
    #[must_use]
    pub fn drops(&self) -> BTreeMap<String, u64> {
        let mut all = self.all_drops();
        all.retain(|key, _| !key.contains(" kernel_"));
        all
    }

    /// Frames that the kernel dropped because the switch did not keep up, which on a machine of
    /// two cores is nobody's mistake.
    #[track_caller]
    #[must_use]
    pub fn missed(&self) -> BTreeMap<String, u64> {
        let mut all = self.all_drops();
        all.retain(|key, _| key.contains(" kernel_"));
        all
    }

    fn all_drops(&self) -> BTreeMap<String, u64> {
        let list = self.weft_json("drops");
        let entries = list.as_array().into_iter().flatten();
        let counted = entries.filter_map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap_or("?").to_owned();
            let key = format!("{} {} {}", word("port"), word("direction"), word("reason"));
            entry["frames"].as_u64().filter(|frames| *frames > 0).map(|frames| (key, frames))
        });
        counted.collect()
    }

    /// The counters of every port, by `port counter`: frames and bytes in and out, drops.
    #[track_caller]
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, i64> {
        const COUNTERS: [&str; 4] = ["rx_frames", "tx_frames", "rx_drops", "tx_drops"];
        let state = self.weft_json("show");
        let mut counters = BTreeMap::new();
        for bridge in state["bridges"].as_array().into_iter().flatten() {
            for port in bridge["ports"].as_array().into_iter().flatten() {
                for name in COUNTERS {
                    let key = format!("{} {name}", port["name"].as_str().unwrap_or("?"));
                    counters.insert(key, port[name].as_i64().unwrap_or(0));
                }
            }
        }
        counters
    }

    /// Runs `work`; the answer is every counter that moved, by how much.
    #[track_caller]
    pub fn deltas(&self, work: impl FnOnce()) -> BTreeMap<String, i64> {
        let before = self.counters();
        work();
        // Workers publish their counters several times a second.
        thread::sleep(Duration::from_millis(1100));
        let moved = self.counters().into_iter().map(|(key, after)| {
            let before = before.get(&key).copied().unwrap_or(0);
            (key, after - before)
        });
        moved.filter(|(_, delta)| *delta != 0).collect()
    }

    /// Plugs a new host into a bridge by a veth pair: `port` here, `eth0` there.
    #[track_caller]
    #[must_use]
    pub fn plug(&self, bridge: &str, port: &str, cidr: &str) -> Host {
        let guest = Host::new(port);
        crate::cable_named(self.host, port, &guest, "eth0");
        if !cidr.is_empty() {
            guest.address("eth0", cidr);
        }
        self.vsctl(&format!("add-port {bridge} {port}"));
        guest
    }

    /// Kills weftd as the kernel would in need: no clean-up of its own.  Does not wait for the end.
    #[track_caller]
    pub fn kill_now(self) -> Gone<'h> {
        signal(self.pid(), Signal::KILL);
        Gone(self)
    }

    /// Kills weftd, and waits until it is gone.
    #[track_caller]
    pub fn kill_hard(self) -> Gone<'h> {
        let pid = self.pid();
        signal(pid, Signal::KILL);
        assert!(within(Duration::from_secs(5), || is_gone(pid)), "weftd survives SIGKILL");
        Gone(self)
    }

    /// Ends weftd with `ovs-appctl exit`, with these words after it.
    #[track_caller]
    pub fn exit(self, words: &str) -> Gone<'h> {
        let pid = self.pid();
        self.appctl(&format!("exit {words}"));
        assert!(within(Duration::from_secs(5), || is_gone(pid)), "weftd does not exit");
        Gone(self)
    }
}

impl<'h> Gone<'h> {
    /// Starts weftd again on what the killed one left.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn start_again(self) -> Switch<'h> {
        self.0.run_daemon();
        self.0
    }

    /// The run directory that was left.
    #[must_use]
    pub fn rundir(&self) -> PathBuf {
        self.0.rundir().to_owned()
    }
}

impl Drop for Switch<'_> {
    fn drop(&mut self) {
        LIVE.with_borrow_mut(|live| live.retain(|(_, rundir)| rundir != self.rundir()));
        self.end_daemon();
        let pins = self.rundir().join("bpf");
        let _ = Command::new("umount").arg("--lazy").arg(pins).status();
    }
}

impl Switch<'_> {
    fn end_daemon(&self) {
        let pid = fs::read_to_string(self.rundir().join("ovs-vswitchd.pid"));
        let pid = pid.ok().and_then(|text| text.trim().parse::<i32>().ok());
        let Some(pid) = pid.filter(|pid| is_weftd(*pid)) else { return };
        signal(pid, Signal::TERM);
        if !within(Duration::from_secs(5), || is_gone(pid)) {
            signal(pid, Signal::KILL);
            assert!(thread::panicking(), "weftd does not end on SIGTERM");
        }
    }
}

thread_local! {
    /// Namespace and run directory of each switch of the test that runs in this thread.
    static LIVE: RefCell<Vec<(String, PathBuf)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a failing test print the state of its switches as it was then, before anything is dropped.
fn report_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            earlier(info);
            let live = LIVE.with(|live| live.try_borrow().map(|live| live.clone()));
            for (netns, rundir) in live.unwrap_or_default() {
                report(&netns, &rundir);
            }
        }));
    });
}

fn report(netns: &str, rundir: &Path) {
    let weft = program("WEFT", "weft");
    for verb in ["show", "drops"] {
        let words = ["-k", "1", "5", "ip", "netns", "exec", netns];
        let output = Command::new("timeout")
            .args(words)
            .arg(&weft)
            .args([verb, "--rundir"])
            .arg(rundir)
            .output();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        eprintln!("--- weft {verb} in {netns}\n{}", String::from_utf8_lossy(&text));
    }
    let log = fs::read_to_string(rundir.join("weftd.log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default();
    eprintln!("--- log of weftd in {netns}\n{}", tail.join("\n"));
}

/// Whether this process is a weftd that lives.
fn is_weftd(pid: i32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    // A program that was built anew meanwhile reads as `…/weftd (deleted)`.
    program.to_string_lossy().contains("/weftd")
}

/// Whether the kernel has cleared away all of a process; a zombie that nobody waits for is clear.
fn is_gone(pid: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return true };
    // The main thread is a zombie while other threads still close sockets.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    status.contains("State:\tZ") && threads <= 1
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}
