//! `weft/fail-worker`: with `--test-faults`, makes a worker fail.

use super::{Command, command};
use crate::process::engine::Engine;
use crate::process::unixctl::Answer;
use std::time::Duration;
use weft_worker::Fault;

/// Not listed: these exist for tests alone.
pub(super) const COMMANDS: &[Command] =
    &[command("weft/fail-worker", "NUMBER panic|block|spin [SECONDS]", 2, 3, fail_worker)];

fn fail_worker(engine: &mut Engine, args: &[String]) -> Answer {
    let word = |index: usize| args.get(index).map_or("", String::as_str);
    let worker = word(0).parse().map_err(|_| "no number of a worker\n")?;
    let time = Duration::from_secs(word(2).parse().unwrap_or(1));
    let fault = match word(1) {
        "panic" => Fault::Panic,
        "block" => Fault::Block(time),
        "spin" => Fault::Spin(time),
        other => return Err(format!("no fault named {other}\n")),
    };
    engine.workers.fail(worker, fault);
    Ok(String::new())
}
