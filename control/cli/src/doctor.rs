//! `weft doctor`: what is in the way of good work, and what to do about it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::process::{Resource, geteuid, getrlimit};
use rustix::system::uname;
use serde_json::{Value, json};

use crate::error::{EXIT_FINDING, EXIT_OK, Error};
use crate::json::{cell, items, member};
use crate::unixctl::Daemon;

/// Prints findings: the daemon's own when it runs, else those that need no daemon.
///
/// # Errors
/// The daemon answers nonsense, or the output cannot be written.
pub fn run(daemon: &Daemon, json: bool, out: &mut impl Write) -> Result<u8, Error> {
    let findings = match daemon.call("weft/doctor", &[]) {
        Ok(findings) => findings,
        Err(error) if error.exit_code() == crate::error::EXIT_NO_DAEMON => {
            let mut findings = without_daemon();
            findings.push(finding(
                "weftd",
                "fail",
                &error.to_string(),
                Some("start weftd; what its interfaces can do is shown while it runs"),
            ));
            Value::Array(findings)
        }
        Err(error) => return Err(error),
    };
    let page = if json { format!("{findings:#}\n") } else { page(&findings) };
    out.write_all(page.as_bytes()).map_err(Error::Output)?;
    let failed = items(&findings).any(|finding| member(finding, "level") == "fail");
    Ok(if failed { EXIT_FINDING } else { EXIT_OK })
}

/// One line for each finding, its remedy under it, and a count at the end.
fn page(findings: &Value) -> String {
    let mut page = String::new();
    for finding in items(findings) {
        let (level, check) = (cell(finding, "level"), cell(finding, "check"));
        let _ = writeln!(page, "{level:<5} {check}: {}", cell(finding, "finding"));
        if let Value::String(remedy) = member(finding, "remedy") {
            let _ = writeln!(page, "      -> {remedy}");
        }
    }
    let of = |level: &str| items(findings).filter(|f| member(f, "level") == level).count();
    page + &format!("{} ok, {} to look at, {} in the way\n", of("ok"), of("warn"), of("fail"))
}

fn finding(check: &str, level: &str, finding: &str, remedy: Option<&str>) -> Value {
    json!({"check": check, "level": level, "finding": finding, "remedy": remedy})
}

/// What can be seen without a daemon.
fn without_daemon() -> Vec<Value> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let memlock = getrlimit(Resource::Memlock).current;
    vec![
        kernel(&uname().release().to_string_lossy()),
        privileges(geteuid().is_root(), &status),
        memory(memlock, &status),
        bpffs(&mounts),
        tun(Path::new("/dev/net/tun").exists()),
    ]
}

/// Judges the kernel release: 5.9 for AF_XDP with bpf links, 6.6 for frames of several buffers.
fn kernel(release: &str) -> Value {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return finding("kernel", "warn", &format!("release {release} is not understood"), None);
    };
    match (major, minor) {
        (..=4, _) | (5, ..=8) => finding(
            "kernel",
            "fail",
            &format!("Linux {release} is too old for AF_XDP behind a bpf link"),
            Some("boot Linux 5.9 or newer; 6.6 is recommended"),
        ),
        (5, _) | (6, ..=5) => finding(
            "kernel",
            "warn",
            &format!("Linux {release} cannot hand frames of several buffers to AF_XDP"),
            Some("boot Linux 6.6 or newer for large MTUs"),
        ),
        _ => finding("kernel", "ok", &format!("Linux {release}"), None),
    }
}

/// Capabilities that the switch needs: name and bit (capability.h).
const NEEDED: &[(&str, u32)] = &[("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_BPF", 39)];
/// Locks memory beyond `RLIMIT_MEMLOCK`.
const CAP_IPC_LOCK: u32 = 14;

fn has_capability(status: &str, bit: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> bit & 1 == 1
}

fn privileges(is_root: bool, status: &str) -> Value {
    let missing: Vec<_> =
        NEEDED.iter().filter(|(_, bit)| !has_capability(status, *bit)).map(|(n, _)| *n).collect();
    if missing.is_empty() {
        let who = if is_root { "root" } else { "not root" };
        return finding("capabilities", "ok", &format!("{who}, with all that weftd needs"), None);
    }
    finding(
        "capabilities",
        "fail",
        &format!("missing here: {}", missing.join(", ")),
        Some("run as root, or give the process these capabilities"),
    )
}

/// Kernels before 5.11 count BPF maps, and all count AF_XDP memory, against `RLIMIT_MEMLOCK`.
fn memory(limit_bytes: Option<u64>, status: &str) -> Value {
    const ENOUGH_BYTES: u64 = 256 << 20;
    let allowed = match limit_bytes {
        _ if has_capability(status, CAP_IPC_LOCK) => "CAP_IPC_LOCK lifts the limit".to_owned(),
        None => "unlimited".to_owned(),
        Some(bytes) if bytes >= ENOUGH_BYTES => format!("{} MiB", bytes >> 20),
        Some(bytes) => {
            return finding(
                "memlock",
                "fail",
                &format!("only {} KiB of memory may be locked", bytes >> 10),
                Some("ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit of weftd"),
            );
        }
    };
    finding("memlock", "ok", &allowed, None)
}

fn bpffs(mounts: &str) -> Value {
    let mounted = mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next(), words.next()) == (Some("/sys/fs/bpf"), Some("bpf"))
    });
    if mounted {
        return finding("bpffs", "ok", "/sys/fs/bpf is mounted", None);
    }
    finding(
        "bpffs",
        "warn",
        "/sys/fs/bpf is not mounted: XDP programs go when weftd ends, and come back with it",
        Some("mount -t bpf bpf /sys/fs/bpf"),
    )
}

fn tun(exists: bool) -> Value {
    if exists {
        return finding("internal ports", "ok", "/dev/net/tun is there", None);
    }
    finding(
        "internal ports",
        "fail",
        "/dev/net/tun is missing: no bridge can have an internal port",
        Some("modprobe tun; in a container, pass the device in"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeDaemon;

    fn level(finding: &Value) -> &str {
        finding["level"].as_str().unwrap()
    }

    fn outcome(list: &Value) -> (u8, String) {
        let fake = FakeDaemon::with_result("weft/doctor", list);
        let mut out = Vec::new();
        let code = run(&fake.daemon(), false, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_a_failure_makes_the_exit_code_1() {
        let warn = finding("eth0", "warn", "generic XDP", Some("use another driver"));
        let (code, page) = outcome(&json!([finding("kernel", "ok", "Linux 6.6", None), warn]));
        assert_eq!(code, EXIT_OK);
        assert_eq!(
            page,
            "ok    kernel: Linux 6.6\nwarn  eth0: generic XDP\n      -> use another driver\n\
             1 ok, 1 to look at, 0 in the way\n"
        );
        let (code, _) = outcome(&json!([finding("memlock", "fail", "8 KiB", None)]));
        assert_eq!(code, EXIT_FINDING);
    }

    #[test]
    fn without_a_daemon_the_machine_is_judged_and_its_absence_is_a_failure() {
        let empty = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let code = run(&Daemon::new(empty.path(), None), true, &mut out).unwrap();
        assert_eq!(code, EXIT_FINDING);
        let findings: Value = serde_json::from_slice(&out).unwrap();
        let checks: Vec<_> = items(&findings).map(|finding| cell(finding, "check")).collect();
        assert_eq!(
            checks,
            ["kernel", "capabilities", "memlock", "bpffs", "internal ports", "weftd"]
        );
    }

    #[test]
    fn kernels() {
        for (release, expected) in [
            ("4.19.0-1-amd64", "fail"),
            ("5.8.0", "fail"),
            ("5.9.1", "warn"),
            ("6.1.0-28-amd64", "warn"),
            ("6.6.0", "ok"),
            ("6.18", "ok"),
            ("10.0.0", "ok"),
            ("unknown", "warn"),
        ] {
            assert_eq!(level(&kernel(release)), expected, "{release}");
        }
    }

    #[test]
    fn capabilities_and_limits() {
        let all = "CapEff:\t000001ffffffffff\n";
        let none = "CapEff:\t0000000000000000\n";
        assert_eq!(level(&privileges(true, all)), "ok");
        let missing = privileges(true, none);
        assert_eq!(level(&missing), "fail");
        assert!(
            missing["finding"].as_str().unwrap().contains("CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF")
        );
        assert_eq!(level(&memory(Some(8 << 20), none)), "fail");
        assert_eq!(level(&memory(Some(8 << 20), all)), "ok");
        assert_eq!(level(&memory(None, none)), "ok");
        assert_eq!(level(&bpffs("bpf /sys/fs/bpf bpf rw 0 0\n")), "ok");
        assert_eq!(level(&bpffs("sysfs /sys sysfs rw 0 0\n")), "warn");
        assert_eq!(level(&tun(false)), "fail");
    }
}
