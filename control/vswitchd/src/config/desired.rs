//! What the operator wants: the database's rows, typed and checked.
//!
//! A row that makes no sense gets an error and the rest goes on.  An error that concerns an
//! interface stands in `Interface.error`; the others are logged.

mod index;
pub mod known;
pub mod mirror;
mod patch;
pub(super) mod trees;
mod vlan;

use crate::config::columns;
use crate::config::ignored;
use crate::config::names::PortName;
use crate::config::news::News;
use crate::config::tunnel_options::{self, Tunnel, TunnelType};
use index::Index;
use known::Known;
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
        Known::default().follow(rows, &News::default(), &mut desired, true);
        desired
    }
}

const DEFAULT_STATS_MILLIS: u64 = 5_000;

struct Reader<'a, R> {
    rows: &'a R,
    problems: Vec<ConfigError>,
}

impl<R: Rows> Reader<'_, R> {
    fn text(&self, table: &str, row: Uuid, column: &str) -> String {
        let datum = self.rows.datum(table, row, column);
        datum.and_then(Datum::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, table: &str, row: Uuid, column: &str) -> Option<i64> {
        self.rows.datum(table, row, column)?.as_int()
    }

    fn key(&self, table: &str, row: Uuid, column: &str, key: &str) -> Option<String> {
        debug_assert!(columns::has_key(table, column, key), "{table} {column}:{key} is read");
        self.rows.datum(table, row, column)?.map_get(key).map(str::to_owned)
    }

    fn flag(&self, table: &str, row: Uuid, column: &str) -> bool {
        self.rows.datum(table, row, column).and_then(Datum::as_bool).unwrap_or_default()
    }

    fn map(&self, table: &str, row: Uuid, column: &str) -> BTreeMap<String, String> {
        let datum = self.rows.datum(table, row, column);
        let pairs = datum.into_iter().flat_map(Datum::string_pairs);
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn references(&self, table: &str, row: Uuid, column: &str) -> Vec<Uuid> {
        let datum = self.rows.datum(table, row, column);
        datum.map(|datum| datum.uuids().collect()).unwrap_or_default()
    }

    fn problem(
        &mut self,
        (table, row): (&'static str, &str),
        column: &str,
        value: &str,
        problem: &'static str,
    ) {
        self.problems.push(ConfigError {
            table,
            row: row.to_owned(),
            column: column.to_owned(),
            value: value.to_owned(),
            problem,
        });
    }

    /// The one row of `Open_vSwitch`, and the bridges that it lists.
    fn root(&mut self) -> (Desired, Vec<Uuid>) {
        const TABLE: &str = "Open_vSwitch";
        let mut desired =
            Desired { stats_interval_millis: DEFAULT_STATS_MILLIS, ..Desired::default() };
        let Some(root) = self.rows.uuids(TABLE).first().copied() else {
            return (desired, Vec::new());
        };
        desired.root = Some(root);
        desired.next_cfg = self.number(TABLE, root, "next_cfg").unwrap_or_default();
        if let Some(mask) = self.key(TABLE, root, "other_config", "pmd-cpu-mask") {
            match cpus(&mask) {
                Some(cpus) => desired.worker_cpus = cpus,
                None => self.problem(
                    (TABLE, "."),
                    "other_config:pmd-cpu-mask",
                    &mask,
                    "not a hexadecimal mask; one worker is used",
                ),
            }
        }
        let auto = self.key(TABLE, root, "other_config", "pmd-auto-lb");
        desired.rebalances = auto.is_none_or(|text| text != "false");
        if let Some(text) = self.key(TABLE, root, "other_config", "stats-update-interval") {
            let millis = text.parse().unwrap_or(DEFAULT_STATS_MILLIS);
            desired.stats_interval_millis = millis.max(DEFAULT_STATS_MILLIS);
        }
        desired.reads_inner_tags = self.reads_inner_tags(root);
        (desired, self.references(TABLE, root, "bridges"))
    }

    /// A number in `other_config`, clamped; the default when it is none.
    fn clamped(&mut self, uuid: Uuid, name: &str, key: &str, default: u32, range: [u32; 2]) -> u32 {
        let Some(text) = self.key("Bridge", uuid, "other_config", key) else { return default };
        let [min, max] = range;
        if let Ok(number) = text.parse::<u32>() {
            // As in Open vSwitch, zero is not the smallest of all but "as you think right".
            return if number == 0 { default } else { number.clamp(min, max) };
        }
        let column = format!("other_config:{key}");
        self.problem(("Bridge", name), &column, &text, "not a number; ignored");
        default
    }

    /// A bridge, without its ports and mirrors.
    fn bridge(&mut self, uuid: Uuid) -> Bridge {
        const TABLE: &str = "Bridge";
        let name = self.text(TABLE, uuid, "name");
        let fail_mode = self.text(TABLE, uuid, "fail_mode");
        let hwaddr = self.key(TABLE, uuid, "other_config", "hwaddr").and_then(|text| {
            let mac = text.parse::<MacAddr>().ok().filter(|mac| !mac.is_group() && !mac.is_zero());
            if mac.is_none() {
                let problem = "not the address of one station; ignored";
                self.problem((TABLE, &name), "other_config:hwaddr", &text, problem);
            }
            mac
        });
        let datapath_id = self.key(TABLE, uuid, "other_config", "datapath-id").and_then(|text| {
            let id = datapath_id(&text);
            if id.is_none() {
                let problem = "not 16 hexadecimal digits, or zero; ignored";
                self.problem((TABLE, &name), "other_config:datapath-id", &text, problem);
            }
            id
        });
        let fdb_age_secs = self.clamped(uuid, &name, "mac-aging-time", 300, [15, 3600]);
        let fdb_entries_max = self.clamped(uuid, &name, "mac-table-size", 8192, [10, 1_000_000]);
        let forward_reserved = self
            .key(TABLE, uuid, "other_config", "forward-bpdu")
            .is_some_and(|text| text == "true");
        let snooping = self.snooping(uuid, &name);
        Bridge {
            uuid,
            forwards: fail_mode != "secure",
            name,
            fail_mode,
            datapath_type: match self.text(TABLE, uuid, "datapath_type") {
                empty if empty.is_empty() => "system".to_owned(),
                written => written,
            },
            hwaddr,
            datapath_id,
            fdb_age_secs,
            fdb_entries_max,
            forward_reserved,
            spanning: match (
                self.flag(TABLE, uuid, "rstp_enable"),
                self.flag(TABLE, uuid, "stp_enable"),
            ) {
                (true, _) => Some(Protocol::Rstp),
                (false, true) => Some(Protocol::Stp),
                (false, false) => None,
            },
            snooping,
            other_config: self.map(TABLE, uuid, "other_config"),
            flood_vlans: self.vlan_set(TABLE, uuid, "flood_vlans"),
            missed: ignored::missed(self.rows, TABLE, uuid),
            mirrors: Vec::new(),
            ports: BTreeMap::new(),
        }
    }

    fn snooping(&mut self, uuid: Uuid, name: &str) -> Option<SnoopingSettings> {
        if !self.flag("Bridge", uuid, "mcast_snooping_enable") {
            return None;
        }
        let table_size = "mcast-snooping-table-size";
        let groups_max = self.clamped(uuid, name, table_size, 2048, [10, 1_000_000]);
        let age_secs = self.clamped(uuid, name, "mcast-snooping-aging-time", 300, [15, 3600]);
        let disabled =
            self.key("Bridge", uuid, "other_config", "mcast-snooping-disable-flood-unregistered");
        Some(SnoopingSettings {
            groups_max: groups_max as usize,
            age_secs,
            floods_unregistered: disabled.is_none_or(|text| text != "true"),
        })
    }

    fn port(&mut self, uuid: Uuid) -> Port {
        let name = self.text("Port", uuid, "name");
        let mut interfaces: Vec<_> = self
            .references("Port", uuid, "interfaces")
            .into_iter()
            .map(|interface| self.interface(interface))
            .collect();
        let missed = ignored::missed(self.rows, "Port", uuid);
        for interface in &mut interfaces {
            interface.missed.extend_from_slice(&missed);
        }
        if interfaces.len() > 1 {
            for interface in &mut interfaces {
                interface.kind = Kind::Unusable(format!(
                    "{}: bonds are not supported yet: give port {name} one interface",
                    interface.name
                ));
            }
        }
        let vlan = self.vlan(uuid, &name);
        let split_horizon = self.key("Port", uuid, "other_config", "split-horizon");
        Port {
            uuid,
            name: PortName::new(name),
            vlan,
            split_horizon: split_horizon.filter(|group| !group.is_empty()),
            other_config: self.map("Port", uuid, "other_config"),
            interfaces,
        }
    }

    fn interface(&mut self, uuid: Uuid) -> Interface {
        const TABLE: &str = "Interface";
        let name = self.text(TABLE, uuid, "name");
        let type_name = self.text(TABLE, uuid, "type");
        let kind = match type_name.as_str() {
            "" | "system" => Kind::System,
            // Both are TAPs of ours, as in a stock switch without a kernel module.
            "internal" | "tap" => Kind::Internal,
            "patch" => match patch::peer(&name, &self.map(TABLE, uuid, "options")) {
                Ok(peer) => Kind::Patch(peer),
                Err(text) => Kind::Unusable(text),
            },
            other => match TunnelType::ALL.into_iter().find(|kind| kind.name() == other) {
                Some(kind) => self.tunnel(uuid, &name, kind),
                None => Kind::Unusable(unusable(&name, other)),
            },
        };
        let mac = self.rows.datum(TABLE, uuid, "mac").and_then(Datum::as_str).map(str::to_owned);
        let mac = mac.and_then(|text| {
            let mac = text.parse::<MacAddr>().ok().filter(|mac| !mac.is_group() && !mac.is_zero());
            if mac.is_none() {
                let problem = "not the address of one station; ignored";
                self.problem((TABLE, &name), "mac", &text, problem);
            }
            mac
        });
        Interface {
            uuid,
            kind,
            ofport_request: port_number(self.rows, uuid, "ofport_request"),
            mtu_request: self
                .number(TABLE, uuid, "mtu_request")
                .and_then(|mtu| u32::try_from(mtu).ok()),
            mac,
            missed: ignored::missed(self.rows, TABLE, uuid),
            name,
            type_name,
        }
    }

    fn tunnel(&mut self, uuid: Uuid, name: &str, kind: TunnelType) -> Kind {
        let options = self.map("Interface", uuid, "options");
        match tunnel_options::read(kind, name, &options) {
            Ok((tunnel, ignored)) => {
                for (key, value, why) in ignored {
                    self.problem(("Interface", name), &format!("options:{key}"), &value, why);
                }
                Kind::Tunnel(tunnel)
            }
            Err(text) => Kind::Unusable(text),
        }
    }
}

/// A column of an interface that holds a port number.
pub fn port_number(rows: &impl Rows, interface: Uuid, column: &str) -> Option<u16> {
    let number = rows.datum("Interface", interface, column)?.as_int()?;
    u16::try_from(number).ok().filter(|number| *number != 0)
}

/// What stands in `Interface.error` for a type that cannot be set up.
fn unusable(name: &str, type_name: &str) -> String {
    match type_name {
        "ipsec_gre" => format!(
            "{name}: type ipsec_gre is the old spelling of type=gre with options:psk; IPsec is not \
             supported yet: use type=gre without psk for a tunnel in the clear"
        ),
        "erspan" | "ip6erspan" | "lisp" | "stt" | "gtpu" | "bareudp" | "srv6" => {
            format!(
                "{name}: tunnels of type {type_name} are not supported yet: use geneve, vxlan or gre"
            )
        }
        "tap" => format!("{name}: type tap is not supported yet: use internal"),
        "dpdk" | "dpdkvhostuser" | "dpdkvhostuserclient" | "afxdp" | "afxdp-nonpmd" => format!(
            "{name}: type {type_name} is not needed: leave the type empty, the datapath uses AF_XDP"
        ),
        _ => format!(
            "could not open network device {name} (Address family not supported by protocol)"
        ),
    }
}

/// Sixteen hexadecimal digits that are not all zero, with or without `0x`.
fn datapath_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let number = u64::from_str_radix(digits, 16).ok().filter(|number| *number != 0)?;
    (digits.len() <= 16).then(|| format!("{number:016x}"))
}

/// The CPUs of a hexadecimal mask; `None` when it is none or is empty.
fn cpus(mask: &str) -> Option<Vec<usize>> {
    let digits = mask.strip_prefix("0x").or_else(|| mask.strip_prefix("0X")).unwrap_or(mask);
    let mut cpus = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let digit = digit.to_digit(16)?;
        cpus.extend((0..4).filter(|bit| digit >> bit & 1 == 1).map(|bit| place * 4 + bit));
    }
    (!cpus.is_empty()).then_some(cpus)
}

#[cfg(test)]
pub(crate) mod tests;
