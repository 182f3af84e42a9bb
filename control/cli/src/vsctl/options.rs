//! The options in front of the first command, as `getopt_long` reads them: abbreviated, with values in
//! the same word or in the next.

use super::Failure;
use super::command::{Call, Given, local_options};
use super::grid::{Format, Style};
use super::text::CellStyle;
use std::slice::Iter;
use std::time::Duration;
use weft_ovsdb::TlsFiles;

/// What the options say.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--db`.
    pub target: Option<String>,
    /// `--no-wait`: the switch need not have done it.
    pub is_hasty: bool,
    /// `--retry`: wait for the server to come up.
    pub retries: bool,
    /// `--dry-run`: change nothing.
    pub is_dry: bool,
    /// `--oneline`: one line for each command.
    pub oneline: bool,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--format` and its like.
    pub style: Style,
    /// `--private-key` and its like.
    pub tls: TlsFiles,
    /// `--help` or `--version`, instead of commands.
    pub asks: Option<Ask>,
}

/// What is asked for instead of running commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Only in the same word.
    Perhaps,
}

use Takes::{Nothing, Perhaps, Value};

/// Options of the line: long name, letter if there is one, value.  Errors about abbreviations list them
/// in this order.
const OPTIONS: &[(&str, &str, Takes)] = &[
    ("db", "", Value),
    ("no-syslog", "", Nothing),
    ("no-wait", "", Nothing),
    ("dry-run", "", Nothing),
    ("oneline", "", Nothing),
    ("timeout", "t", Value),
    ("retry", "", Nothing),
    ("help", "h", Nothing),
    ("version", "V", Nothing),
    ("leader-only", "", Nothing),
    ("no-leader-only", "", Nothing),
    ("shuffle-remotes", "", Nothing),
    ("no-shuffle-remotes", "", Nothing),
    ("verbose", "v", Perhaps),
    ("log-file", "", Perhaps),
    ("syslog-method", "", Value),
    ("syslog-target", "", Value),
    ("bare", "", Nothing),
    ("format", "f", Value),
    ("data", "d", Value),
    ("no-headings", "", Nothing),
    ("pretty", "", Nothing),
    ("max-column-width", "", Value),
    ("private-key", "p", Value),
    ("certificate", "c", Value),
    ("ca-cert", "C", Value),
    ("peer-ca-cert", "", Value),
    ("bootstrap-ca-cert", "", Value),
    ("ssl-protocols", "", Value),
    ("ssl-ciphers", "", Value),
];

/// Takes the options off the front and reads the commands, which `--` keeps apart.
///
/// # Errors
/// What is wrong with them.
pub fn parse(words: &[String]) -> Result<(Options, Vec<Call>), Failure> {
    let mut options = Options::default();
    let mut words = words.iter();
    let given = options.take(&mut words)?;
    if options.asks.is_some() {
        return Ok((options, Vec::new()));
    }
    Ok((options, calls(given, words.as_slice())?))
}

/// The commands; the first has options already.
fn calls(mut given: Given, words: &[String]) -> Result<Vec<Call>, Failure> {
    let missing = || Failure::new("missing command name (use --help for help)");
    let mut calls = Vec::new();
    for group in words.split(|word| word == "--") {
        if !group.is_empty() {
            calls.push(Call::parse(std::mem::take(&mut given), group)?);
        } else if !given.is_empty() {
            return Err(missing());
        }
    }
    if calls.is_empty() { Err(missing()) } else { Ok(calls) }
}

impl Options {
    /// Takes all options off the front, and gives those of the first command.
    fn take(&mut self, words: &mut Iter<'_, String>) -> Result<Given, Failure> {
        let mut given = Given::new();
        while self.asks.is_none() {
            let Some(word) = words.as_slice().first() else { break };
            if !word.starts_with('-') || word == "-" {
                break;
            }
            words.next();
            if word == "--" {
                break;
            }
            let Some(long) = word.strip_prefix("--") else {
                self.take_letters(word, words)?;
                continue;
            };
            let (name, is_ours, value) = read_long(long, words)?;
            if is_ours {
                self.set(name, &value.unwrap_or_default())?;
            } else {
                // Of two the first counts.
                given.entry(format!("--{name}")).or_insert(value);
            }
        }
        Ok(given)
    }

    /// Options of one letter each: `-t5`, `-t 5`.
    fn take_letters(&mut self, word: &str, words: &mut Iter<'_, String>) -> Result<(), Failure> {
        let mut letters = word.chars();
        letters.next();
        while let Some(letter) = letters.next() {
            let is_it = |(_, short, _): &&(&str, &str, Takes)| short.chars().eq([letter]);
            let Some((name, _, takes)) = OPTIONS.iter().find(is_it) else {
                return Err(Failure(format!("invalid option -- '{letter}'")));
            };
            let rest = letters.as_str();
            let value = match takes {
                Nothing => {
                    self.set(name, "")?;
                    if self.asks.is_some() {
                        break;
                    }
                    continue;
                }
                Perhaps => rest,
                Value if !rest.is_empty() => rest,
                Value => words
                    .next()
                    .ok_or_else(|| Failure(format!("option requires an argument -- '{letter}'")))?,
            };
            return self.set(name, value);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "db" => self.target = Some(value.to_owned()),
            "timeout" => {
                let bad = || Failure(format!("value {value} on -t or --timeout is invalid"));
                self.timeout = Some(timeout(value).ok_or_else(bad)?);
            }
            "format" => self.style.format = format(value)?,
            "data" => self.style.cells = cells(value)?,
            "no-wait" => self.is_hasty = true,
            "retry" => self.retries = true,
            "dry-run" => self.is_dry = true,
            "oneline" => self.oneline = true,
            "no-headings" => self.style.is_bald = true,
            "pretty" => self.style.is_pretty = true,
            // As ovs-vsctl: what is no number counts as none.
            "max-column-width" => {
                self.style.width_max = value.trim_start().parse().unwrap_or(0);
            }
            "bare" => {
                self.style.is_bald = true;
                self.style.cells = CellStyle::Bare;
                self.style.format = Format::List;
            }
            "help" => self.asks = Some(Ask::Help),
            "version" => self.asks = Some(Ask::Version),
            "private-key" => self.tls.private_key = value.into(),
            "certificate" => self.tls.certificate = value.into(),
            "ca-cert" | "bootstrap-ca-cert" => {
                self.tls.ca_cert = value.into();
                self.tls.bootstrap = name == "bootstrap-ca-cert";
            }
            "ssl-protocols" => value.clone_into(&mut self.tls.protocols),
            "ssl-ciphers" => value.clone_into(&mut self.tls.ciphers),
            // Taken for the sake of scripts: there is no log to go anywhere, no cluster with a leader,
            // and a client shows no CA.
            _ => {}
        }
        Ok(())
    }

    /// The files for a connection by TLS.
    ///
    /// # Errors
    /// The option that is missing.
    pub fn tls_files(&self) -> Result<TlsFiles, &'static str> {
        let needed = [
            (&self.tls.private_key, "--private-key"),
            (&self.tls.certificate, "--certificate"),
            (&self.tls.ca_cert, "--ca-cert or --bootstrap-ca-cert"),
        ];
        match needed.into_iter().find(|(path, _)| path.as_os_str().is_empty()) {
            Some((_, option)) => Err(option),
            None => Ok(self.tls.clone()),
        }
    }
}

/// The long option that a word without its hyphens names or abbreviates, whether it is one of the line,
/// and its value.
fn read_long(
    text: &str,
    words: &mut Iter<'_, String>,
) -> Result<(&'static str, bool, Option<String>), Failure> {
    let (word, value) = match text.split_once('=') {
        Some((word, value)) => (word, Some(value.to_owned())),
        None => (text, None),
    };
    let ours = OPTIONS.iter().map(|(name, _, takes)| (*name, true, *takes));
    let locals = local_options();
    let locals =
        locals.iter().map(|(name, valued)| (*name, false, if *valued { Value } else { Nothing }));
    let found: Vec<_> = ours.chain(locals).filter(|(name, ..)| name.starts_with(word)).collect();
    let exact = found.iter().find(|(name, ..)| *name == word);
    let (name, is_ours, takes) = match (exact, found.as_slice()) {
        (Some(exact), _) | (None, [exact]) => *exact,
        (None, []) => return Err(Failure(format!("unrecognized option '--{text}'"))),
        (None, many) => {
            let many: Vec<_> = many.iter().map(|(name, ..)| format!("'--{name}'")).collect();
            let many = many.join(" ");
            let text = format!("option '--{text}' is ambiguous; possibilities: {many}");
            return Err(Failure(text));
        }
    };
    let value = match (takes, value) {
        (Nothing, Some(_)) => {
            return Err(Failure(format!("option '--{name}' doesn't allow an argument")));
        }
        (Value, None) => Some(
            words
                .next()
                .cloned()
                .ok_or_else(|| Failure(format!("option '--{name}' requires an argument")))?,
        ),
        (_, value) => value,
    };
    Ok((name, is_ours, value))
}

/// Seconds to wait, 1 to 2³² - 1.
pub fn timeout(text: &str) -> Option<Duration> {
    let secs: u32 = text.trim_start().parse().ok().filter(|secs| *secs > 0)?;
    Some(Duration::from_secs(secs.into()))
}

fn format(text: &str) -> Result<Format, Failure> {
    match text {
        "list" => Ok(Format::List),
        "table" => Ok(Format::Table),
        "csv" => Ok(Format::Csv),
        "html" => Ok(Format::Html),
        "json" => Ok(Format::Json),
        _ => Err(Failure(format!("unknown output format \"{text}\""))),
    }
}

fn cells(text: &str) -> Result<CellStyle, Failure> {
    match text {
        "string" => Ok(CellStyle::String),
        "bare" => Ok(CellStyle::Bare),
        "json" => Ok(CellStyle::Json),
        _ => Err(Failure(format!("unknown data format \"{text}\""))),
    }
}
