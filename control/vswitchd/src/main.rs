//! weftd: options, logging, detaching, and the one thread that everything runs on.
#![forbid(unsafe_code)]

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use std::process::ExitCode;
use tokio::task::LocalSet;
use weft_vswitchd::process::detach;
use weft_vswitchd::process::options::{Options, folder};
use weft_vswitchd::process::run::run;
use weft_vswitchd::report::doctor;
use weft_vswitchd::store::OVS_VERSION;
use weft_vswitchd::vlog::{self, Vlog};

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
        Err(error) => fail(&reasons(&error)),
    }
}

/// What went wrong and why, each once: many errors say their cause themselves.
fn reasons(error: &anyhow::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.last().is_some_and(|last| last.ends_with(&cause)) {
            said.push(cause);
        }
    }
    said.join(": ")
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

fn logging(options: &Options) -> anyhow::Result<Vlog> {
    let usual = || folder("OVS_LOGDIR", "/var/log/openvswitch").join("weftd.log");
    let file = options.log_file.as_ref().map(|file| file.clone().unwrap_or_else(usual));
    let log = vlog::Vlog::new(file.as_deref())
        .map_err(|error| anyhow::anyhow!("log file {file:?}: {error}"))?;
    for spec in &options.verbose {
        log.set(spec).map_err(|text| anyhow::anyhow!("-v: {}", text.trim_end()))?;
    }
    log.install();
    Vlog::log_panics();
    Ok(log)
}

/// Each port and each client needs open files, and shells allow 1,024: takes what the hard limit gives.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!("cannot raise the number of open files from {:?}: {error}", limit.current);
    }
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let is_detached = detach::is_child();
    if is_detached {
        detach::enter()?;
    }
    let log = logging(options)?;
    allow_open_files();
    if let Some(lacking) = doctor::lacks_privileges() {
        tracing::error!(
            "capabilities {lacking}: no port will forward: run as root, or grant them in the unit"
        );
    }
    for option in options.ovs_ctl_opts_ignored() {
        tracing::warn!("OVS_CTL_OPTS: {option} has no effect");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = options.run_config();
    let ready = {
        let log = log.clone();
        move || {
            // Without a service manager that asked for it, this does nothing.
            if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
                tracing::warn!("NOTIFY_SOCKET: {error}");
            }
            if is_detached {
                log.silence_console();
                detach::ready()?;
            }
            Ok(())
        }
    };
    LocalSet::new().block_on(&runtime, run(config, log, ready))
}
