//! The language: options, commands between `--`, and what a command works on.

use super::grid::Grid;
use super::model::Model;
use super::topology::Topology;
use super::{Failure, auto_attach, bridges, database, ports, remotes, show, zones};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a command does.
type Action = fn(&mut Context<'_, '_>, &Call) -> Run;

/// What comes of a command.
pub type Run = Result<Outcome, Failure>;

/// One command of the language.
#[derive(Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for people.
    pub usage: &'static str,
    args_min: usize,
    args_max: usize,
    /// Its options, without the hyphens; one that takes a value ends in `=`.
    options: &'static str,
    /// What it does.
    pub run: Action,
}

/// A command with between `min` and `max` arguments.
#[must_use]
pub const fn command(
    name: &'static str,
    usage: &'static str,
    min: usize,
    max: usize,
    options: &'static str,
    run: Action,
) -> Command {
    Command { name, usage, args_min: min, args_max: max, options, run }
}

const GENERAL: &[Command] = &[
    command("init", "", 0, 0, "", |_, _| Outcome::silent()),
    command("show", "", 0, 0, "", show::run),
];

/// All commands, in the order in which `--help` lists them.
pub fn all() -> impl Iterator<Item = &'static Command> {
    let families = [
        GENERAL,
        bridges::COMMANDS,
        ports::COMMANDS,
        remotes::COMMANDS,
        auto_attach::COMMANDS,
        zones::COMMANDS,
        database::COMMANDS,
    ];
    families.into_iter().flatten()
}

impl Command {
    /// Whether the option takes a value; `None` when the command has no such option.
    #[must_use]
    pub fn takes_value(&self, option: &str) -> Option<bool> {
        let mut known = self.options.split_whitespace();
        let known = known.find(|known| known.trim_end_matches('=') == option)?;
        Some(known.ends_with('='))
    }

    /// The command with its options and arguments, for people.
    #[must_use]
    pub fn synopsis(&self) -> String {
        let options = self.options.split_whitespace().map(|option| {
            if option.ends_with('=') {
                format!("[--{option}VALUE] ")
            } else {
                format!("[--{option}] ")
            }
        });
        format!("{}{} {}", options.collect::<String>(), self.name, self.usage).trim_end().to_owned()
    }
}

/// A command as it was given.
#[derive(Debug)]
pub struct Call {
    /// Which.
    pub command: &'static Command,
    /// Its options, without the hyphens.
    options: BTreeMap<String, Option<String>>,
    /// Its arguments, as many as it wants.
    pub args: Vec<String>,
}

impl Call {
    /// Reads one command with its options in front.
    ///
    /// # Errors
    /// No such command or option, or too few or too many arguments.
    pub fn parse(words: &[String]) -> Result<Self, Failure> {
        let count = words.iter().take_while(|word| word.starts_with("--")).count();
        let (options, rest) = words.split_at_checked(count).unwrap_or((words, &[]));
        let [name, args @ ..] = rest else {
            return Err(Failure::new("missing command name (use --help for help)"));
        };
        let command = all()
            .find(|command| command.name == name)
            .ok_or_else(|| Failure(format!("unknown command '{name}'; use --help for help")))?;
        let mut call = Self { command, options: BTreeMap::new(), args: args.to_vec() };
        for option in options {
            call.take_option(option.trim_start_matches('-'))?;
        }
        let (min, max) = (command.args_min, command.args_max);
        if args.len() < min {
            return Err(Failure(format!("'{name}' command requires at least {min} arguments")));
        }
        if args.len() > max {
            return Err(Failure(format!("'{name}' command takes at most {max} arguments")));
        }
        Ok(call)
    }

    fn take_option(&mut self, text: &str) -> Result<(), Failure> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let command = self.command.name;
        let problem = match (self.command.takes_value(name), value.is_some()) {
            (None, _) => format!("'{command}' command has no '--{name}' option"),
            (Some(true), false) => format!("missing argument to '--{name}' option on '{command}'"),
            (Some(false), true) => {
                format!("'--{name}' option on '{command}' does not accept an argument")
            }
            _ if self.has(name) => format!("'--{name}' option specified multiple times"),
            _ => {
                self.options.insert(name.to_owned(), value);
                return Ok(());
            }
        };
        Err(Failure(problem))
    }

    /// True when the option was given.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    /// The value of an option.
    #[must_use]
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_deref()
    }

    /// An argument; empty when it was left out.
    #[must_use]
    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }
}

/// What a command prints, and how the program ends on account of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Lines.
    pub lines: Vec<String>,
    /// A table, instead.
    pub grid: Option<Grid>,
    /// A row whose final uuid is printed once the server has chosen it.
    pub created: Option<Uuid>,
    /// The program's exit code, unless 0.
    pub exit_code: u8,
    /// A condition that does not hold yet: nothing is to be done before it does.
    pub waits: bool,
}

impl Outcome {
    /// Nothing to print.
    ///
    /// # Errors
    /// None.
    #[expect(clippy::unnecessary_wraps, reason = "what commands return")]
    pub fn silent() -> Run {
        Ok(Self::default())
    }

    /// Some lines.
    ///
    /// # Errors
    /// None.
    #[expect(clippy::unnecessary_wraps, reason = "what commands return")]
    pub fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Run {
        let lines = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        Ok(Self { lines, ..Self::default() })
    }
}

/// What commands work on.
#[derive(Debug)]
pub struct Context<'a, 'b> {
    /// The database, with the changes of the commands before.
    pub model: Model<'a>,
    /// Rows that go by a name on this command line.
    pub symbols: &'b mut Symbols,
    /// Names of interfaces that were added, to look at when the switch is done.
    pub expected: Vec<String>,
    /// Remarks for standard error.
    pub warnings: Vec<String>,
}

impl Context<'_, '_> {
    /// Bridges, ports and interfaces as they are now.
    ///
    /// # Errors
    /// The database was never initialised.
    pub fn topology(&self) -> Result<Topology, Failure> {
        Topology::read(&self.model)
    }

    /// The switch should set this interface up.
    pub fn expect_interface(&mut self, name: &str) {
        self.expected.push(name.to_owned());
    }

    /// Something that is no error.
    pub fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }
}

/// Rows by the `@name` that `--id` gives them.  A name may be used before it is given.
#[derive(Debug, Default)]
pub struct Symbols {
    by_name: BTreeMap<String, Symbol>,
}

#[derive(Debug)]
struct Symbol {
    row: Uuid,
    is_given: bool,
}

impl Symbols {
    /// The row that `name` stands for.
    pub fn refer(&mut self, name: &str) -> Uuid {
        let fresh = || Symbol { row: Uuid::new_v4(), is_given: false };
        self.by_name.entry(name.to_owned()).or_insert_with(fresh).row
    }

    /// Gives `name` to a row: to `row` if that exists already.
    ///
    /// # Errors
    /// It does not begin with `@`, or is given already.
    pub fn give(&mut self, name: &str, row: Option<Uuid>) -> Result<Uuid, Failure> {
        if !name.starts_with('@') {
            return Err(Failure(format!("row id \"{name}\" does not begin with \"@\"")));
        }
        self.refer(name);
        let symbol = self.by_name.get_mut(name).filter(|symbol| !symbol.is_given);
        let symbol = symbol.ok_or_else(|| {
            Failure(format!("row id \"{name}\" may only be specified on one --id option"))
        })?;
        symbol.is_given = true;
        if let Some(row) = row {
            symbol.row = row;
        }
        Ok(symbol.row)
    }

    /// Every name that was used must have been given.
    ///
    /// # Errors
    /// Names the first that was not.
    pub fn check(&self) -> Result<(), Failure> {
        match self.by_name.iter().find(|(_, symbol)| !symbol.is_given) {
            None => Ok(()),
            Some((name, _)) => Err(Failure(format!(
                "row id \"{name}\" is referenced but never created (e.g. with \"-- --id={name} create ...\")"
            ))),
        }
    }
}
