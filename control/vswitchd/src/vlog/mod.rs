//! Logging as the operator of Open vSwitch knows it: modules, three destinations, `vlog/set`.
//!
//! A module is the last part of the Rust path that logs (`kernel`, `apply`, …); a module of a stock
//! switch (`bridge`) means those that do its work.  Levels are one byte each behind a lock that is
//! taken per message; nothing logs per frame.

mod moment;
mod names;
mod syslog;

use crate::disk_fault::is_disk_fault;
use moment::Moment;
use names::MODULES;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use syslog::Syslog;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// How much is said, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing.
    Off,
    /// The switch cannot go on.  Nothing is said at this level.
    Emer,
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
            Self::Emer => "EMER",
            Self::Err => "ERR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Dbg => "DBG",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "off" => Some(Self::Off),
            "emer" => Some(Self::Emer),
            "err" => Some(Self::Err),
            "warn" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "dbg" => Some(Self::Dbg),
            _ => None,
        }
    }

    /// The number that syslog and systemd's journal have for it.
    const fn priority(self) -> u8 {
        match self {
            Self::Off | Self::Emer => 0,
            Self::Err => 3,
            Self::Warn => 4,
            Self::Info => 6,
            Self::Dbg => 7,
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

/// `vlog/list-pattern`: what a line looks like at each destination, in the words of Open vSwitch.
const PATTERNS: &str = "         prefix                            format
         ------                            ------
SYSLOG   <%B> %D{%b %e %T} %A[%P]:         ovs|%05N|%c|%p|%m
CONSOLE  none                              %D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m
FILE     none                              %D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m
";

const DEFAULT: [Severity; 3] = [Severity::Info, Severity::Off, Severity::Info];

/// The name under which syslog knows the daemon.
const PROGRAM: &str = "weftd";

#[derive(Debug)]
struct State {
    levels: BTreeMap<&'static str, [Severity; 3]>,
    syslog: Syslog,
    path: Option<PathBuf>,
    file: Option<File>,
    /// Why there is no file although there should be one.
    missing: Option<String>,
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
    /// When `file` cannot be opened, for another reason than that the disk is full or read-only.
    pub fn new(file: Option<&Path>) -> std::io::Result<Self> {
        let levels = MODULES.iter().map(|name| (*name, DEFAULT)).collect();
        let (open, missing) = match file.map(open_log).transpose() {
            Ok(open) => (open, None),
            Err(error) if is_disk_fault(&error) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
        let path = file.map(Path::to_owned);
        let syslog = Syslog::default();
        let state = State { levels, syslog, path, file: open, missing, count: 0, to_journal };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Makes this the log of the process.
    pub fn install(&self) {
        let subscriber = tracing_subscriber::registry().with(Sink(self.clone()));
        // Fails only when there is one already, which then stays.
        let _ = tracing::subscriber::set_global_default(subscriber);
        let missing = self.state().missing.take();
        if let Some(error) = missing {
            tracing::warn!("no log file, until `vlog/reopen` or SIGHUP: {error}");
        }
    }

    /// From now on a panic, of any thread, is one line in the log: the standard error of a daemon leads
    /// nowhere.
    pub fn log_panics() {
        std::panic::set_hook(Box::new(|panic| {
            let thread = std::thread::current();
            let text = panic.to_string().replace('\n', " ");
            tracing::error!("thread {}: {text}", thread.name().unwrap_or("without a name"));
        }));
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
    /// colon; `ANY` stands for all, and no level for `dbg`.  Or `FACILITY:NAME`, of syslog.
    ///
    /// # Errors
    /// The text that Open vSwitch has for a word that is none of these, and for `PATTERN:…` that the
    /// form of lines cannot be set.
    pub fn set(&self, spec: &str) -> Result<(), String> {
        let mut words = spec.split([' ', ',', ':']).filter(|word| !word.is_empty()).peekable();
        let first = words.peek().map(|word| word.to_ascii_lowercase());
        match first.as_deref() {
            Some("pattern") => return Err(no_pattern(words.nth(1))),
            Some("facility") => return self.set_facility(words.nth(1).unwrap_or("")),
            _ => {}
        }
        let mut modules = MODULES;
        let mut destination = None;
        let mut level = Severity::Dbg;
        for word in words {
            let lower = word.to_ascii_lowercase();
            if lower == "any" {
                // All of whatever is not named.
            } else if let Some(found) = DESTINATIONS.iter().position(|name| *name == lower) {
                destination = Some(found);
            } else if let Some(found) = Severity::from_name(&lower) {
                level = found;
            } else if let Some(found) = names::modules(&lower) {
                modules = found;
            } else {
                return Err(format!("no destination, level, or module \"{word}\"\n"));
            }
        }
        for (name, levels) in &mut self.state().levels {
            if modules.contains(name) {
                for (index, slot) in levels.iter_mut().enumerate() {
                    if destination.is_none_or(|wanted| wanted == index) {
                        *slot = level;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether `vlog/set` knows a module of this name.
    #[must_use]
    pub fn is_module(name: &str) -> bool {
        names::modules(&name.to_ascii_lowercase()).is_some()
    }

    fn set_facility(&self, name: &str) -> Result<(), String> {
        self.state().syslog.facility = names::facility(name).ok_or("invalid facility\n")?;
        Ok(())
    }

    /// `vlog/list-pattern`.
    #[must_use]
    pub const fn patterns() -> &'static str {
        PATTERNS
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
        let [console, syslog, file] = state.levels.get(module).copied().unwrap_or(DEFAULT);
        let to_console = severity <= console;
        let to_syslog = severity <= syslog;
        let to_file = severity <= file && state.file.is_some();
        if !to_console && !to_syslog && !to_file {
            return;
        }
        state.count += 1;
        let now = Moment::now();
        let text = format!("{:05}|{module}|{}|{message}", state.count, severity.name());
        let line = format!("{}|{text}\n", now.timestamp());
        if to_console {
            let journal = state.to_journal.then(|| for_journal(module, severity, message));
            // Nowhere to report that standard error is gone.
            let _ = std::io::stderr().write_all(journal.as_ref().unwrap_or(&line).as_bytes());
        }
        if to_syslog {
            state.syslog.send(severity, &now.syslog_date(), &format!("ovs|{text}"));
        }
        if to_file && let Some(file) = &mut state.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// Why a pattern is not set, or what was wrong with the order.
fn no_pattern(destination: Option<&str>) -> String {
    match destination.map(str::to_ascii_lowercase) {
        Some(name) if name == "any" || DESTINATIONS.contains(&name.as_str()) => {
            "log lines have one form, which cannot be set: see vlog/list-pattern\n".to_owned()
        }
        Some(name) => format!("unknown destination \"{name}\"\n"),
        None => "missing destination\n".to_owned(),
    }
}

/// A line as systemd's journal takes it: the level in front, as a number of syslog (sd-daemon(3)).
fn for_journal(module: &str, severity: Severity, message: &str) -> String {
    format!("<{}>{module}: {message}\n", severity.priority())
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
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
    fn a_stock_module_means_those_that_do_its_work() {
        let log = Vlog::new(None).unwrap();
        log.set("bridge:file:warn").unwrap();
        for (module, level) in [("apply", "WARN"), ("failures", "WARN"), ("kernel", "INFO")] {
            let line = format!("{module:<16}  INFO        OFF       {level}\n");
            assert!(log.list().contains(&line), "{}", log.list());
        }
        assert!(log.set("ofp_msgs:file:dbg").is_err(), "there is no OpenFlow");
    }

    #[test]
    fn what_cannot_be_set_says_so() {
        let log = Vlog::new(None).unwrap();
        log.set("FACILITY:local0").unwrap();
        assert_eq!(log.set("FACILITY:nosuch").unwrap_err(), "invalid facility\n");
        let error = log.set("PATTERN:nosuch:%m").unwrap_err();
        assert_eq!(error, "unknown destination \"nosuch\"\n");
        assert!(log.set("PATTERN:file:%m").unwrap_err().contains("one form"));
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
