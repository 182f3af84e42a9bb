//! `weft doctor`: is this system fit, and what to do about what is not.

use crate::host::links::Links;
use crate::plan::Held;
use crate::plan::path::Path;
use crate::plan::path::State;
use crate::report::seen::Seen;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::FaultHandle;

/// One finding.
#[expect(clippy::needless_pass_by_value, reason = "most callers make the text")]
fn finding(check: &str, level: &str, finding: String, remedy: Option<&str>) -> Value {
    json!({"check": check, "level": level, "finding": finding, "remedy": remedy})
}

/// Looks at the system and at every link.
#[must_use]
pub fn examine(seen: Seen<'_>, paths: &BTreeMap<Uuid, Path>, storage: &FaultHandle) -> Value {
    let system = [kernel(), capabilities(), memlock(), bpffs(seen.links), database(storage)];
    let mut all = Vec::from(system);
    for (name, link) in seen.links.iter() {
        all.push(device(name, link));
        all.extend(af_xdp(name, link));
    }
    for (bridge, _, interface) in seen.desired.interfaces() {
        if let Some(error) = seen.error(interface) {
            let check = format!("{} on {}", interface.name, bridge.name);
            let level =
                if seen.plan.ports.get(&interface.uuid).is_some() { "warn" } else { "fail" };
            all.push(finding(&check, level, error, None));
        }
        if let Some(path) = paths.get(&interface.uuid) {
            let check = format!("tunnel {}", interface.name);
            all.push(match &path.state {
                State::Ready(_) => match seen.dead_ends.text(&interface.uuid) {
                    None => finding(&check, "ok", "the next hop answers".to_owned(), None),
                    Some(text) => finding(&check, "warn", text, Some("look at the remote end")),
                },
                State::Resolving => {
                    let text = "the next hop was asked for and has not answered yet".to_owned();
                    finding(&check, "warn", text, Some("check the underlay: ping the remote end"))
                }
                State::Unreachable(reason) => {
                    let remedy = "check addresses and routes: `ip route get REMOTE`";
                    finding(&check, "fail", reason.clone(), Some(remedy))
                }
            });
        }
    }
    Value::Array(all)
}

fn kernel() -> Value {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    let at_least = |major, minor| version >= (Some(major), Some(minor));
    let text = format!("Linux {release}");
    if at_least(6, 6) {
        finding("kernel", "ok", text, None)
    } else if at_least(5, 18) {
        finding("kernel", "warn", text, Some("6.6 or later is recommended"))
    } else {
        finding("kernel", "fail", text, Some("5.18 is the least, 6.6 is recommended"))
    }
}

/// Numbers of capabilities from linux/capability.h.
const CAPABILITIES: [(&str, u32); 4] =
    [("CAP_NET_ADMIN", 12), ("CAP_NET_RAW", 13), ("CAP_IPC_LOCK", 14), ("CAP_BPF", 39)];

/// Those of the needed capabilities that a process has not, by its `/proc/PID/status`.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    let missing = CAPABILITIES.iter().filter(|(_, bit)| effective >> bit & 1 == 0);
    missing.map(|(name, _)| *name).collect()
}

/// What this process may not do, in words; none when it may all that is needed.
#[must_use]
pub fn lacks_privileges() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing_capabilities(&status);
    (!missing.is_empty()).then(|| format!("missing: {}", missing.join(", ")))
}

fn capabilities() -> Value {
    match lacks_privileges() {
        None => finding("capabilities", "ok", "all that are needed".to_owned(), None),
        Some(text) => {
            finding("capabilities", "fail", text, Some("run as root, or grant them in the unit"))
        }
    }
}

fn memlock() -> Value {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match limit {
        None => finding("memlock", "ok", "unlimited".to_owned(), None),
        Some(bytes) if bytes >= 64 << 20 => {
            finding("memlock", "ok", format!("{} MiB", bytes >> 20), None)
        }
        // With CAP_IPC_LOCK, as root has it, the limit binds nobody.
        Some(bytes) if rustix::process::geteuid().is_root() => {
            finding("memlock", "ok", format!("{} KiB, which does not bind root", bytes >> 10), None)
        }
        Some(bytes) => finding(
            "memlock",
            "warn",
            format!("{} KiB: too little for one worker's frames", bytes >> 10),
            Some("LimitMEMLOCK=infinity in the unit, or `ulimit -l unlimited`"),
        ),
    }
}

fn bpffs(links: &Links) -> Value {
    match links.pins() {
        Some(folder) => {
            finding("bpffs", "ok", format!("XDP links are pinned in {}", folder.display()), None)
        }
        None => finding(
            "bpffs",
            "warn",
            "/sys/fs/bpf is no bpffs we may write to: XDP links end with weftd".to_owned(),
            Some("mount -t bpf bpf /sys/fs/bpf"),
        ),
    }
}

fn database(storage: &FaultHandle) -> Value {
    match storage.get() {
        None => finding("database file", "ok", "can be written".to_owned(), None),
        Some(fault) => {
            let text = format!("changes of the configuration are refused, {fault}");
            let remedy =
                "make room on its disk, or mount that for writing: weftd goes on by itself";
            finding("database file", "fail", text, Some(remedy))
        }
    }
}

fn device(name: &str, link: &crate::host::links::Link) -> Value {
    let role = match link.held {
        Held::Tap => "internal port",
        Held::Port => "bridge port",
        Held::Underlay => "underlay",
    };
    if let Some(shield) = &link.shield {
        let text = format!("{role}, driver {}, packet socket", link.driver.name);
        if shield.is_tcx() {
            return finding(name, "ok", text, None);
        }
        let text = text + ", a tc filter before the host's stack, which stays if weftd is killed";
        return finding(name, "warn", text, Some("Linux 6.6 or later has tcx, which does not"));
    }
    let Some(attached) = &link.attached else {
        if link.tap_exists() {
            return finding(name, "ok", format!("{role}, TAP"), None);
        }
        let text = format!("{role}: the TAP was destroyed from outside");
        return finding(name, "fail", text, Some("remove the port and add it again"));
    };
    let text = format!("{role}, driver {}, {} XDP", link.driver.name, attached.mode());
    match attached.fallback_reason() {
        None => finding(name, "ok", text, None),
        Some(reason) => {
            let remedy = "a driver with native XDP is several times faster";
            finding(name, "warn", format!("{text}, since {reason}"), Some(remedy))
        }
    }
}

fn af_xdp(name: &str, link: &crate::host::links::Link) -> Option<Value> {
    let mode = link.af_xdp_mode?;
    let text = format!("AF_XDP in {mode} mode, {} queues", link.watches.len());
    let check = format!("{name} AF_XDP");
    Some(if mode == "copy" && link.driver.name != "veth" {
        let remedy = "a driver with AF_XDP zero-copy (ice, i40e, mlx5, …) saves a copy per frame";
        finding(&check, "warn", text, Some(remedy))
    } else {
        finding(&check, "ok", text, None)
    })
}
