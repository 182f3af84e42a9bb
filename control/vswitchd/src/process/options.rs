//! The command line of weftd.

use crate::process::run::RunConfig;
use crate::serve::metrics::MetricsTarget;
use crate::store::StoreConfig;
use crate::store::purge::Purge;
use clap::Parser;
use std::path::PathBuf;

/// Where sockets and pid files are, unless somebody says otherwise.
pub const RUNDIR_USUAL: &str = "/var/run/openvswitch";

/// What belongs to no option.
const NOTES: &str = "\
Signals:
  SIGTERM, SIGINT  end it as `ovs-appctl exit` does: devices and addresses stay for the next start
  SIGHUP           opens the log file anew, after it was rotated

Environment:
  OVS_RUNDIR, OVS_DBDIR, OVS_LOGDIR  folders of sockets and pid files, of the database, of the log
  OVS_CTL_OPTS     options for ovs-ctl: --delete-bridges and --delete-transient-ports are obeyed
  NOTIFY_SOCKET    is told when everything is served (systemd, Type=notify)
  JOURNAL_STREAM   standard error is the journal: lines get levels instead of times

Files:
  RUNDIR/db.sock                    the database, for ovs-vsctl and other clients of it
  RUNDIR/ovs-vswitchd.pid           locked while weftd lives; ovs-appctl looks for it
  RUNDIR/ovs-vswitchd.PID.ctl       control socket, for ovs-appctl and weft(1)
  RUNDIR/ovsdb-server.PID.ctl       control socket of the database, for ovs-appctl -t ovsdb-server
  /sys/fs/bpf/weft                  XDP programs that outlive weftd

Exit status: 0 when it was told to end, 1 when it could not start or had to give up.

See also: weft(1), ovs-vsctl(8), ovs-appctl(8), ovs-vswitchd.conf.db(5)";

/// The Weft switch: an L2 switch on `AF_XDP` that is driven by the tools of Open vSwitch.
#[derive(Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "that is how options are: given or not, with or without a value"
)]
#[command(
    name = "weftd",
    about = "A virtual switch on AF_XDP that is driven by the tools of Open vSwitch",
    disable_version_flag = true,
    after_help = NOTES
)]
pub struct Options {
    /// Where sockets and pid files are; the usual folder is made when it is not there.
    #[arg(long, value_name = "DIR", env = "OVS_RUNDIR", default_value = RUNDIR_USUAL)]
    pub rundir: PathBuf,
    /// The database file [default: `$OVS_DBDIR/conf.db`, or /etc/openvswitch/conf.db].
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Where the database listens besides RUNDIR/db.sock: punix:PATH, ptcp:PORT[:IP]; may be
    /// repeated.
    #[arg(long, value_name = "TARGET")]
    pub remote: Vec<String>,
    /// Use the database server at unix:PATH instead of the built-in one.
    #[arg(long, value_name = "TARGET")]
    pub ovsdb: Option<String>,
    /// The same, as ovs-vswitchd takes it.
    #[arg(value_name = "DATABASE", conflicts_with = "ovsdb")]
    pub database: Option<String>,
    /// The pid file [default: RUNDIR/ovs-vswitchd.pid].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub pidfile: Option<Option<PathBuf>>,
    /// Run in the background; returns when everything is served.
    #[arg(long)]
    pub detach: bool,
    /// Log to a file [default: `$OVS_LOGDIR/weftd.log`, or /var/log/openvswitch/weftd.log].
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub log_file: Option<Option<PathBuf>>,
    /// Serve a page for Prometheus at unix:PATH or, on a loopback address, at IP:PORT.
    #[arg(long, value_name = "TARGET")]
    pub metrics: Option<MetricsTarget>,
    /// Delete all bridges from the database before anything is set up.
    #[arg(long)]
    pub delete_bridges: bool,
    /// Delete the ports that have `other_config:transient=true` before anything is set up.
    #[arg(long)]
    pub delete_transient_ports: bool,
    /// The control socket [default: RUNDIR/ovs-vswitchd.PID.ctl].
    #[arg(long, value_name = "SOCKET")]
    pub unixctl: Option<PathBuf>,
    /// What to log, as `ovs-appctl vlog/set` takes it; alone: everything.
    #[arg(short = 'v', long = "verbose", value_name = "SPEC", num_args = 0..=1, require_equals = false,
          default_missing_value = "dbg")]
    pub verbose: Vec<String>,
    /// Accepted for ovs-ctl, without effect: the folder is never changed.
    #[arg(long, hide = true)]
    pub no_chdir: bool,
    /// Accepted for ovs-ctl, without effect: packet memory is locked anyway.
    #[arg(long, hide = true)]
    pub mlockall: bool,
    /// Accepted for ovs-ctl, without effect: the service manager restarts what ends.
    #[arg(long, hide = true)]
    pub monitor: bool,
    /// For tests: `ovs-appctl weft/fail-worker` makes workers fail.
    #[arg(long, hide = true)]
    pub test_faults: bool,
    /// Print the version.
    #[arg(short = 'V', long)]
    pub version: bool,
    /// What `/etc/default/openvswitch-switch` tells ovs-ctl.
    #[arg(long, env = "OVS_CTL_OPTS", hide = true, default_value = "")]
    pub ovs_ctl_opts: String,
}

const DELETE_BRIDGES: &str = "--delete-bridges";
const DELETE_TRANSIENT_PORTS: &str = "--delete-transient-ports";

/// A folder from the environment, or the usual one.
#[must_use]
pub fn folder(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map_or_else(|| usual.into(), PathBuf::from)
}

impl Options {
    /// Those options for ovs-ctl that have no effect here.
    pub fn ovs_ctl_opts_ignored(&self) -> impl Iterator<Item = &str> {
        let words = self.ovs_ctl_opts.split_whitespace();
        words.filter(|word| !matches!(*word, DELETE_BRIDGES | DELETE_TRANSIENT_PORTS))
    }

    fn tells_ovs_ctl(&self, option: &str) -> bool {
        self.ovs_ctl_opts.split_whitespace().any(|word| word == option)
    }

    /// The configuration that the options mean.
    #[must_use]
    pub fn run_config(&self) -> RunConfig {
        let rundir = self.rundir.clone();
        let db_path = self.db.clone();
        let db_path =
            db_path.unwrap_or_else(|| folder("OVS_DBDIR", "/etc/openvswitch").join("conf.db"));
        // The usual socket is always served: weftd itself and all local clients come in by it.
        let usual = format!("punix:{}", rundir.join("db.sock").display());
        let mut remotes = self.remote.clone();
        if !remotes.contains(&usual) {
            remotes.insert(0, usual);
        }
        let pidfile = self.pidfile.clone().flatten();
        RunConfig {
            test_faults: self.test_faults,
            pidfile: pidfile.unwrap_or_else(|| rundir.join("ovs-vswitchd.pid")),
            unixctl: self.unixctl.clone(),
            store: StoreConfig {
                db_path,
                remotes,
                external: self.ovsdb.clone().or_else(|| self.database.clone()),
                rundir: rundir.clone(),
            },
            metrics: self.metrics.clone(),
            purge: Purge {
                bridges: self.delete_bridges || self.tells_ovs_ctl(DELETE_BRIDGES),
                transient_ports: self.delete_transient_ports
                    || self.tells_ovs_ctl(DELETE_TRANSIENT_PORTS),
            },
            rundir,
        }
    }
}
