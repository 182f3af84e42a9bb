//! Logging as the operator of Open vSwitch knows it: modules, three destinations, `vlog/set`.
//!
//! A module is the last part of the Rust path that logs (`kernel`, `apply`, …).  Levels are one
//! byte each behind a lock that is taken per message; nothing logs per frame.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// How much is said, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing.
    Off,
    /// Something broke.
    Err,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to know later.
    Info,
    /// What a developer wants to know.
    Dbg,
}

impl Severity {
    /// The name in `vlog/list`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Err => "ERR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Dbg => "DBG",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "off" => Some(Self::Off),
            "emer" | "err" => Some(Self::Err),
            "warn" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "dbg" => Some(Self::Dbg),
            _ => None,
        }
    }

    const fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Err,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Dbg,
        }
    }
}

/// The three destinations, in the order of `vlog/list`.
const DESTINATIONS: [&str; 3] = ["console", "syslog", "file"];
const CONSOLE: usize = 0;
const DEFAULT: [Severity; 3] = [Severity::Info, Severity::Off, Severity::Info];

/// The modules that log, as `vlog/list` prints them.
pub const MODULES: &[&str] = &[
    "apply", "attach", "backend", "capture", "client", "command", "desired", "engine", "kernel",
    "log", "main", "maps", "publish", "queue", "server", "status", "store", "tap", "tunnels",
    "unixctl", "workers",
];

#[derive(Debug)]
struct State {
    levels: BTreeMap<String, [Severity; 3]>,
    path: Option<PathBuf>,
    file: Option<File>,
    count: u64,
    /// Standard error is systemd's journal, which has times and levels of its own.
    to_journal: bool,
}

/// The handle by which levels are read and changed.  Clones are the same log.
#[derive(Clone, Debug)]
pub struct Vlog(Arc<Mutex<State>>);

impl Vlog {
    /// A log that writes to standard error, and to `file` when there is one.
    ///
    /// # Errors
    /// When `file` cannot be opened.
    pub fn new(file: Option<&Path>) -> std::io::Result<Self> {
        let levels = MODULES.iter().map(|name| ((*name).to_owned(), DEFAULT)).collect();
        let open = file.map(open_log).transpose()?;
        let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
        let path = file.map(Path::to_owned);
        let state = State { levels, path, file: open, count: 0, to_journal };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Makes this the log of the process.
    pub fn install(&self) {
        let subscriber = tracing_subscriber::registry().with(Sink(self.clone()));
        // Fails only when there is one already, which then stays.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while logging leaves nothing half done that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing goes to standard error any more: the daemon has let go of it.
    pub fn silence_console(&self) {
        for levels in self.state().levels.values_mut() {
            levels[CONSOLE] = Severity::Off;
        }
    }

    /// `vlog/set`: `[module][:destination][:level]` in any order, separated by space, comma or
    /// colon; `ANY` stands for all.  `PATTERN:…` is accepted and changes nothing.
    ///
    /// # Errors
    /// The text that Open vSwitch has for a word that is none of these.
    pub fn set(&self, spec: &str) -> Result<(), String> {
        let mut module = None;
        let mut destination = None;
        let mut level = None;
        for word in spec.split([' ', ',', ':']).filter(|word| !word.is_empty()) {
            let lower = word.to_ascii_lowercase();
            if lower == "pattern" {
                return Ok(());
            } else if lower == "any" {
                // All of whatever is not named.
            } else if let Some(found) = DESTINATIONS.iter().position(|name| *name == lower) {
                destination = Some(found);
            } else if let Some(found) = Severity::from_name(&lower) {
                level = Some(found);
            } else if self.state().levels.contains_key(&lower) {
                module = Some(lower);
            } else {
                return Err(format!("no destination, level, or module \"{word}\"\n"));
            }
        }
        let level = level.unwrap_or(Severity::Dbg);
        for (name, levels) in &mut self.state().levels {
            if module.as_ref().is_none_or(|module| module == name) {
                for (index, slot) in levels.iter_mut().enumerate() {
                    if destination.is_none_or(|wanted| wanted == index) {
                        *slot = level;
                    }
                }
            }
        }
        Ok(())
    }

    /// `vlog/list`.
    #[must_use]
    pub fn list(&self) -> String {
        let mut text = String::from(
            "                 console    syslog    file\n                 -------    ------    ------\n",
        );
        for (name, [console, syslog, file]) in &self.state().levels {
            let (console, syslog, file) = (console.name(), syslog.name(), file.name());
            let _ = writeln!(text, "{name:<16}  {console:>4}       {syslog:>4}       {file:>4}");
        }
        text
    }

    /// `vlog/reopen`: after the log file was rotated.
    ///
    /// # Errors
    /// The text of the file system.
    pub fn reopen(&self) -> Result<(), String> {
        let mut state = self.state();
        let path = state.path.clone().ok_or("Logging to file not configured\n")?;
        state.file = Some(open_log(&path).map_err(|error| format!("{error}\n"))?);
        Ok(())
    }

    /// `vlog/close`.
    pub fn close(&self) {
        self.state().file = None;
    }

    fn write(&self, module: &str, severity: Severity, message: &str) {
        let mut state = self.state();
        let [console, _, file] = state.levels.get(module).copied().unwrap_or(DEFAULT);
        let to_console = severity <= console;
        let to_file = severity <= file && state.file.is_some();
        if !to_console && !to_file {
            return;
        }
        state.count += 1;
        let level = severity.name();
        let line = format!("{}|{:05}|{module}|{level}|{message}\n", now(), state.count);
        if to_console {
            let journal = state.to_journal.then(|| for_journal(module, severity, message));
            // Nowhere to report that standard error is gone.
            let _ = std::io::stderr().write_all(journal.as_ref().unwrap_or(&line).as_bytes());
        }
        if to_file && let Some(file) = &mut state.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// A line as systemd's journal takes it: the level in front, as a number of syslog (sd-daemon(3)).
fn for_journal(module: &str, severity: Severity, message: &str) -> String {
    let level = match severity {
        Severity::Off | Severity::Err => 3,
        Severity::Warn => 4,
        Severity::Info => 6,
        Severity::Dbg => 7,
    };
    format!("<{level}>{module}: {message}\n")
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Now, as `2026-11-20T12:05:23.868Z`.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    timestamp(since.as_secs(), since.subsec_millis())
}

/// UTC from seconds since 1970 (Howard Hinnant's civil-from-days algorithm).
fn timestamp(secs: u64, millis: u32) -> String {
    let days = secs / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

struct Sink(Vlog);

impl<S: Subscriber> Layer<S> for Sink {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let meta = event.metadata();
        if *meta.level() == Level::TRACE {
            return;
        }
        let module = meta.target().rsplit("::").next().unwrap_or("main");
        let module = if module == "weftd" { "main" } else { module };
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.write(module, Severity::of(*meta.level()), &text.0);
    }
}

/// The message first, then the fields as `name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let result = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        debug_assert!(result.is_ok(), "writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_782_400, 5), "2000-02-29T00:00:00.005Z");
        assert_eq!(timestamp(1_795_176_323, 868), "2026-11-20T12:05:23.868Z");
    }

    #[test]
    fn set_takes_words_in_any_order() {
        let log = Vlog::new(None).unwrap();
        log.set("kernel:file:dbg").unwrap();
        assert!(log.list().contains("kernel            INFO        OFF        DBG\n"));
        log.set("warn ANY console").unwrap();
        assert!(log.list().contains("kernel            WARN        OFF        DBG\n"));
        assert!(log.list().contains("apply             WARN        OFF       INFO\n"));
        assert_eq!(
            log.set("nosuch:file:dbg").unwrap_err(),
            "no destination, level, or module \"nosuch\"\n"
        );
    }

    #[test]
    fn the_journal_gets_levels_instead_of_times() {
        assert_eq!(for_journal("kernel", Severity::Warn, "hello"), "<4>kernel: hello\n");
    }

    #[test]
    fn a_line_in_the_file_looks_like_open_vswitch_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let log = Vlog::new(Some(&path)).unwrap();
        log.silence_console();
        log.write("kernel", Severity::Info, "hello");
        log.write("kernel", Severity::Dbg, "not this");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("Z|00001|kernel|INFO|hello\n"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
