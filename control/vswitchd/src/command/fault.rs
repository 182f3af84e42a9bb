//! `weft/fail-worker`: with `--test-faults`, makes a worker fail.

use super::{Command, Family, command};
use crate::engine::parts::Needs;
use crate::serve::unixctl::Answer;
use crate::workers::Workers;
use std::time::Duration;
use weft_worker::Fault;

/// The commands of this family.  Not listed: these exist for tests alone.
pub(crate) enum Faults {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub workers: &'a Workers,
}

impl Needs for Faults {
    type Parts<'a> = Parts<'a>;
}

impl Family for Faults {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Faults>] = &[command::<Faults>(
    "weft/fail-worker",
    "NUMBER panic|block|spin [SECONDS]",
    2,
    3,
    fail_worker,
)];

fn fail_worker(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let word = |index: usize| args.get(index).map_or("", String::as_str);
    let worker = word(0).parse().map_err(|_| "no number of a worker\n")?;
    let time = Duration::from_secs(word(2).parse().unwrap_or(1));
    let fault = match word(1) {
        "panic" => Fault::Panic,
        "block" => Fault::Block(time),
        "spin" => Fault::Spin(time),
        other => return Err(format!("no fault named {other}\n")),
    };
    lent.workers.fail(worker, fault);
    Ok(String::new())
}
