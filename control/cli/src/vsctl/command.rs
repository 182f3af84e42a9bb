//! The language: options, commands between `--`, and what a command works on.

use super::grid::Grid;
use super::model::Model;
use super::symbols::Symbols;
use super::topology::Topology;
use super::{Failure, auto_attach, bridges, database, ports, remotes, show, zones};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::value::schema::Schema;

/// What a command does.
type Action = fn(&mut Context<'_, '_>, &Call) -> Run;

/// What must be right before any command is run.
type Check = fn(&Schema, &Call) -> Result<(), Failure>;

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
    /// What must be right before any command is run.
    pub check: Option<Check>,
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
    Command { name, usage, args_min: min, args_max: max, options, run, check: None }
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

/// The options of all commands, each once, without the hyphens, and whether they take a value.
pub fn local_options() -> Vec<(&'static str, bool)> {
    let mut options = Vec::new();
    for command in database::COMMANDS.iter().chain(all()) {
        for word in command.options.split_whitespace() {
            let option = (word.trim_end_matches('='), word.ends_with('='));
            if !options.contains(&option) {
                options.push(option);
            }
        }
    }
    options
}

impl Command {
    /// The same command, with something to be right before any command is run.
    #[must_use]
    pub const fn checked(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    /// Whether the option, with its hyphens, takes a value; `None` when the command has no such option.
    fn takes_value(&self, option: &str) -> Option<bool> {
        let option = option.strip_prefix("--")?;
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

/// Options as they were given: their names with the hyphens, and their values.
pub type Given = BTreeMap<String, Option<String>>;

/// A command as it was given.
#[derive(Debug)]
pub struct Call {
    /// Which.
    pub command: &'static Command,
    options: Given,
    /// Its arguments, as many as it wants.
    pub args: Vec<String>,
}

impl Call {
    /// Reads one command with its options in front, some of which may have been read before.
    ///
    /// # Errors
    /// No such command or option, or too few or too many arguments.
    pub fn parse(mut options: Given, words: &[String]) -> Result<Self, Failure> {
        let mut rest = words;
        while let [word, after @ ..] = rest
            && word.starts_with('-')
        {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if options.insert(name.to_owned(), value).is_some() {
                return Err(Failure(format!("'{name}' option specified multiple times")));
            }
            rest = after;
        }
        let [name, args @ ..] = rest else {
            return Err(Failure::new("missing command name (use --help for help)"));
        };
        let command = all()
            .find(|command| command.name == name)
            .ok_or_else(|| Failure(format!("unknown command '{name}'; use --help for help")))?;
        let call = Self { command, options, args: args.to_vec() };
        call.check_options()?;
        call.check_count()?;
        Ok(call)
    }

    fn check_options(&self) -> Result<(), Failure> {
        let command = self.command.name;
        for (option, value) in &self.options {
            let problem = match (self.command.takes_value(option), value) {
                (None, _) => format!("'{command}' command has no '{option}' option"),
                (Some(true), None) => {
                    format!("missing argument to '{option}' option on '{command}' command")
                }
                (Some(false), Some(_)) => {
                    format!("'{option}' option on '{command}' does not accept an argument")
                }
                _ => continue,
            };
            return Err(Failure(problem));
        }
        Ok(())
    }

    fn check_count(&self) -> Result<(), Failure> {
        let Command { name, args_min, args_max, .. } = self.command;
        let count = self.args.len();
        if count < *args_min {
            return Err(Failure(format!(
                "'{name}' command requires at least {args_min} arguments"
            )));
        }
        if count > *args_max {
            let like_option = |word: &String| word.starts_with('-');
            let note = if self.args.iter().any(like_option) {
                " (note that options must precede command names and follow a \"--\" argument)"
            } else {
                ""
            };
            return Err(Failure(format!(
                "'{name}' command takes at most {args_max} arguments{note}"
            )));
        }
        Ok(())
    }

    /// True when the option was given.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.given(option).is_some()
    }

    /// The value of an option.
    #[must_use]
    pub fn value(&self, option: &str) -> Option<&str> {
        self.given(option)?.as_deref()
    }

    fn given(&self, option: &str) -> Option<&Option<String>> {
        let mut given = self.options.iter();
        given.find(|(name, _)| name.strip_prefix("--") == Some(option)).map(|(_, value)| value)
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
    pub warnings: &'b mut Vec<String>,
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
