//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
  0  done; nothing to complain about
  1  `doctor` found a failure, or there is no such port or bridge
  2  the command line is wrong
  3  no weftd answers
  4  anything else (output cannot be written, the answer is not understood)

Environment:
  OVS_RUNDIR  run directory of the daemon, as for ovs-vsctl and ovs-appctl";

const RUNDIR: &str = "/var/run/openvswitch";

/// The run directory that the environment names, or the usual one.
pub fn usual_rundir() -> PathBuf {
    let named = std::env::var_os("OVS_RUNDIR").filter(|rundir| !rundir.is_empty());
    named.map_or_else(|| RUNDIR.into(), PathBuf::from)
}

/// Shows what a running weftd does: ports, rates, drops, addresses, packets.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about, after_help = EXIT_CODES)]
pub struct Args {
    /// Run directory of the daemon.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OVS_RUNDIR",
        default_value = RUNDIR
    )]
    pub rundir: PathBuf,

    /// Control socket of the daemon, instead of the one its pid file leads to.
    #[arg(long, global = true, value_name = "SOCKET")]
    pub target: Option<PathBuf>,

    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with addresses.
#[derive(Debug, Subcommand)]
pub enum FdbVerb {
    /// Forgets learned addresses: all, or those that fit all that is given.
    Flush(FdbPart),
}

/// Some of the addresses.
#[derive(Debug, clap::Args)]
pub struct FdbPart {
    /// Of this bridge.
    pub bridge: Option<String>,
    /// On this port.
    #[arg(long)]
    pub port: Option<String>,
    /// In this VLAN, 0 to 4094; 0 is that of untagged frames.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=4094))]
    pub vlan: Option<u16>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bridges, ports, tunnels and underlays: modes, workers, rates, effective MTU.
    Show,
    /// Frames that were not sent, by port and reason.
    Drops {
        /// Repeat every SECS seconds (1 when not given) until interrupted.
        #[arg(
            long,
            value_name = "SECS",
            num_args = 0..=1,
            default_missing_value = "1",
            value_parser = seconds
        )]
        watch: Option<f64>,
    },
    /// What the switch does now: ports, rates, drops, address churn, workers. On a terminal a screen that
    /// renews itself, in a pipe one page after another.
    Top(TopArgs),
    /// Learned and static addresses.
    #[command(args_conflicts_with_subcommands = true)]
    Fdb {
        /// Only this bridge.
        bridge: Option<String>,
        /// Something else than to show them.
        #[command(subcommand)]
        verb: Option<FdbVerb>,
    },
    /// Copies the frames of a port, both directions, as pcapng; why a frame was dropped is its comment.
    Capture(CaptureArgs),
    /// Takes a frame through the stages, without sending it, and says what each of them does.
    Trace(TraceArgs),
    /// What this machine can and cannot do for the switch, and what to do about it.
    Doctor,
    /// Configures the switch: the language of ovs-vsctl (`weft vsctl --help`).
    #[command(disable_help_flag = true)]
    Vsctl {
        /// Options and commands, as ovs-vsctl takes them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Options of `weft top`.
#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// Seconds between two readings.
    #[arg(short, long, value_name = "SECS", default_value = "1", value_parser = seconds)]
    pub delay: f64,

    /// Stop after N readings.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub number: Option<u64>,

    /// Print one page, with the rates of one delay, and stop.
    #[arg(long, conflicts_with = "number")]
    pub once: bool,

    /// Order of the ports.
    #[arg(short, long, value_enum, default_value_t = TopSort::Rate)]
    pub sort: TopSort,
}

/// Orders of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TopSort {
    /// What carries most comes first.
    Rate,
    /// What drops most comes first.
    Drops,
    /// By name.
    Name,
}

/// Options of `weft capture`.
#[derive(Debug, clap::Args)]
pub struct CaptureArgs {
    /// Name of the port.
    pub port: String,

    /// File to write; `-` is standard output, which is the default unless it is a terminal.
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Keep at most N bytes of each frame.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub snaplen: Option<u32>,

    /// Stop after COUNT frames.
    #[arg(short = 'c', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after SECS seconds.
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub seconds: Option<f64>,
}

/// Options of `weft trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The real stages run, but nothing is sent, counted or (without --learn) learned.  PORT is a port of a
bridge, where a frame comes in as on its wire (inside the tunnel, for a tunnel port), or an interface
that tunnels leave by, where it is a tunnel packet.")]
pub struct TraceArgs {
    /// What comes in where: [BRIDGE] PORT HEX, where HEX is the frame from the destination address on, without
    /// FCS, and is left out with --pcap; or BRIDGE FLOW, where FLOW is what ofproto/trace takes, with the
    /// port as `in_port=NAME`.
    #[arg(required = true, num_args = 1..=3, value_names = ["BRIDGE", "PORT", "HEX"])]
    pub words: Vec<String>,

    /// Take the frames from this capture file (pcap or pcapng, Ethernet).
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// Take only the frame of this number, from 1.
    #[arg(short = 'n', long = "number", value_name = "N", requires = "pcap",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub number: Option<u64>,

    /// Learn the source address, and tell the other workers.
    #[arg(long)]
    pub learn: bool,
}

/// A time in seconds, 0.1 to 86400.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(secs) if (0.1..=86_400.0).contains(&secs) => Ok(secs),
        _ => Err("not a number of seconds from 0.1 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn watch_takes_an_optional_interval() {
        let watch = |words: &[&str]| match Args::try_parse_from(words).unwrap().command {
            Command::Drops { watch } => watch,
            other => panic!("{other:?}"),
        };
        assert_eq!(watch(&["weft", "drops"]), None);
        assert_eq!(watch(&["weft", "drops", "--watch"]), Some(1.0));
        assert_eq!(watch(&["weft", "drops", "--watch", "2.5"]), Some(2.5));
        assert!(Args::try_parse_from(["weft", "drops", "--watch", "0"]).is_err());
        assert!(Args::try_parse_from(["weft", "drops", "--watch", "nan"]).is_err());
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        let args = Args::try_parse_from(["weft", "show", "--json", "--rundir", "/x"]).unwrap();
        assert!(args.json);
        assert_eq!(args.rundir, PathBuf::from("/x"));
    }
}
