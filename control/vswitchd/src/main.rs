//! weftd: options, logging, detaching, and the one thread that everything runs on.
#![forbid(unsafe_code)]

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::task::LocalSet;
use weft_vswitchd::run::{RunConfig, run};
use weft_vswitchd::store::{OVS_VERSION, StoreConfig};
use weft_vswitchd::vlog::Vlog;
use weft_vswitchd::{detach, vlog};

/// The Weft switch: an L2 switch on `AF_XDP` that is driven by the tools of Open vSwitch.
#[derive(Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::option_option,
    reason = "that is how options are: given or not, with or without a value"
)]
#[command(name = "weftd", disable_version_flag = true)]
struct Options {
    /// Where sockets and pid files are.
    #[arg(long, value_name = "DIR", env = "OVS_RUNDIR", default_value = "/var/run/openvswitch")]
    rundir: PathBuf,
    /// The database file [default: `$OVS_DBDIR/conf.db`, or /etc/openvswitch/conf.db].
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Where the database listens besides RUNDIR/db.sock: punix:PATH, ptcp:PORT[:IP]; may be
    /// repeated.
    #[arg(long, value_name = "TARGET")]
    remote: Vec<String>,
    /// Use the database server at unix:PATH instead of the built-in one.
    #[arg(long, value_name = "TARGET")]
    ovsdb: Option<String>,
    /// The same, as ovs-vswitchd takes it.
    #[arg(value_name = "DATABASE", conflicts_with = "ovsdb")]
    database: Option<String>,
    /// The pid file [default: RUNDIR/ovs-vswitchd.pid].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pidfile: Option<Option<PathBuf>>,
    /// Run in the background; returns when everything is served.
    #[arg(long)]
    detach: bool,
    /// Log to a file [default: `$OVS_LOGDIR/weftd.log`, or /var/log/openvswitch/weftd.log].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    log_file: Option<Option<PathBuf>>,
    /// The control socket [default: RUNDIR/ovs-vswitchd.PID.ctl].
    #[arg(long, value_name = "SOCKET")]
    unixctl: Option<PathBuf>,
    /// What to log, as `ovs-appctl vlog/set` takes it; alone: everything.
    #[arg(short = 'v', long = "verbose", value_name = "SPEC", num_args = 0..=1, require_equals = false,
          default_missing_value = "dbg")]
    verbose: Vec<String>,
    /// Accepted for ovs-ctl, without effect: the folder is never changed.
    #[arg(long, hide = true)]
    no_chdir: bool,
    /// Accepted for ovs-ctl, without effect: packet memory is locked anyway.
    #[arg(long, hide = true)]
    mlockall: bool,
    /// Accepted for ovs-ctl, without effect: the service manager restarts what ends.
    #[arg(long, hide = true)]
    monitor: bool,
    /// Print the version.
    #[arg(short = 'V', long)]
    version: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.version {
        print_version();
        return ExitCode::SUCCESS;
    }
    if options.detach && !detach::is_child() {
        return match detach::start() {
            Ok(code) => code,
            Err(error) => fail(&format!("cannot detach: {error}")),
        };
    }
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("weftd: {text}");
    ExitCode::FAILURE
}

fn print_version() {
    let name = std::env::args().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "ovs-vswitchd") {
        println!("ovs-vswitchd (Open vSwitch) {OVS_VERSION}");
    } else {
        println!("weftd {} (as Open vSwitch {OVS_VERSION})", env!("CARGO_PKG_VERSION"));
    }
}

/// A folder from the environment, or the usual one.
fn folder(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map_or_else(|| usual.into(), PathBuf::from)
}

/// The configuration that the options mean.
fn run_config(options: &Options) -> RunConfig {
    let rundir = options.rundir.clone();
    let db_path = options.db.clone();
    let db_path =
        db_path.unwrap_or_else(|| folder("OVS_DBDIR", "/etc/openvswitch").join("conf.db"));
    // The usual socket is always served: weftd itself and all local clients come in by it.
    let usual = format!("punix:{}", rundir.join("db.sock").display());
    let mut remotes = options.remote.clone();
    if !remotes.contains(&usual) {
        remotes.insert(0, usual);
    }
    let pidfile = options.pidfile.clone().flatten();
    RunConfig {
        pidfile: pidfile.unwrap_or_else(|| rundir.join("ovs-vswitchd.pid")),
        unixctl: options.unixctl.clone(),
        store: StoreConfig {
            db_path,
            remotes,
            external: options.ovsdb.clone().or_else(|| options.database.clone()),
            rundir: rundir.clone(),
        },
        rundir,
    }
}

fn logging(options: &Options) -> anyhow::Result<Vlog> {
    let usual = || folder("OVS_LOGDIR", "/var/log/openvswitch").join("weftd.log");
    let file = options.log_file.as_ref().map(|file| file.clone().unwrap_or_else(usual));
    let log = vlog::Vlog::new(file.as_deref())
        .map_err(|error| anyhow::anyhow!("log file {file:?}: {error}"))?;
    for spec in &options.verbose {
        log.set(spec).map_err(|text| anyhow::anyhow!("-v: {}", text.trim_end()))?;
    }
    log.install();
    Ok(log)
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let is_detached = detach::is_child();
    if is_detached {
        detach::enter()?;
    }
    let log = logging(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = run_config(options);
    let ready = {
        let log = log.clone();
        move || {
            if is_detached {
                log.silence_console();
                detach::ready()?;
            }
            Ok(())
        }
    };
    LocalSet::new().block_on(&runtime, run(config, log, ready))
}
