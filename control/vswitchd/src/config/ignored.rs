//! Columns of Open vSwitch's schema that have no effect here: kept, shown, and named in the log.
//!
//! What stands here is left out of `README.md`'s table of columns that do something, and goes when
//! somebody builds it.

use crate::config::desired::{Bridge, ConfigError, Interface, Kind, Port, Rows};
use uuid::Uuid;
use weft_ovsdb::Datum;

/// Columns that mean something as soon as they are not empty, zero or false.
const COLUMNS: [(&str, &[&str]); 3] = [
    (
        "Bridge",
        &["netflow", "sflow", "ipfix", "controller", "protocols", "flow_tables", "auto_attach"],
    ),
    ("Port", &["qos", "mac", "lacp", "bond_mode", "protected"]),
    (
        "Interface",
        &[
            "ingress_policing_rate",
            "ingress_policing_burst",
            "ingress_policing_kpkts_rate",
            "ingress_policing_kpkts_burst",
            "bfd",
            "cfm_mpid",
            "lldp",
        ],
    ),
];

/// Those among them without which a port does not do what was asked: its `error` says so.
const MISSED: [(&str, &[&str]); 3] = [
    ("Bridge", &["netflow", "sflow", "ipfix"]),
    ("Port", &["qos"]),
    ("Interface", &["ingress_policing_rate", "ingress_policing_kpkts_rate"]),
];

/// What a row asks for in vain, as `Port qos`.
#[must_use]
pub fn missed(rows: &impl Rows, table: &str, row: Uuid) -> Vec<String> {
    let columns = MISSED.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, of)| of);
    let is_set = |column: &&&str| rows.datum(table, row, column).and_then(meaning).is_some();
    columns.iter().filter(is_set).map(|column| format!("{table} {column}")).collect()
}

/// The text for `Interface.error` of an interface that works, without what was asked for.
#[must_use]
pub fn error(bridge: &Bridge, interface: &Interface) -> Option<String> {
    let of_bridge = if interface.is_local(bridge) { &bridge.missed[..] } else { &[] };
    let all: Vec<&str> = interface.missed.iter().chain(of_bridge).map(String::as_str).collect();
    (!all.is_empty()).then(|| {
        format!(
            "{}: not supported yet, so not in force: {}; frames are forwarded without",
            interface.name,
            all.join(", ")
        )
    })
}

/// The columns of a table that stand here, which have to be monitored to be named.
#[must_use]
pub fn columns(table: &str) -> &'static [&'static str] {
    COLUMNS.iter().find(|(name, _)| *name == table).map_or(&[], |(_, columns)| columns)
}

/// What is said of them.
const NO_EFFECT: &str = "has no effect yet; kept";

/// Names everything in a row that is set and has no effect.
pub fn note(rows: &impl Rows, table: &'static str, row: Uuid, problems: &mut Vec<ConfigError>) {
    for column in columns(table) {
        if let Some(value) = rows.datum(table, row, column).and_then(meaning) {
            let name = name(rows, table, row);
            problems.push(problem(table, name, column, value, NO_EFFECT));
        }
    }
}

/// Names addresses of interfaces that are not given to them, of a port in `bridge`.
#[must_use]
pub fn addresses(bridge: &str, port: &Port) -> Vec<ConfigError> {
    let mut problems = Vec::new();
    for interface in &port.interfaces {
        let Some(mac) = interface.mac else { continue };
        let why = match interface.kind {
            _ if interface.name == bridge => {
                "has no effect: other_config:hwaddr of the bridge sets the LOCAL port's address"
            }
            Kind::Internal => continue,
            _ => "has no effect: only internal ports have an address of ours",
        };
        let name = interface.name.clone();
        problems.push(problem("Interface", name, "mac", mac.to_string(), why));
    }
    problems
}

fn name(rows: &impl Rows, table: &str, row: Uuid) -> String {
    let name = rows.datum(table, row, "name").and_then(Datum::as_str);
    name.unwrap_or(".").to_owned()
}

/// The value as text, unless it says nothing.
fn meaning(datum: &Datum) -> Option<String> {
    let is_nothing =
        datum.is_empty() || datum.as_int() == Some(0) || datum.as_bool() == Some(false);
    (!is_nothing).then(|| datum.to_string())
}

fn problem(
    table: &'static str,
    row: String,
    column: &str,
    value: String,
    problem: &'static str,
) -> ConfigError {
    ConfigError { table, row, column: column.to_owned(), value, problem }
}
