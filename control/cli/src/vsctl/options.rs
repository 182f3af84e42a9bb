//! The options in front of the first command.

use super::Failure;
use super::command::{Call, all};
use super::grid::{Format, Style};
use super::text::CellStyle;
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

/// Options that have a value, long names and letters.
const VALUED: &[(&str, &str)] = &[
    ("db", ""),
    ("timeout", "t"),
    ("format", "f"),
    ("data", "d"),
    ("private-key", "p"),
    ("certificate", "c"),
    ("ca-cert", "C"),
    ("bootstrap-ca-cert", ""),
    // Those of logging are taken for the sake of scripts.
    ("syslog-method", ""),
    ("syslog-target", ""),
];

const PLAIN: &[(&str, &str)] = &[
    ("no-wait", ""),
    ("retry", ""),
    ("dry-run", ""),
    ("oneline", ""),
    ("no-headings", ""),
    ("no-heading", ""),
    ("pretty", ""),
    ("bare", ""),
    ("no-syslog", ""),
    ("help", "h"),
    ("version", "V"),
];

/// Takes the options off the front and reads the commands, which `--` keeps apart.
///
/// # Errors
/// What is wrong with them.
pub fn parse(words: &[String]) -> Result<(Options, Vec<Call>), Failure> {
    let mut options = Options::default();
    let mut groups: Vec<Vec<String>> =
        words.split(|word| word == "--").map(<[String]>::to_vec).collect();
    if let Some(first) = groups.first_mut() {
        *first = options.take(std::mem::take(first))?;
    }
    if options.asks.is_some() {
        return Ok((options, Vec::new()));
    }
    groups.retain(|group| !group.is_empty());
    if groups.is_empty() {
        return Err(Failure::new("missing command name (use --help for help)"));
    }
    let calls = groups.iter().map(|group| Call::parse(group)).collect::<Result<_, _>>()?;
    Ok((options, calls))
}

impl Options {
    /// Takes what is ours; what belongs to the first command is left in front of it.
    fn take(&mut self, words: Vec<String>) -> Result<Vec<String>, Failure> {
        let mut left = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if !word.starts_with('-') || word == "-" {
                left.push(word);
                break;
            }
            if is_logging(&word) {
                continue;
            }
            if let Some((name, value)) = split(&word, &mut words)? {
                self.set(name, value.as_deref())?;
            } else {
                left.push(local(&word)?);
            }
        }
        left.extend(words);
        Ok(left)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let value = value.unwrap_or("");
        match name {
            "db" => self.target = Some(value.to_owned()),
            "timeout" => {
                let secs = value.parse().ok().filter(|secs| *secs > 0);
                let bad = || Failure(format!("value {value} on -t or --timeout is invalid"));
                self.timeout = Some(Duration::from_secs(secs.ok_or_else(bad)?));
            }
            "format" => self.style.format = format(value)?,
            "data" => self.style.cells = cells(value)?,
            "no-wait" => self.is_hasty = true,
            "retry" => self.retries = true,
            "dry-run" => self.is_dry = true,
            "oneline" => self.oneline = true,
            "no-headings" | "no-heading" => self.style.is_bald = true,
            "pretty" => self.style.is_pretty = true,
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
            // There is no log to go anywhere.
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

/// An option's name, and its value if it has one; `None` when it is none of ours.
fn split(
    word: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<Option<(&'static str, Option<String>)>, Failure> {
    let find = |all: &[(&'static str, &'static str)], name: &str, letter: &str| {
        all.iter()
            .find(|(n, l)| *n == name || (!letter.is_empty() && *l == letter))
            .map(|(n, _)| *n)
    };
    let Some(long) = word.strip_prefix("--") else {
        let letters = word.strip_prefix('-').unwrap_or(word);
        let (letter, rest) = letters.split_at_checked(1).unwrap_or((letters, ""));
        if let Some(name) = find(PLAIN, "", letter) {
            return Ok(Some((name, None)));
        }
        let bad = || Failure(format!("invalid option -- '{letter}'"));
        let name = find(VALUED, "", letter).ok_or_else(bad)?;
        let value = if rest.is_empty() { words.next() } else { Some(rest.to_owned()) };
        let none = || Failure(format!("option requires an argument -- '{letter}'"));
        return Ok(Some((name, Some(value.ok_or_else(none)?))));
    };
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (long, None),
    };
    if let Some(name) = find(PLAIN, name, "") {
        return match value {
            None => Ok(Some((name, None))),
            Some(_) => Err(Failure(format!("option '--{name}' doesn't allow an argument"))),
        };
    }
    let Some(name) = find(VALUED, name, "") else { return Ok(None) };
    let none = || Failure(format!("option '--{name}' requires an argument"));
    let value = value.or_else(|| words.next()).ok_or_else(none)?;
    Ok(Some((name, Some(value))))
}

/// `-v`, `--verbose` and `--log-file` change what ovs-vsctl logs; there is no log here.
fn is_logging(word: &str) -> bool {
    let is_long = |name: &str| {
        word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    word.starts_with("-v") || is_long("--verbose") || is_long("--log-file")
}

/// An option of some command.
fn local(word: &str) -> Result<String, Failure> {
    let (name, has_value) = word.split_once('=').map_or((word, false), |(name, _)| (name, true));
    let bare = name.trim_start_matches('-');
    let known = all().find_map(|command| command.takes_value(bare));
    match known {
        None => Err(Failure(format!("unrecognized option '{name}'"))),
        Some(false) if has_value => {
            Err(Failure(format!("option '{name}' doesn't allow an argument")))
        }
        Some(true) if !has_value => Err(Failure(format!("option '{name}' requires an argument"))),
        Some(_) => Ok(word.to_owned()),
    }
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
