//! `version`, `vlog/*`, `coverage/show`, `memory/show`.

use super::{Command, command};
use crate::process::engine::Engine;
use crate::process::unixctl::Answer;
use crate::process::vlog::Vlog;

pub(super) const COMMANDS: &[Command] = &[
    command("version", "", 0, 0, |_, _| Ok(version("ovs-vswitchd"))),
    command("vlog/set", "{spec | PATTERN:destination:pattern}", 0, usize::MAX, vlog_set),
    command("vlog/list", "", 0, 0, |engine, _| Ok(engine.vlog.list())),
    command("vlog/list-pattern", "", 0, 0, |_, _| Ok(Vlog::patterns().to_owned())),
    command("vlog/reopen", "", 0, 0, |engine, _| engine.vlog.reopen().map(|()| String::new())),
    command("vlog/close", "", 0, 0, |engine, _| {
        engine.vlog.close();
        Ok(String::new())
    }),
    // Every line is logged, as who asks for that wants it.
    command("vlog/disable-rate-limit", "[module]...", 0, usize::MAX, |_, args| {
        all_modules(args).map(|()| String::new())
    }),
    command("vlog/enable-rate-limit", "[module]...", 0, usize::MAX, |_, args| {
        all_modules(args)?;
        Err("weftd does not limit the rate of its log lines\n".to_owned())
    }),
    command("coverage/show", "", 0, 0, |engine, _| Ok(engine.coverage.show())),
    command("coverage/read-counter", "COUNTER", 1, 1, |engine, args| {
        let name = args.first().map_or("", String::as_str);
        let count = engine.coverage.total(name).ok_or("No such counter\n")?;
        Ok(format!("{count}\n"))
    }),
    command("memory/show", "", 0, 0, memory),
];

/// Checks that these are modules, ours or stock ones.
fn all_modules(names: &[String]) -> Result<(), String> {
    let is_known = |name: &String| Vlog::is_module(name);
    if names.iter().all(is_known) { Ok(()) } else { Err("unknown module\n".to_owned()) }
}

/// `version` of either daemon.
pub(super) fn version(program: &str) -> String {
    format!("{program} (Open vSwitch) {}\n", crate::store::OVS_VERSION)
}

fn vlog_set(engine: &mut Engine, args: &[String]) -> Answer {
    for spec in args {
        engine.vlog.set(spec)?;
    }
    Ok(String::new())
}

fn memory(engine: &mut Engine, _args: &[String]) -> Answer {
    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    let fdb: u64 = engine
        .workers
        .figures()
        .map_err(|error| format!("{error}\n"))?
        .iter()
        .flat_map(|report| &report.fdb)
        .map(|stats| stats.entries)
        .sum();
    Ok(format!(
        "fdb-entries:{fdb} links:{} ports:{} resident-kib:{} workers:{}\n",
        engine.links.iter().count(),
        engine.plan.ports.len(),
        resident.unwrap_or(0),
        engine.workers.count(),
    ))
}
