//! `version`, `vlog/*`, `coverage/show`, `memory/show`.

use super::{Command, Family, command};
use crate::coverage::Coverage;
use crate::engine::parts::Needs;
use crate::host::links::Links;
use crate::plan::installed::Installed;
use crate::serve::unixctl::Answer;
use crate::vlog::Vlog;
use crate::workers::Workers;

/// The commands of this family.
pub(crate) enum General {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub vlog: &'a mut Vlog,
    pub coverage: &'a Coverage,
    pub plan: &'a Installed,
    pub links: &'a Links,
    pub workers: &'a mut Workers,
}

impl Needs for General {
    type Parts<'a> = Parts<'a>;
}

impl Family for General {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<General>] = &[
    command::<General>("version", "", 0, 0, |_, _| Ok(version("ovs-vswitchd"))),
    command::<General>("vlog/set", "{spec | PATTERN:destination:pattern}", 0, usize::MAX, vlog_set),
    command::<General>("vlog/list", "", 0, 0, |lent, _| Ok(lent.vlog.list())),
    command::<General>("vlog/list-pattern", "", 0, 0, |_, _| Ok(Vlog::patterns().to_owned())),
    command::<General>("vlog/reopen", "", 0, 0, |lent, _| {
        lent.vlog.reopen().map(|()| String::new())
    }),
    command::<General>("vlog/close", "", 0, 0, |lent, _| {
        lent.vlog.close();
        Ok(String::new())
    }),
    // Every line is logged, as who asks for that wants it.
    command::<General>("vlog/disable-rate-limit", "[module]...", 0, usize::MAX, |_, args| {
        all_modules(args).map(|()| String::new())
    }),
    command::<General>("vlog/enable-rate-limit", "[module]...", 0, usize::MAX, |_, args| {
        all_modules(args)?;
        Err("weftd does not limit the rate of its log lines\n".to_owned())
    }),
    command::<General>("coverage/show", "", 0, 0, |lent, _| Ok(lent.coverage.show())),
    command::<General>("coverage/read-counter", "COUNTER", 1, 1, |lent, args| {
        let name = args.first().map_or("", String::as_str);
        let count = lent.coverage.total(name).ok_or("No such counter\n")?;
        Ok(format!("{count}\n"))
    }),
    command::<General>("memory/show", "", 0, 0, memory),
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

fn vlog_set(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    for spec in args {
        lent.vlog.set(spec)?;
    }
    Ok(String::new())
}

fn memory(lent: &mut Parts<'_>, _args: &[String]) -> Answer {
    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    let fdb: u64 = lent
        .workers
        .figures()
        .iter()
        .flat_map(|report| &report.fdb)
        .map(|stats| stats.entries)
        .sum();
    Ok(format!(
        "fdb-entries:{fdb} links:{} ports:{} resident-kib:{} workers:{}\n",
        lent.links.iter().count(),
        lent.plan.ports.len(),
        resident.unwrap_or(0),
        lent.workers.count(),
    ))
}
