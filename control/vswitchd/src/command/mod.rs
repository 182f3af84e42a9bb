//! The commands of the control sockets, one file per family.

#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod absent;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod database;
mod datapath;
mod fault;
mod fdb;
mod flows;
mod general;
mod mdb;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod metrics;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod net;
mod pmd;
mod stp;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod tnl;
mod trace;
mod trace_groups;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod weft;

use crate::process::engine::{Engine, Leave};
use crate::process::errand::{Errands, Step};
use crate::process::unixctl::{Answer, Request, Target};
use crate::store::Store;
use std::fmt::Write as _;

/// One command of the switch.
pub(crate) struct Command {
    name: &'static str,
    usage: &'static str,
    args: [usize; 2],
    run: Run,
}

/// How a command is answered.
#[derive(Clone, Copy)]
enum Run {
    /// In one turn of the loop.
    Now(fn(&mut Engine, &[String]) -> Answer),
    /// In several.
    Errand(fn(&mut Engine, &[String]) -> Result<Step, String>),
}

/// A command with between `min` and `max` arguments.
pub(crate) const fn command(
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    run: fn(&mut Engine, &[String]) -> Answer,
) -> Command {
    Command { name, usage, args: [min, max], run: Run::Now(run) }
}

/// The same for one whose answer may take several turns.
pub(crate) const fn errand(
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    run: fn(&mut Engine, &[String]) -> Result<Step, String>,
) -> Command {
    Command { name, usage, args: [min, max], run: Run::Errand(run) }
}

/// All commands of the switch, in the order of their names.
fn all() -> Vec<&'static Command> {
    let families = [
        general::COMMANDS,
        fdb::COMMANDS,
        mdb::COMMANDS,
        datapath::COMMANDS,
        metrics::COMMANDS,
        net::COMMANDS,
        stp::COMMANDS,
        tnl::COMMANDS,
        flows::COMMANDS,
        absent::COMMANDS,
        pmd::COMMANDS,
        trace::COMMANDS,
        weft::COMMANDS,
    ];
    let mut all: Vec<_> = families.iter().flat_map(|family| family.iter()).collect();
    all.sort_by_key(|command| command.name);
    all
}

/// The order to end, and who waits for it to be done.
pub type Exit = (Leave, tokio::sync::oneshot::Sender<Answer>);

/// Answers a request, unless it is the order to end: that is answered when it is done.  What takes
/// several turns goes to `errands`.
pub(crate) fn answer(
    request: Request,
    engine: &mut Engine,
    store: &mut Store,
    errands: &mut Errands,
) -> Option<Exit> {
    let Request { target, method, params, reply } = request;
    let (answer, leave) = match (target, method.as_str()) {
        (Target::Database, "exit") => match check(&method, [0, 0], &params) {
            Ok(()) => (Ok(String::new()), Some(Leave::Devices)),
            Err(error) => (Err(error), None),
        },
        (Target::Database, _) => {
            database::answer(store, engine, &method, params, reply);
            return None;
        }
        (Target::Switch, "exit") => exit(&params),
        (Target::Switch, "list-commands") => (list(&params), None),
        (Target::Switch, _) => {
            let step = run(engine, &method, &params);
            errands.after(step.unwrap_or_else(|text| Step::Done(Err(text))), Some(reply));
            return None;
        }
    };
    if let Some(leave) = leave {
        return Some((leave, reply));
    }
    // Whoever asked may be gone.
    let _ = reply.send(answer);
    None
}

fn exit(params: &[String]) -> (Answer, Option<Leave>) {
    match params {
        [word] if word == "--cleanup" => (Ok(String::new()), Some(Leave::Nothing)),
        [] | [_] => (Ok(String::new()), Some(Leave::Devices)),
        _ => (Err(too_many("exit", 1)), None),
    }
}

fn run(engine: &mut Engine, method: &str, params: &[String]) -> Result<Step, String> {
    let mut all = all();
    if engine.test_faults {
        all.extend(fault::COMMANDS);
    }
    let Some(command) = all.iter().find(|command| command.name == method) else {
        return Err(unknown(method));
    };
    check(method, command.args, params)?;
    match command.run {
        Run::Now(run) => Ok(Step::Done(run(engine, params))),
        Run::Errand(run) => run(engine, params),
    }
}

/// Runs a command that takes one turn.
fn run_now(engine: &mut Engine, method: &str, params: &[String]) -> Answer {
    match run(engine, method, params)? {
        Step::Done(answer) => answer,
        _ => Err(unknown(method)),
    }
}

/// Checks the number of arguments.
pub(crate) fn check(method: &str, [min, max]: [usize; 2], params: &[String]) -> Result<(), String> {
    if params.len() < min {
        return Err(format!("\"{method}\" command requires at least {min} arguments\n"));
    }
    if params.len() > max {
        return Err(too_many(method, max));
    }
    Ok(())
}

fn too_many(method: &str, max: usize) -> String {
    format!("\"{method}\" command takes at most {max} arguments\n")
}

/// The text for a command that does not exist.
pub(crate) fn unknown(method: &str) -> String {
    format!(
        "\"{method}\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n"
    )
}

fn list(params: &[String]) -> Answer {
    check("list-commands", [0, 0], params)?;
    let mut rows: Vec<_> = all().iter().map(|command| (command.name, command.usage)).collect();
    rows.extend([("exit", "[--cleanup]"), ("list-commands", "")]);
    Ok(listing(rows, 23))
}

/// A list of commands as `list-commands` prints it, with names of that width.
pub(crate) fn listing(mut rows: Vec<(&str, &str)>, width: usize) -> String {
    rows.sort_unstable();
    let mut text = String::from("The available commands are:\n");
    for (name, usage) in rows {
        let _ = writeln!(text, "  {name:<width$} {usage}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_stock_ones() {
        assert_eq!(
            unknown("nope"),
            "\"nope\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n"
        );
        assert_eq!(
            check("fdb/show", [1, 1], &[]).unwrap_err(),
            "\"fdb/show\" command requires at least 1 arguments\n"
        );
        let two = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            check("ovs/route/show", [0, 0], &two).unwrap_err(),
            "\"ovs/route/show\" command takes at most 0 arguments\n"
        );
    }

    #[test]
    fn names_are_unique_and_listed() {
        let all = all();
        let mut names: Vec<_> = all.iter().map(|command| command.name).collect();
        names.dedup();
        assert_eq!(names.len(), all.len());
        let text = list(&[]).unwrap();
        assert!(text.contains("\n  fdb/show                bridge\n"), "{text}");
        assert!(text.contains("\n  list-commands           \n"), "{text}");
        for wanted in [
            "version",
            "exit",
            "fdb/flush",
            "fdb/stats-show",
            "dpif/show",
            "ofproto/list",
            "vlog/set",
            "vlog/list",
            "coverage/show",
            "memory/show",
        ] {
            assert!(text.contains(&format!("\n  {wanted} ")), "{wanted}");
        }
    }
}
