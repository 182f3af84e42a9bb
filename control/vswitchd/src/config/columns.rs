//! All columns that weftd has to do with, in one table: which it reads, fills, or keeps without effect.
//!
//! The request to monitor the database, the warnings about what has no effect (`ignored.rs`) and the
//! table in `README.md` come from here.  A column that is read or filled and does not stand here fails
//! an assertion of the tests.

/// What weftd does with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Acts on it.
    Reads,
    /// Fills it.
    Fills,
    /// Acts on it and fills it.
    Both,
    /// Keeps it; the log names it when it says something.
    Keeps,
    /// The same, and `Interface.error` says that it is not in force.
    Misses,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What weftd does with it.
    pub role: Role,
    /// The keys that weftd acts on, when it is a map.
    pub keys: &'static [&'static str],
}

impl Column {
    const fn new(name: &'static str, role: Role) -> Self {
        Self { name, role, keys: &[] }
    }

    const fn map(name: &'static str, keys: &'static [&'static str]) -> Self {
        Self { name, role: Role::Reads, keys }
    }

    /// True when weftd acts on it.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(self.role, Role::Reads | Role::Both)
    }

    /// True when weftd fills it.
    #[must_use]
    pub const fn is_filled(&self) -> bool {
        matches!(self.role, Role::Fills | Role::Both)
    }

    /// True when it has no effect.
    #[must_use]
    pub const fn has_no_effect(&self) -> bool {
        matches!(self.role, Role::Keeps | Role::Misses)
    }
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, less those that weftd has nothing to do with.
    pub columns: &'static [Column],
    /// All columns of the schema are monitored, not only these.
    pub monitors_all: bool,
}

use Role::{Both, Fills, Keeps, Misses, Reads};

const fn table(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, monitors_all: false }
}

/// The tables.
pub const TABLES: [Table; 7] = [
    Table { name: "Open_vSwitch", columns: &ROOT, monitors_all: true },
    table("Controller", &[Column::new("target", Keeps), Column::new("status", Fills)]),
    table("Datapath", &[Column::new("capabilities", Fills)]),
    table("Bridge", &BRIDGE),
    table("Port", &PORT),
    table("Interface", &INTERFACE),
    table("Mirror", &MIRROR),
];

const ROOT: [Column; 15] = [
    Column::new("bridges", Reads),
    Column::new("next_cfg", Reads),
    Column::map(
        "other_config",
        &[
            "vlan-limit",
            "pmd-cpu-mask",
            "pmd-auto-lb",
            "stats-update-interval",
            "enable-statistics",
        ],
    ),
    Column::new("datapaths", Reads),
    Column::new("external_ids", Both),
    Column::new("cur_cfg", Fills),
    Column::new("statistics", Fills),
    Column::new("ovs_version", Fills),
    Column::new("db_version", Fills),
    Column::new("system_type", Fills),
    Column::new("system_version", Fills),
    Column::new("datapath_types", Fills),
    Column::new("iface_types", Fills),
    Column::new("dpdk_initialized", Fills),
    Column::new("dpdk_version", Fills),
];

const BRIDGE: [Column; 21] = [
    Column::new("name", Reads),
    Column::new("ports", Reads),
    Column::new("mirrors", Reads),
    Column::new("flood_vlans", Reads),
    Column::new("fail_mode", Reads),
    Column::map(
        "other_config",
        &[
            "hwaddr",
            "datapath-id",
            "mac-aging-time",
            "mac-table-size",
            "forward-bpdu",
            "loop-guard",
            "tunnel-mss-clamp",
            "mcast-snooping-table-size",
            "mcast-snooping-aging-time",
            "mcast-snooping-disable-flood-unregistered",
            "stp-system-id",
            "stp-priority",
            "stp-hello-time",
            "stp-max-age",
            "stp-forward-delay",
            "rstp-address",
            "rstp-priority",
            "rstp-ageing-time",
            "rstp-force-protocol-version",
            "rstp-max-age",
            "rstp-forward-delay",
            "rstp-transmit-hold-count",
        ],
    ),
    Column::new("datapath_type", Reads),
    Column::new("datapath_id", Fills),
    Column::new("datapath_version", Fills),
    Column::new("stp_enable", Reads),
    Column::new("rstp_enable", Reads),
    Column::new("mcast_snooping_enable", Reads),
    Column::new("status", Fills),
    Column::new("rstp_status", Fills),
    Column::new("netflow", Misses),
    Column::new("sflow", Misses),
    Column::new("ipfix", Misses),
    Column::new("controller", Keeps),
    Column::new("protocols", Keeps),
    Column::new("flow_tables", Keeps),
    Column::new("auto_attach", Keeps),
];

const PORT: [Column; 16] = [
    Column::new("name", Reads),
    Column::new("interfaces", Reads),
    Column::new("tag", Reads),
    Column::new("trunks", Reads),
    Column::new("cvlans", Reads),
    Column::new("vlan_mode", Reads),
    Column::map(
        "other_config",
        &[
            "priority-tags",
            "qinq-ethtype",
            "split-horizon",
            "transient",
            "mcast-snooping-flood",
            "mcast-snooping-flood-reports",
            "stp-enable",
            "stp-port-num",
            "stp-port-priority",
            "stp-path-cost",
            "rstp-enable",
            "rstp-port-num",
            "rstp-port-priority",
            "rstp-path-cost",
            "rstp-port-admin-edge",
            "rstp-port-auto-edge",
            "rstp-port-mcheck",
            "rstp-admin-p2p-mac",
            "rstp-admin-port-state",
        ],
    ),
    Column::new("status", Fills),
    Column::new("statistics", Fills),
    Column::new("rstp_status", Fills),
    Column::new("rstp_statistics", Fills),
    Column::new("qos", Misses),
    Column::new("mac", Keeps),
    Column::new("lacp", Keeps),
    Column::new("bond_mode", Keeps),
    Column::new("protected", Keeps),
];

const INTERFACE: [Column; 25] = [
    Column::new("name", Reads),
    Column::new("type", Reads),
    // Keys of tunnels stand in the table of kinds, `tunnel`.
    Column::map("options", &["peer"]),
    Column::new("ofport", Both),
    Column::new("ofport_request", Reads),
    Column::new("mac", Reads),
    Column::new("mac_in_use", Fills),
    Column::new("mtu", Fills),
    Column::new("mtu_request", Reads),
    Column::new("error", Fills),
    Column::new("admin_state", Fills),
    Column::new("link_state", Fills),
    Column::new("link_resets", Fills),
    Column::new("link_speed", Fills),
    Column::new("duplex", Fills),
    Column::new("ifindex", Fills),
    Column::new("status", Fills),
    Column::new("statistics", Fills),
    Column::new("ingress_policing_rate", Misses),
    Column::new("ingress_policing_burst", Keeps),
    Column::new("ingress_policing_kpkts_rate", Misses),
    Column::new("ingress_policing_kpkts_burst", Keeps),
    Column::new("bfd", Keeps),
    Column::new("cfm_mpid", Keeps),
    Column::new("lldp", Keeps),
];

const MIRROR: [Column; 9] = [
    Column::new("name", Reads),
    Column::new("select_all", Reads),
    Column::new("select_src_port", Reads),
    Column::new("select_dst_port", Reads),
    Column::new("select_vlan", Reads),
    Column::new("output_port", Reads),
    Column::new("output_vlan", Reads),
    Column::new("snaplen", Reads),
    Column::new("statistics", Fills),
];

/// The columns of a table; none for one that weftd has nothing to do with.
#[must_use]
pub fn of(table: &str) -> &'static [Column] {
    TABLES.iter().find(|it| it.name == table).map_or(&[], |it| it.columns)
}

/// One column.
#[must_use]
pub fn column(table: &str, name: &str) -> Option<&'static Column> {
    of(table).iter().find(|column| column.name == name)
}

/// True when weftd acts on this key of a column.
#[must_use]
pub fn has_key(table: &str, name: &str, key: &str) -> bool {
    column(table, name).is_some_and(|column| column.is_read() && column.keys.contains(&key))
}

/// Names of the columns to monitor, by table; all columns of a table without names.
#[must_use]
pub fn to_monitor() -> Vec<(&'static str, Vec<&'static str>)> {
    let names = |table: &Table| table.columns.iter().map(|column| column.name).collect();
    let columns = |table: &Table| if table.monitors_all { Vec::new() } else { names(table) };
    TABLES.iter().map(|table| (table.name, columns(table))).collect()
}

#[cfg(test)]
mod tests;
