//! `weft`: the operator's view of a running weftd.
//!
//! It asks the daemon over its control socket and prints tables, or JSON for scripts.
#![forbid(unsafe_code)]

mod args;
mod capture;
mod doctor;
mod drops;
mod error;
mod fdb;
mod json;
mod pcapng;
mod show;
mod table;
mod top;
mod trace;
mod unixctl;
mod vsctl;

#[cfg(test)]
mod fake;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command, FdbVerb};
use crate::error::{EXIT_OK, Error};
use crate::unixctl::Daemon;

fn main() -> ExitCode {
    if vsctl::is_alias() {
        let words = std::env::args_os().skip(1).collect();
        return ExitCode::from(vsctl::run(&args::usual_rundir(), words));
    }
    let args = Args::parse();
    let mut out = io::stdout().lock();
    match run(&args, &mut out).and_then(|code| flush(&mut out).map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        // `weft show | head` is no error.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::from(EXIT_OK)
        }
        Err(error) => {
            eprintln!("weft: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn flush(out: &mut impl Write) -> Result<(), Error> {
    out.flush().map_err(Error::Output)
}

/// Runs one command; the number is the exit code.
fn run(args: &Args, out: &mut impl Write) -> Result<u8, Error> {
    let daemon = Daemon::new(&args.rundir, args.target.as_deref());
    match &args.command {
        Command::Show => show::run(&daemon, args.json, out),
        Command::Drops { watch } => drops::run(&daemon, args.json, *watch, out),
        Command::Top(options) => top::run(&daemon, args.json, options, out),
        Command::Fdb { verb: Some(FdbVerb::Flush(what)), .. } => {
            fdb::flush(&daemon, args.json, what, out)
        }
        Command::Fdb { bridge, .. } => fdb::run(&daemon, args.json, bridge.as_deref(), out),
        Command::Capture(options) => capture::run(&daemon, args.json, options, out),
        Command::Trace(options) => trace::run(&daemon, args.json, options, out),
        Command::Doctor => doctor::run(&daemon, args.json, out),
        Command::Vsctl { words } => Ok(vsctl::run(&args.rundir, words.clone())),
    }
}
