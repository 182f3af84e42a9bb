//! Stock Open vSwitch, with its userspace datapath, as the peer of a test.

use std::path::{Path, PathBuf};

use crate::{Background, Host, Outcome};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// A stock ovsdb-server with an empty database.
#[derive(Debug)]
pub struct OvsdbServer {
    rundir: tempfile::TempDir,
    daemon: Background,
}

impl OvsdbServer {
    /// Starts it on a host.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn start(host: &Host) -> Self {
        Self::start_with(host, "")
    }

    /// Starts it on a host with more options.
    ///
    /// # Panics
    /// It does not start.
    #[track_caller]
    #[must_use]
    pub fn start_with(host: &Host, options: &str) -> Self {
        let rundir = tempfile::tempdir().unwrap();
        let dir = rundir.path().display();
        host.sh(&format!("ovsdb-tool create {dir}/conf.db {SCHEMA}"));
        let daemon = host.spawn(&format!(
            "env OVS_RUNDIR={dir} ovsdb-server {dir}/conf.db --remote=punix:{dir}/db.sock \
             --unixctl={dir}/ovsdb-server.ctl --no-chdir {options}"
        ));
        let server = Self { rundir, daemon };
        let is_up = crate::within(std::time::Duration::from_secs(5), || server.socket().exists());
        assert!(is_up, "ovsdb-server does not start: {}", server.daemon.output());
        host.sh(&format!("ovs-vsctl --db=unix:{} --no-wait init", server.socket().display()));
        server
    }

    /// Its run directory.
    #[must_use]
    pub fn rundir(&self) -> &Path {
        self.rundir.path()
    }

    /// Its database socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.rundir.path().join("db.sock")
    }
}

/// A stock switch: ovsdb-server and ovs-vswitchd on a host.
#[derive(Debug)]
pub struct Stock<'h> {
    host: &'h Host,
    database: OvsdbServer,
    _daemon: Background,
}

impl<'h> Stock<'h> {
    /// Starts both on a host.
    ///
    /// # Panics
    /// They do not start.
    #[track_caller]
    #[must_use]
    pub fn start(host: &'h Host) -> Self {
        let database = OvsdbServer::start(host);
        let dir = database.rundir().display();
        let daemon = host.spawn(&format!(
            "env OVS_RUNDIR={dir} ovs-vswitchd unix:{dir}/db.sock --no-chdir \
             --pidfile={dir}/ovs-vswitchd.pid"
        ));
        let stock = Self { host, database, _daemon: daemon };
        stock.vsctl("show");
        stock
    }

    /// Its run directory.
    #[must_use]
    pub fn rundir(&self) -> &Path {
        self.database.rundir()
    }

    /// Runs ovs-vsctl against it; what it did is the answer.
    #[must_use]
    pub fn try_vsctl(&self, words: &str) -> Outcome {
        let dir = self.database.rundir().display();
        self.host.try_sh(&format!("OVS_RUNDIR={dir} ovs-vsctl --timeout=15 {words}"))
    }

    /// Runs ovs-vsctl against it.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn vsctl(&self, words: &str) -> String {
        self.try_vsctl(words).expect_ok().trim_end().to_owned()
    }

    /// Runs ovs-appctl against it.
    ///
    /// # Panics
    /// It fails.
    #[track_caller]
    pub fn appctl(&self, words: &str) -> String {
        let dir = self.database.rundir().display();
        let line = format!("OVS_RUNDIR={dir} ovs-appctl --timeout=15 {words}");
        self.host.sh(&line).trim_end().to_owned()
    }

    /// Runs ovs-appctl against it; what it did is the answer.
    #[must_use]
    pub fn try_appctl(&self, words: &str) -> Outcome {
        let dir = self.database.rundir().display();
        self.host.try_sh(&format!("OVS_RUNDIR={dir} ovs-appctl --timeout=10 {words}"))
    }

    /// Puts `device` into a bridge of its own, which `give` gives an address, as the userspace
    /// datapath needs it for tunnels, and switches off what that datapath cannot do: partial
    /// checksums.
    #[track_caller]
    pub fn underlay(&self, device: &str, give: &dyn Fn(&str)) {
        self.host.sh(&format!("ethtool -K {device} tx off"));
        self.vsctl(&format!(
            "add-br br-phy -- set bridge br-phy datapath_type=netdev -- add-port br-phy {device}"
        ));
        self.host.sh("ethtool -K br-phy tx off");
        give("br-phy");
    }

    /// Adds bridge `br0` with an address on it.
    #[track_caller]
    pub fn bridge(&self, cidr: &str) {
        self.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev");
        self.host.sh("ethtool -K br0 tx off");
        self.host.address("br0", cidr);
    }
}
