//! The commands of the control sockets, one file per family.

#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod absent;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
mod database;
pub(crate) mod datapath;
pub(crate) mod fault;
pub(crate) mod fdb;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod flows;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod general;
mod lend;
pub(crate) mod mdb;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod metrics;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod net;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod pmd;
pub(crate) mod stp;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod tnl;
pub(crate) mod trace;
mod trace_groups;
#[expect(clippy::unnecessary_wraps, reason = "all commands have one signature")]
pub(crate) mod weft;

use crate::engine::errand::{Errands, Step};
use crate::engine::parts::{Lend, Needs};
use crate::engine::{Engine, Leave};
use crate::serve::unixctl::{Answer, Request, Target};
use crate::store::Store;
use std::fmt::Write as _;

/// One command of the switch; it works with the parts that `N` names.
pub(crate) struct Command<N: Needs> {
    name: &'static str,
    usage: &'static str,
    args: [usize; 2],
    run: Run<N>,
}

/// How a command is answered.
enum Run<N: Needs> {
    /// In one turn of the loop.
    Now(fn(&mut N::Parts<'_>, &[String]) -> Answer),
    /// In several.
    Errand(fn(&mut N::Parts<'_>, &[String]) -> Result<Step, String>),
}

/// A command with between `min` and `max` arguments.
pub(crate) const fn command<N: Needs>(
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    run: fn(&mut N::Parts<'_>, &[String]) -> Answer,
) -> Command<N> {
    Command { name, usage, args: [min, max], run: Run::Now(run) }
}

/// The same for one whose answer may take several turns.
pub(crate) const fn errand<N: Needs>(
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    run: fn(&mut N::Parts<'_>, &[String]) -> Result<Step, String>,
) -> Command<N> {
    Command { name, usage, args: [min, max], run: Run::Errand(run) }
}

/// Commands that work with the same parts.
pub(crate) trait Family: Needs {
    /// The commands.
    const COMMANDS: &'static [Command<Self>];
}

/// A name and how it is used.
type Listed = (&'static str, &'static str);

/// Runs the command of a family that has this name, if there is one.
type RunNamed = fn(&mut Engine, &str, &[String]) -> Option<Result<Step, String>>;

/// A family, whatever its parts are.
struct AnyFamily {
    list: fn() -> Vec<Listed>,
    run: RunNamed,
}

impl AnyFamily {
    const fn of<N: Family>() -> Self
    where
        Engine: Lend<N>,
    {
        Self {
            list: || N::COMMANDS.iter().map(|command| (command.name, command.usage)).collect(),
            run: |engine, method, params| {
                let command = N::COMMANDS.iter().find(|command| command.name == method)?;
                Some(command.run(&mut Lend::<N>::lend(engine), params))
            },
        }
    }
}

impl<N: Needs> Command<N> {
    fn run(&self, parts: &mut N::Parts<'_>, params: &[String]) -> Result<Step, String> {
        check(self.name, self.args, params)?;
        match self.run {
            Run::Now(run) => Ok(Step::Done(run(parts, params))),
            Run::Errand(run) => run(parts, params),
        }
    }
}

/// All families of the switch.
const FAMILIES: [AnyFamily; 13] = [
    AnyFamily::of::<general::General>(),
    AnyFamily::of::<fdb::Fdb>(),
    AnyFamily::of::<mdb::Groups>(),
    AnyFamily::of::<datapath::Datapaths>(),
    AnyFamily::of::<metrics::Metrics>(),
    AnyFamily::of::<net::Net>(),
    AnyFamily::of::<stp::Trees>(),
    AnyFamily::of::<tnl::Tunnels>(),
    AnyFamily::of::<flows::Flows>(),
    AnyFamily::of::<absent::Absent>(),
    AnyFamily::of::<pmd::Threads>(),
    AnyFamily::of::<trace::Trace>(),
    AnyFamily::of::<weft::Weft>(),
];

/// All commands of the switch, in the order of their names.
fn all() -> Vec<Listed> {
    let mut all: Vec<_> = FAMILIES.iter().flat_map(|family| (family.list)()).collect();
    all.sort_unstable();
    all
}

/// The order to end, and who waits for it to be done.
pub type Exit = (Leave, tokio::sync::oneshot::Sender<Answer>);

fn exit(params: &[String]) -> (Answer, Option<Leave>) {
    match params {
        [word] if word == "--cleanup" => (Ok(String::new()), Some(Leave::Nothing)),
        [] | [_] => (Ok(String::new()), Some(Leave::Devices)),
        _ => (Err(too_many("exit", 1)), None),
    }
}

impl Engine {
    /// Answers a request, unless it is the order to end: that is answered when it is done.  What takes
    /// several turns goes to `errands`.
    pub(crate) fn answer(
        &mut self,
        request: Request,
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
                let now = |method: &str, params: &[String]| self.command_now(method, params);
                database::answer(store, now, &method, params, reply);
                return None;
            }
            (Target::Switch, "exit") => exit(&params),
            (Target::Switch, "list-commands") => (list(&params), None),
            (Target::Switch, _) => {
                let step = self.command(&method, &params);
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

    /// Runs a command of the switch.
    fn command(&mut self, method: &str, params: &[String]) -> Result<Step, String> {
        let faults = AnyFamily::of::<fault::Faults>();
        let faults = self.daemon.test_faults.then_some(&faults);
        let mut outcomes =
            FAMILIES.iter().chain(faults).map(|family| (family.run)(self, method, params));
        outcomes.find_map(|outcome| outcome).unwrap_or_else(|| Err(unknown(method)))
    }

    /// Runs a command that takes one turn.
    fn command_now(&mut self, method: &str, params: &[String]) -> Answer {
        match self.command(method, params)? {
            Step::Done(answer) => answer,
            _ => Err(unknown(method)),
        }
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
    let mut rows = all();
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
        let mut names: Vec<_> = all.iter().map(|(name, _)| name).collect();
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
