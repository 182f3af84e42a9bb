//! What `--delete-bridges` and `--delete-transient-ports` take out of the database at start.

use crate::config::desired::Rows;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;
use weft_ovsdb::Datum;

/// What to delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// All bridges, as ovs-ctl does with `--delete-bridges`.
    pub bridges: bool,
    /// The ports that have `other_config:transient=true`.
    pub transient_ports: bool,
}

impl Purge {
    /// The operations that delete what `rows` has of it; none when there is nothing.
    #[must_use]
    pub fn operations(self, rows: &impl Rows) -> Vec<Value> {
        if self.bridges {
            return rows
                .uuids("Open_vSwitch")
                .into_iter()
                .filter(|root| has_any(rows, "Open_vSwitch", *root, "bridges"))
                .map(|root| set("Open_vSwitch", root, "bridges", &Datum::empty()))
                .collect();
        }
        if !self.transient_ports {
            return Vec::new();
        }
        let transient: BTreeSet<Uuid> =
            rows.uuids("Port").into_iter().filter(|port| is_transient(rows, *port)).collect();
        let mut operations = Vec::new();
        for bridge in rows.uuids("Bridge") {
            let Some(ports) = rows.datum("Bridge", bridge, "ports") else { continue };
            let stay: Vec<Uuid> = ports.uuids().filter(|port| !transient.contains(port)).collect();
            if stay.len() < ports.len() {
                operations.push(set("Bridge", bridge, "ports", &Datum::set_of_uuids(stay)));
            }
        }
        operations
    }
}

fn has_any(rows: &impl Rows, table: &str, row: Uuid, column: &str) -> bool {
    rows.datum(table, row, column).is_some_and(|datum| !datum.is_empty())
}

fn is_transient(rows: &impl Rows, port: Uuid) -> bool {
    let config = rows.datum("Port", port, "other_config");
    config.and_then(|config| config.map_get("transient")) == Some("true")
}

fn set(table: &str, row: Uuid, column: &str, datum: &Datum) -> Value {
    json!({
        "op": "update",
        "table": table,
        "where": [["_uuid", "==", ["uuid", row.to_string()]]],
        "row": {column: datum},
    })
}
