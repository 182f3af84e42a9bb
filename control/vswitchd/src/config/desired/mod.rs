//! What the operator wants: the database's rows, typed and checked.
//!
//! A row that makes no sense gets an error and the rest goes on.  An error that concerns an
//! interface stands in `Interface.error`; the others are logged.

mod bridge;
pub mod cache;
mod index;
pub mod mirror;
mod patch;
mod port;
mod reader;
#[cfg(test)]
pub(crate) mod tests;
pub(super) mod trees;
mod vlan;

use crate::config::changed_rows::ChangedRows;
use crate::config::names::PortName;
use crate::config::tunnel::Tunnel;
use cache::Cache;
use index::Index;
use reader::Reader;
pub use reader::port_number;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_protocols::mcast::SnoopingSettings;
use weft_switch::{VidSet, VlanConf};
use weft_wire::mac::MacAddr;

/// Where rows are read from: the client's replica, or a map in tests.
pub trait Rows {
    /// The rows of a table.
    fn uuids(&self, table: &str) -> Vec<Uuid>;

    /// A column's value; `None` when there is no such row or column.
    fn datum(&self, table: &str, row: Uuid, column: &str) -> Option<&Datum>;
}

/// A value in the database that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table} {row}: {column}={value}: {problem}")]
pub struct ConfigError {
    /// The table.
    pub table: &'static str,
    /// The name in the row.
    pub row: String,
    /// The column, with the key in it.
    pub column: String,
    /// What it holds.
    pub value: String,
    /// What is wrong, and what is done instead.
    pub problem: &'static str,
}

/// All that the operator wants.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The row of `Open_vSwitch`; absent when there is none yet.
    pub root: Option<Uuid>,
    /// Counts the operator's changes.
    pub next_cfg: i64,
    /// CPUs that get a worker each; empty for one worker that is not pinned.
    pub worker_cpus: Vec<usize>,
    /// Links may move between workers by themselves: not with `pmd-auto-lb=false`.
    pub rebalances: bool,
    /// Between two updates of statistics, at least 5000.
    pub stats_interval_millis: u64,
    /// `vlan-limit` lets second tags be read.
    pub reads_inner_tags: bool,
    /// Bridges by name.
    pub bridges: BTreeMap<String, Bridge>,
    /// What was wrong, except what stands in [`Kind::Unusable`].
    pub problems: Vec<ConfigError>,
    index: Index,
}

/// One row of Bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its row.
    pub uuid: Uuid,
    /// Its name, which its LOCAL interface has, too.
    pub name: String,
    /// False with `fail_mode=secure`: nobody is there to tell it what to do.
    pub forwards: bool,
    /// `fail_mode`, as written; empty when it is not.
    pub fail_mode: String,
    /// `datapath_type`; `system` when it is empty.  One datapath serves both types that there are.
    pub datapath_type: String,
    /// `other_config:hwaddr`.
    pub hwaddr: Option<MacAddr>,
    /// `other_config:datapath-id`, 16 hex digits.
    pub datapath_id: Option<String>,
    /// `other_config:mac-aging-time`, 15 to 3600 seconds.
    pub fdb_age_secs: u32,
    /// `other_config:mac-table-size`, 10 to 1,000,000.
    pub fdb_entries_max: u32,
    /// `other_config:forward-bpdu`.
    pub forward_reserved: bool,
    /// `rstp_enable`, else `stp_enable`.
    pub spanning: Option<Protocol>,
    /// `mcast_snooping_enable`, with what `other_config` says of it.
    pub snooping: Option<SnoopingSettings>,
    /// `other_config`, for what reads it key by key.
    pub other_config: BTreeMap<String, String>,
    /// `flood_vlans`.
    pub flood_vlans: Option<VidSet>,
    /// Columns that ask for what there is not, as `Bridge sflow`.
    pub missed: Vec<String>,
    /// Its mirrors.
    pub mirrors: Vec<mirror::Mirror>,
    /// Its ports, by name.
    pub ports: BTreeMap<PortName, Arc<Port>>,
}

impl Bridge {
    /// Why none of its ports can be set up, when that is so.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let kind = self.datapath_type.as_str();
        (!matches!(kind, "system" | "netdev")).then(|| {
            format!(
                "{}: unknown datapath_type \"{kind}\": leave it empty, or use system or netdev",
                self.name
            )
        })
    }

    /// `other_config:tunnel-mss-clamp`.
    #[must_use]
    pub fn clamps_mss(&self) -> bool {
        self.other_config.get("tunnel-mss-clamp").is_some_and(|text| text == "true")
    }
}

/// Which spanning tree protocol a bridge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// 802.1D-1998.
    Stp,
    /// 802.1D-2004, 802.1w.
    Rstp,
}

impl Protocol {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stp => "STP",
            Self::Rstp => "RSTP",
        }
    }

    /// The key of `Port.other_config` that takes a port out.
    #[must_use]
    pub const fn enable_key(self) -> &'static str {
        match self {
            Self::Stp => "stp-enable",
            Self::Rstp => "rstp-enable",
        }
    }

    /// The key of `Port.other_config` that asks for a number.
    #[must_use]
    pub const fn number_key(self) -> &'static str {
        match self {
            Self::Stp => "stp-port-num",
            Self::Rstp => "rstp-port-num",
        }
    }

    /// The largest port number.
    #[must_use]
    pub const fn numbers_max(self) -> u16 {
        match self {
            Self::Stp => 255,
            Self::Rstp => 4095,
        }
    }
}

/// One row of Port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: PortName,
    /// Its VLANs.
    pub vlan: VlanConf,
    /// `other_config:split-horizon`.
    pub split_horizon: Option<String>,
    /// `other_config`, for what reads it key by key.
    pub other_config: BTreeMap<String, String>,
    /// Its interfaces; more than one is a bond.
    pub interfaces: Vec<Interface>,
}

/// One row of Interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its row.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// `type`, as written.
    pub type_name: String,
    /// What it is.
    pub kind: Kind,
    /// `ofport_request`.
    pub ofport_request: Option<u16>,
    /// `mtu_request`.
    pub mtu_request: Option<u32>,
    /// `mac`.
    pub mac: Option<MacAddr>,
    /// Columns of it and of its port that ask for what there is not, as `Port qos`.
    pub missed: Vec<String>,
}

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network device of the host.
    System,
    /// A TAP of ours.
    Internal,
    /// A tunnel.
    Tunnel(Tunnel),
    /// A patch port; the name of the interface at its other end.
    Patch(String),
    /// Nothing that can be set up; the text for `Interface.error`.
    Unusable(String),
}

impl Interface {
    /// True for the interface that its bridge is named after.
    #[must_use]
    pub fn is_local(&self, bridge: &Bridge) -> bool {
        self.name == bridge.name
    }
}

impl Desired {
    /// Reads the whole configuration.  An interface that is in two places is in both.
    #[must_use]
    pub fn read(rows: &impl Rows) -> Self {
        let mut desired = Self::default();
        Cache::default().follow(rows, &ChangedRows::default(), &mut desired, true);
        desired
    }
}
