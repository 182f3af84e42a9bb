//! What became of it, back into the database: only columns that changed, and what belongs
//! together in one transaction.

use crate::config::columns::{self, Column};
use crate::config::desired::Rows;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_switch::IfaceCounters;

/// The lock that the one switch of a database holds.
pub const LOCK: &str = "ovs_vswitchd";

/// Values that rows are to have.
#[derive(Clone, Debug, Default)]
pub struct Wanted(BTreeMap<(&'static str, Uuid), BTreeMap<&'static str, Datum>>);

impl Wanted {
    /// Wants a value in a column.
    pub fn set(&mut self, table: &'static str, row: Uuid, column: &'static str, datum: Datum) {
        debug_assert!(
            columns::column(table, column).is_some_and(Column::is_filled),
            "{table} {column} is filled: say so in columns.rs"
        );
        self.0.entry((table, row)).or_default().insert(column, datum);
    }

    /// True when nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wants what `newer` wants, too; where both want something, that.
    pub fn merge(&mut self, newer: Self) {
        for (row, columns) in newer.0 {
            self.0.entry(row).or_default().extend(columns);
        }
    }

    /// The operations that make the rows so; none when they are so already.
    #[must_use]
    pub fn operations(&self, rows: &impl Rows) -> Vec<Value> {
        let mut operations = Vec::new();
        for ((table, row), columns) in &self.0 {
            let mut changed = serde_json::Map::new();
            for (column, datum) in columns {
                // A row that is gone has no column, and nothing is written to it.
                if let Some(now) = rows.datum(table, *row, column)
                    && !same(now, datum)
                {
                    changed.insert((*column).to_owned(), datum.to_json());
                }
            }
            if !changed.is_empty() {
                operations.push(json!({
                    "op": "update",
                    "table": table,
                    "where": [["_uuid", "==", ["uuid", row.to_string()]]],
                    "row": changed,
                }));
            }
        }
        operations
    }
}

/// An empty map and an empty set are both "nothing".
fn same(a: &Datum, b: &Datum) -> bool {
    a == b || (a.is_empty() && b.is_empty())
}

/// Completes a transaction: it must not take effect when another switch has taken over.
#[must_use]
pub fn guarded(mut operations: Vec<Value>) -> Vec<Value> {
    operations.push(json!({"op": "assert", "lock": LOCK}));
    operations
}

/// Why a transaction failed, if it did.
#[must_use]
pub fn failure(results: &[Value]) -> Option<String> {
    results.iter().find_map(|result| {
        let error = result.get("error")?.as_str()?;
        let details = result.get("details").and_then(Value::as_str).unwrap_or_default();
        Some(format!("{error}: {details}"))
    })
}

/// What stands in one row of Interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// `ofport`; -1 after a failure.
    pub ofport: i64,
    /// `error`.
    pub error: Option<String>,
    /// `admin_state`.
    pub is_admin_up: Option<bool>,
    /// `link_state`.
    pub is_running: Option<bool>,
    /// `link_resets`.
    pub link_resets: Option<i64>,
    /// `mac_in_use`.
    pub mac: Option<String>,
    /// `mtu`, bytes.
    pub mtu: Option<u32>,
    /// `ifindex`.
    pub ifindex: Option<u32>,
    /// `link_speed`, bits per second.
    pub speed: Option<i64>,
    /// `duplex`.
    pub is_full_duplex: Option<bool>,
    /// `status`.
    pub status: BTreeMap<String, String>,
}

impl InterfaceStatus {
    /// An interface that could not be set up.
    #[must_use]
    pub fn failed(error: &str) -> Self {
        Self { ofport: -1, error: Some(error.to_owned()), ..Self::default() }
    }

    /// Wants these values in `row`.
    pub fn want(&self, row: Uuid, wanted: &mut Wanted) {
        let mut set = |column, datum| wanted.set("Interface", row, column, datum);
        let text = |text: Option<&str>| text.map_or_else(Datum::empty, Datum::string);
        let number = |number: Option<i64>| number.map_or_else(Datum::empty, Datum::integer);
        let state = |up: Option<bool>| text(up.map(|up| if up { "up" } else { "down" }));
        set("ofport", Datum::integer(self.ofport));
        set("error", text(self.error.as_deref()));
        set("admin_state", state(self.is_admin_up));
        set("link_state", state(self.is_running));
        set("link_resets", number(self.link_resets));
        set("mac_in_use", text(self.mac.as_deref()));
        set("mtu", number(self.mtu.map(i64::from)));
        set("ifindex", number(self.ifindex.map(i64::from)));
        set("link_speed", number(self.speed));
        let duplex = self.is_full_duplex.map(|is_full| if is_full { "full" } else { "half" });
        set("duplex", text(duplex));
        set("status", Datum::map_of_strings(&self.status));
    }
}

/// A counter as the database has it.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `Interface.statistics` of a tunnel by UDP over IPv6.
#[must_use]
pub fn udp6_statistics(counters: &IfaceCounters) -> [(&'static str, i64); 5] {
    let [rx_bytes, rx_packets, tx_bytes, tx_packets] = traffic_statistics(counters);
    let rx_udp6_zero = ("rx_udp6_zero", count(counters.rx_udp6_zero_frames));
    [rx_bytes, rx_packets, rx_udp6_zero, tx_bytes, tx_packets]
}

/// `Interface.statistics` of another interface without a device: a tunnel or a patch port.
#[must_use]
pub fn traffic_statistics(counters: &IfaceCounters) -> [(&'static str, i64); 4] {
    [
        ("rx_bytes", count(counters.rx_bytes)),
        ("rx_packets", count(counters.rx_frames)),
        ("tx_bytes", count(counters.tx_bytes)),
        ("tx_packets", count(counters.tx_frames)),
    ]
}

/// `Interface.statistics` of a device: what the datapath counted, and the errors that only the
/// kernel sees; `missed_frames` are those that found no room in our rings.
#[must_use]
pub fn link_statistics(
    counters: &IfaceCounters,
    link: Option<&crate::netlink::kernel::Link>,
    missed_frames: u64,
) -> [(&'static str, i64); 14] {
    let stats = link.map(|link| link.stats.0).unwrap_or_default();
    [
        ("collisions", count(stats.collisions)),
        ("rx_bytes", count(counters.rx_bytes)),
        ("rx_crc_err", count(stats.rx_crc_errors)),
        ("rx_dropped", count(counters.rx_dropped_frames())),
        ("rx_errors", count(stats.rx_errors)),
        ("rx_frame_err", count(stats.rx_frame_errors)),
        ("rx_missed_errors", count(stats.rx_missed_errors + missed_frames)),
        ("rx_multicast_packets", count(counters.rx_group_frames)),
        ("rx_over_err", count(stats.rx_over_errors)),
        ("rx_packets", count(counters.rx_frames)),
        ("tx_bytes", count(counters.tx_bytes)),
        ("tx_dropped", count(counters.tx_dropped_frames())),
        ("tx_errors", count(stats.tx_errors)),
        ("tx_packets", count(counters.tx_frames)),
    ]
}
