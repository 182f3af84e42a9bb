//! One machine of a test: a network namespace.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::echo::echoes;
use crate::{Outcome, sh, target_dir, test_name, within};

static NEXT_HOST: AtomicU32 = AtomicU32::new(0);

/// No command of a test takes longer, in seconds.
const COMMAND_SECS_MAX: u32 = 30;

/// A machine of the test's own: a network namespace.
///
/// IPv6 is off, so that the only frames are those that a test sends.
#[derive(Debug)]
pub struct Host {
    name: String,
    netns: String,
    capture: Option<Background>,
    pcap: PathBuf,
}

impl Host {
    /// Makes an empty host.  Its namespace's name is unique to this process and call, so tests run
    /// side by side.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let serial = NEXT_HOST.fetch_add(1, Ordering::Relaxed);
        let netns = format!("weft-{}-{serial}-{name}", std::process::id());
        sh(&format!("ip netns add {netns}"));
        let folder = target_dir().join("pcap");
        std::fs::create_dir_all(&folder).unwrap();
        let pcap = folder.join(format!("{}-{name}.pcap", test_name()));
        let mut host = Self { name: name.to_owned(), netns, capture: None, pcap };
        host.sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
        host.sh("ip link set lo up");
        let file = host.pcap.display();
        host.capture =
            Some(host.spawn(&format!("tcpdump -i any -U -s 160 -c 20000 -Z root -w {file}")));
        host
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its namespace.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// Sets interface `device` up, with an address.
    #[track_caller]
    pub fn address(&self, device: &str, cidr: &str) {
        self.sh(&format!("ip addr add {cidr} dev {device} && ip link set {device} up"));
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("timeout");
        let limit = COMMAND_SECS_MAX.to_string();
        command.args(["-k", "2", &limit, "ip", "netns", "exec", &self.netns, "sh", "-c", line]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a shell line here; what it did is the answer.
    #[must_use]
    pub fn try_sh(&self, line: &str) -> Outcome {
        let output = self.command(line).output().expect("timeout(1) is installed");
        Outcome::new(line.to_owned(), &output)
    }

    /// Runs a shell line here.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        self.try_sh(line).expect_ok()
    }

    /// Starts a program that runs until it is dropped; its output is kept.
    #[must_use]
    pub fn spawn(&self, line: &str) -> Background {
        let output = tempfile::NamedTempFile::new().unwrap();
        let log: File = output.reopen().unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &self.netns, "sh", "-c", &format!("exec {line}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("ip(8) is installed");
        Background { child, output }
    }

    /// Runs `work` in a thread that lives in this host's network namespace.
    pub fn thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let netns = File::open(format!("/run/netns/{}", self.netns)).unwrap();
        let name = test_name();
        let body = move || {
            move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&netns),
                Some(LinkNameSpaceType::Network),
            )
            .unwrap();
            work()
        };
        thread::Builder::new().name(name).spawn(body).unwrap()
    }

    /// True when this host gets an answer from `address` within a second.
    #[must_use]
    pub fn reaches(&self, address: &str) -> bool {
        self.try_sh(&format!("ping -n -c 1 -W 1 {address}")).ok()
    }

    /// Pings until an answer comes, at most for 20 seconds.
    ///
    /// # Panics
    /// None comes.
    #[track_caller]
    pub fn must_reach(&self, address: &str) {
        let reached = within(Duration::from_secs(20), || self.reaches(address));
        assert!(reached, "{} does not reach {address}", self.name);
    }

    /// Sends `count` echo requests, 20 ms apart; the answer is how many replies came.
    #[must_use]
    pub fn pings(&self, count: u16, address: &str) -> u32 {
        let target = address.parse().unwrap();
        self.thread(move || echoes(target, count)).join().unwrap()
    }

    /// The MAC address of one of its interfaces.
    #[track_caller]
    pub fn mac(&self, device: &str) -> String {
        self.sh(&format!("cat /sys/class/net/{device}/address")).trim().to_owned()
    }

    /// Frames that one of its interfaces has received.
    #[track_caller]
    pub fn rx_frames(&self, device: &str) -> u64 {
        let path = format!("/sys/class/net/{device}/statistics/rx_packets");
        self.sh(&format!("cat {path}")).trim().parse().unwrap()
    }

    /// Tells `device` of this host for good which MAC address `address` has: no ARP will be needed.
    #[track_caller]
    pub fn knows(&self, device: &str, address: &str, mac: &str) {
        self.sh(&format!("ip neigh replace {address} lladdr {mac} dev {device} nud permanent"));
    }

    /// Sends one Ethernet frame, given as a scapy expression, out of `device`.
    #[track_caller]
    pub fn send_frame(&self, device: &str, scapy: &str) {
        self.sh(&format!(
            "/usr/bin/python3 -c 'from scapy.all import *; sendp({scapy}, iface=\"{device}\", verbose=0)'"
        ));
    }

    /// Sends one Ethernet frame, given in hexadecimal digits, out of `device`: much sooner than scapy.
    #[track_caller]
    pub fn send_hex(&self, device: &str, frame: &str) {
        self.sh(&format!(
            "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\
             .sendto(bytes.fromhex(\"{frame}\"), (\"{device}\", 0))'"
        ));
    }

    /// Every checksum error and header error that this host's IP stack has counted.
    #[must_use]
    pub fn checksum_errors(&self) -> u64 {
        let mut errors = 0;
        let text = self.sh("cat /proc/net/snmp");
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.chunks(2) {
            let [names, values] = pair else { continue };
            for (name, value) in names.split(' ').zip(values.split(' ')) {
                if name.contains("CsumErrors") || name == "InHdrErrors" {
                    errors += value.parse::<u64>().unwrap();
                }
            }
        }
        // Absent when the kernel has no IPv6.
        for line in self.try_sh("cat /proc/net/snmp6").stdout.lines() {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(value)) = (words.next(), words.next())
                && (name.contains("CsumErrors") || name == "Ip6InHdrErrors")
            {
                errors += value.parse::<u64>().unwrap();
            }
        }
        errors
    }

    /// Turns IPv6 on and gives `device` an address at once; the answer is false where there is no
    /// IPv6.
    #[must_use]
    pub fn address6(&self, device: &str, cidr: &str) -> bool {
        self.try_sh(&format!(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.{device}.disable_ipv6=0 && \
             ip -6 addr add {cidr} dev {device} nodad"
        ))
        .ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The last frames are written before the capture is judged.
        drop(self.capture.take());
        if thread::panicking() {
            eprintln!("frames that {} saw: {}", self.name, self.pcap.display());
        } else {
            let _ = std::fs::remove_file(&self.pcap);
        }
        let _ = Command::new("ip").args(["netns", "del", &self.netns]).status();
    }
}

/// A program in the background; ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    output: tempfile::NamedTempFile,
}

impl Background {
    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = std::fs::read(self.output.path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed `text`.
    ///
    /// # Panics
    /// It does not within 10 seconds.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let came = within(Duration::from_secs(10), || self.output().contains(text));
        assert!(came, "no '{text}' in: {}", self.output());
    }

    /// Waits until it ends by itself; the answer is all that it printed.
    ///
    /// # Panics
    /// It does not within 20 seconds.
    #[track_caller]
    pub fn finish(mut self) -> String {
        let ended = within(Duration::from_secs(20), || self.child.try_wait().unwrap().is_some());
        assert!(ended, "still running: {}", self.output());
        self.output()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !within(Duration::from_secs(2), || {
            self.child.try_wait().is_ok_and(|status| status.is_some())
        }) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Tells two hosts each other's MAC addresses for good, so that every frame is one that the test sent.
#[track_caller]
pub fn introduce(a: &Host, a_address: &str, b: &Host, b_address: &str) {
    a.knows("eth0", b_address, &b.mac("eth0"));
    b.knows("eth0", a_address, &a.mac("eth0"));
}

/// Joins `eth0` of two hosts with a cable.
#[track_caller]
pub fn cable(a: &Host, b: &Host) {
    cable_named(a, "eth0", b, "eth0");
}

/// Joins two interfaces, which it makes, with a cable.  Offloads are as the kernel sets them.
#[track_caller]
pub fn cable_named(a: &Host, a_device: &str, b: &Host, b_device: &str) {
    let (a, b) = (a.netns(), b.netns());
    sh(&format!("ip link add {a_device} netns {a} type veth peer name {b_device} netns {b}"));
    sh(&format!("ip -n {a} link set {a_device} up && ip -n {b} link set {b_device} up"));
}
